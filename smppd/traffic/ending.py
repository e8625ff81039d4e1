"""What becomes of all that a lost bind still held, in parts of one commit each: pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from msgspec import structs

from smppd.store.changes import Change, Doubted, GivenBack

END_SEGMENTS_MAX: Final = 200
"""Of a lost bind, put back or told as doubtful in one commit: three milliseconds, where a window
of a thousand would stop the loop for fifteen."""


def cut_changes(changes: list[Change]) -> Iterator[list[Change]]:
    """The same in parts of END_SEGMENTS_MAX, a commit each. All of a message stays together, for
    what is unknown of it is told at once; and what was never written goes first, for after a crash
    between two parts all that is still granted is doubt."""
    for change in sorted(changes, key=lambda one: isinstance(one, Doubted)):
        if isinstance(change, Doubted | GivenBack):
            for tags in _cut_tags(change.tags):
                yield [structs.replace(change, tags=tags)]
        else:
            yield [change]


def _cut_tags(tags: list[bytes]) -> Iterator[list[bytes]]:
    by_message: dict[bytes, list[bytes]] = {}
    for tag in tags:
        by_message.setdefault(tag[:8], []).append(tag)
    part: list[bytes] = []
    for own in by_message.values():
        part += own
        if len(part) >= END_SEGMENTS_MAX:
            yield part
            part = []
    if part:
        yield part
