"""Cutting a text into segments: sizes, headers, and what is never torn."""

from __future__ import annotations

import pytest
import regex
from hypothesis import given, settings
from hypothesis import strategies as st

from smppd.errors import LocalProtocolError
from smppd.text import gsm7, segment, ucs2
from smppd.text.segment import (
    PLAIN_FORM,
    NotEncodable,
    Plan,
    TooLong,
)

PROPERTY = settings(deadline=None, derandomize=True, database=None, max_examples=150)

FAMILY = "👨\u200d👩\u200d👧\u200d👦"

gsm_characters = st.sampled_from([c for c in gsm7.BASIC if c != "\x1b"] + ["€", "[", "\f"])
gsm_texts = st.integers(0, 500).flatmap(
    lambda size: st.text(gsm_characters, min_size=size, max_size=size)
)
WHOLE = ("a", "я", "漢", "😀", FAMILY, "🇸🇪", "🇳🇴", "🇩", "👍🏽", "❤\ufe0f", "1\ufe0f\u20e3", "क्षि")
PIECES = ("e\u0301", "\u0301", "\u200d", "\u1100", "\u1161", "\u11a8", "\r\n", "\r", "\n")

graphemes = st.sampled_from(WHOLE) | st.sampled_from(PIECES)
wide_texts = st.integers(0, 120).flatmap(
    lambda size: st.lists(graphemes, min_size=size, max_size=size).map("".join)
)


def bodies(text: str, encoding: segment.Encoding) -> list[bytes]:
    """The user data of each segment without its header, the headers checked."""
    parts = segment.split(text, encoding, PLAIN_FORM, 0x7B)
    if len(parts) == 1:
        return parts
    heads = [b"\x05\x00\x03\x7b" + bytes((len(parts), n)) for n in range(1, len(parts) + 1)]
    assert [part[:6] for part in parts] == heads
    return [part[6:] for part in parts]


@PROPERTY
@given(gsm_texts)
def test_gsm7_segments_are_as_planned_and_join_to_the_text(text: str) -> None:
    parts = bodies(text, "gsm7")
    assert segment.plan(text, "auto") == Plan("gsm7", len(parts), len(parts))
    assert max(map(len, parts)) <= (160 if len(parts) == 1 else 153)
    assert "".join(gsm7.decode(part) for part in parts) == text


@PROPERTY
@given(wide_texts)
def test_ucs2_segments_are_as_planned_and_join_to_the_text(text: str) -> None:
    parts = bodies(text, "ucs2")
    assert segment.plan(text, "ucs2") == Plan("ucs2", len(parts), len(parts))
    assert max(map(len, parts)) <= (140 if len(parts) == 1 else 134)
    assert "".join(ucs2.decode(part) for part in parts) == text


@PROPERTY
@given(wide_texts)
def test_ucs2_cuts_are_grapheme_boundaries_unless_a_grapheme_is_longer_than_a_segment(
    text: str,
) -> None:
    ends = {match.end() for match in regex.finditer(r"\X", text)} | {0}
    widths = [len(ucs2.encode(g)) for g in regex.findall(r"\X", text)]
    cuts, position = [], 0
    for part in bodies(text, "ucs2"):
        position += len(ucs2.decode(part))
        cuts.append(position)
    assert set(cuts) <= ends or max(widths) > 134


@PROPERTY
@given(gsm_texts | wide_texts | st.text(max_size=90), st.sampled_from(["auto", "ucs2", "gsm7"]))
def test_encoding_planned_is_gsm7_where_it_may_be_and_can(
    text: str, wanted: segment.WantedEncoding
) -> None:
    planned = segment.plan(text, wanted)
    can = wanted != "ucs2" and gsm7.encode(text) is not None
    if isinstance(planned, Plan):
        assert planned.encoding == ("gsm7" if can else "ucs2")
    else:
        assert not can


def test_empty_text_is_one_empty_segment() -> None:
    assert segment.plan("", "auto") == Plan("gsm7", 1, 1)
    assert (
        segment.split("", "gsm7", PLAIN_FORM, 0)
        == segment.split("", "ucs2", PLAIN_FORM, 0)
        == [b""]
    )


def test_auto_takes_gsm7_when_every_character_is_in_it_and_else_ucs2() -> None:
    assert segment.plan("Grüße für 20€", "auto") == Plan("gsm7", 1, 1)
    assert segment.plan("façade", "auto") == Plan("ucs2", 1, 1)
    assert segment.plan("plain", "ucs2") == Plan("ucs2", 1, 1)


def test_gsm7_names_the_character_it_lacks_and_the_remedy() -> None:
    refused = segment.plan("a`b", "gsm7")
    assert isinstance(refused, NotEncodable)
    assert "'`' (U+0060, GRAVE ACCENT)" in refused.reason
    assert 'encoding "ucs2"' in refused.reason


def test_reason_is_printable_whatever_the_character() -> None:
    refused = [segment.plan(text, "gsm7") for text in ("\0", "\x1b", "\ud83d", "\U0010ffff", "😀")]
    assert all(isinstance(r, NotEncodable) and r.reason.isprintable() for r in refused)
    assert all(isinstance(r, NotEncodable) and r.reason.encode() for r in refused)


def test_lone_surrogate_is_not_encodable_in_any_encoding() -> None:
    refused = [segment.plan("a\ud83d", wanted) for wanted in ("auto", "gsm7", "ucs2")]
    assert all(isinstance(r, NotEncodable) and "U+D83D" in r.reason for r in refused)


def test_data_coding_is_by_encoding_and_class() -> None:
    assert segment.data_coding_of("gsm7") == 0
    assert segment.data_coding_of("ucs2") == 8
    assert segment.data_coding_of("latin1") == 3
    assert segment.data_coding_of("binary") == 4
    assert segment.data_coding_of("gsm7", flash=True) == 0xF0
    assert segment.data_coding_of("ucs2", flash=True) == 0x18


def test_split_of_a_text_that_was_not_planned_is_our_bug() -> None:
    with pytest.raises(LocalProtocolError):
        segment.split("я", "gsm7", PLAIN_FORM, 0)
    with pytest.raises(LocalProtocolError):
        segment.split("a" * (153 * 255 + 1), "gsm7", PLAIN_FORM, 0)
    with pytest.raises(LocalProtocolError):
        segment.split("a" * 161, "gsm7", PLAIN_FORM, 256)


def test_grapheme_longer_than_a_segment_is_cut_between_characters() -> None:
    text = "a" + "\u0301" * 200
    assert [len(part) for part in bodies(text, "ucs2")] == [134, 134, 134]
    assert segment.plan(text, "auto") == Plan("ucs2", 3, 3)


def test_more_than_255_segments_are_too_long_and_never_cut() -> None:
    too_long = segment.plan("a" * (153 * 255 + 1), "auto")
    assert isinstance(too_long, TooLong)
    assert too_long.segments == 256
    assert "255" in too_long.reason


def test_row_of_flags_costs_what_its_length_costs() -> None:
    """One line of 64 KiB stood the loop still for most of a second, and ten of them for ten; a
    row this long would take hours if each flag looked back to the first."""
    planned = segment.plan("🇸🇪" * 300_000, "ucs2")
    assert isinstance(planned, TooLong)
    assert planned.segments == -(-300_000 // 16)
