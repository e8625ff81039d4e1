"""kill -9 at every fault point there is, under the load that reaches it.

Points of one part of the daemon share a site: each kills a daemon on the store that the last one
left. How often a point has been passed by then is drawn from a seed; what a kill does to one
message at its first passing is in ``test_rows``.
"""

from __future__ import annotations

import random
import signal
from collections import defaultdict
from pathlib import Path
from typing import Final

import pytest

from smppd import faults
from tests.crash.account import settle_accounts
from tests.crash.rig import Rig
from tests.crash.wire import BREAKS
from tests.processes import Table

SEED: Final = 36

ELSEWHERE: Final = {
    "backup.copying": "tests/daemon/test_keeping.py",
    "backup.copied": "tests/daemon/test_keeping.py",
    "restore.batch": "tests/store/test_restore.py",
}
"""What a load does not reach, and where it is held: a backup is asked for, and a restored store is
behind what the carriers saw."""

SITES: Final = {
    "start": "starting",
    "bind": "starting",
    "intake": "app",
    "events": "app",
    "commit": "store",
    "store": "store",
    "submit": "carrier",
    "response": "carrier",
    "receipt": "phone",
    "inbound": "phone",
    "doubt": "broken links",
    "reload": "operator",
    "drain": "operator",
}
"""Which site has the points of a family."""

LATER: Final = 8
LATER_MAX: Final = {"bind": 3, "doubt": 4, "reload": 3}  # binds there are; what one run reaches
"""By family, how often one run reaches its points for sure; else LATER."""

ONCE: Final = ("start.", "drain.", "store.growing", "store.allocating")
"""What a process reaches once, or rarely."""

PAST: Final = 30
"""submit_sm of a daemon that is killed before a start is, so that there is something to recover."""

BACKLOG: Final = 100

CARRIERS: Final[dict[str, Table]] = {
    "alpha": {"binds": 2, "window": 10},
    "beta": {"bind": "pair", "window": 10},
}

ROUTES: Final[tuple[Table, ...]] = (
    {"prefix": "", "carrier": "alpha", "cost": "0.0100"},
    {"prefix": "491700000", "carrier": "beta", "cost": "0.0100"},
    {"prefix": "491700000", "carrier": "alpha", "cost": "0.0200"},
)

SMALL_MAP: Final[Table] = {"map_size": "1MiB"}
"""Grows soon."""


def group_points() -> dict[str, list[str]]:
    """The points of each site. A map grows soonest while it is small: that goes first."""
    sites: defaultdict[str, list[str]] = defaultdict(list)
    for point in sorted(faults.POINTS.keys() - ELSEWHERE.keys(), key=list(faults.POINTS).index):
        sites[SITES[point.partition(".")[0]]].append(point)
    sites["store"].sort(key=lambda point: point != "store.growing")
    return sites


def choose_count(point: str) -> int:
    """At which time the point kills."""
    if point.startswith(ONCE):
        return 1
    later_max = LATER_MAX.get(point.partition(".")[0], LATER)
    return random.Random(f"{SEED} {point}").randint(1, later_max)


def lead_to(rig: Rig, point: str) -> None:
    """From now on what reaches the point happens again and again."""
    chance = random.Random(f"{SEED} {point}")
    rig.off()
    rig.on("submit_sm", 10, rig.ring)
    if point.startswith("doubt."):
        rig.on("submit_sm", 30, lambda: rig.break_link(chance.randrange(9), chance.choice(BREAKS)))
    if point.startswith("reload."):
        rig.on("submit_sm", 20, lambda: rig.signal(signal.SIGHUP))
    if point.startswith("drain."):
        rig.on("submit_sm", 40, lambda: rig.signal(signal.SIGTERM))


@pytest.mark.parametrize("site", group_points())
async def test_kill_at_a_fault_point_loses_nothing_and_doubles_nothing_in_silence(
    site: str, tmp_path: Path
) -> None:
    rig = Rig(
        tmp_path / "site",
        carriers=CARRIERS,
        routes=ROUTES,
        daemon=SMALL_MAP if site == "store" else None,
        backlog=BACKLOG,
        cancel_every=19,
    )
    reached = []
    async with rig.running():
        for point in group_points()[site]:
            lead_to(rig, point)
            if point.startswith("start."):
                await rig.run_until("submit_sm", PAST)
            reached.append(f"{point}:{choose_count(point)}")
            await rig.run_to(reached[-1])
        rig.off()
        await rig.start()
        await rig.finish()
        account, wrong = await settle_accounts(rig)
    print(f"\n{reached}: {account.totals()}")
    assert not wrong, f"{reached}: {wrong}"
