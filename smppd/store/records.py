"""What is kept: the records of the store, encoded as msgpack arrays.

Fields are only ever appended (with a default), so an older record still decodes. Times are
milliseconds since the Unix epoch, 0 where "not yet" is meant and no type of its own is worth it.
"""

from __future__ import annotations

from typing import Final

import msgspec

from smppd.smpp.receipt import Receipt
from smppd.store.changes import EncodingName, Extras, MessageClass, UncertainPolicy
from smppd.text.header import Joining
from smppd.text.segment import PLAIN_FORM, Form

SCHEMA_VERSION: Final = 2
"""Raised when a record or key changes its meaning; a newer one than ours is refused at start."""

# The state of a message. Up to SENT it is alive; from there on the order says nothing.
QUEUED: Final = 0
SENT: Final = 1
DONE: Final = 2
DELIVERED: Final = 3
FAILED: Final = 4
EXPIRED: Final = 5
CANCELLED: Final = 6
UNCERTAIN: Final = 7
UNCONFIRMED: Final = 8

STATE_NAMES: Final = (
    "queued",
    "sent",
    "sent",
    "delivered",
    "failed",
    "expired",
    "cancelled",
    "uncertain",
    "unconfirmed",
)

# The state of a segment.
WAITING: Final = 0
GRANTED: Final = 1
TAKEN: Final = 2
REFUSED: Final = 3
DOUBT: Final = 4

SEGMENT_STATE_NAMES: Final = ("waiting", "granted", "taken", "refused", "doubt")

LANES: Final[dict[MessageClass, int]] = {"otp": 0, "transactional": 1, "promotional": 2}
LATE_RECEIPTS_MAX: Final = 16
"""Receipts kept beside the one that counted, per message: enough to see a carrier misbehave."""

STEPS_MAX: Final = 32
"""Steps off the happy way kept of one message, some 40 octets each: its first and its last ones
(``Message.steps_dropped`` counts those between)."""

RECEIPT_RAW_MAX: Final = 256
"""Octets kept of a receipt as it came: appendix B's form has some 120."""

RECEIPT_WORD_MAX: Final = 64
"""Characters kept of a receipt's stat and of its err, which have 7 and 3 (appendix B): events carry
them, and one in a message_payload of 64 KiB would not fit the line of an event."""


class Segment(msgspec.Struct, array_like=True, gc=False):
    """One segment of a message: where it stands, the SMSC's id, and its receipt.

    ``doubted`` stays true once a submit_sm of it went unanswered, whatever came after.
    ``resent``: a resend of it was written. ``receipt_state`` is a message_state, -1 while none has
    come; ``receipt_raw`` the body it came in, cut at RECEIPT_RAW_MAX. ``granted_at``,
    ``answered_at``, ``sequence_number`` and ``command_status`` are those of the last submit_sm.
    """

    state: int = WAITING
    smsc_id: str = ""
    doubted: bool = False
    receipt_state: int = -1
    receipt_stat: str = ""
    receipt_err: str = ""
    receipt_at: int = 0
    done_at: int = 0
    resent: bool = False
    granted_at: int = 0
    answered_at: int = 0
    sequence_number: int = 0
    command_status: int = 0
    receipt_raw: bytes = b""


