"""A fairness run of a few hundred messages, with real processes: the ledgers, not the shares."""

from __future__ import annotations

from pathlib import Path

from bench.fair_report import FairSettings
from bench.fairness import run_once

SETTINGS = FairSettings(paces={"fast": 100.0, "slow": 5.0}, window=20, waiting=500, seconds=1.0)


def test_ledgers_of_a_short_run_are_equal_and_every_phase_is_told(tmp_path: Path) -> None:
    report = run_once(SETTINGS, tmp_path)
    assert report.faults == []
    assert [cost.phase for cost in report.costs] == ["idle", "fill", "steady", "crowd", "contest"]
    assert report.costs[1].queued > 400, "the campaign waits"
    assert all(cost.private_peak > 1_000_000 for cost in report.costs)
    assert {(use.phase, use.carrier) for use in report.uses} == {
        ("steady", "fast"),
        ("steady", "slow"),
        ("contest", "fast"),
        ("contest", "slow"),
    }
    assert sum(share.got for share in report.shares if share.stream == "campaign fast") > 0
    assert set(report.series) == {
        f"{stream} {carrier}"
        for stream in ("codes", "shop", "campaign", "news")
        for carrier in ("fast", "slow")
    }
