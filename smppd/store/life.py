"""What a message goes through: each step a pure function on its record.

::

    QUEUED ── every segment taken ──> SENT ── receipts ──> DELIVERED | FAILED | EXPIRED
      │  │                              └── receipt_timeout, UNKNOWN ──> UNCONFIRMED
      │  └── no receipt asked ──> DONE
      ├── valid_for ended ──> EXPIRED          UNCERTAIN and UNCONFIRMED may still become
      ├── refused ──> FAILED                   DELIVERED, FAILED or EXPIRED by a late receipt;
      ├── unanswered ──> UNCERTAIN             nothing leaves those three.
      └── taken back ──> CANCELLED             An operator may have UNCERTAIN QUEUED again.

Invariants:

1. A segment is GRANTED exactly while an open grant names it.
2. A message changes carrier whole or not at all, and only before a segment was taken.
3. A message is resent for doubt once in its life (``resent``), but at an operator's word.
4. Of DELIVERED, FAILED, EXPIRED and CANCELLED a message reaches one, once.

A step returns the facts its app is to be told, and keeps what went another way than the happy
one for ``trace``. It knows neither disk, queue nor clock. What receipts say is ``said``'s.
"""

from __future__ import annotations

from typing import Final

from smppd.store.changes import UncertainPolicy, Verdict
from smppd.store.records import (
    CANCELLED,
    DONE,
    DOUBT,
    EXPIRED,
    FAILED,
    GRANTED,
    QUEUED,
    REFUSED,
    SENT,
    TAKEN,
    UNCERTAIN,
    WAITING,
    Message,
    Step,
    add_step,
)
from smppd.store.said import TOLD_SENT, Fact, judge

RETRY_MILLISECONDS_MIN: Final = 1_000
RETRY_MILLISECONDS_MAX: Final = 60_000
"""A passing fault is tried again after 1, 2, 4 … 60 s: soon enough for a one-time code, rare
enough not to hammer a carrier that is down."""

_STEP_NAMES: Final[dict[Verdict, str]] = {
    Verdict.SLOW: "throttled",
    Verdict.RETRY: "retried",
    Verdict.REROUTE: "refused",
    Verdict.REFUSE: "refused",
}


def is_waiting(message: Message) -> bool:
    """Whether a segment still wants a grant, and may have one."""
    if message.state != QUEUED:
        return False
    parts = message.parts
    if len(parts) == 1:
        return parts[0].state == WAITING
    states = [part.state for part in parts]
    return WAITING in states and REFUSED not in states


def is_resend_waiting(message: Message) -> bool:
    """Whether a promised resend has not been granted: it is made before ``valid_for`` ends."""
    return any(part.doubted and part.state == WAITING for part in message.parts)


def answer(
    message: Message,
    index: int,
    verdict: Verdict,
    status: int,
    smsc_id: str,
    at: int,
    sequence_number: int = 0,
) -> list[Fact]:
    """The SMSC answered one segment. An answer to a segment without a grant changes nothing."""
    part = message.parts[index]
    if part.state != GRANTED:
        return []
    if part.resent != part.doubted:
        part.resent = part.doubted
    part.answered_at = at
    part.sequence_number = sequence_number
    if part.command_status != status:
        part.command_status = status
    if verdict is Verdict.TAKEN:
        part.state = TAKEN
        part.smsc_id = smsc_id
        if not message.first_taken_at:
            message.first_taken_at = at
        if len(message.parts) == 1 and part.receipt_state == -1 and message.state == QUEUED:
            message.state = SENT if message.receipts else DONE
            return TOLD_SENT
        return _conclude(message)
    _note(message, index, at, _STEP_NAMES[verdict], sequence_number, status)
    if verdict is Verdict.SLOW:
        part.state = WAITING
    elif verdict is Verdict.RETRY:
        part.state = WAITING
        message.last_status = status
        message.retry_at = at + _retry_delay(message.attempts)
        message.attempts += 1
        message.passed_over = (*message.passed_over, message.carrier)
    else:
        part.state = REFUSED
        message.last_status = status
        if verdict is Verdict.REFUSE:
            message.failure = "rejected_by_carrier"
    return _conclude(message)


def give_back(message: Message, index: int, at: int) -> list[Fact]:
    """A granted segment was never written: it waits again, unflagged."""
    part = message.parts[index]
    if part.state != GRANTED:
        return []
    part.state = WAITING
    _note(message, index, at, "given_back")
    message.flagged = any(
        one.resent or (one.doubted and one.state != WAITING) for one in message.parts
    )
    return _conclude(message)


def doubt(message: Message, indexes: list[int], at: int, policy: UncertainPolicy) -> list[Fact]:
    """Segments were written and never answered; ``policy`` is what this leads to, once."""
    granted = [index for index in indexes if message.parts[index].state == GRANTED]
    doubted = [message.parts[index] for index in granted]
    for index, part in zip(granted, doubted, strict=True):
        part.state = DOUBT
        part.resent = part.doubted
        part.doubted = True
        _note(message, index, at, "doubted")
    if not doubted or message.state != QUEUED:
        return []
    promised = policy == "resend" and not message.resent and at < message.expires_at
    if not promised or _is_refused(message):
        message.state = UNCERTAIN
        return [Fact("uncertain", resend=False)]
    message.resent = True
    for part in doubted:
        part.state = WAITING
    return [Fact("uncertain", resend=True)]


def doubt_copied(
    message: Message, indexes: list[int], at: int, policy: UncertainPolicy
) -> list[Fact]:
    """Segments that wait, or are granted, in a copy of the store: the original may have sent them
    since. As if all had been written and never answered."""
    for index in indexes:
        message.parts[index].state = GRANTED
    return doubt(message, indexes, at, policy)


