"""GSM 03.38: the table against a written-out reference and an independent package."""

from __future__ import annotations

import gsm0338
from hypothesis import given, settings
from hypothesis import strategies as st

from smppd.text import gsm7

PROPERTY = settings(deadline=None, derandomize=True, database=None, max_examples=150)

ORACLE = gsm0338.Codec()

ALPHABET = [c for c in gsm7.BASIC if c != "\x1b"] + list(gsm7.EXTENSION.values())
TABLE = {c: bytes([septet]) for septet, c in enumerate(gsm7.BASIC) if c != "\x1b"} | {
    c: bytes([gsm7.ESC, septet]) for septet, c in gsm7.EXTENSION.items()
}

gsm_texts = st.text(st.sampled_from(ALPHABET), max_size=200)


def encode_by_table(text: str) -> bytes | None:
    """The clear version that the fast one must equal."""
    if all(c in TABLE for c in text):
        return b"".join(TABLE[c] for c in text)
    return None


def test_alphabet_has_128_basic_septets_and_ten_extension_characters() -> None:
    assert len(gsm7.BASIC) == len(set(gsm7.BASIC)) == 128
    assert len(gsm7.EXTENSION) == len(set(gsm7.EXTENSION.values())) == 10
    assert not set(gsm7.BASIC) & set(gsm7.EXTENSION.values())


def test_every_character_below_u_10000_encodes_as_the_table_says() -> None:
    every = [chr(code) for code in range(0x10000)]
    assert [gsm7.encode(c) for c in every] == [TABLE.get(c) for c in every]


def test_every_character_of_the_alphabet_agrees_with_gsm0338() -> None:
    assert [gsm7.encode(c) for c in ALPHABET] == [ORACLE.encode(c)[0] for c in ALPHABET]


@PROPERTY
@given(gsm_texts)
def test_texts_of_the_alphabet_agree_with_gsm0338_and_come_back(text: str) -> None:
    septets = gsm7.encode(text)
    assert septets is not None
    assert septets == ORACLE.encode(text)[0] == encode_by_table(text)
    assert gsm7.decode(septets) == text


@PROPERTY
@given(st.text(st.one_of(st.sampled_from(ALPHABET), st.characters()), max_size=40))
def test_fast_encoding_equals_the_table(text: str) -> None:
    assert gsm7.encode(text) == encode_by_table(text)


@PROPERTY
@given(st.text(st.one_of(st.sampled_from(ALPHABET), st.characters()), max_size=40))
def test_first_unencodable_is_the_first_character_out_of_the_table(text: str) -> None:
    assert gsm7.first_unencodable(text) == next((c for c in text if c not in TABLE), None)


@PROPERTY
@given(st.binary(max_size=60))
def test_decoding_never_fails(octets: bytes) -> None:
    assert isinstance(gsm7.decode(octets), str)


def test_section_sign_is_0x5f_and_backtick_is_not_in_the_alphabet() -> None:
    assert gsm7.encode("§") == b"\x5f"
    assert gsm7.encode("`") is None
    assert gsm7.first_unencodable("a`b") == "`"


def test_capital_c_cedilla_is_in_the_alphabet_and_the_small_one_is_not() -> None:
    assert gsm7.encode("Ç") == b"\x09"
    assert gsm7.encode("ç") is None


def test_commercial_at_is_octet_zero_and_nul_is_not_encodable() -> None:
    assert gsm7.encode("a@b") == b"a\x00b"
    assert gsm7.encode("a@€b") == b"a\x00\x1b\x65b"
    assert gsm7.encode("a\0b") is None
    assert gsm7.first_unencodable("a\0b`") == "\0"


def test_form_feed_is_in_the_extension_table() -> None:
    assert gsm7.encode("\f") == b"\x1b\x0a"
    assert gsm7.decode(b"\x1b\x0a") == "\f"


def test_raw_escape_is_no_character_to_encode() -> None:
    assert gsm7.encode("a\x1bb") is None
    assert gsm7.first_unencodable("a\x1bb") == "\x1b"


def test_escape_before_a_septet_out_of_the_extension_table_reads_as_the_base_character() -> None:
    assert gsm7.decode(b"a\x1bbc") == "abc"
    assert gsm7.decode(b"\x1b\x00") == "@"


def test_escape_at_the_end_or_twice_reads_as_a_space() -> None:
    assert gsm7.decode(b"a\x1b") == "a "
    assert gsm7.decode(b"a\x1b\x1be") == "a e"


def test_octets_above_0x7f_are_no_septets() -> None:
    assert gsm7.decode(b"a\x80\xff") == "a\ufffd\ufffd"
