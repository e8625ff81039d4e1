"""A carrier's binds, kept up: connect or be called, bind, carry, and at the end do it again.

One task a bind owns its socket, its session and its waiting; a cold start and a lost link go the
same way, so neither is forgotten. Waits double and are jittered; after refused credentials they
are long, for hammering gets an address banned.
"""

from __future__ import annotations

import math
import os
import random
import socket
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, TypeAlias

import msgspec
import structlog
import trio

from smppd.config.certificate import ends_soon
from smppd.smpp import constants
from smppd.smpp.asks import AskPdu
from smppd.smpp.rare import Bind
from smppd.smpp.session import Session
from smppd.smpp.signals import AlertReceived, Bound, PduRefused, Signal
from smppd.smpp.timers import Timers
from smppd.store.store import Store
from smppd.traffic.asking import Answer
from smppd.traffic.commit import Committer
from smppd.traffic.dispatch import Dispatch
from smppd.traffic.link import Link, LinkEnd
from smppd.traffic.metered import MeteredStream
from smppd.traffic.outbind import Listens, OutbindListener, listen_on_tcp
from smppd.traffic.roster import Slot
from smppd.traffic.settle import LinkProfile
from smppd.traffic.tls import Tls, TlsFault, certificate_end, start_tls
from smppd.traffic.wakeup import Wakeup

JITTER: Final = 0.3
"""A wait is drawn from 70 % to 100 % of its length: binds lost together come back apart."""

STEADY_SECONDS: Final = 60.0
"""A bind that lived this long starts over with the shortest wait when it is lost."""

REFUSED_CREDENTIALS: Final = frozenset({constants.ESME_RINVPASWD, constants.ESME_RINVSYSID})
"""What only another password or system_id mends, unless the carrier's ``[status]`` calls it
passing; after ``refusals_max`` of them in a row a bind is not tried any more."""

ALREADY_BOUND_SHARE: Final = 0.5
"""Of reconnect_max, the least a bind waits after ESME_RALYBND: the carrier must notice first that
the former one is gone."""

ASK_SECONDS_MAX: Final = 60.0
"""For the answers to an operator's questions, who sits and waits."""

log = structlog.get_logger("smppd.carrier")


Dial: TypeAlias = Callable[[str, int], Awaitable[trio.abc.Stream]]
"""Connects to a host and port; OSError where that cannot be."""


class Endpoint(msgspec.Struct, frozen=True):
    """Where and as whom a carrier's binds are made, and how long to wait for what (seconds).

    Which kind of bind it is, each slot says itself. With ``outbind`` (``host:port``, ours) nothing
    is dialled: the SMSC calls. ``refusals_max`` 0: refused credentials are tried without end.
    """

    host: str
    port: int
    bind: Bind
    timers: Timers
    reconnect_min: float = 1.0
    reconnect_max: float = 60.0
    reconnect_refused: float = 300.0
    tls: Tls | None = None
    outbind: str | None = None
    reconnect_unbound: float = 0.0
    refusals_max: int = 0


class BindStatus(msgspec.Struct):
    """What ``status`` says of one bind; ``since`` in Unix milliseconds. ``certificate_until``: when
    the certificate that the SMSC showed last expires (Unix seconds; 0: it showed none)."""

    bind: int
    state: str
    since: int
    reconnects: int
    reason: str = ""
    certificate_until: int = 0


class Opened(msgspec.Struct, frozen=True):
    """A stream that is ready for a bind; ``meter`` is what it reads from."""

    stream: trio.abc.Stream
    meter: MeteredStream
    session: Session


def build_listener(
    carrier: str, endpoint: Endpoint, window: int, listen: Listens = listen_on_tcp
) -> OutbindListener | None:
    """Where the SMSC calls, one for all the carrier's binds; None where we dial."""
    if endpoint.outbind is None:
        return None
    return OutbindListener(
        carrier,
        endpoint.outbind,
        endpoint.bind,
        window=window,
        timers=endpoint.timers,
        listen=listen,
    )


