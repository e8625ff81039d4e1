"""What carriers tell us later: receipts.

Whose receipt it is decides ``matching``, or ``awaited`` for a carrier whose ids name nothing; here
it reaches its message, at once, with the response that names its id, or, after a patience, as the
answer to a doubt.
"""

from __future__ import annotations

from smppd.smpp.constants import MESSAGE_STATE_ACCEPTED
from smppd.store import awaited, keys, said
from smppd.store.addresses import is_same_address
from smppd.store.book import Book
from smppd.store.changes import Answered, ReceiptArrived
from smppd.store.privacy import empty
from smppd.store.records import (
    QUEUED,
    RECEIPT_RAW_MAX,
    SENT,
    TAKEN,
    CarrierProfile,
    Message,
    Step,
    add_step,
    first_sent_at,
)


def receipt_arrived(book: Book, change: ReceiptArrived) -> None:
    """``ReceiptArrived``: it reaches its message, or waits for the response that names it."""
    receipt = change.receipt
    if receipt.is_contradictory:
        book.counts["contradictory"] += 1
    if receipt.state is None and receipt.stat is not None:
        book.counts["unreadable"] += 1
        book.hints.note(change.carrier, "stat_unknown", receipt.stat.partition(" ")[0])
    if book.by_address and change.carrier in book.by_address:
        _receive_by_address(book, change)
        return
    tag = _find_by_id(book, change)
    if tag is None:
        book.counts["unmatched"] += 1
        key = book.matching.keep_unmatched(change, book.next_id)
        book.deadlines.add(change.at + book.matching.PATIENCE_MILLISECONDS, key)
        return
    _receive(book, change, tag, change.at)


def receive_unmarked(book: Book, receipt: ReceiptArrived, source: str) -> bool:
    """A receipt that its esm_class does not mark: whether it is one. It is where the carrier is
    known for it, else only if it names a segment that was sent to ``source``, which it has reached
    then; no id of a carrier whose ids name nothing does."""
    profile = book.profile_of(receipt.carrier)
    is_by_address = receipt.carrier in book.by_address
    if profile.unmarked_receipts and (receipt.receipt.ids or is_by_address):
        receipt_arrived(book, receipt)
        return True
    if is_by_address:
        book.hints.note(receipt.carrier, "receipts_unmarked")
        return False
    tag = _find_by_id(book, receipt)
    if tag is None or not is_same_address(book.to_of(tag), source):
        return False
    book.hints.note(receipt.carrier, "receipts_unmarked")
    _receive(book, receipt, tag, receipt.at)
    return True


def claim_unmatched(book: Book, message: Message, index: int, change: Answered) -> None:
    """A response names an id: the receipt that came before it is its own."""
    if change.carrier in book.by_address:  # what it had before that key was set
        return None
    profile, sent_at = book.profile_of(change.carrier), first_sent_at(message, index)
    if sent_at > change.at:  # the clock was set back since: their order is not to be had from it
        sent_at = 0
    for rule in dict.fromkeys((profile.message_id, _rule_of_33(profile))):
        receipt = book.matching.claim(change.carrier, change.smsc_id, rule, message.to, sent_at)
        if receipt is not None:
            return _receive(book, receipt, keys.pack_tag(message.id, index), change.at)
    return None


def await_by_address(book: Book, message: Message, index: int) -> None:
    """A carrier whose ids name nothing took a segment: its receipt will be known by the phone."""
    part = message.parts[index]
    is_asked = index >= len(message.parts) - message.receipts
    if part.state == TAKEN and part.receipt_state == -1 and is_asked:
        book.awaited.add(message, keys.pack_tag(message.id, index))


def note_shared_id(book: Book, change: Answered, key: bytes, before: bytes) -> None:
    """The carrier gave another segment this id ``before``. While that waits for its receipt, one
    by this id may be either's (``shared_ids``); segments of one message may share theirs."""
    carrier = change.carrier
    if before[:8] == change.tag[:8] or carrier in book.by_address:
        return
    is_waiting = book.awaiting_to(before) is not None
    if is_waiting and book.shared_ids.note(carrier, key, before):
        book.hints.note(carrier, "id_constant", change.smsc_id)


def settle_doubt_by_receipt(book: Book, key: bytes) -> None:
    """Nobody has claimed this receipt for a while: it may be a doubtful message's."""
    if book.by_address and _claim_by_address(book, key):
        return
    if _claim_by_id(book, key):
        return
    found = book.matching.settle_doubt(key, book.message, book.now)
    if found is None:
        _look_again(book, key)
        return
    receipt, tag = found
    message_id, index = keys.unpack_tag(tag)
    message = book.message(message_id)
    assert message is not None, "a doubt names a message that is not there"
    name = receipt.receipt.ids[0] if receipt.receipt.ids else ""
    named = keys.smsc_key(receipt.carrier, name)
    is_free = named not in book.shared_ids.constant and book.find_tag(named) is None
    if name and is_free and receipt.carrier not in book.by_address:
        message.parts[index].smsc_id = name
        book.smsc_ids.put(named, tag)
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
    if len(message.parts) > 1 and change.carrier not in book.by_address:
        index = _find_namesake(message, index, change)
    part = message.parts[index]
    before, was = part.receipt_state, (message.state, message.first_taken_at)
    done_at, odd = change.done_at or 0, book.odd_receipts
    if odd and change.carrier in odd:
        ways = odd[change.carrier]
        accepts, covers = ways.accepted_is_final, ways.receipt_covers == "message"
        facts = said.receive(message, index, change.receipt, at, done_at, accepts, covers)
    else:
        facts = said.receive(message, index, change.receipt, at, done_at)
    if message.forgotten_at:
        empty(message, at)
    counted = part.receipt_state != before
    wait_for_receipts(book, message, at, was)
    book.counts["matched" if counted else "late"] += 1
    if counted and part.doubted:
        book.matching.forget_doubt(message, keys.pack_tag(message_id, index))
    book.tell(message, facts, at)


