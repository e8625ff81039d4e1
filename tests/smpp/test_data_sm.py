"""data_sm: its octets, its limits, and what it becomes above the session."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from smpplib.smpp import make_pdu

from smppd.smpp import constants as c
from smppd.smpp.data_sm import (
    DataSm,
    as_traffic,
    decode_data_sm,
    encode_data_sm,
    encode_data_sm_resp,
)
from smppd.smpp.pdu import DeliverSm, PduFault, SubmitSm
from tests.smpp.pair import raw

octet = st.integers(0, 255)


def ascii_text(octets_max: int) -> st.SearchStrategy[str]:
    return st.text(st.characters(min_codepoint=1, max_codepoint=127), max_size=octets_max - 1)


DATA = st.builds(
    DataSm,
    service_type=ascii_text(6),
    source_addr_ton=octet,
    source_addr_npi=octet,
    source_addr=ascii_text(65),
    dest_addr_ton=octet,
    dest_addr_npi=octet,
    destination_addr=ascii_text(65),
    esm_class=octet,
    registered_delivery=octet,
    data_coding=octet,
    tlvs=st.dictionaries(st.integers(0, 0xFFFF), st.binary(max_size=40), max_size=4),
)
SHORT = DATA.filter(lambda pdu: len(pdu.source_addr) < 21 and len(pdu.destination_addr) < 21)


@settings(deadline=None)
@given(DATA)
def test_what_was_written_is_read(pdu: DataSm) -> None:
    assert decode_data_sm(encode_data_sm(pdu, 7)[16:]) == pdu


@settings(deadline=None)
@given(SHORT, st.binary(min_size=1, max_size=260))
def test_smpplib_builds_the_same_where_it_can(pdu: DataSm, payload: bytes) -> None:
    theirs = make_pdu(
        "data_sm",
        sequence=0,
        service_type=pdu.service_type,
        source_addr_ton=pdu.source_addr_ton,
        source_addr_npi=pdu.source_addr_npi,
        source_addr=pdu.source_addr,
        dest_addr_ton=pdu.dest_addr_ton,
        dest_addr_npi=pdu.dest_addr_npi,
        destination_addr=pdu.destination_addr,
        esm_class=pdu.esm_class,
        registered_delivery=pdu.registered_delivery,
        data_coding=pdu.data_coding,
        message_payload=payload,
    )
    theirs.sequence = 7
    fields = {name: getattr(pdu, name) for name in pdu.__struct_fields__}
    ours = DataSm(**{**fields, "tlvs": {c.TLV_MESSAGE_PAYLOAD: payload}})
    assert encode_data_sm(ours, 7) == theirs.generate()


@settings(deadline=None)
@given(st.binary(max_size=120))
def test_random_octets_never_raise(body: bytes) -> None:
    assert isinstance(decode_data_sm(body), DataSm | PduFault)


BODY = encode_data_sm(DataSm(destination_addr="4477", tlvs={0x0424: b"hello"}), 1)[16:]
MANDATORY = len(encode_data_sm(DataSm(destination_addr="4477"), 1)) - 16


@pytest.mark.parametrize("length", [at for at in range(len(BODY)) if at != MANDATORY])
def test_a_body_cut_anywhere_is_a_fault(length: int) -> None:
    assert isinstance(decode_data_sm(BODY[:length]), PduFault)


@pytest.mark.parametrize(
    ("body", "command_status"),
    [
        (b"x" * 6 + b"\0\0\0\0\0\0\0\0\0\0", c.ESME_RINVSERTYP),
        (b"\0\0\0" + b"1" * 65 + b"\0\0\0\0\0\0\0", c.ESME_RINVSRCADR),
        (b"\0\0\0\0\0\0" + b"1" * 65 + b"\0\0\0\0", c.ESME_RINVDSTADR),
    ],
)
def test_a_field_that_is_too_long_is_refused_by_its_own_status(
    body: bytes, command_status: int
) -> None:
    fault = decode_data_sm(body)
    assert isinstance(fault, PduFault)
    assert fault.command_status == command_status


def test_a_good_response_has_an_id_and_a_bad_one_no_body() -> None:
    assert encode_data_sm_resp(5, 0, "id") == raw(c.DATA_SM_RESP, 5, body=b"id\0")
    assert encode_data_sm_resp(5, 0x14, "id") == raw(c.DATA_SM_RESP, 5, 0x14)


@settings(deadline=None)
@given(DATA, st.sampled_from([SubmitSm, DeliverSm]))
def test_what_it_becomes_says_the_same(pdu: DataSm, kind: type[SubmitSm]) -> None:
    traffic = as_traffic(pdu, kind)
    assert all(getattr(traffic, name) == getattr(pdu, name) for name in pdu.__struct_fields__)
    assert (type(traffic), traffic.short_message) == (kind, b"")
