"""hypothesis over every target: inputs of its own, and kept ones with something done to them."""

from __future__ import annotations

import functools

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz.targets import TARGETS, read_corpus

EXAMPLES = 60
"""A target; ``make fuzz`` has as many as there is time for."""

SLOW = {"ledger": 30, "quarantine": 30, "config": 40, "http": 40, "terminal": 40}
"""Fewer, where an input is a store, a directory or a loop."""

PIECES = st.binary(max_size=24)


@functools.cache
def kept(target: str) -> list[bytes]:
    return [data for _, data in read_corpus(target)]


@st.composite
def mutations(draw: st.DrawFn, target: str) -> bytes:
    """A kept input, cut somewhere, with something put in, and with the end of another."""
    inputs = kept(target)
    data = draw(st.sampled_from(inputs))
    at = draw(st.integers(0, len(data)))
    dropped = draw(st.integers(0, 8))
    tail = data[at + dropped :] if draw(st.booleans()) else draw(st.sampled_from(inputs))
    return data[:at] + draw(PIECES) + tail


@pytest.mark.parametrize("target", TARGETS)
def test_no_input_breaks_a_promise(target: str) -> None:
    examples = SLOW.get(target, EXAMPLES)

    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(st.binary(max_size=200) | mutations(target))
    def judge(data: bytes) -> None:
        TARGETS[target](data)

    judge()
