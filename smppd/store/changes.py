"""What can happen: every change the store knows, and what it answers.

A change is a fact or a proposal, handed to ``Store.commit`` in a list and decided there in order.
Only proposals (``Propose``, ``Take``) have an answer that differs from the asking; facts answer
``None``. Times are integer milliseconds since the Unix epoch. A *tag* is ten octets naming one
segment of one message: message id (8, big-endian) and segment index (2, big-endian, from 0).
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final, Literal

import msgspec

from smppd.smpp.receipt import Receipt
from smppd.text.header import Concatenation
from smppd.text.segment import Form
from smppd.text.smart import Smart

UncertainPolicy = Literal["resend", "stop"]
MessageClass = Literal["otp", "transactional", "promotional"]
EncodingName = Literal["gsm7", "ucs2", "latin1", "binary"]
WantedEncodingName = Literal["auto", "gsm7", "ucs2", "latin1"]
CarrierMode = Literal["running", "paused", "drained"]
ResolveAction = Literal["resend", "drop"]


CANCEL_MAX: Final = 200
"""Messages of a tag looked at for one ``Cancel``: two milliseconds when all are on disk."""


FORGET_MAX: Final = 200
"""Of each kind in one ``Forget``: some five milliseconds."""


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


class Extras(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """What few submissions ask for; a message without any of it has none of these.

    ``send_at`` in Unix milliseconds (0: at once); ``carriers`` the only ones it may go to;
    ``max_cost`` a decimal string for the whole message ("": none); ``data`` binary user data in
    place of a text, ``udh`` its header (with its length octet, or empty), ``data_coding`` -1: by
    the encoding; ``tlvs`` by tag; ``wanted`` the encoding asked for, by which another carrier's
    form is planned. ``smart`` is what smart encoding made of the app's text, None: nothing.
    """

    send_at: int = 0
    carriers: tuple[str, ...] = ()
    max_cost: str = ""
    flash: bool = False
    data: bytes | None = None
    udh: bytes = b""
    data_coding: int = -1
    tlvs: dict[int, bytes] = {}
    wanted: WantedEncodingName = "auto"
    smart: Smart | None = None


class NewMessage(msgspec.Struct, frozen=True, gc=False):
    """A submission that passed every check, ready to be kept.

    ``to`` is E.164 digits without ``+``; ``addr_ton``, ``addr_npi``, ``addr`` the sender;
    ``meta`` raw JSON; ``route_set`` the 8-octet key of the offers in force at acceptance.
    ``segments`` are the submit_sm's it takes in ``form`` (None: the plain one), the form of the
    first offer it may go to; ``units`` how many segments arrive at the phone where one submit_sm
    carries them all in its message_payload (0: each submit_sm is one).
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
    units: int = 0
    extras: Extras | None = None
    form: Form | None = None


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
    """The message is on disk (or was before: ``duplicate``). ``smart`` as in its ``Extras``."""

    id: str
    segments: int
    encoding: EncodingName
    duplicate: bool
    smart: Smart | None = None


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


class Cancel(msgspec.Struct, frozen=True, gc=False):
    """An app takes back one message, by ``message_id`` or ``ref``, or all with a ``tag``.

    A tag may have millions, so a change looks at CANCEL_MAX of them and says where it stopped:
    the next one goes on ``after`` it, ``upto`` the last message there was at the first.
    Answers ``Cancelled``, or ``UnknownMessage`` for an id or ref that names none of the app's.
    """

    app: str
    message_id: str | None = None
    ref: str | None = None
    tag: str | None = None
    after: int = 0
    upto: int = 0


class Cancelled(msgspec.Struct, frozen=True, gc=False):
    """``count`` messages will now never be submitted; of ``too_late`` ones a segment is with a
    carrier, or about to be. Both are this change's alone; where it ``is_done`` no other follows."""

    count: int
    too_late: int
    after: int
    upto: int
    is_done: bool


class UnknownMessage(msgspec.Struct, frozen=True, gc=False):
    """The app has no message of that id or ref."""


class SetMode(msgspec.Struct, frozen=True, gc=False):
    """The operator pauses, drains or resumes a carrier; kept over restarts. Answers None."""

    carrier: str
    mode: CarrierMode
    at: int


class Resolve(msgspec.Struct, frozen=True, gc=False):
    """The operator decides about a doubtful message.

    ``resend``: an uncertain one goes again, flagged, while its validity lasts; ``drop``: a
    promised resend is not made, and nobody is asked to look at it any more. Answers ``Resolved``,
    or a ``Rejection`` with the code ``unknown_message``, ``not_doubtful``, ``expired`` or
    ``no_route``.
    """

    message_id: str
    action: ResolveAction
    at: int


