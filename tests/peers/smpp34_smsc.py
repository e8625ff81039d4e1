"""An SMSC of smpp34 (Rust, Real Time Telecom), steered by the destination and telling what it read.

    python -m tests.peers.smpp34_smsc LEDGER PORT...

LEDGER gets one JSON object a line: each bind, each submit as it was decoded, and the answer to each
receipt. PDUs are read and written by the package alone; what it leaves as octets, the text and its
header, is read with gsm0338 and Python's codecs.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, Final

import gsm0338  # noqa: F401  # its codec is there once it is imported
import msgspec
import smpp34

from smppd.smpp import constants as c
from tests.peers.ledger import Row

TAKEN: Final = {"receipt": "DELIVRD"}
FATES: Final[dict[str, dict[str, Any]]] = {
    "01": {"status": 0x0B},
    "02": {"status": 0x58, "once": True, "receipt": "DELIVRD"},
    "04": {"status": 0x08, "once": True, "receipt": "DELIVRD"},
    "06": {"receipt": "UNDELIV"},
    "07": {"receipt": "DELIVRD", "tlvs": True},
    "11": {"receipt": "DELIVRD", "unbinds": True},
}
"""What becomes of a submit, by the last two digits of its destination; the rest is taken at once
and its receipt says delivered."""

STATES: Final = {"DELIVRD": 2, "UNDELIV": 5}
CODECS: Final = {0x00: "gsm03.38", 0x03: "latin-1", 0x08: "utf-16-be"}
SEGMENTS: Final = {0x00: 1, 0x08: 2}
"""The elements of concatenation, and the octets of their references."""


class Centre:
    """One port, and the binds to it by session."""

    def __init__(self, port: int, ledger: Path) -> None:
        self.port = port
        self._ledger = ledger
        self._server = smpp34.Server("127.0.0.1", port, system_id="smpp34")
        self._binds: dict[str, Any] = {}
        self._seen: set[str] = set()
        self._taken = 0
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        await self._server.start()

    async def serve(self) -> None:
        while True:
            self._handle(await self._server.next())

    def _handle(self, event: Any) -> None:
        if isinstance(event, smpp34.Esme):
            self._binds[event.session_id] = event
            self._write(Row("bind", system_id=event.system_id))
        elif isinstance(event, smpp34.SubmitSmEvent):
            self._answer(event)
        else:
            self._binds.pop(event.session_id, None)
            self._write(Row("unbind"))

    def _answer(self, event: Any) -> None:
        fate = FATES.get(event.destination_addr[-2:], TAKEN)
        if fate.get("once") and event.destination_addr in self._seen:
            fate = TAKEN
        self._seen.add(event.destination_addr)
        status = fate.get("status", 0)
        self._taken += 1
        message_id = f"rust-{self._taken}"
        self._write(self._read(event, status, message_id))
        if status:
            event.reject(status)
        else:
            event.accept(message_id)
            self._begin(self._after(event, message_id, fate))

    def _read(self, event: Any, status: int, message_id: str) -> Row:
        tlvs = {tlv.tag: tlv.value for tlv in event.tlvs}
        octets: bytes = tlvs.get(c.TLV_MESSAGE_PAYLOAD, event.short_message)
        header, text = cut_header(octets) if event.esm_class & 0x40 else (b"", octets)
        codec = CODECS.get(event.data_coding)
        vendor = tlvs.get(0x1400)
        return Row(
            "submit",
            source=event.source_addr,
            destination=event.destination_addr,
            command="submit_sm",
            status=status,
            message_id="" if status else message_id,
            text=text.decode(codec) if codec else f"hex:{text.hex()}",
            header=header.hex(),
            joint=joint_of(header, tlvs),
            payload=c.TLV_MESSAGE_PAYLOAD in tlvs,
            data_coding=event.data_coding,
            esm_class=event.esm_class,
            registered_delivery=event.registered_delivery,
            vendor=None if vendor is None else vendor.hex(),
            tags=sorted(tlvs),
        )

    async def _after(self, event: Any, message_id: str, fate: dict[str, Any]) -> None:
        session = self._binds[event.session_id]
        if event.registered_delivery & 3 == 1:
            await self._send_receipt(event, message_id, fate)
        if fate.get("unbinds"):
            await session.unbind()

    async def _send_receipt(self, event: Any, message_id: str, fate: dict[str, Any]) -> None:
        session = next(bind for bind in self._binds.values() if bind.can_receive)
        tlvs = [
            smpp34.Tlv(c.TLV_RECEIPTED_MESSAGE_ID, message_id.encode() + b"\0"),
            smpp34.Tlv(c.TLV_MESSAGE_STATE, bytes((STATES[fate["receipt"]],))),
        ]
        text = (
            f"id:{message_id} sub:001 dlvrd:001 submit date:2601021530 done date:2601021531 "
            f"stat:{fate['receipt']} err:000 text:"
        )
        answer = await session.deliver_sm(
            event.source_addr,
            b"" if fate.get("tlvs") else text.encode(),
            source_addr=event.destination_addr,
            source_addr_ton=event.dest_addr_ton,
            source_addr_npi=event.dest_addr_npi,
            dest_addr_ton=event.source_addr_ton,
            dest_addr_npi=event.source_addr_npi,
            esm_class=0x04,
            tlvs=tlvs if fate.get("tlvs") else [],
        )
        row = Row("receipt_answer", message_id=message_id, status=answer.command_status)
        self._write(row)

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _write(self, row: Row) -> None:
        row.port = self.port
        with self._ledger.open("ab") as ledger:
            ledger.write(msgspec.json.encode(row) + b"\n")


def cut_header(octets: bytes) -> tuple[bytes, bytes]:
    """The elements of a user data header, and what stands behind it."""
    return octets[1 : 1 + octets[0]], octets[1 + octets[0] :]


def joint_of(header: bytes, tlvs: dict[int, bytes]) -> list[tuple[int, int, int]]:
    """Reference, total and number, by each way they are told."""
    joint = []
    while header:
        tag, value, header = header[0], header[2 : 2 + header[1]], header[2 + header[1] :]
        if tag in SEGMENTS:
            size = SEGMENTS[tag]
            joint.append((int.from_bytes(value[:size], "big"), value[size], value[size + 1]))
    if c.TLV_SAR_TOTAL_SEGMENTS in tlvs:
        tags = (
            c.TLV_SAR_MSG_REF_NUM,
            c.TLV_SAR_TOTAL_SEGMENTS,
            c.TLV_SAR_SEGMENT_SEQNUM,
        )
        reference, total, number = (int.from_bytes(tlvs[tag], "big") for tag in tags)
        joint.append((reference, total, number))
    return joint


async def main(ledger: Path, ports: list[int]) -> None:
    centres = [Centre(port, ledger) for port in ports]
    for centre in centres:
        await centre.start()
    print("ready", flush=True)
    await asyncio.gather(*(centre.serve() for centre in centres))


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), [int(port) for port in sys.argv[2:]]))
