"""A program of another house that answers questions: one line of JSON in, one line out.

It ends with its standard input, so with the tests, however they end.
"""

from __future__ import annotations

import shutil
import subprocess
from types import TracebackType
from typing import Generic, TypeVar

import msgspec

from tests.processes import STOP_SECONDS_MAX

_Answer = TypeVar("_Answer")


class Oracle(Generic[_Answer]):
    """``program`` with ``arguments``; its answers are read as ``answer_type``."""

    def __init__(self, answer_type: type[_Answer], program: str, *arguments: str) -> None:
        self._read = msgspec.json.Decoder(answer_type).decode
        self._process = subprocess.Popen(
            [shutil.which(program) or program, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )

    def __enter__(self) -> Oracle[_Answer]:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.communicate(timeout=STOP_SECONDS_MAX)

    def ask(self, question: object) -> _Answer:
        """Its answer; AssertionError where it ended instead."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(msgspec.json.encode(question) + b"\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, f"{self._process.args!r} ended instead of answering"
        return self._read(line)
