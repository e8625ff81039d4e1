"""``docs/carriers.md`` against the suite and the configuration: quirks, tests and keys."""

from __future__ import annotations

import re
from typing import Final

import pytest

from smppd.config.model import CarrierConfig
from tests.named import DOCS, TESTS, functions_of, missing_of, named_tests, read_rows

QUIRKS: Final = 40
"""Rows of the list: what carriers do that the specification did not foresee."""

TEXT: Final = (DOCS / "carriers.md").read_text(encoding="utf-8")


def test_every_quirk_has_its_row() -> None:
    assert list(read_rows("carriers.md")) == [*range(1, QUIRKS + 1)]


@pytest.mark.parametrize("number", range(1, QUIRKS + 1))
def test_row_names_tests_that_exist_and_one_that_is_named_after_it(number: int) -> None:
    named = named_tests(read_rows("carriers.md")[number])
    assert missing_of(named) == []
    assert any(f"::test_b{number:02d}_" in one for one in named)


def test_no_test_of_a_quirk_is_left_out() -> None:
    """Nor a number given to a quirk that is none."""
    there = {
        f"quirks/{path.name}::{name}"
        for path in sorted((TESTS / "quirks").glob("test_*.py"))
        for name in functions_of(path)
        if name.startswith("test_")
    }
    told = {one for row in read_rows("carriers.md").values() for one in named_tests(row)}
    assert sorted(there - told) == []
    assert [one for one in there if not re.search(r"::test_b(0[1-9]|[123]\d|40)_", one)] == []


def test_every_key_of_a_carrier_is_a_cure_for_something() -> None:
    """Keys that say who and where are left out: nobody looks for a symptom of those."""
    plain = {"name", "host", "port", "system_id", "password"}
    keys = set(CarrierConfig.__struct_fields__) - plain
    assert sorted(key for key in keys if f"`{key}" not in TEXT and f"`[{key}" not in TEXT) == []
