"""The carriers that are served: started, changed, drained and taken away while the daemon runs.

One ``Upkeep`` a carrier owns its binds. What the operator and a reload want of it is left as a
wish; its task brings the binds to that, one wish after the other, so a second reload that comes
while the first still drains a carrier cannot get between. An old bind is never cut: nothing new
is granted to it, what is on its wire is answered or its time runs out, and only then it unbinds.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final, Literal

import msgspec
import structlog
import trio

from smppd.config import CarrierConfig
from smppd.daemon.build import build_endpoint, build_link_profile, build_state, set_breaker_rules
from smppd.daemon.outside import Outside
from smppd.store.changes import CarrierMode, Change, SetMode
from smppd.store.store import Store
from smppd.traffic.carrier import BindKeeper, Endpoint, build_listener
from smppd.traffic.commit import Committer
from smppd.traffic.dispatch import Dispatch
from smppd.traffic.outbind import OutbindListener
from smppd.traffic.roster import CarrierState

UNBIND_SECONDS_MAX: Final = 5.0
"""For unbind and its response when a carrier's binds are ended, within systemd's patience."""

UNBOUND_FIELDS: Final = (
    "throughput",
    "breaker",
    "receipts",
    "receipt_timeout",
    "message_id",
    "uncertain",
    "unmarked_receipts",
    "accepted_is_final",
    "receipt_covers",
    "match_receipts",
    "message_id_33",
    "inbound_timeout",
    "status",
)
"""What can change under a bind that stays; anything else takes a new one."""

log = structlog.get_logger("smppd.fleet")


class Tools(msgspec.Struct, frozen=True):
    """What every carrier's upkeep works with; ``read_drain_timeout`` gives the seconds in force."""

    store: Store
    dispatch: Dispatch
    committer: Committer
    outside: Outside
    read_drain_timeout: Callable[[], float]


class Upkeep:
    """One carrier: ``config`` and ``state`` are those in force, ``keepers`` its binds."""

    def __init__(self, config: CarrierConfig, state: CarrierState, tools: Tools) -> None:
        self.config = config
        self.state = state
        self.keepers: list[BindKeeper] = []
        self._tools = tools
        self._wanted: CarrierConfig | None = config
        self._changed = trio.Event()
        self._is_stopping = False
        self._stage: Literal["idle", "serving", "winding_down"] = "idle"

    @property
    def is_settling(self) -> bool:
        """Whether the carrier is not yet as it is wanted: a configuration to come, binds that
        wind down, or a drained carrier whose binds still are to."""
        is_to_drain = self._stage == "serving" and self.state.mode == "drained"
        return self._wanted is not self.config or self._stage == "winding_down" or is_to_drain

    def want(self, config: CarrierConfig | None) -> None:
        """From now on the carrier is to be as ``config`` says; None: not at all."""
        self._wanted = config
        self._changed.set()

    def keep(self, config: CarrierConfig) -> None:
        """From now on the binds there are go by ``config``."""
        self.config = config
        self.state.throughput.set_limit(config.throughput, trio.current_time())
        for index, keeper in enumerate(self.keepers):
            keeper.set_profile(build_link_profile(config, index))

    def mode_changed(self) -> None:
        """The operator drained or resumed it; resumed, binds that were given up are tried again."""
        self._changed.set()
        for keeper in self.keepers if self.state.mode == "running" else []:
            keeper.try_again()

    def stop(self) -> None:
        """Unbinds in order, at once: the daemon has drained already."""
        self._is_stopping = True
        self._wanted = None
        for keeper in self.keepers:
            keeper.drain()
        self._changed.set()

    async def run(self) -> None:
        """Returns when the carrier is no longer wanted and its last bind has ended."""
        while self._wanted is not None:
            if self._wanted is not self.config or self.state.is_resting:
                self._adopt(self._wanted)
            if self.state.mode == "drained":
                log.info("carrier_drained", carrier=self.config.name)
                await self._wait_changed()
            else:
                await self._serve()

    async def _serve(self) -> None:
        """Keeps the binds up until something else is wanted of the carrier."""
        endpoint = build_endpoint(self.config)
        listener = build_listener(
            self.config.name,
            endpoint,
            self.config.window,
            self._tools.outside.open_tcp_listeners,
        )
        self.keepers = [
            self._make_keeper(slot.index, endpoint, listener) for slot in self.state.slots
        ]
        async with trio.open_nursery() as nursery:
            if listener is not None:
                nursery.start_soon(listener.run)
            for keeper in self.keepers:
                nursery.start_soon(keeper.run)
            self._stage = "serving"
            while self._wanted is self.config and self.state.mode != "drained":
                await self._wait_changed()
            self._stage = "winding_down"
            await self._wind_down()
            nursery.cancel_scope.cancel()
        self._stage = "idle"

    async def _wait_changed(self) -> None:
        await self._changed.wait()
        self._changed = trio.Event()

    async def _wind_down(self) -> None:
        tools, name = self._tools, self.config.name
        if not self._is_stopping:
            await commit_all(tools.committer, tools.dispatch.set_resting(name))
            with trio.move_on_after(tools.read_drain_timeout()):
                await tools.committer.wait_carrier_idle(name)
        for keeper in self.keepers:
            keeper.drain()
        with trio.move_on_after(UNBIND_SECONDS_MAX):
            for keeper in self.keepers:
                await keeper.ended.wait()

    def _adopt(self, config: CarrierConfig) -> None:
        old, self.config = self.state, config
        self.state = build_state(config)
        self.state.mode, self.state.counts = old.mode, old.counts
        self.state.tap = old.tap
        # What the carrier has said about its pace holds for its new binds too.
        self.state.throughput = old.throughput
        self.state.throughput.set_limit(config.throughput, trio.current_time())
        self.state.breaker = old.breaker
        set_breaker_rules(self.state.breaker, config)
        self._tools.dispatch.replace_carrier(self.state)

    def _make_keeper(
        self, index: int, endpoint: Endpoint, listener: OutbindListener | None
    ) -> BindKeeper:
        config, tools = self.config, self._tools
        return BindKeeper(
            self.state.slots[index],
            endpoint,
            build_link_profile(config, index),
            committer=tools.committer,
            dispatch=tools.dispatch,
            store=tools.store,
            wall=tools.outside.read_wall_clock,
            listener=listener,
            dial=tools.outside.open_tcp,
            chance=tools.outside.chance,
            may_bind_at=max((former.may_bind_at for former in self.keepers), default=-math.inf),
        )


