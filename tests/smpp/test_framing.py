"""A stream cut into PDUs, wherever the reads were cut."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smppd.smpp.constants import ENQUIRE_LINK, ESME_RINVCMDLEN, SUBMIT_SM
from smppd.smpp.framing import PDU_BYTES_MAX, Frame, FrameBuffer, FramingFault
from tests.smpp.pair import raw

STREAM = raw(SUBMIT_SM, 1, body=b"body") + raw(ENQUIRE_LINK, 2) + raw(SUBMIT_SM, 3, body=b"x" * 40)
FRAMES = [
    Frame(SUBMIT_SM, 0, 1, b"body"),
    Frame(ENQUIRE_LINK, 0, 2, b""),
    Frame(SUBMIT_SM, 0, 3, b"x" * 40),
]


def receive_all(chunks: list[bytes]) -> list[Frame | FramingFault]:
    buffer = FrameBuffer()
    return [frame for chunk in chunks for frame in buffer.receive(chunk)]


def cut(octets: bytes, places: list[int]) -> list[bytes]:
    edges = [0, *sorted(place % (len(octets) + 1) for place in places), len(octets)]
    return [octets[a:b] for a, b in itertools.pairwise(edges)]


def test_buffer_returns_the_pdus_of_one_read_in_order() -> None:
    assert FrameBuffer().receive(STREAM) == FRAMES


def test_buffer_takes_one_octet_at_a_time() -> None:
    assert receive_all([bytes([octet]) for octet in STREAM]) == FRAMES


@pytest.mark.parametrize("place", range(len(STREAM) + 1))
def test_buffer_takes_two_reads_cut_at_every_octet(place: int) -> None:
    assert receive_all([STREAM[:place], STREAM[place:]]) == FRAMES


def test_buffer_keeps_a_pdu_whose_end_has_not_come() -> None:
    buffer = FrameBuffer()
    assert buffer.receive(STREAM[:-1]) == FRAMES[:2]
    assert buffer.octets_waiting == 55
    assert buffer.receive(STREAM[-1:]) == FRAMES[2:]
    assert buffer.octets_waiting == 0


def test_buffer_takes_a_bytearray_and_returns_bytes() -> None:
    frame = FrameBuffer().receive(bytearray(STREAM))[0]
    assert isinstance(frame, Frame)
    assert type(frame.body) is bytes


def test_buffer_takes_the_longest_pdu() -> None:
    body = bytes(PDU_BYTES_MAX - 16)
    assert FrameBuffer().receive(raw(SUBMIT_SM, 1, body=body)) == [Frame(SUBMIT_SM, 0, 1, body)]


def test_too_long_a_pdu_is_a_fault_with_its_sequence_number() -> None:
    (fault,) = FrameBuffer().receive(raw(SUBMIT_SM, 7, body=bytes(PDU_BYTES_MAX - 15))[:16])
    assert isinstance(fault, FramingFault)
    assert fault.command_status == ESME_RINVCMDLEN
    assert fault.sequence_number == 7


@pytest.mark.parametrize("length", range(16))
def test_too_short_a_pdu_is_a_fault_behind_the_whole_ones(length: int) -> None:
    *frames, fault = FrameBuffer().receive(STREAM + length.to_bytes(4, "big"))
    assert frames == FRAMES
    assert fault == FramingFault(
        f"command_length {length} is less than a header", ESME_RINVCMDLEN, 0
    )


@pytest.mark.parametrize(
    ("octets", "protocol"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n", "HTTP"),
        (b"AMQP\x00\x00\x09\x01", "AMQP"),
        (b"\x15\x03\x01\x00\x02\x02\x28", "TLS"),
        (b"\x16\x03\x03\x00\x7a", "TLS"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "SSH"),
    ],
)
def test_a_fault_names_the_protocol_of_a_wrong_port(octets: bytes, protocol: str) -> None:
    (fault,) = FrameBuffer().receive(octets)
    assert isinstance(fault, FramingFault)
    assert fault.reason == f"the peer speaks {protocol}, not SMPP"


def test_nothing_follows_a_fault() -> None:
    buffer = FrameBuffer()
    buffer.receive(b"\0\0\0\1")
    assert buffer.lost
    assert buffer.receive(STREAM) == []
    assert buffer.octets_waiting == 0


@given(st.binary(max_size=60), st.lists(st.integers(0, 1000), max_size=8))
def test_any_octets_give_the_same_frames_however_they_are_cut(
    rubbish: bytes, places: list[int]
) -> None:
    octets = STREAM + rubbish
    assert receive_all(cut(octets, places)) == FrameBuffer().receive(octets)
