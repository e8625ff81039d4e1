"""The micro benchmark runs, and what it times does its work."""

from __future__ import annotations

from pathlib import Path

from bench.micro import Case, measure, measure_all
from bench.pipeline import Pipeline


def test_every_function_and_stage_has_a_time(tmp_path: Path) -> None:
    timings = measure_all(tmp_path, steps=3, seconds_min=0.0)
    names = [timing.name for timing in timings]
    assert {"encode_submit_sm", "stage: commit, with its fsync", "all stages"} <= set(names)
    assert all(timing.us > 0 for timing in timings)


def test_a_time_is_for_one_of_what_a_call_does_many_of() -> None:
    calls: list[None] = []
    timing = measure(Case("nothing", lambda: calls.append(None), 10), 0.001)
    assert len(calls) > 100
    assert 0 < timing.us < 10


def test_the_pipeline_delivers_every_message_but_those_of_its_last_step(tmp_path: Path) -> None:
    pipeline = Pipeline(tmp_path / "store", 20)
    for _ in range(4):
        pipeline.step()
    statistics = pipeline.store.statistics()
    pipeline.close()
    assert (statistics.accepted, statistics.receipts_matched) == (80, 60)
    assert (statistics.duplicates, statistics.receipts_unmatched) == (0, 0)
