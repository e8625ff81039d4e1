"""How many segments a text takes, by Twilio's calculator: the same cuts, segment by segment.

It differs in one thing, and we mean to: it knows the graphemes of an older Unicode, and cuts an
Indian conjunct in two that a reader sees as one.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smppd.text import gsm7, segment
from smppd.text.segment import PLAIN_FORM, Plan
from tests.peers.needs import HERE, require
from tests.peers.oracle import Oracle

PROPERTY: Final = settings(max_examples=200)

GSM7: Final = [c for c in gsm7.BASIC if c != "\x1b"] + list(gsm7.EXTENSION.values())
CONJUNCT: Final = "क्षि"
OTHERS: Final = [*"яжщ漢字ç`“”…—\u00a0", "😀", "🚀", "𝒜"]
CLUSTERS: Final = ["👨\u200d👩\u200d👧\u200d👦", "e\u0301", "🇸🇪", "❤\ufe0f", "1\ufe0f\u20e3", "각"]
HEADER_OCTETS: Final = 6


class Counted(msgspec.Struct):
    """The calculator's answer: bits of text in each segment, without the headers."""

    encoding: str
    bits: list[int]


def texts_of(pieces: list[str], most: int) -> st.SearchStrategy[str]:
    """Texts of 1 to ``most`` pieces, long ones as likely as short ones."""
    return st.integers(1, most).flatmap(
        lambda size: st.lists(st.sampled_from(pieces), min_size=size, max_size=size).map("".join)
    )


@pytest.fixture(scope="module")
def calculator() -> Iterator[Oracle[Counted]]:
    require("sms-segments-calculator")
    with Oracle(Counted, "node", str(HERE / "segments.js")) as calculator:
        yield calculator


def count(text: str) -> Counted:
    """The same of ours."""
    plan = segment.plan(text, "auto")
    assert isinstance(plan, Plan)
    parts = segment.split(text, plan.encoding, PLAIN_FORM, 1)
    assert len(parts) == plan.segments
    header = HEADER_OCTETS if len(parts) > 1 else 0
    bits = 7 if plan.encoding == "gsm7" else 8
    name = {"gsm7": "GSM-7", "ucs2": "UCS-2"}[plan.encoding]
    return Counted(name, [(len(part) - header) * bits for part in parts])


@PROPERTY
@given(text=texts_of(GSM7, 700) | texts_of(GSM7 + OTHERS, 300) | texts_of([*"aя€😀"], 150))
def test_segments_are_cut_where_the_calculator_cuts(calculator: Oracle[Counted], text: str) -> None:
    assert count(text) == calculator.ask({"text": text})


@PROPERTY
@given(text=texts_of(["a", "я", *CLUSTERS], 150))
def test_combined_characters_are_moved_whole_as_the_calculator_moves_them(
    calculator: Oracle[Counted], text: str
) -> None:
    assert count(text) == calculator.ask({"text": text})


@pytest.mark.parametrize(
    ("text", "segments"),
    [
        ("a" * 160, 1),
        ("a" * 161, 2),
        ("a" * 159 + "€", 2),
        ("a" * 152 + "€" + "b" * 152, 3),
        ("я" * 70, 1),
        ("я" * 71, 2),
        ("я" * 66 + "😀" + "я" * 66, 3),
    ],
)
def test_edges_of_a_segment_are_where_the_calculator_has_them(
    calculator: Oracle[Counted], text: str, segments: int
) -> None:
    assert len(count(text).bits) == segments
    assert count(text) == calculator.ask({"text": text})


def test_conjunct_is_kept_whole_where_the_calculator_cuts_it(
    calculator: Oracle[Counted],
) -> None:
    theirs, ours = calculator.ask({"text": CONJUNCT * 40}), count(CONJUNCT * 40)
    assert theirs.bits == [1056, 1056, 448]
    assert [bits // 16 % len(CONJUNCT) for bits in ours.bits] == [0, 0, 0]
    assert sum(ours.bits) == sum(theirs.bits)


def test_every_character_is_in_the_alphabet_that_the_calculator_has_it_in(
    calculator: Oracle[Counted],
) -> None:
    characters = [chr(code) for code in range(0x2800) if not 0xD800 <= code < 0xE000]
    differing = [c for c in characters if count(c) != calculator.ask({"text": c})]
    assert differing == []
