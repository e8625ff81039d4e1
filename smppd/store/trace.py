"""Every step of one message's life, in order of time, as ``trace`` shows it.

The happy way is told from the segments' own fields, which every message has; what went another
way was kept as it happened (``records.Step``). Nothing here is decided, and no text of a message is
shown, not even what a receipt repeats of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

import msgspec

from smppd.store.records import (
    CANCELLED,
    SENT,
    STATE_NAMES,
    TAKEN,
    WAITING,
    LateReceipt,
    Message,
    Segment,
    Step,
)
from smppd.store.view import MessageView, view_message

_TEXT: Final = re.compile(r"(\btext:).*", re.IGNORECASE | re.DOTALL)
"""A receipt's copy of the message's first characters."""


class StepView(msgspec.Struct, frozen=True, omit_defaults=True):
    """One step of a message's life, in order of time. ``segment`` counts from 1.

    ``step`` is ``accepted``, ``granted``, ``taken``, ``receipt``, ``late_receipt`` or the final
    state's name; or, off the happy way, ``throttled``, ``retried``, ``refused``, ``doubted``,
    ``given_back``, ``resend``, ``held``, ``cancelled``, ``resolved``. More may come. ``meaning`` is
    the carrier's own word for its ``command_status``, where it has given one.
    """

    at: int
    step: str
    segment: int | None = None
    carrier: str | None = None
    bind: int | None = None
    sequence_number: int | None = None
    command_status: str | None = None
    message_id: str | None = None
    detail: str | None = None
    meaning: str | None = None


class TraceView(msgspec.Struct, frozen=True):
    """The answer to ``trace``: the message as ``query`` shows it but for its text, and every step.

    ``steps_dropped`` is how many steps were not kept (a message thrown back a hundred times).
    """

    message: MessageView
    steps: list[StepView]
    steps_dropped: int


def trace_message(message: Message, currency: str) -> TraceView:
    """All that is known of the message, but what it says."""
    view = msgspec.structs.replace(view_message(message, currency), text="", data=None)
    # In one millisecond: what went wrong comes before the grant that went well.
    steps = [StepView(message.accepted_at, "accepted", detail=_describe(view))]
    steps += [_show_step(step) for step in message.steps]
    for number, part in enumerate(message.parts, 1):
        steps += _steps_of_segment(message, number, part)
    name = STATE_NAMES[message.state]
    if message.state > SENT and message.state != CANCELLED:  # that one is a step already
        steps.append(StepView(message.last_event_at, name, detail=message.failure or None))
    steps += [_show_late(message, late) for late in message.late]
    steps.sort(key=lambda step: step.at)
    return TraceView(view, steps, message.steps_dropped)


def _steps_of_segment(message: Message, number: int, part: Segment) -> Iterator[StepView]:
    carrier, bind = message.carrier or None, message.bind
    if part.granted_at and part.state != WAITING:
        yield StepView(part.granted_at, "granted", number, carrier, bind)
    if part.answered_at and part.state == TAKEN:
        yield StepView(
            part.answered_at, "taken", number, carrier, bind, part.sequence_number,
            _show_status(part.command_status), part.smsc_id or None,
        )  # fmt: skip
    if part.receipt_at:
        yield StepView(
            part.receipt_at, "receipt", number, carrier, message_id=part.smsc_id or None,
            detail=_readable(part.receipt_raw) or part.receipt_stat or None,
        )  # fmt: skip


def _show_step(step: Step) -> StepView:
    is_answer = bool(step.sequence_number or step.command_status)
    return StepView(
        step.at,
        step.step,
        step.segment + 1 if step.segment >= 0 else None,
        step.carrier or None,
        step.bind if step.bind >= 0 else None,
        step.sequence_number or None,
        _show_status(step.command_status) if is_answer else None,
        detail=step.detail or None,
    )


def _show_late(message: Message, late: LateReceipt) -> StepView:
    return StepView(
        late.at,
        "late_receipt",
        late.segment + 1,
        message.carrier or None,
        message_id=late.id or None,
        detail=_readable(late.raw) or late.stat or None,
    )


def _describe(view: MessageView) -> str:
    plural = "" if view.segments == 1 else "s"
    return f"{view.message_class}, {view.encoding}, {view.segments} segment{plural}"


def _show_status(command_status: int) -> str:
    return f"0x{command_status:08X}"


def _readable(raw: bytes) -> str:
    """Octets as they came, but for the message's own text, which most carriers put at the end
    (SMPP 3.4 appendix B). Latin-1 shows every octet; whoever shows it makes it harmless."""
    return _TEXT.sub(r"\1…", raw.decode("latin-1"))
