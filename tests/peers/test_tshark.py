"""A whole run on the wire, read by tshark: no complaint, and of every field what we read of it.

Seven carriers of Net::SMPP and one of our simulator, through a relay that writes what passes. Every
packet is one PDU, so that each has one reading by tshark and one by us.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Final

import msgspec
import pytest

from smppd.demo.stage import free_ports
from smppd.smpp import constants as c
from smppd.smpp.data_sm import DataSm, decode_data_sm
from smppd.smpp.pdu import (
    PduFault,
    ShortMessagePdu,
    decode_deliver_sm,
    decode_submit_sm,
    decode_submit_sm_resp,
)
from smppd.smpp.rare import BIND_KINDS, decode_bind, decode_bind_resp
from tests.peers.app import FINAL_EVENTS, App
from tests.peers.ledger import SECONDS_MAX
from tests.peers.needs import require
from tests.peers.perl import PerlSmsc
from tests.peers.tshark import Packet, complaints, count_payload, lengths_of, read, values_of
from tests.processes import Site, Table, ask

CARRIERS: Final[dict[str, Table]] = {
    "udh8": {"system_id": "udh8"},
    "udh16": {"long_message": "udh16"},
    "sar": {"long_message": "sar"},
    "payload": {"long_message": "payload"},
    "datasm": {"submit_command": "data_sm", "long_message": "payload"},
    "pair": {"bind": "pair"},
    "old": {"interface_version": "3.3"},
    "alpha": {},
}
PREFIXES: Final = {name: f"4915{index}" for index, name in enumerate(CARRIERS, 211)}
ROUTES: Final = tuple(
    {"prefix": prefix, "carrier": name, "cost": "0.01"} for name, prefix in PREFIXES.items()
)
TEXTS: Final = (
    "Grüße @ [4711] {5 €} ~ ÄÖÜ ñ Ω|^\\ " * 12,
    "Ваш заказ 😀 отправлен 🇸🇪. " * 9,
    "short",
    "кратко",
)
SECRET: Final = "nobody's business"
FATES: Final = ("01", "02", "03", "04", "06", "07", "08", "09", "10", "11", "12", "13")


GSM7: Final = 0
UCS2: Final = 8
"""Of data_coding."""

VALID_SECONDS: Final = 86_400
"""Of a message that does not say."""

LONG_MESSAGES: Final = 2 * sum("payload" not in table.values() for table in CARRIERS.values())
"""Those of TEXTS that take segments, one of each to every carrier that is sent segments."""

ADDRESSES: Final = (
    "source_addr_ton",
    "source_addr_npi",
    "source_addr",
    "dest_addr_ton",
    "dest_addr_npi",
    "destination_addr",
    "data_coding",
)
OTHERS: Final = (
    "protocol_id",
    "priority_flag",
    "replace_if_present_flag",
    "sm_default_msg_id",
)


def number_of(carrier: str, number: int, fate: str = "99") -> str:
    """A destination of a carrier's, by the peer's table of last digits."""
    return f"{PREFIXES[carrier]}{number:04}{fate}"


class Captures(msgspec.Struct):
    """The files of one run: what the relay wrote, and what the daemon's own tap of ``udh8`` did."""

    run: Path
    tap: Path


@pytest.fixture(scope="module")
def captures(tmp_path_factory: pytest.TempPathFactory) -> Captures:
    """A whole run, from the first bind to the last unbind."""
    require("tshark")
    directory = tmp_path_factory.mktemp("tshark")
    relays = dict(zip(CARRIERS, free_ports(len(CARRIERS)), strict=True))
    carriers = {name: {**table, "port": relays[name]} for name, table in CARRIERS.items()}
    files = Captures(directory / "run.pcap", directory / "tap.pcap")
    with (
        Site(directory / "centre") as centre,
        Site(directory / "run", carriers=carriers, routes=ROUTES) as site,
    ):
        centre.start_simulator()
        targets = {**site.ports, **centre.ports}
        peer = PerlSmsc(site, [site.ports[name] for name in CARRIERS if name != "alpha"], [])
        pairs = [f"{relays[name]}:{targets[name]}" for name in CARRIERS]
        relay = site.start("-m", "tests.peers.relay", str(files.run), *pairs, log="relay.log")
        relay.wait_for_output("ready")
        daemon = site.start_daemon()
        site.wait_bound(daemon)
        run_tapped(site, peer, files.tap)
        assert daemon.stop() == 0, daemon.tail()
    return files


def run_tapped(site: Site, peer: PerlSmsc, file: Path) -> None:
    """Everything, and then one message more, with whose receipt the tap may end."""
    words = ("pdu-tap", "udh8", "--for", "10m", "--out", str(file))
    tap = site.start_smppctl(*words, log="tap.log")
    tap.wait_until(lambda: file.exists() and bool(file.read_bytes()), "tapping", SECONDS_MAX)
    app = App(site.socket)
    send_everything(app)
    last = number_of("udh8", 34)
    sent = app.wait_for(app.submit(last, SECRET), "sent")
    for action in ("query", "cancel"):
        ask(site.socket, {"type": "ask_carrier", "id": sent["id"], "action": action})
    (submit,) = peer.rows("submit", last)
    receipt = f"id:{submit.message_id} ".encode()
    tap.wait_until(lambda: receipt in file.read_bytes(), "done", SECONDS_MAX)
    tap.kill()
    app.close()


