"""A message as ``query`` shows it, whole, and as ``find`` does, in a line.

The shapes are written down in ``docs/protocol.md``, *Shapes decided here*.
"""

from __future__ import annotations

from base64 import b64encode

import msgspec

from smppd.smpp.constants import MESSAGE_STATES
from smppd.store import keys
from smppd.store.changes import Extras
from smppd.store.events import cost_of
from smppd.store.records import (
    QUEUED,
    SEGMENT_STATE_NAMES,
    SENT,
    STATE_NAMES,
    LateReceipt,
    Message,
    Segment,
    segments_of,
    taken_of,
)


class ReceiptView(msgspec.Struct, frozen=True):
    """A receipt: the carrier's words, and the message_state they were read as."""

    at: int
    state: str
    stat: str
    err: str
    done_at: int | None = None
    segment: int | None = None
    message_id: str | None = None


class SegmentView(msgspec.Struct, frozen=True):
    """One segment, numbered from 1; ``message_id`` is the SMSC's; ``doubted``: a submit_sm of it
    went unanswered."""

    segment: int
    state: str
    message_id: str | None
    doubted: bool
    receipt: ReceiptView | None


class MessageView(msgspec.Struct, frozen=True):
    """The answer to ``query``; ``final``: its last event was told, unless a late receipt brings
    another; ``late_receipts`` are those that changed nothing. ``parts`` are submit_sm's, of which
    one may carry all ``segments``. ``data`` is base64, and ``text`` empty beside it; ``held`` is
    the code of the hold it was told, until it is granted. ``forgotten_at``: an operator had it
    forgotten; then ``to`` and ``text`` are empty, ``data`` and ``meta`` null."""

    id: str
    ref: str
    app: str
    state: str
    final: bool
    to: str
    from_: str = msgspec.field(name="from")
    text: str
    data: str | None
    data_coding: int | None
    message_class: str = msgspec.field(name="class")
    encoding: str
    segments: int
    accepted_at: int
    send_at: int | None
    expires_at: int
    receipt: bool
    flash: bool
    carriers: tuple[str, ...]
    max_cost: str | None
    held: str | None
    carrier: str | None
    cost: str | None
    currency: str
    maybe_duplicate: bool
    last_event_at: int | None
    failure: str | None
    status: str | None
    parts: list[SegmentView]
    late_receipts: list[ReceiptView]
    tag: str | None
    meta: msgspec.Raw | None
    forgotten_at: int | None = None


class FoundMessage(msgspec.Struct, frozen=True):
    """One message of ``find`` or ``doubtful``: enough to know it by and to ask further."""

    id: str
    ref: str
    app: str
    to: str
    state: str
    message_class: str = msgspec.field(name="class")
    accepted_at: int
    last_event_at: int | None
    carrier: str | None
    segments: int
    tag: str | None
    code: str | None
    forgotten_at: int | None = None


_NO_EXTRAS = Extras()


def view_message(message: Message, currency: str) -> MessageView:
    """The record in the words of the protocol."""
    taken = taken_of(message)
    extras = message.extras or _NO_EXTRAS
    return MessageView(
        id=keys.show_id(message.id),
        ref=message.ref,
        app=message.app,
        state=STATE_NAMES[message.state],
        final=message.state > SENT,
        to=_show_to(message),
        from_=message.addr,
        text=message.text,
        data=None if extras.data is None else b64encode(extras.data).decode(),
        data_coding=None if extras.data_coding < 0 else extras.data_coding,
        message_class=message.message_class,
        encoding=message.encoding,
        segments=segments_of(message),
        accepted_at=message.accepted_at,
        send_at=extras.send_at or None,
        expires_at=message.expires_at,
        receipt=message.receipt,
        flash=extras.flash,
        carriers=extras.carriers,
        max_cost=extras.max_cost or None,
        held=(message.held or None) if message.state == QUEUED else None,
        carrier=message.carrier or None,
        cost=cost_of(message.cost, taken) if taken else None,
        currency=message.currency or currency,
        maybe_duplicate=message.flagged,
        last_event_at=message.last_event_at or None,
        failure=message.failure or None,
        status=f"0x{message.last_status:08X}" if message.last_status else None,
        parts=[_view_segment(number, part) for number, part in enumerate(message.parts, 1)],
        late_receipts=[_view_late(late) for late in message.late],
        tag=message.tag,
        meta=None if message.meta is None else msgspec.Raw(message.meta),
        forgotten_at=message.forgotten_at or None,
    )


def show_found(message: Message) -> FoundMessage:
    """The record in one line."""
    return FoundMessage(
        id=keys.show_id(message.id),
        ref=message.ref,
        app=message.app,
        to=_show_to(message),
        state=STATE_NAMES[message.state],
        message_class=message.message_class,
        accepted_at=message.accepted_at,
        last_event_at=message.last_event_at or None,
        carrier=message.carrier or None,
        segments=segments_of(message),
        tag=message.tag,
        code=message.failure or None,
        forgotten_at=message.forgotten_at or None,
    )


def _show_to(message: Message) -> str:
    """E.164; empty where it was forgotten, never null: typed clients of older days read a text."""
    return "+" + message.to if message.to else ""


def _view_segment(number: int, part: Segment) -> SegmentView:
    receipt = None
    if part.receipt_state != -1:
        receipt = ReceiptView(
            part.receipt_at,
            _state_name(part.receipt_state),
            part.receipt_stat,
            part.receipt_err,
            part.done_at or None,
        )
    state = SEGMENT_STATE_NAMES[part.state]
    return SegmentView(number, state, part.smsc_id or None, part.doubted, receipt)


def _view_late(late: LateReceipt) -> ReceiptView:
    return ReceiptView(
        late.at,
        _state_name(late.state),
        late.stat,
        late.err,
        segment=late.segment + 1,
        message_id=late.id or None,
    )


def _state_name(state: int) -> str:
    return MESSAGE_STATES.get(state, "none")
