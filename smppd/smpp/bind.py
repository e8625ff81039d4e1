"""The state of one bind: who may say what now, how long one waits, and how it ends.

It reads and writes what makes, keeps and ends a bind: binds of the three kinds, enquire_link,
unbind and generic_nack, in either role and in every state, and refuses what nobody asked for. It
sees the traffic only as a window that is empty or overdue; ``session.py`` has that, and
``asides.py`` the requests that are neither.

The rule of response_timer: when the first request is overdue the bind is *stalled*. Nothing new
goes out, and the answers are read on, for at most one more response_timer or until none is
missing. Then comes unbind, and at most one session_init_timer for its response. A slow centre
thus costs a bind, and only what is still unanswered at the close is in doubt.

A peer's unbind is answered at once, in any state. While requests are unanswered the session
still reads (each answer is a doubt less), for at most one session_init_timer.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final, Literal

from smppd.errors import LocalProtocolError
from smppd.smpp.asks import Asks
from smppd.smpp.constants import (
    ALERT_NOTIFICATION,
    BIND_RECEIVER,
    BIND_RECEIVER_RESP,
    BIND_TRANSCEIVER,
    BIND_TRANSCEIVER_RESP,
    BIND_TRANSMITTER,
    BIND_TRANSMITTER_RESP,
    CANCEL_SM,
    DATA_SM,
    DELIVER_SM,
    ENQUIRE_LINK,
    ENQUIRE_LINK_RESP,
    ESME_RALYBND,
    ESME_RINVBNDSTS,
    ESME_RINVCMDID,
    ESME_ROK,
    ESME_RUNKNOWNERR,
    GENERIC_NACK,
    OUTBIND,
    QUERY_SM,
    RESPONSE_BIT,
    SEQUENCE_NUMBER_MAX,
    SUBMIT_SM,
    UNBIND,
    UNBIND_RESP,
    command_name,
)
from smppd.smpp.framing import Frame, FramingFault
from smppd.smpp.pdu import PduFault, encode_deliver_sm_resp
from smppd.smpp.rare import (
    BIND_COMMANDS,
    BIND_KINDS,
    Bind,
    BindKind,
    decode_bind,
    decode_bind_resp,
    encode_bind,
    encode_bind_resp,
    encode_bodiless,
)
from smppd.smpp.signals import (
    BindReceived,
    BindRejected,
    Bound,
    DeliverAnswered,
    PduRefused,
    PeerFault,
    PeerUnbound,
    Signal,
    Stalled,
    SubmitAnswered,
)
from smppd.smpp.timers import Deadlines, Timers
from smppd.smpp.window import Window

Role = Literal["esme", "smsc"]
State = Literal["open", "binding", "bound", "unbinding", "closed"]

# What an SMSC of ours names as its version, and the first that may be told (section 5.3.2.25).
SC_INTERFACE_VERSION: Final = 0x34

# On which binds a side sends traffic, table 2-1. What it may not send it may receive no answer
# to; enquire_link, unbind and the answers themselves go both ways on all of them.
SENDS_ON: Final[dict[Role, frozenset[BindKind]]] = {
    "esme": frozenset({"transceiver", "transmitter"}),
    "smsc": frozenset({"transceiver", "receiver"}),
}
PEERS: Final[dict[Role, Role]] = {"esme": "smsc", "smsc": "esme"}

# Requests the specification gives no response (sections 4.1.7, 4.12.1).
REQUESTS_WITHOUT_RESPONSE: Final = frozenset({OUTBIND, ALERT_NOTIFICATION})

# Requests we know, refused as RINVBNDSTS where the role or the state does not allow them. What
# we do not know at all gets a generic_nack.
REQUESTS_BY_STATE: Final = frozenset(
    {*BIND_KINDS, SUBMIT_SM, DELIVER_SM, DATA_SM, QUERY_SM, CANCEL_SM}
)


class BindState:
    """One bind as its session sees it. The session reads the attributes; methods change them."""

    def __init__(self, role: Role, window: Window, timers: Timers, now: float) -> None:
        self.role: Role = role
        self.state: State = "open"
        self.kind: BindKind = "transceiver"
        self.interface_version = SC_INTERFACE_VERSION  # what the ESME named in its bind
        self.stalled = False
        self.may_send = False  # whether this kind of bind lets us send traffic
        self.carries_traffic = False  # until its unbind was seen, a bound peer may send
        # Output: what is automatic, and the unbind behind which no request may stand.
        self.answers: list[bytes] = []
        self.farewell = b""
        self.deadlines = Deadlines(timers, now)
        if role == "smsc":
            self.deadlines.start_init(now)

        self.pdus_refused = 0
        self.unknown_responses = 0
        self.enquire_links_sent = 0
        self.enquire_links_received = 0

        self._window = window
        self._sequence_number = 0
        # Our own bind, enquire_link and unbind: sequence_number -> command_id.
        self._controls: dict[int, int] = {}
        self.asks = Asks()
        self._peer_unbound = False

    @property
    def closed(self) -> bool:
        """Nothing is read any more, and only what is queued may still be written."""
        return self.state == "closed"

    @property
    def answers_welcome(self) -> bool:
        """Whether the peer still wants answers to its requests: not after its own unbind."""
        return self.state != "closed" and not self._peer_unbound

    @property
    def room(self) -> int:
        """How many requests may go out now."""
        if self.state != "bound" or self.stalled or not self.may_send:
            return 0
        return self._window.room - len(self.asks)

    @property
    def takes_tlvs(self) -> bool:
        """Whether the peer knows optional parameters: from 3.4 on (section 3.4)."""
        return self.interface_version >= SC_INTERFACE_VERSION

    def next_sequence_number(self) -> int:
        """1 to 0x7FFFFFFF and round again (section 5.1.4), skipping what still waits."""
        number = self._sequence_number
        while True:
            number = number % SEQUENCE_NUMBER_MAX + 1
            if number in self._window or number in self._controls or number in self.asks:
                continue
            self._sequence_number = number
            return number

    def next_sequence_numbers(self, count: int) -> list[int]:
        """``count`` of them in order; one by one only near the end, or where one still waits."""
        numbers = range(self._sequence_number + 1, self._sequence_number + count + 1)
        is_free = (
            numbers.stop <= SEQUENCE_NUMBER_MAX
            and self._window.has_none_of(numbers)
            and self._controls.keys().isdisjoint(numbers)
            and self.asks.has_none_of(numbers)
        )
        if not is_free:
            return [self.next_sequence_number() for _ in numbers]
        self._sequence_number += count
        return list(numbers)

    # What we want

    def bind(self, bind: Bind, now: float) -> None:
        """ESME: ask to be bound."""
        if self.role != "esme" or self.state != "open":
            raise LocalProtocolError(f"an {self.role} session that is {self.state} cannot bind")
        sequence_number = self.next_sequence_number()
        self.answers.append(encode_bind(bind, sequence_number))
        self._controls[sequence_number] = BIND_COMMANDS[bind.kind]
        self.kind = bind.kind
        self.interface_version = bind.interface_version
        self.state = "binding"
        self.deadlines.start_init(now)

    def accept(self, signal: BindReceived, system_id: str, now: float) -> None:
        """SMSC: let the peer in; nothing if it has gone meanwhile."""
        if self.state != "binding" or self.role != "smsc":
            return
        version = SC_INTERFACE_VERSION if self.takes_tlvs else None
        number = signal.sequence_number
        self.answers.append(encode_bind_resp(self.kind, number, ESME_ROK, system_id, version))
        self._enter_bound(now)

    def refuse(self, signal: BindReceived, command_status: int) -> None:
        """SMSC: answer the bind with an error and close; nothing if the peer has gone."""
        if self.state != "binding" or self.role != "smsc":
            return
        response = signal.command_id | RESPONSE_BIT
        self.answers.append(encode_bodiless(response, command_status, signal.sequence_number))
        self.close()

    def unbind(self, now: float) -> None:
        """Send unbind and read on until its response; nothing to unbind before a bind."""
        if self.state in ("unbinding", "closed"):
            return
        if self.state == "open":
            self.close()
            return
        sequence_number = self.next_sequence_number()
        self.farewell = encode_bodiless(UNBIND, ESME_ROK, sequence_number)
        self._controls[sequence_number] = UNBIND
        self.state = "unbinding"
        self.deadlines.start_init(now)

    # Time

    def next_deadline(self) -> float:
        """When ``handle_timers`` has something to do."""
        if self.state != "bound":
            return self.deadlines.phase
        deadline = self.deadlines.next_of_bound(self._window.first_deadline(), self.stalled)
        return min(deadline, self.asks.first_deadline())

    def handle_timers(self, now: float) -> list[Signal]:
        """Act on the deadlines that have come."""
        if now < self.next_deadline():
            return []
        if self.state == "bound":
            return [*self.asks.end_overdue(now), *self._handle_bound_timers(now)]
        if self.state == "unbinding":
            self.close()
            return []
        if self.role == "smsc":
            return [self.fail("the peer did not bind within session_init_timer")]
        return [self.fail("the bind was not answered within session_init_timer")]

    def _handle_bound_timers(self, now: float) -> list[Signal]:
        deadlines = self.deadlines
        if deadlines.enquire_link_unanswered(now):
            return [self.fail("enquire_link unanswered")]
        oldest = self._window.first_deadline()
        if deadlines.phase <= now or (oldest is None and deadlines.inactivity_at <= now):
            self.unbind(now)
            return []
        if deadlines.enquire_link_at <= now:
            self._send_enquire_link(now)
        if oldest is None or oldest > now or self.stalled:
            return []
        self.stalled = True
        self._window.drop_queued()
        deadlines.start_stall(now)
        self.end_of_window(now)
        return [Stalled()]

    def _send_enquire_link(self, now: float) -> None:
        sequence_number = self.next_sequence_number()
        self.answers.append(encode_bodiless(ENQUIRE_LINK, ESME_ROK, sequence_number))
        self._controls[sequence_number] = ENQUIRE_LINK
        self.deadlines.start_enquire_link(now)
        self.enquire_links_sent += 1

    # What comes in

    def receive(self, frame: Frame, now: float) -> list[Signal]:
        """Read one PDU that is not traffic, or is traffic that is not allowed now."""
        receive = RARE_PDUS.get(frame.command_id)
        if receive is not None:
            return receive(self, frame, now)
        if frame.command_id & RESPONSE_BIT:
            self.unknown_responses += 1
            return []
        return [self.refuse_unexpected(frame)]

    def refuse_pdu(self, frame: Frame, command_status: int, reason: str) -> PduRefused:
        """Answer one request with its own response and an error."""
        sequence_number = frame.sequence_number
        if frame.command_id == DELIVER_SM:
            answer = encode_deliver_sm_resp(sequence_number, command_status)
        else:
            response = frame.command_id | RESPONSE_BIT
            answer = encode_bodiless(response, command_status, sequence_number)
        self.answers.append(answer)
        return self.note_refused(frame, reason)

    def note_refused(self, frame: Frame, reason: str) -> PduRefused:
        """A PDU that cannot be read or is not spoken here, however it is answered."""
        self.pdus_refused += 1
        return PduRefused(
            frame.command_id, frame.sequence_number, reason, frame.body, frame.command_status
        )

    def refuse_unexpected(self, frame: Frame) -> PduRefused:
        """Refuse one request as the specification asks: by its response, a nack, or silence."""
        name = command_name(frame.command_id)
        if frame.command_id in REQUESTS_BY_STATE:
            reason = f"{name} while the {self.role} session was {self.state} as {self.kind}"
            return self.refuse_pdu(frame, ESME_RINVBNDSTS, reason)
        if frame.command_id not in REQUESTS_WITHOUT_RESPONSE:
            nack = encode_bodiless(GENERIC_NACK, ESME_RINVCMDID, frame.sequence_number)
            self.answers.append(nack)
        return self.note_refused(frame, f"{name} is not spoken here")

    def _receive_enquire_link(self, frame: Frame, now: float) -> list[Signal]:
        self.answers.append(encode_bodiless(ENQUIRE_LINK_RESP, ESME_ROK, frame.sequence_number))
        self.enquire_links_received += 1
        return []

    def _receive_unbind(self, frame: Frame, now: float) -> list[Signal]:
        self.answers.append(encode_bodiless(UNBIND_RESP, ESME_ROK, frame.sequence_number))
        if self.state != "unbinding":
            self.state = "unbinding"
            self.deadlines.start_init(now)
        self._peer_unbound = True
        self.carries_traffic = False
        self._window.drop_queued()
        self.end_of_window(now)
        return [PeerUnbound()]

    def _receive_bind(self, frame: Frame, now: float) -> list[Signal]:
        if self.role != "smsc" or self.state == "unbinding":
            return [self.refuse_unexpected(frame)]
        if self.state != "open":
            return [self.refuse_pdu(frame, ESME_RALYBND, "a second bind")]
        bind = decode_bind(BIND_KINDS[frame.command_id], frame.body)
        if isinstance(bind, PduFault):
            return [self.refuse_pdu(frame, bind.command_status, bind.reason)]
        self.state = "binding"
        self.kind = bind.kind
        self.interface_version = bind.interface_version
        self.deadlines.phase = math.inf  # it is our turn now
        return [
            BindReceived(
                frame.sequence_number,
                frame.command_id,
                bind.system_id,
                bind.password,
                bind.system_type,
                bind.interface_version,
                bind.address_range,
            )
        ]

    def _receive_control_resp(self, frame: Frame, now: float) -> list[Signal]:
        """An answer to our own bind, enquire_link or unbind, if it is the one we sent."""
        if self._controls.get(frame.sequence_number) != frame.command_id & ~RESPONSE_BIT:
            self.unknown_responses += 1
            return []
        return self._finish_control(frame, frame.command_status, now)

    def _receive_generic_nack(self, frame: Frame, now: float) -> list[Signal]:
        """The answer to the request it names, and never a good one; otherwise only counted."""
        command_status = frame.command_status or ESME_RUNKNOWNERR
        if frame.sequence_number in self._controls:
            return self._finish_control(frame, command_status, now)
        if (answered := self.asks.nack(frame.sequence_number, command_status)) is not None:
            return [answered]
        waiting = self._window.pop(frame.sequence_number, None)
        if waiting is None:
            self.unknown_responses += 1
            return []
        self._window.data_numbers.discard(frame.sequence_number)
        if self.role == "esme":
            return [SubmitAnswered(waiting.tag, command_status, "", frame.sequence_number)]
        return [DeliverAnswered(waiting.tag, command_status)]

    def _finish_control(self, frame: Frame, command_status: int, now: float) -> list[Signal]:
        """Even an error proves the peer alive, and ends a bind as well as a good answer."""
        command_id = self._controls.pop(frame.sequence_number)
        if command_id == ENQUIRE_LINK:
            self.deadlines.end_enquire_link()
        elif command_id == UNBIND:
            self.close()
        elif self.state == "binding":
            return [self._finish_bind(frame, command_status, now)]
        return []

    def _finish_bind(self, frame: Frame, command_status: int, now: float) -> Signal:
        if command_status != ESME_ROK:
            self.close()
            return BindRejected(command_status)
        self._enter_bound(now)
        response = decode_bind_resp(frame.body)
        return Bound(response.system_id, response.interface_version)

    def _enter_bound(self, now: float) -> None:
        self.state = "bound"
        self.may_send = self.kind in SENDS_ON[self.role]
        self.carries_traffic = self.kind in SENDS_ON[PEERS[self.role]]
        self.deadlines.phase = math.inf
        self.deadlines.carry(now)

    # Ends

    def lose_stream(self, fault: FramingFault) -> PeerFault:
        """Say what was wrong with a header and close: nothing behind it can be found."""
        nack = encode_bodiless(GENERIC_NACK, fault.command_status, fault.sequence_number)
        self.answers.append(nack)
        return self.fail(fault.reason)

    def fail(self, reason: str) -> PeerFault:
        """Close for a fault of the peer."""
        self.close()
        return PeerFault(reason)

    def close(self) -> None:
        """No more input, and no output but the answers that are queued."""
        self.state = "closed"
        self.carries_traffic = False
        self.deadlines.phase = math.inf
        self._window.drop_queued()

    def end_of_window(self, now: float) -> None:
        """An end that only waited for the last answer need not wait on, once it has come."""
        if len(self._window):
            return
        if self.state == "bound" and self.stalled:
            self.unbind(now)
        elif self._peer_unbound and UNBIND not in self._controls.values():
            self.close()


# Who reads which of the PDUs that are not traffic, in either role and in every state.
RARE_PDUS: Final[dict[int, Callable[[BindState, Frame, float], list[Signal]]]] = {
    GENERIC_NACK: BindState._receive_generic_nack,
    UNBIND: BindState._receive_unbind,
    UNBIND_RESP: BindState._receive_control_resp,
    BIND_RECEIVER: BindState._receive_bind,
    BIND_RECEIVER_RESP: BindState._receive_control_resp,
    BIND_TRANSMITTER: BindState._receive_bind,
    BIND_TRANSMITTER_RESP: BindState._receive_control_resp,
    BIND_TRANSCEIVER: BindState._receive_bind,
    BIND_TRANSCEIVER_RESP: BindState._receive_control_resp,
    ENQUIRE_LINK: BindState._receive_enquire_link,
    ENQUIRE_LINK_RESP: BindState._receive_control_resp,
}
