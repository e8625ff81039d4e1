"""A phone number is forgotten: what of it goes, and what stays.

A message that has ended keeps its id, ref, tag, times, states and costs, for the accounts, and the
digest of what was submitted, so that its ref still sends nothing twice. What it said, to whom, and
the words of its receipts go. Messages from the phone and receipts nobody has claimed are deleted;
events that are kept keep their ``seq`` and lose the same.

Where all that stands is found by ``known``, outside of a commit. Numbered invariants:

1. A message says nothing any more before its events are emptied, and has its number until they
   are. So one that is told of late brings nothing back, and a run that was killed in the middle is
   found again by the number and made good by the next.
2. A message still on its way is left as it is: its carrier has not had it yet, or has not told
   what became of it.
"""

from __future__ import annotations

from typing import Final

import msgspec

from smppd.store import keys
from smppd.store.book import Book
from smppd.store.changes import Extras, Forget, Forgotten
from smppd.store.known import tells_of
from smppd.store.records import SENT, LateReceipt, Message, Step

_OWN_WORDS: Final = frozenset({"held", "resolved"})
"""Steps whose ``detail`` is a code of ours."""


def forget(book: Book, change: Forget) -> Forgotten:
    """``Forget``: see there."""
    for number in change.contents:
        _empty_message(book, number, keep_number=True)
    events = sum(_empty_events(book, key, change) for key in change.events)
    messages = sum(_empty_message(book, number, keep_number=False) for number in change.messages)
    inbound = sum(_delete_inbound(book, number) for number in change.inbound)
    for key in change.unmatched:
        book.matching.forget_unmatched(key)
    for number in change.quarantined:
        book.evidence.drop(number)
    if change.is_last:
        book.tables["references"].delete(change.number.encode())
    return Forgotten(messages, events, inbound, len(change.unmatched), len(change.quarantined))


def empty(message: Message, at: int) -> None:
    """What an ended message said, and what its receipts quote of it, is gone; its number stays."""
    message.forgotten_at = message.forgotten_at or at
    message.text = ""
    message.meta = None
    if message.extras is not None:
        message.extras = msgspec.structs.replace(
            message.extras, data=None, udh=Extras().udh, tlvs={}, smart=None
        )
    for part in message.parts:
        part.receipt_raw = b""
        part.receipt_stat = part.receipt_err = ""
    message.late = tuple(_empty_late(late) for late in message.late)
    message.steps = tuple(_empty_step(step) for step in message.steps)


def _empty_message(book: Book, number: int, *, keep_number: bool) -> int:
    """1 where it had a number to lose."""
    message = book.messages.peek(number)
    if message is None or message.state <= SENT:
        return 0
    has_number = bool(message.to)
    empty(message, book.now)
    if not keep_number and has_number:
        for index, part in enumerate(message.parts):
            tag = keys.pack_tag(number, index)
            book.awaited.forget(message, tag)
            if part.doubted:  # the key of a doubt holds the number, as the one above does
                book.matching.forget_doubt(message, tag)
        message.to = ""
    book.messages.touch(message)
    return int(has_number)


def _delete_inbound(book: Book, number: int) -> bool:
    """A message from a phone, or the segments of one; whether it was there, and not only known to
    have been told."""
    if book.reassembly.knows(number):
        return book.reassembly.forget(number)
    key = keys.pack_u64(number)
    is_there = book.tables["inbound"].get(key) is not None
    book.tables["inbound"].delete(key)
    return is_there


def _empty_events(book: Book, key: bytes, change: Forget) -> int:
    """Lines of the row that were emptied; none where it was taken or has aged out meanwhile."""
    table = book.tables["events"]
    row = table.get(key)
    if row is None:
        return 0
    head, lines = row[: keys.EVENTS_HEAD_BYTES], row[keys.EVENTS_HEAD_BYTES :].splitlines()
    emptied = [
        _empty_line(line) if tells_of(line, change.number, change.told) else line for line in lines
    ]
    count = sum(old != new for old, new in zip(lines, emptied, strict=True))
    if count:
        table.put(key, head + b"\n".join(emptied) + b"\n")
    return count


def _empty_line(line: bytes) -> bytes:
    event = msgspec.json.decode(line, type=dict[str, msgspec.Raw])
    event["meta"] = msgspec.Raw(b"null")
    for name in ("from", "text", "data"):
        if name in event:
            event[name] = msgspec.Raw(b'""')
    return msgspec.json.encode(event)


def _empty_late(late: LateReceipt) -> LateReceipt:
    return LateReceipt(late.segment, late.id, late.state, "", "", late.at)


def _empty_step(step: Step) -> Step:
    if step.step in _OWN_WORDS or not step.detail:
        return step
    return msgspec.structs.replace(step, detail="")
