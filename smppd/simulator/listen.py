"""The ports of simulated carriers, and the carriers of a configuration.

Carriers with one address share a listener, as accounts at one centre do; their system_id tells
them apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import NamedTuple

import trio

from smppd.config import Config
from smppd.simulator.behaviour import Behaviour
from smppd.simulator.carrier import SimulatedCarrier
from smppd.simulator.link import TIMERS, Link
from smppd.smpp.session import Timers


class Place(NamedTuple):
    """Where a carrier listens; port 0 is any free one."""

    host: str
    port: int
    carrier: SimulatedCarrier


async def serve(
    places: Sequence[tuple[str, int, SimulatedCarrier]],
    *,
    timers: Timers = TIMERS,
    task_status: trio.TaskStatus[list[int]] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Listen for every carrier until cancelled. Starts with their ports, in the order given.

    ``OSError`` if an address cannot be had; then none is listened on.
    """
    addresses: dict[tuple[str, int, int], list[SimulatedCarrier]] = {}
    keys = [(host, port, 0 if port else number) for number, (host, port, _) in enumerate(places)]
    for key, (_, _, carrier) in zip(keys, places, strict=True):
        addresses.setdefault(key, []).append(carrier)
    async with AsyncExitStack() as stack:
        listeners = {}
        for key in addresses:
            listeners[key] = await trio.open_tcp_listeners(key[1], host=key[0])
            for listener in listeners[key]:
                await stack.enter_async_context(listener)
        async with trio.open_nursery() as nursery:
            for key, carriers in addresses.items():
                carry = partial(_carry, carriers=carriers, timers=timers)
                nursery.start_soon(trio.serve_listeners, carry, listeners[key])
            task_status.started([_port_of(listeners[key][0]) for key in keys])


def carriers_from_config(
    config: Config, behaviour: Behaviour | None = None, *, ledger: bool | Path = False
) -> list[Place]:
    """A simulated carrier, at its own address and with its own password, for each configured one.

    ``ledger`` as for ``SimulatedCarrier``; they may all append to one file.
    """
    return [
        Place(
            carrier.host,
            carrier.port,
            SimulatedCarrier(
                carrier.name, carrier.system_id, carrier.password, behaviour, ledger=ledger
            ),
        )
        for carrier in config.carriers.values()
    ]


async def _carry(
    stream: trio.SocketStream, carriers: Sequence[SimulatedCarrier], timers: Timers
) -> None:
    await Link(stream, carriers, timers).run()


def _port_of(listener: trio.SocketListener) -> int:
    port: int = listener.socket.getsockname()[1]
    return port
