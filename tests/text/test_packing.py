"""Packed septets: the examples of the standard, an independent reading, fill bits and the end."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smppd.text.packing import fill_bits, pack, unpack

PROPERTY = settings(deadline=None, derandomize=True, database=None, max_examples=200)

septet_strings = st.binary(max_size=170).map(lambda octets: bytes(o & 0x7F for o in octets))


def read_bits(octets: bytes, fill: int) -> list[int]:
    """All the septets there are in ``octets``, bit by bit, each low bit first."""
    bits = [octet >> place & 1 for octet in octets for place in range(8)][fill:]
    whole = range(0, len(bits) - 6, 7)
    return [sum(bit << place for place, bit in enumerate(bits[at : at + 7])) for at in whole]


@pytest.mark.parametrize(
    ("text", "packed"),
    [
        # 3GPP TS 23.038 s6.1.2 and what phones write: widely published examples.
        (b"1234567", "31d98c56b3dd1a"),
        (b"12345678", "31d98c56b3dd70"),
        (b"hello", "e8329bfd06"),
        (b"hellohello", "e8329bfd4697d9ec37"),
        (b"How are you?", "c8f71d14969741f977fd07"),
        (b"@", "00"),
        (b"", ""),
    ],
)
def test_packed_octets_are_the_published_ones(text: bytes, packed: str) -> None:
    septets = text.replace(b"@", b"\0")
    assert pack(septets).hex() == packed
    assert unpack(bytes.fromhex(packed)) == septets


@PROPERTY
@given(septet_strings, st.integers(0, 6))
def test_packed_bits_are_the_fill_then_each_septet_low_bit_first(septets: bytes, fill: int) -> None:
    packed = pack(septets, fill)
    read = read_bits(packed, fill)
    assert bytes(read[: len(septets)]) == septets
    assert int.from_bytes(packed, "little") & ((1 << fill) - 1) == 0
    assert len(read) - len(septets) <= 1


@pytest.mark.parametrize("fill", range(7))
def test_long_texts_are_packed_as_one(fill: int) -> None:
    septets = bytes(place % 127 for place in range(1_001))
    packed = pack(septets, fill)
    assert bytes(read_bits(packed, fill)[: len(septets)]) == septets
    assert unpack(packed, fill) == septets


@PROPERTY
@given(septet_strings, st.integers(0, 6))
def test_what_was_packed_comes_back(septets: bytes, fill: int) -> None:
    comes = unpack(pack(septets, fill), fill)
    is_doubled = septets.endswith(b"\r") and (fill + 7 * len(septets)) % 8 == 0
    assert comes == (septets + b"\r" if is_doubled else septets)


@pytest.mark.parametrize("fill", range(7))
def test_seven_spare_bits_are_a_carriage_return_and_no_commercial_at(fill: int) -> None:
    count = next(n for n in range(1, 9) if (fill + 7 * n) % 8 == 1)
    assert read_bits(pack(b"a" * count, fill), fill)[count:] == [0x0D]
    assert unpack(pack(b"a" * count, fill), fill) == b"a" * count


def test_text_that_ends_in_a_carriage_return_on_the_last_bit_is_given_another() -> None:
    assert read_bits(pack(b"aaaaaaa\r"), 0) == [*b"aaaaaaa\r\r"]
    assert unpack(pack(b"aaaaaaa\r")) == b"aaaaaaa\r\r"


def test_full_segment_has_no_room_for_the_second_carriage_return() -> None:
    assert len(pack(b"a" * 159 + b"\r", octets_max=140)) == 140
    assert len(pack(b"a" * 159 + b"\r")) == 141


@pytest.mark.parametrize(
    ("header_octets", "bits"), [(0, 0), (4, 3), (6, 1), (7, 0), (9, 5), (10, 4), (12, 2), (13, 1)]
)
def test_fill_bits_end_the_header_on_a_septet_boundary(header_octets: int, bits: int) -> None:
    assert fill_bits(header_octets) == bits
    assert (8 * header_octets + bits) % 7 == 0
