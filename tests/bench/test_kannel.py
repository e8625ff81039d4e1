"""Kannel's box protocol by octets made by hand, and by a bearerbox where one is installed."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from bench.box import (
    Ack,
    BoxResult,
    PacketReader,
    Receipt,
    encode_ack,
    encode_identify,
    encode_sms,
)
from bench.kannel import KannelSettings, find_bearerbox, find_faults, run_kannel

UNSET = b"\xff\xff\xff\xff"
ID = b"00000000-0000-4000-8000-000000000007"


def number(value: int) -> bytes:
    return struct.pack(">i", value)


def string(octets: bytes) -> bytes:
    return number(len(octets)) + octets


def packet(*fields: bytes) -> bytes:
    return string(b"".join(fields))


def make_receipt() -> bytes:
    return packet(
        *(number(2), string(b"491700000001"), string(b"ACME"), UNSET),
        *(string(b"id:1 stat:DELIVRD"), number(1_795_000_000), string(b"bench"), UNSET, UNSET),
        *(string(b""), UNSET, string(ID), number(3)),
        *(UNSET, UNSET, UNSET, UNSET, UNSET, UNSET),
        *(number(1), string(b"00000042"), UNSET, UNSET, UNSET, UNSET, string(b"bench")),
        *(UNSET, UNSET, UNSET, UNSET, UNSET, string(b"?smpp?dlr_err=000&")),
    )


def test_a_box_tells_its_name_by_an_admin_packet() -> None:
    assert encode_identify(b"bench") == bytes.fromhex(
        "00000011 00000001 00000003 00000005 62656e6368"
    )


def test_an_ack_has_the_id_of_what_was_taken() -> None:
    assert encode_ack(ID, 5) == bytes.fromhex("00000034 00000003 00000000 00000005 00000024") + ID


def test_a_message_has_every_field_and_asks_for_its_receipt() -> None:
    assert encode_sms(7, b"hello") == packet(
        *(number(2), string(b"ACME"), string(b"+491746902919"), UNSET),
        *(string(b"#00000007 hello"), UNSET, UNSET, UNSET, UNSET, UNSET, UNSET),
        *(string(ID), number(2), UNSET, UNSET, number(0), UNSET, UNSET, UNSET),
        *(number(3), string(b"00000007"), UNSET, UNSET, UNSET, UNSET, string(b"bench")),
        *(UNSET, UNSET, UNSET, UNSET, UNSET, UNSET),
    )


@pytest.mark.parametrize("octets", [1, 3, 57, 10_000])
def test_acks_and_receipts_are_read_however_they_are_cut(octets: int) -> None:
    heartbeat = packet(number(0), number(17))
    ack = packet(number(3), number(3), number(5), string(ID))
    data = heartbeat + ack + make_receipt() + ack
    reader = PacketReader()
    found = [
        one for at in range(0, len(data), octets) for one in reader.receive(data[at : at + octets])
    ]
    assert found == [Ack(3), Receipt(ID, 1, b"00000042"), Ack(3)]


def test_ledgers_of_box_and_smsc_that_differ_are_faults() -> None:
    result = BoxResult(
        acked=9, refused=1, delivered=8, other_receipts=1, doubles=0, seconds=1.0, cpu_seconds=0.1
    )
    assert find_faults(9, result, 9) == [
        "refused by the bearerbox: 1, not 0",
        "receipts of the delivered: 8, not 9",
        "other receipts: 1, not 0",
    ]


@pytest.mark.skipif(find_bearerbox() is None, reason="NOT RUN: apt-get install kannel")
def test_a_bearerbox_sends_every_message_and_hands_over_every_receipt(tmp_path: Path) -> None:
    sample = run_kannel(KannelSettings("file", messages=200, client_window=50), tmp_path)
    assert sample.faults == []
    assert sample.cpu_per_thousand > 0
    assert sample.private_peak > 1_000_000
    assert (tmp_path / "store").exists()
