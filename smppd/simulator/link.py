"""One stream and its session in the role of the SMSC: a reader and a writer.

A read is one list of signals, one decision of the carrier, and one write of answers and
deliveries together. The reader never writes, it wakes the writer. Which carrier it speaks for is
known from the bind on. Whatever a peer sends, HTTP included, ends this link and no other.
"""

from __future__ import annotations

import socket
import struct
import sys
from collections.abc import Sequence
from typing import Final

import trio

from smppd.simulator.behaviour import Behaviour, Fault
from smppd.simulator.carrier import SimulatedCarrier
from smppd.simulator.deliveries import Delivery, dress, release_answers, undress
from smppd.simulator.schedule import Schedule
from smppd.smpp.session import Deliver, Session, SubmitAnswer, Timers
from smppd.smpp.signals import (
    BindReceived,
    CancelReceived,
    DeliverAnswered,
    QueryReceived,
    SubmitReceived,
    Unanswered,
    Unwritten,
)

SYSTEM_ID: Final = "simulator"
"""What our response to a bind names the SMSC."""

INTERFACE_VERSION_OF_TLVS: Final = 0x34
"""A bind of less is not sent any TLV, alert_notification or data_sm."""

TIMERS: Final = Timers()

RECEIVE_BYTES_MAX: Final = 65_536
"""One read: some four hundred submits, of which each costs a few kilobytes while it is judged."""

FLUSH_SECONDS_MAX: Final = 2.0
"""For the last octets of a session that has ended: a generic_nack, an unbind_resp."""

OUTSTANDING_MAX: Final = 200_000
"""Submits of one link without an answer. A peer that sends and never reads ends here."""

RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)  # SO_LINGER of no time: close() sends RST


