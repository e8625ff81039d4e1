"""Keys sort as what they stand for, and read back as what they were built from."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smppd.store import keys

_IDS = st.integers(0, 2**63)


@given(_IDS, _IDS)
def test_message_ids_sort_as_numbers(first: int, second: int) -> None:
    assert (keys.pack_u64(first) < keys.pack_u64(second)) == (first < second)
    assert (keys.show_id(first) < keys.show_id(second)) == (first < second)


@given(_IDS)
def test_shown_id_reads_back(message_id: int) -> None:
    assert keys.read_id(keys.show_id(message_id)) == message_id


@pytest.mark.parametrize(
    "text", ["", "12", "0" * 17, "-00000000000000f", "0_00000000000000", "G" * 16]
)
def test_other_text_is_no_id(text: str) -> None:
    assert keys.read_id(text) is None


@given(st.binary(min_size=1, max_size=20), st.integers(0, 2), st.integers(0, 2**40), _IDS)
def test_queue_key_reads_back(group: bytes, lane: int, due: int, message_id: int) -> None:
    key = keys.queue_key(group, lane, "shop", due, message_id)
    address = keys.QueueAddress(key)
    assert (address.group, address.lane, address.app) == (group, lane, "shop")
    assert key.startswith(address.prefix)
    assert keys.read_queue_tail(key) == (due, message_id)


@given(st.lists(st.tuples(st.integers(0, 2**40), _IDS), max_size=20))
def test_queue_rows_sort_by_due_and_then_by_age(rows: list[tuple[int, int]]) -> None:
    built = [keys.queue_key(b"r12345678", 1, "shop", due, number) for due, number in rows]
    assert [keys.read_queue_tail(key) for key in sorted(built)] == sorted(rows)


def test_groups_of_carriers_with_a_common_beginning_do_not_overlap() -> None:
    short = keys.queue_prefix(b"calpha", 1, "shop")
    long = keys.queue_key(b"calpha2", 1, "shop", 0, 1)
    assert not long.startswith(short)


@given(st.integers(0, 2**64 - 1), st.integers(0, 65_535))
def test_tag_reads_back(message_id: int, index: int) -> None:
    assert keys.unpack_tag(keys.pack_tag(message_id, index)) == (message_id, index)
