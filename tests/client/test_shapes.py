"""What an app says and reads: the contract's names, and what grows beyond them."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from smppd.client import Event, Message, ProtocolError, Submit
from smppd.client.requests import read_answer
from smppd.client.shapes import ReplyTo, sum_up
from tests.client.house import event, message


def read_event(kind: str, **more: Any) -> Event:
    return msgspec.convert(event(1, kind, **more), Event)


def test_submit_says_only_what_was_given() -> None:
    said = json.loads(msgspec.json.encode(Submit(ref="a", to="+1", text="x")))
    assert said == {"type": "submit", "ref": "a", "to": "+1", "text": "x"}


def test_submit_says_every_field_by_its_name_in_the_contract() -> None:
    submit = Submit(
        ref="a",
        to="+1",
        text="x",
        sender="ACME",
        message_class="otp",
        encoding="ucs2",
        tag="t",
        meta={"order": 1},
        send_at=1,
        valid_for=2,
        carrier=["alpha"],
        max_cost="0.05",
        receipt=False,
        flash=True,
        data=b"\x00\xff",
        udh=b"\x05",
        data_coding=4,
        tlv={"0x1400": "00"},
        smart_encoding=True,
    )
    assert json.loads(msgspec.json.encode(submit)) == {
        "type": "submit",
        "ref": "a",
        "to": "+1",
        "text": "x",
        "from": "ACME",
        "class": "otp",
        "encoding": "ucs2",
        "tag": "t",
        "meta": {"order": 1},
        "send_at": 1,
        "valid_for": 2,
        "carrier": ["alpha"],
        "max_cost": "0.05",
        "receipt": False,
        "flash": True,
        "data": "AP8=",
        "udh": "BQ==",
        "data_coding": 4,
        "tlv": {"0x1400": "00"},
        "smart_encoding": True,
    }


def test_submit_without_a_ref_gets_one_of_its_own_and_keeps_it() -> None:
    first, second = Submit(to="+1", text="x"), Submit(to="+1", text="x")
    assert first.ref != second.ref
    assert 1 <= len(first.ref) <= 64
    assert msgspec.json.encode(first) == msgspec.json.encode(first)


@pytest.mark.parametrize(
    ("kind", "more", "is_last"),
    [
        ("sent", {"receipt": True}, False),
        ("sent", {"receipt": False}, True),
        ("uncertain", {"resend": True}, False),
        ("uncertain", {"resend": False}, True),
        ("held", {"until": None}, False),
        ("delivered", {}, True),
        ("failed", {"code": "a_code_of_a_later_release"}, True),
        ("expired", {"where": "here"}, True),
        ("cancelled", {}, True),
        ("unconfirmed", {}, True),
        ("a_kind_of_a_later_release", {"field": 1}, False),
    ],
)
def test_last_event_is_known(kind: str, more: dict[str, object], is_last: bool) -> None:
    assert read_event(kind, **more).is_last is is_last


def test_inbound_has_its_sender_and_text() -> None:
    found = read_event("inbound", **{"from": "4915112345678", "to": "12345", "text": "hi"})
    assert (found.sender, found.to, found.text) == ("4915112345678", "12345", "hi")


def test_inbound_of_segments_says_what_is_missing_and_what_it_answers() -> None:
    more = {"segments": 3, "complete": False, "segments_missing": [2]}
    answered = {"id": "0f", "ref": "a", "tag": None}
    found = read_event("inbound", **{"from": "1", "text": "hi", "reply_to": answered, **more})
    assert (found.segments, found.complete, found.segments_missing) == (3, False, [2])
    assert found.reply_to == ReplyTo("0f", "a")
    whole = read_event("inbound", **{"from": "1", "text": "hi"})
    assert (whole.complete, whole.segments_missing, whole.reply_to) == (True, [], None)


@pytest.mark.parametrize(
    ("state", "final", "is_last"),
    [
        ("sent", False, False),
        ("sent", True, True),
        ("uncertain", False, False),
        ("uncertain", True, True),
        ("delivered", True, True),
    ],
)
def test_summary_of_a_message_ends_its_story_where_the_message_is_final(
    state: str, final: bool, is_last: bool
) -> None:
    summary = sum_up(read_answer(message(state, final=final, at=9), Message))
    assert (summary.seq, summary.kind, summary.at, summary.is_last) == (0, state, 9, is_last)


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("bad_request", "hello needs 'app' here, one of shop, ops"),
        ("hello_required", "say hello first, with 'app' one of shop, ops"),
        ("unknown_app", "there is no app 'shp' in smppd.toml"),
    ],
)
def test_fault_of_the_app_says_what_to_write_in_python(code: str, reason: str) -> None:
    fault = ProtocolError(code, reason)
    assert str(fault) == f'{code}: {reason}; in Python: app="NAME" to open_client or SyncClient'
    assert fault.reason == reason


def test_other_faults_are_told_as_they_came() -> None:
    assert str(ProtocolError("busy", "too many connections")) == "busy: too many connections"
