"""Receipts without an id worth the name: found by the phone and the sender they come with.

For carriers with ``match_receipts = "address"``, whose ids are empty, constant or unrelated. A row
of ``awaited`` stands for each segment such a carrier took and a receipt was asked of: below carrier
and phone its tag, empty while it waits, then the digest of the receipt that settled it. Rules:

1. Carrier, phone and sender must agree, the sender where the receipt names one.
2. The same octets twice are one receipt that was sent again: they reach the message they reached.
   Where no date is in them, that is so for SPREAD_MILLISECONDS: some centres say the same of all.
3. Where the receipt quotes the text, messages without these words are out, if any has them; one
   that has its receipt already counts too, which has come again then, in other words.
4. Of several messages left it is the oldest one's, for phones are served in order. But only where
   all of them were taken within SPREAD_MILLISECONDS: a receipt that never comes would else shift
   all that follow it by one, for days. Otherwise it is nobody's.
5. A receipt is for no message that was sent after it came.

No message is found like this without a word: ``trace`` has ``matched``. Rule 4 is a guess, and so
is any rule while a message to that phone is in doubt: then it says so, and ``status`` counts them.
"""

from __future__ import annotations

from collections.abc import Callable
from hashlib import blake2b
from typing import Final

import msgspec

from smppd.smpp.constants import MESSAGE_STATE_UNKNOWN
from smppd.store import keys
from smppd.store.addresses import bare_digits
from smppd.store.changes import ReceiptArrived
from smppd.store.environment import Table
from smppd.store.records import (
    QUEUED,
    SENT,
    TAKEN,
    UNCERTAIN,
    UNCONFIRMED,
    Message,
    first_sent_at,
)

CANDIDATES_MAX: Final = 64
"""Newest segments to one phone that are looked at for one receipt: a disk read each."""

SPREAD_MILLISECONDS: Final = 600_000
"""Between the oldest and the newest message that one receipt may mean (rule 4)."""

QUOTE_CHARACTERS_MIN: Final = 8
"""Of text in a receipt, for it to tell messages apart; appendix B quotes the first 20."""

PATIENCE_MILLISECONDS: Final = 5_000
"""A receipt that came before its submit_sm_resp is looked at again so much later."""

DIGEST_OCTETS: Final = 8
"""Of blake2b: two receipts to one phone that share them by chance are not seen in a lifetime."""

_OPEN: Final = (QUEUED, SENT, UNCERTAIN, UNCONFIRMED)


class Fit(msgspec.Struct, frozen=True):
    """The segment a receipt is for, the oldest of so many ``messages`` it could mean; 0: that one
    has its receipt. An empty ``tag``: they are too far apart to guess between."""

    tag: bytes
    messages: int


class _Waiting(msgspec.Struct, frozen=True):
    """A segment without a receipt, and its message."""

    tag: bytes
    message: Message
    taken_at: int


