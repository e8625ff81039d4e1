"""What an app says and reads, typed: the contract's objects, field by field.

Names are the contract's, but where Python has taken them: ``sender`` is ``from``,
``message_class`` is ``class``, and ``kind`` is an event's ``event``. Times are Unix milliseconds,
durations seconds, money decimal strings. Fields the contract may grow are ignored until they
stand here; what is not known or does not apply is None.

It judges nothing: what a field may hold is the daemon's to say, in its ``rejected``.
"""

from __future__ import annotations

import secrets
from typing import Any, Final, Literal, TypeAlias

import msgspec
from msgspec import UNSET, UnsetType

JsonObject: TypeAlias = dict[str, Any]
"""A decoded line. Any: whoever reads a field knows its type from the contract, not from us."""

LAST_KINDS: Final = frozenset({"delivered", "failed", "expired", "cancelled", "unconfirmed"})
"""Events that no other follows but, rarely, a late receipt's (docs/protocol.md, *Events*)."""

REF_OCTETS: Final = 12
"""Of chance in a ref made here: 96 bits, so no two of them ever meet."""


def make_ref() -> str:
    """A new ``ref``: 24 hexadecimal digits."""
    return secrets.token_hex(REF_OCTETS)


class Submit(msgspec.Struct, tag_field="type", tag="submit", frozen=True, kw_only=True):
    """A message to send; what is left out is the daemon's default.

    ``ref`` is the app's own name for it and makes it safe to send again: best is a name of the
    business (``order-1001-shipped``), else one is made. ``data`` and ``udh`` are octets, ``tlv``
    is ``{"0x1400": "hex"}``; ``carrier`` is a name or several.
    """

    to: str
    text: str | UnsetType = UNSET
    sender: str | UnsetType = msgspec.field(name="from", default=UNSET)
    ref: str = msgspec.field(default_factory=make_ref)
    message_class: Literal["otp", "transactional", "promotional"] | UnsetType = msgspec.field(
        name="class", default=UNSET
    )
    encoding: Literal["auto", "gsm7", "ucs2", "latin1"] | UnsetType = UNSET
    tag: str | UnsetType = UNSET
    meta: JsonObject | UnsetType = UNSET
    send_at: int | UnsetType = UNSET
    valid_for: int | UnsetType = UNSET
    carrier: str | list[str] | UnsetType = UNSET
    max_cost: str | UnsetType = UNSET
    receipt: bool | UnsetType = UNSET
    flash: bool | UnsetType = UNSET
    data: bytes | UnsetType = UNSET
    udh: bytes | UnsetType = UNSET
    data_coding: int | UnsetType = UNSET
    tlv: dict[str, str] | UnsetType = UNSET
    smart_encoding: bool | UnsetType = UNSET


class Replaced(msgspec.Struct, frozen=True, gc=False):
    """A character that smart encoding replaced ``by`` another, ``count`` times."""

    character: str
    by: str
    count: int


class Accepted(msgspec.Struct, frozen=True, gc=False):
    """The message is on disk. ``duplicate``: it was before, and nothing new will be sent.

    ``replaced`` is what smart encoding changed in the text, and ``segments_saved`` what it gained.
    """

    ref: str
    id: str
    segments: int
    encoding: str
    duplicate: bool = False
    replaced: tuple[Replaced, ...] = ()
    segments_saved: int = 0


class Rejected(msgspec.Struct, frozen=True, gc=False):
    """Nothing was accepted: ``reason`` says why and what to write instead.

    ``retry_after`` (seconds) where the same submit may be accepted later. ``id`` is the first
    message's at ``ref_conflict``. An ``error`` in answer to a submit is one of these too.
    """

    ref: str
    code: str
    reason: str
    id: str | None = None
    retry_after: int | None = None


class Cancelled(msgspec.Struct, frozen=True):
    """``count`` messages will now never be sent; of ``too_late`` some part had gone."""

    count: int
    too_late: int
    id: str | None = None
    ref: str | None = None
    tag: str | None = None


