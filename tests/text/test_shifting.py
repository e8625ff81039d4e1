"""Texts under national language shift tables: which tables, what sizes, which header, and where
UCS-2 stays. Read back by ``reading``, which knows nothing of how they were cut."""

from __future__ import annotations

import pytest
import regex
from hypothesis import given, settings
from hypothesis import strategies as st

from smppd.errors import LocalProtocolError
from smppd.text import segment
from smppd.text.header import read_header
from smppd.text.national import LANGUAGES
from smppd.text.reading import Piece, read_pieces
from smppd.text.segment import Form, LongMessage, NotEncodable, Plan, TooLong
from smppd.text.shifting import Shift, septets_beside, shift_text

PROPERTY = settings(deadline=None, derandomize=True, database=None, max_examples=120)

TURKISH = Form(languages=(LANGUAGES["tr"],))
SPANISH = Form(languages=(LANGUAGES["es"],))
HINDI = Form(languages=(LANGUAGES["hi"],))
GRAPHEMES = ["a", "क्षि", "क\u0962", "१\u0951", "कि", "नमस्ते ", "।", "१", "A", "\r\n", "€", " ", "है"]


def split(text: str, form: Form, reference: int = 7) -> list[bytes]:
    """The segments of a text that goes out as GSM-7, as planned."""
    plan = segment.plan(text, "gsm7", form)
    assert isinstance(plan, Plan)
    pieces = segment.split(text, "gsm7", form, reference)
    assert (plan.encoding, plan.submits) == ("gsm7", len(pieces))
    return pieces


def read(pieces: list[bytes], form: Form) -> str | None:
    return read_pieces([Piece(one, 0, True, n) for n, one in enumerate(pieces, 1)], form).text


def sizes(pieces: list[bytes]) -> list[int]:
    """Septets of each, without its header."""
    return [len(piece) - 1 - piece[0] for piece in pieces]


@pytest.mark.parametrize(
    ("text", "form", "expected"),
    [
        # One table: 155 septets alone, 149 and 148 joined.
        ("ğ" * 155, TURKISH, [155]),
        ("ğ" * 156, TURKISH, [149, 7]),
        ("ğ" * 156, Form("udh16", languages=(1,)), [148, 8]),
        # Single shift alone: an escape and a septet each.
        ("á" + "a" * 153, SPANISH, [155]),
        ("á" + "a" * 154, SPANISH, [149, 7]),
        # Both tables: 152 alone, 146 and 145 joined.
        ("१" * 76, HINDI, [152]),
        ("न१" * 49, HINDI, [147]),
        ("न१" * 51, HINDI, [145, 8]),
        ("न१" * 51, Form("udh16", languages=(6,)), [145, 8]),
        ("न" * 2 + "१" * 75, HINDI, [152]),
        ("न" * 2 + "१" * 72 + "न" * 9, HINDI, [146, 9]),
        ("न" + "१" * 72 + "न" * 9, Form("udh16", languages=(6,)), [145, 9]),
    ],
)
def test_e22_sizes_beside_the_headers(text: str, form: Form, expected: list[int]) -> None:
    assert sizes(split(text, form)) == expected


def test_e22_room_beside_each_header_is_what_140_octets_leave() -> None:
    headers = {"single": 4, "both": 7, "8 bit": 9, "8 bit, both": 12, "16 bit": 10, "16, both": 13}
    room = {name: septets_beside(octets) for name, octets in headers.items()}
    assert room == {
        "single": 155,
        "both": 152,
        "8 bit": 149,
        "8 bit, both": 146,
        "16 bit": 148,
        "16, both": 145,
    }


@pytest.mark.parametrize(
    ("text", "form", "header"),
    [
        ("á", SPANISH, "03240102"),
        ("ğ", TURKISH, "03250101"),
        ("न१", HINDI, "06240106250106"),
        ("ğ" * 156, TURKISH, "0800030702012501 01"),
        ("ğ" * 156, Form("udh16", languages=(1,)), "090804000702012501 01"),
    ],
)
def test_header_names_the_tables_in_every_segment(text: str, form: Form, header: str) -> None:
    first, *others = split(text, form)
    expected = bytes.fromhex(header)
    assert first[: len(expected)] == expected
    assert all(other[5:].startswith(expected[-3:]) or expected[-3:] in other for other in others)
    assert all(read_header(each).locking == read_header(first).locking for each in others)


