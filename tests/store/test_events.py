"""Event lines: the fields of docs/protocol.md, present where they mean something."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smppd.store import keys, records
from smppd.store.events import cost_of, encode_any_event, encode_event, encode_inbound
from smppd.store.records import TAKEN, Inbound, Message, Segment
from smppd.store.said import Fact


def make_message(segments: int = 1) -> Message:
    parts = [Segment(state=TAKEN) for _ in range(segments)]
    message = Message(
        0x1A200F5F38A00000, "shop", "o-1", "491701234567", 5, 0, "ACME", "hi", "transactional",
        "gsm7", True, "spring", b'{"order":1}', 1_000, 61_000, "resend", b"12345678", tuple(parts),
    )  # fmt: skip
    message.carrier = "alpha"
    message.cost = "0.0210"
    message.receipts = segments
    message.first_taken_at = 2_000
    return message


def decode(line: bytes) -> dict[str, object]:
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    decoded = msgspec.json.decode(line)
    assert isinstance(decoded, dict)
    return decoded


def test_sent_event_has_the_fields_of_the_protocol() -> None:
    line = encode_event(make_message(), Fact("sent"), 41, 3_000, "USD")
    assert decode(line) == {
        "type": "event", "seq": 41, "event": "sent", "id": "1a200f5f38a00000", "ref": "o-1",
        "accepted_at": 1_000, "at": 3_000, "carrier": "alpha", "segments": 1, "cost": "0.0210",
        "currency": "USD", "receipt": True, "tag": "spring", "meta": {"order": 1},
    }  # fmt: skip


def test_event_before_any_segment_was_taken_names_no_carrier_and_no_cost() -> None:
    message = make_message()
    message.first_taken_at = 0
    message.parts[0].state = records.WAITING
    event = decode(encode_event(message, Fact("expired", where="here"), 1, 3_000, "USD"))
    assert not {"carrier", "segments", "cost", "currency"} & event.keys()
    assert event["where"] == "here"


def test_cost_is_of_the_segments_taken() -> None:
    message = make_message(3)
    message.parts[2].state = records.REFUSED
    fact = Fact("failed", code="rejected_by_carrier", status=0x45)
    event = decode(encode_event(message, fact, 1, 3_000, "USD"))
    assert (event["segments"], event["segments_taken"], event["cost"]) == (3, 2, "0.0420")
    assert event["status"] == "0x00000045"


@pytest.mark.parametrize(
    ("cost", "segments", "total"),
    [("0.0210", 3, "0.0630"), ("0", 4, "0"), ("1.10", 1, "1.10"), ("0.000001", 255, "0.000255")],
)
def test_cost_is_exact_and_never_in_exponents(cost: str, segments: int, total: str) -> None:
    assert cost_of(cost, segments) == total


def test_tag_and_meta_are_null_when_not_given() -> None:
    message = make_message()
    message.tag = message.meta = None
    event = decode(encode_event(message, Fact("sent"), 1, 3_000, "USD"))
    assert event["tag"] is None
    assert event["meta"] is None


def test_flag_appears_once_a_resend_was_made() -> None:
    message = make_message()
    assert "maybe_duplicate" not in decode(encode_event(message, Fact("sent"), 1, 0, "USD"))
    message.flagged = True
    assert decode(encode_event(message, Fact("sent"), 1, 0, "USD"))["maybe_duplicate"] is True


def test_held_event_says_why_and_that_nobody_knows_until_when() -> None:
    message = make_message()
    message.first_taken_at = 0
    event = decode(encode_event(message, Fact("held", code="carrier_paused"), 1, 0, "USD"))
    assert (event["code"], event["until"]) == ("carrier_paused", None)
    assert "until" not in decode(encode_event(message, Fact("cancelled"), 1, 0, "USD"))


def test_cost_of_a_payload_is_that_of_all_its_segments() -> None:
    message = make_message()
    message.units = 3
    event = decode(encode_event(message, Fact("sent"), 1, 0, "USD"))
    assert (event["segments"], event["cost"]) == (3, "0.0630")


def test_inbound_event_carries_octets_nobody_can_read_as_hex() -> None:
    inbound = Inbound(1, "alpha", "49170", "123", None, b"\x01\xff", 4, 0, 9)
    event = decode(encode_inbound(inbound, 7))
    assert (event["text"], event["data"], event["data_coding"]) == ("", "01ff", 4)
    assert (event["ref"], event["tag"], event["meta"]) == (None, None, None)
    assert event["accepted_at"] == 9


def test_inbound_event_of_many_missing_segments_and_long_names_fits_a_line() -> None:
    inbound = Inbound(
        1, "a" * 32, "\x7f" * 65, "\x7f" * 65, "\x01" * 40_000, b"", 0, 0, 9,
        255, tuple(range(2, 256)), bytes(140),
    )  # fmt: skip
    answered = make_message()
    answered.ref, answered.tag = "\u2028" * 64, "\x01" * 64
    line = encode_inbound(inbound, 1 << 60, answered)
    assert len(line) <= 65_536
    event = decode(line)
    assert (event["complete"], event["truncated"]) == (False, True)
    shown = keys.show_id(answered.id)
    assert event["reply_to"] == {"id": shown, "ref": answered.ref, "tag": answered.tag}


@settings(deadline=None, derandomize=True, database=None)
@given(
    st.text(max_size=64),
    st.sampled_from([Fact("sent"), Fact("delivered", err="000"), Fact("delivered", done_at=7)]),
    st.text(max_size=12),
    st.sampled_from(["0.0210", "0", ""]),
    st.sampled_from(["EUR", ""]),
    st.integers(0, 3),
    st.booleans(),
)
def test_short_way_of_the_common_events_says_what_the_long_one_says(
    ref: str, fact: Fact, carrier: str, cost: str, currency: str, units: int, has_receipt: bool
) -> None:
    message = make_message()
    message.ref, message.carrier, message.cost = ref, carrier, cost or "1.5"
    message.tag, message.meta, message.currency = None, None, currency
    message.units, message.receipts = units, int(has_receipt)
    line = encode_event(message, fact, 41, 3_000, "USD")
    assert line == encode_any_event(message, fact, 41, 3_000, "USD")