class Quoted(msgspec.Struct, frozen=True):
    """What a submit would be; ``blocked_by`` is the code it would be rejected with, ``replaced``
    and ``segments_saved`` as in ``Accepted``."""

    segments: int | None = None
    encoding: str | None = None
    carrier: str | None = None
    cost: str | None = None
    currency: str | None = None
    blocked_by: str | None = None
    reason: str | None = None
    replaced: tuple[Replaced, ...] = ()
    segments_saved: int = 0


class Receipt(msgspec.Struct, frozen=True):
    """What a carrier told of a segment, and the message_state it was read as."""

    at: int
    state: str
    stat: str = ""
    err: str = ""
    done_at: int | None = None
    segment: int | None = None
    message_id: str | None = None


class Segment(msgspec.Struct, frozen=True):
    """One segment, numbered from 1; ``message_id`` is the SMSC's."""

    segment: int
    state: str
    message_id: str | None = None
    doubted: bool = False
    receipt: Receipt | None = None


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """A message's whole life, as ``query`` tells it; ``final``: its last event was told.

    ``carriers`` are those it was restricted to; ``data`` is base64.
    """

    id: str
    ref: str
    app: str
    state: str
    final: bool
    to: str
    sender: str = msgspec.field(name="from")
    text: str = ""
    message_class: str = msgspec.field(name="class")
    encoding: str
    segments: int
    accepted_at: int
    expires_at: int
    receipt: bool = True
    carrier: str | None = None
    cost: str | None = None
    currency: str | None = None
    maybe_duplicate: bool = False
    last_event_at: int | None = None
    failure: str | None = None
    status: str | None = None
    held: str | None = None
    send_at: int | None = None
    carriers: list[str] = []
    max_cost: str | None = None
    flash: bool = False
    data: str | None = None
    data_coding: int | None = None
    parts: list[Segment] = []
    late_receipts: list[Receipt] = []
    tag: str | None = None
    meta: JsonObject | None = None
    forgotten_at: int | None = None


class ReplyTo(msgspec.Struct, frozen=True):
    """The app's own message that one from a phone seems to answer."""

    id: str
    ref: str
    tag: str | None = None


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that became of a message, or a message from a phone (``inbound``).

    ``seq`` numbers the app's events from 1, by one. Which fields an event carries is in
    docs/protocol.md, *Events*.
    """

    seq: int
    kind: str = msgspec.field(name="event")
    id: str
    ref: str | None = None
    accepted_at: int
    at: int
    tag: str | None = None
    meta: JsonObject | None = None
    carrier: str | None = None
    segments: int | None = None
    segments_taken: int | None = None
    cost: str | None = None
    currency: str | None = None
    maybe_duplicate: bool = False
    receipt: bool | None = None
    err: str | None = None
    done_at: int | None = None
    code: str | None = None
    status: str | None = None
    where: str | None = None
    resend: bool | None = None
    until: int | None = None
    sender: str | None = msgspec.field(name="from", default=None)
    to: str | None = None
    text: str | None = None
    data: str | None = None
    data_coding: int | None = None
    truncated: bool = False
    udh: str | None = None
    complete: bool = True
    segments_missing: list[int] = []
    reply_to: ReplyTo | None = None
    accepted: bool = False

    @property
    def is_last(self) -> bool:
        """Whether no other event of its message follows (but, rarely, a late receipt's)."""
        if self.kind == "sent":
            return not self.receipt
        if self.kind == "uncertain":
            return not self.resend
        return self.kind in LAST_KINDS


def sum_up(message: Message) -> Event:
    """The event a message's state stands for, where the true one is gone; its ``seq`` is 0."""
    return Event(
        seq=0,
        kind=message.state,
        id=message.id,
        ref=message.ref,
        accepted_at=message.accepted_at,
        at=message.last_event_at or message.accepted_at,
        tag=message.tag,
        meta=message.meta,
        carrier=message.carrier,
        segments=message.segments,
        cost=message.cost,
        currency=message.currency,
        maybe_duplicate=message.maybe_duplicate,
        receipt=not message.final if message.state == "sent" else None,
        resend=not message.final if message.state == "uncertain" else None,
        code=message.failure,
        status=message.status,
    )
