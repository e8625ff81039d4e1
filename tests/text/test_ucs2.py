"""UCS-2: big endian, no mark, pairs for what lies beyond U+FFFF."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from smppd.text import ucs2

PROPERTY = settings(deadline=None, derandomize=True, database=None, max_examples=150)


@PROPERTY
@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=80))
def test_text_comes_back(text: str) -> None:
    assert ucs2.decode(ucs2.encode(text)) == text
    assert ucs2.first_lone_surrogate(text) is None


def test_units_are_big_endian_without_a_mark() -> None:
    assert ucs2.encode("я€") == b"\x04\x4f\x20\xac"


def test_character_beyond_the_basic_plane_is_a_surrogate_pair() -> None:
    assert ucs2.encode("😀") == b"\xd8\x3d\xde\x00"


def test_lone_surrogates_are_found() -> None:
    assert ucs2.first_lone_surrogate("a\ud83db") == "\ud83d"
    assert ucs2.first_lone_surrogate("a\ude00\ud83d") == "\ude00"


@PROPERTY
@given(st.binary(max_size=60))
def test_decoding_never_fails(octets: bytes) -> None:
    assert isinstance(ucs2.decode(octets), str)


def test_odd_octet_at_the_end_becomes_a_replacement_character() -> None:
    assert ucs2.decode(b"\x04\x4f\x20") == "я\ufffd"
