"""An SMSC that calls: over real TCP, and bound to only when it has said who it is."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio
import trio.testing
from structlog.testing import capture_logs

from smppd.smpp import constants
from smppd.smpp.pdu import DeliverSm
from smppd.smpp.rare import BindKind
from smppd.smpp.session import Timers
from smppd.traffic import outbind
from smppd.traffic.outbind import OutbindListener
from tests.smpp.pair import CREDENTIALS, raw
from tests.traffic.centre import Centre, keep, open_centre, until
from tests.traffic.line import Smsc

Clock = trio.testing.MockClock

TIMERS = Timers(enquire_link_timer=0.0, session_init_timer=10.0)


@asynccontextmanager
async def open_port(directory: Path, clock: Clock, **settings: object) -> AsyncIterator[Exchange]:
    """A port of ours, at which SMSCs may call."""
    async with open_centre(directory, clock, **settings) as centre:
        await centre.close()  # it only had a free port for us
        async with trio.open_nursery() as nursery:
            address = f"127.0.0.1:{centre.port}"
            listener = OutbindListener("alpha", address, CREDENTIALS, window=5, timers=TIMERS)
            nursery.start_soon(listener.run)
            port = Exchange(centre, listener, nursery)
            yield port
            port.hang_up()
            nursery.cancel_scope.cancel()


class Exchange:
    """The port, and what happens around it."""

    def __init__(self, centre: Centre, listener: OutbindListener, nursery: trio.Nursery) -> None:
        self.centre = centre
        self.listener = listener
        self.nursery = nursery
        self._streams: list[trio.SocketStream] = []

    async def connect(self) -> Smsc:
        """An SMSC that has connected, and said nothing yet."""
        while True:
            try:
                self._streams.append(await trio.open_tcp_stream("127.0.0.1", self.centre.port))
            except OSError:
                await trio.lowlevel.checkpoint()
            else:
                return Smsc(self._streams[-1])

    def hang_up(self) -> None:
        """Every SMSC that called is gone."""
        for stream in self._streams:
            stream.socket.close()

    async def call(self, system_id: str = "smppd", password: str = "secret") -> Smsc:
        """One that has asked to be bound to."""
        smsc = await self.connect()
        smsc.session.outbind(system_id, password, trio.current_time())
        await smsc.flush()
        return smsc


async def test_an_smsc_that_calls_is_bound_to_and_carries(
    tmp_path: Path, autojump_clock: Clock
) -> None:
    async with open_port(tmp_path, autojump_clock) as port:
        keeper = keep(port.centre, listener=port.listener)
        port.nursery.start_soon(keeper.run)
        await until(lambda: keeper.status.state == "connecting")
        smsc = await port.call()
        await smsc.accept_bind()
        await until(lambda: keeper.status.state == "bound")
        line = port.centre.line
        await line.submit("r0")
        (submit,) = await smsc.take_submits(1)
        await smsc.answer([submit])
        body = f"id:m{submit.sequence_number} stat:DELIVRD err:000".encode()
        await smsc.deliver(DeliverSm("ACME", body, esm_class=constants.ESM_TYPE_RECEIPT))
        assert await smsc.wait_acknowledged(1) == [0]
        assert line.house.told() == [("r0", "sent"), ("r0", "delivered")]


@pytest.mark.parametrize(("system_id", "password"), [("other", "secret"), ("smppd", "wrong")])
async def test_a_stranger_is_never_told_our_password(
    system_id: str, password: str, tmp_path: Path, autojump_clock: Clock
) -> None:
    with capture_logs() as logs:
        async with open_port(tmp_path, autojump_clock) as port:
            keeper = keep(port.centre, listener=port.listener)
            port.nursery.start_soon(keeper.run)
            smsc = await port.call(system_id, password)
            await smsc.read_to_end()
            assert smsc.received == []
            assert keeper.status.state == "connecting"
            assert keeper.status.reason.startswith("waits for outbind at 127.0.0.1:")
    refused = [line for line in logs if line["event"] == "outbind_refused"]
    assert [line["reason"] for line in refused] == [
        "outbind with a system_id or password that is not ours"
    ]
    assert password not in str(logs)


async def test_an_enquire_link_before_outbind_is_answered_and_half_a_pdu_is_kept(
    tmp_path: Path, autojump_clock: Clock
) -> None:
    async with open_port(tmp_path, autojump_clock) as port:
        keeper = keep(port.centre, listener=port.listener)
        port.nursery.start_soon(keeper.run)
        smsc = await port.connect()
        await smsc.stream.send_all(raw(constants.ENQUIRE_LINK, 7))
        assert await smsc.stream.receive_some() == raw(constants.ENQUIRE_LINK_RESP, 7)
        smsc.session.outbind("smppd", "secret", trio.current_time())
        later = raw(constants.ENQUIRE_LINK, 8)
        await smsc.stream.send_all(smsc.session.data_to_send() + later[:5])
        await smsc.stream.send_all(later[5:])
        await smsc.accept_bind()
        await until(lambda: keeper.status.state == "bound")


async def test_a_caller_without_words_and_one_with_others_are_sent_away(
    tmp_path: Path, autojump_clock: Clock
) -> None:
    with capture_logs() as logs:
        async with open_port(tmp_path, autojump_clock) as port:
            web = await port.connect()
            await web.stream.send_all(b"GET / HTTP/1.1\r\n")
            await web.read_to_end()
            gone = await port.connect()
            await gone.stream.aclose()
            await until(lambda: len(logs) == 2)
            silent = await port.connect()
            await trio.testing.wait_all_tasks_blocked()
            autojump_clock.jump(10.0)
            await silent.read_to_end()
    assert [line["reason"] for line in logs] == [
        "the peer speaks HTTP, not SMPP",
        "the stream ended before outbind",
    ]


async def test_calls_go_to_the_binds_that_wait_and_one_too_many_is_closed_in_time(
    tmp_path: Path, autojump_clock: Clock
) -> None:
    async with open_port(tmp_path, autojump_clock, binds=2) as port:
        keepers = [keep(port.centre, bind=bind, listener=port.listener) for bind in (0, 1)]
        for keeper in keepers:
            port.nursery.start_soon(keeper.run)
        for _ in keepers:
            await (await port.call()).accept_bind()
        await until(lambda: all(keeper.status.state == "bound" for keeper in keepers))
        third = await port.call()
        await trio.testing.wait_all_tasks_blocked()
        autojump_clock.jump(10.0)
        await third.read_to_end()
        assert third.received == []


async def test_a_lost_link_waits_for_the_next_call(tmp_path: Path, autojump_clock: Clock) -> None:
    async with open_port(tmp_path, autojump_clock) as port:
        keeper = keep(port.centre, listener=port.listener)
        port.nursery.start_soon(keeper.run)
        smsc = await port.call()
        await smsc.accept_bind()
        await until(lambda: keeper.status.state == "bound")
        await smsc.stream.aclose()
        await until(lambda: keeper.status.state == "down")
        await port.centre.check_wait(keeper, 1.0)
        await until(lambda: keeper.status.state == "connecting")
        await (await port.call()).accept_bind()
        await until(lambda: keeper.status.state == "bound")


async def test_drain_ends_the_waiting(tmp_path: Path, autojump_clock: Clock) -> None:
    async with open_port(tmp_path, autojump_clock) as port:
        keeper = keep(port.centre, listener=port.listener)
        port.nursery.start_soon(keeper.run)
        await until(lambda: keeper.status.state == "connecting")
        await trio.testing.wait_all_tasks_blocked()
        keeper.drain()
        await keeper.ended.wait()


async def test_callers_without_a_name_have_few_places(
    tmp_path: Path, autojump_clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbind, "STREAMS_MAX", 1)
    async with open_port(tmp_path, autojump_clock) as port:
        first = await port.connect()
        await trio.testing.wait_all_tasks_blocked()
        second = await port.connect()
        await second.read_to_end()
        assert not first.at_end


async def test_a_port_that_is_taken_is_tried_again(tmp_path: Path, autojump_clock: Clock) -> None:
    with capture_logs() as logs:
        async with open_centre(tmp_path, autojump_clock) as centre, trio.open_nursery() as nursery:
            address = f"127.0.0.1:{centre.port}"
            listener = OutbindListener("alpha", address, CREDENTIALS, window=5, timers=TIMERS)
            nursery.start_soon(listener.run)
            await until(lambda: bool(logs))
            await centre.close()
            autojump_clock.jump(outbind.LISTEN_AGAIN_SECONDS)
            port = Exchange(centre, listener, nursery)
            smsc = await port.call()
            called = await listener.wait_called()
            await called.stream.aclose()
            await smsc.read_to_end()
            port.hang_up()
            nursery.cancel_scope.cancel()
    assert [line["event"] for line in logs] == ["outbind_cannot_listen"]


@pytest.mark.parametrize("kind", ["receiver", "transceiver"])
async def test_the_bind_is_of_the_slots_kind(
    kind: BindKind, tmp_path: Path, autojump_clock: Clock
) -> None:
    async with open_port(tmp_path, autojump_clock) as port:
        port.centre.line.house.slot("alpha", 0).kind = kind
        keeper = keep(port.centre, listener=port.listener)
        port.nursery.start_soon(keeper.run)
        smsc = await port.call()
        bind = await smsc.accept_bind()
        assert bind.kind == kind
