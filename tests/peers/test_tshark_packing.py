"""Packed septets, unpacked by tshark: fill bits behind a header, a CR where seven bits are left."""

from __future__ import annotations

from pathlib import Path
from typing import Final, Literal

import pytest

from smppd.smpp.capture import CapturedLink, file_header
from smppd.smpp.constants import ESM_UDHI
from smppd.smpp.pdu import SubmitSm, encode_submit_sm
from smppd.text import gsm7, segment
from smppd.text.segment import Form
from tests.peers.needs import require
from tests.peers.tshark import ask

LONE: Final = [("Grüße € " * 20)[:length] for length in range(1, 140)]
LONG: Final = [("0123456789@" * 50)[:length] for length in range(161, 480, 7)]
HEADER_OCTETS: Final = {"udh8": 6, "udh16": 7}


def unpacked_by_tshark(pieces: list[bytes], esm_class: int, file: Path) -> list[str]:
    """The text of each piece of user data, sent as a submit_sm of its own."""
    link = CapturedLink(0)
    records = [file_header(), link.begin(0)]
    for number, piece in enumerate(pieces, 1):
        submit = SubmitSm(f"{number:09}", piece, esm_class=esm_class)
        records.append(link.sent(encode_submit_sm(submit, number), number))
    file.write_bytes(b"".join([*records, link.end(len(pieces))]))
    field = "smpp.message_text"
    rows = ask(file, "smpp", field, alphabet="GSM 7-bit (packed)")
    return [text.replace("\\r", "\r") for (text,) in rows]


def with_filling(text: str, header_octets: int) -> str:
    """The text, and the CR that stands where an @ would be read (3GPP TS 23.038 s6.1.2.3.1)."""
    septets = -(-8 * header_octets // 7) + len(gsm7.encode(text) or b"")
    return text + "\r" if 7 * septets % 8 == 1 else text


def test_lone_text_of_every_length_is_unpacked_to_itself(tmp_path: Path) -> None:
    require("tshark")
    form = Form(packed=True)
    pieces = [piece for text in LONE for piece in segment.split(text, "gsm7", form, 0)]
    unpacked = unpacked_by_tshark(pieces, 0, tmp_path / "lone.pcap")
    assert unpacked == [with_filling(text, 0) for text in LONE]


@pytest.mark.parametrize("long_message", ["udh8", "udh16"])
def test_segments_are_unpacked_to_what_they_are_without_packing(
    long_message: Literal["udh8", "udh16"], tmp_path: Path
) -> None:
    require("tshark")
    header = HEADER_OCTETS[long_message]
    packed, plain = Form(long_message, packed=True), Form(long_message)
    pieces = [piece for text in LONG for piece in segment.split(text, "gsm7", packed, 1)]
    expected = [
        gsm7.decode(piece[header:])
        for text in LONG
        for piece in segment.split(text, "gsm7", plain, 1)
    ]
    unpacked = unpacked_by_tshark(pieces, ESM_UDHI, tmp_path / "long.pcap")
    assert unpacked == [with_filling(text, header) for text in expected]
