"""Our verdict on a number is phonenumbers' verdict, for every region and however it is written."""

from __future__ import annotations

import random
from collections.abc import Iterator

import phonenumbers
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smppd.routing.msisdn import (
    PUNCTUATION,
    BadNumber,
    NumberFacts,
    NumberPlan,
    describe_number,
    is_known_region,
)

PLAN = NumberPlan()
REGIONS = sorted(phonenumbers.SUPPORTED_REGIONS)
COUNTRY_CODES = sorted(phonenumbers.COUNTRY_CODE_TO_REGION_CODE)
NUMBER_TYPES = sorted(phonenumbers.PhoneNumberType.values())


def library_verdict(number: str, region: str | None, strict: bool) -> str | None:
    """What phonenumbers alone says: E.164 digits, or None where it refuses."""
    try:
        parsed = phonenumbers.parse(number, region)
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_possible_number(parsed):
        return None
    if strict and not phonenumbers.is_valid_number(parsed):
        return None
    return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)[1:]


def our_verdict(number: str, region: str | None, strict: bool) -> str | None:
    verdict = PLAN.judge(number, region, strict)
    return None if isinstance(verdict, BadNumber) else verdict


def disagreements(numbers: Iterator[str], region: str | None) -> list[tuple[str, bool]]:
    return [
        (number, strict)
        for number in numbers
        for strict in (True, False)
        if our_verdict(number, region, strict) != library_verdict(number, region, strict)
    ]


def example_numbers(region: str) -> list[phonenumbers.PhoneNumber]:
    found = [phonenumbers.example_number_for_type(region, kind) for kind in NUMBER_TYPES]
    found.append(phonenumbers.invalid_example_number(region))
    return [number for number in found if number is not None]


def mutations(digits: str, chance: random.Random) -> Iterator[str]:
    """The number itself, and its slips: a digit changed, lost, added, two swapped."""
    yield digits
    at = chance.randrange(len(digits))
    digit = str(chance.randrange(10))
    yield digits[:at] + digit + digits[at + 1 :]
    yield digits[:at] + digits[at + 1 :]
    yield digits[:at] + digit + digits[at:]
    yield digits[:at] + digits[at : at + 2][::-1] + digits[at + 2 :]


@pytest.mark.parametrize("region", REGIONS)
def test_example_numbers_and_their_slips_are_judged_as_phonenumbers_does(region: str) -> None:
    chance = random.Random(region)
    e164 = [
        phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)[1:]
        for number in example_numbers(region)
    ]

    numbers = (f"+{slip}" for digits in e164 for slip in mutations(digits, chance))

    assert disagreements(numbers, None) == []


@pytest.mark.parametrize("region", REGIONS)
def test_numbers_as_dialled_in_a_region_are_judged_as_phonenumbers_does(region: str) -> None:
    chance = random.Random(region)
    code = str(phonenumbers.country_code_for_region(region))
    nsns = [phonenumbers.national_significant_number(n) for n in example_numbers(region)]
    dialled = [
        phonenumbers.format_number(n, phonenumbers.PhoneNumberFormat.NATIONAL)
        for n in example_numbers(region)
    ]
    trunk = phonenumbers.ndd_prefix_for_region(region, True) or "0"
    shapes = [
        *(number for number in dialled if set(number) <= set(PUNCTUATION + "0123456789")),
        *nsns,
        *(trunk + nsn for nsn in nsns),
        *(code + nsn for nsn in nsns),
        *(f"00{code}{nsn}" for nsn in nsns[:2]),
        *(f"011{code}{nsn}" for nsn in nsns[:2]),
        *(f"+{code}{trunk}{nsn}" for nsn in nsns[:2]),
        *(f"+{code} ({trunk}) {nsn}" for nsn in nsns[:1]),
    ]

    numbers = (slip for shape in shapes for slip in mutations(shape, chance))

    assert disagreements(numbers, region) == []


@pytest.mark.parametrize("country_code", COUNTRY_CODES)
def test_random_digits_after_a_country_code_are_judged_as_phonenumbers_does(
    country_code: int,
) -> None:
    chance = random.Random(country_code)

    numbers = (
        f"+{country_code}{''.join(chance.choices('0123456789', k=chance.randrange(0, 19)))}"
        for _ in range(40)
    )

    assert disagreements(numbers, None) == []


