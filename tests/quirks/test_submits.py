"""Submits as each carrier wants them: ``docs/carriers.md``, rows 33, 34 and 36."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smppd.config import CarrierConfig, load
from smppd.daemon.build import build_dress, build_state
from smppd.daemon.fleet import is_bind_kept
from smppd.routing.sender import BadSender, Sender, read_sender
from smppd.smpp import constants as c
from smppd.smpp.data_sm import DataSm, encode_data_sm
from smppd.smpp.pdu import (
    TIME_FORMAT,
    DeliverSm,
    SubmitSm,
    decode_submit_sm,
    encode_deliver_sm,
    encode_submit_sm,
)
from smppd.smpp.signals import DeliverReceived
from smppd.store.changes import Extras
from smppd.store.records import Message
from smppd.text.segment import Form
from smppd.traffic.dressing import absolute_time
from tests.config.house import CARRIER, problems_of, write_config
from tests.house import START, Open, pdu_of
from tests.house import open_house as open_house
from tests.smpp.pair import bound_esme, frames_of
from tests.traffic.test_compose import LONG, NOW, message_of, planned

ENTITY: Final = 0x1400
DAY_MS: Final = 86_400_000


def read_carrier(directory: Path, lines: str = "") -> CarrierConfig:
    """As ``carriers/alpha.toml`` says."""
    return load(write_config(directory, carrier=CARRIER + lines)).carriers["alpha"]


def submit(directory: Path, lines: str, message: Message, now_ms: int = NOW) -> SubmitSm:
    """The first submit_sm of a message as the carrier reads it off the wire."""
    built = build_state(read_carrier(directory, lines)).build(message, 0, now_ms)
    assert isinstance(built, SubmitSm)
    (frame,) = frames_of(encode_submit_sm(built, 1))
    read = decode_submit_sm(frame.body)
    assert isinstance(read, SubmitSm), read
    return read


def message_from(text: str, **fields: object) -> Message:
    """A message whose sender an app wrote as ``text``."""
    sender = read_sender(text)
    assert isinstance(sender, Sender), sender
    message = message_of("hi", **fields)  # type: ignore[arg-type]
    message.addr_ton, message.addr_npi, message.addr = (
        sender.addr_ton,
        sender.addr_npi,
        sender.addr,
    )
    return message


def source(pdu: SubmitSm | DataSm) -> str:
    return f"{pdu.source_addr_ton}/{pdu.source_addr_npi} {pdu.source_addr}"


def destination(pdu: SubmitSm | DataSm) -> str:
    return f"{pdu.dest_addr_ton}/{pdu.dest_addr_npi} {pdu.destination_addr}"


# --- 33: kinds of addresses ---


@pytest.mark.parametrize(
    ("sender", "usual", "other"),
    [
        ("ACME", "5/0 ACME", "5/1 ACME"),
        ("My-Shop_1", "5/0 My-Shop_1", "5/1 My-Shop_1"),
        ("+491701234567", "1/1 491701234567", "2/8 491701234567"),
        ("491701234567", "1/1 491701234567", "2/8 491701234567"),
        ("12345", "3/0 12345", "6/9 12345"),
    ],
)
def test_b33_kinds_of_senders_are_the_usual_ones_or_as_the_carrier_has_them(
    sender: str, usual: str, other: str, tmp_path: Path
) -> None:
    for name in ("usual", "other"):
        (tmp_path / name).mkdir()
    lines = '[addresses]\nalphanumeric = "5/1"\ninternational = "2/8"\nshort_code = "6/9"\n'
    assert source(submit(tmp_path / "usual", "", message_from(sender))) == usual
    assert source(submit(tmp_path / "other", lines, message_from(sender))) == other


def test_b33_the_destination_has_a_kind_of_its_own(tmp_path: Path) -> None:
    lines = '[addresses]\ndestination = "0/0"\n'
    read = submit(tmp_path, lines, message_from("ACME"))
    assert (destination(read), source(read)) == ("0/0 4915112345678", "5/0 ACME")


def test_b33_a_plus_stands_before_international_numbers_only_where_it_is_wanted(
    tmp_path: Path,
) -> None:
    lines = "[addresses]\nplus = true\n"
    build = build_state(read_carrier(tmp_path, lines)).build
    built = [build(message_from(one), 0, NOW) for one in ("+491701234567", "12345", "ACME")]
    assert [source(one) for one in built] == ["1/1 +491701234567", "3/0 12345", "5/0 ACME"]
    assert {destination(one) for one in built} == {"1/1 +4915112345678"}


def test_b33_a_sender_of_letters_has_eleven_characters_at_most() -> None:
    assert isinstance(read_sender("Eleven-Char"), Sender)
    assert isinstance(read_sender("Twelve-Chars"), BadSender)


def test_b33_a_message_wears_the_kinds_of_the_carrier_it_goes_to(
    tmp_path: Path, open_house: Open
) -> None:
    lines = '[addresses]\nalphanumeric = "5/1"\n'
    house = open_house()
    house.states["beta"].build = build_state(read_carrier(tmp_path, lines)).build
    house.up("beta")
    house.submit("r1")
    assert [source(pdu_of(one)) for one in house.take("beta")] == ["5/1 ACME"]
    house.down("beta")
    house.up("alpha")
    house.submit("r2")
    assert [source(pdu_of(one)) for one in house.take("alpha")] == ["5/0 ACME"]


def test_b33_data_sm_wears_them_too(tmp_path: Path) -> None:
    lines = (
        'submit_command = "data_sm"\nservice_type = "VMA"\n'
        '[addresses]\nshort_code = "6/9"\nplus = true\n'
    )
    built = build_state(read_carrier(tmp_path, lines)).build(message_from("12345"), 0, NOW)
    assert isinstance(built, DataSm)
    assert (source(built), destination(built)) == ("6/9 12345", "1/1 +4915112345678")
    assert encode_data_sm(built, 1)[16:20] == b"VMA\0"


@pytest.mark.parametrize("value", ['"5"', '"5/256"', "5", '"alphanumeric"', '"-1/0"'])
def test_b33_what_is_no_kind_is_refused_with_its_line(value: str, tmp_path: Path) -> None:
    lines = f"[addresses]\nalphanumeric = {value}\n"
    (problem,) = problems_of(write_config(tmp_path, carrier=CARRIER + lines))
    assert (problem.key, problem.line) == ("addresses.alphanumeric", 6)
    assert "is not a TON and an NPI" in problem.wrong


def test_b33_service_type_protocol_and_priority_are_the_carriers(tmp_path: Path) -> None:
    lines = 'service_type = "CMT"\nprotocol_id = 65\npriority_flag = 2\n'
    read = submit(tmp_path, lines, message_from("ACME"))
    assert (read.service_type, read.protocol_id, read.priority_flag) == ("CMT", 65, 2)


def test_b33_a_carrier_without_wishes_costs_the_others_nothing(tmp_path: Path) -> None:
    assert build_dress(read_carrier(tmp_path, 'timezone = "Asia/Kolkata"\n')) is None


# --- 34: TLVs of their own ---


TLVS: Final = """[tlvs]
"0x1400" = { type = "string", value = "1101234567890" }
"0x1401" = { type = "cstring", value = "1107" }
"0x1402" = { type = "octets", value = "0aFF" }
"0x1403" = { type = "integer", value = 5 }
"0x1404" = { type = "integer", value = 258, octets = 2 }
"0x1405" = { type = "integer", value = 1, octets = 4 }
"""


def test_b34_tlvs_of_the_carrier_go_with_every_submit(tmp_path: Path) -> None:
    read = submit(tmp_path, TLVS, message_from("ACME"))
    assert read.tlvs == {
        0x1400: b"1101234567890",
        0x1401: b"1107\0",
        0x1402: b"\x0a\xff",
        0x1403: b"\x05",
        0x1404: b"\x01\x02",
        0x1405: b"\0\0\0\x01",
    }


@pytest.mark.parametrize("form", ["udh8", "sar", "payload"])
def test_b34_and_with_every_segment_beside_what_joins_them(form: str, tmp_path: Path) -> None:
    lines = '[tlvs]\n"0x1400" = { type = "string", value = "1" }\n'
    message = planned(LONG, Form(form))  # type: ignore[arg-type]
    build = build_state(read_carrier(tmp_path, lines)).build
    built = [build(message, index, NOW) for index in range(len(message.parts))]
    assert [one.tlvs[ENTITY] for one in built] == [b"1"] * len(message.parts)
    joined = {c.TLV_SAR_SEGMENT_SEQNUM, c.TLV_MESSAGE_PAYLOAD}.intersection(built[0].tlvs)
    assert bool(joined) == (form != "udh8")


def test_b34_a_message_that_has_the_tlv_itself_goes_before(tmp_path: Path) -> None:
    own = Extras(tlvs={ENTITY: b"own", 0x1600: b"more"})
    read = submit(tmp_path, TLVS, message_from("ACME", extras=own))
    assert (read.tlvs[ENTITY], read.tlvs[0x1600], read.tlvs[0x1403]) == (b"own", b"more", b"\x05")


@pytest.mark.parametrize(
    ("row", "key", "wrong"),
    [
        ('"5120" = { type = "string", value = "1" }', "tlvs.5120", "is not a tag"),
        ('"0x0424" = { type = "string", value = "1" }', "tlvs.0x0424", "smppd writes itself"),
        ('"0x1400" = "1"', "tlvs.0x1400", "is not a table"),
        ('"0x1400" = { type = "text", value = "1" }', "tlvs.0x1400.type", "'text' is not a type"),
        ('"0x1400" = { value = "1" }', "tlvs.0x1400.type", "is missing"),
        ('"0x1400" = { type = "string", value = "é" }', "tlvs.0x1400.value", "not an ASCII text"),
        ('"0x1400" = { type = "string" }', "tlvs.0x1400.value", "None is not an ASCII text"),
        ('"0x1400" = { type = "octets", value = "0a1" }', "tlvs.0x1400.value", "is not hex"),
        (
            '"0x1400" = { type = "integer", value = 256 }',
            "tlvs.0x1400.value",
            "fits into octets = 1",
        ),
        (
            '"0x1400" = { type = "integer", value = 1, octets = 3 }',
            "tlvs.0x1400.value",
            "octets = 3 is no width",
        ),
        (
            '"0x1400" = { type = "string", value = "1", octets = 2 }',
            "tlvs.0x1400.octets",
            "unknown key 'octets'",
        ),
        (
            '"0x14aa" = { type = "string", value = "1" }\n'
            '"0x14AA" = { type = "string", value = "2" }',
            "tlvs.0x14AA",
            "stands here twice",
        ),
        (f'"0x1400" = {{ type = "string", value = "{"x" * 1025}" }}', "tlvs", "1025 octets"),
    ],
)
def test_b34_a_tlv_that_cannot_be_sent_is_refused(
    row: str, key: str, wrong: str, tmp_path: Path
) -> None:
    (problem,) = problems_of(write_config(tmp_path, carrier=f"{CARRIER}[tlvs]\n{row}\n"))
    assert problem.key == key
    assert wrong in problem.wrong


def test_b34_a_carrier_of_3_3_has_no_tlvs(tmp_path: Path) -> None:
    lines = 'interface_version = "3.3"\n[tlvs]\n"0x1400" = { type = "string", value = "1" }\n'
    (problem,) = problems_of(write_config(tmp_path, carrier=CARRIER + lines))
    assert (problem.key, problem.wrong) == ("tlvs", 'needs interface_version "3.4"')


def test_b34_tlvs_nobody_knows_do_not_keep_a_deliver_sm_from_being_read() -> None:
    pdu = DeliverSm("12345", b"STOP", tlvs={0x1454: b"\x01", 0x060D: b"op", 0xFFFF: b""})
    (received,) = bound_esme().receive_data(encode_deliver_sm(pdu, 7), 0.0)
    assert isinstance(received, DeliverReceived)
    assert received.pdu == pdu


# --- 36: validity ---


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ("", "000001000000000R"),
        ('validity = "relative"\n', "000001000000000R"),
        ('validity = "absolute"\n', "270116080000000+"),
        ('validity = "absolute"\ntimezone = "Asia/Kolkata"\n', "270116133000022+"),
        ('validity = "absolute"\ntimezone = "America/New_York"\n', "270116030000020-"),
        ('validity = "none"\n', ""),
    ],
)
def test_b36_the_rest_of_a_life_is_told_as_the_carrier_wants_it(
    lines: str, expected: str, tmp_path: Path
) -> None:
    assert submit(tmp_path, lines, message_from("ACME")).validity_period == expected


@pytest.mark.parametrize(
    ("validity", "expected"),
    [("relative", "000000000130000R"), ("absolute", "270116080000000+")],
)
def test_b36_it_is_what_is_left_when_the_segment_is_written(
    validity: str, expected: str, tmp_path: Path
) -> None:
    lines = f'validity = "{validity}"\n'
    read = submit(tmp_path, lines, message_from("ACME"), NOW + DAY_MS - 90_000)
    assert read.validity_period == expected


def test_b36_the_rest_of_what_was_half_sent_is_given_an_hour_in_any_form(tmp_path: Path) -> None:
    read = submit(tmp_path, 'validity = "absolute"\n', message_from("ACME"), NOW + DAY_MS)
    assert read.validity_period == "270116090000000+"


@given(
    st.integers(1_700_000_000, 2_500_000_000),
    st.sampled_from(["UTC", "Asia/Kathmandu", "America/St_Johns", "Pacific/Chatham"]),
)
def test_b36_an_absolute_time_is_that_moment_and_has_one_digit_of_tenths(
    moment: int, name: str
) -> None:
    written = absolute_time(moment, ZoneInfo(name))
    assert TIME_FORMAT.fullmatch(written), written
    local = datetime.strptime("20" + written[:12] + "+0000", "%Y%m%d%H%M%S%z")
    offset = timedelta(minutes=15 * int(written[13:15]))
    utc = local - offset if written[15] == "+" else local + offset
    assert (utc.timestamp(), written[12]) == (moment, "0")


def test_b36_data_sm_tells_seconds_or_nothing(tmp_path: Path) -> None:
    told = []
    for validity in ("absolute", "none"):
        (tmp_path / validity).mkdir()
        lines = f'submit_command = "data_sm"\nvalidity = "{validity}"\n'
        built = build_state(read_carrier(tmp_path / validity, lines)).build
        told.append(built(message_from("ACME"), 0, NOW).tlvs.get(c.TLV_QOS_TIME_TO_LIVE))
    assert told == [(86_400).to_bytes(4), None]


def test_b36_what_has_expired_is_not_written(open_house: Open) -> None:
    house = open_house()
    house.up()
    house.submit("r1", valid_for=60)
    house.submit("r2", valid_for=600)
    house.now = START + 60_000
    assert [pdu_of(one).validity_period for one in house.take()] == ["000000000900000R"]
    assert house.slot().take_late() != []


def test_b36_nothing_is_ever_scheduled_with_the_carrier(tmp_path: Path) -> None:
    later = message_from("ACME", extras=Extras(send_at=NOW + 1_000))
    for index, lines in enumerate(("", 'validity = "absolute"\n')):
        (tmp_path / str(index)).mkdir()
        read = submit(tmp_path / str(index), lines, later)
        assert read.schedule_delivery_time == ""


def test_b36_a_change_of_any_of_it_takes_new_binds_for_parts_must_be_alike(tmp_path: Path) -> None:
    old = read_carrier(tmp_path)
    for field, value in (("validity", "none"), ("tlvs", {"0x1400": "31"}), ("protocol_id", 1)):
        assert not is_bind_kept(old, msgspec.structs.replace(old, **{field: value}))
