"""What a session reports: frozen values, in the order in which they happened.

A signal says what came over the wire, never what it means for a message: tags go in with a
request and come out with its answer, unread. A peer's fault is a signal too, the last of its
list, so that nothing that was read before it is ever lost.
"""

from __future__ import annotations

import msgspec

from smppd.smpp.constants import DELIVER_SM, SUBMIT_SM, command_name
from smppd.smpp.pdu import DeliverSm, SubmitSm
from smppd.smpp.rare import BIND_KINDS, BindKind
from smppd.smpp.sundry import CancelSm, QuerySm


class Bound(msgspec.Struct, frozen=True, gc=False):
    """ESME: our bind was accepted. ``interface_version`` is None where the SMSC named none."""

    system_id: str
    interface_version: int | None


class BindRejected(msgspec.Struct, frozen=True, gc=False):
    """ESME: our bind was refused; the session is closed."""

    command_status: int


class SubmitAnswered(msgspec.Struct, frozen=True):
    """ESME: the answer to one submit_sm or data_sm; ``message_id`` is empty where there is none.

    A generic_nack with our sequence_number is an answer as well, and never one of success.
    """

    tag: object
    command_status: int
    message_id: str
    sequence_number: int = 0


class DeliverReceived(msgspec.Struct, frozen=True, gc=False):
    """ESME: a deliver_sm, which stays unanswered until ``Session.acknowledge``.

    Where ``command_id`` is DATA_SM, ``pdu`` says what that said, its text in message_payload.
    """

    sequence_number: int
    pdu: DeliverSm
    command_id: int = DELIVER_SM


class QueryAnswered(msgspec.Struct, frozen=True):
    """ESME: the answer to one query_sm; the last four say nothing where it was refused.

    ``message_state`` and ``error_code`` are None where the SMSC named none.
    """

    tag: object
    command_status: int
    message_id: str = ""
    final_date: str = ""
    message_state: int | None = None
    error_code: int | None = None


class CancelAnswered(msgspec.Struct, frozen=True):
    """ESME: the answer to one cancel_sm."""

    tag: object
    command_status: int


class AskUnanswered(msgspec.Struct, frozen=True):
    """ESME: these got no answer within response_timer, or before the end. Nothing is in doubt."""

    tags: list[object]


class AlertReceived(msgspec.Struct, frozen=True, gc=False):
    """ESME: a phone can be reached again (alert_notification); ``availability`` as it is there."""

    source_addr: str
    esme_addr: str
    availability: int | None


class OutbindReceived(msgspec.Struct, frozen=True, gc=False):
    """ESME, before the bind: an SMSC asks to be bound to, and says who it is."""

    system_id: str
    password: str

    def __repr__(self) -> str:
        """Without the password."""
        return f"OutbindReceived(system_id={self.system_id!r})"


class Stalled(msgspec.Struct, frozen=True, gc=False):
    """response_timer ran out for a request: nothing new goes out, the link is unhealthy."""


class PeerUnbound(msgspec.Struct, frozen=True, gc=False):
    """The peer sent unbind, which was answered; nothing more goes out."""


class PduRefused(msgspec.Struct, frozen=True, gc=False):
    """One PDU that was answered with an error as the specification says; the session lives.

    ``body`` is what followed the header, for the quarantine. A response that cannot be read is
    told so as well, though nothing answers it.
    """

    command_id: int
    sequence_number: int
    reason: str
    body: bytes
    command_status: int = 0

    def __repr__(self) -> str:
        """Without the body: it may hold a user's text, a number or a password."""
        name = command_name(self.command_id)
        return f"PduRefused({name}, {self.sequence_number}, {self.reason!r})"


class Unwritten(msgspec.Struct, frozen=True):
    """The session ended before these requests were handed to be written: nobody saw them."""

    tags: list[object]


class Unanswered(msgspec.Struct, frozen=True):
    """The session ended after these were written and before they were answered: doubt."""

    tags: list[object]


class PeerFault(msgspec.Struct, frozen=True, gc=False):
    """The peer broke the protocol or went away: always last, and the session is closed."""

    reason: str


class BindReceived(msgspec.Struct, frozen=True, gc=False):
    """SMSC: a bind that waits for ``Session.accept_bind`` or ``Session.refuse_bind``."""

    sequence_number: int
    command_id: int
    system_id: str
    password: str
    system_type: str
    interface_version: int
    address_range: str

    @property
    def kind(self) -> BindKind:
        """Which of the three binds it is."""
        return BIND_KINDS[self.command_id]

    def __repr__(self) -> str:
        """Without the password."""
        return f"BindReceived({command_name(self.command_id)}, system_id={self.system_id!r})"


class SubmitReceived(msgspec.Struct, frozen=True, gc=False):
    """SMSC: a submit_sm, which stays unanswered until ``Session.answer``.

    Where ``command_id`` is DATA_SM, ``pdu`` says what that said, its text in message_payload.
    """

    sequence_number: int
    pdu: SubmitSm
    command_id: int = SUBMIT_SM


class DeliverAnswered(msgspec.Struct, frozen=True):
    """SMSC: the answer to one deliver_sm or data_sm."""

    tag: object
    command_status: int


class QueryReceived(msgspec.Struct, frozen=True, gc=False):
    """SMSC: a query_sm, which stays unanswered until ``Session.answer_query``."""

    sequence_number: int
    pdu: QuerySm


class CancelReceived(msgspec.Struct, frozen=True, gc=False):
    """SMSC: a cancel_sm, which stays unanswered until ``Session.answer_cancel``."""

    sequence_number: int
    pdu: CancelSm


Signal = (
    Bound
    | BindRejected
    | SubmitAnswered
    | DeliverReceived
    | QueryAnswered
    | CancelAnswered
    | AskUnanswered
    | AlertReceived
    | OutbindReceived
    | Stalled
    | PeerUnbound
    | PduRefused
    | Unwritten
    | Unanswered
    | PeerFault
    | BindReceived
    | SubmitReceived
    | DeliverAnswered
    | QueryReceived
    | CancelReceived
)
