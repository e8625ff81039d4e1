"""Real sockets: TLS, and carriers that call; and what a configuration makes of both."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
import trio

from smppd.config import CarrierConfig
from smppd.simulator import Behaviour, Place, Profile, SimulatedCarrier, serve
from smppd.simulator.listen import Outbind, make_tls_context, place_of
from smppd.smpp.signals import Bound, OutbindReceived, PeerFault
from tests.simulator.esme import Client, carrier, listening, silent, submits

CERTIFICATE = Path(__file__).parent / "localhost.pem"
"""Its own authority, for localhost and 127.0.0.1, until 2120; the key is in it."""

SECONDS_MAX = 20.0


def client_context(*, shows: bool = False) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=CERTIFICATE)
    if shows:
        context.load_cert_chain(CERTIFICATE)
    return context


@asynccontextmanager
async def connected(port: int, context: ssl.SSLContext | None = None) -> AsyncIterator[Client]:
    """A client that is not bound yet, in the clear where there is no context."""
    stream = await trio.open_tcp_stream("127.0.0.1", port)
    try:
        if context:
            yield Client(trio.SSLStream(stream, context, server_hostname="localhost"))
        else:
            yield Client(stream)
    finally:
        await trio.aclose_forcefully(stream)


async def test_carrier_speaks_through_tls() -> None:
    place = Place("127.0.0.1", 0, carrier(), make_tls_context(CERTIFICATE, None))
    async with listening(place) as (port,):
        with trio.fail_after(SECONDS_MAX):
            async with connected(port, client_context()) as client:
                assert isinstance(await client.bind(), Bound)
                await client.submit(*submits(200))
                await client.receive(400)
    assert client.statuses() == [0] * 200


async def test_drop_resets_a_connection_through_tls() -> None:
    place = Place("127.0.0.1", 0, carrier(drop_after=1), make_tls_context(CERTIFICATE, None))
    async with listening(place) as (port,):
        with trio.fail_after(SECONDS_MAX):
            async with connected(port, client_context()) as client:
                await client.bind()
                await client.submit(*silent(1))
                await client.receive(1)
                with pytest.raises(trio.BrokenResourceError) as caught:
                    await client.stream.receive_some(1)
    assert isinstance(caught.value.__cause__, ConnectionResetError)


async def test_clear_text_to_a_tls_port_ends_its_own_link() -> None:
    alpha = carrier()
    place = Place("127.0.0.1", 0, alpha, make_tls_context(CERTIFICATE, None))
    async with listening(place) as (port,):
        with trio.fail_after(SECONDS_MAX):
            async with connected(port) as client:
                await client.stream.send_all(b"\0" * 64)
                await client.until_end()
            async with connected(port, client_context()) as client:
                assert isinstance(await client.bind(), Bound)
    assert alpha.statistics().binds == 1


async def test_client_can_be_made_to_show_a_certificate() -> None:
    context = make_tls_context(CERTIFICATE, None, CERTIFICATE)
    async with listening(Place("127.0.0.1", 0, carrier(), context)) as (port,):
        with trio.fail_after(SECONDS_MAX):
            async with connected(port, client_context()) as stranger:
                with suppress(trio.BrokenResourceError):  # if it is told so while it writes
                    assert isinstance(await stranger.bind(), PeerFault)
            async with connected(port, client_context(shows=True)) as known:
                assert isinstance(await known.bind(), Bound)


def test_certificate_that_cannot_be_used_is_an_os_error(tmp_path: Path) -> None:
    (tmp_path / "bad.pem").write_text("x", encoding="utf-8")
    for name in ("bad.pem", "nowhere.pem"):
        with pytest.raises(OSError, match=r"."):
            make_tls_context(tmp_path / name, None)


async def test_carrier_calls_and_is_bound_to_and_calls_again() -> None:
    alpha = carrier()
    async with trio.open_nursery() as nursery:
        (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
        port = listener.socket.getsockname()[1]
        place = Place("", 0, alpha, outbind=Outbind("127.0.0.1", port))
        assert await nursery.start(serve, [place]) == [port]
        with trio.fail_after(SECONDS_MAX):
            for _ in range(2):
                client = Client(await listener.accept())
                await client.receive(1)
                assert client.signals.pop() == OutbindReceived("smppd", "secret")
                assert isinstance(await client.bind(), Bound)
                await client.submit(*silent(1))
                await client.receive(1)
                await client.stream.aclose()
        nursery.cancel_scope.cancel()
    await listener.aclose()
    statistics = alpha.statistics()
    assert (statistics.accepted, statistics.binds) == (2, 2)
    assert statistics.outbinds >= 2


async def test_carrier_that_nobody_answers_goes_on_calling() -> None:
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    port = listener.socket.getsockname()[1]
    await listener.aclose()
    place = Place("", 0, carrier(), outbind=Outbind("127.0.0.1", port))
    async with trio.open_nursery() as nursery:
        await nursery.start(serve, [place])
        (listener,) = await trio.open_tcp_listeners(port, host="127.0.0.1")
        with trio.fail_after(SECONDS_MAX):
            await (await listener.accept()).aclose()
        nursery.cancel_scope.cancel()
    await listener.aclose()


def configured(**keys: object) -> CarrierConfig:
    own = {"host": "h", "port": 1, "system_id": "s", "password": "p", **keys}
    return CarrierConfig(name="alpha", **own)  # type: ignore[arg-type]  # a test's own keys


@pytest.mark.parametrize(
    ("keys", "outbind"),
    [
        ({}, None),
        ({"outbind": "127.0.0.1:2776", "binds": 3}, Outbind("127.0.0.1", 2776, 3)),
        ({"outbind": "[::1]:2776", "binds": 2, "bind": "pair"}, Outbind("::1", 2776, 4)),
    ],
)
def test_configured_carrier_is_met_where_it_says(
    keys: dict[str, object], outbind: Outbind | None
) -> None:
    place = place_of(configured(**keys))
    assert isinstance(place.carrier, SimulatedCarrier)
    assert (place.host, place.port, place.outbind) == ("h", 1, outbind)


def test_data_coding_0_is_the_configured_one_unless_the_profile_says_it() -> None:
    carrier = configured(default_alphabet="latin1")
    said = Profile(Behaviour(default_alphabet="ascii"), given=frozenset({"default_alphabet"}))
    for profile, alphabet in ((None, "latin1"), (Profile(), "latin1"), (said, "ascii")):
        assert place_of(carrier, profile).carrier.behaviour.default_alphabet == alphabet
