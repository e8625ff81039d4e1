"""An SMSC of smppy, the sloppy centre among the peers, telling what it read.

    python -m tests.peers.smppy_smsc LEDGER PORT...

It gives no message_id and no sc_interface_version, and reads one PDU of what arrives together: all
the package's own doing. A phone whose number ends in 02 sends back what was sent to it; one in 01
has a receipt sent for it, which bears no mark, for the package knows no other deliver_sm, and an
id that names nothing, for there is none that it could name.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any, Final

import msgspec
from smppy import Application

from tests.peers.ledger import Row

RECEIPT: Final = (
    "id:0 sub:001 dlvrd:001 submit date:2601021530 done date:2601021531 stat:DELIVRD err:000 text:"
)


class Centre(Application):  # type: ignore[misc]  # the package has no types
    """One port."""

    def __init__(self, port: int, ledger: Path) -> None:
        super().__init__("smppy")
        self.port = port
        self._ledger = ledger

    async def handle_bound_client(self, client: Any) -> Any:
        self._write(Row("bind", system_id=as_text(client.system_id)))
        return client if as_text(client.password) == "secret" else None

    async def handle_unbound_client(self, client: Any) -> None:
        self._write(Row("unbind"))

    async def handle_sms_received(
        self, client: Any, source_number: object, dest_number: object, text: str
    ) -> None:
        source, destination = as_text(source_number), as_text(dest_number)
        self._write(Row("submit", source=source, destination=destination, text=text))
        answer = {"01": RECEIPT, "02": text}.get(destination[-2:])
        if answer is not None:
            await client.send_sms(source=destination, dest=source, text=answer)

    def _write(self, row: Row) -> None:
        row.port = self.port
        with self._ledger.open("ab") as ledger:
            ledger.write(msgspec.json.encode(row) + b"\n")


def as_text(value: object) -> str:
    """The package gives octets or text, by the field."""
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)


def main(ledger: Path, ports: list[int]) -> None:
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    servers = [
        Centre(port, ledger).create_server(loop, host="127.0.0.1", port=port) for port in ports
    ]
    print("ready", flush=True)
    loop.run_forever()
    assert servers


if __name__ == "__main__":
    main(Path(sys.argv[1]), [int(port) for port in sys.argv[2:]])
