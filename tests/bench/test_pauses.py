"""Runs with real processes, a few hundred messages each: ledgers and passes, not their length."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from bench.disturbers import DISTURBERS, Sizes
from bench.drip import DripResult
from bench.pause_stage import PREFIXES, PROFILES, make_submits
from bench.pauses import app, draw, find_faults, run_all
from bench.yardstick import work

SMALL = Sizes(live=50, stored=1_000, tagged=50, sheet=100, large_sheet=200)


def result(**changed: int) -> DripResult:
    counts = {"submitted": 9, "accepted": 9, "refused": 0, "delivered": 9, "other_finals": 0}
    counts |= {"doubles": 0} | changed
    return DripResult(**counts, cpu_seconds=0.1, at=[], accepted_after=[], final_after=[])


def test_passes_are_watched_while_metrics_are_asked_for(tmp_path: Path) -> None:
    report = run_all(["scrape"], SMALL, 200, 1, tmp_path, has_stacks=False)
    (found,) = report.pauses
    assert found.faults == []
    assert found.passes > 100
    assert len(found.cpu) == len(found.wall) == len(found.accept) == len(found.yardstick) == 3
    assert found.cpu[0] <= found.cpu[1] <= found.cpu[2]
    assert found.private_bytes > 1_000_000
    assert list(tmp_path.iterdir()) == []
    pytest.importorskip("matplotlib")
    draw(report, tmp_path / "pauses.svg")
    assert "CPU time, ms" in (tmp_path / "pauses.svg").read_text()


def test_daemon_that_was_killed_is_watched_as_it_starts(tmp_path: Path) -> None:
    report = run_all(["restart"], SMALL, 200, 1, tmp_path, has_stacks=True)
    (found,) = report.pauses
    assert found.passes > 0


@pytest.mark.parametrize(
    ("changed", "taken", "fault"),
    [
        ({"accepted": 8}, 9, "accepted: 8, not 9"),
        ({"delivered": 8, "other_finals": 1}, 9, "ended otherwise: 1, not 0"),
        ({"doubles": 1}, 9, "told twice: 1, not 0"),
        ({}, 10, "taken by the carrier: 10, not 9"),
    ],
)
def test_ledgers_that_differ_are_faults(changed: dict[str, int], taken: int, fault: str) -> None:
    assert find_faults(result(), 9) == []
    assert fault in find_faults(result(**changed), taken)


def test_disturbers_name_carriers_that_there_are() -> None:
    named = {name for one in DISTURBERS.values() for name in (*one.carriers, *one.profiles)}
    assert named <= PROFILES.keys() <= PREFIXES.keys()


def test_every_submit_has_a_ref_of_its_own() -> None:
    lines = make_submits("quick", 3) + make_submits("idle", 3, '"tag":"sale",')
    assert len({line.partition(b'"to"')[0] for line in lines}) == 6
    assert b'"to":"+49162' in lines[-1]
    assert b'"tag":"sale"' in lines[-1]


def test_yardstick_does_the_same_work_each_time() -> None:
    assert work(5) == work(5) > 0


def test_disturbance_that_there_is_not_is_said_with_those_that_there_are() -> None:
    said = CliRunner().invoke(app, ["--only", "rain"])
    assert said.exit_code == 2
    assert "there is no rain" in said.output
