"""What became of what was granted: answered, doubted, given back; and what fell due meanwhile."""

from __future__ import annotations

from typing import Final

from smppd.routing.sender import TON_ALPHANUMERIC
from smppd.store import inbound, keys, life, receipts, said
from smppd.store.book import Book
from smppd.store.changes import Answered, Doubted, GivenBack, Verdict
from smppd.store.reassembly import MARK
from smppd.store.records import QUEUED, SENT, TAKEN, Message

DUE_MAX: Final = 200
"""Deadlines looked at in one commit, and what is left of the last row (a commit's own): a few
milliseconds even when every one is a disk read."""

INBOUND_DUE_MAX: Final = 300
"""Segments from phones, and their messages, of which one commit joins and tells what fell due: some
five milliseconds; a carrier that lost a part of each message makes thousands due in one second."""


def answered(book: Book, change: Answered) -> None:
    """``Answered``: the segment's grant ends, and its verdict is carried out."""
    carrier, tag, verdict, at = change.carrier, change.tag, change.verdict, change.at
    message_id, index = keys.unpack_tag(tag)
    book.grants.close(carrier, change.bind, tag)
    message = book.messages.get(message_id)
    if message is None:
        return
    was = message.state, message.first_taken_at
    status, number = change.command_status, change.sequence_number
    facts = life.answer(message, index, verdict, status, change.smsc_id, at, number)
    part = message.parts[index]
    if part.state == TAKEN:
        if part.smsc_id:
            key = keys.smsc_key(carrier, part.smsc_id)
            before = book.smsc_ids.put(key, tag)
            if before is not None:
                receipts.note_shared_id(book, change, key, before)
            book.shared_ids.last[carrier] = key
        elif message.receipts and carrier not in book.by_address:
            book.hints.note(carrier, "ids_missing")
        if book.by_address and carrier in book.by_address:
            receipts.await_by_address(book, message, index)
    if message.addr_ton != TON_ALPHANUMERIC and index == 0 and verdict is Verdict.TAKEN:
        book.threads.remember(message)
    if part.doubted and verdict is Verdict.TAKEN:
        book.matching.forget_doubt(message, tag)
    receipts.wait_for_receipts(book, message, at, was)
    book.tell(message, facts, at)
    if verdict is Verdict.TAKEN and book.matching.has_unmatched():
        receipts.claim_unmatched(book, message, index, change)


def doubted(book: Book, change: Doubted) -> None:
    """``Doubted``: the policy of the carrier, else of the class; none is resent to a carrier that
    is no longer configured."""
    profile = book.rules.carriers.get(change.carrier)
    for message, indexes in _end_grants(book, change.carrier, change.bind, change.tags):
        policy = "stop" if profile is None else profile.uncertain or message.uncertain
        facts = life.doubt(message, indexes, change.at, policy)
        for index in indexes:
            if message.parts[index].doubted:
                book.matching.remember_doubt(message, keys.pack_tag(message.id, index))
        book.tell(message, facts, change.at)


def given_back(book: Book, change: GivenBack) -> None:
    """``GivenBack``: the segments wait again."""
    at = change.at or book.now
    for message, indexes in _end_grants(book, change.carrier, change.bind, change.tags):
        facts = [fact for index in indexes for fact in life.give_back(message, index, at)]
        book.tell(message, facts, at)


def look_at_due(book: Book) -> None:
    """What has fallen due: validities, waits for receipts, doubts a receipt may settle, segments
    from phones that wait for others."""
    inbound_left = INBOUND_DUE_MAX
    for entry in book.deadlines.take_due(book.now, DUE_MAX):
        if isinstance(entry, bytes):
            if entry.startswith(MARK):
                if inbound_left > 0:
                    number = keys.read_u64(entry[len(MARK) :])
                    inbound_left -= 1 + inbound.look_at_waiting(book, number)
                else:
                    book.deadlines.add(book.now // 1000 * 1000, entry)  # the next commit's
            else:
                receipts.settle_doubt_by_receipt(book, entry)
            continue
        # Nearly all are settled: those must not push live messages out of memory.
        seen = book.messages.peek(entry)
        if seen is None or seen.state not in (QUEUED, SENT):
            continue
        message = book.message(entry)
        if message is None or book.now < life.deadline_of(message):
            continue
        if message.state == QUEUED:
            facts = life.expire(message, book.now)
        else:
            facts = said.unconfirm(message)
            _note_missing_receipts(book, message)
        if facts:
            book.tell(message, facts, book.now)


def _note_missing_receipts(book: Book, message: Message) -> None:
    """Some of its segments have a receipt, and others waited for theirs in vain."""
    states = {part.receipt_state for part in message.parts[-message.receipts :]}
    if len(states) > 1 and -1 in states:
        book.hints.note(message.carrier, "receipt_per_message")


def _end_grants(
    book: Book, carrier: str, bind: int, tags: list[bytes]
) -> list[tuple[Message, list[int]]]:
    """Closes the grants and groups them by message, in their order."""
    grouped: dict[int, list[int]] = {}
    for tag in tags:
        book.grants.close(carrier, bind, tag)
        message_id, index = keys.unpack_tag(tag)
        grouped.setdefault(message_id, []).append(index)
    found = ((book.message(number), indexes) for number, indexes in grouped.items())
    return [(message, indexes) for message, indexes in found if message is not None]
