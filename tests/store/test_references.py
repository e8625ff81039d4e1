"""The numbers that join segments: by destination, of 8 or 16 bits, on disk."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from smppd.store.environment import Environment, Table
from smppd.store.references import REFERENCE_MILLISECONDS, References


@pytest.fixture
def table(tmp_path: Path) -> Iterator[Table]:
    """The table in a transaction."""
    environment = Environment(tmp_path / "state", 1 << 24)
    environment.begin(write=True)
    yield environment.tables["references"]
    environment.close()


def test_each_destination_counts_up_by_itself(table: Table) -> None:
    references = References(table)
    assert [references.next("49151", 1) for _ in range(3)] == [0, 1, 2]
    assert references.next("49152", 1) == 0
    assert References(table).next("49151", 1) == 3


def test_narrow_reference_comes_back_after_256_and_a_wide_one_after_65536(table: Table) -> None:
    references = References(table)
    narrow = [references.next("1", 1) for _ in range(257)]
    assert sorted(set(narrow)) == list(range(256))
    assert narrow[256] == 0
    wide = [references.next("2", 1, wide=True) for _ in range(0x10001)]
    assert wide == [*range(0x10000), 0]


def test_narrow_and_wide_references_in_a_row_differ_in_their_low_octet_too(table: Table) -> None:
    references = References(table)
    given = [references.next("1", 1, wide=bool(number % 2)) for number in range(256 * 3)]
    low = [reference & 0xFF for reference in given]
    assert all(len(set(low[start : start + 256])) == 256 for start in range(512))
    assert max(given[::2]) == 0xFE
    assert max(given) > 0xFF


def test_row_of_an_8_bit_count_is_read_on(table: Table) -> None:
    table.put(b"1", b"\xff" + (5).to_bytes(8))
    table.put(b"2", b"\x07" + (5).to_bytes(8))
    references = References(table)
    assert references.next("1", 9, wide=True) == 0x100
    assert references.next("2", 9) == 8


def test_destination_of_long_ago_is_forgotten(tmp_path: Path) -> None:
    environment = Environment(tmp_path / "state", 1 << 24)
    environment.begin(write=True)
    table = environment.tables["references"]
    table.put(b"1", b"\x07" + (5).to_bytes(8))
    References(table).next("2", 5)
    References(table).next("3", 6)
    environment.commit()
    environment.begin(write=True)
    References(table).sweep(REFERENCE_MILLISECONDS + 6, 10)
    environment.commit()
    environment.begin(write=False)
    assert list(table.keys_from(b"")) == [b"3"]
    environment.close()
