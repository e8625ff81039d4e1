"""A capture as tshark reads it: a packet a row, its fields by their names in Wireshark."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Final

from smppd.smpp.pdu import HEADER_OCTETS

ERROR_OR_WARNING: Final = 0x600000
"""The least severity of tshark's that says a packet is not as it should be (epan/expert.h)."""

_NAMES: Final = """
tcp.stream tcp.payload
smpp.command_id smpp.command_status smpp.sequence_number smpp.message_id
smpp.system_id smpp.password smpp.interface_version smpp.SC_interface_version
smpp.source_addr_ton smpp.source_addr_npi smpp.source_addr
smpp.dest_addr_ton smpp.dest_addr_npi smpp.destination_addr
smpp.esm.submit.msg_mode smpp.esm.submit.msg_type smpp.esm.submit.features
smpp.protocol_id smpp.priority_flag smpp.validity_period_r smpp.regdel.receipt
smpp.replace_if_present_flag smpp.data_coding smpp.sm_default_msg_id
smpp.sm_length smpp.message smpp.message_text smpp.message_payload
smpp.opt_param_tag smpp.message_state
smpp.sar_msg_ref_num smpp.sar_total_segments smpp.sar_segment_seqnum
gsm_sms.udh.mm.msg_id gsm_sms.udh.mm.msg_parts gsm_sms.udh.mm.msg_part
"""
FIELDS: Final = tuple(_NAMES.split())


class Packet:
    """One packet as tshark reads it: values by field, the empty ones left out."""

    def __init__(self, values: dict[str, str]) -> None:
        self.values = values
        self.stream = int(values["tcp.stream"])
        self.octets = bytes.fromhex(values["tcp.payload"])
        self.body = self.octets[HEADER_OCTETS:]
        self.command_id = self.number("smpp.command_id")
        self.sequence_number = self.number("smpp.sequence_number")

    def number(self, field: str) -> int:
        return int(self.values.get(field, "0"), 0)

    def text(self, field: str) -> str:
        return self.values.get(field, "")


def read(file: Path) -> list[Packet]:
    """The PDUs of a capture that has one a packet. What tshark holds for no SMPP is none."""
    rows = ask(file, "smpp", *FIELDS)
    return [
        Packet({field: value for field, value in zip(FIELDS, row, strict=True) if value})
        for row in rows
    ]


def complaints(file: Path) -> list[str]:
    """What tshark finds wrong, of any protocol."""
    rows = ask(file, "_ws.expert", "_ws.expert.severity", "_ws.expert.message")
    return [
        message
        for severities, message in rows
        if any(int(severity) >= ERROR_OR_WARNING for severity in severities.split(","))
    ]


def lengths_of(file: Path, command_id: int) -> list[int]:
    """The command_length of every PDU of a command, however many a packet has."""
    rows = ask(file, "smpp", "smpp.command_id", "smpp.command_length")
    return [
        int(length)
        for commands, lengths in rows
        for command, length in zip(commands.split(","), lengths.split(","), strict=True)
        if int(command, 16) == command_id
    ]


def values_of(file: Path, field: str) -> set[str]:
    """Every value of a field without commas in it."""
    return {value for row in ask(file, field, field) for value in row[0].split(",")}


def count_payload(file: Path) -> int:
    """The octets of all packets, whether tshark takes them for SMPP or not."""
    return sum(int(length) for (length,) in ask(file, "tcp.len > 0", "tcp.len"))


def ask(file: Path, wanted: str, *fields: str, alphabet: str = "GSM 7-bit") -> list[list[str]]:
    """These fields of the packets that the display filter ``wanted`` lets through; several values
    of one field have commas between, and a line's end is written as in C. ``alphabet`` is what
    data_coding 0 is taken for."""
    command = ["tshark", "-r", str(file), "-d", "tcp.port==2775,smpp", "-Y", wanted]
    command += ["-o", "tcp.check_checksum:TRUE", "-o", "ip.check_checksum:TRUE", "-T", "fields"]
    command += ["-o", f"smpp.decode_sms_over_smpp:{alphabet}"]
    command += [word for field in fields for word in ("-e", field)]
    octets = subprocess.run(command, capture_output=True, check=True).stdout
    # It writes each half of a pair by itself, where the text is UCS-2.
    halves = octets.decode("utf-8", "surrogatepass").encode("utf-16", "surrogatepass")
    return [line.split("\t") for line in halves.decode("utf-16").split("\n") if line]
