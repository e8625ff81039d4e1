"""Restarts on small stores, with real processes and a real notify socket."""

from __future__ import annotations

from pathlib import Path

from bench.fill import What
from bench.restart import draw, run_all

MESSAGES = 30


def test_every_start_is_timed_to_ready_with_what_it_cost(tmp_path: Path) -> None:
    report = run_all([MESSAGES], What.queued, "hex", 1, tmp_path, cold=True, stages=True)
    assert [one.is_cold for one in report.starts] == [False, True]
    for start in report.starts:
        assert start.messages == MESSAGES
        assert start.cpu_seconds > 0
        assert start.seconds > 0
        assert start.private > 1_000_000
    assert report.octets[MESSAGES] > 8192
    stages = report.stages[MESSAGES]
    assert {"imports", "start check of the store", "first commit"} <= stages.keys()
    assert stages["imports"][1] > 0
    assert list(tmp_path.iterdir()) == []
    draw(report, tmp_path / "restart.svg")
    assert (tmp_path / "restart.svg").stat().st_size > 1_000
