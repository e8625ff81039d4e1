"""``docs/reliability.md`` against the suite: every fault it lists is held by tests that exist."""

from __future__ import annotations

from typing import Final

import pytest

from tests.named import missing_of, named_tests, read_rows

FAULTS: Final = 36
"""Rows of the list: kills, disks, carriers, apps, clocks."""


def test_every_fault_has_its_row() -> None:
    assert list(read_rows("reliability.md")) == [*range(1, FAULTS + 1)]


@pytest.mark.parametrize("number", range(1, FAULTS + 1))
def test_row_names_tests_that_exist(number: int) -> None:
    named = named_tests(read_rows("reliability.md")[number])
    assert named, f"row {number} names no test"
    assert missing_of(named) == []
