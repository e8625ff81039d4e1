"""A carrier that misbehaves costs itself its bind: another one is unaffected, nothing accepted is
lost, and ``status`` says in words what is wrong.

A real daemon with two binds: ``good`` to a simulated SMSC, ``bad`` to a raw socket of this test
that does one wrong thing. Messages to +86 go to ``bad`` alone, to +49 to ``good``, and to +44 to
``bad`` first and to ``good`` when that fails.
"""

from __future__ import annotations

import re
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Final

import pytest
import trio

from smppd.client import Connection, connect
from smppd.simulator import SimulatedCarrier, serve
from smppd.smpp import constants
from smppd.smpp.pdu import HEADER
from tests.ledgers import JsonObject
from tests.processes import Child, Site
from tests.smpp.pair import raw

SECONDS_MAX: Final = 30.0
"""Of one test, on slow cores; every wait in it ends with what it waits for."""

QUICK: Final = {
    "session_init_timer": 0.5,
    "enquire_link_timer": 60,
    "response_timer": 0.5,
    "reconnect_min": 0.1,
    "reconnect_max": 0.2,
    "window": 5,
}

ROUTES: Final = (
    {"prefix": "86", "carrier": "bad", "cost": "0.01"},
    {"prefix": "49", "carrier": "good", "cost": "0.02"},
    {"prefix": "44", "carrier": "bad", "cost": "0.01"},
    {"prefix": "44", "carrier": "good", "cost": "0.02"},
)

FLOOD: Final = 3_000
RECEIVE_BYTES: Final = 4_096
"""With so little room at the bad carrier, half of the flood (300 kB) is more than the kernel
takes when nobody reads."""

RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)  # SO_LINGER of no time: close() sends RST

Evil = Callable[["RawSmsc"], Awaitable[None]]


class RawSmsc:
    """One accepted connection, PDU by PDU; it knows no rules and keeps none."""

    def __init__(self, stream: trio.SocketStream) -> None:
        self.stream = stream
        self._received = b""

    async def read_pdu(self) -> tuple[int, int]:
        """command_id and sequence_number of the next PDU; EOFError at the end."""
        header = await self._read(16)
        length, command_id, _, sequence_number = HEADER.unpack(header)
        await self._read(length - 16)
        return command_id, sequence_number

    async def send(self, octets: bytes) -> None:
        """Any octets."""
        await self.stream.send_all(octets)

    async def accept_bind(self) -> None:
        """The one thing it does right."""
        command_id, sequence_number = await self.read_pdu()
        assert command_id == constants.BIND_TRANSCEIVER
        await self.send(raw(constants.BIND_TRANSCEIVER_RESP, sequence_number, body=b"bad\0"))

    async def read_submits(self, count: int) -> list[int]:
        """The sequence_numbers of ``count`` submit_sm."""
        numbers: list[int] = []
        while len(numbers) < count:
            command_id, sequence_number = await self.read_pdu()
            if command_id == constants.SUBMIT_SM:
                numbers.append(sequence_number)
        return numbers

    async def answer(self, numbers: list[int]) -> None:
        """Good answers."""
        await self.send(
            b"".join(raw(constants.SUBMIT_SM_RESP, one, body=b"b%d\0" % one) for one in numbers)
        )

    async def reset(self) -> None:
        """RST, and not FIN."""
        self.stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
        await trio.aclose_forcefully(self.stream)

    async def ignore_the_rest(self) -> None:
        """Reads on until the other side closes, and answers nothing."""
        while await self.stream.receive_some(65_536):
            pass

    async def _read(self, count: int) -> bytes:
        while len(self._received) < count:
            data = await self.stream.receive_some(65_536)
            if not data:
                raise EOFError
            self._received += data
        taken, self._received = self._received[:count], self._received[count:]
        return taken


