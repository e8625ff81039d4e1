"""Both faces against a scripted daemon: the same scripts, so that the two keep one behaviour.

Each test runs twice. Its client lives in a thread, with the verbs of ``SyncClient`` or, through a
Trio run of its own, those of ``Client``.
"""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Protocol, TypeVar

import pytest
import trio
import trio.from_thread

from smppd.client import (
    Accepted,
    Cancelled,
    Client,
    DaemonUnreachable,
    Event,
    EventsLost,
    JsonObject,
    Message,
    ProtocolError,
    Quoted,
    Rejected,
    Replaced,
    Statistics,
    Submit,
    SyncClient,
    blocking,
    following,
    open_client,
    requests,
)
from smppd.client.exchange import SEQ_MAX
from tests.client.house import Peer, ScriptedDaemon, accepted, event, message, running, subscribed

T = TypeVar("T")


class Verbs(Protocol):
    """What both faces can do, for a test's thread."""

    def statistics(self) -> Statistics: ...
    def submit(self, message: Submit) -> Accepted | Rejected: ...
    def submit_many(self, messages: Sequence[Submit]) -> list[Accepted | Rejected]: ...
    def query(self, *, id: str | None = None, ref: str | None = None) -> Message: ...
    def quote(self, message: Submit) -> Quoted: ...
    def cancel(self, *, id: str | None = None, tag: str | None = None) -> Cancelled: ...
    def ask(self, request: JsonObject) -> JsonObject: ...
    def events(
        self,
        after: int | None = None,
        kinds: Sequence[str] = (),
        *,
        take: bool = True,
        on_gap: Callable[[EventsLost], None] | None = None,
    ) -> Iterator[Event]: ...
    def event_batches(self, after: int | None = None) -> Iterator[list[Event]]: ...
    def taken(self, seq: int) -> None: ...
    def follow(self, id: str) -> Iterator[Event]: ...


