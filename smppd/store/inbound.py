"""Messages from phones: kept, joined from their segments, and told to the apps they are for.

Which segments are of one message is ``reassembly``'s matter, whose a message is ``[[inbound]]``
rules', and what it answers ``threads``'. A message that no rule fits is told to every app with
``inbound = true``, whose thread it is first.
"""

from __future__ import annotations

from smppd.routing.inbound import find_rule
from smppd.smpp import constants
from smppd.store import keys
from smppd.store.book import Book
from smppd.store.changes import InboundArrived
from smppd.store.events import encode_inbound
from smppd.store.reassembly import Assembled
from smppd.store.receipts import receive_unmarked
from smppd.store.records import Inbound, InboundPart, Message, encode_record
from smppd.text.reading import Piece, read_pieces


def inbound_arrived(book: Book, change: InboundArrived) -> None:
    """``InboundArrived``: told to the apps it is for, when it is whole; unless it is an unmarked
    receipt."""
    if change.unmarked is not None and receive_unmarked(book, change.unmarked, change.source):
        return
    if change.concatenation is not None:
        _add_segment(book, change)
        return
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
        udh=change.udh,
    )
    _tell(book, inbound)


def look_at_waiting(book: Book, number: int) -> int:
    """The segments of a message may have waited long enough; how many are told."""
    found = book.reassembly.look_at(number, book.now, lambda name: _timeout_of(book, name))
    for one in found:
        _tell(book, _join(book, one, book.now))
    return sum(len(one.parts) for one in found)


def follow_clock(book: Book, before: int) -> None:
    """The last commit was at ``before`` (ms): the clock may have been set back since."""
    if before > book.now:
        book.reassembly.hasten(book.now, lambda name: _timeout_of(book, name))


def _add_segment(book: Book, change: InboundArrived) -> None:
    assert change.concatenation is not None
    timeout = _timeout_of(book, change.carrier)
    found = book.reassembly.add(change, change.concatenation, timeout, book.next_id())
    if found is None:
        book.counts["inbound_repeated"] += 1
        return
    for one in found:
        _tell(book, _join(book, one, change.at))


def _timeout_of(book: Book, carrier: str) -> int:
    return book.profile_of(carrier).inbound_timeout


def _join(book: Book, found: Assembled, at: int) -> Inbound:
    """One message of its segments, read as one."""
    first = next(iter(found.parts.values()))
    pieces = [_piece_of(number, part) for number, part in found.parts.items()]
    reading = read_pieces(pieces, book.profile_of(first.carrier).form)
    return Inbound(
        book.next_id(),
        first.carrier,
        first.source,
        first.destination,
        reading.text,
        reading.udh + reading.body,
        first.data_coding,
        first.esm_class,
        at,
        found.total,
        found.missing,
        reading.udh,
    )


def _piece_of(number: int, part: InboundPart) -> Piece:
    has_header = bool(part.esm_class & constants.ESM_UDHI)
    return Piece(part.data, part.data_coding, has_header, number)


def _tell(book: Book, inbound: Inbound) -> None:
    book.counts["inbound"] += 1
    if inbound.missing:
        book.counts["inbound_incomplete"] += 1
    book.tables["inbound"].put(keys.pack_u64(inbound.id), encode_record(inbound))
    threads = {app: _find_thread(book, app, inbound) for app in _apps_for(book, inbound)}
    for app, answered in sorted(threads.items(), key=_latest_first):
        book.told["inbound"] += 1
        book.events.append(app, encode_inbound(inbound, book.events.draw_seq(app), answered))


def _apps_for(book: Book, inbound: Inbound) -> list[str]:
    """Who is told, of those that keep events."""
    rules = book.rules
    text = "" if 1 in inbound.missing else inbound.text or ""  # its first word is not there
    rule = find_rule(rules.inbound, inbound.carrier, inbound.source, inbound.destination, text)
    apps = rules.inbound_apps if rule is None else rule.apps
    return [app for app in apps if app not in rules.eventless_apps]


def _find_thread(book: Book, app: str, inbound: Inbound) -> Message | None:
    return book.threads.find(app, inbound.source, inbound.destination)


def _latest_first(told: tuple[str, Message | None]) -> int:
    """Whoever wrote to the phone last is told first; those who did not keep their order."""
    return 0 if told[1] is None else -told[1].id