class Awaited:
    """Mutates only inside a commit; ``read_message`` gives a message, or None."""

    def __init__(self, table: Table, read_message: Callable[[int], Message | None]) -> None:
        self._table = table
        self._read_message = read_message
        self._fresh: dict[bytes, list[bytes]] = {}

    def add(self, message: Message, tag: bytes) -> None:
        """The carrier took a segment, and owes a receipt for it."""
        prefix = keys.doubt_prefix(message.carrier, message.to)
        self._table.put(prefix + tag, b"")
        self._fresh.setdefault(prefix, []).append(prefix + tag)

    def flush(self) -> None:
        """From the next commit on range reads see what this one has added."""
        self._fresh.clear()

    def settle(self, message: Message, tag: bytes, arrived: ReceiptArrived) -> None:
        """The segment has its receipt: a final one."""
        key = keys.doubt_prefix(message.carrier, message.to) + tag
        self._table.put(key, _digest(arrived))

    def forget(self, message: Message, tag: bytes) -> None:
        """Nothing of the message's number is to be left."""
        self._table.delete(keys.doubt_prefix(message.carrier, message.to) + tag)

    def find(
        self, arrived: ReceiptArrived, receipt_timeout: int, *, has_waited: bool = False
    ) -> Fit | None:
        """The segment this receipt is for, or None where none waits that it could be for;
        ``receipt_timeout`` in seconds is how long a carrier has for one. Only one that
        ``has_waited`` can be older than the segment: the clock may have been set back since."""
        digest = _digest(arrived)
        waiting: list[_Waiting] = []
        settled: list[bytes] = []
        for key in self._keys_of(arrived):
            value, tag = self._table.get(key), key[-keys.TAG_BYTES :]
            if value == digest and self._is_again(tag, arrived):
                return Fit(tag, 0)
            if value:
                settled.append(tag)
            elif value == b"" and (one := self._read(tag, arrived, receipt_timeout)) is not None:
                index = keys.unpack_tag(tag)[1]
                if not has_waited or first_sent_at(one.message, index) <= arrived.at:
                    waiting.append(one)
        words = (arrived.receipt.text or "").strip()
        if not waiting or len(words) < QUOTE_CHARACTERS_MIN:
            return _choose(waiting)
        quoted = [one for one in waiting if words in one.message.text]
        if not quoted and (tag_quoted := self._find_quoted(settled, words)) is not None:
            return Fit(tag_quoted, 0)
        return _choose(quoted or waiting)

    def _find_quoted(self, settled: list[bytes], words: str) -> bytes | None:
        """The segment of a message with these words that has its receipt already."""
        for tag in settled:
            message = self._read_message(keys.unpack_tag(tag)[0])
            if message is not None and words in message.text:
                return tag
        return None

    def _keys_of(self, arrived: ReceiptArrived) -> list[bytes]:
        """The newest rows of the phone, on disk and of this commit."""
        prefix = keys.doubt_prefix(arrived.carrier, bare_digits(arrived.source))
        found: dict[bytes, None] = {}
        for key in self._table.keys_before(prefix + b"\xff" * keys.TAG_BYTES):
            if not key.startswith(prefix) or len(found) == CANDIDATES_MAX:
                break
            found[bytes(key)] = None
        fresh = self._fresh.get(prefix, ())
        return [*found, *(key for key in fresh[-CANDIDATES_MAX:] if key not in found)]

    def _is_again(self, tag: bytes, arrived: ReceiptArrived) -> bool:
        """Whether the receipt that settled a segment is this one, and not one of the same words:
        without a date in it, it is only for a while."""
        number, index = keys.unpack_tag(tag)
        message = self._read_message(number)
        if message is None:  # it has aged out before its row
            return False
        is_dated = bool(arrived.receipt.done_date or arrived.receipt.submit_date)
        return is_dated or arrived.at <= message.parts[index].receipt_at + SPREAD_MILLISECONDS

    def _read(self, tag: bytes, arrived: ReceiptArrived, receipt_timeout: int) -> _Waiting | None:
        number, index = keys.unpack_tag(tag)
        message = self._read_message(number)
        if message is None or message.state not in _OPEN:
            return None
        sender, part = arrived.destination, message.parts[index]
        if sender and bare_digits(message.addr) != bare_digits(sender):
            return None
        is_waiting = part.state == TAKEN and part.receipt_state in (-1, MESSAGE_STATE_UNKNOWN)
        is_late = part.answered_at < arrived.at - receipt_timeout * 1000
        if not is_waiting or (is_late and message.receipt_deadline < arrived.at):
            return None
        return _Waiting(tag, message, part.answered_at)


def _choose(waiting: list[_Waiting]) -> Fit | None:
    """Rule 4; of one message its first segment that waits."""
    if not waiting:
        return None
    waiting.sort(key=lambda one: (one.taken_at, one.tag))
    messages = len({one.message.id for one in waiting})
    if messages > 1 and waiting[-1].taken_at - waiting[0].taken_at > SPREAD_MILLISECONDS:
        return Fit(b"", messages)
    return Fit(waiting[0].tag, messages)


def _digest(arrived: ReceiptArrived) -> bytes:
    """Of all that a receipt says of itself; never empty."""
    receipt = arrived.receipt
    said = f"{receipt.ids} {receipt.state} {arrived.destination}".encode("utf-8", "replace")
    return blake2b(receipt.raw + said, digest_size=DIGEST_OCTETS).digest()
