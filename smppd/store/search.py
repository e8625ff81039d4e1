"""Messages looked for by what is known of them, a bounded slice at a time.

For operators, beside the traffic: nothing is indexed for it but tags, so a search walks the
messages from the newest down, and whoever asks lets others run between two slices.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Final

import msgspec

from smppd.store import keys, life
from smppd.store.book import Book
from smppd.store.records import QUEUED, STATE_NAMES, TAKEN, UNCERTAIN, Message
from smppd.store.view import FoundMessage, show_found

DOUBT_ROWS_MAX: Final = 1_000
"""Doubtful segments looked at in one slice: a millisecond; a crash leaves a window a bind."""

DOUBTFUL_MAX: Final = 5_000
"""Of the messages in doubt the oldest so many are kept for one list: their ids, in memory."""

DOUBTFUL_ROWS_MAX: Final = 200
"""Of those, decoded in one slice: a millisecond, where they are on disk alone."""

_NEWEST: Final = (1 << 64) - 1


class FindSlice(msgspec.Struct, frozen=True):
    """What one slice found; the next one goes on below ``next_before``, unless this ``is_done``."""

    messages: list[FoundMessage]
    next_before: int
    is_done: bool


class DoubtSlice(msgspec.Struct, frozen=True):
    """The ``oldest`` messages of the doubts looked at so far, in order; the next slice begins at
    the row ``after``, None: there is none."""

    oldest: list[int] = []
    after: bytes | None = b""


class Wanted(msgspec.Struct, frozen=True):
    """What a message must be like; None and "" and 0 want nothing in particular.

    ``to`` is E.164 digits, with + or not; ``state`` a name of ``STATE_NAMES``; ``since`` and
    ``until`` (ms) bound the time in its id, which is its acceptance's.
    """

    to: str | None = None
    tag: str | None = None
    app: str | None = None
    state: str | None = None
    since: int = 0
    until: int = 0

    def fits(self, message: Message) -> bool:
        """Whether it is like that; the times are the walk's matter."""
        return (
            (not self.to or message.to == self.to.removeprefix("+"))
            and (not self.tag or message.tag == self.tag)
            and (not self.app or message.app == self.app)
            and (not self.state or STATE_NAMES[message.state] == self.state)
        )


def find_messages(book: Book, wanted: Wanted, before: int, rows_max: int) -> FindSlice:
    """Of at most ``rows_max`` messages below the id ``before`` (0: the newest), those that fit."""
    start = before or _NEWEST
    if wanted.until:
        start = min(start, keys.first_id_at(wanted.until))
    found: list[FoundMessage] = []
    looked = 0
    for number in islice(_ids_before(book, wanted, start), rows_max):
        if keys.time_of_id(number) < wanted.since:
            return FindSlice(found, number, True)
        looked, start = looked + 1, number
        message = book.messages.peek(number)
        if message is not None and wanted.fits(message):
            found.append(show_found(message))
    return FindSlice(found, start, looked < rows_max)


def look_at_doubts(book: Book, before: DoubtSlice) -> DoubtSlice:
    """Goes on with the list of doubts where ``before`` ended."""
    assert before.after is not None, "all doubts were looked at"
    rows = book.tables["doubts"].keys_from(before.after)
    looked = list(islice(rows, DOUBT_ROWS_MAX + 1))
    after = looked.pop() if len(looked) > DOUBT_ROWS_MAX else None
    numbers = {keys.unpack_tag(key[-keys.TAG_BYTES :])[0] for key in looked}
    return DoubtSlice(sorted(numbers.union(before.oldest))[:DOUBTFUL_MAX], after)


def show_doubtful(book: Book, numbers: Sequence[int]) -> list[FoundMessage]:
    """Those of at most DOUBTFUL_ROWS_MAX messages that are in doubt now."""
    found = (book.messages.peek(number) for number in numbers)
    return [show_found(message) for message in found if message and is_doubtful(message)]


def is_doubtful(message: Message) -> bool:
    """Whether nobody can know what became of one of its segments, at least for now, and no
    operator has let it be."""
    if message.state == UNCERTAIN:
        return not life.is_settled(message)
    parts = message.parts
    return message.state == QUEUED and any(part.doubted and part.state != TAKEN for part in parts)


def _ids_before(book: Book, wanted: Wanted, start: int) -> Iterator[int]:
    if wanted.app and wanted.tag:
        return book.tags.ids_before(wanted.app, wanted.tag, start)
    rows = book.tables["messages"].keys_before(keys.pack_u64(start))
    return (keys.read_u64(key) for key in rows)
