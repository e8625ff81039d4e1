"""Records written by an older smppd are read: fields are only ever appended."""

from __future__ import annotations

import msgspec

from smppd.store import records
from smppd.store.changes import Extras
from smppd.store.records import (
    STEPS_MAX,
    TAKEN,
    Message,
    Segment,
    Step,
    add_step,
    decode_message,
    decode_unmatched,
    encode_record,
    segments_of,
    taken_of,
)
from smppd.text.segment import Form

# A message and an unmatched receipt as release 0.1.0 wrote them, every field set to something.
OLD_MESSAGE = bytes.fromhex(
    "dc0026cf1a200f5f38a00001a473686f70a36f2d31ac3439313730313233343536370500a441434d45a86869207468"
    "657265a36f7470a467736d37c3a6737072696e67c40b7b226f72646572223a317dcd03e8cdee48a6726573656e64c4"
    "083132333435363738929902a26d31c302a744454c49565244a3303030cd138800c39900a0c2ffa0a00000c201a561"
    "6c70686101a6302e303231300702cd2328cd07d0cd0bb8015891a462657461c3c3c40472616263cd0fa0cd0fa09196"
    "00a26d3105a7554e44454c4956a3303031cd1770a17891a567616d6d61"
)
OLD_UNMATCHED = bytes.fromhex(
    "96a5616c7068618ba26964a26d31a6746c765f6964c0a3737562c0a5646c767264c0a473746174a744454c49565244"
    "a3657272a3303030a474657874c0ab7375626d69745f64617465c0a9646f6e655f64617465c0a5737461746502ac69"
    "6e7465726d656469617465c2a53439313730a441434d450005"
)


def make_message(segments: int = 1) -> Message:
    return Message(
        1, "shop", "r1", "491701234567", 5, 0, "ACME", "hi", "transactional", "gsm7", True, None,
        None, 1_000, 61_000, "resend", b"12345678", tuple(Segment() for _ in range(segments)),
    )  # fmt: skip


def test_message_of_an_older_release_reads_as_it_was() -> None:
    message = decode_message(OLD_MESSAGE)
    assert (message.id, message.ref, message.tag) == (0x1A200F5F38A00001, "o-1", "spring")
    assert (message.carrier, message.bind, message.reference) == ("alpha", 1, 7)
    assert message.passed_over == ("gamma",)
    first, second = message.parts
    assert (first.smsc_id, first.receipt_stat, first.resent) == ("m1", "DELIVRD", True)
    assert second == Segment()
    assert message.late[0].stat == "UNDELIV"


def test_message_of_an_older_release_has_none_of_what_came_since() -> None:
    message = decode_message(OLD_MESSAGE)
    assert (message.units, message.extras, message.form) == (0, None, None)
    assert (message.held, message.steps, message.steps_dropped) == ("", (), 0)
    first = message.parts[0]
    assert (first.granted_at, first.answered_at, first.sequence_number) == (0, 0, 0)
    assert (first.command_status, first.receipt_raw, message.late[0].raw) == (0, b"", b"")


def test_receipt_of_an_older_release_reads_as_it_was() -> None:
    unmatched = decode_unmatched(OLD_UNMATCHED)
    assert (unmatched.receipt.id, unmatched.receipt.state) == ("m1", 2)
    assert unmatched.receipt.raw == b""


def test_everything_a_message_may_have_reads_back() -> None:
    message = make_message(2)
    message.extras = Extras(
        1, ("alpha",), "0.10", True, b"\x00\xff", b"\x02\x70\x00", 4, {0x1400: b"x"}, "latin1"
    )
    message.form = Form("sar", "latin1")
    message.units = 3
    message.held = "carrier_paused"
    add_step(message, Step(5, "throttled", 1, "alpha", 0, 7, 0x58, "x"))
    message.parts[1].receipt_raw = b"id:1"
    assert decode_message(encode_record(message)) == message


def test_record_is_an_array_so_that_fields_can_only_be_appended() -> None:
    raw = msgspec.msgpack.decode(encode_record(make_message()))
    assert isinstance(raw, list)
    assert raw[:3] == [1, "shop", "r1"]


def test_segments_count_what_arrives_and_not_what_is_submitted() -> None:
    message = make_message()
    message.units = 5
    assert (segments_of(message), taken_of(message)) == (5, 0)
    message.parts[0].state = TAKEN
    assert taken_of(message) == 5


def test_segments_that_were_taken_are_counted_one_by_one() -> None:
    message = make_message(3)
    message.parts[1].state = TAKEN
    assert (segments_of(message), taken_of(message)) == (3, 1)


def test_of_too_many_steps_the_first_and_the_last_are_kept() -> None:
    message = make_message()
    for at in range(STEPS_MAX + 10):
        add_step(message, Step(at, "throttled"))
    kept = [step.at for step in message.steps]
    assert len(kept) == STEPS_MAX
    assert message.steps_dropped == 10
    assert kept[: STEPS_MAX // 2] == list(range(STEPS_MAX // 2))
    assert kept[-1] == STEPS_MAX + 9


def test_every_state_has_a_name() -> None:
    assert len(records.STATE_NAMES) == records.UNCONFIRMED + 1
