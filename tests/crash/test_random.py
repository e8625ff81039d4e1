"""kill -9 at random, over and over, and three ledgers that agree all the same.

``SMPPD_CRASH_SEEDS="7 8 9"`` runs other seeds than SEEDS; ``python -m tests.crash --kills 300``
as many kills as you like.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

from tests.crash.chaos import run_chaos

KILLS: Final = 20
SEEDS: Final = os.environ.get("SMPPD_CRASH_SEEDS", "20").split()


@pytest.mark.parametrize("seed", SEEDS)
async def test_twenty_kills_lose_nothing_and_double_nothing_in_silence(
    seed: str, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    totals, wrong = await run_chaos(tmp_path / "site", int(seed), KILLS)
    print(f"\n{totals}")
    record_property("totals", str(totals))
    assert not wrong, wrong
    assert totals.kills == KILLS
    assert totals.lost == totals.doubled_unflagged == 0