class Stage:
    """A running daemon between a good carrier and a bad one, and an app that listens."""

    def __init__(
        self, site: Site, daemon: Child, good: SimulatedCarrier, client: Connection
    ) -> None:
        self.site = site
        self.daemon = daemon
        self.good = good
        self.client = client
        self._events: dict[tuple[str, str], JsonObject] = {}

    async def submit(self, *refs: str, to: str, text: str = "hello") -> None:
        """Accepted messages."""
        lines = [{"ref": ref, "to": to, "from": "ACME", "text": text} for ref in refs]
        answers = await self.client.submit(lines)
        assert [answer["type"] for answer in answers] == ["accepted"] * len(refs), answers

    async def wait_event(self, ref: str, name: str) -> JsonObject:
        """The first event of that name about ``ref``."""
        while (ref, name) not in self._events:
            for event in await self.client.wait_events():
                self._events.setdefault((event["ref"], event["event"]), event)
        return self._events[ref, name]

    def has_event(self, ref: str, name: str) -> bool:
        """Whether such an event was told already."""
        return (ref, name) in self._events

    async def check_good(self) -> None:
        """The other carrier takes and delivers as if nothing were."""
        ref = f"good-{len(self._events)}"
        await self.submit(ref, to="+491701234567")
        await self.wait_event(ref, "delivered")

    async def wait_reason(self, reason: str) -> JsonObject:
        """The status of the bad bind, once its reason holds ``reason``."""
        while True:
            status = await self.client.status()
            (bad,) = [one for one in status["carriers"] if one["name"] == "bad"]
            (bind,) = bad["binds"]
            if reason in bind["reason"]:
                assert not bad["healthy"], bad
                return dict(bind)


@asynccontextmanager
async def staged(directory: Path, evil: Evil, **quirks: object) -> AsyncIterator[Stage]:
    """``evil`` is done to every connection of the daemon to ``bad``."""
    carriers = {"good": {}, "bad": {**QUICK, **quirks}}
    with Site(directory, carriers=carriers, routes=ROUTES) as site, trio.fail_after(SECONDS_MAX):
        good = SimulatedCarrier("good", "smppd", "secret", ledger=True)
        async with trio.open_nursery() as nursery:
            await nursery.start(serve, [("127.0.0.1", site.ports["good"], good)])
            listeners = await trio.open_tcp_listeners(site.ports["bad"], host="127.0.0.1")
            listeners[0].socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BYTES)

            async def carry(stream: trio.SocketStream) -> None:
                with suppress(EOFError, trio.BrokenResourceError, trio.ClosedResourceError):
                    await evil(RawSmsc(stream))

            nursery.start_soon(trio.serve_listeners, carry, listeners)
            daemon = site.start_daemon()
            async with connect(site.socket) as client:
                await client.subscribe(after=0)
                yield Stage(site, daemon, good, client)
            assert daemon.is_running, daemon.tail()
            nursery.cancel_scope.cancel()


# --- carriers that never bind ---


async def test_carrier_that_refuses_the_bind_is_not_hammered(tmp_path: Path) -> None:
    attempts = 0

    async def refuse(smsc: RawSmsc) -> None:
        nonlocal attempts
        attempts += 1
        _, number = await smsc.read_pdu()
        await smsc.send(raw(constants.BIND_TRANSCEIVER_RESP, number, constants.ESME_RINVPASWD))
        await smsc.ignore_the_rest()

    async with staged(tmp_path, refuse) as stage:
        await stage.submit("stays", to="+8613800138000")
        bind = await stage.wait_reason("ESME_RINVPASWD")
        assert bind["state"] == "refused"
        await stage.submit("goes-round", to="+447400123456")
        await stage.wait_event("goes-round", "delivered")
        await stage.check_good()
        assert attempts == 1
        assert (await stage.client.query(ref="stays"))["state"] == "queued"


async def test_carrier_that_refuses_for_now_is_asked_again(tmp_path: Path) -> None:
    attempts = 0

    async def refuse_at_first(smsc: RawSmsc) -> None:
        nonlocal attempts
        attempts += 1
        if attempts <= 2:
            _, number = await smsc.read_pdu()
            await smsc.send(raw(constants.BIND_TRANSCEIVER_RESP, number, constants.ESME_RALYBND))
            return
        await smsc.accept_bind()
        await smsc.answer(await smsc.read_submits(1))
        await smsc.ignore_the_rest()

    async with staged(tmp_path, refuse_at_first) as stage:
        await stage.submit("waits", to="+8613800138000")
        await stage.wait_event("waits", "sent")
        assert "ESME_RALYBND" in stage.daemon.output()


