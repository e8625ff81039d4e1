"""The daemon: what runs beside what, and how it starts and ends.

Start: store, listener, recovery, carriers; one dead carrier does not hold up the start. SIGTERM:
no new submits, no new grants, half-sent messages finish within ``drain_timeout``, every bind
unbinds in order, the last commit, the store closes. A second SIGTERM ends it at once. A bug or a
StoreError ends it too: the next start recovers, and is the same start.
"""

from __future__ import annotations

import gc
import os
import signal
import time
from collections.abc import AsyncIterator, Callable
from typing import Final
from zoneinfo import ZoneInfo

import msgspec
import structlog
import trio

from smppd import __version__
from smppd.api.intake import Intake
from smppd.api.outbox import Outbox
from smppd.api.peers import PeerTable, find_apps
from smppd.api.server import Server, listening
from smppd.config import CarrierConfig, Config
from smppd.errors import CommitterEnded, StoreError
from smppd.routing.msisdn import NumberPlan
from smppd.routing.table import RoutingTable
from smppd.smpp.rare import BindTransceiver
from smppd.smpp.throughput import Throughput
from smppd.smpp.timers import Timers
from smppd.store.ledger import LedgerRules
from smppd.store.records import CarrierProfile
from smppd.store.retention import RetentionPeriods
from smppd.store.store import Store, StoreStatistics
from smppd.traffic.carrier import BindKeeper, Endpoint
from smppd.traffic.commit import Committer, CommitterStatistics
from smppd.traffic.dispatch import Dispatch, recover
from smppd.traffic.roster import CarrierState
from smppd.traffic.settle import LinkProfile

GARBAGE_THRESHOLD: Final = 20_000
"""Containers allocated between passes over the youngest: some hundred messages' worth."""

UNBIND_SECONDS_MAX: Final = 5.0
"""For unbind and its response at the end of a drain, within systemd's patience."""

log = structlog.get_logger("smppd.daemon")


class BindView(msgspec.Struct, frozen=True):
    """One bind, in ``status``. ``since`` in Unix milliseconds, ``outstanding`` open grants."""

    bind: int
    state: str
    since: int
    reconnects: int
    reason: str
    window: int
    outstanding: int


class CarrierView(msgspec.Struct, frozen=True):
    """One carrier, in ``status``. ``throughput`` 0 is no limit; ``pace`` None is unlimited."""

    name: str
    healthy: bool
    throughput: float
    pace: float | None
    binds: list[BindView]


class StatusView(msgspec.Struct, frozen=True):
    """The answer to the control verb ``status``."""

    version: str
    pid: int
    started_at: int
    now: int
    draining: bool
    connections: int
    subscriptions: int
    store: StoreStatistics
    commits: CommitterStatistics
    carriers: list[CarrierView]
    warnings: list[str]


async def run(config: Config, *, ready: Callable[[], None] | None = None) -> None:
    """Serves until SIGTERM or SIGINT. ``ready`` is called when apps can connect.

    Raises StoreError (the store cannot be opened or cannot keep its promise) and OSError (the
    socket cannot be listened on).
    """
    daemon = Daemon(config)
    try:
        await daemon.run(ready)
    except BaseExceptionGroup as group:
        # An operator can act on these, and needs no traceback; anything else is a bug of ours.
        _, causes = group.split(CommitterEnded)
        _, bugs = group.split((CommitterEnded, StoreError, OSError))
        if bugs is not None or causes is None:
            raise
        raise _first_leaf(causes) from group
    finally:
        daemon.close()


