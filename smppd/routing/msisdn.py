r"""Destinations: is this a number, and what are its E.164 digits?

The judgement is phonenumbers' own (``parse``, ``is_possible_number``, ``is_valid_number``); this
file only makes it fast. From the library's metadata it compiles, per country calling code and on
first use, one regular expression that matches exactly the digits of which three things hold:

1. ``parse`` leaves them as they are (no national prefix to strip, so no digit changes);
2. ``is_possible_number`` holds;
3. ``is_valid_number`` holds.

What matches is accepted at once (0.5-0.8 us with ``+``, 2-2.6 us with punctuation or as dialled
within a region; the library takes 13-17). Whatever does not match is put to the library itself, so
a verdict of ours never differs from its verdict: the fast path knows one answer only, "certainly
yes". The property tests hold this against every region.

Deliberately not known here: which app asks, whether a route exists, whether the phone is on.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

import msgspec
from phonenumbers import (
    COUNTRY_CODE_TO_REGION_CODE,
    SUPPORTED_REGIONS,
    NumberParseException,
    PhoneMetadata,
    PhoneNumber,
    PhoneNumberFormat,
    PhoneNumberType,
    ValidationResult,
    format_number,
    is_possible_number_with_reason,
    is_valid_number,
    number_type,
    parse,
    region_code_for_country_code,
    region_code_for_number,
)
from phonenumbers.phonemetadata import PhoneNumberDesc

_Matcher = Callable[[str], re.Match[str] | None]

NUMBER_CHARACTERS_MAX = 250
"""Characters of ``to`` we look at; phonenumbers' own bound, so that both refuse the same."""

_QUOTED_CHARACTERS_MAX = 40
"""Characters of a wrong number repeated in a reason: enough to recognise it, no flood."""

_COUNTRY_CODE_DIGITS = 3
"""The longest country calling code (ITU-T E.164 s6.2.1); the codes are prefix-free."""

PUNCTUATION = " .-()[]"
"""What may stand between the digits of ``to``: spaces, dots, dashes and brackets."""

_DELETE_PUNCTUATION = str.maketrans("", "", PUNCTUATION)
_FOREIGN_CHARACTER = re.compile(rf"[^0-9+{re.escape(PUNCTUATION)}]")

# The types of phonenumbers' _number_type_helper, the likely ones for SMS first: a number is valid
# when any of them matches, so the order costs time only.
_NUMBER_TYPES = (
    "mobile",
    "fixed_line",
    "voip",
    "toll_free",
    "shared_cost",
    "premium_rate",
    "personal_number",
    "pager",
    "uan",
    "voicemail",
)

_KINDS = {
    PhoneNumberType.FIXED_LINE: "fixed_line",
    PhoneNumberType.MOBILE: "mobile",
    PhoneNumberType.FIXED_LINE_OR_MOBILE: "fixed_line_or_mobile",
    PhoneNumberType.TOLL_FREE: "toll_free",
    PhoneNumberType.PREMIUM_RATE: "premium_rate",
    PhoneNumberType.SHARED_COST: "shared_cost",
    PhoneNumberType.VOIP: "voip",
    PhoneNumberType.PERSONAL_NUMBER: "personal_number",
    PhoneNumberType.PAGER: "pager",
    PhoneNumberType.UAN: "uan",
    PhoneNumberType.VOICEMAIL: "voicemail",
}

_LENGTH_REASONS = {
    ValidationResult.TOO_SHORT: "is too short",
    ValidationResult.TOO_LONG: "is too long",
    ValidationResult.INVALID_LENGTH: "has a length that is not used",
}

_PARSE_REASONS = {
    NumberParseException.INVALID_COUNTRY_CODE: "has an unknown country code; "
    "write it as +CC… with the country's calling code",
    NumberParseException.NOT_A_NUMBER: "is not a phone number; write it as +CC…",
    NumberParseException.TOO_SHORT_AFTER_IDD: "is too short; write the whole number as +CC…",
    NumberParseException.TOO_SHORT_NSN: "is too short; write the whole number as +CC…",
    NumberParseException.TOO_LONG: "is too long; write one number as +CC…",
}


class BadNumber(msgspec.Struct, frozen=True, gc=False):
    """A destination that is refused; ``reason`` says what is wrong and what to write instead."""

    reason: str


class NumberFacts(msgspec.Struct, frozen=True):
    """What phonenumbers' metadata says about a number: ``region`` an ISO 3166-1 code (or ``001``
    for one of no country), ``kind`` such as ``mobile``; None where it does not know."""

    region: str | None
    kind: str | None


def describe_number(digits: str) -> NumberFacts:
    """The facts about E.164 ``digits`` (no ``+``); for people, some 20 us."""
    try:
        number = parse("+" + digits)
    except NumberParseException:
        return NumberFacts(None, None)
    return NumberFacts(region_code_for_number(number), _KINDS.get(number_type(number)))


def is_known_region(region: str) -> bool:
    """Whether ``region`` is an upper-case ISO 3166-1 code that phonenumbers has numbers for."""
    return region in SUPPORTED_REGIONS


