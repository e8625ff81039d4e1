"""What leaves the house of a PDU: every field but texts, passwords and the most of a number."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smppd.smpp import constants
from smppd.smpp.data_sm import DataSm, decode_data_sm, encode_data_sm
from smppd.smpp.pdu import (
    DeliverSm,
    SubmitSm,
    decode_deliver_sm,
    decode_submit_sm,
    encode_deliver_sm,
    encode_submit_sm,
    encode_submit_sm_resp,
)
from smppd.smpp.rare import Bind, decode_bind, encode_bind, encode_bodiless
from smppd.smpp.redaction import (
    PARTS,
    mask_number,
    redact_body,
    redact_password,
    redact_pdu,
)
from smppd.smpp.sundry import CancelSm, Outbind, encode_cancel_sm, encode_outbind

UDH = bytes((5, 0, 3, 7, 2, 1))
RECEIPT = b"id:7f3a sub:001 dlvrd:001 submit date:2611221012 done date:2611221013 stat:DELIVRD"
SAMPLES = Path(__file__).parents[1] / "golden" / "receipts.jsonl"


def test_text_is_overwritten_and_every_other_field_stays() -> None:
    pdu = SubmitSm("4915112345678", b"your code is 1234", source_addr="ACME", data_coding=3)

    shown = decode_submit_sm(redact_pdu(encode_submit_sm(pdu, 9))[16:])

    assert shown == SubmitSm("49151xxxxxxxx", b"x" * 17, source_addr="ACME", data_coding=3)


def test_header_of_user_data_stays_and_its_text_does_not() -> None:
    pdu = SubmitSm("49151", UDH + b"secret", esm_class=constants.ESM_UDHI)

    shown = decode_submit_sm(redact_pdu(encode_submit_sm(pdu, 9))[16:])

    assert isinstance(shown, SubmitSm)
    assert shown.short_message == UDH + b"xxxxxx"


def test_text_that_slipped_into_the_field_of_a_time_is_overwritten() -> None:
    slipped = b"\0\1\1+4915112345678\0\1\1ACME\0" + b"the code is 12\0"

    shown = redact_body(constants.DELIVER_SM, slipped)

    assert shown == b"\0\1\1+49151xxxxxxxx\0\1\1ACME\0the" + b"x" * 11 + b"\0"


@pytest.mark.parametrize("octets", [b"Hello, this is no header at all", b"\x05ab", b"\x02\x00\x09"])
def test_text_under_a_wrong_udhi_is_text(octets: bytes) -> None:
    pdu = SubmitSm("49151", octets, esm_class=constants.ESM_UDHI)

    shown = decode_submit_sm(redact_pdu(encode_submit_sm(pdu, 9))[16:])

    assert isinstance(shown, SubmitSm)
    assert shown.short_message == b"x" * len(octets)


def test_payload_callback_number_and_vendor_tlvs_are_overwritten_and_states_are_not() -> None:
    tlvs = {
        constants.TLV_MESSAGE_PAYLOAD: b"the text",
        constants.TLV_CALLBACK_NUM: b"\x01\x00\x01" + b"49151234",
        constants.TLV_MESSAGE_STATE: b"\x02",
        constants.TLV_RECEIPTED_MESSAGE_ID: b"7f3a\0",
        0x1400: b"1101",
    }

    shown = decode_data_sm(
        redact_pdu(encode_data_sm(DataSm(destination_addr="5", tlvs=tlvs), 1))[16:]
    )

    assert isinstance(shown, DataSm)
    assert shown.tlvs == tlvs | {
        constants.TLV_MESSAGE_PAYLOAD: b"x" * 8,
        constants.TLV_CALLBACK_NUM: b"x" * 11,
        0x1400: b"xxxx",
    }


def test_receipt_is_shown_up_to_the_text_it_quotes() -> None:
    body = RECEIPT + b" err:000 text:your code"
    pdu = DeliverSm("555", body, esm_class=constants.ESM_TYPE_RECEIPT)

    shown = decode_deliver_sm(redact_pdu(encode_deliver_sm(pdu, 1))[16:])

    assert isinstance(shown, DeliverSm)
    assert shown.short_message == RECEIPT + b" err:000 text:xxxxxxxxx"


def test_receipt_whose_text_has_no_key_is_not_shown() -> None:
    pdu = DeliverSm("555", RECEIPT + b" err:000 your code", esm_class=constants.ESM_TYPE_RECEIPT)

    shown = decode_deliver_sm(redact_pdu(encode_deliver_sm(pdu, 1))[16:])

    assert isinstance(shown, DeliverSm)
    assert set(shown.short_message) == {ord("x")}


def test_no_text_of_any_sample_of_a_receipt_is_shown() -> None:
    shown = 0
    for line in SAMPLES.read_text(encoding="utf-8").splitlines():
        sample = json.loads(line)
        text = (sample.get("text") or "").strip()
        body = sample["body"].encode("latin-1", "replace")
        if len(text) < 4 or text not in sample["body"] or len(body) > 254:
            continue
        pdu = DeliverSm("555", body, esm_class=constants.ESM_TYPE_RECEIPT)
        assert text.encode("latin-1", "replace") not in redact_pdu(encode_deliver_sm(pdu, 1))
        shown += 1
    assert shown >= 20


def test_passwords_are_overwritten_where_a_bind_names_one() -> None:
    bind = Bind("smppd", "s3cret", kind="transceiver")

    shown = decode_bind("transceiver", redact_pdu(encode_bind(bind, 1))[16:])

    assert isinstance(shown, Bind)
    assert (shown.system_id, shown.password) == ("smppd", "xxxxxx")
    assert b"s3cret" not in redact_pdu(encode_outbind(Outbind("centre", "s3cret"), 1))


def test_password_alone_is_overwritten_where_texts_are_wanted() -> None:
    submit = encode_submit_sm(SubmitSm("4915112345678", b"your code is 1234"), 9)
    bind = encode_bind(Bind("smppd", "s3cret", kind="receiver"), 1)

    assert redact_password(submit) == submit
    assert redact_password(bind) == redact_pdu(bind) != bind
    assert b"s3cret" not in redact_password(encode_outbind(Outbind("centre", "s3cret"), 1))
    assert redact_password(b"HTTP") == b"HTTP"


def test_commands_without_a_secret_are_shown_whole() -> None:
    cancel = encode_cancel_sm(CancelSm("7f3a", source_addr="ACME"), 4)
    taken = encode_submit_sm_resp(3, 0, "7f3a")
    nack = encode_bodiless(constants.GENERIC_NACK, 3, 0)

    assert [redact_pdu(pdu) for pdu in (cancel, taken, nack)] == [cancel, taken, nack]


def test_what_cannot_be_read_is_not_shown() -> None:
    assert redact_body(0x0112, b"broadcast") == b"x" * 9
    assert redact_body(constants.DELIVER_SM, b"no field ends here") == b"x" * 18
    assert redact_body(constants.SUBMIT_SM_RESP, b"id\0\x04\x24\x00\x09text") == b"id\0" + b"x" * 8
    assert redact_pdu(b"HTTP/1.1 400 Bad Request: +4915112345678") == b"HTTP" + b"x" * 36


@pytest.mark.parametrize(
    ("number", "shown"),
    [
        (b"4915112345678\0", b"49151xxxxxxxx\0"),
        (b"+49 151 1234\0", b"+49 151 xxxx\0"),
        (b"72227\0", b"72227\0"),
        (b"ACME\0", b"ACME\0"),
    ],
)
def test_numbers_keep_their_first_digits_and_names_all(number: bytes, shown: bytes) -> None:
    assert mask_number(number) == shown


@given(st.sampled_from([*PARTS, 0x0112, 0x21]), st.binary(max_size=300))
def test_no_body_changes_its_length_or_fails(command_id: int, body: bytes) -> None:
    assert len(redact_body(command_id, body)) == len(body)


@given(st.binary(max_size=300))
def test_redacting_twice_changes_nothing_more(pdu: bytes) -> None:
    assert redact_pdu(redact_pdu(pdu)) == redact_pdu(pdu)


@given(
    st.binary(min_size=8, max_size=254).filter(lambda text: b"x" not in text),
    st.sampled_from((0, constants.ESM_TYPE_RECEIPT)),
)
def test_no_octets_of_a_text_are_shown(text: bytes, esm_class: int) -> None:
    pdu = encode_deliver_sm(DeliverSm("555", text, esm_class=esm_class), 1)

    assert redact_pdu(pdu).endswith(b"x" * len(text))