async def test_carrier_that_accepts_and_says_nothing_is_left_and_tried_again(
    tmp_path: Path,
) -> None:
    attempts = 0

    async def say_nothing(smsc: RawSmsc) -> None:
        nonlocal attempts
        attempts += 1
        await smsc.ignore_the_rest()

    async with staged(tmp_path, say_nothing) as stage:
        await stage.submit("stays", to="+8613800138000")
        await stage.wait_reason("the bind was not answered within session_init_timer")
        await stage.check_good()
        assert attempts >= 1
        assert (await stage.client.query(ref="stays"))["state"] == "queued"


async def test_carrier_where_nobody_listens_says_so(tmp_path: Path) -> None:
    async def unused(smsc: RawSmsc) -> None:
        raise AssertionError("nobody connects there")

    async with staged(tmp_path, unused, port=1) as stage:
        await stage.submit("stays", to="+8613800138000")
        await stage.wait_reason("cannot connect: Connection refused")
        await stage.check_good()


@pytest.mark.parametrize(
    ("octets", "reason"),
    [
        (b"\x00\x00\x00\x00" + bytes(12), "command_length 0"),
        (b"\x00\x00\x00\x0f" + bytes(12), "command_length 15"),
        (b"\xff\xff\xff\xff" + bytes(12), "command_length 4294967295"),
        (b"HTTP/1.1 400 Bad Request\r\nServer: nginx\r\n\r\n", "HTTP"),
    ],
)
async def test_port_that_speaks_no_smpp_is_named(
    tmp_path: Path, octets: bytes, reason: str
) -> None:
    async def speak(smsc: RawSmsc) -> None:
        await smsc.send(octets)
        await smsc.ignore_the_rest()

    async with staged(tmp_path, speak) as stage:
        await stage.submit("stays", to="+8613800138000")
        await stage.wait_reason(reason)
        await stage.check_good()
        assert (await stage.client.query(ref="stays"))["state"] == "queued"


# --- carriers that bind, and then ---


async def fail_once(smsc: RawSmsc, seen: list[int], evil: Evil) -> None:
    """Binds; the first time does ``evil`` after two good answers, later takes everything."""
    await smsc.accept_bind()
    seen.append(0)
    if len(seen) == 1:
        await smsc.answer(await smsc.read_submits(2))
        await evil(smsc)
        return
    while True:
        await smsc.answer(await smsc.read_submits(1))


async def hang(smsc: RawSmsc) -> None:
    await smsc.ignore_the_rest()


async def reset_inside_a_pdu(smsc: RawSmsc) -> None:
    await smsc.read_submits(1)
    await smsc.send(raw(constants.SUBMIT_SM_RESP, 3, body=b"b3\0")[:10])
    await smsc.reset()


async def half_close(smsc: RawSmsc) -> None:
    await smsc.read_submits(1)
    await smsc.stream.send_eof()
    await smsc.ignore_the_rest()


async def close_inside_a_pdu(smsc: RawSmsc) -> None:
    await smsc.read_submits(1)
    await smsc.send(raw(constants.SUBMIT_SM_RESP, 3, body=b"b3\0")[:10])
    await smsc.stream.aclose()


async def lose_the_framing(smsc: RawSmsc) -> None:
    await smsc.read_submits(1)
    await smsc.send(b"\xff\xff\xff\xff" + bytes(12))
    await smsc.ignore_the_rest()


