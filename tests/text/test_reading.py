"""User data is read by its data_coding, its header and the carrier's own ways, joined first."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smppd.text import gsm7, national, packing
from smppd.text.reading import Piece, coding_of, read_pieces
from smppd.text.segment import PLAIN_FORM, Form, plan, split

LATIN = Form(default_alphabet="latin1")
PACKED = Form(packed=True)


def read(data: bytes, data_coding: int, form: Form = PLAIN_FORM) -> str | None:
    return read_pieces([Piece(data, data_coding, has_header=False)], form).text


@pytest.mark.parametrize(
    ("data_coding", "data", "text"),
    [
        (0x00, b"\x00\x02\x1b\x65", "@$€"),
        (0x01, b"IA5 @", "IA5 @"),
        (0x03, b"caf\xe9", "café"),
        (0x05, "日本".encode("iso2022_jp"), "日本"),
        (0x05, "日本".encode("shift_jis"), "日本"),
        (0x06, "Привет".encode("iso8859_5"), "Привет"),
        (0x07, "שלום".encode("iso8859_8"), "שלום"),
        (0x08, "短信😀".encode("utf-16-be"), "短信😀"),
        (0x0D, "丂".encode("iso2022_jp_1"), "丂"),
        (0x0D, "日本".encode("euc_jp"), "日本"),
        (0x0E, "한국".encode("euc_kr"), "한국"),
        (0x10, b"\x00", "@"),  # general group, class 0
        (0x11, b"\x00", "@"),
        (0x18, "短".encode("utf-16-be"), "短"),
        (0x48, "短".encode("utf-16-be"), "短"),  # to be deleted by itself
        (0xC8, b"\x00", "@"),  # message waiting
        (0xD0, b"\x00", "@"),
        (0xE0, "短".encode("utf-16-be"), "短"),
        (0xF0, b"\x00", "@"),
        (0xF3, b"\x00", "@"),
    ],
)
def test_text_is_read_by_its_data_coding(data_coding: int, data: bytes, text: str) -> None:
    assert read(data, data_coding) == text


@pytest.mark.parametrize(
    "data_coding",
    [0x02, 0x04, 0x09, 0x0A, 0x0B, 0x0F, 0x14, 0x1C, 0x20, 0x38, 0x80, 0xBF, 0xF4, 0xFF],
)
def test_octets_and_what_is_reserved_or_compressed_are_no_text(data_coding: int) -> None:
    assert read(b"abcd", data_coding) is None


@pytest.mark.parametrize(("data_coding", "data"), [(0x05, b"\xff\xff"), (0x0E, b"\xff\xff")])
def test_octets_that_the_coding_lacks_are_no_text(data_coding: int, data: bytes) -> None:
    assert read(data, data_coding) is None


def test_data_coding_0_is_what_it_means_at_the_carrier() -> None:
    assert read(b"@\xe9", 0, LATIN) == "@é"
    assert read(b"@", 0, Form(default_alphabet="ascii")) == "@"
    assert read(b"\x00", 0xF0, LATIN) == "@"  # GSM-7, whatever 0 means


@pytest.mark.parametrize(("single", "locking"), [(1, 0), (0, 1), (3, 3), (6, 6)])
def test_header_says_which_national_tables_count(single: int, locking: int) -> None:
    septets = b"\x04\x07A\x1bS\x1b\x65"
    header = bytes((6, 0x24, 1, single, 0x25, 1, locking))
    expected = national.decode(septets, single, locking)
    piece = Piece(header + septets, 0, has_header=True)
    assert read_pieces([piece], PLAIN_FORM).text == expected
    assert expected != gsm7.decode(septets)


@pytest.mark.parametrize("text", ["hello @", "a" * 7 + "@", "€" * 3])
def test_packed_text_is_unpacked_behind_its_header(text: str) -> None:
    septets = gsm7.encode(text)
    assert septets is not None
    assert read(packing.pack(septets), 0, PACKED) == text
    header = b"\x05\x00\x03\x07\x02\x01"
    octets = header + packing.pack(septets, packing.fill_bits(len(header)))
    assert read_pieces([Piece(octets, 0, has_header=True)], PACKED).text == text
    assert read("短".encode("utf-16-be"), 8, PACKED) == "短"


@pytest.mark.parametrize(
    ("whole", "data_coding"), [(b"\x1b\x65" * 3, 0), ("😀é短".encode("utf-16-be"), 8)]
)
def test_text_is_joined_before_it_is_read(whole: bytes, data_coding: int) -> None:
    expected = read(whole, data_coding)
    for cut in range(len(whole)):
        cuts = [whole[:cut], whole[cut:]]
        pieces = [Piece(one, data_coding, False, number) for number, one in enumerate(cuts, 1)]
        assert read_pieces(pieces, PLAIN_FORM).text == expected


def test_what_is_missing_parts_what_is_read() -> None:
    """The escape before a gap shifts nothing behind it."""
    pieces = [Piece(b"a\x1b", 0, False, 1), Piece(b"\x65b", 0, False, 3)]
    assert read_pieces(pieces, PLAIN_FORM).text == "a eb"


def test_segments_of_different_codings_are_read_each_in_its_own() -> None:
    pieces = [Piece(b"a", 0, False, 1), Piece("短".encode("utf-16-be"), 8, False, 2)]
    assert read_pieces(pieces, PLAIN_FORM).text == "a短"
    pieces.append(Piece(b"\x01", 4, False, 3))
    assert read_pieces(pieces, PLAIN_FORM).text is None


TEXTS = st.text(st.sampled_from("ab@€{é 短😀"), max_size=400)


@given(TEXTS, st.sampled_from(["udh8", "udh16"]), st.sampled_from([PLAIN_FORM, PACKED]))
def test_what_is_split_is_read_back(text: str, long_message: str, form: Form) -> None:
    form = Form(long_message, packed=form.packed)  # type: ignore[arg-type]
    planned = plan(text, "auto", form)
    bodies = split(text, planned.encoding, form, 7)  # type: ignore[union-attr]
    coding = 8 if planned.encoding == "ucs2" else 0  # type: ignore[union-attr]
    pieces = [Piece(one, coding, len(bodies) > 1, n) for n, one in enumerate(bodies, 1)]
    assert read_pieces(pieces, form).text == text


@given(st.binary(max_size=300), st.integers(0, 255), st.booleans(), st.booleans())
def test_no_octets_are_too_odd_to_be_read(
    data: bytes, data_coding: int, has_header: bool, packed: bool
) -> None:
    pieces = [Piece(data[:100], data_coding, has_header, 1), Piece(data, data_coding, True, 2)]
    text = read_pieces(pieces, Form(packed=packed)).text
    assert text is None or coding_of(data_coding) is not None
