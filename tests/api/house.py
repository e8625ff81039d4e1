"""The rooms below ``api``, real and running, and a client on the socket, for this room's tests."""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import trio

from smppd.api.controls import ControlFault
from smppd.api.intake import Intake
from smppd.api.outbox import Outbox
from smppd.api.peers import PeerTable, find_apps
from smppd.api.requests import (
    AskCarrier,
    Doubtful,
    Explain,
    Export,
    Find,
    Quarantine,
    QuarantineDrop,
    Tap,
    Trace,
)
from smppd.api.server import CONNECTIONS_MAX, Server, listening
from smppd.api.views import (
    BackupView,
    CarrierAnswersView,
    CarriersView,
    DoubtfulView,
    DroppedView,
    ExplainedView,
    ExportedView,
    ForgottenView,
    FoundView,
    ModeView,
    QuarantinedView,
    ReloadedView,
    ResolvedView,
    RoutesView,
    StatusView,
    TapView,
    TraceView,
)
from smppd.config import AppConfig
from smppd.config.model import DEFAULT_CLASSES
from smppd.routing.msisdn import NumberPlan
from smppd.routing.table import Route, RoutingTable
from smppd.smpp.throughput import Throughput
from smppd.store.changes import Change, InboundArrived
from smppd.store.ledger import LedgerRules
from smppd.store.records import CarrierProfile
from smppd.store.store import Store
from smppd.text.segment import PLAIN_FORM
from smppd.traffic.commit import Committer
from smppd.traffic.dispatch import Dispatch
from smppd.traffic.roster import CarrierState

WALL_MS = 1_795_292_101_002
CURRENCY = "USD"
KNOWN_ROUTE = Route("86", "alpha", "0.0210")
LOST_ROUTE = Route("852", "gone", "0.0300")
"""Intake knows it, dispatch does not: its messages fail in the commit that accepts them."""


Line = dict[str, object]


def make_intake(apps: Mapping[str, AppConfig] | None = None) -> Intake:
    """An intake with routes to +86 and +852, and none elsewhere."""
    return Intake(
        "smppd/test",
        find_apps(apps or {}),
        DEFAULT_CLASSES,
        RoutingTable([KNOWN_ROUTE, LOST_ROUTE], CURRENCY),
        NumberPlan(),
        forms={"alpha": PLAIN_FORM, "gone": PLAIN_FORM},
    )


def make_inbound(text: str = "hello") -> InboundArrived:
    """A message from a phone: one event for every app with inbound."""
    return InboundArrived("alpha", "8613800138000", "12345", text, text.encode(), 0, 0, WALL_MS)


class HouseControls:
    """The control verbs of a daemon with the carrier ``alpha`` and none else.

    What it is asked to do is done after a moment, as a commit would be; ``asked`` has it all.
    """

    def __init__(self, house: House) -> None:
        self._house = house
        self.asked: list[object] = []
        self.mode = "running"
        self.go_on = trio.Event()
        """Reload waits for it: a reading of the configuration that takes its time."""

    def status(self) -> StatusView:
        return StatusView(
            version="test",
            pid=1,
            started_at=WALL_MS,
            configured_at=WALL_MS,
            now=WALL_MS,
            draining=self._house.intake.draining,
            connections=0,
            subscriptions=self._house.outbox.subscriptions,
            store=self._house.store.statistics(),
            commits=self._house.committer.statistics(),
            log_dropped=0,
            carriers=[],
            warnings=[],
        )

    def carriers(self) -> CarriersView:
        return CarriersView([])

    def routes(self) -> RoutesView:
        return RoutesView(CURRENCY, False, [], [])

    def explain(self, asked: Explain) -> ExplainedView | ControlFault:
        self.asked.append(asked)
        return ControlFault("bad_request", "explain: 'to' is no number; write it as +CC…")

    def trace(self, asked: Trace) -> TraceView | ControlFault:
        self.asked.append(asked)
        return ControlFault("unknown_message", "no message has this name")

    async def doubtful(self, asked: Doubtful) -> DoubtfulView | ControlFault:
        self.asked.append(asked)
        return DoubtfulView([], False)

    async def find(self, asked: Find) -> FoundView | ControlFault:
        self.asked.append(asked)
        await trio.lowlevel.checkpoint()
        return FoundView([], False, 0)

    async def backup(self, directory: str) -> BackupView | ControlFault:
        self.asked.append(directory)
        await trio.lowlevel.checkpoint()
        return BackupView(directory, 1, 1, 0.1)

    async def export(self, asked: Export) -> ExportedView | ControlFault:
        self.asked.append(asked)
        await trio.lowlevel.checkpoint()
        return ExportedView([], None)

    async def forget(self, number: str) -> ForgottenView | ControlFault:
        self.asked.append(number)
        await trio.lowlevel.checkpoint()
        return ForgottenView(0, 0, 0, 0, 0, 0, [])

    async def ask_carrier(self, asked: AskCarrier) -> CarrierAnswersView | ControlFault:
        self.asked.append(asked)
        await trio.lowlevel.checkpoint()
        return CarrierAnswersView(asked.id, "alpha", asked.action, "sent", [])

    async def tap(self, asked: Tap) -> TapView | ControlFault:
        self.asked.append(asked)
        await trio.lowlevel.checkpoint()
        return TapView(asked.carrier, "1", "", 0, False)

    def quarantine(self, asked: Quarantine) -> QuarantinedView | ControlFault:
        self.asked.append(asked)
        return QuarantinedView([], 0, False)

    async def quarantine_drop(self, asked: QuarantineDrop) -> DroppedView | ControlFault:
        self.asked.append(asked)
        await trio.lowlevel.checkpoint()
        return DroppedView(0)

    async def reload(self) -> ReloadedView | ControlFault:
        await self.go_on.wait()
        return ReloadedView(True, [], [], [])

    async def pause(self, carrier: str) -> ModeView | ControlFault:
        return await self._set_mode(carrier, "paused")

    async def resume(self, carrier: str) -> ModeView | ControlFault:
        return await self._set_mode(carrier, "running")

    async def drain(self, carrier: str | None) -> ModeView | ControlFault:
        if carrier is None:
            self._house.intake.draining = True
            return ModeView(None, "drained", "running")
        return await self._set_mode(carrier, "drained")

    async def resolve(self, message_id: str, action: str) -> ResolvedView | ControlFault:
        await self._house.commit()
        return ControlFault("bad_request", f"{message_id} is in no doubt, {action} nothing")

    async def _set_mode(self, carrier: str, mode: str) -> ModeView | ControlFault:
        if carrier != "alpha":
            return ControlFault("bad_request", f"there is no carrier '{carrier}'; there is alpha")
        await self._house.commit()
        was, self.mode = self.mode, mode
        return ModeView(carrier, mode, was)


