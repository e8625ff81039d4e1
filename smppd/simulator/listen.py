"""Where simulated carriers are met: ports they listen on, or a client's port that they call.

Carriers with one address share a listener, as accounts at one centre do; their system_id tells
them apart. A carrier that asks to be bound to (outbind, SMPP 3.4 s4.1.7) listens nowhere: it
connects to the client, and connects again when that link has ended.
"""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple

import trio
from msgspec import structs

from smppd.config import CarrierConfig, Config
from smppd.simulator.behaviour import Behaviour
from smppd.simulator.carrier import SimulatedCarrier
from smppd.simulator.link import TIMERS, Link
from smppd.simulator.profile import Profile
from smppd.smpp.session import Timers

OUTBIND_AGAIN_SECONDS: Final = 1.0
"""From the end of a link, or a call nobody took, to the next call."""


class Outbind(NamedTuple):
    """Whom a carrier calls, and over how many connections at once."""

    host: str
    port: int
    connections: int = 1


class Place(NamedTuple):
    """Where a carrier listens, port 0 being any free one; or whom it calls instead."""

    host: str
    port: int
    carrier: SimulatedCarrier
    tls: ssl.SSLContext | None = None
    outbind: Outbind | None = None


class _Address(NamedTuple):
    """What one listener serves; ``number`` tells places apart that take any free port."""

    host: str
    port: int
    number: int
    tls: ssl.SSLContext | None


async def serve(
    places: Sequence[Place | tuple[str, int, SimulatedCarrier]],
    *,
    timers: Timers = TIMERS,
    task_status: trio.TaskStatus[list[int]] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve every carrier until cancelled. Starts with their ports, in the order given.

    ``OSError`` if an address cannot be had; then none is listened on.
    """
    all_places = [Place(*place) for place in places]
    addresses: dict[_Address, list[SimulatedCarrier]] = {}
    for number, place in enumerate(all_places):
        if not place.outbind:
            addresses.setdefault(_address_of(place, number), []).append(place.carrier)
    async with AsyncExitStack() as stack:
        listeners = {}
        for address in addresses:
            listeners[address] = await trio.open_tcp_listeners(address.port, host=address.host)
            for listener in listeners[address]:
                await stack.enter_async_context(listener)
        for place in all_places:
            place.carrier.begin(trio.current_time())
        async with trio.open_nursery() as nursery:
            for address, carriers in addresses.items():
                carry = partial(_carry, carriers=carriers, tls=address.tls, timers=timers)
                nursery.start_soon(trio.serve_listeners, carry, listeners[address])
            for place in all_places:
                for _ in range(place.outbind.connections if place.outbind else 0):
                    nursery.start_soon(_call, place, timers)
            task_status.started(
                [
                    place.outbind.port
                    if place.outbind
                    else _port_of(listeners[_address_of(place, number)][0])
                    for number, place in enumerate(all_places)
                ]
            )


def make_tls_context(cert: Path, key: Path | None, client_ca: Path | None = None) -> ssl.SSLContext:
    """Of a listener that shows ``cert``; with ``client_ca`` a client must show one of that.

    ``OSError`` (ssl.SSLError is one) for a file that cannot be used.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    if client_ca:
        context.load_verify_locations(client_ca)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def carriers_from_config(
    config: Config, behaviour: Behaviour | Profile | None = None, *, ledger: bool | Path = False
) -> list[Place]:
    """A simulated carrier, at its own address and with its own password, for each configured one.

    ``ledger`` as for ``SimulatedCarrier``; they may all append to one file.
    """
    return [place_of(carrier, behaviour, ledger=ledger) for carrier in config.carriers.values()]


def place_of(
    carrier: CarrierConfig,
    behaviour: Behaviour | Profile | None = None,
    *,
    ledger: bool | Path = False,
    tls: ssl.SSLContext | None = None,
) -> Place:
    """Where the simulated ``carrier`` is to be met.

    data_coding 0 means to it what it means in its configuration, unless a profile says so.
    """
    profile = behaviour if isinstance(behaviour, Profile) else Profile(behaviour or Behaviour())
    if "default_alphabet" not in profile.given:
        own = structs.replace(profile.behaviour, default_alphabet=carrier.default_alphabet)
        profile = structs.replace(profile, behaviour=own)
    simulated = SimulatedCarrier(
        carrier.name, carrier.system_id, carrier.password, profile, ledger=ledger
    )
    outbind = None
    if carrier.outbind:
        host, _, port = carrier.outbind.rpartition(":")
        sessions = carrier.binds * (2 if carrier.bind == "pair" else 1)
        outbind = Outbind(host.strip("[]"), int(port), sessions)
    return Place(carrier.host, carrier.port, simulated, tls, outbind)


async def _carry(
    stream: trio.SocketStream,
    carriers: Sequence[SimulatedCarrier],
    tls: ssl.SSLContext | None,
    timers: Timers,
) -> None:
    if tls:
        await Link(trio.SSLStream(stream, tls, server_side=True), carriers, timers).run()
    else:
        await Link(stream, carriers, timers).run()


async def _call(place: Place, timers: Timers) -> None:
    """One connection after the other, each of which asks to be bound to."""
    assert place.outbind is not None, "only who calls is called for"
    while True:
        try:
            stream = await trio.open_tcp_stream(place.outbind.host, place.outbind.port)
        except OSError:
            await trio.sleep(OUTBIND_AGAIN_SECONDS)
            continue
        await Link(stream, [place.carrier], timers, is_outbind=True).run()
        await trio.sleep(OUTBIND_AGAIN_SECONDS)


def _address_of(place: Place, number: int) -> _Address:
    return _Address(place.host, place.port, 0 if place.port else number, place.tls)


def _port_of(listener: trio.SocketListener) -> int:
    port: int = listener.socket.getsockname()[1]
    return port
