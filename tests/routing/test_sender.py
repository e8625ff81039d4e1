"""What an app may write as ``from``, and the address it becomes."""

from __future__ import annotations

import pytest

from smppd.routing import sender
from smppd.routing.sender import PRINTABLE_GSM7, BadSender, Sender, read_sender
from smppd.smpp import constants
from smppd.text import gsm7


@pytest.mark.parametrize("text", ["ACME", "A", "My-Shop_24", "1800FLOWERS", "A{B}[C]~", "Ab c.d+e"])
def test_name_is_alphanumeric(text: str) -> None:
    assert read_sender(text) == Sender(5, 0, text)


@pytest.mark.parametrize("text", ["123", "46200", "12345678", "00123"])
def test_three_to_eight_digits_are_a_short_code(text: str) -> None:
    assert read_sender(text) == Sender(3, 0, text)


@pytest.mark.parametrize("text", ["491512345", "4915112345678", "123456789012345"])
def test_nine_to_fifteen_digits_are_an_international_number(text: str) -> None:
    assert read_sender(text) == Sender(1, 1, text)


@pytest.mark.parametrize("text", ["+4915112345678", "+2904000", "+12345678"])
def test_plus_makes_an_international_number_without_it(text: str) -> None:
    assert read_sender(text) == Sender(1, 1, text[1:])


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "is empty"),
        ("12", "has 2 digits; write a short code (3 to 8 digits)"),
        ("1" * 16, "has 16 digits"),
        ("015112345678", "is a national number; write it as +CC…"),
        ("+", "is not '+' and digits"),
        ("+49 151 123", "is not '+' and digits"),
        ("+49١٢٣٤٥٦", "is not '+' and digits"),
        ("+015112345678", "has no country code after '+'"),
        ("+12345", "write an international number of 7 to 15 digits"),
        ("TWELVE CHARS", "has 12 characters; write at most 11"),
        ("Café", "holds 'é'"),
        ("it`s", "holds '`'"),
        ("AC\tME", "holds '\\t'"),
        ("12-34", "has no letter"),
        ("     ", "has no letter"),
        ("١٢٣٤", "printable ASCII"),
    ],
)
def test_other_senders_are_refused_with_a_reason(text: str, reason: str) -> None:
    verdict = read_sender(text)

    assert isinstance(verdict, BadSender)
    assert reason in verdict.reason
    assert "; " in verdict.reason


def test_endless_sender_is_refused_and_quoted_in_part_only() -> None:
    verdict = read_sender("A" * 60_000)

    assert isinstance(verdict, BadSender)
    assert len(verdict.reason) < 200


def test_characters_of_names_are_the_printable_ascii_that_gsm7_encodes() -> None:
    ascii_in_gsm7 = {chr(code) for code in range(0x20, 0x7F) if gsm7.encode(chr(code)) is not None}

    assert ascii_in_gsm7 == PRINTABLE_GSM7


def test_address_types_are_those_of_the_spec() -> None:
    assert sender.TON_INTERNATIONAL == constants.TON_INTERNATIONAL
    assert sender.TON_NETWORK_SPECIFIC == constants.TON_NETWORK_SPECIFIC
    assert sender.TON_ALPHANUMERIC == constants.TON_ALPHANUMERIC
    assert sender.NPI_UNKNOWN == constants.NPI_UNKNOWN
    assert sender.NPI_ISDN == constants.NPI_ISDN