class Daemon:
    """Everything built from one configuration, and the nursery tree it runs in."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._started_at = read_wall_clock()
        apps = find_apps(config.apps)
        table = RoutingTable(config.routing.routes, config.routing.currency)
        self._carriers = {
            name: CarrierState(
                name,
                binds=carrier.binds,
                window=carrier.window,
                throughput=Throughput(carrier.throughput),
            )
            for name, carrier in config.carriers.items()
        }
        rules = LedgerRules(
            carriers={name: _profile(carrier) for name, carrier in config.carriers.items()},
            currency=config.routing.currency,
            eventless_apps=frozenset(name for name, app in apps.items() if not app.events),
            inbound_apps=tuple(name for name, app in apps.items() if app.inbound),
            backlog_max=config.daemon.backlog_max,
            periods=RetentionPeriods(
                config.retention.events,
                config.retention.messages,
                config.retention.refs,
                config.retention.unmatched,
            ),
        )
        self._store = Store(config.daemon.state, rules, map_size=config.daemon.map_size)
        self._dispatch = Dispatch(table, self._carriers, trio.current_time)
        self._outbox = Outbox()
        self._committer: Committer | None = None
        self._intake = Intake(f"smppd/{__version__}", apps, config.classes, table, NumberPlan())
        self._peers = PeerTable(apps, os.getuid())
        self._keepers: list[tuple[BindKeeper, CarrierConfig]] = []
        self._server: Server | None = None
        self._draining = trio.CancelScope()
        self._has_inbound = any(app.inbound for app in apps.values())

    async def run(self, ready: Callable[[], None] | None) -> None:
        """Starts everything, serves, and returns when a drain has ended."""
        doubtful = recover(self._store, self._dispatch, read_wall_clock())
        committer = self._committer = Committer(
            self._store, self._dispatch, self._outbox, read_wall_clock
        )
        self._server = Server(
            intake=self._intake,
            peers=self._peers,
            store=self._store,
            committer=committer,
            outbox=self._outbox,
            status=self.status,
            read_clock=read_wall_clock,
        )
        self._keepers = self._make_keepers(committer)
        collect_garbage_rarely()
        log.info("starting", version=__version__, doubtful=doubtful)
        with (
            listening(self._config.daemon.socket) as listener,
            trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals,
        ):
            async with trio.open_nursery() as committing:
                committing.start_soon(committer.run)
                async with trio.open_nursery() as binds:
                    for keeper, _ in self._keepers:
                        binds.start_soon(keeper.run)
                    async with trio.open_nursery() as serving:
                        await serving.start(self._server.serve, [listener])
                        log.info("ready", socket=str(self._config.daemon.socket))
                        if ready is not None:
                            ready()
                        await anext(signals)
                        binds.start_soon(self._hurry_on_signal, signals, binds.cancel_scope)
                        await self._drain(committer)
                        serving.cancel_scope.cancel()
                    self._unbind()
                    binds.cancel_scope.deadline = trio.current_time() + UNBIND_SECONDS_MAX
                    await self._wait_unbound()
                    binds.cancel_scope.cancel()
                committer.commit_now()
                committing.cancel_scope.cancel()
        log.info("stopped")

    def close(self) -> None:
        """Closes the store; what was committed is there at the next start."""
        self._store.close()

    def status(self) -> StatusView:
        """What the control verb ``status`` answers."""
        assert self._server is not None, "not running"
        assert self._committer is not None, "not running"
        server = self._server.statistics()
        return StatusView(
            version=__version__,
            pid=os.getpid(),
            started_at=self._started_at,
            now=read_wall_clock(),
            draining=self._intake.draining,
            connections=server.connections,
            subscriptions=server.subscriptions,
            store=self._store.statistics(),
            commits=self._committer.statistics(),
            carriers=[self._view(name) for name in self._carriers],
            warnings=self._warnings(),
        )

    async def _drain(self, committer: Committer) -> None:
        """Lets the windows empty: no new submits, no new grants, up to ``drain_timeout``."""
        self._intake.draining = True
        self._dispatch.stop()
        log.info("draining", timeout_s=self._config.daemon.drain_timeout)
        with trio.move_on_after(self._config.daemon.drain_timeout) as self._draining:
            await committer.wait_idle()

    def _unbind(self) -> None:
        for keeper, _ in self._keepers:
            keeper.drain()

    async def _wait_unbound(self) -> None:
        for keeper, _ in self._keepers:
            await keeper.ended.wait()

    async def _hurry_on_signal(self, signals: AsyncIterator[int], binds: trio.CancelScope) -> None:
        """A second signal closes now: what is unanswered becomes doubt, in the last commit."""
        await anext(signals)
        log.warning("hurrying")
        self._draining.cancel()
        binds.cancel()

    def _make_keepers(self, committer: Committer) -> list[tuple[BindKeeper, CarrierConfig]]:
        keepers = []
        for name, state in self._carriers.items():
            carrier = self._config.carriers[name]
            timezone = None if carrier.timezone is None else ZoneInfo(carrier.timezone)
            for slot in state.slots:
                keeper = BindKeeper(
                    slot,
                    _endpoint(carrier),
                    LinkProfile(name, slot.index, timezone),
                    committer=committer,
                    dispatch=self._dispatch,
                    store=self._store,
                    wall=read_wall_clock,
                )
                keepers.append((keeper, carrier))
        return keepers

    def _view(self, name: str) -> CarrierView:
        state = self._carriers[name]
        pace = state.throughput.statistics().pace
        return CarrierView(
            name=name,
            healthy=state.is_healthy(),
            throughput=self._config.carriers[name].throughput,
            pace=None if pace == float("inf") else pace,
            binds=[
                BindView(
                    bind=keeper.status.bind,
                    state=keeper.status.state,
                    since=keeper.status.since,
                    reconnects=keeper.status.reconnects,
                    reason=keeper.status.reason,
                    window=carrier.window,
                    outstanding=self._store.open_grants(name, keeper.status.bind),
                )
                for keeper, carrier in self._keepers
                if carrier.name == name
            ],
        )

    def _warnings(self) -> list[str]:
        if self._has_inbound:
            return []
        return ["no app has inbound = true: messages from phones are stored and told to nobody"]


def collect_garbage_rarely() -> None:
    """Spares the hot loop most of the collector's passes.

    Records hold no cycles and are freed by their counts. At the default of 700 allocations the
    collector looks through every live message's lists again and again: a seventh of all CPU.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(GARBAGE_THRESHOLD, 20, 50)


def _first_leaf(group: BaseExceptionGroup[BaseException]) -> BaseException:
    first = group.exceptions[0]
    return _first_leaf(first) if isinstance(first, BaseExceptionGroup) else first


def read_wall_clock() -> int:
    """Unix milliseconds: for records, validity and events; never for pacing or timers."""
    return time.time_ns() // 1_000_000


def _profile(carrier: CarrierConfig) -> CarrierProfile:
    return CarrierProfile(
        message_id=carrier.message_id,
        receipts=carrier.receipts,
        receipt_timeout=carrier.receipt_timeout,
        uncertain=carrier.uncertain,
    )


def _endpoint(carrier: CarrierConfig) -> Endpoint:
    return Endpoint(
        host=carrier.host,
        port=carrier.port,
        bind=BindTransceiver(
            system_id=carrier.system_id,
            password=carrier.password,
            system_type=carrier.system_type,
            address_range=carrier.address_range,
        ),
        timers=Timers(
            session_init_timer=carrier.session_init_timer,
            enquire_link_timer=carrier.enquire_link_timer,
            response_timer=carrier.response_timer,
            inactivity_timer=carrier.inactivity_timer,
        ),
        reconnect_min=carrier.reconnect_min,
        reconnect_max=carrier.reconnect_max,
        reconnect_refused=carrier.reconnect_refused,
    )
