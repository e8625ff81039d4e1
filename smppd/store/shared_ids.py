"""Ids that a carrier gives to several messages at once, and that therefore name none of them.

Some centres answer every submit_sm with one message_id (osmo-msc: ``msg_id_not_implemented``);
others count in so few digits that an id comes again while the message that had it still waits for
its receipt. The index has the newest message for it, and a receipt may be any other's. So an id is

1. *shared* once it was given to another message while the former one waited: a receipt by it is
   believed only where it comes from the newest one's phone, and that is not the former one's too
   while its receipt may well be on its way;
2. *constant* once CONSTANT_AFTER answers in a row shared it: it names nobody from then on.

Both also after a restart, for ``meta`` keeps them. An answer with an id of its own costs no more
than being the last one: the index sees that its key is new.
"""

from __future__ import annotations

from typing import Final

from smppd.store.environment import Table

CONSTANT_AFTER: Final = 3
"""Answers in a row that share one id: a counter of few digits comes again, never at once."""

CONSTANT_MAX: Final = 1_000
"""Constant ids kept over all carriers: each has one, or one a node."""

SHARED_MAX: Final = 10_000
"""Shared ids remembered; of more the oldest are believed again, by then most likely with reason."""

META_CONSTANT: Final = b"constant\0"
META_SHARED: Final = b"shared\0"
"""Before the key of such an id (``keys.smsc_key``) in ``meta``; a shared one's value is the tag of
the segment that had it before."""


class SharedIds:
    """Keys are ``keys.smsc_key``'s. ``constant`` names nobody; ``shared`` needs its phone, and has
    the tag of the segment that had it before, empty of one that is constant; ``last`` is what each
    carrier gave last, which whoever handles its answers keeps."""

    def __init__(self, meta: Table) -> None:
        self._meta = meta
        self.constant: set[bytes] = set()
        self.shared: dict[bytes, bytes] = {}
        self.last: dict[str, bytes] = {}
        self._in_a_row: dict[str, int] = {}

    def load(self) -> None:
        """Takes up what was shared and constant; inside a transaction."""
        for key, former in self._meta.rows_from(META_SHARED):
            if not key.startswith(META_SHARED):
                break
            self.shared[key[len(META_SHARED) :]] = former
        for key in self._meta.keys_from(META_CONSTANT):
            if not key.startswith(META_CONSTANT):
                break
            self.constant.add(bytes(key[len(META_CONSTANT) :]))
        self.shared |= dict.fromkeys(self.constant, b"")

    def note(self, carrier: str, key: bytes, former: bytes) -> bool:
        """The id went to another message while the ``former`` segment waited; True where it has
        just proved constant."""
        again = self._in_a_row.get(carrier, 0) + 1 if self.last.get(carrier) == key else 1
        self._in_a_row[carrier] = again
        if key in self.constant:
            return False
        if again >= CONSTANT_AFTER and len(self.constant) < CONSTANT_MAX:
            self.constant.add(key)
            self._meta.put(META_CONSTANT + key, b"")
            self._share(key, b"")
            return True
        self._share(key, former)
        return False

    def _share(self, key: bytes, former: bytes) -> None:
        self.shared[key] = former
        self._meta.put(META_SHARED + key, former)
        if len(self.shared) > SHARED_MAX:
            oldest = next(iter(self.shared))
            del self.shared[oldest]
            self._meta.delete(META_SHARED + oldest)