@PROPERTY
@given(
    st.sampled_from(["hi", "ta", "ur", "tr", "pt"]),
    st.lists(st.sampled_from(GRAPHEMES), max_size=260).map("".join),
    st.sampled_from(["udh8", "udh16"]),
    st.booleans(),
)
def test_planned_as_split_within_the_air_and_read_back(
    language: str, text: str, long_message: LongMessage, packed: bool
) -> None:
    form = Form(long_message, languages=(LANGUAGES[language],), packed=packed)
    plan = segment.plan(text, "gsm7", form)
    if not isinstance(plan, Plan):
        assert isinstance(plan, NotEncodable)
        return
    pieces = segment.split(text, "gsm7", form, 9)
    has_udh = len(pieces) > 1 or segment.has_shift(text, "gsm7", form)
    assert plan == Plan("gsm7", len(pieces), len(pieces))
    read_back = read_pieces(
        [Piece(each, 0, has_udh, n) for n, each in enumerate(pieces, 1)], form
    ).text
    assert read_back is not None
    assert read_back.rstrip("\r") == text.rstrip("\r")
    header = (1 + pieces[0][0]) if has_udh else 0
    for piece in pieces:
        most = 140 if packed else header + septets_beside(header)
        assert len(piece) <= most


@PROPERTY
@given(st.lists(st.sampled_from(GRAPHEMES), min_size=60, max_size=200).map("".join))
def test_no_grapheme_is_torn(text: str) -> None:
    shifted = shift_text(text, (LANGUAGES["hi"],), 5)
    assert shifted is not None
    ends = {match.end() for match in regex.finditer(r"\X", text)}
    position = 0
    for piece in shifted.pieces:
        position += len(read([b"\x06" + shifted.shift.elements + piece], HINDI) or "")
        assert position in ends


def test_grapheme_over_the_cut_moves_with_its_escape_pairs() -> None:
    pieces = split("क" * 143 + "क\u0962\u0962" + "क" * 9, HINDI)
    assert sizes(pieces) == [143, 14]
    assert read(pieces[1:], HINDI) == "क\u0962\u0962" + "क" * 9


def test_grapheme_longer_than_a_segment_is_cut_between_characters() -> None:
    zalgo = "क" + "\u0941" * 400
    pieces = split(zalgo, HINDI)
    assert sizes(pieces) == [149, 149, 103]
    assert read(pieces, HINDI) == zalgo


def test_plain_gsm7_goes_first_and_has_no_header() -> None:
    assert segment.plan("a" * 160, "auto", TURKISH) == Plan("gsm7", 1, 1)
    assert segment.split("a" * 160, "gsm7", TURKISH, 0) == [b"a" * 160]
    assert not segment.has_shift("a" * 160, "gsm7", TURKISH)


def test_ucs2_stays_where_tables_save_no_segment() -> None:
    assert segment.plan("ğ" * 70, "auto", TURKISH) == Plan("ucs2", 1, 1)
    assert segment.plan("ğ" * 71, "auto", TURKISH) == Plan("gsm7", 1, 1)


def test_gsm7_asked_for_is_written_by_the_tables_also_where_they_save_nothing() -> None:
    assert segment.plan("ğ", "gsm7", TURKISH) == Plan("gsm7", 1, 1)
    assert isinstance(segment.plan("ğ", "gsm7"), NotEncodable)
    assert segment.plan("ğ" * 80, "ucs2", TURKISH) == Plan("ucs2", 2, 2)


def test_text_with_a_character_of_no_table_goes_as_ucs2() -> None:
    text = "ğ" * 71 + "漢"
    assert segment.plan(text, "auto", TURKISH) == Plan("ucs2", 2, 2)
    assert isinstance(segment.plan(text, "gsm7", TURKISH), NotEncodable)