def _find_by_id(book: Book, change: ReceiptArrived) -> bytes | None:
    profile = book.profile_of(change.carrier)
    rule = _rule_of_33(profile) if change.is_33 else profile.message_id
    return book.matching.find(change, rule, book.to_of)


def _claim_by_id(book: Book, key: bytes) -> bool:
    """Whether a receipt that waited has found its segment: by the second of its two ids, or by a
    rule that a reload has brought."""
    arrived = book.matching.read_unmatched(key)
    if arrived is None or arrived.carrier in book.by_address:
        return False
    tag = _find_by_id(book, arrived)
    if tag is None:
        return False
    number, index = keys.unpack_tag(tag)
    message = book.message(number)
    if message is None or first_sent_at(message, index) > arrived.at:
        return False
    book.matching.forget_unmatched(key)
    _receive(book, arrived, tag, book.now)
    return True


def _look_again(book: Book, key: bytes) -> None:
    """A receipt may be older than the doubt it settles, as our own timers are slow to give
    up: it is looked at again, after ever longer waits."""
    arrived = book.matching.read_unmatched(key)
    if arrived is not None:
        age = max(book.now - arrived.at, book.matching.PATIENCE_MILLISECONDS)
        book.deadlines.add(book.now + age, key)


def _rule_of_33(profile: CarrierProfile) -> str:
    """How ids of receipts relate to those of responses on a bind that speaks SMPP 3.3."""
    return profile.message_id_33 or profile.message_id


def _receive_by_address(book: Book, change: ReceiptArrived) -> None:
    """It reaches the segment that waits for it, or waits itself for a response still to come."""
    fit = _reach_by_address(book, change)
    if fit is None or not fit.tag:
        book.counts["unmatched"] += 1
        key = book.matching.keep_unmatched(change, book.next_id, has_names=False)
        book.deadlines.add(change.at + awaited.PATIENCE_MILLISECONDS, key)


def _claim_by_address(book: Book, key: bytes) -> bool:
    """Whether a receipt that waited has found its segment by now; or could be for one of several
    that wait, and must not pass for the only doubtful one's."""
    arrived = book.matching.read_unmatched(key)
    if arrived is None or arrived.carrier not in book.by_address:
        return False
    fit = _reach_by_address(book, arrived, has_waited=True)
    if fit is None:
        return False
    if fit.tag:
        book.matching.forget_unmatched(key)
    else:
        _look_again(book, key)
    return True


def _reach_by_address(
    book: Book, change: ReceiptArrived, *, has_waited: bool = False
) -> awaited.Fit | None:
    """The segment that the receipt has reached, where its ``tag`` is one."""
    timeout = book.profile_of(change.carrier).receipt_timeout
    fit = book.awaited.find(change, timeout, has_waited=has_waited)
    if fit is None or not fit.tag:
        return fit
    number, index = keys.unpack_tag(fit.tag)
    message = book.messages.get(number)
    assert message is not None, "a segment that waits is of a message that is there"
    if fit.messages:
        _say_by_address(book, message, index, change, fit.messages)
    _receive(book, change, fit.tag, change.at)
    if change.receipt.is_final or message.parts[index].receipt_state == MESSAGE_STATE_ACCEPTED:
        book.awaited.settle(message, fit.tag, change)
    return fit


def _say_by_address(
    book: Book, message: Message, index: int, change: ReceiptArrived, messages: int
) -> None:
    """Keeps how the message was found, and whether another could have been meant."""
    messages += book.matching.count_doubtful(change, book.message, but=message.id)
    detail = "by address"
    if messages > 1:
        book.counts["by_order"] += 1
        detail += f", the oldest of {messages}"
    add_step(message, Step(change.at, "matched", index, change.carrier, detail=detail))


def _find_namesake(message: Message, index: int, change: ReceiptArrived) -> int:
    """Where a carrier gives all segments one id, each of its receipts is for another of them; the
    same octets again are the same receipt."""
    part, raw = message.parts[index], change.receipt.raw[:RECEIPT_RAW_MAX]
    if part.receipt_state == -1 or not part.smsc_id:
        return index
    waiting = index
    for number, other in enumerate(message.parts):
        if other.smsc_id == part.smsc_id:
            if other.receipt_raw == raw:
                return number
            waiting = number if other.receipt_state == -1 else waiting
    return waiting
