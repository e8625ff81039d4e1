"""A real daemon among the SMSCs of a market, by the test's clock.

From its configuration to its store the daemon is the one that is served, and the SMSCs are the
simulator's; only the daemon's outside is made up: connections are in memory and time jumps to what
is due next. So a test compares counts and moments, and no machine is too slow for it.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Final, Literal

import msgspec
import trio
from structlog.testing import capture_logs
from structlog.typing import EventDict

from smppd.api.peers import Credentials
from smppd.api.server import AppListener, AppStream
from smppd.api.views import CarrierView
from smppd.client import Connection as Client
from smppd.config import load
from smppd.daemon.outside import Outside
from smppd.daemon.service import Daemon
from smppd.simulator import Behaviour, SimulatedCarrier
from smppd.simulator.link import Link
from smppd.smpp.timers import Timers
from smppd.systemd import Environment
from tests.simulation.clock import START_MILLISECONDS, make_clock
from tests.simulation.net import Connection, Digest
from tests.simulation.outside import Listener
from tests.simulation.setup import to_toml

UID: Final = 1001

CALM: Final = Timers(enquire_link_timer=0.0, response_timer=1e6)
"""The SMSCs' own: they ask nothing by themselves."""

USUAL: Final = {"response_delay": 0.2, "receipt_delay": 3.0, "first_id": 1, "seed": 1}

SETTLING_SECONDS: Final = 1.0
"""By then what can be bound is bound."""


class Member(msgspec.Struct, frozen=True):
    """A carrier: what its SMSC does beside the usual, what becomes of a connection to it (refused:
    ``dead``; taken, and never read: ``deaf``), ``keys`` of its file, and the carrier that is the
    next offer for its numbers."""

    name: str
    number: int
    faults: Mapping[str, object] = {}
    reach: Literal["well", "dead", "deaf"] = "well"
    keys: Mapping[str, object] = {}
    then: str = ""

    @property
    def phone(self) -> str:
        """A number that is this carrier's first of all."""
        return f"+4917{self.number:03d}00000"

    @property
    def prefix(self) -> str:
        """Of those numbers."""
        return self.phone[1:8]


class Market(Outside):
    """The world of one daemon. ``dialled`` counts connections by host, which is the carrier."""

    def __init__(self, nursery: trio.Nursery, members: Sequence[Member]) -> None:
        super().__init__()
        self.chance = random.Random(1)
        self.members = {member.name: member for member in members}
        self.smscs = {member.name: _make_smsc(member) for member in members}
        self.dialled: Counter[str] = Counter()
        self._nursery = nursery
        self._listener = Listener()

    def behave(self, name: str, **changes: object) -> None:
        """From now on this SMSC does so, beside the usual."""
        self.smscs[name].behaviour = _behaviour(changes)

    def read_wall_clock(self) -> int:
        return START_MILLISECONDS + int(trio.current_time() * 1000)

    async def open_tcp(self, host: str, port: int) -> trio.abc.Stream:
        await trio.lowlevel.checkpoint()
        self.dialled[host] += 1
        reach = self.members[host].reach
        if reach == "dead":
            raise ConnectionRefusedError(111, "Connection refused")
        wire = self._connect()
        if reach == "well":
            self._nursery.start_soon(Link(wire.far, [self.smscs[host]], CALM).run)
        return wire.near

    @contextmanager
    def listening(
        self, path: Path, passed: Mapping[str, list[int]]
    ) -> Iterator[Sequence[AppListener]]:
        yield [self._listener]

    def read_peer(self, stream: AppStream) -> Credentials:
        return Credentials(UID, frozenset({UID}))

    @contextmanager
    def receiving_signals(self) -> Iterator[AsyncIterator[int]]:
        tell, signals = trio.open_memory_channel[int](0)
        with tell:
            yield signals

    def open_app(self) -> trio.abc.Stream:
        """An app's connection to the daemon."""
        wire = self._connect()
        self._listener.offer(wire.near)
        return wire.far

    def _connect(self) -> Connection:
        return Connection("wire", 0.0, self.chance, Digest())


