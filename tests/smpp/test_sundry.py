"""query_sm, cancel_sm, alert_notification and outbind: their octets and their limits."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from smpplib.smpp import make_pdu

from smppd.errors import LocalProtocolError
from smppd.smpp import constants as c
from smppd.smpp.pdu import PduFault
from smppd.smpp.sundry import (
    AlertNotification,
    CancelSm,
    Outbind,
    QuerySm,
    QuerySmResp,
    decode_alert_notification,
    decode_cancel_sm,
    decode_outbind,
    decode_query_sm,
    decode_query_sm_resp,
    encode_alert_notification,
    encode_cancel_sm,
    encode_outbind,
    encode_query_sm,
    encode_query_sm_resp,
)
from tests.smpp.pair import raw

octet = st.integers(0, 255)


def ascii_text(octets_max: int, at_least: int = 0) -> st.SearchStrategy[str]:
    characters = st.characters(min_codepoint=1, max_codepoint=127)
    return st.text(characters, min_size=at_least, max_size=octets_max - 1)


QUERY = st.builds(QuerySm, ascii_text(65, 1), octet, octet, ascii_text(21))
QUERY_RESP = st.builds(QuerySmResp, ascii_text(65), ascii_text(17), octet, octet)
CANCEL = st.builds(
    CancelSm,
    ascii_text(65),
    ascii_text(6),
    octet,
    octet,
    ascii_text(21),
    octet,
    octet,
    ascii_text(21),
)
ALERT = st.builds(
    AlertNotification,
    ascii_text(65),
    ascii_text(65),
    st.none() | octet,
    octet,
    octet,
    octet,
    octet,
)
OUTBIND = st.builds(Outbind, ascii_text(16), ascii_text(9))

Codec = tuple[
    Callable[[msgspec.Struct, int], bytes], Callable[[bytes], msgspec.Struct], msgspec.Struct
]
CODECS = [
    (encode_query_sm, decode_query_sm, QuerySm("id", 5, 0, "ACME")),
    (encode_query_sm_resp, decode_query_sm_resp, QuerySmResp("id", "", 1, 0)),
    (encode_cancel_sm, decode_cancel_sm, CancelSm("id", source_addr="ACME", dest_addr_ton=1)),
    (encode_alert_notification, decode_alert_notification, AlertNotification("4917", "ACME")),
    (encode_outbind, decode_outbind, Outbind("smppd", "secret")),
]


@settings(deadline=None)
@given(QUERY)
def test_query_sm_is_read_as_written_and_as_smpplib_builds_it(pdu: QuerySm) -> None:
    fields = {name: getattr(pdu, name) for name in pdu.__struct_fields__}
    theirs = make_pdu("query_sm", sequence=0, **fields)
    theirs.sequence = 7
    octets = encode_query_sm(pdu, 7)
    assert octets == theirs.generate()
    assert decode_query_sm(octets[16:]) == pdu


@settings(deadline=None)
@given(QUERY_RESP)
def test_query_sm_resp_is_read_as_written_and_as_smpplib_builds_it(pdu: QuerySmResp) -> None:
    fields = {name: getattr(pdu, name) for name in pdu.__struct_fields__}
    theirs = make_pdu("query_sm_resp", **fields)
    theirs.sequence = 7
    octets = encode_query_sm_resp(pdu, 7)
    assert octets == theirs.generate()
    assert decode_query_sm_resp(octets[16:] + b"more") == pdu


@settings(deadline=None)
@given(ALERT)
def test_alert_notification_is_read_as_written_and_as_smpplib_builds_it(
    pdu: AlertNotification,
) -> None:
    octets = encode_alert_notification(pdu, 7)
    assert decode_alert_notification(octets[16:]) == pdu
    if len(pdu.source_addr) < 21 and len(pdu.esme_addr) < 21:
        fields = {name: getattr(pdu, name) for name in pdu.__struct_fields__}
        status = fields.pop("availability")
        theirs = make_pdu("alert_notification", sequence=0, ms_availability_status=status, **fields)
        theirs.sequence = 7
        assert octets == theirs.generate()


@settings(deadline=None)
@given(CANCEL)
def test_cancel_sm_is_read_as_written(pdu: CancelSm) -> None:
    assert decode_cancel_sm(encode_cancel_sm(pdu, 7)[16:]) == pdu


@settings(deadline=None)
@given(OUTBIND)
def test_outbind_is_read_as_written(pdu: Outbind) -> None:
    assert decode_outbind(encode_outbind(pdu, 7)[16:]) == pdu


def test_cancel_sm_and_outbind_have_the_octets_of_the_specification() -> None:
    cancel = CancelSm("id", "WAP", 5, 0, "ACME", 1, 1, "4477")
    body = b"WAP\0id\0\x05\0ACME\0\x01\x014477\0"
    assert encode_cancel_sm(cancel, 3) == raw(c.CANCEL_SM, 3, body=body)
    outbind = raw(c.OUTBIND, 3, body=b"smppd\0secret\0")
    assert encode_outbind(Outbind("smppd", "secret"), 3) == outbind


@pytest.mark.parametrize(("encode", "decode", "pdu"), CODECS)
def test_a_body_cut_anywhere_is_a_fault(
    encode: Callable[[msgspec.Struct, int], bytes],
    decode: Callable[[bytes], object],
    pdu: msgspec.Struct,
) -> None:
    body = encode(pdu, 1)[16:]
    assert decode(body) == pdu
    faults = [decode(body[:length]) for length in range(len(body))]
    assert all(isinstance(fault, PduFault) for fault in faults)


@settings(deadline=None)
@given(st.sampled_from(CODECS), st.binary(max_size=80))
def test_random_octets_never_raise(codec: Codec, body: bytes) -> None:
    _, decode, pdu = codec
    assert isinstance(decode(body), type(pdu) | PduFault)


@pytest.mark.parametrize(
    ("encode", "pdu"),
    [
        (encode_query_sm, QuerySm("i" * 65)),
        (encode_query_sm, QuerySm("id", source_addr="1" * 21)),
        (encode_query_sm, QuerySm("i\0d")),
        (encode_query_sm, QuerySm("id", source_addr_ton=256)),
        (encode_cancel_sm, CancelSm("id", service_type="x" * 6)),
        (encode_outbind, Outbind("x" * 16, "")),
        (encode_outbind, Outbind("smppd", "x" * 9)),
        (encode_alert_notification, AlertNotification("1", "2", 256)),
    ],
)
def test_a_field_that_does_not_fit_is_never_cut(
    encode: Callable[[msgspec.Struct, int], bytes], pdu: msgspec.Struct
) -> None:
    with pytest.raises(LocalProtocolError):
        encode(pdu, 1)


def test_ms_availability_status_is_a_number_of_as_many_octets_as_it_has() -> None:
    body = b"\0\0" + b"4917\0" + b"\0\0" + b"ACME\0"
    for value in (b"\x02", b"\0\x02"):
        tlv = b"\x04\x22" + len(value).to_bytes(2, "big") + value
        assert decode_alert_notification(body + tlv) == AlertNotification("4917", "ACME", 2)
    assert decode_alert_notification(body + b"\x04\x22\0\0") == AlertNotification("4917", "ACME")


def test_outbind_never_shows_its_password() -> None:
    assert "secret" not in repr(Outbind("smppd", "secret"))
