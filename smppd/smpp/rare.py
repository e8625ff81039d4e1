"""The PDUs that make, keep and end a bind: binds through smpplib, and those without a body.

The one place where smpplib builds or reads a PDU, and a checked one, since smpplib 2.2.4 cuts
strings that are too long, lets a NUL shift the fields after it, drops the sequence number it is
given, writes its own interface_version, and reads a body without its NULs as garbage. So every
string is judged before smpplib sees it, the sequence number and the version are set after it has
built its object, and a body is walked before it parses. TLVs are never shown to it.

The PDUs without a body are four integers, to which smpplib adds nothing; a test holds them equal.
"""

from __future__ import annotations

from typing import Final, Literal

import msgspec
from smpplib.smpp import make_pdu, parse_pdu

from smppd.errors import LocalProtocolError
from smppd.smpp.constants import (
    BIND_RECEIVER,
    BIND_TRANSCEIVER,
    BIND_TRANSMITTER,
    ESME_RINVCMDLEN,
    ESME_RINVPASWD,
    ESME_RINVSYSID,
    ESME_RINVSYSTYP,
    ESME_ROK,
    RESPONSE_BIT,
    TLV_SC_INTERFACE_VERSION,
)
from smppd.smpp.pdu import HEADER, HEADER_OCTETS, PduFault, c_octets, decode_tlvs

# Octets with their NUL, section 4.1.
SYSTEM_ID_OCTETS_MAX = 16
PASSWORD_OCTETS_MAX = 9
SYSTEM_TYPE_OCTETS_MAX = 13
ADDRESS_RANGE_OCTETS_MAX = 41

# 0x0210 is the specification's. 0x1002 is a misprint that centres in use have copied: seen in a
# bind_transceiver_resp of jookies/jasmin issue 577.
SC_INTERFACE_VERSION_TAGS = (TLV_SC_INTERFACE_VERSION, 0x1002)


BindKind = Literal["transceiver", "transmitter", "receiver"]

BIND_COMMANDS: Final[dict[BindKind, int]] = {
    "transceiver": BIND_TRANSCEIVER,
    "transmitter": BIND_TRANSMITTER,
    "receiver": BIND_RECEIVER,
}

BIND_KINDS: Final[dict[int, BindKind]] = {
    command_id: kind for kind, command_id in BIND_COMMANDS.items()
}


class Bind(msgspec.Struct, frozen=True):
    """The fields the three binds share, sections 4.1.1 to 4.1.5, and which of them it is.

    ``interface_version`` is 0x34 for 3.4, 0x33 for 3.3.
    """

    system_id: str
    password: str
    system_type: str = ""
    interface_version: int = 0x34
    addr_ton: int = 0
    addr_npi: int = 0
    address_range: str = ""
    kind: BindKind = "transceiver"

    def __repr__(self) -> str:
        """Without the password."""
        return f"Bind({self.kind}, system_id={self.system_id!r}, system_type={self.system_type!r})"


class BindResp(msgspec.Struct, frozen=True):
    """What an SMSC says of itself; the version is None where it says none."""

    system_id: str
    interface_version: int | None


def encode_bodiless(command_id: int, command_status: int, sequence_number: int) -> bytes:
    """A PDU that is a header: enquire_link, unbind, their responses, generic_nack, any refusal."""
    return HEADER.pack(HEADER_OCTETS, command_id, command_status, sequence_number)


def encode_bind(bind: Bind, sequence_number: int) -> bytes:
    """The whole PDU. ``LocalProtocolError`` for a field that is too long or not ASCII."""
    c_octets("system_id", bind.system_id, SYSTEM_ID_OCTETS_MAX)
    c_octets("password", bind.password, PASSWORD_OCTETS_MAX)
    c_octets("system_type", bind.system_type, SYSTEM_TYPE_OCTETS_MAX)
    c_octets("address_range", bind.address_range, ADDRESS_RANGE_OCTETS_MAX)
    if not all(0 <= n <= 0xFF for n in (bind.interface_version, bind.addr_ton, bind.addr_npi)):
        raise LocalProtocolError("an integer field is one octet")
    pdu = make_pdu(
        f"bind_{bind.kind}",
        sequence=0,
        system_id=bind.system_id,
        password=bind.password,
        system_type=bind.system_type,
        addr_ton=bind.addr_ton,
        addr_npi=bind.addr_npi,
        address_range=bind.address_range,
    )
    pdu.sequence = sequence_number
    pdu.interface_version = bind.interface_version
    return bytes(pdu.generate())


def encode_bind_resp(
    kind: BindKind,
    sequence_number: int,
    command_status: int,
    system_id: str,
    interface_version: int | None,
) -> bytes:
    """The whole PDU; an error status has no body (section 4.1.6)."""
    if command_status != ESME_ROK:
        response = BIND_COMMANDS[kind] | RESPONSE_BIT
        return encode_bodiless(response, command_status, sequence_number)
    c_octets("system_id", system_id, SYSTEM_ID_OCTETS_MAX)
    pdu = make_pdu(f"bind_{kind}_resp", system_id=system_id)
    pdu.sequence = sequence_number
    pdu.sc_interface_version = interface_version
    return bytes(pdu.generate())


def decode_bind(kind: BindKind, body: bytes) -> Bind | PduFault:
    """Read what follows the header, as strictly as the specification does."""
    fields = body.split(b"\0", 3)
    if len(fields) < 4 or len(fields[3]) < 3 or b"\0" not in fields[3][3:]:
        return PduFault("the body ends inside its mandatory fields", ESME_RINVCMDLEN)
    if len(fields[0]) >= SYSTEM_ID_OCTETS_MAX:
        return PduFault("system_id is too long", ESME_RINVSYSID)
    if len(fields[1]) >= PASSWORD_OCTETS_MAX:
        return PduFault("password is too long", ESME_RINVPASWD)
    if len(fields[2]) >= SYSTEM_TYPE_OCTETS_MAX:
        return PduFault("system_type is too long", ESME_RINVSYSTYP)
    address_range = fields[3][3 : fields[3].index(b"\0", 3)]
    if len(address_range) >= ADDRESS_RANGE_OCTETS_MAX:
        return PduFault("address_range is too long", ESME_RINVCMDLEN)
    end = len(body) - len(fields[3]) + 3 + len(address_range) + 1
    tlvs = decode_tlvs(body, end)
    if isinstance(tlvs, PduFault):
        return tlvs
    header = HEADER.pack(HEADER_OCTETS + end, BIND_COMMANDS[kind], 0, 0)
    pdu = parse_pdu(header + body[:end], sequence=0)
    return Bind(
        pdu.system_id.decode("latin-1"),
        pdu.password.decode("latin-1"),
        pdu.system_type.decode("latin-1"),
        pdu.interface_version,
        pdu.addr_ton,
        pdu.addr_npi,
        pdu.address_range.decode("latin-1"),
        kind,
    )


def decode_bind_resp(body: bytes) -> BindResp:
    """Read what follows the header, whatever it is.

    Centres send no body, a body with an error, an id without its NUL, a version under another
    tag. None of it tells more than command_status did, so none of it is a fault.
    """
    system_id, nul, _ = body.partition(b"\0")
    tlvs = decode_tlvs(body, len(system_id) + len(nul))
    versions = (
        []
        if isinstance(tlvs, PduFault)
        else [
            int.from_bytes(tlvs[tag][:4], "big")
            for tag in SC_INTERFACE_VERSION_TAGS
            if tlvs.get(tag)
        ]
    )
    return BindResp(
        system_id[: SYSTEM_ID_OCTETS_MAX - 1].decode("latin-1"), versions[0] if versions else None
    )
