"""The control verbs, done: what root, the daemon's user and admin apps may ask of a running daemon.

Looking is in ``views`` and ``explain``, changing the configuration in ``reload``; here the verbs
meet what they act on. Every answer comes after what it says is on disk.
"""

from __future__ import annotations

import signal
from collections.abc import Awaitable, Callable
from typing import Final

import structlog
import trio
from msgspec import UNSET

from smppd.api.controls import ControlFault
from smppd.api.intake import Intake
from smppd.api.requests import Doubtful, Explain, Find, Trace
from smppd.api.views import (
    CarriersView,
    DoubtfulView,
    ExplainedView,
    FoundMessage,
    FoundView,
    ModeView,
    ReloadedView,
    ResolvedView,
    RoutesView,
    StatusView,
    TraceView,
)
from smppd.config import AppConfig
from smppd.daemon.explain import explain
from smppd.daemon.fleet import Fleet
from smppd.daemon.keeping import Keeping
from smppd.daemon.levers import Levers, unknown
from smppd.daemon.views import tell_meanings
from smppd.store import keys
from smppd.store.changes import CarrierMode, Rejection, Resolve, Resolved
from smppd.store.records import STATE_NAMES
from smppd.store.search import DOUBTFUL_ROWS_MAX, DoubtSlice
from smppd.store.store import Store
from smppd.traffic.commit import Committer

FIND_SLICE_ROWS: Final = 200
"""Messages looked at between two passes of the loop: a millisecond."""

DAY_MILLISECONDS: Final = 86_400_000
"""How far back ``find`` looks unless it is told: what people ask about is of today."""

log = structlog.get_logger("smppd.control")


