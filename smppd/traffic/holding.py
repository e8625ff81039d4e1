"""Who is told ``held``: messages that wait for a carrier an operator has paused or drained.

A message is told once it is due and every carrier left to it is held back, and not again before
it was granted, or moved to where it is not. What comes to a held group is told at once; what
waits there already is told in batches, so that a pause of millions pauses nothing else.
"""

from __future__ import annotations

from typing import Final

from smppd.store import keys
from smppd.store.ledger import Ledger
from smppd.store.records import LANES, Message
from smppd.traffic.queue import QueueWindow
from smppd.traffic.roster import Group

HELD_ROWS_MAX: Final = 200
"""Messages told in one commit that they are held: about two milliseconds."""

HELD_CODE: Final = "carrier_paused"
"""What ``held`` says while an operator has paused or drained every carrier that is left."""


class Holding:
    """Of each held group a second view of its queues: those who are not told yet.

    ``unseen`` are groups that were held a moment ago, whose rows on disk must be found first.
    """

    def __init__(self) -> None:
        self.unseen: set[bytes] = set()
        self._windows: dict[bytes, dict[bytes, QueueWindow]] = {}  # by group, by prefix

    def set_held(self, group: Group, is_held: bool) -> None:
        """An operator spoke, or the group is no more."""
        if is_held == group.is_held:
            return
        group.is_held = is_held
        self._windows.pop(group.key, None)
        self.unseen.discard(group.key)
        if is_held:
            self.unseen.add(group.key)

    def find(self, address: keys.QueueAddress) -> None:
        """Rows on disk of a group that is held."""
        windows = self._windows.setdefault(address.group, {})
        windows[address.prefix] = QueueWindow(address.prefix, on_disk=True)

    def hold(self, ledger: Ledger, group: Group, message: Message, now_ms: int) -> None:
        """A message has its row in ``group``: told now, when it is due, or not at all."""
        if not group.is_held:
            message.held = ""
        elif message.retry_at <= now_ms:
            ledger.hold(message, HELD_CODE)
        else:
            prefix = keys.queue_prefix(group.key, LANES[message.message_class], message.app)
            windows = self._windows.setdefault(group.key, {})
            windows.setdefault(prefix, QueueWindow(prefix)).push(message.queue_due, message.id)

    def tell(self, ledger: Ledger, now_ms: int) -> int | None:
        """Tells a batch of those who waited already, as they fall due; when more are (ms)."""
        left = HELD_ROWS_MAX
        dues = []
        for key, windows in list(self._windows.items()):
            for prefix, window in list(windows.items()):
                while left and (message_id := window.pop(now_ms, ledger.queue_rows)) is not None:
                    left -= 1
                    message = ledger.message(message_id)
                    if message is not None and message.queue_group == key:
                        ledger.hold(message, HELD_CODE)
                due = window.due_at(now_ms)
                if due is None:
                    del windows[prefix]
                else:
                    dues.append(due)
            if not windows:
                del self._windows[key]
        return min(dues, default=None)
