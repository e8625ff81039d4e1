"""What a clock set back has put out of reach.

The queue is in the order of the wall clock: a message stands at its acceptance, one that met a
passing fault at its next try. Is the clock set back by a day, all of them would wait for a day. So
they are found then, a batch a commit, and stand at the new time, in the order they had. What an app
wants at a time (``send_at``) stays where it is.
"""

from __future__ import annotations

from typing import Final, Protocol

from smppd.store.life import RETRY_MILLISECONDS_MAX
from smppd.store.messages import Messages
from smppd.store.records import Message
from smppd.store.waiting import Waiting

ROWS_MAX: Final = 500
"""Rows looked at in a commit: some ten milliseconds, each being a message to read."""

_LAST: Final = (1 << 64) - 1


class Waits(Protocol):
    """What of the book is needed: ``store/book.py``."""

    now: int
    waiting: Waiting
    messages: Messages
    released: list[Message]


class Retiming:
    """``follow`` at the start of a commit, ``look`` at its end; ``is_behind``: there is more."""

    def __init__(self) -> None:
        self._prefixes: list[bytes] = []
        self._after = (0, 0)
        self._until = _LAST
        self._is_started = False

    @property
    def is_behind(self) -> bool:
        """Whether the next commit is wanted at once."""
        return bool(self._prefixes)

    def follow(self, book: Waits, before: int) -> None:
        """The last commit was at ``before`` (ms) by its own clock, this one is at ``book.now``. At
        a start ``before`` is the newest id's time, and somebody may have waited for longer."""
        if before > book.now:
            self._prefixes = [address.prefix for address in book.waiting.addresses()]
            self._after = (book.now, _LAST)
            self._until = before + RETRY_MILLISECONDS_MAX if self._is_started else _LAST
        self._is_started = True

    def look(self, book: Waits) -> None:
        """Has a batch of what is out of reach stand at ``book.now``."""
        left = ROWS_MAX
        while self._prefixes and left:
            rows = book.waiting.rows(self._prefixes[-1], self._after, left)
            for due, message_id in rows:
                if due <= self._until:
                    _retime(book, due, message_id)
            if len(rows) == left and rows[-1][0] <= self._until:
                self._after = rows[-1]
                return
            left -= len(rows)
            self._prefixes.pop()
            self._after = (book.now, _LAST)


def _retime(book: Waits, due: int, message_id: int) -> None:
    seen = book.messages.peek(message_id)
    if seen is None or seen.queue_due != due or not _is_out_of_reach(seen, book.now):
        return
    message = book.messages.get(message_id)
    assert message is not None, "a message that was just there is gone"
    message.retry_at = book.now
    book.messages.touch(message)
    book.released.append(message)


def _is_out_of_reach(message: Message, now: int) -> bool:
    if not message.retry_at:
        return True  # it waits for room alone
    is_wanted_then = message.extras is not None and message.extras.send_at == message.retry_at
    return not is_wanted_then and message.retry_at > now + RETRY_MILLISECONDS_MAX
