"""What can happen: every change the store knows, and what it answers.

A change is a fact or a proposal, handed to ``Store.commit`` in a list and decided there in order.
Only proposals (``Propose``, ``Take``) have an answer that differs from the asking; facts answer
``None``. Times are integer milliseconds since the Unix epoch. A *tag* is ten octets naming one
segment of one message: message id (8, big-endian) and segment index (2, big-endian, from 0).
"""

from __future__ import annotations

from enum import IntEnum
from typing import Literal

import msgspec

from smppd.smpp.receipt import Receipt

UncertainPolicy = Literal["resend", "stop"]
MessageClass = Literal["otp", "transactional", "promotional"]
EncodingName = Literal["gsm7", "ucs2"]


class Verdict(IntEnum):
    """What a command_status means for the segment it answers; ``traffic/settle.py`` decides."""

    TAKEN = 0
    """ESME_ROK: the carrier has it."""
    SLOW = 1
    """Throttled or queue full: not a refusal; the segment goes back to the queue."""
    RETRY = 2
    """A passing fault of the carrier: the segment waits a moment, then goes again."""
    REROUTE = 3
    """This carrier will not take it; another one may, while nothing of the message was taken."""
    REFUSE = 4
    """Nobody will take it: the message has failed."""


class Rejection(msgspec.Struct, frozen=True, gc=False):
    """Why a submission is not accepted; ``retry_after`` in seconds where trying again helps."""

    code: str
    reason: str
    retry_after: int | None = None


class NewMessage(msgspec.Struct, frozen=True, gc=False):
    """A submission that passed every check, ready to be kept.

    ``to`` is E.164 digits without ``+``; ``addr_ton``, ``addr_npi``, ``addr`` the sender;
    ``meta`` raw JSON; ``route_set`` the 8-octet key of the offers in force at acceptance.
    """

    to: str
    addr_ton: int
    addr_npi: int
    addr: str
    text: str
    message_class: MessageClass
    encoding: EncodingName
    segments: int
    receipt: bool
    tag: str | None
    meta: bytes | None
    accepted_at: int
    expires_at: int
    uncertain: UncertainPolicy
    route_set: bytes


class Propose(msgspec.Struct, frozen=True, gc=False):
    """An app submits ``message`` under ``ref``.

    The ref is looked up before anything else is judged, so a submission that must be rejected
    travels here too. ``digest`` is 16 octets over the submit object as sent. Answers
    ``Accepted``, ``RefConflict`` or a ``Rejection``.
    """

    app: str
    ref: str
    digest: bytes
    message: NewMessage | Rejection


class Accepted(msgspec.Struct, frozen=True, gc=False):
    """The message is on disk (or was before: ``duplicate``)."""

    id: str
    segments: int
    encoding: EncodingName
    duplicate: bool


class RefConflict(msgspec.Struct, frozen=True, gc=False):
    """The ref is bound to a message with other content; ``id`` is that message's."""

    id: str


class Take(msgspec.Struct, frozen=True, gc=False):
    """An app has taken every event up to ``seq``. Answers ``TakenResult``."""

    app: str
    seq: int


class TakenResult(msgspec.Struct, frozen=True, gc=False):
    """``ok`` is False when ``seq`` was above ``latest``, the newest event of the app."""

    ok: bool
    latest: int


class Answered(msgspec.Struct, frozen=True, gc=False):
    """A submit_sm_resp (or a generic_nack) for the segment ``tag`` arrived at ``at``."""

    carrier: str
    bind: int
    tag: bytes
    verdict: Verdict
    command_status: int
    smsc_id: str
    at: int


class Doubted(msgspec.Struct, frozen=True, gc=False):
    """These segments were written and never answered: nobody can know."""

    carrier: str
    bind: int
    tags: list[bytes]
    at: int


class GivenBack(msgspec.Struct, frozen=True, gc=False):
    """These segments were granted and never written: they simply wait again."""

    carrier: str
    bind: int
    tags: list[bytes]
    at: int


class ReceiptArrived(msgspec.Struct, frozen=True, gc=False):
    """A delivery receipt; ``source`` and ``destination`` are the addresses of its deliver_sm.

    ``source`` is the phone (the message's ``to``), ``destination`` the message's sender.
    ``done_at`` only where the carrier's time zone is known.
    """

    carrier: str
    receipt: Receipt
    source: str
    destination: str
    done_at: int | None
    at: int


class InboundArrived(msgspec.Struct, frozen=True, gc=False):
    """A mobile-originated message of one segment.

    ``text`` is None where the octets cannot be read by their data_coding; ``data`` is kept raw.
    ``unmarked`` is what it says read as a receipt, where it could be one that its esm_class does
    not mark: it is one only if it names a segment that was sent to ``source``.
    """

    carrier: str
    source: str
    destination: str
    text: str | None
    data: bytes
    data_coding: int
    esm_class: int
    at: int
    unmarked: ReceiptArrived | None = None


Change = Propose | Take | Answered | Doubted | GivenBack | ReceiptArrived | InboundArrived
Result = Accepted | RefConflict | Rejection | TakenResult | None
