"""What apps and operators order about messages that are kept: cancel, resolve, a carrier's mode."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice

from smppd.store import keys, life
from smppd.store.book import Book
from smppd.store.changes import (
    CANCEL_MAX,
    Cancel,
    Cancelled,
    Rejection,
    Resolve,
    Resolved,
    Result,
    SetMode,
    UnknownMessage,
)
from smppd.store.records import GRANTED, QUEUED, SENT, STATE_NAMES, UNCERTAIN, Message
from smppd.store.said import Fact


def cancel(book: Book, change: Cancel) -> Result:
    """``Cancel``: what nobody was given goes nowhere any more."""
    if change.tag is not None:
        return _cancel_tag(book, change, change.tag)
    number = book.find(change.app, change.message_id, change.ref)
    message = None if number is None else book.messages.peek(number)
    if message is None or message.app != change.app:
        return UnknownMessage()
    cancelled = _cancel_one(book, message)
    return Cancelled(cancelled, int(not cancelled and _is_alive(message)), 0, 0, True)


def set_mode(book: Book, change: SetMode) -> None:
    """``SetMode``: the dispatch knows it already, the disk is to."""
    book.modes.set(change.carrier, change.mode)


def resolve(book: Book, change: Resolve) -> Result:
    """``Resolve``: an operator ends a doubt."""
    number = keys.read_id(change.message_id)
    message = None if number is None else book.messages.peek(number)
    if number is None or message is None:
        return Rejection("unknown_message", f"there is no message {change.message_id[:64]!r}")
    if change.action == "resend":
        return _resend(book, number, message, change.at)
    if message.state == UNCERTAIN and not life.is_settled(message):
        return _carry_out(book, number, life.settle_doubt, change.at)
    if not _is_resend_promised(message):
        return Rejection("not_doubtful", "no resend of it is promised, or it is on its way already")
    return _carry_out(book, number, life.drop_resend, change.at)


def _cancel_tag(book: Book, change: Cancel, tag: str) -> Cancelled:
    upto = change.upto or book.last_id
    count = too_late = 0
    after = change.after
    ids = list(islice(book.tags.ids_after(change.app, tag, after), CANCEL_MAX))
    for number in ids:
        if number > upto:
            break
        after = number
        message = book.messages.peek(number)
        if message is None:
            continue
        cancelled = _cancel_one(book, message)
        count += cancelled
        too_late += not cancelled and _is_alive(message)
    is_done = len(ids) < CANCEL_MAX or ids[-1] >= upto
    return Cancelled(count, too_late, after, upto, is_done)


def _cancel_one(book: Book, seen: Message) -> int:
    """1 where the message was cancelled; one that was not stays out of memory."""
    if not life.is_cancellable(seen):
        return 0
    message = book.message(seen.id)
    assert message is not None, "it was there a moment ago"
    book.tell(message, life.cancel(message, book.now), book.now)
    return 1


def _is_alive(message: Message) -> bool:
    return message.state in (QUEUED, SENT)


def _resend(book: Book, number: int, message: Message, at: int) -> Result:
    if message.state != UNCERTAIN:
        state = STATE_NAMES[message.state]
        return Rejection("not_doubtful", f"it is {state}; only an uncertain one is sent again")
    if at >= message.expires_at:
        return Rejection("expired", "its validity has ended; submit it anew, under another ref")
    if message.forgotten_at:
        return Rejection("not_doubtful", "it was forgotten: what it said is gone")
    if message.carrier and message.carrier not in book.rules.carriers:
        reason = f"its carrier {message.carrier!r} is not configured; only that one may have it"
        return Rejection("no_route", reason)
    return _carry_out(book, number, life.resend_doubtful, at)


def _is_resend_promised(message: Message) -> bool:
    is_on_its_way = any(part.state == GRANTED for part in message.parts)
    return message.state == QUEUED and not is_on_its_way and life.is_resend_waiting(message)


def _carry_out(
    book: Book, number: int, step: Callable[[Message, int], list[Fact]], at: int
) -> Resolved:
    message = book.message(number)
    assert message is not None, "it was there a moment ago"
    book.tell(message, step(message, at), at)
    return Resolved(STATE_NAMES[message.state])
