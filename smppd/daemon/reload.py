"""A new configuration for the running daemon: whole or not at all.

Reading, checking and comparing happen in a thread that rests most of the time (``turns``), for
200,000 prices take a quarter of a second of CPU; nothing is touched meanwhile. Then everything is
exchanged between two passes of the loop, so no message is judged by half of each. A configuration
with a problem changes nothing, and the answer says what to write. What a running daemon cannot
change (its socket, its store) is reported and left.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final, Protocol

import msgspec
import structlog
import trio

from smppd import faults
from smppd.api.views import ReloadedView
from smppd.config import Config, ConfigChange, compare, load
from smppd.config.diff import NEEDS_RESTART
from smppd.daemon.build import build_table
from smppd.errors import ConfigError
from smppd.routing.table import RoutingTable
from smppd.systemd import Notifier
from smppd.turns import resting

CHANGES_LOGGED_MAX: Final = 50
"""Lines of one reload: whoever changes more than that reads the answer of ``smppctl reload``."""

log = structlog.get_logger("smppd.reload")


class Loaded(msgspec.Struct, frozen=True):
    """A configuration without a problem, its routing table compiled, and what it changes."""

    config: Config
    table: RoutingTable
    changes: list[ConfigChange]


def load_whole(old: Config, credentials: Path | None) -> Loaded | ConfigError:
    """Everything a reload of ``old`` needs, for a thread: it touches nothing that runs."""
    with resting():
        try:
            new = load(old.directory, credentials, now=time.time())
        except ConfigError as error:
            return error
        return Loaded(keep_opened(old, new), build_table(new), compare(old, new))


def keep_opened(old: Config, new: Config) -> Config:
    """``new`` with the keys of ``old`` that were opened at start: every reload names them again
    until the restart they need."""
    kept = {name: getattr(old.daemon, name) for name in NEEDS_RESTART}
    return msgspec.structs.replace(new, daemon=msgspec.structs.replace(new.daemon, **kept))


def find_new_warnings(old: Config, new: Config) -> list[str]:
    """Those of ``new`` that ``old`` did not have, wherever in the file: who reloads has read those,
    and ``status`` goes on saying them."""
    known = {(warning.file, warning.text) for warning in old.warnings}
    return [str(one) for one in new.warnings if (one.file, one.text) not in known]


class RunsInThread(Protocol):
    """Runs a function off the loop."""

    def __call__(
        self,
        work: Callable[[Config, Path | None], Loaded | ConfigError],
        config: Config,
        credentials: Path | None,
        /,
    ) -> Awaitable[Loaded | ConfigError]: ...


class Reloader:
    """``swap`` puts a loaded configuration in force; it must not wait. ``config`` is the one in
    force, ``is_good`` whether the last reload brought it."""

    def __init__(
        self,
        config: Config,
        credentials: Path | None,
        swap: Callable[[Config, RoutingTable], None],
        notifier: Notifier,
        run_in_thread: RunsInThread = trio.to_thread.run_sync,
    ) -> None:
        self.config = config
        self._credentials = credentials
        self._swap = swap
        self._notifier = notifier
        self._run_in_thread = run_in_thread
        self.is_good = True
        self._turn = trio.Lock()

    async def reload(self) -> ReloadedView:
        """One after the other, each from what is on disk when its turn comes."""
        async with self._turn:
            self._notifier.reloading(time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1_000)
            try:
                return await self._reload()
            finally:
                self._notifier.ready()

    async def _reload(self) -> ReloadedView:
        loaded = await self._run_in_thread(load_whole, self.config, self._credentials)
        self.is_good = isinstance(loaded, Loaded)
        if isinstance(loaded, ConfigError):
            for problem in loaded.problems[:CHANGES_LOGGED_MAX]:
                log.warning("reload_problem", problem=str(problem))
            log.error("reload_refused", problems=len(loaded.problems))
            return ReloadedView(False, [], loaded.problems, [])
        warnings = find_new_warnings(self.config, loaded.config)
        faults.reach("reload.loaded")
        self._swap(loaded.config, loaded.table)
        # Whoever started us holds the first configuration for good: 20 MB where prices are 200,000.
        self.config.routing.sheets.clear()
        self.config = loaded.config
        faults.reach("reload.swapped")
        for change in loaded.changes[:CHANGES_LOGGED_MAX]:
            log.info(
                "reload_change",
                what=change.what,
                name=change.name,
                how=change.how,
                detail=change.detail,
            )
        log.info("reloaded", changes=len(loaded.changes), warnings=len(warnings))
        return ReloadedView(True, loaded.changes, [], warnings)
