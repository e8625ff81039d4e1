"""Tables of answers no daemon here gives: other money, names of any length, all at once."""

from __future__ import annotations

import pytest

from smppd.client import JsonObject
from smppd.ctl import tables
from smppd.ctl.trace import show_trace
from smppd.routing.offers import Offer
from smppd.routing.table import Move

DEAR = (Offer("alpha", "0.02"),)
CHEAP = (Offer("beta", "0.0150"), Offer("alpha", "0.02"))


def test_move_says_what_a_segment_costs_more_or_less() -> None:
    assert tables.describe_move(Move("49", DEAR, CHEAP), "USD", "USD")["difference"] == "-0.0050"
    assert tables.describe_move(Move("49", CHEAP, DEAR), "USD", "USD")["difference"] == "+0.0050"


def test_move_to_other_money_or_to_nobody_has_no_difference() -> None:
    assert tables.describe_move(Move("49", DEAR, CHEAP), "USD", "EUR")["difference"] is None
    gone = tables.describe_move(Move("49", DEAR, ()), "USD", "USD")
    assert (gone["new"], gone["difference"]) == (None, None)


def test_moves_without_a_terminal_are_rows_alone(capsys: pytest.CaptureFixture[str]) -> None:
    tables.show_moves([tables.describe_move(Move("", DEAR, CHEAP), "USD", "USD")])
    _, row = capsys.readouterr().out.splitlines()
    assert row == '""\talpha\t0.02\tbeta\t0.0150\t-0.0050\tUSD'


@pytest.mark.parametrize(
    ("value", "cell"), [(None, "-"), (True, "yes"), (False, "no"), (2.50, "2.5"), (7, "7")]
)
def test_cell_says_what_is_not_known_and_yes_and_no(value: object, cell: str) -> None:
    assert tables.say(value) == cell


def test_name_is_whole_where_no_one_looks() -> None:
    assert tables.shorten("x" * 64) == "x" * 64


@pytest.mark.parametrize(
    ("state", "probe_in", "said"),
    [
        ("closed", None, "closed"),
        ("open", 12.0, "open: 20 of the last 20 segments failed; a probe within 12 s"),
        (
            "half_open",
            None,
            "half-open: 20 of the last 20 segments failed; the next message is the probe",
        ),
    ],
)
def test_breaker_says_why_it_is_open_and_until_when(
    state: str, probe_in: float | None, said: str
) -> None:
    reason = "20 of the last 20 segments failed"
    breaker = {"state": state, "reason": reason, "probe_in": probe_in}
    assert tables.describe_breaker(breaker) == said
    shown = tables.describe_open_breaker({"breaker": breaker})
    assert shown == ("" if state == "closed" else f"breaker {said}")


MESSAGE: JsonObject = {
    "id": "0199f30000000001", "state": "failed", "ref": "o-1\x1b[2J", "app": "shop", "tag": "t",
    "held": None, "failure": "rejected_by_carrier", "maybe_duplicate": True,
    "to": "+4915****6789", "from": "ACME", "class": "otp", "segments": 2, "encoding": "gsm7",
    "cost": None, "currency": "USD", "carrier": "alpha", "accepted_at": 1_795_292_101_002,
    "send_at": 1_795_292_101_002, "expires_at": 1_795_292_401_002,
}  # fmt: skip
STEPS: list[JsonObject] = [
    {"at": 1_795_292_101_002, "step": "accepted", "detail": "otp, gsm7, 2 segments"},
    {
        "at": 1_795_378_501_002, "step": "refused", "segment": 2, "carrier": "alpha", "bind": 0,
        "sequence_number": 7, "command_status": "0x00000045", "detail": "gone\x1b[31m",
        "meaning": "barred",
    },
    {"at": 1_795_378_501_003, "step": "retried", "command_status": "0x0000ABCD"},
    {"at": 1_795_378_501_004, "step": "taken", "command_status": "0x00000045"},
]  # fmt: skip


def test_trace_shows_every_field_of_a_step_and_nothing_that_acts_on_a_terminal(
    capsys: pytest.CaptureFixture[str],
) -> None:
    show_trace({"message": MESSAGE, "steps": STEPS, "steps_dropped": 3})
    out = capsys.readouterr().out
    lines = out.splitlines()
    assert "\x1b" not in out
    assert lines[0].endswith("rejected_by_carrier  maybe a duplicate")
    assert "not before" in lines[2]
    assert lines[3] == "3 steps of it not kept"
    assert lines[6].split("\t")[1:] == [
        "+1 d", "refused", "2", "alpha/0", "7", "ESME_RSUBMITFAIL", "-", "gone[31m; barred",
    ]  # fmt: skip
    assert lines[7].split("\t")[6] == "0x0000ABCD"
    assert lines[7].endswith("above all that SMPP knows"), "where the carrier has no word for it"
    assert lines[8].endswith("\twhich means taken there"), "not that it was refused"
