"""The hot codecs: against smpplib where it is right, against the specification where it is not."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from smpplib.smpp import make_pdu

from smppd.errors import LocalProtocolError
from smppd.smpp.constants import (
    ESME_RINVCMDLEN,
    ESME_RINVDSTADR,
    ESME_RINVEXPIRY,
    ESME_RINVMSGID,
    ESME_RINVMSGLEN,
    ESME_RINVOPTPARSTREAM,
    ESME_RINVPARLEN,
    ESME_RINVSCHED,
    ESME_RINVSERTYP,
    ESME_RINVSRCADR,
    ESME_ROPTPARNOTALLWD,
    TLV_MESSAGE_PAYLOAD,
    TLV_MESSAGE_STATE,
    TLV_RECEIPTED_MESSAGE_ID,
    TLV_USER_MESSAGE_REFERENCE,
)
from smppd.smpp.pdu import (
    RELATIVE_SECONDS_MAX,
    TIME_FORMAT,
    DeliverSm,
    PduFault,
    SubmitSm,
    decode_deliver_sm,
    decode_submit_sm,
    decode_submit_sm_resp,
    decode_tlvs,
    encode_deliver_sm,
    encode_deliver_sm_resp,
    encode_submit_sm,
    encode_submit_sm_resp,
    relative_time,
)
from tests.smpp.pair import frames_of

OCTET = st.integers(0, 255)
SEQUENCE_NUMBER = st.integers(1, 0x7FFFFFFF)
TIME = st.sampled_from(["", "261121223000000+", "261121223059948-", "020610233429000R"])


def ascii_text(octets_max: int) -> st.SearchStrategy[str]:
    return st.text(st.characters(min_codepoint=1, max_codepoint=127), max_size=octets_max - 1)


FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "destination_addr": ascii_text(21),
    "short_message": st.binary(max_size=254),
    "service_type": ascii_text(6),
    "source_addr_ton": OCTET,
    "source_addr_npi": OCTET,
    "source_addr": ascii_text(21),
    "dest_addr_ton": OCTET,
    "dest_addr_npi": OCTET,
    "esm_class": OCTET,
    "protocol_id": OCTET,
    "priority_flag": OCTET,
    "schedule_delivery_time": TIME,
    "validity_period": TIME,
    "registered_delivery": OCTET,
    "replace_if_present_flag": OCTET,
    "data_coding": OCTET,
    "sm_default_msg_id": OCTET,
}
TLVS = st.dictionaries(
    st.integers(0, 0xFFFF).filter(lambda tag: tag != TLV_MESSAGE_PAYLOAD),
    st.binary(max_size=40),
    max_size=4,
)
SUBMITS = st.builds(SubmitSm, **FIELDS, tlvs=TLVS)
DELIVERS = st.builds(DeliverSm, **FIELDS, tlvs=TLVS)

SUBMIT = SubmitSm(
    destination_addr="447700900123",
    short_message=b"hello",
    source_addr_ton=5,
    source_addr="ACME",
    dest_addr_ton=1,
    dest_addr_npi=1,
    validity_period="000001000000000R",
    registered_delivery=1,
)
SUBMIT_BODY = (
    b"\0\x05\0ACME\0\x01\x01447700900123\0\0\0\0\0" + b"000001000000000R\0\x01\0\0\0\x05hello"
)


def build_with_smpplib(name: str, sequence_number: int, fields: dict[str, Any]) -> bytes:
    pdu = make_pdu(name, sequence=0, **fields)
    pdu.sequence = sequence_number
    return bytes(pdu.generate())


# Both directions against the specification and smpplib


def test_submit_sm_has_the_octets_of_the_specification() -> None:
    (frame,) = frames_of(encode_submit_sm(SUBMIT, 9))
    assert (frame.command_id, frame.command_status, frame.sequence_number) == (4, 0, 9)
    assert frame.body == SUBMIT_BODY


@given(st.fixed_dictionaries(FIELDS), SEQUENCE_NUMBER)
def test_submit_sm_is_octet_for_octet_what_smpplib_builds(
    fields: dict[str, Any], sequence_number: int
) -> None:
    ours = encode_submit_sm(SubmitSm(**fields), sequence_number)
    assert ours == build_with_smpplib("submit_sm", sequence_number, fields)


@given(st.fixed_dictionaries(FIELDS), SEQUENCE_NUMBER, st.integers(0, 0xFFFF), OCTET)
def test_deliver_sm_is_octet_for_octet_what_smpplib_builds(
    fields: dict[str, Any], sequence_number: int, reference: int, state: int
) -> None:
    tlvs = {
        TLV_USER_MESSAGE_REFERENCE: reference.to_bytes(2, "big"),
        TLV_MESSAGE_STATE: bytes([state]),
        TLV_RECEIPTED_MESSAGE_ID: b"abc\0",
    }
    theirs = {
        **fields,
        "user_message_reference": reference,
        "message_state": state,
        "receipted_message_id": "abc",
    }
    ours = encode_deliver_sm(DeliverSm(**fields, tlvs=tlvs), sequence_number)
    assert ours == build_with_smpplib("deliver_sm", sequence_number, theirs)


@given(ascii_text(65), SEQUENCE_NUMBER)
def test_submit_sm_resp_is_octet_for_octet_what_smpplib_builds(
    message_id: str, sequence_number: int
) -> None:
    pdu = make_pdu("submit_sm_resp", message_id=message_id)
    pdu.sequence = sequence_number
    assert encode_submit_sm_resp(sequence_number, 0, message_id) == pdu.generate()


@given(st.integers(0, 0xFFFFFFFF), SEQUENCE_NUMBER)
def test_deliver_sm_resp_is_octet_for_octet_what_smpplib_builds(
    command_status: int, sequence_number: int
) -> None:
    pdu = make_pdu("deliver_sm_resp", status=command_status)
    pdu.sequence = sequence_number
    pdu.status = command_status
    assert encode_deliver_sm_resp(sequence_number, command_status) == pdu.generate()


@given(SUBMITS, SEQUENCE_NUMBER)
def test_a_submit_sm_is_read_as_it_was_written(pdu: SubmitSm, sequence_number: int) -> None:
    (frame,) = frames_of(encode_submit_sm(pdu, sequence_number))
    assert frame.sequence_number == sequence_number
    assert decode_submit_sm(frame.body) == pdu


@given(DELIVERS, SEQUENCE_NUMBER)
def test_a_deliver_sm_is_read_as_it_was_written(pdu: DeliverSm, sequence_number: int) -> None:
    (frame,) = frames_of(encode_deliver_sm(pdu, sequence_number))
    assert decode_deliver_sm(frame.body) == pdu


# What we never send


@pytest.mark.parametrize(
    "fields",
    [
        {"destination_addr": "1" * 21},
        {"destination_addr": "١٢٣"},
        {"destination_addr": "447\0"},
        {"source_addr": "x" * 21},
        {"source_addr": "Café"},
        {"source_addr": "A\0B"},
        {"service_type": "x" * 6},
        {"schedule_delivery_time": "tomorrow"},
        {"validity_period": "000001000000000"},
        {"short_message": b"x" * 255},
        {"source_addr_ton": 256},
        {"data_coding": -1},
        {"short_message": b"x", "tlvs": {TLV_MESSAGE_PAYLOAD: b"x"}},
        {"tlvs": {0x1400: b"x" * 65_536}},
        {"tlvs": {0x10000: b"x"}},
    ],
)
def test_a_field_that_does_not_fit_is_never_cut(fields: dict[str, Any]) -> None:
    values = {"destination_addr": "447700900123", "short_message": b"", **fields}
    with pytest.raises(LocalProtocolError):
        encode_submit_sm(SubmitSm(**values), 1)
    with pytest.raises(LocalProtocolError):
        encode_deliver_sm(DeliverSm(**values), 1)


def test_a_message_id_that_does_not_fit_is_never_cut() -> None:
    with pytest.raises(LocalProtocolError):
        encode_submit_sm_resp(1, 0, "x" * 65)


# What we read, and what we refuse


@pytest.mark.parametrize("length", range(len(SUBMIT_BODY) - 5))
def test_a_body_cut_in_its_mandatory_fields_is_a_fault(length: int) -> None:
    for decode in (decode_submit_sm, decode_deliver_sm):
        fault = decode(SUBMIT_BODY[:length])
        assert isinstance(fault, PduFault)
        assert fault.command_status == ESME_RINVCMDLEN


@pytest.mark.parametrize("missing", range(1, 6))
def test_sm_length_beyond_the_body_is_a_fault(missing: int) -> None:
    fault = decode_deliver_sm(SUBMIT_BODY[:-missing])
    assert isinstance(fault, PduFault)
    assert fault.command_status == ESME_RINVMSGLEN


@pytest.mark.parametrize(
    ("tlvs", "command_status"),
    [
        (b"\x14", ESME_RINVOPTPARSTREAM),
        (b"\x14\0", ESME_RINVOPTPARSTREAM),
        (b"\x14\0\0", ESME_RINVOPTPARSTREAM),
        (b"\x14\0\0\x02x", ESME_RINVPARLEN),
        (b"\x14\0\0\x01x\0\0\0", ESME_RINVOPTPARSTREAM),
    ],
)
def test_octets_that_are_no_whole_tlv_are_a_fault(tlvs: bytes, command_status: int) -> None:
    for decode in (decode_submit_sm, decode_deliver_sm):
        fault = decode(SUBMIT_BODY + tlvs)
        assert isinstance(fault, PduFault)
        assert fault.command_status == command_status


def test_tlvs_are_kept_unread_and_the_first_of_a_tag_wins() -> None:
    body = b"\x14\0\0\x01a" + b"\x04\x27\0\x02\0\x02" + b"\x14\0\0\x01b" + b"\x13\x0c\0\0"
    assert decode_tlvs(body, 0) == {0x1400: b"a", TLV_MESSAGE_STATE: b"\0\x02", 0x130C: b""}


@pytest.mark.parametrize(
    ("fields", "command_status"),
    [
        ({"service": b"x" * 6}, ESME_RINVSERTYP),
        ({"source": b"x" * 21}, ESME_RINVSRCADR),
        ({"destination": b"1" * 21}, ESME_RINVDSTADR),
        ({"schedule": b"soon"}, ESME_RINVSCHED),
        ({"validity": b"261321223000000+"}, ESME_RINVEXPIRY),
        ({"message": b"x" * 255}, ESME_RINVMSGLEN),
        ({"message": b"x", "tlvs": b"\x04\x24\0\x01x"}, ESME_ROPTPARNOTALLWD),
    ],
)
def test_a_submit_sm_that_breaks_a_limit_is_refused_by_its_status(
    fields: dict[str, bytes], command_status: int
) -> None:
    body = raw_body(**fields)
    fault = decode_submit_sm(body)
    assert isinstance(fault, PduFault)
    assert fault.command_status == command_status
    assert isinstance(decode_deliver_sm(body), DeliverSm)


def raw_body(
    service: bytes = b"",
    source: bytes = b"",
    destination: bytes = b"1",
    schedule: bytes = b"",
    validity: bytes = b"",
    message: bytes = b"",
    tlvs: bytes = b"",
) -> bytes:
    head = service + b"\0\0\0" + source + b"\0\0\0" + destination + b"\0\0\0\0"
    times = schedule + b"\0" + validity + b"\0"
    return head + times + b"\0\0\0\0" + bytes([len(message)]) + message + tlvs


def test_a_deliver_sm_whose_addresses_are_rubbish_is_refused() -> None:
    source = decode_deliver_sm(raw_body(source=b"x" * 65))
    destination = decode_deliver_sm(raw_body(destination=b"x" * 65))
    assert isinstance(source, PduFault)
    assert isinstance(destination, PduFault)
    assert source.command_status == ESME_RINVSRCADR
    assert destination.command_status == ESME_RINVDSTADR


def test_octets_beyond_ascii_are_read_as_latin_1() -> None:
    pdu = decode_deliver_sm(raw_body(source=b"Caf\xe9", message=b"\x00@\xff"))
    assert isinstance(pdu, DeliverSm)
    assert (pdu.source_addr, pdu.short_message) == ("Café", b"\x00@\xff")


@given(st.binary(max_size=120))
def test_random_octets_never_raise(body: bytes) -> None:
    assert isinstance(decode_submit_sm(body), SubmitSm | PduFault)
    assert isinstance(decode_deliver_sm(body), DeliverSm | PduFault)
    assert isinstance(decode_submit_sm_resp(body), str | PduFault)


@given(st.integers(0, 200), OCTET, st.integers(0, 5))
def test_a_body_with_one_octet_changed_never_raises(place: int, octet: int, missing: int) -> None:
    body = bytearray(SUBMIT_BODY + b"\x14\0\0\x03abc")
    body[place % len(body)] = octet
    mutated = bytes(body[: len(body) - missing])
    assert isinstance(decode_submit_sm(mutated), SubmitSm | PduFault)
    assert isinstance(decode_deliver_sm(mutated), DeliverSm | PduFault)


# submit_sm_resp


@pytest.mark.parametrize(
    ("body", "message_id"),
    [
        (b"", ""),
        (b"\0", ""),
        (b"1a2b\0", "1a2b"),
        (b"1a2b", "1a2b"),
        (b"1a2b\0\x04\x25\0\x01\x02", "1a2b"),
        (b"1a2b\0rubbish", "1a2b"),
        (b"x" * 64 + b"\0", "x" * 64),
        (b"\xff\0", "ÿ"),
    ],
)
def test_a_submit_sm_resp_is_read_in_every_shape_that_occurs(body: bytes, message_id: str) -> None:
    assert decode_submit_sm_resp(body) == message_id


def test_a_message_id_nobody_could_keep_is_a_fault() -> None:
    fault = decode_submit_sm_resp(b"x" * 65)
    assert isinstance(fault, PduFault)
    assert fault.command_status == ESME_RINVMSGID


def test_an_error_answers_without_a_body() -> None:
    assert encode_submit_sm_resp(1, 0x58, "ignored").hex() == "00000010800000040000005800000001"


# Time


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (1, "000000000001000R"),
        (59, "000000000059000R"),
        (300, "000000000500000R"),
        (86_400, "000001000000000R"),
        (30 * 86_400, "000030000000000R"),
        (31 * 86_400, "000100000000000R"),
        (365 * 86_400, "001124000000000R"),
        (366 * 86_400, "010000000000000R"),
        (0, "000000000001000R"),
        (-5, "000000000001000R"),
        (10**12, relative_time(RELATIVE_SECONDS_MAX)),
    ],
)
def test_relative_time_says_how_long(seconds: int, text: str) -> None:
    assert relative_time(seconds) == text


@given(st.integers(1, RELATIVE_SECONDS_MAX))
def test_relative_time_is_a_time_and_never_longer_than_asked(seconds: int) -> None:
    text = relative_time(seconds)
    years, months, days, hours, minutes, rest = (int(text[i : i + 2]) for i in range(0, 12, 2))
    assert len(text) == 16
    assert TIME_FORMAT.fullmatch(text)
    longest = ((years * 366 + months * 31 + days) * 24 + hours) * 3600 + minutes * 60 + rest
    assert longest == seconds
