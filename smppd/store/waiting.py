"""What waits, on disk: a row a message, in groups that health and failover never move.

Invariant: a message has a row, named by its ``queue_group`` and ``queue_due``, exactly while a
segment of it is WAITING. A message that leaves in the commit that accepts it never touches the
table: rows are built at the end of the commit, or when somebody reads them.
"""

from __future__ import annotations

from smppd.store import keys
from smppd.store.environment import Table
from smppd.store.records import LANES, Message


class Waiting:
    """The ``queue`` table; mutates inside a commit only."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._unwritten: dict[int, Message] = {}
        self._count = 0

    def __len__(self) -> int:
        """Messages that wait."""
        return self._count

    def load(self) -> None:
        """Counts what was waiting at the last commit."""
        self._count = self._table.count()

    def add(self, message: Message, group: bytes) -> None:
        """Gives the message its row in ``group``, by its acceptance or its next retry."""
        if message.queue_group:
            self.remove(message)
        message.queue_due = due_of(message)
        message.queue_group = group
        self._unwritten[message.id] = message
        self._count += 1

    def remove(self, message: Message) -> None:
        """Takes the message's row away, if it has one."""
        if not message.queue_group:
            return
        if self._unwritten.pop(message.id, None) is None:
            self._table.remove(queue_key_of(message))
        message.queue_group = b""
        self._count -= 1

    def addresses(self) -> list[keys.QueueAddress]:
        """Every lane of every app in every group that has a message on disk."""
        found = []
        start = b""
        while (key := next(self._table.keys_from(start), None)) is not None:
            found.append(keys.QueueAddress(key))
            start = found[-1].prefix + b"\xff" * 17
        return found

    def rows(self, prefix: bytes, after: tuple[int, int], rows_max: int) -> list[tuple[int, int]]:
        """The first ``(due, message id)`` below ``prefix`` and after a row, as this commit
        leaves them."""
        self.flush()
        start = keys.queue_row(prefix, after) if after > (0, 0) else prefix
        pending = self._table.pending
        found = [key for key, value in pending.items() if value is not None]
        found = [key for key in found if key.startswith(prefix) and key > start]
        read = 0
        for key in self._table.keys_from(start):
            if not key.startswith(prefix) or read == rows_max:
                break
            if key not in pending and key != start:
                found.append(key)
                read += 1
        return [keys.read_queue_tail(key) for key in sorted(found)[:rows_max]]

    def flush(self) -> None:
        """Builds the rows of what still waits."""
        for message in self._unwritten.values():
            self._table.insert(queue_key_of(message), b"")
        self._unwritten.clear()


def due_of(message: Message) -> int:
    """When the message may be granted, in milliseconds: its next retry, or its acceptance."""
    return message.retry_at or message.accepted_at


def queue_key_of(message: Message) -> bytes:
    """The row of a message that has one."""
    lane = LANES[message.message_class]
    return keys.queue_key(message.queue_group, lane, message.app, message.queue_due, message.id)
