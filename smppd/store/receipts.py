"""What carriers tell us later: receipts, and messages from phones.

Whose receipt it is decides ``matching``; here it reaches its message, at once, with the response
that names its id, or, after a patience, as the answer to a doubt.
"""

from __future__ import annotations

from smppd.store import keys, life
from smppd.store.book import Book
from smppd.store.changes import Answered, InboundArrived, ReceiptArrived
from smppd.store.events import encode_inbound
from smppd.store.matching import is_same_address
from smppd.store.privacy import empty
from smppd.store.records import QUEUED, SENT, Inbound, Message, encode_record


def receipt_arrived(book: Book, change: ReceiptArrived) -> None:
    """``ReceiptArrived``: it reaches its message, or waits for the response that names it."""
    receipt = change.receipt
    if receipt.is_contradictory:
        book.counts["contradictory"] += 1
    if receipt.state is None and receipt.stat is not None:
        book.counts["unreadable"] += 1
    rule = book.profile_of(change.carrier).message_id
    tag = book.matching.find(change, rule, book.to_of)
    if tag is None:
        book.counts["unmatched"] += 1
        key = book.matching.keep_unmatched(change, book.next_id)
        book.deadlines.add(change.at + book.matching.PATIENCE_MILLISECONDS, key)
        return
    _receive(book, change, tag, change.at)


def inbound_arrived(book: Book, change: InboundArrived) -> None:
    """``InboundArrived``: an event of every inbound app, unless it is an unmarked receipt."""
    if change.unmarked is not None:
        rule = book.profile_of(change.carrier).message_id
        tag = book.matching.find(change.unmarked, rule, book.to_of)
        if tag is not None and is_same_address(book.to_of(tag), change.source):
            _receive(book, change.unmarked, tag, change.at)
            return
    book.counts["inbound"] += 1
    inbound = Inbound(
        book.next_id(),
        change.carrier,
        change.source,
        change.destination,
        change.text,
        change.data,
        change.data_coding,
        change.esm_class,
        change.at,
    )
    book.tables["inbound"].put(keys.pack_u64(inbound.id), encode_record(inbound))
    for app in book.rules.inbound_apps:
        if app not in book.rules.eventless_apps:
            book.told["inbound"] += 1
            book.events.append(app, encode_inbound(inbound, book.events.draw_seq(app)))


def claim_unmatched(book: Book, message: Message, index: int, change: Answered) -> None:
    """A response names an id: the receipt that came before it is its own."""
    rule = book.profile_of(change.carrier).message_id
    receipt = book.matching.claim(change.carrier, change.smsc_id, rule, message.to)
    if receipt is not None:
        _receive(book, receipt, keys.pack_tag(message.id, index), change.at)


def settle_doubt_by_receipt(book: Book, key: bytes) -> None:
    """Nobody has claimed this receipt for a while: it may be a doubtful message's."""
    found = book.matching.settle_doubt(key, book.message)
    if found is None:
        _look_again(book, key)
        return
    receipt, tag = found
    message_id, index = keys.unpack_tag(tag)
    message = book.message(message_id)
    assert message is not None, "a doubt names a message that is not there"
    name = receipt.receipt.ids[0] if receipt.receipt.ids else ""
    if name:
        message.parts[index].smsc_id = name
        book.smsc_ids.put(keys.smsc_key(receipt.carrier, name), tag)
    _receive(book, receipt, tag, book.now)


def wait_for_receipts(book: Book, message: Message, at: int, was: tuple[int, int]) -> None:
    """Once the first segment was taken, and once all were: sets the time from which the rest,
    or the receipts, are late. ``was`` is the state and first_taken_at before this step."""
    state = message.state
    became_sent = state == SENT and was[0] != SENT
    if became_sent or (state == QUEUED and message.first_taken_at != was[1]):
        # A receipt may settle a doubt of a carrier that is no longer configured.
        timeout = book.profile_of(message.carrier).receipt_timeout
        message.receipt_deadline = at + timeout * 1000
        book.deadlines.add(message.receipt_deadline, message.id)


def _receive(book: Book, change: ReceiptArrived, tag: bytes, at: int) -> None:
    message_id, index = keys.unpack_tag(tag)
    message = book.messages.get(message_id)
    if message is None:
        return
    part = message.parts[index]
    before, was = part.receipt_state, (message.state, message.first_taken_at)
    facts = life.receive(message, index, change.receipt, at, change.done_at or 0)
    if message.forgotten_at:
        empty(message, at)
    counted = part.receipt_state != before
    wait_for_receipts(book, message, at, was)
    book.counts["matched" if counted else "late"] += 1
    if counted and part.doubted:
        book.matching.forget_doubt(message, tag)
    book.tell(message, facts, at)


def _look_again(book: Book, key: bytes) -> None:
    """A receipt may be older than the doubt it settles, as our own timers are slow to give
    up: it is looked at again, after ever longer waits."""
    arrived_at = book.matching.arrived_at(key)
    if arrived_at is not None:
        age = max(book.now - arrived_at, book.matching.PATIENCE_MILLISECONDS)
        book.deadlines.add(book.now + age, key)
