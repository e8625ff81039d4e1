"""The daemon: what runs beside what, and how it starts, changes and ends.

Start: store, listener, recovery, carriers; one dead carrier does not hold up the start. SIGHUP:
the configuration is read again (``reload.py``). SIGTERM: no new submits, no new grants, half-sent
messages finish within ``drain_timeout``, every bind unbinds in order, the last commit, the store
closes. A second SIGTERM ends it at once. A bug or a StoreError ends it too: the next start
recovers, and is the same start.
"""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

import structlog
import trio

from smppd import __version__, faults
from smppd import log as logging
from smppd.api.intake import Intake
from smppd.api.outbox import Outbox
from smppd.api.peers import PeerTable, find_apps
from smppd.api.server import CONNECTIONS_MAX, Server
from smppd.api.views import StatusView
from smppd.config import CarrierConfig, Config, MetricsAddress
from smppd.daemon.build import (
    build_forms,
    build_rules,
    build_state,
    build_table,
    build_weights,
)
from smppd.daemon.certificates import CertificateEnd, list_ends, watch_certificates
from smppd.daemon.control import Control
from smppd.daemon.descriptors import count_connections, raise_descriptor_limit
from smppd.daemon.disk import log_disk
from smppd.daemon.fleet import UNBIND_SECONDS_MAX, Fleet, Tools
from smppd.daemon.garbage import collect_garbage_rarely
from smppd.daemon.health import log_health
from smppd.daemon.heartbeat import Pulse, describe, feed_watchdog, tell_status
from smppd.daemon.hinting import describe_hint, tell_hints
from smppd.daemon.keeping import Keeping
from smppd.daemon.levers import Levers
from smppd.daemon.minute import summarise_carriers
from smppd.daemon.outside import Outside
from smppd.daemon.reload import Reloader
from smppd.daemon.views import view_carrier, view_routes
from smppd.errors import CommitterEnded, StoreError
from smppd.metrics.lag import LoopLag, measure_lag
from smppd.metrics.passes import LoopPasses
from smppd.routing.msisdn import NumberPlan
from smppd.routing.table import RoutingTable
from smppd.store.store import Store
from smppd.systemd import Environment, Notifier
from smppd.traffic.breaker import BreakerChange
from smppd.traffic.commit import Committer
from smppd.traffic.counts import CarrierCounts
from smppd.traffic.dispatch import Dispatch, doubt_restored, recover

if TYPE_CHECKING:
    from smppd.metrics.measures import Measures
    from smppd.metrics.server import Page

CLOCK_BEHIND_MILLISECONDS: Final = 60_000
"""How far a clock may be behind the store's newest id: NTP corrects less without a word."""

END_SECONDS_MAX: Final = 15.0
"""After a drain: binds unbind (UNBIND_SECONDS_MAX), a reload's thread ends, the last commit."""

RESTORE_SECONDS_MAX: Final = 60.0
"""For a batch of a restored store's doubts, which takes a tenth of a second: asked of systemd anew
after each, so that ten million of them are no start that hangs."""

log = structlog.get_logger("smppd.daemon")