class NumberPlan:
    """Every country's numbering plan, compiled from phonenumbers' metadata when first needed.

    The metadata is a file a country; the first plan reads them all (35 ms, 1.5 MB), for there may
    be no descriptor left when the first number of a country comes. That number compiles its plan
    once (1-6 ms, 30 for +1, 160 for all of them). Bounded by the metadata: at most 1,215 matchers
    and one entry a region.
    """

    __slots__ = ("_matchers", "_regions")

    def __init__(self) -> None:
        PhoneMetadata.load_all()
        self._matchers: dict[str, _Matcher] = {}
        self._regions: dict[str, _Region] = {}

    def judge(self, number: str, default_region: str | None, strict: bool) -> str | BadNumber:
        """The E.164 digits of ``number`` without ``+``, or why it is refused.

        ``strict`` asks for a valid number, otherwise a possible one will do. Without ``+`` the
        number is read as dialled in ``default_region`` (an upper-case ISO 3166-1 code), and
        refused when there is none.
        """
        digits = number[1:]
        if number[:1] == "+" and self._matcher_for(digits)(digits):
            return digits
        if len(number) <= NUMBER_CHARACTERS_MAX:
            compact = number.translate(_DELETE_PUNCTUATION)
            digits = compact[1:] if compact[:1] == "+" else self._dial(compact, default_region)
            if self._matcher_for(digits)(digits):
                return digits
        return _ask_library(number, default_region, strict)

    def _matcher_for(self, digits: str) -> _Matcher:
        matcher = self._matchers.get(digits[:_COUNTRY_CODE_DIGITS])
        return matcher or self._compile_matcher(digits[:_COUNTRY_CODE_DIGITS])

    def _dial(self, compact: str, region_code: str | None) -> str:
        """International digits of what is dialled in a region; "" where only the library knows."""
        if region_code not in SUPPORTED_REGIONS or region_code is None:
            return ""
        region = self._regions.get(region_code)
        if region is None:
            region = self._regions[region_code] = _Region(region_code)
        return region.dial(compact)

    def _compile_matcher(self, lead: str) -> _Matcher:
        """The matcher for numbers that begin with ``lead``, kept for all leads of its country."""
        country_code = _country_code_of(lead)
        if country_code is None:
            return _match_nothing
        matcher = self._matchers.get(country_code)
        if matcher is None:
            matcher = re.compile(_country_pattern(int(country_code)), re.ASCII).fullmatch
            self._matchers[country_code] = matcher
        if len(lead) == _COUNTRY_CODE_DIGITS and lead.isascii() and lead.isdigit():
            self._matchers[lead] = matcher
        return matcher


class _Region:
    """How numbers are dialled inside one region: the plain cases of phonenumbers' ``parse``."""

    __slots__ = ("_country_code", "_general", "_international_prefix", "_lengths", "_trunk")

    def __init__(self, region_code: str) -> None:
        metadata = PhoneMetadata.metadata_for_region(region_code)
        assert metadata is not None, f"callers check the region, got {region_code!r}"
        general = metadata.general_desc
        assert general is not None, f"{region_code} has no general description"
        self._country_code = str(metadata.country_code)
        self._general = _compile(general.national_number_pattern).fullmatch
        self._lengths = frozenset(general.possible_length)
        self._international_prefix = _compile(metadata.international_prefix).match
        self._trunk = _compile(metadata.national_prefix_for_parsing).match

    def dial(self, compact: str) -> str:
        """The international digits that ``compact`` reaches; "" where only the library can tell.

        In doubt are: an international prefix (00, 011), digits that may be the country code
        without ``+``, a prefix that holds a carrier code or rewrites digits, and a rest that is
        no number of this region.
        """
        if self._international_prefix(compact) or compact.startswith(self._country_code):
            return ""
        trunk = self._trunk(compact)
        if trunk is None:
            return self._country_code + compact
        rest = compact[trunk.end() :]
        if trunk.lastindex is not None or len(rest) not in self._lengths or not self._general(rest):
            return ""
        return self._country_code + rest


def _compile(pattern: str | None) -> re.Pattern[str]:
    return re.compile(pattern or r"(?!)", re.ASCII)


def _match_nothing(digits: str) -> re.Match[str] | None:
    return None


def _country_code_of(digits: str) -> str | None:
    """The country calling code that ``digits`` begin with."""
    for length in range(1, _COUNTRY_CODE_DIGITS + 1):
        code = digits[:length]
        if code.isascii() and code.isdigit() and int(code) in COUNTRY_CODE_TO_REGION_CODE:
            return code if code[0] != "0" else None
    return None


