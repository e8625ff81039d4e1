"""The tables that follow from the messages, built from them: a salvaged store agrees with itself.

``queue``, ``grants`` and ``tags`` are empty when it begins and are built whole. The others hold
what could be read, and get what is missing where rows were lost. A ref that was lost is bound
to its message again without its digest: the same submit is answered ``ref_conflict`` then, which
sends nothing twice. Rows of ``awaited`` that were lost stay lost: whose receipts are found by
address only the configuration knows, so those messages end ``unconfirmed``.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from typing import Final

import msgspec

from smppd.store import eventlog, keys, life
from smppd.store.deadlines import Deadlines
from smppd.store.environment import Environment
from smppd.store.eventlog import Cursor
from smppd.store.grants import Grants
from smppd.store.layout import META_SCHEMA
from smppd.store.matching import Matching
from smppd.store.reassembly import MARK
from smppd.store.records import (
    GRANTED,
    QUEUED,
    SCHEMA_VERSION,
    SENT,
    TAKEN,
    Message,
    decode_inbound_part,
    decode_message,
    decode_unmatched,
    encode_record,
)
from smppd.store.retention import META_FORGOTTEN
from smppd.store.tags import Tags
from smppd.store.waiting import queue_key_of

SLICE: Final = 5_000
"""Rows looked at in a transaction."""

_META_LAST_ID: Final = b"last_id"
_REFS: Final = frozenset({"refs", "refs_journal", "refs_runs"})
_SMSC_IDS: Final = frozenset({"smsc_ids", "smsc_ids_journal", "smsc_ids_runs"})


class Rebuilt(msgspec.Struct):
    """``rows`` built, by table; ``lost`` are ids that something names and no message has, ``names``
    the app and ref of those whose ref is known."""

    rows: dict[str, int] = {}
    lost: set[int] = set()
    names: dict[int, tuple[str, str]] = {}


class Rebuilding:
    """See the module. ``harmed`` are the tables that have lost rows; ``named`` the ids of messages
    that rows of the old store named."""

    def __init__(self, environment: Environment, harmed: frozenset[str], named: set[int]) -> None:
        self._environment = environment
        self._tables = environment.tables
        self._harmed = harmed
        self._named = named
        self._last_id = 0
        self._numbers = count(1)
        self._built = Rebuilt()
        self._grants = Grants(self._tables["grants"])
        self._tags = Tags(self._tables["tags"])
        self._deadlines = Deadlines(self._tables["deadlines"])

    def run(self) -> Rebuilt:
        """Builds them all; every transaction is its own."""
        for rows in self._slices("messages"):
            for _, value in rows:
                self._add(decode_message(value))
            self._deadlines.flush(lambda: next(self._numbers))
        for rows in self._slices("unmatched"):
            self._add_unmatched(rows)
        for rows in self._slices("inbound_parts"):
            self._add_inbound_parts(rows)
        for rows in self._slices("refs"):
            self._drop_refs(rows)
        self._begin()
        self._find_lost()
        self._grants.flush()
        self._tags.flush()
        self._mend_meta()
        self._environment.commit()
        return self._built

    def _begin(self) -> None:
        self._environment.begin(write=True)

    def _slices(self, table: str) -> Iterator[list[tuple[bytes, bytes]]]:
        """All rows of a table; what is done with each slice is committed."""
        start: bytes | None = b""
        while start is not None:
            self._begin()
            found: list[tuple[bytes, bytes]] = []
            following = None
            for key, value in self._tables[table].rows_from(start):
                if len(found) == SLICE:
                    following = key
                    break
                found.append((key, value))
            yield found
            self._environment.commit()
            start = following

    def _put(self, table: str, key: bytes, value: bytes) -> None:
        self._tables[table].put(key, value)
        self._count(table)

    def _count(self, table: str) -> None:
        self._built.rows[table] = self._built.rows.get(table, 0) + 1

    # -- from a message ---

    def _add(self, message: Message) -> None:
        self._last_id = message.id
        if message.queue_group:
            self._put("queue", queue_key_of(message), b"")
        if message.tag is not None:
            self._tags.add(message)
            self._count("tags")
        for index, part in enumerate(message.parts):
            if part.state == GRANTED:
                self._grants.open(message.carrier, message.bind, [keys.pack_tag(message.id, index)])
                self._count("grants")
        if "deadlines" in self._harmed and message.state in (QUEUED, SENT):
            self._deadlines.add(life.deadline_of(message), message.id)
            self._count("deadlines")
        if "doubts" in self._harmed:
            self._add_doubts(message)
        if self._harmed & _SMSC_IDS:
            self._add_smsc_ids(message)
        if self._harmed & _REFS:
            key = keys.ref_key(message.app, message.ref)
            if self._is_newer(message, self._tables["refs"].get(key)):
                self._put("refs", key, keys.pack_u64(message.id))

    def _is_newer(self, message: Message, bound: bytes | None) -> bool:
        """What is bound may be what an older run said of a name that was used again."""
        return bound is None or keys.read_u64(bound) < message.id

    def _add_doubts(self, message: Message) -> None:
        prefix = keys.doubt_prefix(message.carrier, message.to)
        for index, part in enumerate(message.parts):
            if part.doubted and part.state != TAKEN:
                self._put("doubts", prefix + keys.pack_tag(message.id, index), b"")

    def _add_smsc_ids(self, message: Message) -> None:
        for index, part in enumerate(message.parts):
            key = keys.smsc_key(message.carrier, part.smsc_id)
            if part.smsc_id and self._is_newer(message, self._tables["smsc_ids"].get(key)):
                self._put("smsc_ids", key, keys.pack_tag(message.id, index))

    # -- from the rest ---

    def _add_unmatched(self, rows: list[tuple[bytes, bytes]]) -> None:
        if "deadlines" not in self._harmed:
            return
        for key, value in rows:
            at = decode_unmatched(value).at + Matching.PATIENCE_MILLISECONDS
            self._deadlines.add(at, key)
            self._count("deadlines")
        self._deadlines.flush(lambda: next(self._numbers))

    def _add_inbound_parts(self, rows: list[tuple[bytes, bytes]]) -> None:
        if not {"deadlines", "inbound_parts"} & self._harmed:
            return
        for key, value in rows:
            self._deadlines.add(decode_inbound_part(value).until, MARK + key[:8])
            self._count("deadlines")
        self._deadlines.flush(lambda: next(self._numbers))

    def _drop_refs(self, rows: list[tuple[bytes, bytes]]) -> None:
        """Those of messages that are gone: they would hold a ref for nothing."""
        forgotten = self._tables["meta"].get(META_FORGOTTEN) or b""
        for key, value in rows:
            number = keys.read_u64(value)
            if self._is_gone(number):
                self._tables["refs"].delete(key)
                if value >= forgotten:
                    app, _, ref = key.decode().partition("\0")
                    self._built.names[number] = (app, ref)
                    self._named.add(number)

    def _find_lost(self) -> None:
        self._built.lost = {number for number in self._named if self._is_gone(number)}

    def _is_gone(self, number: int) -> bool:
        return self._tables["messages"].get(keys.pack_u64(number)) is None

    def _mend_meta(self) -> None:
        meta = self._tables["meta"]
        if meta.get(META_SCHEMA) is None:
            self._put("meta", META_SCHEMA, b"%d" % SCHEMA_VERSION)
        for key in self._tables["inbound"].keys_from(keys.pack_u64(self._last_id)):
            self._last_id = max(self._last_id, keys.read_u64(key))
        kept = meta.get(_META_LAST_ID)
        if kept is None or keys.read_u64(kept) < self._last_id:
            self._put("meta", _META_LAST_ID, keys.pack_u64(self._last_id))
        for app, (first, last) in self._find_events().items():
            key = eventlog.META_APP + app
            if meta.get(key) is None:
                self._put("meta", key, encode_record(Cursor(last, first - 1, first)))

    def _find_events(self) -> dict[bytes, tuple[int, int]]:
        """Of each app, the numbers of the first event that is there and of the last one."""
        found: dict[bytes, tuple[int, int]] = {}
        for key, value in self._tables["events"].rows_from(b""):
            app, last = key[:-9], keys.read_u64(key[-8:])
            first = found[app][0] if app in found else keys.read_events_head(value)[1]
            found[app] = (first, last)
        return found