class Step(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """One thing that went another way than the happy one; ``segment`` from 0, -1: the whole
    message. ``store/trace.py`` has the words."""

    at: int
    step: str
    segment: int = -1
    carrier: str = ""
    bind: int = -1
    sequence_number: int = 0
    command_status: int = 0
    detail: str = ""


class LateReceipt(msgspec.Struct, array_like=True, gc=False):
    """A receipt that changed nothing: intermediate, doubled or contradicting; ``raw`` as it came,
    cut at RECEIPT_RAW_MAX."""

    segment: int
    id: str
    state: int
    stat: str
    err: str
    at: int
    raw: bytes = b""


class Message(msgspec.Struct, array_like=True, gc=False):
    """What an app submitted, and all that became of it. Mutable: only the store touches it.

    All that it has several of is in tuples: a list would cost each message 56 octets and its
    allocation, and have the collector look at every live message (35 ms at 50,000).

    ``queue_group`` and ``queue_due`` name its row in the queue table (empty: no row); ``retry_at``
    is the earliest time of its next grant.
    ``cost`` is what one segment costs at ``carrier``, in ``currency``: that of the table it was
    bound by ("" in older records). ``receipts`` is how many trailing segments a receipt was asked
    for. ``receipt_deadline`` is when waiting for receipts ends.
    ``resent``: a resend for doubt was promised; ``flagged``: it was granted. ``refused_by`` are the
    carriers that will not take it, ``passed_over`` those that could not for the moment.
    ``parts`` are submit_sm's, planned in ``form`` (None: the plain one); ``units`` is how many
    segments one of them stands for where it carries a message_payload, else 0. ``held`` is the
    code of the ``held`` it was told, until it is granted. ``forgotten_at``: an operator had what it
    says and whom it went to forgotten (``privacy``); 0: not.
    """

    id: int
    app: str
    ref: str
    to: str
    addr_ton: int
    addr_npi: int
    addr: str
    text: str
    message_class: MessageClass
    encoding: EncodingName
    receipt: bool
    tag: str | None
    meta: bytes | None
    accepted_at: int
    expires_at: int
    uncertain: UncertainPolicy
    route_set: bytes
    parts: tuple[Segment, ...]
    state: int = QUEUED
    carrier: str = ""
    bind: int = 0
    cost: str = ""
    reference: int = -1
    receipts: int = 0
    receipt_deadline: int = 0
    first_taken_at: int = 0
    last_event_at: int = 0
    attempts: int = 0
    last_status: int = 0
    refused_by: tuple[str, ...] = ()
    resent: bool = False
    flagged: bool = False
    queue_group: bytes = b""
    queue_due: int = 0
    retry_at: int = 0
    late: tuple[LateReceipt, ...] = ()
    failure: str = ""
    passed_over: tuple[str, ...] = ()
    units: int = 0
    extras: Extras | None = None
    form: Form | None = None
    held: str = ""
    steps: tuple[Step, ...] = ()
    steps_dropped: int = 0
    currency: str = ""
    forgotten_at: int = 0


class Unmatched(msgspec.Struct, array_like=True, gc=False):
    """A receipt whose id no submit_sm_resp has claimed yet."""

    carrier: str
    receipt: Receipt
    source: str
    destination: str
    done_at: int
    at: int
    is_33: bool = False


class Inbound(msgspec.Struct, array_like=True, gc=False):
    """A mobile-originated message: of one segment as it came, of several (``segments``) what they
    come to, without headers but ``udh``, which ``data`` begins with. ``missing`` are the numbers of
    those that did not come."""

    id: int
    carrier: str
    source: str
    destination: str
    text: str | None
    data: bytes
    data_coding: int
    esm_class: int
    at: int
    segments: int = 1
    missing: tuple[int, ...] = ()
    udh: bytes = b""


class InboundPart(msgspec.Struct, array_like=True, gc=False):
    """One segment of a mobile-originated message, which is waited with ``until`` then; or, without
    ``data``, that its message was told: ``digests`` are the CRC-32 of its segments by number."""

    source: str
    destination: str
    carrier: str
    joining: Joining
    reference: int
    total: int
    until: int
    data: bytes = b""
    data_coding: int = 0
    esm_class: int = 0
    at: int = 0
    digests: tuple[tuple[int, int], ...] = ()


class QuarantinedPdu(msgspec.Struct, array_like=True, gc=False):
    """A PDU that nobody could read: its first octets, and how many it had (``quarantine``)."""

    id: int
    carrier: str
    bind: int
    reason: str
    pdu: bytes
    octets: int
    at: int


class CarrierProfile(msgspec.Struct, frozen=True):
    """What the store must know of a carrier: its id rule and its receipts, from its TOML.

    ``uncertain`` overrides the class's policy; ``receipt_timeout`` in seconds. ``form`` is how it
    wants user data; without ``has_tlvs`` (SMPP 3.3) it takes no TLVs. ``message_id_33`` is the rule
    for receipts on binds that speak SMPP 3.3 ("": the same one). ``unmarked_receipts``: what reads
    as a receipt is one though its esm_class marks none; ``accepted_is_final``: it says ACCEPTD and
    no more; ``receipt_covers`` the ``segment`` it names, or the whole ``message``;
    ``match_receipts`` by ``id``, or by ``address``. ``inbound_timeout`` is how long segments of a
    message from a phone wait for the others, in milliseconds.
    """

    message_id: str = "auto"
    receipts: str = "each"
    receipt_timeout: int = 262_800
    uncertain: UncertainPolicy | None = None
    form: Form = PLAIN_FORM
    has_tlvs: bool = True
    message_id_33: str = ""
    unmarked_receipts: bool = False
    accepted_is_final: bool = False
    receipt_covers: str = "segment"
    match_receipts: str = "id"
    inbound_timeout: int = 600_000


def segments_of(message: Message) -> int:
    """Segments as the phone gets them and the carrier bills them."""
    return message.units or len(message.parts)


def taken_of(message: Message) -> int:
    """Segments a carrier took, as ``segments_of`` counts."""
    parts = message.parts
    if len(parts) == 1:
        return (message.units or 1) if parts[0].state == TAKEN else 0
    return sum(part.state == TAKEN for part in parts)


def first_sent_at(message: Message, index: int) -> int:
    """Before when (ms) no carrier had the segment: no receipt of it is older."""
    part = message.parts[index]
    granted = [one.at for one in message.steps if one.segment == index and one.step == "granted"]
    if part.granted_at:  # no step yet; nor the latest, where the clock was set back
        granted.append(part.granted_at)
    return min(granted, default=message.accepted_at)


def add_step(message: Message, step: Step) -> None:
    """Keeps one step more. Of too many the newest are kept beside the first half."""
    steps = message.steps
    if len(steps) >= STEPS_MAX:
        steps = steps[: STEPS_MAX // 2] + steps[STEPS_MAX // 2 + 1 :]
        message.steps_dropped += 1
    message.steps = (*steps, step)


def encode_record(record: msgspec.Struct) -> bytes:
    """The octets of a record; ``decode_message`` and its like read them."""
    return _ENCODER.encode(record)


_ENCODER = msgspec.msgpack.Encoder()
decode_message = msgspec.msgpack.Decoder(Message).decode
decode_unmatched = msgspec.msgpack.Decoder(Unmatched).decode
decode_inbound = msgspec.msgpack.Decoder(Inbound).decode
decode_inbound_part = msgspec.msgpack.Decoder(InboundPart).decode
decode_quarantined = msgspec.msgpack.Decoder(QuarantinedPdu).decode
