"""The first rule that fits a message from a phone has it."""

from __future__ import annotations

import pytest

from smppd.routing.inbound import InboundRule, bare, find_rule, first_word

PHONE, CODE = "491701234567", "12345"


@pytest.mark.parametrize(
    ("rule", "fits"),
    [
        (InboundRule(("a",)), True),
        (InboundRule(("a",), destination=CODE), True),
        (InboundRule(("a",), destination="1234"), False),
        (InboundRule(("a",), keyword="stop"), True),
        (InboundRule(("a",), keyword="sto"), False),
        (InboundRule(("a",), prefix="4917"), True),
        (InboundRule(("a",), prefix="33"), False),
        (InboundRule(("a",), carrier="alpha"), True),
        (InboundRule(("a",), carrier="beta"), False),
        (InboundRule(("a",), CODE, "stop", "49", "alpha"), True),
        (InboundRule(("a",), CODE, "stop", "33", "alpha"), False),
    ],
)
def test_all_conditions_of_a_rule_must_hold(rule: InboundRule, fits: bool) -> None:
    found = find_rule([rule], "alpha", PHONE, CODE, "Stop it")
    assert found == (rule if fits else None)


def test_first_of_several_that_fit_counts() -> None:
    rules = [
        InboundRule(("x",), keyword="go"),
        InboundRule(("y",), prefix="49"),
        InboundRule(("z",)),
    ]
    assert find_rule(rules, "alpha", PHONE, CODE, "hi") == rules[1]
    assert find_rule(rules, "alpha", "33612345678", CODE, "hi") == rules[2]


@pytest.mark.parametrize("source", ["+" + PHONE, "00" + PHONE, PHONE])
@pytest.mark.parametrize("destination", ["+4915112345678", "004915112345678", "4915112345678"])
def test_numbers_are_compared_however_they_are_written(source: str, destination: str) -> None:
    rule = InboundRule(("a",), "4915112345678", prefix="4917")
    assert find_rule([rule], "alpha", source, destination, "") == rule


@pytest.mark.parametrize(
    "text", ["STOP", "stop now", " Stop.", '"StOp"', "stop, please", "¡Stop!", "stop\nnow"]
)
def test_keyword_is_the_first_word_in_any_case(text: str) -> None:
    assert find_rule([InboundRule(("a",), keyword="stop")], "alpha", PHONE, CODE, text) is not None


@pytest.mark.parametrize("text", ["", "  ", "...", "please stop", "stopped", "s top"])
def test_keyword_is_the_whole_first_word(text: str) -> None:
    assert find_rule([InboundRule(("a",), keyword="stop")], "alpha", PHONE, CODE, text) is None


def test_word_with_another_lower_case_is_folded() -> None:
    assert first_word("STRASSE") == first_word("Straße")


def test_name_as_sender_keeps_its_plus_sign_alone() -> None:
    assert bare("00ACME") == "00ACME"
    assert bare("0049") == "49"


@pytest.mark.parametrize(
    ("first", "second", "covers"),
    [
        (InboundRule(("a",)), InboundRule(("b",), CODE, "x", "1", "c"), True),
        (InboundRule(("a",), prefix="49"), InboundRule(("b",), prefix="4917"), True),
        (InboundRule(("a",), prefix="4917"), InboundRule(("b",), prefix="49"), False),
        (InboundRule(("a",), keyword="x"), InboundRule(("b",)), False),
        (InboundRule(("a",), CODE), InboundRule(("b",), CODE, "x"), True),
        (InboundRule(("a",), CODE, carrier="c"), InboundRule(("b",), CODE), False),
    ],
)
def test_rule_covers_what_it_takes_all_of(
    first: InboundRule, second: InboundRule, covers: bool
) -> None:
    assert first.covers(second) is covers