def _country_pattern(country_code: int) -> str:
    """The pattern of a country's numbers that hold the three promises of this module."""
    regions = COUNTRY_CODE_TO_REGION_CODE[country_code]
    plans = [_metadata_of(country_code, region) for region in regions]
    general = plans[0].general_desc
    assert general is not None, f"+{country_code} has no general description"
    possible = _length_pattern((*general.possible_length, *general.possible_length_local_only))
    unchanged = _unchanged_pattern(plans[0].national_prefix_for_parsing)
    return f"{country_code}(?={possible}\\Z){unchanged}{_valid_pattern(plans)}"


def _metadata_of(country_code: int, region: str) -> PhoneMetadata:
    metadata = PhoneMetadata.metadata_for_region_or_calling_code(country_code, region)
    assert metadata is not None, f"phonenumbers lists {region} for +{country_code}"
    return metadata


def _unchanged_pattern(national_prefix: str | None) -> str:
    """Looks ahead that ``parse`` finds no national prefix, or an empty one (Argentina's)."""
    if not national_prefix:
        return ""
    if re.match(national_prefix, "") is None:
        return f"(?!{national_prefix})"
    # A lookahead is atomic: ``rest`` is what follows the prefix that ``parse`` would find. An
    # empty prefix leaves everything, so the rest, repeated from here, is the whole number.
    return rf"(?=(?:{national_prefix})(?P<rest>\d*)\Z)(?=(?P=rest)\Z)"


def _valid_pattern(plans: list[PhoneMetadata]) -> str:
    """The numbers that ``is_valid_number`` finds in a country of one or several regions.

    With several, the first region decides whose leading digits match; one without leading digits
    decides for the numbers that are valid in it (``region_code_for_number``).
    """
    if len(plans) == 1:
        return _region_pattern(plans[0])
    pattern = "(?!)"
    for plan in reversed(plans):
        valid = _region_pattern(plan)
        if plan.leading_digits is None:
            pattern = f"(?:{valid}|{pattern})"
        else:
            leading = plan.leading_digits
            pattern = f"(?:(?={leading}){valid}|(?!{leading}){pattern})"
    return pattern


def _region_pattern(plan: PhoneMetadata) -> str:
    """The numbers of which phonenumbers knows the type in one region."""
    general = _desc_pattern(plan.general_desc)
    types = [
        pattern
        for name in _NUMBER_TYPES
        if not (name == "mobile" and plan.same_mobile_and_fixed_line_pattern)
        and (pattern := _desc_pattern(getattr(plan, name))) is not None
    ]
    if general is None or not types:
        return "(?!)"
    return rf"(?:(?={general}\Z)(?:{'|'.join(types)})\Z)"


def _desc_pattern(desc: PhoneNumberDesc | None) -> str | None:
    """One description: its pattern at its possible lengths; None when it has no numbers."""
    if desc is None or not desc.national_number_pattern:
        return None
    lengths = [length for length in desc.possible_length if length > 0]
    if desc.possible_length and not lengths:
        return None
    at_length = f"(?={_length_pattern(lengths)}\\Z)" if lengths else ""
    return f"{at_length}(?:{desc.national_number_pattern})"


def _length_pattern(lengths: Iterable[int]) -> str:
    """Runs of lengths as ranges: an alternative each would be tried one by one."""
    runs: list[list[int]] = []
    for length in sorted(lengths):
        if runs and runs[-1][1] == length - 1:
            runs[-1][1] = length
        else:
            runs.append([length, length])
    return "(?:" + "|".join(rf"\d{{{first},{last}}}" for first, last in runs) + ")"


def _ask_library(number: str, default_region: str | None, strict: bool) -> str | BadNumber:
    """The judgement itself, by phonenumbers, after what the contract alone refuses."""
    shown = repr(number[:_QUOTED_CHARACTERS_MAX])
    if foreign := _FOREIGN_CHARACTER.search(number):
        return BadNumber(
            f"{shown} holds {foreign[0]!r}; write it as +CC… with digits "
            "(spaces, dots, dashes and brackets may stand between them)"
        )
    if default_region is None and not number.lstrip(PUNCTUATION).startswith("+"):
        return BadNumber(f"{shown} has no country code; write it as +CC…")
    try:
        parsed = parse(number, default_region)
    except NumberParseException as error:
        return BadNumber(f"{shown} {_PARSE_REASONS[error.error_type]}")
    if (possible := is_possible_number_with_reason(parsed)) in _LENGTH_REASONS:
        return BadNumber(
            f"{shown} {_LENGTH_REASONS[possible]} {_country_named(parsed)}; "
            "write the whole number as +CC…"
        )
    if strict and not is_valid_number(parsed):
        return BadNumber(
            f"{shown} is in no known number range {_country_named(parsed)}; check the digits "
            "(strict_numbers = false accepts it)"
        )
    return format_number(parsed, PhoneNumberFormat.E164)[1:]


def _country_named(parsed: PhoneNumber) -> str:
    """For a person: ``in DE (+49)``, or ``under +800`` where the code is no country's."""
    assert parsed.country_code is not None, "parse sets the country code or raises"
    region = region_code_for_country_code(parsed.country_code)
    if region == "001":
        return f"under +{parsed.country_code}"
    return f"in {region} (+{parsed.country_code})"
