"""National language shift tables against an independent package, and as a phone reads them."""

from __future__ import annotations

import pytest
from gsmcodecs.charmaps import GSMCHARMAPS
from hypothesis import given, settings
from hypothesis import strategies as st

from smppd.text import gsm7, national
from smppd.text.national import LANGUAGES

PROPERTY = settings(deadline=None, derandomize=True, database=None, max_examples=150)

# Where the package is alone: Android, warthog618/sms and CyberChef all have a comma at 0x2C of the
# Indian locking tables and the euro sign in all single shift tables. Kannada 0x24 is the print of
# the standard, a second PA; Android has DDA, without which no phone could write the letter.
SLIPS: dict[tuple[str, int, int], str] = {("locking", n, 0x2C): "," for n in range(4, 14)} | {
    ("locking", 7, 0x24): "\u0ca1",
    ("singleShift", 12, 0x65): "€",
}

languages = st.sampled_from([0, *LANGUAGES.values()])


def oracle_of(kind: str, language: int) -> dict[int, str]:
    """A table of the package, escape left out."""
    table = GSMCHARMAPS[language].get(kind) or GSMCHARMAPS[0][kind]
    septets = {
        septet: found if isinstance(found, str) else chr(found)
        for septet, found in table["decode"].items()
    }
    slips = {septet: c for (where, n, septet), c in SLIPS.items() if (where, n) == (kind, language)}
    return {septet: c for septet, c in (septets | slips).items() if septet != gsm7.ESC}


def read_each(single: int, locking: int, *, escaped: bool) -> dict[int, str]:
    """What each septet alone, or behind escape, is read as; what stands for nothing is left out."""
    prefix = bytes((gsm7.ESC,)) if escaped else b""
    read = {n: national.decode(prefix + bytes((n,)), single, locking) for n in range(128)}
    return {n: c for n, c in read.items() if c != "\ufffd" and n != gsm7.ESC}


@pytest.mark.parametrize("language", [0, *LANGUAGES.values()])
def test_locking_table_is_that_of_an_independent_package(language: int) -> None:
    assert read_each(0, language, escaped=False) == oracle_of("locking", language)


@pytest.mark.parametrize("language", [0, *LANGUAGES.values()])
def test_single_shift_table_is_that_of_an_independent_package(language: int) -> None:
    expected = oracle_of("locking", 0) | oracle_of("singleShift", language)
    assert read_each(language, 0, escaped=True) == expected


@PROPERTY
@given(languages, languages, st.data())
def test_what_tables_have_is_encoded_and_comes_back(
    single: int, locking: int, data: st.DataObject
) -> None:
    characters = [
        *read_each(single, locking, escaped=False).values(),
        *read_each(single, locking, escaped=True).values(),
    ]
    text = data.draw(st.text(st.sampled_from(characters), max_size=60))
    septets = national.encode(text, single, locking)
    assert septets is not None
    assert max(septets, default=0) < 0x80
    assert national.decode(septets, single, locking) == text


@PROPERTY
@given(languages, languages, st.binary(max_size=60))
def test_any_octets_are_read_without_a_failure(single: int, locking: int, octets: bytes) -> None:
    assert len(national.decode(octets, single, locking)) <= len(octets)


@PROPERTY
@given(st.text(st.sampled_from(gsm7.BASIC + "€[]~^|{}\\яç"), max_size=40), st.binary(max_size=60))
def test_without_a_language_it_is_gsm7(text: str, octets: bytes) -> None:
    assert national.encode(text, 0, 0) == gsm7.encode(text)
    assert national.decode(octets, 0, 0) == gsm7.decode(octets)


@pytest.mark.parametrize("unknown", [14, 99, 255])
def test_identifier_of_no_table_is_passed_over(unknown: int) -> None:
    assert national.decode(b"\x1b\x65\x00a", unknown, unknown) == "€@a"


def test_spanish_has_no_locking_table_and_is_read_as_the_default_one() -> None:
    assert not national.has_locking(LANGUAGES["es"])
    assert national.decode(b"\x09", 0, LANGUAGES["es"]) == gsm7.BASIC[9]


def test_behind_escape_what_the_single_table_lacks_is_of_the_locking_table() -> None:
    hindi = LANGUAGES["hi"]
    assert national.decode(b"\x1ba", 0, hindi) == "a"
    assert national.decode(b"\x1b\x04", 1, hindi) == "आ"


@pytest.mark.parametrize("septets", [b"\x1b\x1b", b"\x1b"])
def test_second_escape_or_escape_at_the_end_is_a_space(septets: bytes) -> None:
    assert national.decode(septets, 1, 1) == " "


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("tr", "Şişli'de çok güzel bir ığdır"),
        ("es", "¿Cuándo llegará? Está aquí, ú Á Í Ó Ú"),
        ("pt", "Não há ligação às três; ã õ â ê ô"),
        ("bn", "আমার সোনার বাংলা, ১২৩"),
        ("gu", "કેમ છો? ૧૨૩"),
        ("hi", "आपका ऑर्डर भेज दिया गया है। १२३"),
        ("kn", "ಕನ್ನಡ ನಾಡು, ಡಮರು"),
        ("ml", "മലയാളം ൧൨൩"),
        ("or", "ଓଡ଼ିଆ ଭାଷା"),
        ("pa", "ਪੰਜਾਬੀ ਬੋਲੀ"),
        ("ta", "தமிழ் மொழி"),
        ("te", "తెలుగు భాష €"),
        ("ur", "آپ کا آرڈر بھیج دیا گیا ہے۔"),
    ],
)
def test_words_of_each_language_are_written_by_its_own_tables(language: str, text: str) -> None:
    number = LANGUAGES[language]
    assert gsm7.encode(text) is None
    septets = national.encode(text, number, number)
    assert septets is not None
    assert national.decode(septets, number, number) == text


def test_text_with_a_character_of_no_table_is_not_encoded() -> None:
    assert national.encode("ğ漢", 1, 1) is None
    assert national.encode("\x1b", 1, 1) is None
    assert national.encode("\ufffd", 0, LANGUAGES["ta"]) is None


def test_turkish_table_has_the_octets_of_the_standard() -> None:
    assert national.encode("ığ€İ", 0, 1) == b"\x07\x0c\x04\x40"
    assert national.encode("ığ€İ", 1, 0) == b"\x1b\x69\x1b\x67\x1b\x65\x1b\x49"
