"""One bind, from the first octet to the last, without I/O: the SMPP state machine.

The shell around it owns the socket and the clock, and does five things: hand every read to
``receive_data`` and the end of the stream to ``receive_eof``; act on the signals they return;
write what ``data_to_send`` returns; call ``handle_timers`` when ``next_deadline`` has come, but
only after what the socket already holds was read; and, once ``closed``, write ``data_to_send``
a last time (an unbind_resp or a generic_nack may be in it), close the stream and call
``receive_eof`` for what is left over. No call blocks, none raises for anything a peer did.

``role`` is which side of the bind this is. An ESME binds, sends submit_sm and receives
deliver_sm; an SMSC, here for the simulator, the other way round. Everything else is the same.

::

    open --bind--> binding --Bound--> bound --unbind--> unbinding --unbind_resp--> closed
      any state: a PeerFault, or the end of the stream --> closed
      a peer's unbind: answered; unbinding while answers may still come, then closed

Invariants:

1. A request leaves the window exactly once: as answered, as unwritten or as unanswered.
2. What ``data_to_send`` returned counts as written, whatever became of it: that is doubt. What it
   did not return never goes out once the session is stalled or closed or the peer has unbound.
3. A deliver_sm (or data_sm) is acknowledged by ``acknowledge`` alone, for the shell makes it
   durable first.
4. A response or a generic_nack is never answered, so two peers cannot loop.
5. After a PeerFault the list ends and nothing is read any more.

Traffic is here, as submit_sm and deliver_sm or as data_sm either way; the bind itself is in
``bind.py``, and what is said beside both in ``asides.py``. None of them knows what a tag is, how
fast submits may go (``throughput.py``) or when to bind again.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import msgspec

from smppd.errors import LocalProtocolError
from smppd.smpp import asides
from smppd.smpp.bind import BindState, Role, State
from smppd.smpp.constants import (
    DATA_SM,
    DATA_SM_RESP,
    DELIVER_SM,
    DELIVER_SM_RESP,
    ESME_ROK,
    SUBMIT_SM,
    SUBMIT_SM_RESP,
)
from smppd.smpp.data_sm import (
    DataSm,
    as_traffic,
    decode_data_sm,
    encode_data_sm,
    encode_data_sm_resp,
)
from smppd.smpp.framing import Frame, FrameBuffer, FramingFault
from smppd.smpp.pdu import (
    DeliverSm,
    PduFault,
    SubmitSm,
    decode_deliver_sm,
    decode_submit_sm,
    decode_submit_sm_resp,
    encode_deliver_sm,
    encode_deliver_sm_resp,
    encode_submit_sm,
    encode_submit_sm_resp,
)
from smppd.smpp.rare import Bind
from smppd.smpp.requests import Ask, CancelAnswer, Deliver, QueryAnswer, Submit, SubmitAnswer
from smppd.smpp.signals import (
    BindReceived,
    DeliverAnswered,
    DeliverReceived,
    PeerFault,
    Signal,
    SubmitAnswered,
    SubmitReceived,
    Unanswered,
    Unwritten,
)
from smppd.smpp.sundry import AlertNotification, Outbind
from smppd.smpp.timers import Timers
from smppd.smpp.window import Window

__all__ = [
    "ANSWERS_WAITING_MAX",
    "Ask",
    "Bind",
    "CancelAnswer",
    "Deliver",
    "QueryAnswer",
    "Role",
    "Session",
    "SessionStatistics",
    "State",
    "Submit",
    "SubmitAnswer",
    "Timers",
]

# Answers that wait to be written. A peer that sends requests and never reads ends here: at 16
# octets each this is 1 MiB, far more than any peer sends ahead before it reads an answer.
ANSWERS_WAITING_MAX: Final = 65_536


class SessionStatistics(msgspec.Struct, frozen=True):
    """Counts since the session began; ``waiting`` is how many requests are unanswered now."""

    requests_sent: int
    requests_received: int
    enquire_links_sent: int
    enquire_links_received: int
    pdus_refused: int
    unknown_responses: int
    octets_received: int
    octets_sent: int
    waiting: int


class Session:
    """See the module. ``now`` is monotonic seconds, and never goes back between calls."""

    def __init__(self, role: Role, *, window: int, timers: Timers, now: float) -> None:
        self._frames = FrameBuffer()
        self._window = Window(window)
        self._bind = BindState(role, self._window, timers, now)
        self._ended = False
        self._requests_sent = 0
        self._requests_received = 0
        self._octets_received = 0
        self._octets_sent = 0

    # What it is

    @property
    def state(self) -> State:
        """``open``, ``binding``, ``bound``, ``unbinding`` or ``closed``."""
        return self._bind.state

    @property
    def closed(self) -> bool:
        """Write ``data_to_send()`` once more, then close the stream."""
        return self._bind.closed

    @property
    def stalled(self) -> bool:
        """Whether response_timer ran out for a request of this session."""
        return self._bind.stalled

    @property
    def interface_version(self) -> int:
        """What the ESME named in its bind: 0x34 for 3.4; below that no PDU may have TLVs."""
        return self._bind.interface_version

    @property
    def room(self) -> int:
        """ESME: how many submit_sm and asks may be handed in now; none on a receiver."""
        return self._bind.room if self._bind.role == "esme" else 0

    @property
    def waiting(self) -> int:
        """How many requests of ours are unanswered."""
        return len(self._window)

    @property
    def deliver_room(self) -> int:
        """SMSC: how many deliver_sm may be handed in now; none to a transmitter."""
        return self._bind.room if self._bind.role == "smsc" else 0

    @property
    def has_data(self) -> bool:
        """Whether ``data_to_send`` has something."""
        bind = self._bind
        return bool(bind.answers or bind.farewell or self._window.has_queued)

    @property
    def unfinished(self) -> bytes:
        """What has been read of a PDU whose end has not come."""
        return self._frames.rest

    @property
    def lost_octets(self) -> bytes:
        """After a PeerFault for a header that cannot be: what stood there, in part."""
        return self._frames.lost_octets

    def statistics(self) -> SessionStatistics:
        """Counts, for metrics."""
        return SessionStatistics(
            self._requests_sent,
            self._requests_received,
            self._bind.enquire_links_sent,
            self._bind.enquire_links_received,
            self._bind.pdus_refused,
            self._bind.unknown_responses,
            self._octets_received,
            self._octets_sent,
            len(self._window),
        )

    # What we want

    def bind(self, bind: Bind, now: float) -> None:
        """ESME: ask to be bound; Bound or BindRejected follows, or a PeerFault in time.

        ``LocalProtocolError`` for a field that is too long or not ASCII, or for a second bind.
        """
        self._bind.bind(bind, now)

    def submit(self, submits: Sequence[Submit], now: float) -> None:
        """ESME: queue submit_sm or data_sm. ``LocalProtocolError`` beyond ``room``, for a bad
        field, or for TLVs where the bind is older than 3.4."""
        if len(submits) > self.room:
            raise LocalProtocolError(f"{len(submits)} submits where {self.room} fit")
        if not self._bind.takes_tlvs:
            _check_no_tlvs(submits)
        numbers = self._bind.next_sequence_numbers(len(submits))
        octets = [
            encode_submit_sm(submit.pdu, number)
            if isinstance(submit.pdu, SubmitSm)
            else self._encode_data(submit.pdu, number)
            for submit, number in zip(submits, numbers, strict=True)
        ]
        self._queue([submit.tag for submit in submits], numbers, octets, now)

    def ask(self, asks: Sequence[Ask], now: float) -> None:
        """ESME: send query_sm or cancel_sm; each is answered, or told in an AskUnanswered.

        ``LocalProtocolError`` beyond ``room``, or for a bad field.
        """
        if len(asks) > self.room:
            raise LocalProtocolError(f"{len(asks)} asks where {self.room} fit")
        bind = self._bind
        numbers = bind.next_sequence_numbers(len(asks))
        bind.answers += bind.asks.add(asks, numbers, bind.deadlines.response_deadline(now))

    def acknowledge(self, signals: Sequence[Signal], command_status: int = ESME_ROK) -> None:
        """ESME: answer every DeliverReceived among ``signals``; nothing once it is too late."""
        if not self._bind.answers_welcome:
            return
        answers = [
            encode_deliver_sm_resp(signal.sequence_number, command_status)
            if signal.command_id == DELIVER_SM
            else encode_data_sm_resp(signal.sequence_number, command_status, "")
            for signal in signals
            if isinstance(signal, DeliverReceived)
        ]
        if answers:
            self._bind.answers.append(b"".join(answers))

    def unbind(self, now: float) -> None:
        """End the bind in order: nothing new goes out, answers are read until unbind_resp."""
        self._bind.unbind(now)

    def accept_bind(self, signal: BindReceived, system_id: str, now: float) -> None:
        """SMSC: let the peer in; nothing if it has gone meanwhile."""
        self._bind.accept(signal, system_id, now)

    def refuse_bind(self, signal: BindReceived, command_status: int, now: float) -> None:
        """SMSC: answer the bind with an error and close; nothing if the peer has gone."""
        self._bind.refuse(signal, command_status)

    def answer(self, answers: Sequence[SubmitAnswer]) -> None:
        """SMSC: answer SubmitReceived, in any order; nothing once it is too late."""
        if not self._bind.answers_welcome or not answers:
            return
        octets = [
            encode_submit_sm_resp(one.sequence_number, one.command_status, one.message_id)
            if one.command_id == SUBMIT_SM
            else encode_data_sm_resp(one.sequence_number, one.command_status, one.message_id)
            for one in answers
        ]
        self._bind.answers.append(b"".join(octets))

    def answer_query(self, answers: Sequence[QueryAnswer]) -> None:
        """SMSC: answer QueryReceived; nothing once it is too late."""
        asides.answer_queries(self._bind, answers)

    def answer_cancel(self, answers: Sequence[CancelAnswer]) -> None:
        """SMSC: answer CancelReceived; nothing once it is too late."""
        asides.answer_cancels(self._bind, answers)

    def alert(self, alerts: Sequence[AlertNotification]) -> None:
        """SMSC: say that phones can be reached; nothing to a bind that may not be told."""
        asides.send_alerts(self._bind, alerts)

    def outbind(self, system_id: str, password: str, now: float) -> None:
        """SMSC: on a stream of its own making, ask to be bound to, within session_init_timer.

        ``LocalProtocolError`` once the peer has bound, or for a bad field.
        """
        asides.send_outbind(self._bind, Outbind(system_id, password), now)

    def deliver(self, delivers: Sequence[Deliver], now: float) -> None:
        """SMSC: queue deliver_sm or data_sm. ``LocalProtocolError`` beyond ``deliver_room``, for
        a bad field, or for TLVs where the bind is older than 3.4."""
        if len(delivers) > self.deliver_room:
            raise LocalProtocolError(f"{len(delivers)} delivers where {self.deliver_room} fit")
        if not self._bind.takes_tlvs:
            _check_no_tlvs(delivers)
        numbers = self._bind.next_sequence_numbers(len(delivers))
        octets = [
            encode_deliver_sm(deliver.pdu, number)
            if isinstance(deliver.pdu, DeliverSm)
            else self._encode_data(deliver.pdu, number)
            for deliver, number in zip(delivers, numbers, strict=True)
        ]
        self._queue([deliver.tag for deliver in delivers], numbers, octets, now)

    def data_to_send(self) -> bytes:
        """All that is queued, once: automatic answers, requests, and an unbind last."""
        bind = self._bind
        data = b"".join((*bind.answers, *self._window.take_queued(), bind.farewell))
        bind.answers.clear()
        bind.farewell = b""
        self._octets_sent += len(data)
        return data

    def _encode_data(self, pdu: DataSm, sequence_number: int) -> bytes:
        octets = encode_data_sm(pdu, sequence_number)
        self._window.data_numbers.add(sequence_number)
        return octets

    def _queue(
        self, tags: list[object], numbers: list[int], octets: list[bytes], now: float
    ) -> None:
        if not tags:
            return
        deadlines = self._bind.deadlines
        self._window.queue(tags, numbers, octets, deadlines.response_deadline(now))
        self._requests_sent += len(tags)
        deadlines.carry(now)

    # What comes in

    def receive_data(self, data: bytes | bytearray, now: float) -> list[Signal]:
        """Take one read, cut anywhere, and return what it says, in order."""
        bind = self._bind
        if bind.closed:
            return []
        bind.deadlines.hear(now)
        self._octets_received += len(data)
        frames = self._frames.receive(data)
        if bind.role == "esme":
            signals = self._receive_as_esme(frames, now)
        else:
            signals = self._receive_as_smsc(frames, now)
        if len(bind.answers) > ANSWERS_WAITING_MAX and not bind.closed:
            signals.append(bind.fail("the peer sends requests and does not read the answers"))
        else:
            bind.end_of_window(now)
        return signals

    def receive_eof(self, now: float) -> list[Signal]:
        """The stream has ended, or was given up: what became of the requests, told once.

        AskUnanswered comes first, then Unwritten, then Unanswered, each only if there is one, and
        a PeerFault last unless an unbind or an earlier fault had announced the end.
        """
        if self._ended:
            return []
        self._ended = True
        state = self._bind.state
        self._bind.close()
        remains = self._window.end()
        signals: list[Signal] = [*self._bind.asks.end_overdue(math.inf)]
        if remains.unwritten:
            signals.append(Unwritten(remains.unwritten))
        if remains.unanswered:
            signals.append(Unanswered(remains.unanswered))
        if state not in ("unbinding", "closed"):
            inside = " inside a PDU" if self._frames.octets_waiting else ""
            signals.append(PeerFault(f"the stream ended{inside} while the session was {state}"))
        return signals

    # Time

    def next_deadline(self) -> float:
        """When ``handle_timers`` has something to do; ``math.inf`` when nothing waits."""
        return self._bind.next_deadline()

    def handle_timers(self, now: float) -> list[Signal]:
        """Act on the deadlines that have come. Read what the socket holds before asking."""
        return self._bind.handle_timers(now)

    # The hot loops, one per role: the two commands that carry traffic first, nothing called
    # twice, and every PDU judged alone.

    def _receive_as_esme(self, frames: list[Frame | FramingFault], now: float) -> list[Signal]:
        bind = self._bind
        signals: list[Signal] = []
        append = signals.append
        pop = self._window.pop
        data_numbers = self._window.data_numbers
        for frame in frames:
            if isinstance(frame, FramingFault):
                append(bind.lose_stream(frame))
                break
            command_id = frame.command_id
            if command_id == SUBMIT_SM_RESP:
                if data_numbers and frame.sequence_number in data_numbers:
                    bind.unknown_responses += 1
                    continue
                waiting = pop(frame.sequence_number, None)
                if waiting is None:
                    bind.unknown_responses += 1
                    continue
                message_id = decode_submit_sm_resp(frame.body)
                if isinstance(message_id, PduFault):
                    append(bind.note_refused(frame, message_id.reason))
                    message_id = ""  # accepted under an id nobody can keep: untrackable
                status, number = frame.command_status, frame.sequence_number
                append(SubmitAnswered(waiting.tag, status, message_id, number))
            elif command_id == DELIVER_SM and bind.carries_traffic:
                pdu = decode_deliver_sm(frame.body)
                if isinstance(pdu, PduFault):
                    append(bind.refuse_pdu(frame, pdu.command_status, pdu.reason))
                    continue
                self._requests_received += 1
                bind.deadlines.carry(now)
                append(DeliverReceived(frame.sequence_number, pdu))
            else:
                signals += self._receive_rare(frame, now)
                if bind.closed:
                    break
        return signals

    def _receive_as_smsc(self, frames: list[Frame | FramingFault], now: float) -> list[Signal]:
        bind = self._bind
        signals: list[Signal] = []
        append = signals.append
        pop = self._window.pop
        data_numbers = self._window.data_numbers
        for frame in frames:
            if isinstance(frame, FramingFault):
                append(bind.lose_stream(frame))
                break
            command_id = frame.command_id
            if command_id == DELIVER_SM_RESP:
                if data_numbers and frame.sequence_number in data_numbers:
                    bind.unknown_responses += 1
                    continue
                waiting = pop(frame.sequence_number, None)
                if waiting is None:
                    bind.unknown_responses += 1
                    continue
                append(DeliverAnswered(waiting.tag, frame.command_status))
            elif command_id == SUBMIT_SM and bind.carries_traffic:
                pdu = decode_submit_sm(frame.body)
                if isinstance(pdu, PduFault):
                    append(bind.refuse_pdu(frame, pdu.command_status, pdu.reason))
                    continue
                self._requests_received += 1
                bind.deadlines.carry(now)
                append(SubmitReceived(frame.sequence_number, pdu))
            else:
                signals += self._receive_rare(frame, now)
                if bind.closed:
                    break
        return signals

    # What is neither of the two

    def _receive_rare(self, frame: Frame, now: float) -> list[Signal]:
        bind = self._bind
        if frame.command_id == DATA_SM and bind.carries_traffic:
            return [self._receive_data_sm(frame, now)]
        if frame.command_id == DATA_SM_RESP:
            return self._receive_data_sm_resp(frame)
        return asides.receive(bind, frame) or bind.receive(frame, now)

    def _receive_data_sm(self, frame: Frame, now: float) -> Signal:
        bind = self._bind
        pdu = decode_data_sm(frame.body)
        if isinstance(pdu, PduFault):
            return bind.refuse_pdu(frame, pdu.command_status, pdu.reason)
        self._requests_received += 1
        bind.deadlines.carry(now)
        if bind.role == "esme":
            return DeliverReceived(frame.sequence_number, as_traffic(pdu, DeliverSm), DATA_SM)
        return SubmitReceived(frame.sequence_number, as_traffic(pdu, SubmitSm), DATA_SM)

    def _receive_data_sm_resp(self, frame: Frame) -> list[Signal]:
        bind = self._bind
        number, command_status = frame.sequence_number, frame.command_status
        waiting = self._window.pop(number, None) if number in self._window.data_numbers else None
        if waiting is None:
            bind.unknown_responses += 1
            return []
        self._window.data_numbers.discard(number)
        if bind.role == "smsc":
            return [DeliverAnswered(waiting.tag, command_status)]
        message_id = decode_submit_sm_resp(frame.body)  # data_sm_resp begins as that does
        if isinstance(message_id, PduFault):
            refused = bind.note_refused(frame, message_id.reason)
            return [refused, SubmitAnswered(waiting.tag, command_status, "", number)]
        return [SubmitAnswered(waiting.tag, command_status, message_id, number)]


def _check_no_tlvs(requests: Sequence[Submit] | Sequence[Deliver]) -> None:
    for request in requests:
        if isinstance(request.pdu, DataSm) or request.pdu.tlvs:
            raise LocalProtocolError("a bind older than 3.4 knows no data_sm and no TLVs")