class Link:
    """``run`` carries the session until it ends, and closes the stream.

    ``carriers`` are those at this address; the system_id of the bind says which one it is. With
    ``is_outbind`` the one carrier made the connection, and begins by asking to be bound to.
    """

    def __init__(
        self,
        stream: trio.abc.Stream,
        carriers: Sequence[SimulatedCarrier],
        timers: Timers = TIMERS,
        *,
        is_outbind: bool = False,
    ) -> None:
        self._stream = stream
        self._carriers = carriers
        self._timers = timers
        self._carrier: SimulatedCarrier | None = None  # until a bind was accepted
        for carrier in carriers:
            carrier.begin(trio.current_time())
        window = min(carrier.behaviour.receipt_window for carrier in carriers)
        self._session = Session("smsc", window=window, timers=timers, now=trio.current_time())
        if is_outbind:
            (caller,) = carriers
            self._session.outbind(caller.system_id, caller.password, trio.current_time())
            caller.note_outbind()
        self._work = trio.Event()
        self._scope = trio.CancelScope()
        self._is_reading = False
        self._reads = 0
        self._answers: Schedule[SubmitAnswer] = Schedule(self._wake)
        self._submits = 0
        self._outstanding = 0
        self._behaviour: Behaviour | None = None
        self._is_old = False
        self._fault: Fault = "none"
        self._coming: tuple[int, Fault] = (sys.maxsize, "none")
        self._fault_after = sys.maxsize
        self._last_words = b""

    async def run(self) -> None:
        """Returns when the link has ended, for whatever reason."""
        try:
            async with trio.open_nursery() as nursery:
                self._scope = nursery.cancel_scope
                nursery.start_soon(self._read)
                nursery.start_soon(self._write)
        finally:
            self._end()
            await trio.aclose_forcefully(self._stream)

    def _end(self) -> None:
        deliveries: list[Delivery] = []
        # What was written comes last of the signals, and was the first to go.
        for signal in reversed(self._session.receive_eof(trio.current_time())):
            if isinstance(signal, Unwritten | Unanswered):
                deliveries += [tag for tag in signal.tags if isinstance(tag, Delivery)]
        if self._carrier:
            self._carrier.leave(self, deliveries, self._outstanding)

    def _wake(self) -> None:
        self._work.set()

    # Reading

    async def _read(self) -> None:
        while not self._session.closed:
            self._is_reading = True
            try:
                data = await self._stream.receive_some(RECEIVE_BYTES_MAX)
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                return self._scope.cancel()
            self._is_reading = False
            self._reads += 1
            if not data or self._outstanding > OUTSTANDING_MAX:
                return self._scope.cancel()
            if self._fault != "stop_reading":
                self._receive(data, trio.current_time())
            if self._fault == "stop_reading":
                await trio.sleep_forever()  # the session's timers or the peer will end it
        return None

    def _receive(self, data: bytes | bytearray, now: float) -> None:
        """What the session answers by itself needs nothing here."""
        submits: list[SubmitReceived] = []
        answered: list[DeliverAnswered] = []
        asked: list[QueryReceived | CancelReceived] = []
        for signal in self._session.receive_data(data, now):
            if isinstance(signal, SubmitReceived):
                submits.append(signal)
            elif isinstance(signal, DeliverAnswered):
                answered.append(signal)
            elif isinstance(signal, BindReceived):
                self._admit(signal, now)
            elif isinstance(signal, QueryReceived | CancelReceived):
                asked.append(signal)
        if self._carrier:
            self._carrier.settle(answered, now)
            self._take_submits(self._carrier, submits, now)
            self._take_asks(self._carrier, asked, now)
        self._wake()

    def _admit(self, signal: BindReceived, now: float) -> None:
        """The carrier is the one whose credentials fit best."""
        carrier = max(self._carriers, key=lambda one: one.fits(signal))
        carrier.advance(now)
        if status := carrier.judge_bind(signal):
            return self._session.refuse_bind(signal, status, now)
        self._session.accept_bind(signal, SYSTEM_ID, now)
        self._carrier = carrier
        self._is_old = self._session.interface_version < INTERFACE_VERSION_OF_TLVS
        self._foresee_fault(carrier)
        return carrier.enter(self, self._wake)

    def _foresee_fault(self, carrier: SimulatedCarrier) -> None:
        """The fault to come, counted from the bind, or from when the carrier came to have it."""
        self._behaviour = carrier.behaviour
        coming = self._behaviour.first_fault()
        if coming != self._coming:
            self._coming = coming
            self._fault_after = min(sys.maxsize, self._submits + coming[0])

    def _take_submits(
        self, carrier: SimulatedCarrier, submits: list[SubmitReceived], now: float
    ) -> None:
        room = self._fault_after - self._submits
        if taken := submits[:room]:
            self._submits += len(taken)
            self._outstanding += len(taken)
            carrier.answer(taken, self._answers, now, is_old=self._is_old)
            carrier.note_outstanding(self._outstanding)
        carrier.swallow(submits[room:])
        self._fall(now)

    def _take_asks(
        self, carrier: SimulatedCarrier, asked: list[QueryReceived | CancelReceived], now: float
    ) -> None:
        """What is asked of messages, in order, behind the submits that were read with it."""
        for one in asked:
            if isinstance(one, QueryReceived):
                self._session.answer_query([carrier.query(one, now)])
            else:
                self._session.answer_cancel([carrier.cancel(one, now)])

    def _fall(self, now: float) -> None:
        """Into the fault, once its time has come: what was answered goes out before."""
        if self._fault != "none" or self._submits < self._fault_after:
            return
        self._last_words = self._collect(now)
        self._fault = self._coming[1]
        if self._fault == "unbind":
            self._session.unbind(now)

    # Writing

    async def _write(self) -> None:
        session = self._session
        while True:
            now = trio.current_time()
            if now >= session.next_deadline() and await self._may_judge():
                session.handle_timers(now)
            if self._carrier:
                self._follow(self._carrier, now)
            if data := self._take_output(now):
                await self._send(data)
            elif session.closed:
                return self._scope.cancel()
            elif self._fault == "drop":
                return self._reset()
            else:
                await self._wait(now)

    def _follow(self, carrier: SimulatedCarrier, now: float) -> None:
        """Notice that the carrier behaves otherwise now."""
        carrier.advance(now)
        if carrier.behaviour is not self._behaviour:
            self._foresee_fault(carrier)
            self._fall(now)

    def _take_output(self, now: float) -> bytes:
        """What goes out now; behind the last words nothing does, if there were such."""
        words, self._last_words = self._last_words, b""
        if self._fault in ("hang", "drop"):
            self._session.data_to_send()
            return words
        return words + self._collect(now)

    def _collect(self, now: float) -> bytes:
        """Answers and deliveries that are due, in one piece."""
        session = self._session
        receipts = b""
        if self._carrier and session.deliver_room:
            if not self._is_old:
                session.alert(self._carrier.take_alerts())
            deliveries = self._carrier.take_deliveries(session.deliver_room, now)
            session.deliver(self._form(deliveries, self._carrier.behaviour), now)
            if self._carrier.holds_answers:
                receipts = session.data_to_send()
                release_answers(deliveries)
        answers = self._answers.take(now)
        self._outstanding -= len(answers)
        session.answer(answers)
        return receipts + session.data_to_send()

    def _form(self, deliveries: list[Delivery], behaviour: Behaviour) -> list[Deliver]:
        """As the carrier sends them, to this peer."""
        if self._is_old:
            return [Deliver(one, undress(one)) for one in deliveries]
        receipt, command = behaviour.receipt, behaviour.deliver_command
        if command == "deliver_sm" and receipt in ("text", "text+tlv"):
            return [Deliver(one, one.pdu) for one in deliveries]
        return [Deliver(one, dress(one, receipt, command)) for one in deliveries]

    async def _send(self, data: bytes) -> None:
        limit = FLUSH_SECONDS_MAX if self._session.closed else self._timers.response_timer
        with trio.move_on_after(limit) as scope:
            try:
                await self._stream.send_all(data)
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                self._scope.cancel()
        if scope.cancelled_caught:
            self._scope.cancel()

    async def _wait(self, now: float) -> None:
        """For work, or for the first thing that is due."""
        deadline = self._session.next_deadline()
        if self._fault not in ("hang", "drop"):
            deadline = min(deadline, self._answers.next_at())
            if self._carrier:
                deadline = min(deadline, self._carrier.changes_at)
            if self._carrier and self._session.deliver_room:
                deadline = min(deadline, self._carrier.next_at(now))
        with trio.move_on_at(deadline):
            await self._work.wait()
        self._work = trio.Event()

    async def _may_judge(self) -> bool:
        """Whether a timer may be judged: only after what the socket already holds was read.

        Two passes: in the first the reader is found readable, in the second it has read.
        """
        while True:
            reads = self._reads
            await trio.lowlevel.checkpoint()
            await trio.lowlevel.checkpoint()
            if trio.current_time() < self._session.next_deadline():
                return False
            if reads == self._reads and (self._is_reading or self._fault == "stop_reading"):
                return True

    def _reset(self) -> None:
        stream = self._stream
        if isinstance(stream, trio.SSLStream):
            stream = stream.transport_stream
        if isinstance(stream, trio.SocketStream):
            stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
        self._scope.cancel()