class Run:
    """A daemon that serves, its market, and the app that submits; ``logged`` is its log,
    ``events`` are what the app was told: ref, event and the moment."""

    def __init__(
        self, daemon: Daemon, market: Market, client: Client, logged: list[EventDict]
    ) -> None:
        self.daemon = daemon
        self.market = market
        self.client = client
        self.logged = logged
        self.events: list[tuple[str, str, float]] = []

    async def submit(self, names: Sequence[str], round_number: int) -> None:
        """A message for each carrier, ``NAME.ROUND``."""
        lines = [
            {
                "ref": f"{name}.{round_number}",
                "to": self.market.members[name].phone,
                "from": "ACME",
                "text": "hi",
            }
            for name in names
        ]
        answers = await self.client.submit(lines)
        assert {answer["type"] for answer in answers} == {"accepted"}

    async def note_events(self) -> None:
        """Keeps what the app is told, and when."""
        await self.client.subscribe()
        while True:
            for event in await self.client.wait_events():
                self.events.append((event["ref"], event["event"], trio.current_time()))

    def view(self, name: str) -> CarrierView:
        """What ``smppctl carriers`` shows of one."""
        return next(one for one in self.daemon.status().carriers if one.name == name)


@asynccontextmanager
async def trading(
    directory: Path, members: Sequence[Member], logged: list[EventDict]
) -> AsyncIterator[Run]:
    """A daemon with these carriers, once it serves and what can be bound is."""
    write_config(directory, members)
    async with trio.open_nursery() as nursery:
        market = Market(nursery, members)
        daemon = Daemon(load(directory), Environment(), market)
        try:
            ready = trio.Event()
            nursery.start_soon(daemon.run, ready.set)
            await ready.wait()
            client = Client(market.open_app())
            nursery.start_soon(client.run)
            await client.hello()
            run = Run(daemon, market, client, logged)
            nursery.start_soon(run.note_events)
            await trio.sleep(SETTLING_SECONDS)
            yield run
            nursery.cancel_scope.cancel()
        finally:
            daemon.close()


def play(directory: Path, members: Sequence[Member], act: Callable[[Run], Awaitable[None]]) -> None:
    """``act`` in a daemon with these carriers, by a clock of its own."""

    async def main() -> None:
        async with trading(directory, members, logged) as run:
            await act(run)

    with capture_logs() as logged:
        trio.run(main, clock=make_clock())


def write_config(directory: Path, members: Sequence[Member]) -> None:
    """The files of a daemon with these carriers, over those that are there."""
    (directory / "carriers").mkdir(parents=True, exist_ok=True)
    app = {"uid": UID, "strict_numbers": False, "admin": True}
    daemon = {"daemon": {"map_size": "1MiB", "reserve": "1MiB"}, "apps": {"shop": app}}
    (directory / "smppd.toml").write_text(to_toml(daemon))
    routes = []
    for member in members:
        known = {"host": member.name, "port": 2775, "system_id": "smppd", "password": "secret"}
        (directory / "carriers" / f"{member.name}.toml").write_text(
            to_toml({**known, **member.keys})
        )
        routes.append({"prefix": member.prefix, "carrier": member.name, "cost": "0.01"})
        if member.then:
            routes.append({"prefix": member.prefix, "carrier": member.then, "cost": "0.02"})
    (directory / "routing.toml").write_text(to_toml({"currency": "USD", "route": routes}))


def _make_smsc(member: Member) -> SimulatedCarrier:
    return SimulatedCarrier(
        member.name,
        "smppd",
        "secret",
        _behaviour(member.faults),
        ledger=True,
        wall=lambda: START_MILLISECONDS / 1000 + trio.current_time(),
    )


def _behaviour(changes: Mapping[str, object]) -> Behaviour:
    return Behaviour(**(USUAL | dict(changes)))  # type: ignore[arg-type]