@pytest.mark.parametrize("region", REGIONS)
def test_random_digits_dialled_in_a_region_are_judged_as_phonenumbers_does(region: str) -> None:
    chance = random.Random(region)

    numbers = ("".join(chance.choices("0123456789", k=chance.randrange(1, 18))) for _ in range(30))

    assert disagreements(numbers, region) == []


@settings(deadline=None, max_examples=400)
@given(
    number=st.text(alphabet="+0123456789" + PUNCTUATION, max_size=24),
    region=st.one_of(st.none(), st.sampled_from(REGIONS)),
    strict=st.booleans(),
)
def test_any_contract_characters_are_judged_as_phonenumbers_does(
    number: str, region: str | None, strict: bool
) -> None:
    assert our_verdict(number, region, strict) == library_verdict(number, region, strict)


@settings(deadline=None, max_examples=300)
@given(
    region=st.sampled_from(REGIONS),
    punctuation=st.lists(st.text(alphabet=PUNCTUATION, max_size=3), min_size=20, max_size=20),
)
def test_punctuation_between_digits_changes_nothing(region: str, punctuation: list[str]) -> None:
    example = phonenumbers.example_number(region)
    assert example is not None
    e164 = phonenumbers.format_number(example, phonenumbers.PhoneNumberFormat.E164)
    spaced = (
        "".join(mark + digit for mark, digit in zip(punctuation, e164, strict=False))
        + e164[len(punctuation) :]
    )

    assert our_verdict(spaced, None, True) == e164[1:] == library_verdict(spaced, None, True)


def reason_of(number: str, region: str | None = None, strict: bool = True) -> str:
    verdict = PLAN.judge(number, region, strict)
    assert isinstance(verdict, BadNumber)
    return verdict.reason


def test_number_without_country_code_is_told_to_write_one() -> None:
    assert reason_of("12345") == "'12345' has no country code; write it as +CC…"


def test_number_without_plus_is_read_in_the_default_region() -> None:
    assert PLAN.judge("0151 12345678", "DE", True) == "4915112345678"


def test_italian_leading_zero_stays() -> None:
    assert PLAN.judge("+39 06 698 12345", None, True) == "390669812345"


def test_number_too_short_for_its_country_names_the_country() -> None:
    assert "is too short in CN (+86)" in reason_of("+86 1234")


def test_number_too_long_for_its_country_names_the_country() -> None:
    assert "is too long in CN (+86)" in reason_of("+8613800138000123")


def test_unknown_country_code_is_named() -> None:
    assert "unknown country code" in reason_of("+999123456789")


def test_possible_number_outside_known_ranges_passes_only_when_not_strict() -> None:
    assert "strict_numbers = false accepts it" in reason_of("+15551234567")
    assert PLAN.judge("+15551234567", None, False) == "15551234567"


def test_number_of_no_country_is_named_by_its_code() -> None:
    assert "under +800" in reason_of("+80012")


@pytest.mark.parametrize(
    "number",
    [
        "+1 800 FLOWERS",
        "+49151/12345678",
        "+4915112345678 ext. 3",
        "+４９15112345678",
        "+49٣٤٥٦٧٨٩",
    ],
)
def test_characters_outside_the_contract_are_refused_though_phonenumbers_reads_them(
    number: str,
) -> None:
    assert "(spaces, dots, dashes and brackets may stand between them)" in reason_of(number)


def test_endless_number_is_refused_and_quoted_in_part_only() -> None:
    assert len(reason_of("+49" + "1" * 60_000)) < 120


@pytest.mark.parametrize("number", ["", "+", " ", "()", "++", "+0"])
def test_number_without_digits_is_refused(number: str) -> None:
    assert isinstance(PLAN.judge(number, "DE", False), BadNumber)


def test_unknown_region_counts_as_no_region() -> None:
    assert isinstance(PLAN.judge("015112345678", "XX", True), BadNumber)


def test_regions_are_known_by_their_upper_case_code() -> None:
    assert is_known_region("DE")
    assert not is_known_region("de")
    assert not is_known_region("001")


@pytest.mark.parametrize(
    ("digits", "region", "kind"),
    [
        ("4915112345678", "DE", "mobile"),
        ("493012345678", "DE", "fixed_line"),
        ("12025550123", "US", "fixed_line_or_mobile"),
        ("80012345678", "001", "toll_free"),
        ("999", None, None),
        ("", None, None),
    ],
)
def test_a_number_is_described_for_people(
    digits: str, region: str | None, kind: str | None
) -> None:
    assert describe_number(digits) == NumberFacts(region, kind)
