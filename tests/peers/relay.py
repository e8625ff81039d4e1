"""Stands between the daemon and its SMSCs, and writes down what goes over each link, as pcap.

    python -m tests.peers.relay PCAP LISTEN:TARGET...

Every PDU is a packet of its own, so that whoever reads the file has one reading of each. It is
there before the octets go on: whoever has got an answer can read what led to it.
"""

from __future__ import annotations

import asyncio
import itertools
import sys
import time
from pathlib import Path
from typing import Final

from smppd.smpp.capture import CapturedLink, PduCutter, file_header

READ_OCTETS_MAX: Final = 65_536


class Relay:
    """All links of one file, which are numbered as they come."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._numbers = itertools.count()
        file.write_bytes(file_header())

    async def listen(self, port: int, target: int) -> None:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await self._join(reader, writer, target)

        await asyncio.start_server(serve, "127.0.0.1", port)

    async def _join(
        self, ours: asyncio.StreamReader, to_us: asyncio.StreamWriter, target: int
    ) -> None:
        theirs, to_them = await asyncio.open_connection("127.0.0.1", target)
        link = CapturedLink(next(self._numbers))
        self._write(link.begin(_now()))
        await asyncio.gather(
            self._carry(ours, to_them, link, is_ours=True),
            self._carry(theirs, to_us, link, is_ours=False),
        )
        self._write(link.end(_now()))

    async def _carry(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        link: CapturedLink,
        *,
        is_ours: bool,
    ) -> None:
        cutter = PduCutter()
        while octets := await reader.read(READ_OCTETS_MAX):
            for pdu in cutter.cut(octets):
                note = link.sent if is_ours else link.received
                self._write(note(pdu, _now()))
            writer.write(octets)
        writer.close()

    def _write(self, records: bytes) -> None:
        with self._file.open("ab") as file:
            file.write(records)


def _now() -> int:
    """Microseconds since the Unix epoch."""
    return time.time_ns() // 1000


async def main(file: Path, pairs: list[str]) -> None:
    relay = Relay(file)
    for pair in pairs:
        port, target = map(int, pair.split(":"))
        await relay.listen(port, target)
    print("ready", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2:]))
