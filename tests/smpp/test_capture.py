"""The pcap file: read back octet for octet, and by tshark without a complaint."""

from __future__ import annotations

import struct
import subprocess
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from smppd.smpp.capture import SEGMENT_OCTETS_MAX, CapturedLink, PduCutter, file_header
from smppd.smpp.framing import FrameBuffer
from smppd.smpp.pdu import (
    DeliverSm,
    SubmitSm,
    encode_deliver_sm,
    encode_submit_sm,
    encode_submit_sm_resp,
)
from smppd.smpp.rare import Bind, encode_bind, encode_bind_resp
from smppd.smpp.redaction import redact_pdu
from tests.smpp.captured import carried_by, records_of
from tests.tools import require_tool

SEVERITY_WARNING = 0x600000  # Wireshark's PI_WARN

AT = 1_795_292_101_000_123  # Unix microseconds
SUBMITS = [encode_submit_sm(SubmitSm("4915112345678", b"a" * 140), n) for n in range(1, 301)]


def test_file_gives_back_every_octet_in_order() -> None:
    link = CapturedLink(0)
    stream = b"".join(SUBMITS)

    capture = file_header() + link.begin(AT) + link.sent(stream[:1_000], AT)
    capture += link.sent(stream[1_000:], AT) + link.received(b"\0\0\0\x10half", AT) + link.end(AT)

    carried = [carried_by(packet) for packet in records_of(capture)]
    assert b"".join(carried) == stream + b"\0\0\0\x10half"
    assert max(map(len, carried)) <= SEGMENT_OCTETS_MAX


def test_packets_begin_with_a_pdu_however_the_reads_were_cut() -> None:
    link = CapturedLink(0)

    capture = file_header()
    for octet in SUBMITS[0] + SUBMITS[1]:
        capture += link.received(bytes((octet,)), AT)

    assert [carried_by(packet) for packet in records_of(capture)] == SUBMITS[:2]


def test_packets_of_a_long_write_begin_with_a_pdu_too() -> None:
    packets = records_of(file_header() + CapturedLink(0).sent(b"".join(SUBMITS), AT))

    assert len(packets) > 2
    for packet in packets:
        frames = FrameBuffer()
        assert len(frames.receive(carried_by(packet))) > 1
        assert not frames.octets_waiting


def test_sequence_numbers_follow_the_octets_of_each_side() -> None:
    link = CapturedLink(3)
    capture = file_header() + link.begin(AT) + link.sent(SUBMITS[0], AT)
    capture += link.received(encode_submit_sm_resp(1, 0, "7f3a"), AT) + link.sent(SUBMITS[1], AT)

    numbers = [struct.unpack_from(">HHII", packet, 20) for packet in records_of(capture)]

    end = 1 + len(SUBMITS[0])
    assert numbers == [
        (49_155, 2775, 0, 0),
        (2775, 49_155, 0, 1),
        (49_155, 2775, 1, 1),
        (49_155, 2775, 1, 1),
        (2775, 49_155, 1, end),
        (49_155, 2775, end, 1 + 21),
    ]


@given(st.lists(st.binary(min_size=1, max_size=40), max_size=20))
def test_cutter_loses_nothing_of_any_stream(reads: list[bytes]) -> None:
    cutter = PduCutter()

    pieces = [piece for read in reads for piece in cutter.cut(read)] + cutter.take_rest()

    assert b"".join(pieces) == b"".join(reads)


def test_what_is_no_smpp_is_shown_as_it_came() -> None:
    cutter = PduCutter()

    assert cutter.cut(SUBMITS[0] + b"HTTP/1.1") == [SUBMITS[0], b"HTTP/1.1"]
    assert cutter.cut(b" 400\r\n") == [b" 400\r\n"]


def test_tshark_reads_a_redacted_capture_without_a_complaint(tmp_path: Path) -> None:
    require_tool("tshark", "tshark")
    link = CapturedLink(0, redact_pdu)
    file = tmp_path / "links.pcap"
    long = encode_deliver_sm(DeliverSm("555", b"", tlvs={0x0424: b"z" * 60_000}), 8)
    file.write_bytes(
        file_header()
        + link.begin(AT)
        + link.sent(encode_bind(Bind("smppd", "s3cret", kind="transceiver"), 1), AT)
        + link.received(encode_bind_resp("transceiver", 1, 0, "centre", 0x34), AT)
        + link.sent(b"".join(SUBMITS), AT)
        + link.received(long, AT)
        + link.end(AT)
    )

    told = dissect(file, "smpp.sequence_number", "smpp.destination_addr", "_ws.expert.severity")
    severities = [int(one) for row in told for one in row[2].split(",") if one]
    assert sum(len(row[0].split(",")) for row in told if row[0]) == 303
    assert max(severities) < SEVERITY_WARNING
    assert {row[1].partition(",")[0] for row in told} == {"", "49151xxxxxxxx", "555"}
    assert b"s3cret" not in file.read_bytes()


def dissect(file: Path, *fields: str) -> list[list[str]]:
    """What tshark says of each packet, checksums verified; of several values, commas between."""
    command = ["tshark", "-r", str(file), "-d", "tcp.port==2775,smpp", "-T", "fields"]
    command += ["-o", "tcp.check_checksum:TRUE", "-o", "ip.check_checksum:TRUE"]
    command += ["-E", "separator=|", *(word for field in fields for word in ("-e", field))]
    told = subprocess.run(command, capture_output=True, check=True, text=True).stdout
    return [line.split("|") for line in told.splitlines()]
