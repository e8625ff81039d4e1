"""Lines for people: events, and what they do not show of strangers and numbers."""

from __future__ import annotations

import json

import pytest

from smppd.client import JsonObject
from smppd.ctl import show

SENT: JsonObject = {
    "type": "event",
    "seq": 41,
    "event": "sent",
    "id": "0199f30000000001",
    "ref": "o-1001",
    "accepted_at": 1_795_292_101_002,
    "at": 1_795_292_101_123,
    "carrier": "alpha",
    "segments": 2,
    "cost": "0.0420",
    "currency": "USD",
    "receipt": True,
    "tag": None,
    "meta": None,
}
INBOUND: JsonObject = {
    "type": "event",
    "seq": 42,
    "event": "inbound",
    "id": "0199f30000000002",
    "ref": None,
    "accepted_at": 1_795_292_101_002,
    "at": 1_795_292_101_002,
    "carrier": "alpha",
    "segments": 1,
    "from": "8613800138000",
    "to": "12345",
    "text": "STOP\x1b[2J",
    "tag": None,
    "meta": None,
}


def test_event_for_people_is_one_line_of_what_it_carries() -> None:
    line = show.describe_event(SENT)
    assert "41  sent         0199f30000000001  o-1001  2 segments  0.0420 USD" in line
    assert line.endswith("carrier=alpha  receipt=true")


def test_time_in_an_event_is_shown_as_one() -> None:
    line = show.describe_event({**SENT, "event": "delivered", "done_at": 1_795_316_280_000})
    assert "done_at=2026-11-22 " in line


def test_inbound_event_shows_no_whole_number(capsys: pytest.CaptureFixture[str]) -> None:
    show.show_events([INBOUND], reveal=False, as_json=False)
    shown = capsys.readouterr().out
    assert "from=8613****8000  to=****5" in shown


def test_inbound_event_in_json_shows_no_whole_number(capsys: pytest.CaptureFixture[str]) -> None:
    show.show_events([INBOUND], reveal=False, as_json=True)
    assert "8613800138000" not in capsys.readouterr().out


def test_inbound_event_shows_whole_numbers_to_who_asks(capsys: pytest.CaptureFixture[str]) -> None:
    show.show_events([INBOUND], reveal=True, as_json=True)
    assert json.loads(capsys.readouterr().out) == INBOUND


def test_text_from_a_stranger_does_not_act_on_the_terminal() -> None:
    assert "text=STOP[2J" in show.describe_event(INBOUND)


def test_json_is_ascii(capsys: pytest.CaptureFixture[str]) -> None:
    show.show_events([INBOUND | {"text": "\u202e\u009b2J"}], reveal=True, as_json=True)
    shown = capsys.readouterr().out
    assert shown.isascii()
    assert json.loads(shown)["text"] == "\u202e\u009b2J"


@pytest.mark.parametrize(
    ("event", "last"),
    [
        ({"event": "sent", "receipt": True}, False),
        ({"event": "sent", "receipt": False}, True),
        ({"event": "uncertain", "resend": True}, False),
        ({"event": "uncertain", "resend": False}, True),
        ({"event": "held"}, False),
        ({"event": "delivered"}, True),
        ({"event": "failed"}, True),
        ({"event": "expired"}, True),
        ({"event": "unconfirmed"}, True),
    ],
)
def test_last_event_of_a_message_is_known(event: JsonObject, last: bool) -> None:
    assert show.is_last(event) is last


@pytest.mark.parametrize(
    ("answer", "shown"),
    [
        ({"id": "1", "count": 1, "too_late": 0}, "1 message cancelled"),
        ({"id": "1", "count": 0, "too_late": 0}, "0 messages cancelled: it has ended already"),
        ({"tag": "t", "count": 0, "too_late": 0}, "0 messages cancelled: nothing of the tag waits"),
        (
            {"tag": "t", "count": 7, "too_late": 2},
            "7 messages cancelled; too late for 2: a carrier has a part of it",
        ),
    ],
)
def test_cancelled_says_how_many_and_why_not_more(
    answer: JsonObject, shown: str, capsys: pytest.CaptureFixture[str]
) -> None:
    show.show_cancelled(answer)
    assert capsys.readouterr().out == shown + "\n"
