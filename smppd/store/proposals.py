"""What apps ask for: a message to be kept, and events to be forgotten.

A ref is looked up before anything else is judged, so a doubled submit is answered as one also
where a new one would now be rejected (docs/protocol.md, Idempotency).
"""

from __future__ import annotations

from typing import Final

from smppd.store import keys
from smppd.store.book import Book
from smppd.store.changes import (
    Accepted,
    NewMessage,
    Propose,
    RefConflict,
    Rejection,
    Result,
    Take,
    TakenResult,
)
from smppd.store.records import Message, Segment, segments_of

BACKLOG_RETRY_SECONDS: Final = 60
"""What ``backlog_full`` advises: a backlog of ten million does not end sooner."""

STORAGE_RETRY_SECONDS: Final = 60
"""What ``storage_full`` advises: somebody must make room first."""


def propose(book: Book, change: Propose) -> Result:
    """``Propose``: its message is kept, unless its ref is bound or there is no room."""
    key = keys.ref_key(change.app, change.ref)
    bound = _answer_if_bound(book, change, key)
    if bound is not None:
        return bound
    if isinstance(change.message, Rejection):
        return change.message
    if book.is_full:
        return _refuse_for_space(book)
    waiting = len(book.waiting) + len(book.released)  # those of this commit have no row yet
    if waiting >= book.rules.backlog_max:
        reason = f"{waiting} messages are waiting already; send again later"
        return Rejection("backlog_full", reason, BACKLOG_RETRY_SECONDS)
    message = _keep(book, change, change.message)
    book.refs.put(key, keys.pack_u64(message.id) + change.digest)
    smart = None if message.extras is None else message.extras.smart
    return Accepted(keys.show_id(message.id), segments_of(message), message.encoding, False, smart)


def refuse(book: Book, change: Propose) -> Result:
    """What ``propose`` answers where nothing can be kept; changes nothing, and needs no
    transaction that writes."""
    bound = _answer_if_bound(book, change, keys.ref_key(change.app, change.ref))
    if bound is not None:
        return bound
    if isinstance(change.message, Rejection):
        return change.message
    return _refuse_for_space(book)


def take(book: Book, change: Take) -> TakenResult:
    """``Take``: the app's cursor moves forward."""
    ok = book.events.take(change.app, change.seq)
    return TakenResult(ok, book.events.bounds(change.app).latest)


def _answer_if_bound(book: Book, change: Propose, key: bytes) -> Result:
    """None where the ref is free."""
    bound = book.refs.get(key)
    if bound is None:
        return None
    message = book.messages.peek(keys.read_u64(bound))
    if message is None or book.retention.ref_is_free(message, book.now):
        return None
    return _answer_bound_ref(book, message, bound[8:] == change.digest)


def _answer_bound_ref(book: Book, message: Message, same_content: bool) -> Result:
    if not same_content:
        return RefConflict(keys.show_id(message.id))
    book.counts["duplicates"] += 1
    smart = None if message.extras is None else message.extras.smart
    return Accepted(keys.show_id(message.id), segments_of(message), message.encoding, True, smart)


def _refuse_for_space(book: Book) -> Rejection:
    book.counts["storage_full"] += 1
    reason = (
        "the disk is full; what is left is kept for what becomes of the messages accepted so far; "
        "make room, then send again"
    )
    return Rejection("storage_full", reason, STORAGE_RETRY_SECONDS)


def _keep(book: Book, change: Propose, new: NewMessage) -> Message:
    message = Message(
        book.next_id(),
        change.app,
        change.ref,
        new.to,
        new.addr_ton,
        new.addr_npi,
        new.addr,
        new.text,
        new.message_class,
        new.encoding,
        new.receipt,
        new.tag,
        new.meta,
        min(new.accepted_at, book.now),  # the clock may have been set back since
        new.expires_at,
        new.uncertain,
        new.route_set,
        (Segment(),) if new.segments == 1 else tuple(Segment() for _ in range(new.segments)),
    )
    if new.extras is not None or new.units or new.form is not None:
        message.extras, message.units, message.form = new.extras, new.units, new.form
        if new.extras is not None and new.extras.send_at > new.accepted_at:
            message.retry_at = new.extras.send_at
    if new.tag is not None:
        book.tags.add(message)
    book.messages.add(message)
    book.deadlines.add(new.expires_at, message.id)
    book.released.append(message)
    book.counts["accepted"] += 1
    return message
