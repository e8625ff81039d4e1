"""An ESME of our own at one end of a stream, a link of a simulated carrier at the other."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import trio
import trio.testing

from smppd.simulator import Behaviour, Link, Place, Profile, SimulatedCarrier, serve
from smppd.smpp import constants
from smppd.smpp.pdu import DeliverSm, SubmitSm
from smppd.smpp.receipt import Receipt, read_receipt
from smppd.smpp.session import Bind, Session, Submit, Timers
from smppd.smpp.signals import (
    Bound,
    DeliverReceived,
    Signal,
    SubmitAnswered,
)

WALL = 1_700_000_000.0  # 2023-11-14 22:13:20 UTC
CALM = Timers(session_init_timer=10.0, enquire_link_timer=0.0, response_timer=3_600.0)
STEP_SECONDS = 0.5  # how long ``until_quiet`` listens; shorter than any delay in these tests


class Client:
    """An ESME at one end of a stream. It acknowledges what it gets unless told otherwise."""

    def __init__(self, stream: trio.abc.Stream, timers: Timers = CALM) -> None:
        self.stream = stream
        self.session = Session("esme", window=1000, timers=timers, now=trio.current_time())
        self.signals: list[Signal] = []
        self.times: list[float] = []
        self.acknowledges = True

    async def bind(
        self, system_id: str = "smppd", password: str = "secret", **fields: object
    ) -> Signal:
        bind = msgspec.convert({"system_id": system_id, "password": password, **fields}, Bind)
        self.session.bind(bind, trio.current_time())
        await self.flush()
        await self.receive(1)
        return self.signals.pop(0)  # receipts may stand behind it

    async def submit(self, *submits: SubmitSm) -> None:
        """Write submits in one piece; their tags count from 0."""
        now = trio.current_time()
        self.session.submit([Submit(tag, pdu) for tag, pdu in enumerate(submits)], now)
        await self.flush()

    async def flush(self) -> None:
        if data := self.session.data_to_send():
            await self.stream.send_all(data)

    async def receive(self, count: int) -> None:
        """Read until ``count`` signals have come in all, or the stream has ended."""
        while len(self.signals) < count and not self.session.closed:
            await self._receive_some()

    async def until_quiet(self) -> None:
        """Read until nothing has come for STEP_SECONDS."""
        while not self.session.closed:
            with trio.move_on_after(STEP_SECONDS) as scope:
                await self._receive_some()
            if scope.cancelled_caught:
                return

    async def until_end(self) -> None:
        """Read until the stream has ended."""
        await self.receive(1_000_000)

    async def _receive_some(self) -> None:
        try:
            data = await self.stream.receive_some(65_536)
        except trio.BrokenResourceError:
            data = b""
        now = trio.current_time()
        signals = self.session.receive_data(data, now) if data else self.session.receive_eof(now)
        self.signals += signals
        self.times += [now] * len(signals)
        if self.acknowledges:
            self.session.acknowledge(signals)
        if data:
            await self.flush()

    def answers(self) -> list[SubmitAnswered]:
        return [signal for signal in self.signals if isinstance(signal, SubmitAnswered)]

    def statuses(self) -> list[int]:
        return [answer.command_status for answer in self.answers()]

    def delivered(self) -> list[DeliverSm]:
        return [signal.pdu for signal in self.signals if isinstance(signal, DeliverReceived)]

    def receipts(self) -> list[Receipt]:
        return [receipt for pdu in self.delivered() if (receipt := read_receipt(pdu))]


def standing_at(wall: float) -> Callable[[], float]:
    """A wall clock that stands still, at Unix seconds."""
    return lambda: wall


def carrier(*, ledger: bool | Path = False, **behaviour: object) -> SimulatedCarrier:
    """A carrier with fixed ids and a wall clock that stands still."""
    settings = msgspec.convert({"first_id": 0x1000, **behaviour}, Behaviour)
    return SimulatedCarrier(
        "alpha", "smppd", "secret", settings, ledger=ledger, wall=standing_at(WALL)
    )


def carrier_of(profile: Profile) -> SimulatedCarrier:
    """A carrier with a profile, a ledger and a wall clock that stands still."""
    return SimulatedCarrier(
        "alpha", "smppd", "secret", profile, ledger=True, wall=standing_at(WALL)
    )


@asynccontextmanager
async def joined(*carriers: SimulatedCarrier, timers: Timers = CALM) -> AsyncIterator[Client]:
    """A client that is not bound yet, joined to a link by memory streams."""
    near, far = trio.testing.memory_stream_pair()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(Link(far, carriers, timers).run)
        yield Client(near)
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def bound(
    one: SimulatedCarrier, timers: Timers = CALM, **fields: object
) -> AsyncIterator[Client]:
    """``fields`` are those of the bind."""
    async with joined(one, timers=timers) as client:
        assert isinstance(await client.bind(**fields), Bound)  # type: ignore[arg-type]
        yield client


@asynccontextmanager
async def listening(*places: Place | tuple[str, int, SimulatedCarrier]) -> AsyncIterator[list[int]]:
    """Real ports, for as long as the block lasts."""
    async with trio.open_nursery() as nursery:
        yield await nursery.start(serve, places)
        nursery.cancel_scope.cancel()


async def connect(port: int) -> Client:
    return Client(await trio.open_tcp_stream("127.0.0.1", port))


def submit(number: int = 0, **fields: object) -> SubmitSm:
    """One submit_sm that asks for a receipt; each number is another destination."""
    values = {
        "destination_addr": f"4477009{number:05}",
        "short_message": b"hello",
        "source_addr": "shop",
        "source_addr_ton": constants.TON_ALPHANUMERIC,
        "dest_addr_ton": constants.TON_INTERNATIONAL,
        "dest_addr_npi": constants.NPI_ISDN,
        "registered_delivery": 1,
        **fields,
    }
    return SubmitSm(**values)  # type: ignore[arg-type]  # a test's own fields


def submits(count: int) -> list[SubmitSm]:
    return [submit(number) for number in range(count)]


def silent(count: int) -> list[SubmitSm]:
    return [submit(number, registered_delivery=0) for number in range(count)]
