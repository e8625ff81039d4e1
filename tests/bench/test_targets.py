"""The table of targets: who reached what, and that its programs run."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from bench.processes import ROOT
from bench.target_runs import PARTS
from bench.targets import TARGETS, Target, TargetsReport, judge

MORE = Target("turns", "rate", "messages/s", 25_000, 45_000)
LESS = Target("turns", "cpu", "CPU s per 1,000", 0.035, 0.020, False)


@pytest.mark.parametrize(
    ("target", "values", "verdict"),
    [
        (MORE, [1.0, 45_000.0, 90_000.0], "stretch"),
        (MORE, [44_999.0, 44_999.0, 90_000.0], "target"),
        (MORE, [24_999.0], "missed"),
        (LESS, [0.020, 0.020, 0.9], "stretch"),
        (LESS, [0.021, 0.035, 0.9], "target"),
        (LESS, [0.010, 0.036, 0.9], "missed"),
        (LESS, [], "not measured"),
    ],
)
def test_the_median_decides_what_was_reached(
    target: Target, values: list[float], verdict: str
) -> None:
    assert judge(target, values).verdict == verdict


def test_runs_of_another_size_are_not_judged() -> None:
    assert judge(MORE, [90_000.0], is_full_size=False).verdict == "not judged"


def test_every_target_has_a_part_that_measures_it_and_a_name_of_its_own() -> None:
    assert {target.part for target in TARGETS} == set(PARTS)
    assert len({target.key for target in TARGETS}) == len(TARGETS)
    assert len({target.name for target in TARGETS}) == len(TARGETS)


def test_a_part_that_does_not_exist_is_refused() -> None:
    done = run_targets("--only", "everything")
    assert done.returncode == 2
    assert "not everything" in done.stderr


def test_a_part_is_measured_and_its_rows_are_left_in_a_file(tmp_path: Path) -> None:
    path = tmp_path / "targets.json"
    done = run_targets("--only", "restart", "--quick", "--json", str(path))
    assert done.returncode == 0, done.stdout + done.stderr
    report = msgspec.json.decode(path.read_bytes(), type=TargetsReport)
    (row,) = report.rows
    assert row.verdict == "not judged"
    assert row.spread is not None
    assert 0 < row.spread.min < row.spread.max + 0.001
    assert report.faults == []


def run_targets(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "bench.targets", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
