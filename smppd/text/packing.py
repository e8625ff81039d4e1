"""Septets packed into octets and back, 3GPP TS 23.038 s6.1.2: eight septets in seven octets.

Few centres want it: over SMPP nearly all take one septet an octet and pack for the air
themselves. SMPP counts the octets of a packed text and not its septets, so where seven bits are
left at the end nobody could tell them from a commercial at, which is septet 0: a carriage return
fills them (s6.1.2.3.1), and a text that itself ends in one there is given a second.
"""

from __future__ import annotations

from typing import Final

CR: Final = 0x0D
"""Carriage return, the septet that fills what would read as a commercial at."""

OCTETS_MAX: Final = 0xFFFF
"""Of one packed text: what message_payload can carry."""

_BLOCK_OCTETS: Final = 7 * 16
_BLOCK_SEPTETS: Final = 8 * 16
"""Turned as one number, whose every septet costs its whole length: a message_payload as one would
stop the loop for half a second."""


def fill_bits(header_octets: int) -> int:
    """The bits between a user data header, its length octet included, and the next septet
    boundary (3GPP TS 23.040 s9.2.3.24): the first septet of the text starts there."""
    return -8 * header_octets % 7


def pack(septets: bytes, fill: int = 0, octets_max: int = OCTETS_MAX) -> bytes:
    """Packed octets of ``septets``, one an octet, each below 0x80; ``fill`` zero bits stand before
    the first of them.

    The second carriage return is left out where it would take an octet above ``octets_max``: a
    full segment has no room for it.
    """
    if not septets:
        return b""
    bits = fill + 7 * len(septets)
    ends_in_cr = bits % 8 == 0 and septets.endswith(b"\r") and bits < 8 * octets_max
    if ends_in_cr or bits % 8 == 1:
        septets += bytes((CR,))
        bits += 7
    blocks = range(0, len(septets), _BLOCK_SEPTETS)
    packed = b"".join([_pack_block(septets[at : at + _BLOCK_SEPTETS]) for at in blocks])
    return (int.from_bytes(packed, "little") << fill).to_bytes(-(-bits // 8), "little")


def unpack(octets: bytes, fill: int = 0) -> bytes:
    """The septets of packed ``octets``, one an octet, after ``fill`` bits.

    A carriage return that ends on the last bit is filling and is left out, as the standard wants.
    So a text whose own ends there without a second loses it, and with one is read with both, which
    on a screen is the same as one.
    """
    count = max(8 * len(octets) - fill, 0) // 7
    whole = (int.from_bytes(octets, "little") >> fill).to_bytes(len(octets), "little")
    blocks = range(0, len(whole), _BLOCK_OCTETS)
    septets = b"".join([_unpack_block(whole[at : at + _BLOCK_OCTETS]) for at in blocks])[:count]
    ends_on_boundary = fill + 7 * count == 8 * len(octets)
    return septets[:-1] if ends_on_boundary and septets.endswith(b"\r") else septets


def _pack_block(septets: bytes) -> bytes:
    number = 0
    for septet in reversed(septets):
        number = number << 7 | septet
    return number.to_bytes(-(-7 * len(septets) // 8), "little")


def _unpack_block(octets: bytes) -> bytes:
    number = int.from_bytes(octets, "little")
    return bytes([number >> 7 * place & 0x7F for place in range(-(-8 * len(octets) // 7))])