class Fleet:
    """All carriers. ``removed`` is called with the name of one that is gone for good; ``ended`` is
    set when the last bind has ended after ``stop``."""

    def __init__(self, tools: Tools, removed: Callable[[str], None]) -> None:
        self._tools = tools
        self._removed = removed
        self._nursery: trio.Nursery | None = None
        self._stopped = trio.Event()
        self.ended = trio.Event()
        self.upkeeps: dict[str, Upkeep] = {}

    async def run(self) -> None:
        """Serves until ``stop``; returns when every bind has ended."""
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            for upkeep in self.upkeeps.values():
                nursery.start_soon(self._run_upkeep, upkeep)
            await self._stopped.wait()
        self.ended.set()

    def add(self, config: CarrierConfig, state: CarrierState) -> None:
        """Serves a carrier that the dispatch knows already."""
        upkeep = self.upkeeps[config.name] = Upkeep(config, state, self._tools)
        if self._nursery is not None:
            log.info("carrier_added", carrier=config.name)
            self._nursery.start_soon(self._run_upkeep, upkeep)

    def change(self, config: CarrierConfig) -> None:
        """Brings a carrier to its new configuration; its binds are kept where they may be."""
        upkeep = self.upkeeps[config.name]
        if is_bind_kept(upkeep.config, config):
            upkeep.keep(config)
            set_breaker_rules(upkeep.state.breaker, config)
        upkeep.want(config)

    def remove(self, name: str) -> None:
        """Ends a carrier that is no longer configured, in order."""
        self.upkeeps[name].want(None)

    def stop(self) -> None:
        """Unbinds all of them, for the end of the daemon."""
        for upkeep in self.upkeeps.values():
            upkeep.stop()
        self._stopped.set()

    async def set_mode(self, name: str, mode: CarrierMode) -> CarrierMode:
        """Pauses, resumes or drains a carrier, on disk; the mode it had."""
        tools, upkeep = self._tools, self.upkeeps[name]
        was: CarrierMode = upkeep.state.mode
        if mode == "running":
            upkeep.state.breaker.hurry(trio.current_time())
        changes = tools.dispatch.set_mode(name, mode)
        await tools.committer.commit(
            [SetMode(name, mode, tools.outside.read_wall_clock()), *changes]
        )
        upkeep.mode_changed()
        return was

    def configs(self) -> dict[str, CarrierConfig]:
        """Every carrier that is served now, those that only drain included."""
        return {name: upkeep.config for name, upkeep in self.upkeeps.items()}

    async def _run_upkeep(self, upkeep: Upkeep) -> None:
        await upkeep.run()
        name = upkeep.config.name
        if not self._stopped.is_set():
            del self.upkeeps[name]
            self._tools.dispatch.remove_carrier(name)
            self._removed(name)
            self._tools.committer.wake()
            log.info("carrier_removed", carrier=name)


def is_bind_kept(old: CarrierConfig, new: CarrierConfig) -> bool:
    """Whether the binds of ``old`` can go on under ``new``."""
    same = {field: getattr(old, field) for field in UNBOUND_FIELDS}
    return msgspec.structs.replace(new, **same) == old


async def commit_all(committer: Committer, changes: list[Change]) -> None:
    """Commits what there is."""
    if changes:
        await committer.commit(changes)
