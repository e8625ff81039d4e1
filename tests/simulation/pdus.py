"""PDUs as the judges read them: by themselves (SMPP 3.4 sections 4 and 5, 3GPP TS 23.040 section
9.2.3.24), with no line of the codec that they judge."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Final

import msgspec

SUBMIT_SM: Final = 0x00000004
DELIVER_SM: Final = 0x00000005
DATA_SM: Final = 0x00000103
GENERIC_NACK: Final = 0x80000000
SUBMIT_SM_RESP: Final = 0x80000004
DELIVER_SM_RESP: Final = 0x80000005
DATA_SM_RESP: Final = 0x80000103

HEAD: Final = struct.Struct(">IIII")

STATES: Final = {1: "ENROUTE", 2: "DELIVRD", 3: "EXPIRED", 4: "DELETED", 5: "UNDELIV", 8: "REJECTD"}

_UDHI: Final = 0x40
_PAYLOAD: Final = 0x0424
_RECEIPTED_ID: Final = 0x001E
_STATE: Final = 0x0427
_SAR: Final = (0x020E, 0x020F)  # sar_total_segments, sar_segment_seqnum


class Traffic(msgspec.Struct, frozen=True):
    """A submit_sm, deliver_sm or data_sm; ``data`` is with its header."""

    source: str
    destination: str
    esm_class: int
    data: bytes
    tlvs: dict[int, bytes]

    @property
    def place(self) -> tuple[int, int]:
        """Which segment it is, from 1, and of how many."""
        found = find_place(self.data if self.esm_class & _UDHI else b"")
        if found == (1, 1) and all(tag in self.tlvs for tag in _SAR):
            total, number = (self.tlvs[tag][-1] for tag in _SAR)
            found = (number, total)
        return found

    @property
    def body(self) -> bytes:
        """The octets behind the header."""
        return self.data[1 + self.data[0] :] if self.esm_class & _UDHI and self.data else self.data


class Framer:
    """Octets to PDUs: (command_id, command_status, sequence_number, body)."""

    def __init__(self) -> None:
        self._data = b""

    def feed(self, data: bytes) -> list[tuple[int, int, int, bytes]]:
        """The PDUs that are complete now."""
        self._data += data
        found = []
        while len(self._data) >= HEAD.size:
            length, command, status, sequence = HEAD.unpack_from(self._data)
            if len(self._data) < length:
                break
            found.append((command, status, sequence, self._data[HEAD.size : length]))
            self._data = self._data[length:]
        return found


def read_traffic(command: int, body: bytes) -> Traffic:
    """The body of a submit_sm, a deliver_sm or a data_sm."""
    _service_type, rest = read_string(body)
    source, rest = read_string(rest[2:])
    destination, rest = read_string(rest[2:])
    esm_class = rest[0]
    if command == DATA_SM:
        data, rest = b"", rest[3:]
    else:
        _schedule, rest = read_string(rest[3:])
        _validity, rest = read_string(rest)
        data, rest = rest[5 : 5 + rest[4]], rest[5 + rest[4] :]
    tlvs = dict(_elements(rest, ">HH"))
    return Traffic(source, destination, esm_class, tlvs.get(_PAYLOAD, b"") or data, tlvs)


def find_place(data: bytes) -> tuple[int, int]:
    """(number, total) by a user data header; (1, 1) where it says nothing of it."""
    for tag, value in _elements(data[1 : 1 + data[0]] if data else b"", ">BB"):
        if tag in (0x00, 0x08):
            return value[-1], value[-2]
    return 1, 1


def read_receipt(traffic: Traffic) -> tuple[str, str] | None:
    """The id and the state's word of a receipt of the simulator's, in whichever form; None of
    anything else."""
    words = dict(
        word.partition(":")[::2]
        for word in traffic.data.decode("latin-1").split(" ")
        if ":" in word and traffic.data.startswith(b"id:")
    )
    name, state = words.get("id", ""), words.get("stat", "")
    if _RECEIPTED_ID in traffic.tlvs:
        name = traffic.tlvs[_RECEIPTED_ID].rstrip(b"\0").decode("latin-1")
        state = STATES.get(traffic.tlvs.get(_STATE, b"\0")[0], "")
    return (name, state) if state else None


def read_string(data: bytes) -> tuple[str, bytes]:
    """A C-octet string, and what follows it."""
    text, _, rest = data.partition(b"\0")
    return text.decode("latin-1"), rest


def _elements(data: bytes, head: str) -> Iterator[tuple[int, bytes]]:
    size = struct.calcsize(head)
    while len(data) >= size:
        tag, length = struct.unpack_from(head, data)
        yield tag, data[size : size + length]
        data = data[size + length :]
