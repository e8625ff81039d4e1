"""PDUs that nobody can read, among those of a carrier that is otherwise well."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import trio

from smppd.simulator.link import Link
from tests.simulation.net import Stream
from tests.simulation.pdus import DELIVER_SM, DELIVER_SM_RESP, HEAD

if TYPE_CHECKING:
    from tests.simulation.carriers import Carrier

FIRST_NUMBER: Final = 0x7000_0000
"""Sequence numbers from here on are of rubbish alone."""

RATE: Final = 0.3
"""Of a noisy carrier's writes that have rubbish behind them."""

_ADDRESSES: Final = b"\0\x01\x01491701\0\0\0ACME\0"
_WHOLE: Final = _ADDRESSES + b"%c\0\0\0\0\0\0\0\0%c%b"  # esm_class, sm_length, the message


KINDS: Final[dict[str, tuple[int, bytes, bool]]] = {
    "length that lies": (DELIVER_SM, _WHOLE % (0, 200, b"hello"), False),
    "cut in an address": (DELIVER_SM, b"\0\x01\x0149170", False),
    "nothing": (DELIVER_SM, b"", False),
    "unknown command": (0x00000111, b"hello", False),
    "receipt that says nothing": (DELIVER_SM, _WHOLE % (4, 5, b"hello"), True),
    "answer to nothing": (DELIVER_SM_RESP, b"\0", True),
}
"""The command, the body, and whether it is taken (ESME_ROK, or no answer at all)."""


class NoisyStream(trio.abc.Stream):
    """The carrier's end of a connection."""

    def __init__(self, carrier: Carrier, stream: Stream) -> None:
        self._carrier = carrier
        self._stream = stream
        self.link: Link | None = None

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """The link writes whole PDUs, so there is room behind them."""
        carrier = self._carrier
        may_deliver = self.link is not None and self.link._session.deliver_room > 0
        if may_deliver and carrier.is_noisy and carrier.chance.random() < RATE:
            data = bytes(data) + carrier.make_rubbish()
        await self._stream.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        await self._stream.wait_send_all_might_not_block()

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        return await self._stream.receive_some(max_bytes)

    async def aclose(self) -> None:
        await self._stream.aclose()


def make_pdu(kind: str, number: int) -> bytes:
    """One of KINDS, under a number of its own."""
    command, body, _ = KINDS[kind]
    return HEAD.pack(HEAD.size + len(body), command, 0, number) + body


def is_taken(kind: str) -> bool:
    """Whether the standard has it answered without an error."""
    return KINDS[kind][2]
