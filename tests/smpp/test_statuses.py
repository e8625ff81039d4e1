"""The table of command_status: whole, in order, and never at a loss."""

from __future__ import annotations

from itertools import pairwise
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smppd.smpp.constants import STATUS_NAMES, STATUS_TEXTS
from smppd.smpp.status_table import SEEN, STATUSES, VerdictName
from smppd.smpp.statuses import (
    COMMAND_STATUS_MAX,
    DEFAULT_VERDICT,
    LASTING_REFUSALS,
    NAMES_OF_50,
    RANGES,
    VERDICT_MEANINGS,
    VERDICTS,
    explain_status,
    find_seen,
    find_status,
    read_status,
    show_number,
)


def test_every_status_of_34_and_50_has_one_row_in_order() -> None:
    assert {one.command_status: one.name for one in STATUSES} == STATUS_NAMES
    assert all(a.command_status < b.command_status for a, b in pairwise(STATUSES))
    assert [one.name for one in STATUSES if one.command_status not in STATUS_TEXTS] == []


def test_every_row_says_why_and_what_to_do_in_a_line() -> None:
    rows = [*STATUSES, *(row for _, row in RANGES)]
    told = [text for row in rows for text in (row.cause, row.remedy)]

    assert [text for text in told if not text or len(text) > 100 or text.endswith(".")] == []
    assert [one for one in SEEN if not one.meaning or not one.carrier] == []


def test_every_verdict_is_explained_and_only_rok_is_taken_by_itself() -> None:
    assert set(VERDICT_MEANINGS) == set(get_args(VerdictName))
    assert [one.name for one in STATUSES if one.verdict == "taken"] == ["ESME_ROK"]


def test_what_is_passing_is_tried_again_and_what_is_permanent_is_not() -> None:
    """But for statuses that answer no submit_sm, where a verdict says little."""
    again = {"retry", "slow", "rebind", "pause"}
    of_binds_and_queries = {"ESME_RALYBND", "ESME_RBINDFAIL", "ESME_RQUERYFAIL"}

    odd = {
        one.name
        for one in STATUSES
        if one.is_permanent == (one.verdict in again) and one.verdict != "taken"
    }

    assert odd == of_binds_and_queries


def test_defaults_are_those_that_were_decided() -> None:
    others = {VERDICTS[one] for one in VERDICTS} - {"other_carrier"}

    assert others == {"taken", "retry", "slow", "refuse", "rebind"}
    assert {status: name for status, name in VERDICTS.items() if name != DEFAULT_VERDICT} == {
        0x00: "taken",
        0x01: "refuse",
        0x04: "rebind",
        0x08: "retry",
        0x14: "slow",
        0x58: "slow",
        0x64: "retry",
        0x66: "refuse",
        0x102: "retry",
    }
    assert {0x0D, 0x0E, 0x0F} < LASTING_REFUSALS


@given(st.integers(0, COMMAND_STATUS_MAX))
def test_no_number_is_without_a_row(command_status: int) -> None:
    row = find_status(command_status)

    assert row.command_status == command_status
    assert row.name == STATUS_NAMES.get(command_status, show_number(command_status))
    assert row.cause
    assert VERDICTS.get(command_status, DEFAULT_VERDICT) == row.verdict


@pytest.mark.parametrize(
    ("command_status", "words"),
    [
        (0x09, "reserved by SMPP"),
        (0xFD, "reserved by SMPP"),
        (0x113, "reserved for extensions"),
        (0x3FF, "reserved for extensions"),
        (0x400, "the carrier's own"),
        (0x4FF, "the carrier's own"),
        (0x500, "above all that SMPP knows"),
        (0xFFFFFFFF, "above all that SMPP knows"),
    ],
)
def test_a_number_without_a_name_is_told_by_its_range(command_status: int, words: str) -> None:
    assert find_status(command_status).cause.startswith(words)
    assert find_status(command_status).verdict == DEFAULT_VERDICT


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("0x58", 88),
        ("0X00000058", 88),
        ("88", 88),
        (" 88 ", 88),
        ("ESME_RTHROTTLED", 88),
        ("rthrottled", 88),
        ("esme_rtlvnotallwd", 0xC1),
        ("0xFFFFFFFF", 0xFFFFFFFF),
        ("4294967295", 0xFFFFFFFF),
        ("0", 0),
        ("4294967296", None),
        ("0x100000000", None),
        ("-1", None),
        ("58h", None),
        ("0x", None),
        ("", None),
        ("ESME_", None),
        ("٨٨", None),
    ],
)
def test_a_status_is_read_as_logs_manuals_and_the_specification_write_it(
    text: str, number: int | None
) -> None:
    assert read_status(text) == number


@given(st.sampled_from(STATUSES))
def test_a_status_that_is_shown_can_be_read_again(status: object) -> None:
    assert isinstance(status, type(STATUSES[0]))
    assert read_status(status.name) == status.command_status
    assert read_status(show_number(status.command_status)) == status.command_status


def test_names_of_50_are_no_names_of_34() -> None:
    assert set(NAMES_OF_50) & set(STATUS_NAMES.values()) == set()
    assert set(NAMES_OF_50.values()) <= set(STATUS_NAMES)


def test_the_carriers_own_word_goes_before_the_tables() -> None:
    assert explain_status(0x45, "barred") == "ESME_RSUBMITFAIL: barred"
    assert explain_status(0x58).startswith("ESME_RTHROTTLED: we send more a second")
    assert explain_status(0x401, "no credit left") == "0x00000401: no credit left"


def test_carriers_do_not_agree_about_their_own_numbers() -> None:
    """Which is why SEEN decides nothing."""
    meanings = {one.carrier: one.meaning for one in find_seen(0x404)}

    assert meanings == {
        "Route Mobile": "taken for spam",
        "Hollatags": "a field that cannot be read",
    }
    assert find_seen(0x58) == []
