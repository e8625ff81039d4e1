"""The messages: the one decoded copy of each that is in use, and its row.

Numbered invariants:

1. ``_live`` holds the one copy of a message in memory; it leaves only between commits.
2. Whoever changes a message inside a commit calls ``touch``; its row is written once.
"""

from __future__ import annotations

from typing import Final

from smppd.store import keys
from smppd.store.environment import Table
from smppd.store.records import DONE, Message, decode_message, encode_record

LIVE_MAX: Final = 20_000
"""Messages kept decoded, at about 1 KB each; older ones are read back when their receipt comes."""


class Messages:
    """``messages`` by id; reads need an open transaction, changes a writing one."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._live: dict[int, Message] = {}
        self._dirty: dict[int, Message] = {}

    def __len__(self) -> int:
        """Messages in memory."""
        return len(self._live)

    def add(self, message: Message) -> None:
        """A new message."""
        self._live[message.id] = self._dirty[message.id] = message

    def touch(self, message: Message) -> None:
        """The message was changed."""
        self._dirty[message.id] = message

    def get(self, message_id: int) -> Message | None:
        """The message, not to be kept beyond the commit; or None."""
        message = self._live.get(message_id)
        if message is None:
            message = self.peek(message_id)
            if message is not None:
                self._live[message_id] = message
        return message

    def get_live(self, message_id: int) -> Message | None:
        """The message if it is in memory; needs no transaction."""
        return self._live.get(message_id)

    def peek(self, message_id: int) -> Message | None:
        """The message without keeping it in memory: a query must not push live ones out."""
        message = self._live.get(message_id)
        if message is not None:
            return message
        value = self._table.get(keys.pack_u64(message_id))
        return None if value is None else decode_message(value)

    def delete(self, message: Message) -> None:
        """An aged message goes."""
        self._table.delete(keys.pack_u64(message.id))
        self._live.pop(message.id, None)
        self._dirty.pop(message.id, None)

    def flush(self) -> None:
        """Writes the rows of what was touched."""
        self._table.put_all(
            {keys.pack_u64(number): encode_record(one) for number, one in self._dirty.items()}
        )

    def settled(self) -> None:
        """Between commits: what is final leaves memory, and the oldest where there is much."""
        live = self._live
        for message_id, message in self._dirty.items():
            if message.state >= DONE:
                live.pop(message_id, None)
        self._dirty.clear()
        while len(live) > LIVE_MAX:
            del live[next(iter(live))]