@pytest.mark.parametrize(
    ("evil", "reason"),
    [
        (hang, "a submit_sm was not answered within response_timer"),
        # Whether a read or a write meets the end first is the kernel's choice, and it says so once:
        # where a write was told of the reset, the read that follows sees an end.
        (reset_inside_a_pdu, "Connection reset by peer|Broken pipe|the SMSC closed the stream"),
        (half_close, "the SMSC closed the stream"),
        (close_inside_a_pdu, "the SMSC closed the stream|the stream broke"),
        (lose_the_framing, "command_length 4294967295"),
    ],
)
async def test_carrier_that_fails_in_the_middle_costs_nothing_but_doubt(
    tmp_path: Path, evil: Evil, reason: str
) -> None:
    binds: list[int] = []
    refs = [f"m{number}" for number in range(8)]
    # Only a carrier that hangs is to be found out by its timer, however slow this machine is.
    timer = QUICK["response_timer"] if evil is hang else SECONDS_MAX
    async with staged(
        tmp_path, lambda smsc: fail_once(smsc, binds, evil), response_timer=timer
    ) as stage:
        await stage.submit(*refs, to="+8613800138000")
        await stage.check_good()
        for ref in refs:
            await stage.wait_event(ref, "sent")
        output = stage.daemon.output()
        assert re.search(reason, output), output
        doubtful = {ref for ref in refs if stage.has_event(ref, "uncertain")}
        assert 1 <= len(doubtful) <= QUICK["window"]
        for ref in refs:
            event = await stage.wait_event(ref, "sent")
            assert event.get("maybe_duplicate", False) == (ref in doubtful), event


async def test_carrier_that_stops_reading_is_left_and_only_what_was_written_is_doubt(
    tmp_path: Path,
) -> None:
    binds: list[int] = []

    async def stop_reading(smsc: RawSmsc) -> None:
        await smsc.accept_bind()
        binds.append(0)
        if len(binds) == 1:
            await trio.sleep_forever()
        while True:
            await smsc.answer(await smsc.read_submits(1))

    refs = [f"m{number}" for number in range(FLOOD)]
    async with staged(tmp_path, stop_reading, window=FLOOD // 2, breaker={"share": 0}) as stage:
        await stage.submit(*refs, to="+8613800138000", text="x" * 160)
        await stage.check_good()
        for ref in refs:
            await stage.wait_event(ref, "sent")
        assert "the SMSC read nothing for 0.5 s" in stage.daemon.output()
        doubtful = {ref for ref in refs if stage.has_event(ref, "uncertain")}
        assert 1 <= len(doubtful) <= FLOOD // 2


async def test_reason_of_a_lost_bind_stands_in_status(tmp_path: Path) -> None:
    async def bind_and_close(smsc: RawSmsc) -> None:
        await smsc.accept_bind()

    async with staged(tmp_path, bind_and_close, reconnect_min=60, reconnect_max=60) as stage:
        bind = await stage.wait_reason("the SMSC closed the stream")
        assert bind["state"] == "down"
        await stage.check_good()


async def test_malformed_deliver_sm_is_refused_and_the_bind_lives(tmp_path: Path) -> None:
    statuses: list[int] = []
    read = trio.Event()

    async def deliver_rubbish(smsc: RawSmsc) -> None:
        await smsc.accept_bind()
        bodies = [b"", bytes(5), b"no terminator" * 30, bytes(16) + b"\xff", bytes(17) + b"\4\x24"]
        for number, body in enumerate(bodies, 1):
            await smsc.send(raw(constants.DELIVER_SM, number, body=body))
            header = await smsc._read(16)
            length, _, status, _ = HEADER.unpack(header)
            await smsc._read(length - 16)
            statuses.append(status)
        read.set()
        await smsc.answer(await smsc.read_submits(1))
        await smsc.ignore_the_rest()

    async with staged(tmp_path, deliver_rubbish) as stage:
        await read.wait()
        assert all(statuses), statuses
        await stage.submit("goes", to="+8613800138000")
        await stage.wait_event("goes", "sent")
        assert "pdu_refused" in stage.daemon.output()
        kept = await stage.client.ask({"type": "quarantine", "carrier": "bad"})
        assert [one["command"] for one in kept["records"]] == ["deliver_sm"] * len(statuses)
        status = await stage.client.status()
        counts = {one["name"]: one["pdus_refused"] for one in status["carriers"]}
        assert counts == {"bad": len(statuses), "good": 0}
        await stage.check_good()
