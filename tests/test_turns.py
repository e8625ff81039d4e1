"""Rows come whole and in order, with rests between them for whoever asked to rest."""

from __future__ import annotations

import threading
import time

import pytest

from smppd import turns
from smppd.turns import ROWS, in_turns, resting


@pytest.fixture
def rests(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The rests taken; every look at the clock finds a turn over."""
    taken: list[float] = []
    clock = iter(range(10**6))
    monkeypatch.setattr(time, "sleep", taken.append)
    monkeypatch.setattr(time, "perf_counter", lambda: float(next(clock)))
    return taken


@pytest.mark.parametrize("count", [0, 1, ROWS - 1, ROWS, ROWS + 1, 3 * ROWS])
def test_rows_are_the_same_with_rests_and_without(count: int) -> None:
    rows = list(range(count))
    assert list(in_turns(rows)) == rows
    with resting():
        assert list(in_turns(rows)) == rows


def test_whoever_rests_does_so_when_a_turn_is_over(rests: list[float]) -> None:
    with resting():
        assert len(list(in_turns(range(3 * ROWS)))) == 3 * ROWS
    assert rests == [turns.REST_SECONDS] * 3


def test_nobody_rests_who_did_not_ask(rests: list[float]) -> None:
    rows = list(range(3 * ROWS))
    assert in_turns(rows) is rows
    with resting():
        pass
    assert list(in_turns(rows)) == rows
    assert rests == []


def test_only_the_thread_that_asked_rests() -> None:
    rows = list(range(3 * ROWS))
    found: list[object] = []
    with resting():
        other = threading.Thread(target=lambda: found.append(in_turns(rows)))
        other.start()
        other.join()
    assert found == [rows]