def send_everything(app: App) -> None:
    refs = [
        app.submit(number_of(carrier, number), text)
        for carrier in CARRIERS
        for number, text in enumerate(TEXTS)
    ]
    refs += [app.submit(number_of("udh8", 30, fate), "hello") for fate in FATES]
    rare = {"data": "AP8b", "udh": "BgUEFYEVgg==", "tlv": {"0x1400": "6162"}}
    refs.append(app.submit(number_of("udh8", 31), rare))
    refs.append(app.submit(number_of("udh8", 32), {"text": "now €", "flash": True}))
    refs.append(app.submit(number_of("udh8", 33), {"text": "сейчас", "flash": True}))
    for ref in refs:
        app.wait_for(ref, *FINAL_EVENTS)


@pytest.fixture(scope="module")
def packets(captures: Captures) -> list[Packet]:
    return read(captures.run)


def only(packets: list[Packet], *commands: int) -> list[Packet]:
    found = [packet for packet in packets if packet.command_id in commands]
    assert found
    return found


def test_tshark_complains_of_no_packet_of_a_whole_run(
    captures: Captures, packets: list[Packet]
) -> None:
    assert complaints(captures.run) == []
    assert {packet.command_id for packet in packets} >= {
        c.BIND_TRANSCEIVER,
        c.BIND_TRANSMITTER,
        c.BIND_RECEIVER,
        c.SUBMIT_SM,
        c.DATA_SM,
        c.DELIVER_SM_RESP,
        c.DATA_SM_RESP,
        c.ENQUIRE_LINK_RESP,
        c.QUERY_SM,
        c.CANCEL_SM,
        c.UNBIND,
        c.UNBIND_RESP,
    }


def test_tshark_complains_of_no_packet_of_the_daemons_own_tap(
    captures: Captures, packets: list[Packet]
) -> None:
    """Every submit of the carrier is in it, with the texts and the most of the numbers covered."""
    bound = {packet.stream for packet in packets if packet.text("smpp.system_id") == "udh8"}
    of_run = [packet for packet in only(packets, c.SUBMIT_SM) if packet.stream in bound]
    assert complaints(captures.tap) == []
    assert lengths_of(captures.tap, c.SUBMIT_SM) == [len(packet.octets) for packet in of_run]
    assert values_of(captures.tap, "smpp.destination_addr") == {"ACME", "49152xxxxxxxx"}
    assert SECRET.encode() in captures.run.read_bytes()
    assert SECRET.encode() not in captures.tap.read_bytes()


def test_tshark_complains_of_a_run_with_an_octet_missing(
    captures: Captures, tmp_path: Path
) -> None:
    """So that its silence means something: the sender's NUL of one submit_sm is overwritten."""
    damaged = tmp_path / "damaged.pcap"
    whole = captures.run.read_bytes()
    assert b"ACME\0\x01\x01" in whole
    damaged.write_bytes(whole.replace(b"ACME\0\x01\x01", b"ACME\x01\x01\x01", 1))
    assert complaints(damaged) != []


def test_every_octet_of_the_run_is_in_a_pdu(captures: Captures, packets: list[Packet]) -> None:
    """tshark passes over in silence what it does not take for SMPP."""
    assert count_payload(captures.run) == sum(len(packet.octets) for packet in packets)


@pytest.mark.parametrize("command_id", [c.SUBMIT_SM, c.DELIVER_SM], ids=["submit", "deliver"])
def test_fields_of_a_message_are_those_that_tshark_reads(
    packets: list[Packet], command_id: int
) -> None:
    decode = {c.SUBMIT_SM: decode_submit_sm, c.DELIVER_SM: decode_deliver_sm}[command_id]
    for packet in only(packets, command_id):
        ours = decode(packet.body)
        assert isinstance(ours, ShortMessagePdu)
        check_shared(packet, ours)
        assert [packet.number(f"smpp.{name}") for name in OTHERS] == [
            getattr(ours, name) for name in OTHERS
        ]
        assert packet.text("smpp.message") == ours.short_message.hex()
        assert packet.number("smpp.sm_length") == len(ours.short_message)


def test_fields_of_data_sm_are_those_that_tshark_reads(packets: list[Packet]) -> None:
    for packet in only(packets, c.DATA_SM):
        ours = decode_data_sm(packet.body)
        assert isinstance(ours, DataSm)
        check_shared(packet, ours)


