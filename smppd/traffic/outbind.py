"""Waiting to be called: an SMSC that connects to us and asks, with outbind, to be bound to.

SMPP 3.4 s2.2.1 and s4.1.7. One listener a carrier. A stream becomes a link only when the SMSC has
said who it is; until then it gets session_init_timer and one of few places. It then goes to a bind
that waits, and none but ours is ever told our password: the SMSC has to name it first.
"""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from typing import Final, Protocol

import msgspec
import structlog
import trio

from smppd.smpp.rare import Bind
from smppd.smpp.session import Session
from smppd.smpp.signals import OutbindReceived, PeerFault
from smppd.smpp.timers import Timers
from smppd.traffic.metered import RECEIVE_BYTES_MAX, MeteredStream

STREAMS_MAX: Final = 64
"""Connections that have not said who they are, or wait for a bind of ours: as many as a carrier
may have binds. One more is closed at once."""

LISTEN_AGAIN_SECONDS: Final = 10.0
"""Between attempts at a port that cannot be had."""

ACCEPT_AGAIN_SECONDS: Final = 1.0
"""Before the next connection is taken after one that could not be."""

log = structlog.get_logger("smppd.outbind")


class Listens(Protocol):
    """Opens listeners on a port; OSError where that is not to be had."""

    async def __call__(
        self, host: str | None, port: int
    ) -> Sequence[trio.abc.Listener[trio.abc.Stream]]: ...


async def listen_on_tcp(
    host: str | None, port: int
) -> Sequence[trio.abc.Listener[trio.abc.Stream]]:
    """The host's own network."""
    return await trio.open_tcp_listeners(port, host=host)


class Called(msgspec.Struct, frozen=True):
    """A stream whose SMSC has asked to be bound to; ``session`` is open, and has read that."""

    stream: MeteredStream
    session: Session


class OutbindListener:
    """Listens at ``address`` (``host:port``) for the SMSC that knows ``bind``'s credentials."""

    def __init__(
        self,
        carrier: str,
        address: str,
        bind: Bind,
        *,
        window: int,
        timers: Timers,
        listen: Listens = listen_on_tcp,
    ) -> None:
        self.address = address
        self._bind = bind
        self._window = window
        self._timers = timers
        self._listen = listen
        self._streams = 0
        self._offer, self._take = trio.open_memory_channel[Called](0)
        self._log = log.bind(carrier=carrier, address=address)

    async def run(self) -> None:
        """Listens until cancelled."""
        host, _, port = self.address.rpartition(":")
        while True:
            try:
                listeners = await self._listen(host.strip("[]") or None, int(port))
            except OSError as error:
                self._log.warning("outbind_cannot_listen", reason=error.strerror or str(error))
                await trio.sleep(LISTEN_AGAIN_SECONDS)
                continue
            try:
                async with trio.open_nursery() as nursery:
                    for listener in listeners:
                        nursery.start_soon(self._accept, listener, nursery)
            finally:
                with trio.CancelScope(shield=True):
                    for listener in listeners:
                        await listener.aclose()

    async def wait_called(self) -> Called:
        """The next SMSC that has said who it is."""
        return await self._take.receive()

    async def _accept(
        self, listener: trio.abc.Listener[trio.abc.Stream], nursery: trio.Nursery
    ) -> None:
        while True:
            try:
                stream = await listener.accept()
            except OSError as error:  # out of descriptors: some will be given back
                self._log.warning("outbind_cannot_accept", reason=error.strerror or str(error))
                await trio.sleep(ACCEPT_AGAIN_SECONDS)
                continue
            nursery.start_soon(self._receive, stream)

    async def _receive(self, opened: trio.abc.Stream) -> None:
        if self._streams >= STREAMS_MAX:
            return await trio.aclose_forcefully(opened)
        self._streams += 1
        stream = MeteredStream(opened)
        called = None
        was_taken = False
        try:
            with trio.move_on_after(self._timers.session_init_timer):
                called = await self._read_outbind(stream)
                if called is not None:
                    await self._offer.send(called)
                    was_taken = True
            if called is not None and not was_taken:
                self._refuse("no bind of ours waited for it")
        finally:
            self._streams -= 1
            if not was_taken:
                await trio.aclose_forcefully(stream)

    async def _read_outbind(self, stream: MeteredStream) -> Called | None:
        """None for a peer that is not our SMSC."""
        now = trio.current_time()
        session = Session("esme", window=self._window, timers=self._timers, now=now)
        try:
            while data := await stream.receive_some(RECEIVE_BYTES_MAX):
                for signal in session.receive_data(data, trio.current_time()):
                    if isinstance(signal, OutbindReceived):
                        return Called(stream, session) if self._knows_us(signal) else None
                    if isinstance(signal, PeerFault):
                        self._refuse(signal.reason)
                        return None
                await stream.send_all(session.data_to_send())
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass
        self._refuse("the stream ended before outbind")
        return None

    def _knows_us(self, outbind: OutbindReceived) -> bool:
        ours = f"{self._bind.system_id}\0{self._bind.password}"
        theirs = f"{outbind.system_id}\0{outbind.password}"
        if hmac.compare_digest(ours.encode(), theirs.encode()):
            return True
        self._refuse("outbind with a system_id or password that is not ours")
        return False

    def _refuse(self, reason: str) -> None:
        self._log.warning("outbind_refused", reason=reason)