class House:
    """Store, dispatch, committer, outbox and server over one socket."""

    def __init__(self, directory: Path, store: Store, apps: Mapping[str, AppConfig]) -> None:
        self.path = directory / "run" / "smppd.sock"
        self.store = store
        self.outbox = Outbox()
        table = RoutingTable([KNOWN_ROUTE], CURRENCY)
        self.alpha = CarrierState("alpha", binds=1, window=10, throughput=Throughput())
        self.dispatch = Dispatch(table, {"alpha": self.alpha}, trio.current_time)
        self.committer = Committer(store, self.dispatch, self.outbox, read_wall)
        self.intake = make_intake(apps)
        self.daemon_uid = os.getuid()
        self.controls = HouseControls(self)
        self.server = self.make_server()

    def make_server(self, connections_max: int = CONNECTIONS_MAX) -> Server:
        """A server for these rooms."""
        return Server(
            intake=self.intake,
            peers=PeerTable(self.intake.apps, self.daemon_uid),
            store=self.store,
            committer=self.committer,
            outbox=self.outbox,
            controls=self.controls,
            read_clock=read_wall,
            connections_max=connections_max,
        )

    async def bind(self) -> None:
        """The carrier comes up, and is granted what waits."""
        self.dispatch.bind_up(self.alpha.slots[0], lambda: None)
        await self.commit()

    async def commit(self, *changes: Change) -> None:
        """Lets something happen."""
        await self.committer.commit(list(changes))


def read_wall() -> int:
    """The time of day of every test."""
    return WALL_MS


class Client:
    """An app: lines out, lines in."""

    def __init__(self, stream: trio.SocketStream) -> None:
        self.stream = stream
        self._received = b""

    async def send(self, *requests: Line | bytes) -> None:
        """All requests in one write; bytes go out as they are, with a newline."""
        await self.stream.send_all(b"".join(map(_encode_line, requests)))

    async def receive(self) -> Line:
        """The next line; {} at the end of the stream."""
        while b"\n" not in self._received:
            data = await self.stream.receive_some(65536)
            if not data:
                return {}
            self._received += data
        line, _, self._received = self._received.partition(b"\n")
        found: Line = json.loads(line)
        return found

    async def receive_many(self, count: int) -> list[Line]:
        """The next ``count`` lines."""
        return [await self.receive() for _ in range(count)]

    async def ask(self, request: Line | bytes) -> Line:
        """One request and the line that follows."""
        await self.send(request)
        return await self.receive()


def _encode_line(request: Line | bytes) -> bytes:
    return (request if isinstance(request, bytes) else json.dumps(request).encode()) + b"\n"


def submit(ref: str, **fields: object) -> Line:
    """A submit that is accepted."""
    sound: Line = {"type": "submit", "to": "+8613800138000", "from": "ACME", "text": "hi"}
    return sound | {"ref": ref} | fields


@asynccontextmanager
async def open_rooms(
    directory: Path, apps: Mapping[str, AppConfig] | None = None
) -> AsyncIterator[House]:
    """The rooms, with the committer running and nobody listening."""
    served = find_apps(apps or {})
    store = Store(
        directory / "state",
        LedgerRules(
            carriers={"alpha": CarrierProfile()},
            currency=CURRENCY,
            eventless_apps=frozenset(name for name, app in served.items() if not app.events),
            inbound_apps=tuple(name for name, app in served.items() if app.inbound),
        ),
        map_size=64 * 2**20,
    )
    house = House(directory, store, apps or {})
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(house.committer.run)
            yield house
            nursery.cancel_scope.cancel()
    finally:
        store.close()


@asynccontextmanager
async def open_house(
    directory: Path, apps: Mapping[str, AppConfig] | None = None, **options: int
) -> AsyncIterator[House]:
    """The rooms and a server on their socket."""
    async with open_rooms(directory, apps) as house, trio.open_nursery() as nursery:
        with listening(house.path) as listener:
            house.server = house.make_server(**options)
            nursery.start_soon(house.server.serve, [listener])
            yield house
            nursery.cancel_scope.cancel()


@asynccontextmanager
async def connect(house: House) -> AsyncIterator[Client]:
    """A client of the house's socket."""
    async with await trio.open_unix_socket(house.path) as stream:
        yield Client(stream)
