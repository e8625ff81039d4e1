"""One link: a stream and its session, read by one task and written by another.

The reader never writes, it wakes the writer; session methods are synchronous, so there is no
lock. A link ends once, in ``run``: what was granted and not taken, what was taken and not
written, what was written and not answered go to the committer as one list.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Final

import msgspec
import trio
from msgspec import structs

from smppd import faults
from smppd.smpp import constants
from smppd.smpp.asks import AskPdu
from smppd.smpp.bind import SC_INTERFACE_VERSION
from smppd.smpp.session import Session
from smppd.smpp.signals import (
    AlertReceived,
    AskUnanswered,
    BindRejected,
    Bound,
    CancelAnswered,
    PduRefused,
    PeerFault,
    PeerUnbound,
    QueryAnswered,
    Stalled,
)
from smppd.smpp.signals import Signal as SessionSignal
from smppd.store.changes import (
    Answered,
    Change,
    Doubted,
    GivenBack,
    InboundArrived,
    ReceiptArrived,
    Rejection,
)
from smppd.store.store import Store
from smppd.traffic.asking import Answer, Questions, wait_answers
from smppd.traffic.commit import Committer
from smppd.traffic.dispatch import Dispatch
from smppd.traffic.ending import cut_changes
from smppd.traffic.metered import RECEIVE_BYTES_MAX, MeteredStream
from smppd.traffic.roster import Slot
from smppd.traffic.settle import LinkProfile, Settlement, quarantine, settle
from smppd.traffic.tls import describe_break
from smppd.traffic.wakeup import Wakeup
from smppd.traffic.writing import write

COUNTED: Final = (PduRefused, AlertReceived, QueryAnswered, CancelAnswered, AskUnanswered)
"""What changes nothing on the link: the operator gets one notice a kind and read, whatever a peer
sends."""

_PHASES: Final[dict[type, str]] = {
    Answered: "response",
    ReceiptArrived: "receipt",
    InboundArrived: "inbound",
    Doubted: "doubt",
}
"""The fault points a change passes, before and after its commit."""

DELIVERED_SECONDS_MAX: Final = 5.0
"""A deliver_sm that the disk has no room for is answered ESME_RMSGQFUL after so long, before the
carrier gives the bind up for want of an answer (10 s and more): it keeps it, and sends it again."""

FLUSH_SECONDS_MAX: Final = 2.0
"""For the last octets of a closing session (an unbind_resp, a generic_nack)."""


class LinkEnd(msgspec.Struct, frozen=True):
    """How a link ended. ``was_bound`` tells a refusal or a dead address from a lost bind;
    ``bind_status`` is the command_status of a refused bind, else 0."""

    reason: str
    was_bound: bool
    bind_status: int = 0
    is_orderly: bool = False


class Link:
    """``run`` owns the stream and closes it. ``meter`` is what the stream reads from, where that
    is another (TLS). ``notice`` is told what an operator should know, and how many of its kind it
    stands for."""

    def __init__(
        self,
        stream: trio.abc.Stream,
        session: Session,
        slot: Slot,
        profile: LinkProfile,
        *,
        committer: Committer,
        dispatch: Dispatch,
        store: Store,
        wall: Callable[[], int],
        write_seconds_max: float,
        notice: Callable[[SessionSignal, int], None],
        meter: MeteredStream | None = None,
    ) -> None:
        self._meter = meter or MeteredStream(stream)
        self._stream = stream if meter else self._meter
        self._session = session
        self._slot = slot
        self._profile = profile
        self._committer = committer
        self._dispatch = dispatch
        self._store = store
        self._wall = wall
        self._write_seconds_max = write_seconds_max
        self._notice = notice
        self._work = Wakeup()
        self._sleeps_until = math.inf  # the writer, while it has nothing to do
        self._scope = trio.CancelScope()
        self._reason = ""
        self._was_bound = False
        self._bind_status = 0
        self._questions = Questions()
        self._is_rebinding = False

    async def ask(self, pdus: Sequence[AskPdu], seconds_max: float) -> list[Answer | None]:
        """Asks the SMSC, beside the traffic; None for what it did not answer in time."""
        self._work.set()
        return await wait_answers(self._questions, pdus, seconds_max)

    async def run(self) -> LinkEnd:
        """Carries the session until it ends, by either side, or the task is cancelled."""
        try:
            async with trio.open_nursery() as nursery:
                self._scope = nursery.cancel_scope
                nursery.start_soon(self._read)
                nursery.start_soon(self._write)
        finally:
            with trio.CancelScope(shield=True):
                await self._end()
        is_orderly = self._session.closed and not self._reason
        reason = self._reason or "unbound"
        return LinkEnd(reason, self._was_bound, self._bind_status, is_orderly)

    def set_profile(self, profile: LinkProfile) -> None:
        """A reload's word on what the carrier means, from the next answer on."""
        self._profile = structs.replace(profile, is_33=self._profile.is_33)

    def unbind(self) -> None:
        """Ends the bind in order: no new submits, then unbind and its answer. One that is not
        bound yet is not waited for."""
        if not self._was_bound:
            self._lose("draining")
        elif not self._session.closed:
            self._session.unbind(trio.current_time())
            self._work.set()

    async def _read(self) -> None:
        while not self._session.closed:
            try:
                data = await self._stream.receive_some(RECEIVE_BYTES_MAX)
            except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
                return self._lose(f"the stream broke: {describe_break(error)}")
            if not data:
                return self._lose_at_eof()
            if self._slot.carrier.tap is not None:
                self._show_tap(bytes(data), is_ours=False)
            await self._settle(self._session.receive_data(data, trio.current_time()))
        return None

    async def _write(self) -> None:
        session = self._session
        while True:
            now = trio.current_time()
            if now >= session.next_deadline() and await self._may_judge():
                await self._settle(session.handle_timers(now))
                await self._heed_unbinding()
            if self._questions.has_any and session.room:
                session.ask(self._questions.take(session.room, self._slot.window), now)
            is_submitting = bool(session.room and self._slot.granted)
            if is_submitting:
                taken = self._dispatch.take(self._slot, self._store, session.room, self._wall())
                session.submit(taken, now)
                faults.reach("submit.taken")
            if data := session.data_to_send():
                limit = FLUSH_SECONDS_MAX if session.closed else self._write_seconds_max
                if (fault := await self._send(data, limit)) is not None:
                    return await self._stop_writing(fault)
                if is_submitting:
                    faults.reach("submit.written")
            elif session.closed:
                return self._lose("")
            elif self._slot.late:
                await self._give_back_now(self._slot.take_late())
            else:
                self._sleeps_until = session.next_deadline()
                await self._work.wait_until(self._sleeps_until)

    async def _send(self, data: bytes, seconds_max: float) -> str | None:
        """One write; what went wrong with it, or None."""
        if self._slot.carrier.tap is not None:
            self._show_tap(data, is_ours=True)
        return await write(self._stream, self._meter, data, seconds_max)

    async def _stop_writing(self, reason: str) -> None:
        """How much of a cut write went out is unknown, so nothing may follow it. What the socket
        still holds is read first: an answer in it is one doubt less."""
        self._reason = self._reason or reason
        if self._session.closed:
            return self._scope.cancel()
        self._scope.deadline = trio.current_time() + FLUSH_SECONDS_MAX
        await self._give_back_now(self._dispatch.bind_stalled(self._slot))
        return None

    async def _may_judge(self) -> bool:
        """Whether a timer may be judged: only after what the socket already holds was read."""
        return await self._meter.wait_read_empty(
            lambda: trio.current_time() < self._session.next_deadline()
        )

    async def _settle(self, signals: list[SessionSignal]) -> None:
        """Stores what the signals say, then acknowledges what is stored."""
        self._rouse_writer()
        settlement = settle(signals, self._profile, self._wall())
        now, carrier = trio.current_time(), self._slot.carrier
        if (pause := settlement.pause) is not None:
            carrier.breaker.trip(now, pause.seconds, pause.reason)
        carrier.note(settlement.changes, settlement.throttled, now)
        if settlement.notices:
            self._heed_notices(settlement)
        if settlement.throttled:
            carrier.throughput.slow_down(now)
        if settlement.rebind or self._is_rebinding:
            self._rebind(settlement)
        if settlement.changes:
            _reach(settlement.changes, "before_commit")
            until = now + DELIVERED_SECONDS_MAX
            results = await self._committer.commit(settlement.changes, waits_until=until)
            if isinstance(results[0], Rejection):
                self._session.acknowledge(signals, constants.ESME_RMSGQFUL)
            else:
                _reach(settlement.changes, "after_commit")
                self._session.acknowledge(signals)
            self._rouse_writer()

    def _rebind(self, settlement: Settlement) -> None:
        """Ends this bind in order, for the keeper to make it anew: nothing more is granted to it,
        and it unbinds once all is answered, or by the rule of response_timer."""
        session = self._session
        if session.state != "bound" or session.stalled:
            return
        if not self._is_rebinding:
            self._is_rebinding = True
            name = constants.status_name(settlement.rebind)
            meaning = self._profile.meanings.get(settlement.rebind)
            told = f"{name} ({meaning})" if meaning else name
            self._reason = f"a submit_sm was answered {told}, which asks for a new bind"
            self._give_back(self._dispatch.bind_stalled(self._slot), settlement.changes)
            self._committer.wake()
        if not session.waiting:
            session.unbind(trio.current_time())
            self._work.set()

    def _rouse_writer(self) -> None:
        """Where it has anything to do. Over many carriers a read is one PDU, and most of them leave
        nothing to write: to wake it for those took an eighth of the daemon's time there."""
        session, slot = self._session, self._slot
        if (
            session.has_data
            or slot.granted
            or slot.late
            or session.closed
            or session.next_deadline() < self._sleeps_until
            or self._questions.has_any
        ):
            self._work.set()

    def _show_tap(self, data: bytes, *, is_ours: bool) -> None:
        """An operator looks on."""
        slot, at = self._slot, self._wall()
        tap = slot.carrier.tap
        if tap is None or tap.is_over(trio.current_time()):
            slot.carrier.tap = None
        elif is_ours:
            tap.sent(slot.index, data, at, self._session.unfinished)
        else:
            tap.received(slot.index, data, at, self._session.unfinished)

    def _heed_notices(self, settlement: Settlement) -> None:
        counts = Counter(type(signal) for signal in settlement.notices)
        self._slot.carrier.counts.alerts += counts[AlertReceived]
        self._slot.carrier.counts.pdus_refused += counts[PduRefused]
        for signal in settlement.notices:
            if not isinstance(signal, COUNTED):
                self._heed(signal, settlement.changes)
                continue
            self._questions.hear(signal)
            if count := counts.pop(type(signal), 0):
                self._notice(signal, count)

    def _heed(self, signal: SessionSignal, changes: list[Change]) -> None:
        if isinstance(signal, Bound):
            self._was_bound = True
            theirs = signal.interface_version or SC_INTERFACE_VERSION
            is_33 = min(self._session.interface_version, theirs) < SC_INTERFACE_VERSION
            self._profile = structs.replace(self._profile, is_33=is_33)
            self._dispatch.bind_up(self._slot, self._work.set)
            faults.reach("bind.up")
            self._committer.wake()
        elif isinstance(signal, BindRejected):
            self._bind_status = signal.command_status
            self._reason = "the bind was refused"
        elif isinstance(signal, Stalled):
            self._reason = "a submit_sm was not answered within response_timer"
            self._give_back(self._dispatch.bind_stalled(self._slot), changes)
            self._committer.wake()
        elif isinstance(signal, PeerUnbound):
            self._reason = "the SMSC unbound"
            self._give_back(self._dispatch.bind_stalled(self._slot), changes)
            self._committer.wake()
        elif isinstance(signal, PeerFault):
            self._reason = signal.reason
            if lost := self._session.lost_octets:
                changes.append(quarantine(lost, signal.reason, self._profile, self._wall()))
        else:
            raise AssertionError(f"an ESME's session reported {type(signal)}")
        self._notice(signal, 1)

    async def _heed_unbinding(self) -> None:
        """After our own unbind (inactivity_timer, or the end of a stall) nothing may be granted
        while its answer is waited for."""
        slot = self._slot
        if self._session.state == "bound" or not slot.may_take():
            return
        await self._give_back_now(self._dispatch.bind_stalled(slot))

    async def _give_back_now(self, tags: list[bytes]) -> None:
        changes: list[Change] = []
        self._give_back(tags, changes)
        if changes:
            await self._committer.commit(changes)

    def _give_back(self, tags: list[bytes], changes: list[Change]) -> None:
        """What was granted to this bind and never taken waits again."""
        if tags:
            changes.append(GivenBack(self._profile.carrier, self._profile.bind, tags, self._wall()))

    def _lose_at_eof(self) -> None:
        """An SMSC that closes instead of answering our unbind has ended the bind in order; one that
        closes instead of answering the bind does not know our address, or wants a certificate."""
        state = self._session.state
        where = " and did not answer the bind" if state == "binding" else ""
        self._lose("" if state in ("unbinding", "closed") else f"the SMSC closed the stream{where}")

    def _lose(self, reason: str) -> None:
        self._reason = self._reason or reason
        self._scope.cancel()

    async def _end(self) -> None:
        """Whatever ended the link: its open grants become changes, then the stream goes."""
        signals = self._session.receive_eof(trio.current_time())
        self._questions.end()
        if self._slot.carrier.tap is not None:
            self._slot.carrier.tap.ended(self._slot.index, self._wall())
        changes = settle(signals, self._profile, self._wall()).changes
        self._slot.carrier.note(changes, 0, trio.current_time())
        self._give_back(self._dispatch.bind_down(self._slot), changes)
        await trio.aclose_forcefully(self._stream)
        for part in cut_changes(changes):
            if self._committer.has_ended:
                break
            _reach(part, "before_commit")
            await self._committer.commit(part)
            _reach(part, "after_commit")
        self._committer.wake()


def _reach(changes: list[Change], moment: str) -> None:
    if faults.is_armed():
        for phase in {_PHASES.get(type(change)): None for change in changes}:
            if phase is not None:
                faults.reach(f"{phase}.{moment}")
