"""The whole daemon in simulated worlds: seeds that failed once, a few others, and one seed twice.

In processes of their own, as the scheduler's chance and the log are the process's. Longer runs are
``make simulate`` and ``make soak``.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

SEEDS: Final = Path(__file__).with_name("seeds.txt")
FRESH: Final = (7_001, 5)
"""The first of the seeds that are tried each time, and how many."""

SECONDS_MAX: Final = 240.0
"""For one process, on slow cores with other work."""


def read_seeds() -> list[tuple[str, str]]:
    """The kept ones, and how long their trouble lasts."""
    lines = [line for line in SEEDS.read_text().splitlines() if line and not line.startswith("#")]
    return [(seed, seconds) for seed, seconds, _ in (line.split(maxsplit=2) for line in lines)]


def simulate(*arguments: str, hash_seed: str = "0") -> str:
    """The command's output; AssertionError with all of it where a seed failed."""
    command = [sys.executable, "-m", "tests.simulation", *arguments]
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
    ended = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=SECONDS_MAX, check=False
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


@pytest.mark.parametrize(("seed", "seconds"), read_seeds())
def test_kept_seed_holds(seed: str, seconds: str) -> None:
    assert "1 seeds held" in simulate("--seed", seed, "--seconds", seconds)


def test_fresh_seeds_hold() -> None:
    first, count = FRESH
    assert f"{count} seeds held" in simulate(
        "--first", str(first), "--count", str(count), "--seconds", "60"
    )


def test_one_seed_is_one_world_octet_by_octet() -> None:
    digests = [
        re.search(
            r"^seed 9: ([0-9a-f]{32}) ",
            simulate("--seed", "9", "--seconds", "60", hash_seed=value),
            re.M,
        )
        for value in ("1", "2")
    ]
    assert all(digests)
    assert len({found[1] for found in digests if found is not None}) == 1
