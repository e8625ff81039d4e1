"""Packed deadlines: never early, at most a second late, none lost."""

from __future__ import annotations

import tempfile
from itertools import count
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from smppd.store.deadlines import Deadlines
from smppd.store.environment import Environment

IDS = count(1)


def open_deadlines(directory: Path) -> tuple[Environment, Deadlines]:
    environment = Environment(directory, 1 << 24)
    deadlines = Deadlines(environment.tables["deadlines"])
    environment.begin(write=False)
    deadlines.load()
    environment.abort()
    return environment, deadlines


def add(environment: Environment, deadlines: Deadlines, *ats: int) -> None:
    environment.begin(write=True)
    for at in ats:
        deadlines.add(at, at)
    deadlines.flush(IDS.__next__)
    environment.commit()


def take(environment: Environment, deadlines: Deadlines, now: int, most: int = 100) -> list[int]:
    environment.begin(write=True)
    due = [entry for entry in deadlines.take_due(now, most) if isinstance(entry, int)]
    environment.commit()
    return due


def test_entries_come_when_their_second_has_ended(tmp_path: Path) -> None:
    environment, deadlines = open_deadlines(tmp_path)
    add(environment, deadlines, 1_500, 2_000, 2_001)
    assert deadlines.next_at() == 2_000
    assert take(environment, deadlines, 1_999) == []
    assert take(environment, deadlines, 2_000) == [1_500, 2_000]
    assert deadlines.next_at() == 3_000
    environment.close()


def test_only_so_many_are_taken_at_once(tmp_path: Path) -> None:
    environment, deadlines = open_deadlines(tmp_path)
    for at in (1_000, 2_000, 3_000):
        add(environment, deadlines, at, at)
    assert take(environment, deadlines, 9_000, most=3) == [1_000, 1_000, 2_000, 2_000]
    assert deadlines.next_at() == 3_000
    assert take(environment, deadlines, 9_000) == [3_000, 3_000]
    assert deadlines.next_at() is None
    environment.close()


def test_entries_survive_a_restart(tmp_path: Path) -> None:
    environment, deadlines = open_deadlines(tmp_path)
    add(environment, deadlines, 5_000)
    environment.close()
    environment, deadlines = open_deadlines(tmp_path)
    assert deadlines.next_at() == 5_000
    add(environment, deadlines, 5_000)
    assert take(environment, deadlines, 5_000) == [5_000, 5_000]
    environment.close()


@given(st.lists(st.integers(1, 10_000), min_size=1, max_size=30), st.integers(0, 11_000))
def test_what_is_due_is_what_ended_before_now(ats: list[int], now: int) -> None:
    with tempfile.TemporaryDirectory() as directory:
        environment, deadlines = open_deadlines(Path(directory))
        add(environment, deadlines, *ats)
        due = take(environment, deadlines, now, most=1_000)
        rest = take(environment, deadlines, 20_000, most=1_000)
        environment.close()
    assert sorted(due + rest) == sorted(ats)
    assert all(at <= now for at in due)
    assert all(at > now - 1_000 for at in rest)