class Control:
    """See ``api/controls.py`` for what each verb is."""

    def __init__(
        self,
        *,
        intake: Intake,
        store: Store,
        committer: Committer,
        fleet: Fleet,
        status: Callable[[], StatusView],
        routes: Callable[[], RoutesView],
        reload: Callable[[], Awaitable[ReloadedView]],
        wall: Callable[[], int],
        keeping: Keeping,
        levers: Levers,
    ) -> None:
        self._intake = intake
        self._store = store
        self._committer = committer
        self._fleet = fleet
        self._wall = wall
        self._reload = reload
        self.status = status
        self.routes = routes
        self.backup, self.export, self.forget = keeping.backup, keeping.export, keeping.forget
        self.ask_carrier, self.tap = levers.ask_carrier, levers.tap
        self.quarantine, self.quarantine_drop = levers.quarantine, levers.quarantine_drop

    def carriers(self) -> CarriersView:
        """How the carriers and their binds are."""
        return CarriersView(self.status().carriers)

    def explain(self, asked: Explain) -> ExplainedView | ControlFault:
        """Every offer for a number, and why it won or lost."""
        apps = self._intake.apps
        if asked.app is not UNSET and asked.app not in apps:
            return unknown("app", asked.app, apps)
        app = AppConfig() if asked.app is UNSET else apps[asked.app]
        states = {name: upkeep.state for name, upkeep in self._fleet.upkeeps.items()}
        return explain(self._intake, asked, app, states, self._wall())

    def trace(self, asked: Trace) -> TraceView | ControlFault:
        """Every step of one message."""
        found = self._store.trace(
            app=None if asked.app is UNSET else asked.app,
            message_id=None if asked.id is UNSET else asked.id,
            ref=None if asked.ref is UNSET else asked.ref,
        )
        if found is None:
            reason = "no message has this name, or it was deleted by retention"
            return ControlFault("unknown_message", reason)
        return tell_meanings(found, self._fleet.configs())

    async def doubtful(self, asked: Doubtful) -> DoubtfulView:
        """Walks through all doubts for the oldest ones, in slices, and then through those."""
        doubts = DoubtSlice()
        while doubts.after is not None:
            doubts = self._store.look_at_doubts(doubts)
            await trio.lowlevel.checkpoint()
        found: list[FoundMessage] = []
        for start in range(0, len(doubts.oldest), DOUBTFUL_ROWS_MAX):
            found += self._store.show_doubtful(doubts.oldest[start : start + DOUBTFUL_ROWS_MAX])
            if len(found) > asked.limit:
                break
            await trio.lowlevel.checkpoint()
        return DoubtfulView(found[: asked.limit], len(found) > asked.limit)

    async def find(self, asked: Find) -> FoundView | ControlFault:
        """Walks back from ``until`` to ``since`` in slices, until ``limit`` are found."""
        if asked.state is not UNSET and asked.state not in STATE_NAMES:
            return unknown("state", asked.state, sorted(set(STATE_NAMES)))
        to = None
        if asked.to is not UNSET:
            judged = self._intake.numbers.judge(asked.to, None, False)
            if not isinstance(judged, str):
                return ControlFault("bad_request", f"find: {judged.reason}")
            to = judged
        before = 0
        if asked.before is not UNSET:
            number = keys.read_id(asked.before)
            if number is None:
                return ControlFault("bad_request", "find: 'before' must be the 'id' of a message")
            before = number
        until = 0 if asked.until is UNSET else asked.until
        since = (until or self._wall()) - DAY_MILLISECONDS
        if asked.since is not UNSET:
            since = asked.since
        found: list[FoundMessage] = []
        while True:
            part = self._store.find(
                to=to,
                tag=None if asked.tag is UNSET else asked.tag,
                app=None if asked.app is UNSET else asked.app,
                state=None if asked.state is UNSET else asked.state,
                since=since,
                until=until,
                before=before,
                rows_max=FIND_SLICE_ROWS,
            )
            found += part.messages
            before = part.next_before
            if part.is_done or len(found) >= asked.limit:
                break
            await trio.lowlevel.checkpoint()
        more = not part.is_done or len(found) > asked.limit
        found = found[: asked.limit]
        return FoundView(found, more, found[-1].accepted_at if more and found else since)

    async def reload(self) -> ReloadedView:
        """Puts the configuration on disk in force, whole or not at all."""
        return await self._reload()

    async def pause(self, carrier: str) -> ModeView | ControlFault:
        """Nothing more to the carrier; its binds stay."""
        return await self._set_mode(carrier, "paused", "carrier_paused")

    async def resume(self, carrier: str) -> ModeView | ControlFault:
        """The carrier runs again, whether it was paused or drained."""
        return await self._set_mode(carrier, "running", "carrier_resumed")

    async def drain(self, carrier: str | None) -> ModeView | ControlFault:
        """Nothing new to the carrier, and its binds end; without one, as SIGTERM does."""
        if carrier is not None:
            return await self._set_mode(carrier, "drained", "carrier_draining")
        if self._intake.draining:  # A second SIGTERM would cut the first one's drain short.
            return ModeView(None, "draining", "draining")
        signal.raise_signal(signal.SIGTERM)
        self._intake.draining = True  # now: the signal is served later than the next line
        return ModeView(None, "draining", "running")

    async def resolve(self, message_id: str, action: str) -> ResolvedView | ControlFault:
        """The operator's word on a doubtful message."""
        assert action in ("resend", "drop"), "the request's type admits no other"
        change = Resolve(message_id, action, self._wall())  # type: ignore[arg-type]  # just above
        (result,) = await self._committer.commit([change])
        if isinstance(result, Rejection):
            code = "unknown_message" if result.code == "unknown_message" else "bad_request"
            return ControlFault(code, result.reason)
        assert isinstance(result, Resolved), f"a Resolve does not answer {result!r}"
        log.info("message_resolved", id=message_id, action=action, state=result.state)
        return ResolvedView(message_id, action, result.state)

    async def _set_mode(
        self, carrier: str, mode: CarrierMode, event: str
    ) -> ModeView | ControlFault:
        if carrier not in self._fleet.upkeeps:
            return unknown("carrier", carrier, self._fleet.upkeeps)
        was = await self._fleet.set_mode(carrier, mode)
        if was != mode:
            log.info(event, carrier=carrier, was=was)
        return ModeView(carrier, mode, was)
