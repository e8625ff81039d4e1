"""Random kills: many lives of one store, under a load that has everything in it.

One-time codes, long messages, campaigns and cancels from the app; two carriers, one of them bound
in pairs; phones that write; links that are reset, cut or half closed while the daemon lives and
when it dies; reloads that turn the routes round. What is killed when is drawn from a seed. What
has happened by then differs from run to run all the same.
"""

from __future__ import annotations

import random
from functools import partial
from pathlib import Path
from typing import Final

import trio

from smppd import faults
from smppd.simulator import Behaviour
from tests.crash.account import Totals, settle_accounts
from tests.crash.rig import Rig
from tests.crash.wire import BREAKS
from tests.processes import Table

CARRIERS: Final[dict[str, Table]] = {
    "alpha": {"binds": 2, "window": 20},
    "beta": {"bind": "pair", "window": 10},
}

ROUTES: Final[tuple[Table, ...]] = (
    {"prefix": "", "carrier": "alpha", "cost": "0.0100"},
    {"prefix": "491700000", "carrier": "beta", "cost": "0.0100"},
    {"prefix": "491700000", "carrier": "alpha", "cost": "0.0200"},
)
TURNED: Final[tuple[Table, ...]] = (
    {"prefix": "", "carrier": "beta", "cost": "0.0300"},
    {"prefix": "", "carrier": "alpha", "cost": "0.0400"},
)

CLASSES: Final[dict[str, Table]] = {"otp": {"uncertain": "stop"}}

BEHAVIOUR: Final = Behaviour(
    response_delay=0.02,
    receipt_delay=0.03,
    refuse_rate=0.01,
    throttle_rate=0.002,
    undelivered_rate=0.02,
    double_receipt_rate=0.01,
)

BACKLOG: Final = 200

MOMENTS: Final = ("accepted", "event", "submit_sm", "deliver_sm", "deliver_sm_resp")

PASSED_MAX: Final = 150
"""Of the moment's kind, until a kill; at ``accepted`` and ``submit_sm`` often the first few."""

COUNT_MAX: Final = 12
"""Of a fault point's passes, until it kills."""

STARTING: Final = ("start.opened", "start.recovered", "start.listening")

ANYWHERE: Final = tuple(
    point
    for point in faults.POINTS
    if point.startswith(("intake", "commit", "submit", "response", "receipt", "events"))
    or point in ("store.decided", "store.written")
)
"""The points that every load reaches again and again."""


class Chaos:
    """One site and its seed."""

    def __init__(self, directory: Path, seed: int) -> None:
        self.chance = random.Random(seed)
        self.rig = Rig(
            directory,
            BEHAVIOUR,
            carriers=CARRIERS,
            routes=ROUTES,
            classes=CLASSES,
            backlog=BACKLOG,
            cancel_every=19,
        )
        self._is_turned = False

    async def run(self, kills: int) -> tuple[Totals, str]:
        """So many kills, then all to the end: the figures, and what is wrong, or nothing."""
        rig = self.rig
        async with rig.running():
            self._begin()
            for _ in range(kills):
                await self._kill()
            rig.off()
            await rig.start()
            await rig.finish()
            account, wrong = await settle_accounts(rig)
        return account.totals(), wrong

    def _begin(self) -> None:
        rig, chance = self.rig, self.chance
        rig.on("submit_sm", 20, lambda: rig.ring(chance.choice(list(CARRIERS))))
        rig.on("submit_sm", 110, self._break_link)
        rig.on("accepted", 90, self._reload)

    async def _kill(self) -> None:
        rig, chance = self.rig, self.chance
        how = chance.random()
        if how < 0.1:
            await rig.run_to(chance.choice(STARTING))
        elif how < 0.5:
            await rig.run_to(f"{chance.choice(ANYWHERE)}:{chance.randint(1, COUNT_MAX)}")
        else:
            await rig.run_until(chance.choice(MOMENTS), chance.randint(1, PASSED_MAX))

    def _break_link(self) -> None:
        self.rig.break_link(self.chance.randrange(9), self.chance.choice(BREAKS))

    def _reload(self) -> None:
        self._is_turned = not self._is_turned
        self.rig.reload(TURNED if self._is_turned else ROUTES)


async def run_chaos(directory: Path, seed: int, kills: int) -> tuple[Totals, str]:
    """``kills`` random kills by ``seed``, in the new directory ``directory``."""
    return await Chaos(directory, seed).run(kills)


def run_rounds(directory: Path, seed: int, kills: int, each: int) -> Totals:
    """Rounds of ``each`` kills, with seeds from ``seed`` on; AssertionError with all that is wrong
    in the first round in which anything is."""
    totals = Totals()
    for number, begin in enumerate(range(0, kills, each)):
        own = seed + number
        part = min(each, kills - begin)
        found, wrong = trio.run(partial(run_chaos, directory / str(own), own, part))
        totals.add(found)
        print(f"seed {own}: {found}", flush=True)
        assert not wrong, f"seed {own}\n{wrong}"
    return totals