def test_of_several_languages_the_one_with_the_fewest_segments_is_taken() -> None:
    text = "é ç ã õ " * 30  # Spanish has no ã; Portuguese writes it by one table or two
    shifted = shift_text(text, (LANGUAGES["es"], LANGUAGES["tr"], LANGUAGES["pt"]), 5)
    assert shifted is not None
    assert shifted.shift == Shift(0, LANGUAGES["pt"])
    assert shift_text(text, (LANGUAGES["es"], LANGUAGES["tr"]), 5) is None


def test_fewer_septets_are_worth_nothing_where_their_header_takes_a_segment_more() -> None:
    """Both tables write it in 153 septets and have room for 152; one takes 154 of its 155."""
    shifted = shift_text("a" * 149 + "Φãã", (LANGUAGES["pt"],), 5)
    assert shifted is not None
    assert (shifted.shift, len(shifted.pieces)) == (Shift(LANGUAGES["pt"], 0), 1)


def test_of_equals_the_first_language_that_the_carrier_lists_is_taken() -> None:
    gujarati, hindi = LANGUAGES["gu"], LANGUAGES["hi"]
    first, second = (
        shift_text("a।", languages, 5) for languages in ((gujarati, hindi), (hindi, gujarati))
    )
    assert first is not None
    assert second is not None
    assert (first.shift, second.shift) == (Shift(gujarati, 0), Shift(hindi, 0))


@pytest.mark.parametrize("long_message", ["sar", "payload"])
def test_where_the_carrier_cuts_tables_are_for_one_segment(long_message: LongMessage) -> None:
    form = Form(long_message, languages=(1,))
    assert segment.plan("ğ" * 155, "auto", form) == Plan("gsm7", 1, 1)
    assert segment.split("ğ", "gsm7", form, 0) == [b"\x03\x25\x01\x01\x0c"]
    longer = segment.plan("ğ" * 156, "auto", form)
    assert isinstance(longer, Plan)
    assert (longer.encoding, longer.segments) == ("ucs2", 3)
    assert isinstance(segment.plan("ğ" * 156, "gsm7", form), NotEncodable)


def test_255_segments_go_under_tables_and_256_are_refused() -> None:
    assert segment.plan("ğ" * (149 * 255), "gsm7", TURKISH) == Plan("gsm7", 255, 255)
    refused = segment.plan("ğ" * (149 * 255 + 1), "gsm7", TURKISH)
    assert isinstance(refused, TooLong)
    assert refused.segments == 256


def test_split_of_what_the_tables_lack_is_our_own_fault() -> None:
    with pytest.raises(LocalProtocolError):
        segment.split("漢", "gsm7", TURKISH, 0)


def test_flash_goes_under_the_same_tables() -> None:
    form = Form(default_alphabet="gsm7", languages=(1,), packed=True).for_flash()
    assert (form.languages, form.packed) == ((1,), True)


def test_packed_segments_have_fill_bits_behind_their_header() -> None:
    form = Form(packed=True)
    first, second = segment.split("a" * 161, "gsm7", form, 7)
    assert (len(first), len(second)) == (140, 14)
    assert first[6] == (ord("a") << 1) & 0xFF
    assert read([first, second], form) == "a" * 161


@pytest.mark.parametrize("long_message", ["udh8", "udh16"])
def test_packed_segments_under_tables_have_fill_bits_behind_all_of_the_header(
    long_message: LongMessage,
) -> None:
    form = Form(long_message, languages=(LANGUAGES["hi"],), packed=True)
    text = "नमस्ते १२३ " * 30
    pieces = split(text, form)
    assert len(pieces) == 3
    assert max(map(len, pieces)) <= 140
    assert read(pieces, form) == text


def test_packed_lone_segment_is_140_octets_for_160_septets() -> None:
    assert segment.plan("a" * 160, "auto", Form(packed=True)) == Plan("gsm7", 1, 1)
    (only,) = segment.split("a" * 159 + "\r", "gsm7", Form(packed=True), 0)
    assert len(only) == 140


@pytest.mark.parametrize("encoding", ["ucs2", "latin1"])
def test_packed_is_of_gsm7_alone(encoding: segment.Encoding) -> None:
    form = Form(packed=True)
    assert segment.split("é", encoding, form, 0) == segment.split("é", encoding, Form(), 0)
    assert segment.split_data(b"\xff" * 200, b"", form, 1) == segment.split_data(
        b"\xff" * 200, b"", Form(), 1
    )
