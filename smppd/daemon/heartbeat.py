"""Signs of life for the service manager: watchdog pings, and a line about how we are.

A ping says more than that a timer ran: it comes from a pass of the loop that has seen the
committer commit since the last look, for without commits nothing is accepted and nothing sent.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Final, Protocol

import structlog
import trio

from smppd.store.store import StoreStatistics
from smppd.systemd import Notifier
from smppd.traffic.commit import CommitterStatistics

LOOKS: Final = 4
"""In the time we may be silent: one that comes late, or during a long commit, is no death."""

STATUS_SECONDS: Final = 2.0
"""Between two looks at what ``systemctl status`` is to show: for people."""

log = structlog.get_logger("smppd.daemon")


class Commits(Protocol):
    """As much of the committer as its pulse is felt by."""

    def statistics(self) -> CommitterStatistics: ...

    def wake(self) -> None: ...


class Pulse:
    """Whether the committer has made a commit since the last look, each of which asks for one."""

    def __init__(self, committer: Commits) -> None:
        self._committer = committer
        self._seen = -1

    def is_alive(self) -> bool:
        """Looks, and lets an idle committer have something to show at the next look."""
        counts = self._committer.statistics()
        commits = counts.commits + counts.failures  # it lives on a full disk too
        is_alive = commits != self._seen
        self._seen = commits
        self._committer.wake()
        return is_alive


async def feed_watchdog(notifier: Notifier, seconds: float, is_alive: Callable[[], bool]) -> None:
    """Pings in time until cancelled, but only while ``is_alive``; ``seconds``: our patience."""
    while True:
        if is_alive():
            notifier.watchdog()
        else:
            log.warning("watchdog_unfed", watchdog_s=seconds)
        await trio.sleep(seconds / LOOKS)


async def tell_status(notifier: Notifier, read_status: Callable[[], str]) -> None:
    """Tells the status whenever it has changed, until cancelled."""
    told = ""
    while True:
        status = read_status()
        if status != told:
            notifier.status(status)
            told = status
        await trio.sleep(STATUS_SECONDS)


def describe(health: Collection[bool], store: StoreStatistics, *, is_draining: bool) -> str:
    """The state of the daemon in one line: ``3/5 carriers up, 0 messages queued``. ``health``: of
    each carrier; not from all that ``status`` shows, which for 300 of them takes milliseconds."""
    doing = "draining, " if is_draining else ""
    doing += "disk full, " if store.full else ""
    return f"{doing}{sum(health)}/{len(health)} carriers up, {store.queued} messages queued"
