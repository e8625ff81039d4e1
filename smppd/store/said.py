"""What receipts say of a message, and what its app is told of it: pure functions on its record.

The first receipt of a segment that says something final counts; others are kept for ``trace``. A
message is delivered when all its segments are that a receipt was asked of, and ends otherwise with
the first that is not. UNKNOWN is no end: it may still become anything.
"""

from __future__ import annotations

from typing import Final

import msgspec

from smppd.smpp import constants
from smppd.smpp.receipt import Receipt
from smppd.store.records import (
    CANCELLED,
    DELIVERED,
    DONE,
    DOUBT,
    EXPIRED,
    FAILED,
    LATE_RECEIPTS_MAX,
    QUEUED,
    RECEIPT_RAW_MAX,
    RECEIPT_WORD_MAX,
    SENT,
    TAKEN,
    UNCONFIRMED,
    WAITING,
    LateReceipt,
    Message,
    Segment,
)

_CLOSED: Final = frozenset({DONE, DELIVERED, FAILED, EXPIRED, CANCELLED})
_SPOKEN_UNKNOWN: Final = constants.MESSAGE_STATE_UNKNOWN
_SPOKEN_DELIVERED: Final = constants.MESSAGE_STATE_DELIVERED
_SPOKEN_ACCEPTED: Final = constants.MESSAGE_STATE_ACCEPTED

# What a failing receipt means to the app (SMPP 3.4 s5.2.28, the final states but DELIVERED;
# SKIPPED is 5.0's).
_FAILING: Final[dict[int, str]] = {
    constants.MESSAGE_STATE_EXPIRED: "",
    constants.MESSAGE_STATE_DELETED: "deleted",
    constants.MESSAGE_STATE_UNDELIVERABLE: "undeliverable",
    constants.MESSAGE_STATE_REJECTED: "rejected_by_carrier",
    constants.MESSAGE_STATE_SKIPPED: "undeliverable",
}
_SPEAKING: Final = frozenset(_FAILING) | {constants.MESSAGE_STATE_DELIVERED, _SPOKEN_UNKNOWN}


class Fact(msgspec.Struct, frozen=True, gc=False):
    """One thing an app is told; the fields that fit its ``event`` are set."""

    event: str
    code: str = ""
    status: int = 0
    err: str | None = None
    done_at: int = 0
    where: str = ""
    resend: bool | None = None
    accepted: bool = False


TOLD_SENT: Final = [Fact("sent")]


def receive(
    message: Message,
    index: int,
    receipt: Receipt,
    at: int,
    done_at: int,
    accepts: bool = False,
    covers: bool = False,
) -> list[Fact]:
    """A receipt for one segment. The first that says something final counts; others are kept.

    ``accepts``: the carrier says ACCEPTED and no more, so that is final too; ``covers``: what it
    says of one segment it says of all that have no receipt.
    """
    part = message.parts[index]
    state = -1 if receipt.state is None else receipt.state
    speaks = state in _SPEAKING and not receipt.intermediate
    if accepts and state == _SPOKEN_ACCEPTED:
        speaks = not receipt.intermediate
    if not speaks or part.receipt_state not in (-1, _SPOKEN_UNKNOWN) or message.state in _CLOSED:
        _keep_late(message, index, receipt, state, at)
        return []
    if part.state != TAKEN:
        part.state = TAKEN
        if not message.first_taken_at:
            message.first_taken_at = at
    part.receipt_state = state
    part.receipt_stat, part.receipt_err = _words_of(receipt)
    part.receipt_at = at
    part.receipt_raw = receipt.raw[:RECEIPT_RAW_MAX]
    if part.done_at != done_at:
        part.done_at = done_at
    if covers:
        _cover(message, part)
    if message.state == QUEUED and all(one.state == TAKEN for one in message.parts):
        return _settle_by_receipt(message)
    return judge(message)


def _cover(message: Message, said: Segment) -> None:
    """Every other segment without a receipt has ``said``'s. It arrived, so a doubt is settled."""
    for part in message.parts:
        if part is said or part.receipt_state not in (-1, _SPOKEN_UNKNOWN):
            continue
        if part.state == DOUBT or (part.doubted and part.state == WAITING):
            part.state = TAKEN
        part.receipt_state, part.receipt_at = said.receipt_state, said.receipt_at
        part.receipt_stat, part.receipt_err = said.receipt_stat, said.receipt_err
        part.done_at = said.done_at


def _settle_by_receipt(message: Message) -> list[Fact]:
    """A receipt settled the last doubt, so every segment was taken: what it brings comes without
    a ``sent`` before it (docs/protocol.md, Events)."""
    message.state = SENT if message.receipts else DONE
    return judge(message) or list(TOLD_SENT)


def judge(message: Message) -> list[Fact]:
    """What the receipts so far say about the whole message; nothing before it is sent."""
    parts = message.parts
    if message.state in _CLOSED:
        return []
    if message.state == QUEUED and any(part.state != TAKEN for part in parts):
        return []
    last = parts[-1]
    if len(parts) == 1 and last.receipt_state in (-1, _SPOKEN_DELIVERED):  # nearly every message
        return [] if last.receipt_state == -1 else _deliver(message, last.done_at)
    asked = parts[-message.receipts :]  # all, where none was asked and one came
    for part in asked:
        if part.receipt_state in _FAILING:
            return _fail_by_receipt(message, part)
    if any(part.receipt_state == -1 for part in asked):
        return []
    if any(part.receipt_state == _SPOKEN_UNKNOWN for part in asked):
        return unconfirm(message)
    facts = _deliver(message, max(part.done_at for part in asked))
    if any(part.receipt_state == _SPOKEN_ACCEPTED for part in asked):
        return [msgspec.structs.replace(fact, accepted=True) for fact in facts]
    return facts


def _deliver(message: Message, done_at: int) -> list[Fact]:
    message.state = DELIVERED
    return [Fact("delivered", "", 0, message.parts[-1].receipt_err, done_at)]


def unconfirm(message: Message) -> list[Fact]:
    """The receipts asked for did not come in time, or say that the carrier does not know."""
    if message.state != SENT:
        return []
    message.state = UNCONFIRMED
    return [Fact("unconfirmed")]


def _fail_by_receipt(message: Message, part: Segment) -> list[Fact]:
    code = _FAILING[part.receipt_state]
    if not code:
        message.state = EXPIRED
        return [Fact("expired", where="carrier", err=part.receipt_err)]
    message.state = FAILED
    message.failure = code
    return [Fact("failed", code=code, err=part.receipt_err)]


def _words_of(receipt: Receipt) -> tuple[str, str]:
    """Its stat and err, as much of them as is kept."""
    return (receipt.stat or "")[:RECEIPT_WORD_MAX], (receipt.err or "")[:RECEIPT_WORD_MAX]


def _keep_late(message: Message, index: int, receipt: Receipt, state: int, at: int) -> None:
    if len(message.late) < LATE_RECEIPTS_MAX:
        name = receipt.ids[0] if receipt.ids else ""
        raw = receipt.raw[:RECEIPT_RAW_MAX]
        late = LateReceipt(index, name, state, *_words_of(receipt), at, raw)
        message.late = (*message.late, late)
