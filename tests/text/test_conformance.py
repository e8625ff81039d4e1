"""The points of text that cheap implementations miss, by name, and an independent counter."""

from __future__ import annotations

import pytest
import smsutil
from hypothesis import given, settings
from hypothesis import strategies as st

from smppd.text import gsm7, segment, ucs2
from smppd.text.segment import PLAIN_FORM, Form, LongMessage, Plan, TooLong

PROPERTY = settings(deadline=None, derandomize=True, database=None, max_examples=150)

ENGLAND = "🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f"
FAMILY = "👨\u200d👩\u200d👧\u200d👦"

# The oracle takes a raw escape and cuts by character, so both are left out where the counts
# must be equal; in the second set the graphemes may cost us a segment more.
gsm_characters = st.sampled_from([c for c in gsm7.BASIC if c not in "\x1b\r"] + list("€[]~"))
single_characters = st.sampled_from(
    [c for c in gsm7.BASIC if c not in "\x1b\r"] + list("€[]~яжщ漢字ç`") + ["😀", "🚀"]
)
clusters = st.sampled_from(["a", "я", FAMILY, "e\u0301", "👍🏽", "🇸🇪", "❤\ufe0f"])


def texts_of(pieces: st.SearchStrategy[str], most: int) -> st.SearchStrategy[str]:
    """Texts of 1 to ``most`` pieces, long ones as likely as short ones."""
    return st.integers(1, most).flatmap(
        lambda size: st.lists(pieces, min_size=size, max_size=size).map("".join)
    )


def sizes(text: str, encoding: segment.Encoding) -> list[int]:
    """Octets of user data in each segment, without the headers."""
    parts = segment.split(text, encoding, PLAIN_FORM, 1)
    return [len(part) - (6 if len(parts) > 1 else 0) for part in parts]


def planned(text: str) -> Plan:
    plan = segment.plan(text, "auto")
    assert isinstance(plan, Plan)
    return plan


@PROPERTY
@given(texts_of(single_characters, 400) | texts_of(gsm_characters, 400))
def test_counts_and_sizes_equal_smsutil_without_combining_sequences(text: str) -> None:
    oracle = smsutil.split(text)
    plan = planned(text)
    assert plan.segments == len(oracle.parts)
    assert sizes(text, plan.encoding) == [part.bytes for part in oracle.parts]


@PROPERTY
@given(texts_of(clusters, 100))
def test_counts_are_at_least_those_of_smsutil_with_combining_sequences(text: str) -> None:
    assert planned(text).segments >= len(smsutil.split(text).parts)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a" * 160, [160]),
        ("a" * 161, [153, 8]),
        ("a" * 306, [153, 153]),
        ("a" * 307, [153, 153, 1]),
        ("a" * 158 + "€", [160]),
        ("a" * 159 + "€", [153, 8]),
    ],
)
def test_e16_gsm7_sizes_are_160_and_153_septets(text: str, expected: list[int]) -> None:
    assert sizes(text, "gsm7") == expected
    assert planned(text) == Plan("gsm7", len(expected), len(expected))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("я" * 70, [140]),
        ("я" * 71, [134, 8]),
        ("я" * 134, [134, 134]),
        ("я" * 135, [134, 134, 2]),
        ("😀" * 35, [140]),
    ],
)
def test_e16_ucs2_sizes_are_70_and_67_units(text: str, expected: list[int]) -> None:
    assert sizes(text, "ucs2") == expected
    assert planned(text) == Plan("ucs2", len(expected), len(expected))


def test_e17_escape_pair_moves_whole_to_the_next_segment() -> None:
    text = "a" * 152 + "€" + "b" * 10
    first, second = segment.split(text, "gsm7", PLAIN_FORM, 1)
    assert first[6:] == b"a" * 152
    assert second[6:] == b"\x1b\x65" + b"b" * 10


def test_e17_text_of_escape_pairs_alone_fills_76_a_segment() -> None:
    assert sizes("€" * 160, "gsm7") == [152, 152, 16]


def test_e18_surrogate_pair_moves_whole_to_the_next_segment() -> None:
    first, second = segment.split("я" * 66 + "😀" + "я" * 9, "ucs2", PLAIN_FORM, 1)
    assert ucs2.decode(first[6:]) == "я" * 66
    assert ucs2.decode(second[6:]) == "😀" + "я" * 9


def test_e18_every_ucs2_segment_has_an_even_length() -> None:
    assert all(size % 2 == 0 for size in sizes("я😀" * 200, "ucs2"))


@pytest.mark.parametrize(
    "grapheme",
    [
        pytest.param(FAMILY, id="joined-family"),
        pytest.param("🇸🇪", id="flag"),
        pytest.param("e\u0301", id="combining-mark"),
        pytest.param("👍🏽", id="skin-tone"),
        pytest.param("❤\ufe0f", id="variation-selector"),
        pytest.param("1\ufe0f\u20e3", id="keycap"),
        pytest.param("\u1100\u1161\u11a8", id="hangul-jamo"),
        pytest.param("क्षि", id="devanagari-conjunct"),
        pytest.param(
            "🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f", id="tag-flag"
        ),
        pytest.param("\r\n", id="crlf"),
    ],
)
@pytest.mark.parametrize("before", range(1, 67, 3))
def test_e18_grapheme_over_the_cut_moves_whole(grapheme: str, before: int) -> None:
    text = "я" * before + grapheme + "я" * 80
    parts = [ucs2.decode(part[6:]) for part in segment.split(text, "ucs2", PLAIN_FORM, 1)]
    assert sum(part.count(grapheme) for part in parts) == 1


