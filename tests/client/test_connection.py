"""One connection against scripted octets, so that every order of lines can be had."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio
import trio.testing

from smppd.client import Connection, DaemonUnreachable, JsonObject, ProtocolError, connect
from smppd.client import connection as connection_module


class Peer:
    """The daemon's end of a client's stream: it says what the test says."""

    def __init__(self, stream: trio.testing.MemoryReceiveStream, out: trio.abc.SendStream) -> None:
        self._stream = stream
        self._out = out
        self._partial = b""

    async def receive(self, count: int) -> list[JsonObject]:
        """The next ``count`` lines of the connection."""
        while self._partial.count(b"\n") < count:
            self._partial += await self._stream.receive_some()
        *lines, self._partial = self._partial.split(b"\n", count)
        return [json.loads(line) for line in lines]

    async def say(self, *lines: JsonObject) -> None:
        await self.say_octets(b"".join(json.dumps(line).encode() + b"\n" for line in lines))

    async def say_octets(self, octets: bytes) -> None:
        await self._out.send_all(octets)

    async def close(self) -> None:
        await self._out.aclose()


@asynccontextmanager
async def connected() -> AsyncIterator[tuple[Connection, Peer]]:
    ours, theirs = trio.testing.memory_stream_pair()
    connection = Connection(ours)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(connection.run)
        yield connection, Peer(theirs.receive_stream, theirs.send_stream)
        nursery.cancel_scope.cancel()


def event(seq: int) -> JsonObject:
    return {"type": "event", "seq": seq, "event": "sent"}


def accepted(ref: str) -> JsonObject:
    return {"type": "accepted", "ref": ref, "id": "0" * 16, "segments": 1, "encoding": "gsm7"}


PONG: JsonObject = {"type": "pong"}
SUBMITS: list[JsonObject] = [{"ref": "a", "to": "+1", "text": "x"}, {"ref": "b"}]


async def test_submits_are_written_as_lines_and_answered_in_order() -> None:
    async with connected() as (connection, peer), trio.open_nursery() as nursery:
        answers: list[JsonObject] = []

        async def submit() -> None:
            answers.extend(await connection.submit(SUBMITS))

        nursery.start_soon(submit)
        lines = await peer.receive(2)
        await peer.say(accepted("a"), {"type": "rejected", "ref": "b"})
        await trio.testing.wait_all_tasks_blocked()
    assert [line["type"] for line in lines] == ["submit", "submit"]
    assert [answer["type"] for answer in answers] == ["accepted", "rejected"]


async def test_events_between_answers_are_kept_apart_in_their_order() -> None:
    async with connected() as (connection, peer):
        await peer.say(event(1), accepted("a"), event(2), accepted("b"), event(3))
        answers = await connection.submit(SUBMITS)
        events = await connection.wait_events()
    assert [answer["ref"] for answer in answers] == ["a", "b"]
    assert [found["seq"] for found in events] == [1, 2, 3]


async def test_lines_cut_anywhere_are_put_together() -> None:
    async with connected() as (connection, peer), trio.open_nursery() as nursery:
        nursery.start_soon(connection.ping)
        await peer.receive(1)
        for octet in b'{"type":"event","seq":1,"event":"sent"}\n{"type":"pong"}\n':
            await peer.say_octets(bytes([octet]))
            await trio.testing.wait_all_tasks_blocked()
        assert await connection.wait_events() == [event(1)]


async def test_callers_at_once_get_their_own_answers() -> None:
    async with connected() as (connection, peer), trio.open_nursery() as nursery:
        found: dict[str, str] = {}

        async def submit(ref: str) -> None:
            (answer,) = await connection.submit([{"ref": ref}])
            found[ref] = answer["ref"]

        nursery.start_soon(submit, "a")
        nursery.start_soon(submit, "b")
        lines = await peer.receive(2)
        await peer.say(*(accepted(line["ref"]) for line in lines))
        await trio.testing.wait_all_tasks_blocked()
        assert found == {"a": "a", "b": "b"}


async def test_error_in_place_of_an_answer_is_raised_with_its_code() -> None:
    async with connected() as (connection, peer):
        await peer.say({"type": "error", "line": 1, "code": "unknown_message", "reason": "no such"})
        with pytest.raises(ProtocolError, match="no such") as caught:
            await connection.query(ref="x")
    assert caught.value.code == "unknown_message"


async def test_error_for_a_submit_is_given_as_its_answer() -> None:
    async with connected() as (connection, peer):
        fault = {"type": "error", "line": 1, "code": "busy", "reason": "later", "ref": "a"}
        await peer.say(fault, accepted("b"))
        assert [a["type"] for a in await connection.submit(SUBMITS)] == ["error", "accepted"]


async def test_refused_taken_is_nobodys_answer_and_ends_the_connection() -> None:
    async with connected() as (connection, peer):
        connection.take(9)
        await peer.receive(1)
        await peer.say({"type": "error", "line": 1, "code": "bad_request", "reason": "above"})
        with pytest.raises(ProtocolError, match="above"):
            await connection.ping()


async def test_end_of_the_connection_is_raised_to_everybody_who_waits() -> None:
    async with connected() as (connection, peer), trio.open_nursery() as nursery:
        failures: list[str] = []

        async def wait(kind: str) -> None:
            with pytest.raises(DaemonUnreachable):
                await (connection.ping() if kind == "answer" else connection.wait_events())
            failures.append(kind)

        nursery.start_soon(wait, "answer")
        nursery.start_soon(wait, "events")
        await trio.testing.wait_all_tasks_blocked()
        await peer.close()
        await trio.testing.wait_all_tasks_blocked()
        assert sorted(failures) == ["answer", "events"]


async def test_calls_after_the_end_raise_at_once() -> None:
    async with connected() as (connection, peer):
        await peer.close()
        await trio.testing.wait_all_tasks_blocked()
        with pytest.raises(DaemonUnreachable):
            await connection.submit(SUBMITS)


async def test_what_is_no_json_is_a_protocol_error() -> None:
    async with connected() as (connection, peer):
        await peer.say_octets(b"HTTP/1.1 400 Bad Request\n")
        with pytest.raises(ProtocolError) as caught:
            await connection.ping()
    assert caught.value.code == "bad_json"


async def test_submitting_nothing_asks_nothing() -> None:
    async with connected() as (connection, _):
        assert await connection.submit([]) == []


async def test_events_nobody_takes_stop_the_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection_module, "EVENTS_KEPT_MAX", 1)
    async with connected() as (connection, peer):
        await peer.say(event(1))
        await trio.testing.wait_all_tasks_blocked()
        await peer.say(event(2))
        await trio.testing.wait_all_tasks_blocked()
        assert await connection.wait_events() == [event(1)]
        assert await connection.wait_events() == [event(2)]


async def test_answers_are_read_past_any_number_of_events(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection_module, "EVENTS_KEPT_MAX", 1)
    async with connected() as (connection, peer):
        await peer.say(event(1))
        await trio.testing.wait_all_tasks_blocked()
        await peer.say(event(2), PONG)
        await connection.ping()
        assert await connection.wait_events() == [event(1), event(2)]


async def test_cancelled_wait_for_events_loses_none() -> None:
    async with connected() as (connection, peer):
        await peer.say(event(1))
        await trio.testing.wait_all_tasks_blocked()
        with trio.CancelScope() as scope:
            scope.cancel()
            await connection.wait_events()
        assert await connection.wait_events() == [event(1)]


async def test_socket_that_is_not_there_is_daemon_unreachable(tmp_path: Path) -> None:
    with pytest.raises(DaemonUnreachable, match="No such file"):
        async with connect(tmp_path / "smppd.sock"):
            pass


async def test_what_the_body_raises_comes_out_of_connect_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "s"
    listener = trio.socket.socket(trio.socket.AF_UNIX)
    with listener:
        await listener.bind(str(path))
        listener.listen()
        with pytest.raises(KeyError, match="mine"):
            async with connect(path, greet=False):
                raise KeyError("mine")


async def test_daemon_that_says_no_welcome_is_unreachable(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    path = tmp_path / "s"
    listener = trio.socket.socket(trio.socket.AF_UNIX)
    with listener:
        await listener.bind(str(path))
        listener.listen()
        with pytest.raises(DaemonUnreachable, match="no welcome"):
            async with connect(path):
                pass