def expire(message: Message, now: int) -> list[Fact]:
    """``valid_for`` may have ended; ``now`` decides. Outstanding segments are waited for."""
    if message.state != QUEUED or any(part.state == GRANTED for part in message.parts):
        return []
    if now < deadline_of(message):
        return []
    if any(part.doubted and part.state != TAKEN for part in message.parts):
        message.state = UNCERTAIN
        return [Fact("uncertain", resend=False)]
    message.state = EXPIRED
    return [Fact("expired", where="here")]


def deadline_of(message: Message) -> int:
    """When waiting ends: ``valid_for``, or, once a segment was taken, ``receipt_timeout``."""
    if message.state == QUEUED and is_resend_waiting(message):
        return message.expires_at
    if message.state == QUEUED and any(part.state == TAKEN for part in message.parts):
        return max(message.receipt_deadline, message.expires_at)
    return message.expires_at if message.state == QUEUED else message.receipt_deadline


def fail(message: Message, code: str) -> list[Fact]:
    """No carrier is left that could take it; a doubt stays a doubt."""
    if any(part.doubted and part.state != TAKEN for part in message.parts):
        message.state = UNCERTAIN
        return [Fact("uncertain", resend=False)]
    message.state = FAILED
    message.failure = code
    return [Fact("failed", code=code, status=message.last_status)]


def is_cancellable(message: Message) -> bool:
    """Whether none of its segments is with a carrier, or about to be, or may have been."""
    if message.state != QUEUED:
        return False
    return all(part.state == WAITING and not part.doubted for part in message.parts)


def cancel(message: Message, at: int) -> list[Fact]:
    """Its app takes a cancellable message back."""
    message.state = CANCELLED
    add_step(message, Step(at, "cancelled"))
    return [Fact("cancelled")]


def hold(message: Message, code: str, at: int) -> list[Fact]:
    """A waiting message waits for a rule or an operator; told once, until it is granted."""
    if message.held == code:
        return []
    message.held = code
    add_step(message, Step(at, "held", detail=code))
    return [Fact("held", code=code)]


def resend_doubtful(message: Message, at: int) -> list[Fact]:
    """An operator sends an uncertain message again: all of it that no carrier is known to have."""
    for part in message.parts:
        if part.state != TAKEN:
            part.state = WAITING
    message.state = QUEUED
    message.resent = True
    message.failure = ""
    message.retry_at = 0
    add_step(message, Step(at, "resolved", detail="resend"))
    return [Fact("uncertain", resend=True)]


def drop_resend(message: Message, at: int) -> list[Fact]:
    """An operator will not have the promised resend made: nothing more goes out."""
    for part in message.parts:
        if part.doubted and part.state == WAITING:
            part.state = DOUBT
    message.state = UNCERTAIN
    add_step(message, Step(at, "resolved", detail="drop"))
    return [Fact("uncertain", resend=False)]


def settle_doubt(message: Message, at: int) -> list[Fact]:
    """An operator lets an uncertain message be: nobody needs to look at it any more. Its app was
    told all there is to tell."""
    add_step(message, Step(at, "resolved", detail="drop"))
    return []


def is_settled(message: Message) -> bool:
    """Whether an operator has let the message be, and nothing has happened since."""
    last = message.steps[-1] if message.steps else None
    return last is not None and last.step == "resolved" and last.detail == "drop"


def _note(
    message: Message, index: int, at: int, name: str, sequence_number: int = 0, status: int = 0
) -> None:
    """Keeps how an attempt ended that did not go well, and when it was granted: the segment's own
    fields are the next attempt's."""
    part, carrier, bind = message.parts[index], message.carrier, message.bind
    if part.granted_at:
        add_step(message, Step(part.granted_at, "granted", index, carrier, bind))
        part.granted_at = 0
    add_step(message, Step(at, name, index, carrier, bind, sequence_number, status))


def _conclude(message: Message) -> list[Fact]:
    """What stands once no segment is outstanding."""
    parts = message.parts
    if message.state != QUEUED:
        return []
    if len(parts) == 1 and parts[0].state == TAKEN:
        return _finish_sending(message)
    states = {part.state for part in parts}
    if GRANTED in states:
        return []
    if REFUSED in states:
        return _take_refusal(message, half_sent=TAKEN in states)
    if states == {TAKEN}:
        return _finish_sending(message)
    if states == {WAITING} and not any(part.doubted for part in parts):
        unbind(message)
    return []


def _finish_sending(message: Message) -> list[Fact]:
    """Every segment was taken. A receipt may have come before the last response."""
    message.state = SENT if message.receipts else DONE
    return TOLD_SENT + judge(message)


def _take_refusal(message: Message, *, half_sent: bool) -> list[Fact]:
    """A segment was refused and nothing is outstanding: fail here, or go to the next offer."""
    if any(part.doubted and part.state != TAKEN for part in message.parts):
        message.state = UNCERTAIN
        return [Fact("uncertain", resend=False)]
    if half_sent or message.failure:
        return fail(message, "rejected_by_carrier")
    message.refused_by = (*message.refused_by, message.carrier)
    unbind(message)
    return []


def unbind(message: Message) -> None:
    """Takes a message of which nothing was accepted off its carrier: it is routed anew."""
    message.carrier = ""
    message.cost = ""
    message.reference = -1
    for part in message.parts:
        part.state = WAITING


def _is_refused(message: Message) -> bool:
    return any(part.state == REFUSED for part in message.parts)


def _retry_delay(attempts: int) -> int:
    return min(RETRY_MILLISECONDS_MIN << min(attempts, 10), RETRY_MILLISECONDS_MAX)
