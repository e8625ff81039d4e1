"""The first start on a copy: a backup that is restored, or what salvage took out.

The original went on after the copy was made. What waits in the copy may have been sent since, and
what is granted in it too: nobody can know, so all of it is doubt, by the policy ``uncertain``: sent
once more with ``maybe_duplicate``, or not at all, and ``uncertain`` first. What is not due yet
(``send_at``) cannot have been sent and simply waits on.

A copy is known by the row ``restored`` of ``meta``, the time it was made. Its queue is walked in
batches, each a commit that keeps how far it came, before anything else is decided or granted; then
the row goes. Killed at any point, the next start goes on where the last commit was.

The app's events go on with numbers that are far ahead (``eventlog``): those that the original told
it after the copy was made would else come again with another meaning.
"""

from __future__ import annotations

from typing import Final

import msgspec

from smppd.store import keys, life
from smppd.store.book import META_RESTORED, Book
from smppd.store.changes import DoubtRestored, Restored, UncertainPolicy
from smppd.store.records import GRANTED, QUEUED, UNCERTAIN, WAITING, Message

META_RESTORING: Final = b"restoring"
"""How far the walk has come."""

ROWS_MAX: Final = 500
"""Messages in a commit: some thirty milliseconds, and a commit's memory for ten million of them."""

CLOCK_MILLISECONDS: Final = 60_000
"""How far ahead of ours the original's clock may have been."""


class _Walk(msgspec.Struct, array_like=True):
    after: bytes = b""
    resent: int = 0
    stopped: int = 0


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Walk).decode


def is_restored(book: Book) -> bool:
    """Whether the store is a copy whose doubts are not all told yet; inside a transaction."""
    return book.tables["meta"].get(META_RESTORED) is not None


def doubt_restored(book: Book, _change: DoubtRestored) -> Restored | None:
    """``DoubtRestored``: the next batch; None where there is nothing (more) to do."""
    meta = book.tables["meta"]
    made_at = meta.get(META_RESTORED)
    if made_at is None:
        return None
    kept = meta.get(META_RESTORING)
    if kept is None:
        book.events.jump(book.now - int(made_at))
    walk = _Walk() if kept is None else _decode(kept)
    rows = _rows_after(book, walk.after)
    for key in rows:
        message = book.messages.peek(keys.read_queue_tail(key)[1])
        if message is not None and message.retry_at <= book.now + CLOCK_MILLISECONDS:
            _doubt(book, message, walk)
    is_done = len(rows) < ROWS_MAX
    if is_done:
        meta.delete(META_RESTORED)
        meta.delete(META_RESTORING)
    else:
        walk.after = rows[-1]
        meta.put(META_RESTORING, _encode(walk))
    return Restored(int(made_at), walk.resent, walk.stopped, is_done)


def _rows_after(book: Book, after: bytes) -> list[bytes]:
    found = []
    for key in book.tables["queue"].keys_from(after):
        if key != after:
            found.append(key)
        if len(found) == ROWS_MAX:
            break
    return found


def _doubt(book: Book, message: Message, walk: _Walk) -> None:
    """The message keeps its place in the queue, or has ended: no commit before the granter's first
    needs ``released``, which would hold all ten million."""
    for index, part in enumerate(message.parts):
        if part.state == GRANTED:
            book.grants.close(message.carrier, message.bind, keys.pack_tag(message.id, index))
    indexes = [
        index for index, part in enumerate(message.parts) if part.state in (WAITING, GRANTED)
    ]
    facts = life.doubt_copied(message, indexes, book.now, _policy_of(book, message))
    for index in indexes:
        book.matching.remember_doubt(message, keys.pack_tag(message.id, index))
    book.messages.touch(message)
    book.append_events(message, facts, book.now)
    if message.state != QUEUED:
        book.waiting.remove(message)
    walk.resent += message.state == QUEUED
    walk.stopped += message.state == UNCERTAIN


def _policy_of(book: Book, message: Message) -> UncertainPolicy:
    """As for any doubt; of a message that no carrier was bound to, its class's."""
    if not message.carrier:
        return message.uncertain
    profile = book.rules.carriers.get(message.carrier)
    return "stop" if profile is None else profile.uncertain or message.uncertain
