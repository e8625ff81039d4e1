"""Our codec of submit_sm and deliver_sm against smpp34's (Rust, Real Time Telecom), both ways.

What the two judge differently, and we mean to: smpp34 reads a body that ends in rubbish and fields
of any length, which we refuse in a submit_sm; it takes text fields for UTF-8 and loses what is
none, where we keep every octet.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smppd.smpp.constants import (
    DELIVER_SM,
    ESME_RINVOPTPARSTREAM,
    ESME_RINVPARLEN,
    ESME_RINVSRCADR,
    GENERIC_NACK,
    SUBMIT_SM,
)
from smppd.smpp.pdu import (
    ADDRESS_OCTETS_MAX,
    HEADER,
    HEADER_OCTETS,
    DeliverSm,
    PduFault,
    ShortMessagePdu,
    SubmitSm,
    decode_deliver_sm,
    decode_submit_sm,
    encode_deliver_sm,
    encode_submit_sm,
    encode_submit_sm_resp,
)
from smppd.smpp.rare import Bind, encode_bind, encode_bodiless
from tests.peers.needs import require
from tests.smpp.test_pdu import DELIVERS, SEQUENCE_NUMBER, SUBMIT, SUBMITS

DAMAGE: Final = st.lists(
    st.tuples(st.integers(0, 400), st.integers(0, 255)), min_size=1, max_size=4
)
"""Octets of a body, and what stands there instead."""

FIELDS: Final = [name for name in ShortMessagePdu.__struct_fields__ if name != "tlvs"]


@pytest.fixture(scope="module")
def smpp34() -> Any:
    """The package, which says nothing of its types to whoever has it not."""
    require("smpp34")
    import smpp34

    return smpp34


def build(smpp34: Any, kind: str, pdu: ShortMessagePdu, sequence_number: int) -> bytes:
    """The same PDU, written by smpp34."""
    fields = {name: getattr(pdu, name) for name in FIELDS}
    tlvs = [smpp34.Tlv(tag, value) for tag, value in pdu.tlvs.items()]
    octets = getattr(smpp34, kind)(**fields, tlvs=tlvs, sequence_number=sequence_number).encode()
    assert isinstance(octets, bytes)
    return octets


def fields_of(pdu: Any) -> dict[str, object]:
    """All of a PDU of either house but its TLVs."""
    return {name: getattr(pdu, name) for name in FIELDS}


def tlvs_of(read: Any) -> list[tuple[int, bytes]]:
    return [(tlv.tag, tlv.value) for tlv in read.tlvs]


@given(SUBMITS, SEQUENCE_NUMBER)
def test_submit_sm_has_the_octets_that_smpp34_writes(
    smpp34: Any, submit: SubmitSm, sequence_number: int
) -> None:
    octets = encode_submit_sm(submit, sequence_number)
    assert octets == build(smpp34, "SubmitSm", submit, sequence_number)


@given(SUBMITS, SEQUENCE_NUMBER)
def test_smpp34_reads_our_submit_sm_as_it_was_meant(
    smpp34: Any, submit: SubmitSm, sequence_number: int
) -> None:
    read = smpp34.decode(encode_submit_sm(submit, sequence_number))
    assert fields_of(read) == fields_of(submit)
    assert tlvs_of(read) == list(submit.tlvs.items())
    assert (read.command_id, read.sequence_number) == (SUBMIT_SM, sequence_number)


@given(DELIVERS, SEQUENCE_NUMBER)
def test_smpp34_and_we_write_and_read_the_same_deliver_sm(
    smpp34: Any, deliver: DeliverSm, sequence_number: int
) -> None:
    octets = build(smpp34, "DeliverSm", deliver, sequence_number)
    assert decode_deliver_sm(octets[HEADER_OCTETS:]) == deliver
    assert encode_deliver_sm(deliver, sequence_number) == octets
    assert fields_of(smpp34.decode(octets)) == fields_of(deliver)


@given(SUBMITS | DELIVERS, DAMAGE)
def test_smpp34_reads_whatever_we_read_of_a_damaged_body_and_the_same(
    smpp34: Any, pdu: ShortMessagePdu, damage: list[tuple[int, int]]
) -> None:
    body = bytearray(build(smpp34, type(pdu).__name__, pdu, 1)[HEADER_OCTETS:])
    for where, octet in damage:
        body[where % len(body)] = octet
    ours, theirs = read_by_both(smpp34, pdu, bytes(body))
    if not isinstance(ours, PduFault):
        assert as_utf8(fields_of(ours)) == fields_of(theirs)
        assert list(ours.tlvs.items()) == first_of_each(tlvs_of(theirs))


def test_smpp34_overlooks_a_long_sender_that_we_read_but_take_for_none_of_ours(smpp34: Any) -> None:
    deliver = DeliverSm("1", b"hello", source_addr="a" * ADDRESS_OCTETS_MAX)
    body = build(smpp34, "DeliverSm", deliver, 1)[HEADER_OCTETS:]
    fault = decode_submit_sm(body)
    assert decode_deliver_sm(body) == deliver
    assert isinstance(fault, PduFault)
    assert fault.command_status == ESME_RINVSRCADR
    assert read_by_both(smpp34, deliver, body)[1].source_addr == deliver.source_addr


@pytest.mark.parametrize(
    ("tail", "status"),
    [(b"\x04", ESME_RINVOPTPARSTREAM), (b"\x04\x24\x00\x05ab", ESME_RINVPARLEN)],
    ids=["an octet behind the last TLV", "a TLV that is cut"],
)
def test_smpp34_overlooks_a_torn_end_that_we_refuse(smpp34: Any, tail: bytes, status: int) -> None:
    body = encode_submit_sm(SUBMIT, 1)[HEADER_OCTETS:] + tail
    ours, theirs = read_by_both(smpp34, SUBMIT, body)
    assert (ours.command_status, theirs.short_message) == (status, SUBMIT.short_message)


def test_smpp34_loses_octets_of_a_sender_that_we_keep(smpp34: Any) -> None:
    body = encode_deliver_sm(DeliverSm("1", b"", source_addr="Caf3"), 1)[HEADER_OCTETS:]
    ours, theirs = read_by_both(smpp34, DeliverSm("1", b""), body.replace(b"Caf3", b"Caf\xe9"))
    assert (ours.source_addr, theirs.source_addr) == ("Café", "Caf\ufffd")


@given(SEQUENCE_NUMBER, st.integers(0, 0xFFFF))
def test_smpp34_reads_the_headers_of_all_else_that_we_write(
    smpp34: Any, sequence_number: int, status: int
) -> None:
    bind = Bind(system_id="smppd", password="secret", system_type="VMA", address_range="^1")
    answer = smpp34.decode(encode_submit_sm_resp(sequence_number, 0, "abc"))
    refusal = smpp34.decode(encode_bodiless(GENERIC_NACK, status, sequence_number))
    bound = smpp34.decode(encode_bind(bind, sequence_number))
    assert (answer.sequence_number, answer.body) == (sequence_number, b"abc\0")
    assert (refusal.command_id, refusal.command_status) == (GENERIC_NACK, status)
    assert bound.body == b"smppd\0secret\0VMA\0\x34\0\0^1\0"


def read_by_both(smpp34: Any, pdu: ShortMessagePdu, body: bytes) -> tuple[Any, Any]:
    """What we read of a body, and what smpp34 does: None where it refuses it."""
    is_submit = isinstance(pdu, SubmitSm)
    decode: Callable[[bytes], Any] = decode_submit_sm if is_submit else decode_deliver_sm
    command_id = SUBMIT_SM if is_submit else DELIVER_SM
    header = HEADER.pack(HEADER_OCTETS + len(body), command_id, 0, 1)
    try:
        return decode(body), smpp34.decode(header + body)
    except smpp34.SmppError:
        return decode(body), None


def as_utf8(fields: dict[str, object]) -> dict[str, object]:
    """Text fields as smpp34 reads their octets."""
    return {
        name: value.encode("latin-1").decode("utf-8", "replace")
        if isinstance(value, str)
        else value
        for name, value in fields.items()
    }


def first_of_each(tlvs: list[tuple[int, bytes]]) -> list[tuple[int, bytes]]:
    """Of a TLV that is there twice the first counts."""
    firsts: dict[int, bytes] = {}
    for tag, value in tlvs:
        firsts.setdefault(tag, value)
    return list(firsts.items())
