"""The adapter over smpplib, and the PDUs that are only a header."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from smpplib.smpp import make_pdu

from smppd.errors import LocalProtocolError
from smppd.smpp import constants
from smppd.smpp.constants import (
    BIND_TRANSCEIVER,
    ESME_RINVCMDLEN,
    ESME_RINVOPTPARSTREAM,
    ESME_RINVPASWD,
    ESME_RINVSYSID,
    ESME_RINVSYSTYP,
)
from smppd.smpp.pdu import PduFault
from smppd.smpp.rare import (
    Bind,
    BindKind,
    BindResp,
    decode_bind,
    decode_bind_resp,
    encode_bind,
    encode_bind_resp,
    encode_bodiless,
)
from tests.smpp.pair import frames_of

BIND = Bind("smppd", "secret", "SMPP", 0x33, 1, 1, "^44")
BIND_BODY = b"smppd\0secret\0SMPP\0\x33\x01\x01^44\0"


def ascii_text(octets_max: int) -> st.SearchStrategy[str]:
    return st.text(st.characters(min_codepoint=1, max_codepoint=127), max_size=octets_max - 1)


BINDS = st.builds(
    Bind,
    ascii_text(16),
    ascii_text(9),
    ascii_text(13),
    st.integers(0, 255),
    st.integers(0, 255),
    st.integers(0, 255),
    ascii_text(41),
)


def test_bind_transceiver_has_the_octets_of_the_specification() -> None:
    (frame,) = frames_of(encode_bind(BIND, 7))
    assert (frame.command_id, frame.command_status, frame.sequence_number) == (
        BIND_TRANSCEIVER,
        0,
        7,
    )
    assert frame.body == BIND_BODY


@pytest.mark.parametrize(
    ("kind", "command_id"),
    [
        ("transceiver", constants.BIND_TRANSCEIVER),
        ("transmitter", constants.BIND_TRANSMITTER),
        ("receiver", constants.BIND_RECEIVER),
    ],
)
def test_the_three_binds_differ_in_their_command_alone(kind: BindKind, command_id: int) -> None:
    bind = msgspec.structs.replace(BIND, kind=kind)
    (asked,) = frames_of(encode_bind(bind, 7))
    (answered,) = frames_of(encode_bind_resp(kind, 7, 0, "centre", None))
    assert (asked.command_id, asked.body) == (command_id, BIND_BODY)
    assert decode_bind(kind, asked.body) == bind
    response = constants.RESPONSE_BIT | command_id
    assert (answered.command_id, answered.body) == (response, b"centre\0")


@given(BINDS)
def test_a_bind_is_read_as_it_was_written(bind: Bind) -> None:
    (frame,) = frames_of(encode_bind(bind, 1))
    assert decode_bind("transceiver", frame.body) == bind


@pytest.mark.parametrize(
    "fields",
    [
        {"system_id": "x" * 16},
        {"password": "x" * 9},
        {"system_type": "x" * 13},
        {"address_range": "x" * 41},
        {"system_id": "a\0b"},
        {"password": "pässword"},
        {"interface_version": 256},
        {"addr_ton": -1},
    ],
)
def test_a_bind_field_that_does_not_fit_is_never_cut(fields: dict[str, Any]) -> None:
    with pytest.raises(LocalProtocolError):
        encode_bind(Bind(**{"system_id": "a", "password": "b", **fields}), 1)


def test_a_bind_never_shows_its_password() -> None:
    assert "secret" not in repr(BIND)


@pytest.mark.parametrize("length", range(len(BIND_BODY)))
def test_a_bind_cut_anywhere_is_a_fault(length: int) -> None:
    fault = decode_bind("transceiver", BIND_BODY[:length])
    assert isinstance(fault, PduFault)
    assert fault.command_status == ESME_RINVCMDLEN


@pytest.mark.parametrize(
    ("body", "command_status"),
    [
        (b"x" * 16 + b"\0\0\0\x34\0\0\0", ESME_RINVSYSID),
        (b"\0" + b"x" * 9 + b"\0\0\x34\0\0\0", ESME_RINVPASWD),
        (b"\0\0" + b"x" * 13 + b"\0\x34\0\0\0", ESME_RINVSYSTYP),
        (b"\0\0\0\x34\0\0" + b"x" * 41 + b"\0", ESME_RINVCMDLEN),
        (BIND_BODY + b"\0", ESME_RINVOPTPARSTREAM),
    ],
)
def test_a_bind_that_breaks_a_limit_is_refused_by_its_status(
    body: bytes, command_status: int
) -> None:
    fault = decode_bind("transceiver", body)
    assert isinstance(fault, PduFault)
    assert fault.command_status == command_status


def test_a_bind_may_carry_tlvs_nobody_knows() -> None:
    assert decode_bind("transceiver", BIND_BODY + b"\x14\0\0\x01x") == BIND


def test_a_good_bind_resp_names_the_version_and_a_bad_one_has_no_body() -> None:
    (good,) = frames_of(encode_bind_resp("transceiver", 1, 0, "centre", 0x34))
    (bad,) = frames_of(encode_bind_resp("transceiver", 1, 14, "centre", 0x34))
    assert good.body == b"centre\0\x02\x10\x00\x01\x34"
    assert (bad.command_status, bad.body) == (14, b"")


@pytest.mark.parametrize(
    ("body", "response"),
    [
        (b"", BindResp("", None)),
        (b"\0", BindResp("", None)),
        (b"centre", BindResp("centre", None)),
        (b"centre\0", BindResp("centre", None)),
        (b"centre\0\x02\x10\x00\x01\x34", BindResp("centre", 0x34)),
        (b"centre\0\x02\x10\x00\x02\x00\x34", BindResp("centre", 0x34)),
        (b"centre\0\x02\x10\x00\x00", BindResp("centre", None)),
        (b"centre\0\x10\x02\x00\x01\x34", BindResp("centre", 0x34)),
        (b"centre\0\x02\x10\x00", BindResp("centre", None)),
        (b"x" * 40 + b"\0", BindResp("x" * 15, None)),
    ],
)
def test_a_bind_resp_is_read_whatever_it_is(body: bytes, response: BindResp) -> None:
    assert decode_bind_resp(body) == response


@given(st.binary(max_size=80))
def test_random_octets_never_raise(body: bytes) -> None:
    decode_bind_resp(body)
    bind = decode_bind("transceiver", body)
    assert isinstance(bind, Bind | PduFault)


@pytest.mark.parametrize(
    "name", ["enquire_link", "enquire_link_resp", "unbind", "unbind_resp", "generic_nack"]
)
def test_a_pdu_without_a_body_is_what_smpplib_builds(name: str) -> None:
    theirs = make_pdu(name, sequence=0)
    theirs.sequence = 5
    ours = encode_bodiless(getattr(constants, name.upper()), 0, 5)
    assert ours == theirs.generate()
