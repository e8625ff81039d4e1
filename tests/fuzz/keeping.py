"""What of a run's inputs is worth a file: the smallest that reach a place none before did.

Places are steps from one line of ``smppd`` to the next, as the interpreter reports them.
libFuzzer's own merge starts its target anew as a program, which a module of Python is not.
"""

from __future__ import annotations

import sys
from pathlib import Path
from types import FrameType
from typing import Any, Final, TypeAlias

import smppd
from tests.fuzz.targets import CORPUS, TARGETS, Target

PACKAGE: Final = str(Path(smppd.__file__).parent)
OCTETS_MAX: Final = 1024
"""Of a file that is taken in; found by hand they may be longer."""

FILES_MAX: Final = 60
"""Taken in of one target: the corpus is replayed in the suite, in a second or two."""

Step: TypeAlias = tuple[str, int, int]


def keep(name: str, found: Path) -> list[Path]:
    """Copies into the corpus of ``name`` what ``found`` has to add; the new files."""
    target, kept = TARGETS[name], CORPUS / name
    target(b"")  # what is done once is no place that an input has reached
    seen: set[Step] = set()
    for path in sorted(kept.iterdir()):
        seen |= trace(target, path.read_bytes())
    added: list[Path] = []
    for path in sorted(found.iterdir(), key=lambda path: (path.stat().st_size, path.name)):
        data = path.read_bytes()
        if len(data) > OCTETS_MAX or len(added) == FILES_MAX:
            break
        reached = trace(target, data)
        if not reached <= seen:
            seen |= reached
            added.append(kept / path.name[:12])
            added[-1].write_bytes(data)
    return added


def trace(target: Target, data: bytes) -> set[Step]:
    """The steps that ``data`` takes through the package."""
    steps: set[Step] = set()
    last: dict[FrameType, int] = {}

    def note(frame: FrameType, event: str, _argument: Any) -> Any:
        if not frame.f_code.co_filename.startswith(PACKAGE):
            return None
        if event == "line":
            steps.add((frame.f_code.co_filename, last.get(frame, 0), frame.f_lineno))
            last[frame] = frame.f_lineno
        return note

    sys.settrace(note)
    try:
        target(data)
    finally:
        sys.settrace(None)
    return steps
