"""What ``bench.instructions`` counts: every micro case of ours, and every stage of the pipeline.

All of it is the same in every run: the clock counts, and ids are made of the clock.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

from bench.callgrind import Counter
from bench.counted import STAGE
from bench.micro import BATCH, MILLISECONDS, Case, make_cases, make_event_cases
from bench.pipeline import Pipeline

WARM_STEPS: Final = 20
"""Of the pipeline, uncounted: until the interpreter has specialised every function, and the store
has its second level of pages."""

STEPS: Final = 10
"""Counted: a commit that splits pages and one that does not even out."""

WARM_ROUNDS: Final = 3
"""Of BATCH things, of every case: more than the interpreter's specialising takes."""

_T = TypeVar("_T")


def prepare(directory: Path) -> Callable[[Counter], None]:
    """Makes all cases and warms them up; the function that it returns has them counted."""
    pipeline = Pipeline(directory / "store", BATCH, wall=itertools.count(MILLISECONDS).__next__)
    for _ in range(WARM_STEPS):
        pipeline.step()
    cases = [*(case for case in make_cases() if case.ours), *make_event_cases(pipeline)]
    for case in cases:
        for _ in range(WARM_ROUNDS):
            _do_batch(case)
    return partial(_count, cases, pipeline)


def _count(cases: list[Case], pipeline: Pipeline, counter: Counter) -> None:
    for case in cases:
        counter.count(case.name, BATCH, partial(_do_batch, case))

    def count_stage(stage: str, call: Callable[[], _T], /) -> _T:
        return counter.count(STAGE + stage, BATCH, call)

    pipeline.meter = count_stage
    for _ in range(STEPS):
        pipeline.step()
    pipeline.close()


def _do_batch(case: Case) -> None:
    call = case.call
    for _ in range(BATCH // case.count):
        call()
