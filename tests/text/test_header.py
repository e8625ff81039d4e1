"""A user data header is read for what joins and what shifts; what is wrong in it harms nothing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smppd.text.header import NO_HEADER, Concatenation, Header, concatenate, read_header


@pytest.mark.parametrize(
    ("octets", "concatenation"),
    [
        ("050003070201", Concatenation("udh8", 7, 2, 1)),
        ("06080401070202", Concatenation("udh16", 0x0107, 2, 2)),
        ("0b05040b8423f00003070201", Concatenation("udh8", 7, 2, 1)),
        ("0500030701 01", None),  # of one segment there is nothing to join
        ("050003070200", None),  # segments are numbered from 1
        ("050003070203", None),  # above their number
        ("0400020702", None),  # an octet short
    ],
)
def test_header_says_which_segment_it_is(octets: str, concatenation: Concatenation | None) -> None:
    assert read_header(bytes.fromhex(octets)).concatenation == concatenation


def test_header_names_its_shift_tables() -> None:
    header = read_header(bytes.fromhex("06240101250102") + b"text")
    assert (header.single, header.locking, header.octets) == (1, 2, 7)
    assert header.others == b""


def test_what_else_a_header_says_is_kept_as_a_header() -> None:
    header = read_header(bytes.fromhex("0b05040b8423f0000307020141"))
    assert header.others == bytes.fromhex("0605040b8423f0")
    assert header.octets == 12


@pytest.mark.parametrize("octets", ["", "05", "0500030702"])
def test_header_longer_than_the_data_is_none(octets: str) -> None:
    assert read_header(bytes.fromhex(octets)) == NO_HEADER


def test_element_that_is_too_long_ends_the_header_there() -> None:
    found = read_header(bytes.fromhex("0824010100f0070201"))
    assert found == Header(octets=9, single=1)


def test_sar_numbers_that_make_no_sense_join_nothing() -> None:
    assert concatenate("sar", 1, 0, 0) is None
    assert concatenate("sar", 1, 256, 1) is None
    assert concatenate("sar", 0x1_0005, 2, 2) == Concatenation("sar", 5, 2, 2)


@given(st.binary(max_size=160))
def test_no_octets_are_too_odd_to_be_read(data: bytes) -> None:
    header = read_header(data)
    assert header.octets <= len(data)
    assert len(header.others) <= header.octets
    if header.others:
        assert read_header(header.others).others == header.others
