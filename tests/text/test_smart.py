"""Smart encoding: what is replaced, and that nothing is where it does not help."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smppd.text import gsm7
from smppd.text.national import LANGUAGES
from smppd.text.smart import REPLACEMENTS, Replacement, smarten

PROPERTY = settings(deadline=None, derandomize=True, database=None, max_examples=200)

texts = st.lists(st.sampled_from([*"abé €\n", *REPLACEMENTS, "я", "ğ", "😀"]), max_size=40).map(
    "".join
)


def written(text: str, languages: tuple[int, ...] = ()) -> str:
    """The text as it is written then, replaced or not."""
    found = smarten(text, languages)
    return text if found is None else found.text


def test_every_replacement_brings_a_character_that_gsm7_lacks_into_it() -> None:
    assert [one for one in REPLACEMENTS if gsm7.encode(one) is not None] == []
    assert [by for by in REPLACEMENTS.values() if gsm7.encode(by) is None] == []


def test_letters_keep_their_accents() -> None:
    letters = {
        one: by for one, by in REPLACEMENTS.items() if unicodedata.category(one[0])[0] == "L"
    }
    for one, by in letters.items():
        assert unicodedata.normalize("NFKC", one) == by or unicodedata.category(one[0]) == "Lm"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("It’s “here” – now…", 'It\'s "here" - now...'),
        ("‹a› «b» ‚c‘ „d“", "'a' \"b\" 'c' \"d\""),
        ("5′ 6″ `x´", "5' 6\" 'x'"),
        ("a\xa0b\u2009c\u202fd\te", "a b c d e"),
        ("a\u200bb\u200d\ufeff\xadc\u200ed", "abcd"),
        ("one\u2028two\u2029three", "one\ntwo\nthree"),
        ("• one", "* one"),
        ("o\ufb03ce \ufb04", "office ffl"),
        ("10 − 3 ⁄ 4", "10 - 3 / 4"),
        ("e\u0301 A\u030a n\u0303", "é Å ñ"),
    ],
)
def test_characters_are_replaced_by_what_reads_the_same(text: str, expected: str) -> None:
    assert written(text) == expected


@pytest.mark.parametrize("text", ["plain", "Grüße für 20€", "", "¿qué?"])
def test_text_in_gsm7_is_left_as_it_is(text: str) -> None:
    assert smarten(text) is None


@pytest.mark.parametrize("text", ["“я”", "😀 – ok", "‘ç’", "\x1b“", "漢…", "a\u0306’"])
def test_nothing_is_replaced_where_it_does_not_bring_all_into_gsm7(text: str) -> None:
    assert smarten(text) is None


def test_each_character_is_told_once_in_the_order_of_the_text_with_its_count() -> None:
    found = smarten("‘a’ – ‘b’")
    assert found is not None
    assert found.replaced == (
        Replacement("‘", "'", 2),
        Replacement("’", "'", 2),
        Replacement("–", "-", 1),
    )


def test_shift_tables_that_the_carrier_takes_count_as_gsm7() -> None:
    text = "“Şişli’de” ığ"
    assert smarten(text) is None
    assert written(text, (LANGUAGES["tr"],)) == '"Şişli\'de" ığ'


@pytest.mark.parametrize("joiner", ["\u200c", "\u200d"])
def test_joiners_are_spelling_in_the_scripts_of_shift_tables_and_stay(joiner: str) -> None:
    assert smarten(f"क्{joiner}ष…", (LANGUAGES["hi"],)) is None
    assert written(f"a{joiner}b…", (LANGUAGES["hi"],)) == "ab..."


@PROPERTY
@given(texts)
def test_replaced_text_is_gsm7_and_counts_all_that_was_replaced(text: str) -> None:
    found = smarten(text)
    if found is None:
        return
    assert gsm7.encode(text) is None
    assert gsm7.encode(found.text) is not None
    assert smarten(found.text) is None
    grown = sum((len(one.by) - len(one.character)) * one.count for one in found.replaced)
    assert len(found.text) == len(text) + grown