def test_e18_row_of_flags_is_cut_between_flags() -> None:
    first, second = segment.split("я" + "🇸🇪" * 20, "ucs2", PLAIN_FORM, 1)
    assert ucs2.decode(first[6:]) == "я" + "🇸🇪" * 16
    assert ucs2.decode(second[6:]) == "🇸🇪" * 4


def test_e19_255_segments_are_sent_and_256_refused() -> None:
    assert planned("a" * (153 * 255)) == Plan("gsm7", 255, 255)
    assert planned("я" * (67 * 255)) == Plan("ucs2", 255, 255)
    assert isinstance(segment.plan("a" * (153 * 255 + 1), "auto"), TooLong)
    assert isinstance(segment.plan("я" * (67 * 255 + 1), "auto"), TooLong)


def test_e19_numbers_run_from_one_to_the_total_under_one_reference() -> None:
    parts = segment.split("a" * (153 * 255), "gsm7", PLAIN_FORM, 0xFE)
    assert {part[:5] for part in parts} == {b"\x05\x00\x03\xfe\xff"}
    assert [part[5] for part in parts] == list(range(1, 256))


def test_e20_single_segment_has_no_header() -> None:
    assert segment.split("hello", "gsm7", PLAIN_FORM, 9) == [b"hello"]


def test_e21_loopback_phrase_of_the_two_tables() -> None:
    assert gsm7.encode("@_$[€") == b"\x00\x11\x02\x1b\x3c\x1b\x65"


@pytest.mark.parametrize("character", ["`", "ç", "’", "“", "…", "\x1b"])
def test_e21_what_the_alphabet_lacks_goes_as_ucs2(character: str) -> None:
    assert segment.plan(f"a{character}b", "auto") == segment.Plan("ucs2", 1, 1)


@pytest.mark.parametrize(
    ("long_message", "expected"),
    [("udh8", [153, 153, 1]), ("udh16", [152, 152, 3]), ("sar", [153, 153, 1])],
)
def test_e16_gsm7_sizes_by_form(long_message: LongMessage, expected: list[int]) -> None:
    header = {"udh8": 6, "udh16": 7, "sar": 0}[long_message]
    parts = segment.split("a" * 307, "gsm7", Form(long_message), 1)
    assert [len(part) - header for part in parts] == expected


@pytest.mark.parametrize(
    ("long_message", "expected"),
    [("udh8", [134, 134, 2]), ("udh16", [132, 132, 6]), ("sar", [134, 134, 2])],
)
def test_e16_ucs2_sizes_by_form(long_message: LongMessage, expected: list[int]) -> None:
    header = {"udh8": 6, "udh16": 7, "sar": 0}[long_message]
    parts = segment.split("я" * 135, "ucs2", Form(long_message), 1)
    assert [len(part) - header for part in parts] == expected


@pytest.mark.parametrize(
    ("long_message", "expected"),
    [("udh8", [134, 134, 2]), ("udh16", [133, 133, 4]), ("sar", [134, 134, 2])],
)
def test_e16_octet_sizes_by_form(long_message: LongMessage, expected: list[int]) -> None:
    header = {"udh8": 6, "udh16": 7, "sar": 0}[long_message]
    form = Form(long_message)
    data = segment.split_data(bytes(270), b"", form, 1)
    latin = segment.split("\xe7" * 270, "latin1", form, 1)
    assert [len(part) - header for part in data] == expected
    assert [len(part) - header for part in latin] == expected


@pytest.mark.parametrize("long_message", ["udh8", "udh16", "sar", "payload"])
def test_e16_lone_segment_is_160_septets_140_octets_70_units_in_every_form(
    long_message: LongMessage,
) -> None:
    form = Form(long_message)
    assert segment.plan("a" * 160, "auto", form) == Plan("gsm7", 1, 1)
    assert segment.plan("ç" * 140, "latin1", form) == Plan("latin1", 1, 1)
    assert segment.plan("я" * 70, "auto", form) == Plan("ucs2", 1, 1)
    assert segment.plan_data(bytes(140), b"", form) == Plan("binary", 1, 1)


@pytest.mark.parametrize("long_message", ["udh8", "udh16", "sar", "payload"])
def test_e19_255_segments_in_every_form_and_256_refused(long_message: LongMessage) -> None:
    form = Form(long_message)
    size = 152 if long_message == "udh16" else 153
    most = segment.plan("a" * (size * 255), "auto", form)
    assert isinstance(most, Plan)
    assert most.segments == 255
    assert isinstance(segment.plan("a" * (size * 255 + 1), "auto", form), TooLong)
