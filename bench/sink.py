"""The SMSC of a throughput run where no other is named: ``smppd.simulator`` on one port.

It takes any number of binds, answers at once and sends every receipt. At SIGTERM it writes its
counts to a file, as any SMSC that stands in for it does: a JSON object with ``accepted``.
"""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from typing import Annotated, Final

import msgspec
import trio
import typer

from smppd.simulator import Behaviour, SimulatedCarrier, serve
from smppd.simulator.behaviour import IdFormat

SYSTEM_ID: Final = "bench"
PASSWORD: Final = "bench"


async def run(port: int, carrier: SimulatedCarrier) -> None:
    """Serves ``carrier`` until SIGTERM or SIGINT."""
    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async with trio.open_nursery() as nursery:
            await nursery.start(serve, [("127.0.0.1", port, carrier)])
            await anext(signals)
            nursery.cancel_scope.cancel()


app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def main(
    port: Annotated[int, typer.Option(help="Where to listen, on 127.0.0.1.")],
    report: Annotated[Path, typer.Option(help="The file for the counts.")],
    id_format: Annotated[str, typer.Option(help="message_id: hex, dec or uuid.")] = "hex",
    receipt_delay: Annotated[float, typer.Option(help="Seconds, from the response.")] = 0.0,
    receipt_window: Annotated[int, typer.Option(help="Unacknowledged deliver_sm a bind.")] = 100,
) -> None:
    """A simulated SMSC for ``bench.throughput``."""
    try:
        behaviour = Behaviour(
            id_format=msgspec.convert(id_format, IdFormat),
            receipt_delay=receipt_delay,
            receipt_window=receipt_window,
        )
    except ValueError as error:
        print(f"bench.sink: {error}", file=sys.stderr)
        raise typer.Exit(2) from None
    carrier = SimulatedCarrier("bench", SYSTEM_ID, PASSWORD, behaviour)
    trio.run(run, port, carrier)
    report.write_bytes(msgspec.json.encode(carrier.statistics()))


if __name__ == "__main__":
    app()