class BindKeeper:
    """Keeps one bind of one carrier up. ``wall`` gives Unix milliseconds, ``dial`` the stream,
    ``chance`` the jitter; ``listener`` runs elsewhere, and is None where we dial. ``may_bind_at``
    (trio's clock): no sooner than that, since a former bind of the carrier has ended."""

    def __init__(
        self,
        slot: Slot,
        endpoint: Endpoint,
        profile: LinkProfile,
        *,
        committer: Committer,
        dispatch: Dispatch,
        store: Store,
        wall: Callable[[], int],
        listener: OutbindListener | None = None,
        dial: Dial = trio.open_tcp_stream,
        chance: random.Random | None = None,
        may_bind_at: float = -math.inf,
    ) -> None:
        self.may_bind_at = may_bind_at
        self._slot = slot
        self._endpoint = endpoint
        self._listener = listener
        self._open_stream = dial
        self._chance = chance or random.Random()
        self._bind = msgspec.structs.replace(endpoint.bind, kind=slot.kind)
        self._timers = endpoint.timers
        if slot.kind == "receiver":
            # Nothing of ours would ever wake it, and what phones and receipts say would be lost.
            self._timers = msgspec.structs.replace(endpoint.timers, inactivity_timer=0.0)
        self._profile = profile
        self._committer = committer
        self._dispatch = dispatch
        self._store = store
        self._wall = wall
        self._link: Link | None = None
        self._connecting = trio.CancelScope()
        self._draining = False
        self._refusals = 0
        self._pause = Wakeup()
        self.ended = trio.Event()
        self._log = log.bind(carrier=profile.carrier, bind=profile.bind)
        self.status = BindStatus(profile.bind, "connecting", wall(), 0)

    async def run(self) -> None:
        """Keeps the bind up until ``drain``; returns when the last link has ended."""
        wait = self._endpoint.reconnect_min
        if self.may_bind_at > trio.current_time():
            self._enter("down", "waits for reconnect_unbound to pass")
            await self._rest_until(self.may_bind_at)
        while not self._draining:
            started = trio.current_time()
            end = await self._carry_link()
            if self._draining:
                break
            if end.is_orderly and end.was_bound and self._listener is None:
                await self._sleep_until_work()
                wait = self._endpoint.reconnect_min
                continue
            if end.was_bound and trio.current_time() - started >= STEADY_SECONDS:
                wait = self._endpoint.reconnect_min
            await self._wait_before_rebind(end, wait)
            wait = min(wait * 2, self._endpoint.reconnect_max)
        self._enter("down", "drained")
        self.ended.set()

    def set_profile(self, profile: LinkProfile) -> None:
        """A reload's word on what the carrier means, from the next answer on."""
        self._profile = profile
        if self._link is not None:
            self._link.set_profile(profile)

    def drain(self) -> None:
        """Ends the bind in order and keeps it down; ``run`` returns."""
        self._draining = True
        self._pause.set()
        self._connecting.cancel()
        if self._link is not None:
            self._link.unbind()

    def try_again(self) -> None:
        """The operator says that it was put right: a bind that was given up is tried at once."""
        if self._is_given_up:
            self._refusals = 0
            self._pause.set()

    @property
    def _is_given_up(self) -> bool:
        return 0 < self._endpoint.refusals_max <= self._refusals

    async def _rest_until(self, moment: float) -> None:
        if not self._draining and moment > trio.current_time():
            await self._pause.wait_until(moment)

    def may_ask(self) -> bool:
        """Whether the bind is up and may send."""
        return self._link is not None and self._slot.may_take()

    async def ask(self, pdus: Sequence[AskPdu]) -> list[Answer | None]:
        """Asks the SMSC over this bind, see ``Link.ask``."""
        if self._link is None:
            return [None] * len(pdus)
        seconds = self._timers.response_timer or ASK_SECONDS_MAX
        return await self._link.ask(pdus, min(seconds, ASK_SECONDS_MAX))

    async def _carry_link(self) -> LinkEnd:
        """One link from its connect to its end."""
        opened = await (self._dial() if self._listener is None else self._be_called(self._listener))
        if isinstance(opened, LinkEnd):
            self._dispatch.bind_down(self._slot)  # it may have been asleep, and healthy
            self._committer.wake()
            return opened
        if self._draining:
            await trio.aclose_forcefully(opened.stream)
            return LinkEnd("draining", was_bound=False)
        opened.session.bind(self._bind, trio.current_time())
        self._enter("binding")
        self._link = Link(
            opened.stream,
            opened.session,
            self._slot,
            self._profile,
            committer=self._committer,
            dispatch=self._dispatch,
            store=self._store,
            wall=self._wall,
            write_seconds_max=self._timers.response_timer,
            notice=self._note,
            meter=opened.meter,
        )
        try:
            return await self._link.run()
        finally:
            self._link = None
            if self.status.state == "bound":
                self.may_bind_at = trio.current_time() + self._endpoint.reconnect_unbound

    async def _dial(self) -> Opened | LinkEnd:
        endpoint = self._endpoint
        stream: trio.abc.Stream | TlsFault
        try:
            with trio.fail_after(self._timers.session_init_timer) as self._connecting:
                stream = meter = MeteredStream(
                    await self._open_stream(endpoint.host, endpoint.port)
                )
                if endpoint.tls is not None:
                    stream = await start_tls(meter, endpoint.tls)
        except (OSError, trio.TooSlowError) as error:
            return LinkEnd(f"cannot connect: {_describe(error)}", was_bound=False)
        if isinstance(stream, TlsFault):
            return LinkEnd(f"no TLS: {stream.reason}", was_bound=False)
        if isinstance(stream, trio.SSLStream):
            self._note_certificate(certificate_end(stream))
        now = trio.current_time()
        session = Session("esme", window=self._slot.window, timers=self._timers, now=now)
        return Opened(stream, meter, session)

    def _note_certificate(self, until: int) -> None:
        self.status.certificate_until = until
        days = ends_soon(until, self._wall() // 1000)
        if days is not None:
            self._log.warning("certificate_expires", days=days)

    async def _be_called(self, listener: OutbindListener) -> Opened | LinkEnd:
        """Waits for an outbind. There is no TLS this way, so where it is asked for there is none
        of this."""
        if self._endpoint.tls is not None:
            return LinkEnd("no TLS: outbind is not spoken over it", was_bound=False)
        self._enter("connecting", f"waits for outbind at {listener.address}")
        with trio.CancelScope() as self._connecting:
            called = await listener.wait_called()
            return Opened(called.stream, called.stream, called.session)
        return LinkEnd("draining", was_bound=False)

    async def _wait_before_rebind(self, end: LinkEnd, wait: float) -> None:
        """Backs off; a refusal of who we are waits longest, and in the end for good."""
        if end.bind_status:
            wait = self._judge_refusal(end.bind_status, wait)
        else:
            self._refusals = 0 if end.was_bound else self._refusals
            self._enter("down", end.reason)
            event = "bind_lost" if end.was_bound else "bind_failed"
            wait = max(wait, self.may_bind_at - trio.current_time())
            self._log.warning(event, reason=end.reason, retry_s=round(wait, 1))
        self.status.reconnects += 1
        jittered = wait * self._chance.uniform(1 - JITTER, 1)
        await self._rest_until(max(trio.current_time() + jittered, self.may_bind_at))

    def _judge_refusal(self, command_status: int, wait: float) -> float:
        """How long to wait after a refused bind, in seconds, where else it were ``wait``."""
        endpoint, name = self._endpoint, constants.status_name(command_status)
        meaning = self._profile.meanings.get(command_status)
        told = f"{name}: {meaning or constants.status_text(command_status)}"
        if command_status in self._profile.refusals:
            wait = endpoint.reconnect_refused
        elif command_status == constants.ESME_RALYBND:
            wait = max(wait, endpoint.reconnect_max * ALREADY_BOUND_SHARE)
        self._refusals += command_status in REFUSED_CREDENTIALS & self._profile.refusals
        if self._is_given_up:
            refusals = "1 refusal" if self._refusals == 1 else f"{self._refusals} refusals"
            told += f"; given up after {refusals}, until a reload or resume"
            self._log.error("bind_stopped", status=name, refusals=self._refusals)
            wait = math.inf
        else:
            self._log.warning("bind_refused", status=name, retry_s=round(wait, 1))
        self._enter("refused", told)
        return wait

    async def _sleep_until_work(self) -> None:
        """After inactivity_timer: unbound, healthy, and bound again when there is work."""
        self._enter("asleep", "inactivity_timer")
        self._log.info("bind_asleep")
        self._dispatch.bind_asleep(self._slot, self._pause.set)
        self._committer.wake()
        await self._rest_until(math.inf)
        self._slot.wake = lambda: None  # awake until it is bound, or is not
        await self._rest_until(self.may_bind_at)

    def _note(self, signal: Signal, count: int) -> None:
        if isinstance(signal, Bound):
            self._enter("bound")
            self._log.info("bind_up", smsc=signal.system_id, kind=self._bind.kind)
        elif isinstance(signal, PduRefused):
            self._log.warning("pdu_refused", reason=signal.reason, count=count)
        elif isinstance(signal, AlertReceived):
            self._log.info("alert_notification", count=count)

    def _enter(self, state: str, reason: str = "") -> None:
        self.status.state = state
        self.status.since = self._wall()
        self.status.reason = reason


def _describe(error: OSError | trio.TooSlowError) -> str:
    """The system's own words, which Trio wraps twice when a connection is not made."""
    if isinstance(error, trio.TooSlowError):
        return "no answer within session_init_timer"
    cause = error.__cause__
    if isinstance(cause, BaseExceptionGroup):
        cause = cause.exceptions[0]
    reason = cause if isinstance(cause, OSError) else error
    if reason.errno and not isinstance(reason, socket.gaierror):
        return os.strerror(reason.errno)
    return reason.strerror or str(reason)