class TrioVerbs:
    """A ``Client`` seen from a thread beside its Trio run."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def statistics(self) -> Statistics:
        return self._client.statistics()

    def submit(self, message: Submit) -> Accepted | Rejected:
        return trio.from_thread.run(self._client.submit, message)

    def submit_many(self, messages: Sequence[Submit]) -> list[Accepted | Rejected]:
        return trio.from_thread.run(self._client.submit_many, messages)

    def query(self, *, id: str | None = None, ref: str | None = None) -> Message:
        return trio.from_thread.run(partial(self._client.query, id=id, ref=ref))

    def quote(self, message: Submit) -> Quoted:
        return trio.from_thread.run(self._client.quote, message)

    def cancel(self, *, id: str | None = None, tag: str | None = None) -> Cancelled:
        return trio.from_thread.run(partial(self._client.cancel, id=id, tag=tag))

    def ask(self, request: JsonObject) -> JsonObject:
        return trio.from_thread.run(self._client.ask, request)

    def events(
        self,
        after: int | None = None,
        kinds: Sequence[str] = (),
        *,
        take: bool = True,
        on_gap: Callable[[EventsLost], None] | None = None,
    ) -> Iterator[Event]:
        begin = partial(self._client.events, after, kinds, take=take, on_gap=on_gap)
        return self._iterate(trio.from_thread.run_sync(begin))

    def event_batches(self, after: int | None = None) -> Iterator[list[Event]]:
        return self._iterate(trio.from_thread.run_sync(self._client.event_batches, after))

    def taken(self, seq: int) -> None:
        trio.from_thread.run_sync(self._client.taken, seq)

    def follow(self, id: str) -> Iterator[Event]:
        return self._iterate(trio.from_thread.run_sync(self._client.follow, id))

    def _iterate(self, items: AsyncIterator[T]) -> Iterator[T]:
        async def find_next() -> list[T]:
            async for item in items:
                return [item]
            return []

        while found := trio.from_thread.run(find_next):
            yield from found


Work = Callable[[Verbs], T]


class Face:
    """How one of the two is opened, used by ``work`` and closed."""

    def __init__(self, name: str) -> None:
        self._name = name

    def run(self, path: Path, work: Work[T], seconds: float = math.inf) -> T:
        if self._name == "trio":
            return trio.run(self._run_trio, path, work, seconds)
        with SyncClient(path, answer_seconds=seconds) as opened:
            return work(opened)

    async def _run_trio(self, path: Path, work: Work[T], seconds: float) -> T:
        async with open_client(path, answer_seconds=seconds) as opened:
            return await trio.to_thread.run_sync(work, TrioVerbs(opened), abandon_on_cancel=True)


@pytest.fixture(params=["trio", "blocking"])
def face(request: pytest.FixtureRequest) -> Face:
    return Face(request.param)


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[ScriptedDaemon]:
    with ScriptedDaemon(tmp_path / "s") as scripted:
        yield scripted


A, B = Submit(ref="a", to="+1", text="x"), Submit(ref="b", to="+1", text="y")


# --- requests ---


def test_submit_is_answered_accepted(face: Face, daemon: ScriptedDaemon) -> None:
    with running(lambda: face.run(daemon.path, lambda client: client.submit(A))) as result:
        peer = daemon.welcome()
        assert peer.read() == [{"type": "submit", "ref": "a", "to": "+1", "text": "x"}]
        peer.say(accepted("a"))
        assert result.result() == Accepted("a", "id-a", 1, "gsm7")
        peer.read_end()


def test_rejections_and_errors_of_a_batch_are_values_at_their_places(
    face: Face, daemon: ScriptedDaemon
) -> None:
    with running(
        lambda: face.run(daemon.path, lambda client: client.submit_many([A, B, A]))
    ) as result:
        peer = daemon.welcome()
        peer.read(3)
        peer.say(
            {"type": "rejected", "ref": "a", "code": "draining", "reason": "no", "retry_after": 5},
            {"type": "error", "line": 3, "code": "line_too_long", "reason": "long"},
            accepted("a"),
        )
        assert result.result() == [
            Rejected("a", "draining", "no", retry_after=5),
            Rejected("b", "line_too_long", "long"),
            Accepted("a", "id-a", 1, "gsm7"),
        ]


def test_submits_unanswered_at_a_loss_are_sent_again_and_answered_once(
    face: Face, daemon: ScriptedDaemon
) -> None:
    def work(client: Verbs) -> tuple[list[Accepted | Rejected], Statistics]:
        return client.submit_many([A, B]), client.statistics()

    with running(lambda: face.run(daemon.path, work)) as result:
        peer = daemon.welcome()
        peer.read(2)
        peer.say(accepted("a"))
        peer.close()
        peer = daemon.welcome()
        assert [line["ref"] for line in peer.read()] == ["b"]
        peer.say({**accepted("b"), "duplicate": True})
        answers, statistics = result.result()
    assert [answer.ref for answer in answers] == ["a", "b"]
    assert answers[1] == Accepted("b", "id-b", 1, "gsm7", duplicate=True)
    assert (statistics.connections, statistics.repeated) == (2, 1)


def test_long_batch_goes_out_in_pieces_that_do_not_run_ahead(
    face: Face, daemon: ScriptedDaemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(requests, "SUBMITS_MAX", 1)
    messages = [Submit(ref=str(number), to="+1") for number in range(5)]
    with running(
        lambda: face.run(daemon.path, lambda client: client.submit_many(messages))
    ) as result:
        peer = daemon.welcome()
        for number in range(5):
            assert peer.read()[0]["ref"] == str(number)
            peer.say(accepted(str(number)))
        assert [answer.ref for answer in result.result()] == list("01234")


def test_submitting_nothing_asks_nothing(face: Face, daemon: ScriptedDaemon) -> None:
    with running(lambda: face.run(daemon.path, lambda client: client.submit_many([]))) as result:
        peer = daemon.welcome()
        assert result.result() == []
        peer.read_end()


def test_answer_that_does_not_come_in_time_is_daemon_unreachable(
    face: Face, daemon: ScriptedDaemon
) -> None:
    def work(client: Verbs) -> None:
        with pytest.raises(DaemonUnreachable, match="no answer"):
            client.submit(A)
        with pytest.raises(DaemonUnreachable, match="no answer"):
            client.ask({"type": "ping"})

    with running(lambda: face.run(daemon.path, work, seconds=0.05)):
        peer = daemon.welcome()
        assert [line["type"] for line in peer.read(2)] == ["submit", "ping"]


def test_error_to_a_question_is_raised_with_its_code(face: Face, daemon: ScriptedDaemon) -> None:
    def work(client: Verbs) -> None:
        with pytest.raises(ProtocolError) as caught:
            client.query(ref="x")
        assert caught.value.code == "unknown_message"

    with running(lambda: face.run(daemon.path, work)):
        peer = daemon.welcome()
        assert peer.read() == [{"type": "query", "ref": "x"}]
        peer.say({"type": "error", "line": 2, "code": "unknown_message", "reason": "no such"})


def test_questions_are_answered_in_their_shapes(face: Face, daemon: ScriptedDaemon) -> None:
    def work(client: Verbs) -> None:
        assert client.query(id="id-a").state == "sent"
        assert client.quote(A) == Quoted(segments=1, encoding="gsm7", blocked_by=None)
        assert client.cancel(tag="spring") == Cancelled(2, 1, tag="spring")
        assert client.ask({"type": "routes"}) == {"type": "routes", "routes": []}

    with running(lambda: face.run(daemon.path, work)):
        peer = daemon.welcome()
        assert peer.read() == [{"type": "query", "id": "id-a"}]
        peer.say(message("sent", final=False))
        assert peer.read() == [{"type": "quote", "ref": "a", "to": "+1", "text": "x"}]
        peer.say({"type": "quoted", "segments": 1, "encoding": "gsm7", "cost": None})
        assert peer.read() == [{"type": "cancel", "tag": "spring"}]
        peer.say({"type": "cancelled", "tag": "spring", "count": 2, "too_late": 1})
        assert peer.read() == [{"type": "routes"}]
        peer.say({"type": "routes", "routes": []})


def test_what_smart_encoding_replaced_is_told_by_both_answers(
    face: Face, daemon: ScriptedDaemon
) -> None:
    told = {"replaced": [{"character": "’", "by": "'", "count": 2}], "segments_saved": 1}
    replaced = (Replaced("’", "'", 2),)

    def work(client: Verbs) -> None:
        answer = client.submit(A)
        assert isinstance(answer, Accepted)
        assert (answer.replaced, answer.segments_saved) == (replaced, 1)
        quoted = client.quote(A)
        assert (quoted.replaced, quoted.segments_saved) == (replaced, 1)

    with running(lambda: face.run(daemon.path, work)):
        peer = daemon.welcome()
        peer.read()
        peer.say({**accepted("a"), **told})
        peer.read()
        peer.say({"type": "quoted", "segments": 1, "encoding": "gsm7", **told})


def test_question_about_no_message_or_two_is_a_value_error(
    face: Face, daemon: ScriptedDaemon
) -> None:
    def work(client: Verbs) -> None:
        with pytest.raises(ValueError, match="one of id, ref"):
            client.query()
        with pytest.raises(ValueError, match="one of id, ref, tag"):
            client.cancel(id="a", tag="b")

    with running(lambda: face.run(daemon.path, work)):
        daemon.welcome().read_end()


def test_text_that_no_json_can_carry_is_a_value_error_and_sends_nothing(
    face: Face, daemon: ScriptedDaemon
) -> None:
    def work(client: Verbs) -> None:
        with pytest.raises(ValueError, match="surrogates"):
            client.submit_many([A, Submit(to="+1", text="\ud800")])

    with running(lambda: face.run(daemon.path, work)):
        daemon.welcome().read_end()


# --- events ---


def test_event_is_taken_when_the_loop_asks_for_the_next(face: Face, daemon: ScriptedDaemon) -> None:
    def work(client: Verbs) -> list[int]:
        events = client.events()
        return [next(events).seq, next(events).seq]

    with running(lambda: face.run(daemon.path, work)) as result:
        peer = daemon.welcome()
        assert peer.read() == [{"type": "subscribe"}]
        peer.say(subscribed(0), event(1))
        assert peer.read() == [{"type": "taken", "seq": 1}]
        peer.say(event(2))
        assert result.result() == [1, 2]
        peer.read_end()  # the second was given, and nobody came back for more


def test_events_go_on_after_a_loss_without_a_double(face: Face, daemon: ScriptedDaemon) -> None:
    def work(client: Verbs) -> list[int]:
        events = client.events(0, ["sent"], take=False)
        return [next(events).seq for _ in range(3)]

    with running(lambda: face.run(daemon.path, work)) as result:
        peer = daemon.welcome()
        assert peer.read() == [{"type": "subscribe", "after": 0, "kinds": ["sent"]}]
        peer.say(subscribed(0), event(1), event(2))
        peer.close()
        peer = daemon.welcome()
        assert peer.read()[0]["after"] == 2
        peer.say(subscribed(2), event(2), event(3))
        assert result.result() == [1, 2, 3]


def test_what_was_taken_last_is_told_before_the_client_closes(
    face: Face, daemon: ScriptedDaemon
) -> None:
    def work(client: Verbs) -> None:
        batches = client.event_batches()
        for _ in range(2):
            client.taken(next(batches)[-1].seq)

    with running(lambda: face.run(daemon.path, work)):
        peer = daemon.welcome()
        peer.read()
        peer.say(subscribed(0), event(1))
        assert peer.read() == [{"type": "taken", "seq": 1}]
        peer.say(event(2))
        assert peer.read() == [{"type": "taken", "seq": 2}]
        peer.read_end()


def test_gap_is_raised_by_the_loop_and_the_next_loop_goes_on_behind_it(
    face: Face, daemon: ScriptedDaemon
) -> None:
    def work(client: Verbs) -> int:
        with pytest.raises(EventsLost, match="events after 3"):
            next(client.events(3))
        return next(client.events()).seq

    with running(lambda: face.run(daemon.path, work)) as result:
        peer = daemon.welcome()
        peer.read()
        peer.say(subscribed(3, oldest=7, latest=7, gap=True))
        assert peer.read() == [{"type": "subscribe", "after": 6}]
        peer.say(subscribed(6, oldest=7, latest=7), event(7))
        assert result.result() == 7


def test_gap_is_told_and_the_loop_goes_on_where_that_is_wanted(
    face: Face, daemon: ScriptedDaemon
) -> None:
    gaps: list[EventsLost] = []

    def work(client: Verbs) -> int:
        return next(client.events(3, on_gap=gaps.append)).seq

    with running(lambda: face.run(daemon.path, work)) as result:
        peer = daemon.welcome()
        peer.read()
        peer.say(subscribed(3, oldest=7, latest=7, gap=True), event(7))
        assert result.result() == 7
    assert [gap.oldest for gap in gaps] == [7]


def test_second_loop_replaces_the_first(face: Face, daemon: ScriptedDaemon) -> None:
    def work(client: Verbs) -> int:
        first, second = client.events(0), client.events(5, take=False)
        with pytest.raises(RuntimeError, match="replaced"):
            next(first)
        return next(second).seq

    with running(lambda: face.run(daemon.path, work)) as result:
        peer = daemon.welcome()
        asked = peer.read()
        while asked[-1]["after"] != 5:
            peer.say(subscribed(0), event(1))
            asked = peer.read()
        peer.say(subscribed(5), event(6))
        assert result.result() == 6


# --- follow ---


def set_patience(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    """How long whoever follows waits for an event until the state is asked for."""
    for module in (following, blocking):
        monkeypatch.setattr(module, "FOLLOW_SECONDS", seconds)


def follow(client: Verbs) -> list[tuple[int, str]]:
    return [(event.seq, event.kind) for event in client.follow("id-a")]


def answer_query(peer: Peer, state: str, *, final: bool = False, at: int | None = None) -> None:
    assert peer.read() == [{"type": "query", "id": "id-a"}]
    peer.say(message(state, final=final, at=at))


def begin_to_hear(daemon: ScriptedDaemon, latest: int) -> Peer:
    """The connection over which a message is followed, from behind ``latest`` on."""
    peer = daemon.welcome()
    assert peer.read() == [{"type": "subscribe", "after": SEQ_MAX, "kinds": []}]
    peer.say({**subscribed(SEQ_MAX), "latest": latest})
    assert peer.read() == [{"type": "subscribe", "after": latest}]
    peer.say(subscribed(latest))
    return peer


def test_message_that_has_its_outcome_is_summed_up(face: Face, daemon: ScriptedDaemon) -> None:
    with running(lambda: face.run(daemon.path, follow)) as result:
        answer_query(daemon.welcome(), "delivered", final=True, at=9)
        assert result.result() == [(0, "delivered")]


def test_message_is_followed_to_its_last_event_among_those_of_others(
    face: Face, daemon: ScriptedDaemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_patience(monkeypatch, math.inf)
    with running(lambda: face.run(daemon.path, follow)) as result:
        main = daemon.welcome()
        answer_query(main, "queued")
        heard = begin_to_hear(daemon, latest=4)
        answer_query(main, "queued")
        heard.say(event(5, id="id-b"), event(6, receipt=True), event(7, "delivered"))
        assert result.result() == [(6, "sent"), (7, "delivered")]


def test_event_that_the_summary_told_is_not_told_again(
    face: Face, daemon: ScriptedDaemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_patience(monkeypatch, math.inf)
    with running(lambda: face.run(daemon.path, follow)) as result:
        main = daemon.welcome()
        answer_query(main, "queued")
        heard = begin_to_hear(daemon, latest=4)
        answer_query(main, "sent", at=5)
        heard.say(event(5, receipt=True), event(6, "failed"))
        assert result.result() == [(0, "sent"), (6, "failed")]


def test_outcome_no_event_tells_of_is_asked_for(
    face: Face, daemon: ScriptedDaemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_patience(monkeypatch, 0.01)
    with running(lambda: face.run(daemon.path, follow)) as result:
        main = daemon.welcome()
        answer_query(main, "sent", at=5)
        begin_to_hear(daemon, latest=5)
        answer_query(main, "sent", at=5)
        answer_query(main, "sent", at=5)
        answer_query(main, "unconfirmed", final=True, at=8)
        assert result.result() == [(0, "sent"), (0, "unconfirmed")]


def test_following_goes_on_over_a_loss(
    face: Face, daemon: ScriptedDaemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_patience(monkeypatch, math.inf)
    with running(lambda: face.run(daemon.path, follow)) as result:
        main = daemon.welcome()
        answer_query(main, "queued")
        heard = begin_to_hear(daemon, latest=0)
        answer_query(main, "queued")
        heard.say(event(1, receipt=True))
        heard.close()
        heard = daemon.welcome()
        assert heard.read()[0]["type"] == "subscribe"
        heard.say(subscribed(1), event(2, "delivered"))
        assert result.result() == [(1, "sent"), (2, "delivered")]


def test_following_a_message_that_is_none_raises(face: Face, daemon: ScriptedDaemon) -> None:
    def work(client: Verbs) -> None:
        with pytest.raises(ProtocolError, match="unknown_message"):
            follow(client)

    with running(lambda: face.run(daemon.path, work)):
        peer = daemon.welcome()
        peer.read()
        peer.say({"type": "error", "line": 2, "code": "unknown_message", "reason": "no such"})


# --- beginning and end ---


def test_nobody_there_is_daemon_unreachable(tmp_path: Path) -> None:
    with pytest.raises(DaemonUnreachable, match="No such file"):
        SyncClient(tmp_path / "s", connect_seconds=0.5)


async def test_nobody_there_is_daemon_unreachable_under_trio(tmp_path: Path) -> None:
    with pytest.raises(DaemonUnreachable, match="No such file"):
        async with open_client(tmp_path / "s", connect_seconds=0.5):
            pass


def test_daemon_that_starts_later_is_found(face: Face, tmp_path: Path) -> None:
    path = tmp_path / "s"
    with running(lambda: face.run(path, lambda client: client.statistics())) as result:
        with ScriptedDaemon(path) as daemon:
            daemon.welcome().read_end()
        assert result.result().connections == 1


def test_daemon_that_does_not_want_us_is_a_protocol_error(
    face: Face, daemon: ScriptedDaemon
) -> None:
    def open_and_close() -> None:
        with pytest.raises(ProtocolError, match="not_allowed"):
            face.run(daemon.path, lambda client: None)

    with running(open_and_close):
        peer = daemon.accept()
        peer.say({"type": "error", "code": "not_allowed", "reason": "no app of yours"})
        peer.close()


async def test_what_the_body_raises_comes_out_as_it_is(daemon: ScriptedDaemon) -> None:
    async def use() -> None:
        with pytest.raises(KeyError, match="mine"):
            async with open_client(daemon.path):
                raise KeyError("mine")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(use)
        peer = await trio.to_thread.run_sync(daemon.welcome)
        await trio.to_thread.run_sync(peer.read_end)


def test_closed_client_says_so(daemon: ScriptedDaemon) -> None:
    def work() -> None:
        client = SyncClient(daemon.path)
        client.close()
        client.close()
        with pytest.raises(DaemonUnreachable, match="closed"):
            client.submit(A)

    with running(work):
        daemon.welcome().read_end()


def test_blocking_client_refuses_a_second_thread(daemon: ScriptedDaemon) -> None:
    with ExitStack() as stack:
        opening = stack.enter_context(running(lambda: SyncClient(daemon.path)))
        peer = daemon.welcome()
        client = stack.enter_context(opening.result())
        answer = stack.enter_context(running(lambda: client.submit(A)))
        peer.read()
        with pytest.raises(RuntimeError, match="one thread at a time"):
            client.ask({"type": "ping"})
        peer.say(accepted("a"))
        assert isinstance(answer.result(), Accepted)


def test_loss_between_two_blocking_calls_costs_a_cancel_nothing(daemon: ScriptedDaemon) -> None:
    with ExitStack() as stack:
        opening = stack.enter_context(running(lambda: SyncClient(daemon.path)))
        peer = daemon.welcome()
        client = stack.enter_context(opening.result())
        peer.close()
        answer = stack.enter_context(running(lambda: client.cancel(id="id-a")))
        peer = daemon.welcome()
        assert peer.read() == [{"type": "cancel", "id": "id-a"}]
        peer.say({"type": "cancelled", "id": "id-a", "count": 1, "too_late": 0})
        assert answer.result().count == 1


# --- Trio alone ---


async def test_cancelled_submit_is_not_sent_again(daemon: ScriptedDaemon) -> None:
    async with trio.open_nursery() as nursery:

        async def use() -> None:
            async with open_client(daemon.path) as client:
                with trio.CancelScope() as scope:
                    nursery.start_soon(cancel_when_read, scope)
                    await client.submit(A)
                assert scope.cancelled_caught
                answer = await client.submit(B)
                assert answer.ref == "b"

        async def cancel_when_read(scope: trio.CancelScope) -> None:
            await welcomed.wait()
            await trio.to_thread.run_sync(peers[0].read)
            scope.cancel()
            peers[0].close()

        peers: list[Peer] = []
        welcomed = trio.Event()
        nursery.start_soon(use)
        peers.append(await trio.to_thread.run_sync(daemon.welcome))
        welcomed.set()
        peer = await trio.to_thread.run_sync(daemon.welcome)
        assert [line["ref"] for line in await trio.to_thread.run_sync(peer.read)] == ["b"]
        peer.say(accepted("b"))


async def test_tasks_share_a_client_and_get_their_own_answers(daemon: ScriptedDaemon) -> None:
    found: dict[str, str] = {}

    async def submit(client: Client, message: Submit) -> None:
        found[message.ref] = (await client.submit(message)).ref

    async def use() -> None:
        async with open_client(daemon.path) as client, trio.open_nursery() as nursery:
            nursery.start_soon(submit, client, A)
            nursery.start_soon(submit, client, B)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(use)
        peer = await trio.to_thread.run_sync(daemon.welcome)
        lines = await trio.to_thread.run_sync(peer.read, 2)
        peer.say(*(accepted(line["ref"]) for line in lines))
    assert found == {"a": "a", "b": "b"}