async def run(
    config: Config,
    *,
    ready: Callable[[], None] | None = None,
    systemd: Environment | None = None,
    outside: Outside | None = None,
) -> None:
    """Serves until SIGTERM or SIGINT. ``ready`` is called when apps can connect.

    Raises StoreError (the store cannot be opened or cannot keep its promise) and OSError (the
    socket cannot be listened on).
    """
    raise_descriptor_limit()
    daemon = Daemon(config, systemd or Environment(), outside or Outside())
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

    def __init__(self, config: Config, systemd: Environment, outside: Outside) -> None:
        self._systemd = systemd
        self._outside = outside
        self._notifier = Notifier(systemd.notify_socket)
        self._started_at = self._configured_at = outside.read_wall_clock()
        self._wanted = config.carriers
        apps = find_apps(config.apps)
        table = build_table(config)
        carriers = {name: build_state(carrier) for name, carrier in config.carriers.items()}
        rules = build_rules(config, config.carriers)
        self._store = Store(config.daemon.state, rules, map_size=config.daemon.map_size)
        for name, mode in self._store.modes().items():
            if name in carriers:
                carriers[name].mode = mode
        self._dispatch = Dispatch(table, carriers, trio.current_time, build_weights(config))
        self._outbox = Outbox()
        self._intake = Intake(
            f"smppd/{__version__}",
            apps,
            config.classes,
            table,
            NumberPlan(),
            forms=build_forms(config),
            has_tlvs=self._has_tlvs,
            healthy_of=self._is_healthy,
        )
        self._committer = Committer(
            self._store,
            self._dispatch,
            self._outbox,
            outside.read_wall_clock,
        )
        tools = Tools(
            self._store,
            self._dispatch,
            self._committer,
            outside,
            lambda: self._config.daemon.drain_timeout,
        )
        self._fleet = Fleet(tools, self._carrier_gone)
        for name, state in carriers.items():
            self._fleet.add(config.carriers[name], state)
        self._reloader = Reloader(
            config,
            systemd.credentials,
            self._swap,
            self._notifier,
            outside.run_in_thread,
        )
        self._server = Server(
            intake=self._intake,
            peers=PeerTable(apps, os.getuid()),
            store=self._store,
            committer=self._committer,
            outbox=self._outbox,
            controls=Control(
                intake=self._intake,
                store=self._store,
                committer=self._committer,
                fleet=self._fleet,
                status=self.status,
                routes=lambda: view_routes(self._config),
                reload=self._reloader.reload,
                wall=outside.read_wall_clock,
                keeping=Keeping(
                    self._store,
                    self._committer,
                    self._intake.numbers,
                    outside.read_wall_clock,
                    outside.run_in_thread,
                ),
                levers=Levers(self._store, self._committer, self._fleet, outside.read_wall_clock),
            ),
            read_clock=outside.read_wall_clock,
            read_peer=outside.read_peer,
            connections_max=count_connections(config.carriers.values()),
        )
        self._draining = trio.CancelScope()
        self._loop_lag = LoopLag()
        self._passes = LoopPasses()

    @property
    def _config(self) -> Config:
        return self._reloader.config

    async def run(self, ready: Callable[[], None] | None) -> None:
        """Starts everything, serves, and returns when a drain has ended."""
        faults.reach("start.opened")
        now, used_at = self._outside.read_wall_clock(), self._store.used_at()
        self._doubt_restored()
        doubtful = recover(self._store, self._dispatch, now)
        faults.reach("start.recovered")
        collect_garbage_rarely()
        log.info("starting", version=__version__, doubtful=doubtful)
        if used_at - now > CLOCK_BEHIND_MILLISECONDS:
            log.warning("clock_behind", seconds=(used_at - now) / 1000)
        if self._server.connections_max < CONNECTIONS_MAX:
            log.warning("descriptors_few", connections=self._server.connections_max)
        with (
            self._outside.listening(self._config.daemon.socket, self._systemd.sockets) as listeners,
            self._outside.receiving_signals() as signals,
            self._passes.recording(),
        ):
            async with trio.open_nursery() as committing:
                committing.start_soon(self._committer.run)
                async with trio.open_nursery() as binds:
                    binds.start_soon(self._fleet.run)
                    async with trio.open_nursery() as serving:
                        await serving.start(self._server.serve, listeners)
                        faults.reach("start.listening")
                        await self._start_side_tasks(serving)
                        log.info("ready", socket=str(self._config.daemon.socket))
                        self._notifier.ready()
                        if ready is not None:
                            ready()
                        await self._serve_signals(signals, serving)
                        binds.start_soon(self._hurry_on_signal, signals, binds.cancel_scope)
                        await self._drain()
                        serving.cancel_scope.cancel()
                    faults.reach("drain.idle")
                    self._fleet.stop()
                    binds.cancel_scope.deadline = trio.current_time() + UNBIND_SECONDS_MAX
                    self._committer.end_by(binds.cancel_scope.deadline)
                    await self._fleet.ended.wait()
                    binds.cancel_scope.cancel()
                faults.reach("drain.unbound")
                self._committer.commit_now()
                faults.reach("drain.committed")
                committing.cancel_scope.cancel()
        log.info("stopped")

    def _doubt_restored(self) -> None:
        """Where the store is a copy: what waited in it is in doubt, before anything is granted."""
        found = doubt_restored(
            self._store,
            self._outside.read_wall_clock(),
            lambda so_far: self._notifier.starting(RESTORE_SECONDS_MAX),
        )
        if found is not None:
            log.warning(
                "store_restored",
                made_at=found.made_at,
                resent=found.resent,
                stopped=found.stopped,
            )

    def close(self) -> None:
        """Closes the store; what was committed is there at the next start."""
        self._store.close()

    def status(self) -> StatusView:
        """What the control verb ``status`` answers."""
        server = self._server.statistics()
        return StatusView(
            version=__version__,
            pid=os.getpid(),
            started_at=self._started_at,
            configured_at=self._configured_at,
            now=self._outside.read_wall_clock(),
            draining=self._intake.draining,
            connections=server.connections,
            subscriptions=server.subscriptions,
            store=self._store.statistics(),
            commits=self._committer.statistics(),
            log_dropped=logging.dropped(),
            carriers=[view_carrier(upkeep, self._store) for upkeep in self._fleet.upkeeps.values()],
            warnings=[
                *map(str, self._config.warnings),
                *map(describe_hint, self._store.standing_hints()),
            ],
        )

    async def _start_side_tasks(self, nursery: trio.Nursery) -> None:
        """What watches and tells, and carries no message."""
        nursery.start_soon(summarise_carriers, self._read_counts)
        nursery.start_soon(tell_hints, self._store.take_hints)
        nursery.start_soon(
            watch_certificates, self._list_certificates, self._outside.read_wall_clock
        )
        nursery.start_soon(log_health, self._read_health, self._take_breaker_changes)
        nursery.start_soon(log_disk, self._store.statistics)
        if self._systemd.notify_socket is not None:
            nursery.start_soon(tell_status, self._notifier, self._describe)
        nursery.start_soon(measure_lag, self._loop_lag)
        if self._systemd.watchdog is not None:
            is_alive = Pulse(self._committer).is_alive
            nursery.start_soon(feed_watchdog, self._notifier, self._systemd.watchdog, is_alive)
        if (address := self._config.daemon.metrics) is not None:
            await nursery.start(self._serve_metrics, address)

    async def _serve_metrics(
        self,
        address: MetricsAddress | Path,
        *,
        task_status: trio.TaskStatus[object] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        # Imported where they are served: prometheus_client is 3 MB and a twentieth of a start.
        from smppd.metrics.measures import render
        from smppd.metrics.server import Page, listening_on, serve_pages

        place = address if isinstance(address, Path) else (address.host, address.port)
        pages = {"/metrics": lambda: Page(render(self._measure())), "/healthz": self._show_health}
        async with listening_on(place) as listeners:
            await serve_pages(pages, listeners, task_status=task_status)

    def _measure(self) -> Measures:
        from smppd.metrics.measures import Measures

        apps = self._intake.apps
        bounds = {name: self._store.event_bounds(name) for name in apps}
        return Measures(
            self.status(),
            self._server.statistics().lines,
            {name: found.untaken for name, found in bounds.items()},
            self._reloader.is_good,
            self._loop_lag,
            *self._passes.take(),
        )

    def _show_health(self) -> Page:
        """Well: somebody can submit, and somebody would take it."""
        from smppd.metrics.server import Page

        is_well = not self._intake.draining and any(self._read_health().values())
        return Page([f"{self._describe()}\n".encode()], is_well)

    def _describe(self) -> str:
        health, store = self._read_health().values(), self._store.statistics()
        return describe(health, store, is_draining=self._intake.draining)

    def _read_health(self) -> dict[str, bool]:
        return {name: upkeep.state.is_healthy() for name, upkeep in self._fleet.upkeeps.items()}

    def _take_breaker_changes(self) -> list[tuple[str, BreakerChange]]:
        return [
            (name, change)
            for name, upkeep in self._fleet.upkeeps.items()
            for change in upkeep.state.breaker.take_changes()
        ]

    def _read_counts(self) -> dict[str, CarrierCounts]:
        return {name: upkeep.state.counts for name, upkeep in self._fleet.upkeeps.items()}

    def _list_certificates(self) -> Iterator[CertificateEnd]:
        for upkeep in self._fleet.upkeeps.values():
            yield from list_ends(upkeep.config, (keeper.status for keeper in upkeep.keepers))

    # -- the configuration ---

    def _swap(self, config: Config, table: RoutingTable) -> None:
        """Puts ``config`` in force, between two passes of the loop."""
        self._configured_at = self._outside.read_wall_clock()
        self._wanted = config.carriers
        apps = find_apps(config.apps)
        known = self._fleet.upkeeps.keys()
        for name, carrier in config.carriers.items():
            if name in known:
                self._fleet.change(carrier)
            else:
                state = build_state(carrier)
                self._dispatch.add_carrier(state)
                self._fleet.add(carrier, state)
        for name in sorted(known - config.carriers.keys()):
            self._fleet.remove(name)
        self._store.set_rules(build_rules(config, self._carriers_kept()))
        self._dispatch.set_table(table, build_weights(config))
        intake = self._intake
        intake.apps, intake.classes, intake.table = apps, config.classes, table
        intake.forms = build_forms(config)
        self._server.peers = PeerTable(apps, os.getuid())
        self._server.connections_max = count_connections(config.carriers.values())
        self._committer.wake()

    def _has_tlvs(self, carrier: str) -> bool:
        upkeep = self._fleet.upkeeps.get(carrier)
        return upkeep is None or upkeep.state.has_tlvs

    def _is_healthy(self, carrier: str) -> bool:
        upkeep = self._fleet.upkeeps.get(carrier)
        return upkeep is not None and upkeep.state.is_healthy()

    def _carriers_kept(self) -> dict[str, CarrierConfig]:
        """The profiles the store needs: of what is configured, and of what only drains."""
        return {**self._fleet.configs(), **self._wanted}

    def _carrier_gone(self, _name: str) -> None:
        self._store.set_rules(build_rules(self._config, self._carriers_kept()))

    # -- signals and the end ---

    async def _serve_signals(self, signals: AsyncIterator[int], nursery: trio.Nursery) -> None:
        """Reloads at each SIGHUP; returns at SIGTERM or SIGINT."""
        async for number in signals:
            if number != signal.SIGHUP:
                return
            nursery.start_soon(self._reloader.reload)

    async def _drain(self) -> None:
        """Lets the windows empty: no new submits, no new grants, up to ``drain_timeout``."""
        self._intake.draining = True
        self._dispatch.stop()
        self._notifier.stopping(self._config.daemon.drain_timeout + END_SECONDS_MAX)
        faults.reach("drain.begun")
        log.info("draining", timeout_s=self._config.daemon.drain_timeout)
        with trio.move_on_after(self._config.daemon.drain_timeout) as self._draining:
            await self._committer.wait_idle()

    async def _hurry_on_signal(self, signals: AsyncIterator[int], binds: trio.CancelScope) -> None:
        """A second signal closes now: what is unanswered becomes doubt, in the last commit."""
        async for number in signals:
            if number != signal.SIGHUP:
                break
        log.warning("hurrying")
        self._draining.cancel()
        binds.cancel()


def _first_leaf(group: BaseExceptionGroup[BaseException]) -> BaseException:
    first = group.exceptions[0]
    return _first_leaf(first) if isinstance(first, BaseExceptionGroup) else first