class Resolved(msgspec.Struct, frozen=True, gc=False):
    """``state`` is the name of the message's state now."""

    state: str


class DoubtRestored(msgspec.Struct, frozen=True, gc=False):
    """The first start on a copy of a store: a batch of what waits in it is in doubt. Answers
    ``Restored``, or None where nothing is left to do."""


class Restored(msgspec.Struct, frozen=True, gc=False):
    """So far: of the messages that waited at ``made_at`` (ms), ``resent`` will be sent flagged and
    ``stopped`` not at all. ``is_done``: that is all of them."""

    made_at: int
    resent: int
    stopped: int
    is_done: bool


class Forget(msgspec.Struct, frozen=True, gc=False):
    """A phone number is to be forgotten: a batch of what is known of it, at most FORGET_MAX each.

    ``contents``: messages that have ended lose what they said; ``events``: keys of rows of the
    log, whose lines of ``told`` (ids), and of messages from ``number``, lose theirs; ``messages``
    (whose events have lost theirs before) lose the number; ``inbound`` (ids), ``unmatched`` (keys)
    and ``quarantined`` (ids) are deleted. In this order. ``is_last``: nothing to the number is on
    its way, so what is counted for its long messages goes too. Answers ``Forgotten``.
    """

    number: str
    contents: list[int] = []
    events: list[bytes] = []
    told: frozenset[str] = frozenset()
    messages: list[int] = []
    inbound: list[int] = []
    unmatched: list[bytes] = []
    is_last: bool = False
    quarantined: list[int] = []


class Forgotten(msgspec.Struct, frozen=True, gc=False):
    """How many of each the change has found and emptied or deleted."""

    messages: int
    events: int
    inbound: int
    unmatched: int
    quarantined: int = 0


class Answered(msgspec.Struct, frozen=True, gc=False):
    """A submit_sm_resp (or a generic_nack) for the segment ``tag`` arrived at ``at``;
    ``sequence_number`` is its submit_sm's."""

    carrier: str
    bind: int
    tag: bytes
    verdict: Verdict
    command_status: int
    smsc_id: str
    at: int
    sequence_number: int = 0


class Doubted(msgspec.Struct, frozen=True, gc=False):
    """These segments were written and never answered: nobody can know."""

    carrier: str
    bind: int
    tags: list[bytes]
    at: int


class GivenBack(msgspec.Struct, frozen=True, gc=False):
    """These segments were granted and never written: they simply wait again. ``at`` 0: at the
    time of the commit."""

    carrier: str
    bind: int
    tags: list[bytes]
    at: int


class ReceiptArrived(msgspec.Struct, frozen=True, gc=False):
    """A delivery receipt; ``source`` and ``destination`` are the addresses of its deliver_sm.

    ``source`` is the phone (the message's ``to``), ``destination`` the message's sender.
    ``done_at`` only where the carrier's time zone is known. ``is_33``: its bind speaks SMPP 3.3.
    """

    carrier: str
    receipt: Receipt
    source: str
    destination: str
    done_at: int | None
    at: int
    is_33: bool = False


class InboundArrived(msgspec.Struct, frozen=True, gc=False):
    """A mobile-originated message, or where ``concatenation`` says so one segment of one.

    ``text`` is None where the octets cannot be read by their data_coding; ``data`` is kept raw.
    ``unmarked`` is what it says read as a receipt, where it could be one that its esm_class does
    not mark: it is one only if it names a segment that was sent to ``source``. ``udh`` is the
    header that ``data`` begins with, empty where there is none.
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
    concatenation: Concatenation | None = None
    udh: bytes = b""


class Quarantined(msgspec.Struct, frozen=True, gc=False):
    """A PDU, header first, that nobody could read, and why; of a lost stream what was found there
    in place of one."""

    carrier: str
    bind: int
    reason: str
    pdu: bytes
    at: int


class DropQuarantined(msgspec.Struct, frozen=True, gc=False):
    """An operator has seen these rows of the quarantine. Answers ``Dropped``."""

    ids: list[int]


class Dropped(msgspec.Struct, frozen=True, gc=False):
    """So many were there."""

    count: int


Change = (
    Propose
    | Take
    | Cancel
    | SetMode
    | Resolve
    | DoubtRestored
    | Forget
    | Answered
    | Doubted
    | GivenBack
    | ReceiptArrived
    | InboundArrived
    | Quarantined
    | DropQuarantined
)
Result = (
    Accepted
    | RefConflict
    | Rejection
    | TakenResult
    | Cancelled
    | UnknownMessage
    | Resolved
    | Restored
    | Forgotten
    | Dropped
    | None
)