def check_shared(packet: Packet, ours: ShortMessagePdu | DataSm) -> None:
    """The fields that submit_sm, deliver_sm and data_sm have alike, and the TLVs."""
    theirs = [
        packet.text(f"smpp.{name}") if name.endswith("_addr") else packet.number(f"smpp.{name}")
        for name in ADDRESSES
    ]
    assert theirs == [getattr(ours, name) for name in ADDRESSES]
    esm_class = packet.number("smpp.esm.submit.msg_mode")
    esm_class |= packet.number("smpp.esm.submit.msg_type") << 2
    esm_class |= packet.number("smpp.esm.submit.features") << 6
    assert esm_class == ours.esm_class
    assert packet.number("smpp.regdel.receipt") == ours.registered_delivery & 3
    tags = packet.text("smpp.opt_param_tag")
    assert [int(tag, 16) for tag in tags.split(",") if tag] == list(ours.tlvs)
    assert packet.text("smpp.message_payload") == ours.tlvs.get(c.TLV_MESSAGE_PAYLOAD, b"").hex()
    state = ours.tlvs.get(c.TLV_MESSAGE_STATE, b"")
    assert packet.number("smpp.message_state") == int.from_bytes(state, "big")


def test_texts_are_those_that_were_sent(packets: list[Packet]) -> None:
    """What was one text is one again, in the order that tshark reads of its segments."""
    texts: dict[tuple[int, str], str] = {}
    for packet in only(packets, c.SUBMIT_SM):
        if packet.number("smpp.data_coding") in (GSM7, UCS2) and packet.text("smpp.message"):
            key = (packet.stream, packet.text("smpp.destination_addr"))
            texts[key] = texts.get(key, "") + packet.text("smpp.message_text")
    assert set(texts.values()) >= set(TEXTS)
    assert set(texts.values()) <= {*TEXTS, SECRET, "hello", "hellohello"}  # throttled: sent twice


def test_validity_that_tshark_reads_is_within_the_day_that_was_asked(packets: list[Packet]) -> None:
    seconds = {
        float(packet.text("smpp.validity_period_r")) for packet in only(packets, c.SUBMIT_SM)
    }
    assert all(0 < one <= VALID_SECONDS for one in seconds)


def test_segments_that_tshark_finds_are_whole_messages(packets: list[Packet]) -> None:
    found: dict[tuple[object, ...], list[int]] = {}
    for packet in only(packets, c.SUBMIT_SM):
        reference, total, number = told(packet)
        if total:
            key = (packet.stream, packet.text("smpp.destination_addr"), reference, total)
            found.setdefault(key, []).append(number)
    assert len(found) == LONG_MESSAGES
    assert all(numbers == list(range(1, int(str(key[-1])) + 1)) for key, numbers in found.items())


def told(packet: Packet) -> tuple[int, int, int]:
    """Reference, total and number of a segment; total 0 where it is no segment."""
    sar = [f"smpp.sar_{name}" for name in ("msg_ref_num", "total_segments", "segment_seqnum")]
    udh = [f"gsm_sms.udh.mm.{name}" for name in ("msg_id", "msg_parts", "msg_part")]
    reference, total, number = sar if packet.text(sar[1]) else udh
    return packet.number(reference), packet.number(total), packet.number(number)


def test_binds_and_their_answers_are_those_that_tshark_reads(packets: list[Packet]) -> None:
    for packet in only(packets, *BIND_KINDS):
        bind = decode_bind(BIND_KINDS[packet.command_id], packet.body)
        assert not isinstance(bind, PduFault)
        theirs = [packet.text("smpp.system_id"), packet.text("smpp.password")]
        assert theirs == [bind.system_id, bind.password]
        assert packet.number("smpp.interface_version") == bind.interface_version
    for packet in only(packets, *(kind | c.RESPONSE_BIT for kind in BIND_KINDS)):
        answer = decode_bind_resp(packet.body)
        assert packet.text("smpp.system_id") == answer.system_id
        assert packet.number("smpp.SC_interface_version") == (answer.interface_version or 0)


def test_ids_in_answers_are_those_that_tshark_reads(packets: list[Packet]) -> None:
    """Where a message was taken; of a refusal it reads no body."""
    answers = [
        packet
        for packet in only(packets, c.SUBMIT_SM_RESP, c.DATA_SM_RESP)
        if packet.number("smpp.command_status") == 0
    ]
    ids = [packet.text("smpp.message_id") for packet in answers]
    assert ids == [decode_submit_sm_resp(packet.body) for packet in answers]


def test_every_request_of_the_run_has_one_answer(packets: list[Packet]) -> None:
    """By link, sequence_number and command, in both directions; a generic_nack is one too."""
    asked: Counter[tuple[int, int, int]] = Counter()
    answered: Counter[tuple[int, int, int]] = Counter()
    for packet in packets:
        command_id = packet.command_id
        if command_id == c.GENERIC_NACK:
            command_id = c.SUBMIT_SM_RESP
        counter = answered if command_id & c.RESPONSE_BIT else asked
        counter[packet.stream, packet.sequence_number, command_id & ~c.RESPONSE_BIT] += 1
    assert asked == answered
