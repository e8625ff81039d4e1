"""What a killed daemon left on disk, read by nobody but LMDB, and held against the carriers.

Every kill leaves a copy of the data file. ``python -m lmdb verify`` looks at each, beside the next
run of the daemon. What the copy says of grants and messages is the truth about what the daemon
knew; what the carriers read by then is the truth about what it did.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Final

import lmdb
import msgspec

from smppd.store.records import (
    GRANTED,
    TAKEN,
    Inbound,
    Message,
    decode_inbound,
    decode_message,
)
from tests.crash.wire import Part

TAG_OCTETS: Final = 10
"""Of a row of ``grants``: message id (8) and segment (2) for each open grant."""

CHECKSUM_OCTETS: Final = 4
"""At the end of every value, where ``meta`` has a row ``checksums``."""

TABLES_MAX: Final = 40

CLOSED: Final = ("doubted", "throttled", "retried", "refused")
"""The steps of a trace by which a submit_sm has ended."""


class Tag(msgspec.Struct, frozen=True, order=True):
    """One segment, as the store names it."""

    message_id: int
    index: int


class Left(msgspec.Struct):
    """A store at rest. ``grants`` by carrier and bind."""

    grants: dict[str, list[Tag]] = {}
    messages: dict[int, Message] = {}
    inbound: list[Inbound] = []
    unmatched: set[str] = set()

    def tags(self) -> set[Tag]:
        """Every open grant."""
        return {tag for tags in self.grants.values() for tag in tags}

    def of_ref(self, ref: str) -> list[Message]:
        """The messages of that ref: never more than one."""
        return [message for message in self.messages.values() if message.ref == ref]


def read_left(data: Path) -> Left:
    """The store in the file ``data``; an empty one where it was killed before it had tables."""
    if not data.exists() or not data.stat().st_size:
        return Left()
    with lmdb.open(
        str(data), subdir=False, readonly=True, lock=False, max_dbs=TABLES_MAX, lib_version=0
    ) as environment:
        try:
            names = ("meta", "grants", "messages", "inbound", "unmatched")
            rows = {name: _rows(environment, name) for name in names}
        except lmdb.NotFoundError:
            return Left()
    cut = -CHECKSUM_OCTETS if b"checksums" in rows["meta"] else None
    return Left(
        {slot.decode(): _tags(packed[:cut]) for slot, packed in rows["grants"].items()},
        {one.id: one for one in (decode_message(row[:cut]) for row in rows["messages"].values())},
        [decode_inbound(row[:cut]) for row in rows["inbound"].values()],
        {key.decode().partition("\0")[2] for key in rows["unmatched"]},
    )


def count_doubts(message: Message | None, index: int) -> int:
    """How often a submit_sm of that segment went unanswered."""
    steps = [] if message is None else message.steps
    return sum(step.step == "doubted" and step.segment == index for step in steps)


class Kill(msgspec.Struct):
    """One kill: the store it left, and what the carriers had read of each segment by then."""

    left: Left
    seen: Counter[Part]

    def part_of(self, tag: Tag) -> Part:
        """The segment as carriers name it."""
        return Part(self.left.messages[tag.message_id].to, tag.index)

    def ended(self, tag: Tag) -> int:
        """How many submit_sm of that segment the store knows the end of."""
        message = self.left.messages[tag.message_id]
        steps = [step for step in message.steps if step.segment == tag.index]
        is_taken = message.parts[tag.index].state == TAKEN
        return sum(step.step in CLOSED for step in steps) + is_taken

    def truth(self) -> set[Tag]:
        """The segments whose last submit_sm a carrier has read and the store knows no end of."""
        return {
            tag
            for message in self.left.messages.values()
            for tag in (Tag(message.id, index) for index in range(len(message.parts)))
            if self.seen[self.part_of(tag)] > self.ended(tag)
        }

    def excess(self) -> set[Tag]:
        """What will be flagged though no carrier has seen it: it may have been in a socket."""
        return self.left.tags() - self.truth()

    def problems(self) -> dict[Tag, str]:
        """Where the store says less than the carriers know, or says it twice."""
        tags = self.left.tags()
        wrong = dict.fromkeys(self.truth() - tags, "a carrier had it, and no grant says so")
        for tag in tags:
            message = self.left.messages.get(tag.message_id)
            if message is None or message.parts[tag.index].state != GRANTED:
                wrong[tag] = "an open grant names a segment that is not granted"
        for tag, count in Counter(one for row in self.left.grants.values() for one in row).items():
            if count > 1:
                wrong[tag] = "two binds have a grant for it"
        return wrong

    def missed(self, later: Left) -> dict[Tag, str]:
        """Open grants of this kill that the next start did not make doubts, once each."""
        return {
            tag: "was granted at a kill, and no doubt came of it"
            for tag in self.left.tags()
            if count_doubts(later.messages.get(tag.message_id), tag.index)
            <= count_doubts(self.left.messages[tag.message_id], tag.index)
        }


class Verifier:
    """``python -m lmdb verify`` on copies of the data file, beside the next run of the daemon."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._running: list[subprocess.Popen[str]] = []
        self._copies = 0

    def copy(self, state: Path) -> Path:
        """What a killed daemon left, to be read at leisure; it is being verified."""
        data = state / "data.mdb"
        self._copies += 1
        copy = self._directory / f"killed-{self._copies}.mdb"
        if data.exists() and data.stat().st_size:  # else killed before there was a store
            shutil.copyfile(data, copy)
            command = [sys.executable, "-m", "lmdb", "verify", "-s", str(copy)]
            self._running.append(
                subprocess.Popen(
                    command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
                )
            )
        return copy

    def close(self) -> None:
        """Nobody wants to know any more."""
        for process in self._running:
            process.kill()
        self.problems()

    def problems(self) -> list[str]:
        """What was wrong, over all copies."""
        outputs = [process.communicate()[0] for process in self._running]
        codes = [process.returncode for process in self._running]
        self._running.clear()
        return [output for output, code in zip(outputs, codes, strict=True) if code]


def _rows(environment: lmdb.Environment, name: str) -> dict[bytes, bytes]:
    table = environment.open_db(name.encode(), create=False)
    with environment.begin(db=table) as transaction, transaction.cursor() as cursor:
        return {bytes(key): bytes(value) for key, value in cursor}


def _tags(packed: bytes) -> list[Tag]:
    pieces = (packed[at : at + TAG_OCTETS] for at in range(0, len(packed), TAG_OCTETS))
    return [Tag(int.from_bytes(one[:8]), int.from_bytes(one[8:])) for one in pieces]
