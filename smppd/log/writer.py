"""Whole lines to a descriptor that perhaps nobody reads, without anybody waiting for it.

Who logs leaves a line in a bounded queue and goes on; a thread of its own writes them, so a full
pipe, a slow disk or a stopped journal blocks that thread and nothing else. What finds the queue
full is dropped, as a whole line, and counted; the count is written as a line of its own as soon as
lines flow again, in the very place where they are missing.

It does not know what is in a line, nor levels, nor time. A thread and no non-blocking descriptor:
O_NONBLOCK would be shared with every process that has the same pipe or file open, and a file on a
slow disk blocks all the same.
"""

from __future__ import annotations

import os
import select
import threading
from collections.abc import Callable
from typing import Final

QUEUE_LINES_MAX: Final = 10_000
"""Lines waiting for their reader: an hour of a busy daemon at info."""

QUEUE_BYTES_MAX: Final = 2 * 1024 * 1024
"""Octets waiting for their reader, the batch that is being written among them: a line is some 200,
a traceback some thousands."""

FLUSH_SECONDS_MAX: Final = 1.0
"""At exit, for a reader that is merely slow; one that does not read at all holds up no end."""


class LineWriter:
    """Writes lines to ``descriptor``; ``render_dropped`` makes the line that says how many are
    missing. The descriptor stays the caller's: it is never closed here."""

    def __init__(self, descriptor: int, render_dropped: Callable[[int], bytes]) -> None:
        self._descriptor = descriptor
        self._render_dropped = render_dropped
        self._lines: list[bytes] = []
        self._bytes = 0
        self._dropped = 0
        self._told = 0
        self._is_owing = False
        self._is_writing = False
        self._is_torn = False
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    @property
    def dropped(self) -> int:
        """Lines dropped since start."""
        return self._dropped

    def put(self, line: bytes) -> None:
        """Takes a line, its end included; never waits. It is written, or dropped and counted."""
        with self._changed:
            is_full = len(self._lines) >= QUEUE_LINES_MAX
            if is_full or self._bytes + len(line) > QUEUE_BYTES_MAX:
                self._dropped += 1
                self._is_owing = True
                return
            self._lines.append(line)
            self._bytes += len(line)
            if self._thread is None:
                # A daemon thread: blocked for good, it must not hold up the end of the process.
                self._thread = threading.Thread(target=self._run, name="log", daemon=True)
                self._thread.start()
            self._changed.notify_all()

    def flush(self, seconds: float = FLUSH_SECONDS_MAX) -> bool:
        """Waits until all there is has been written, at most so long; whether it has been."""
        with self._changed:
            return self._changed.wait_for(
                lambda: not self._is_writing and not self._work(), seconds
            )

    def _work(self) -> bool:
        return bool(self._lines) or self._is_owing

    def _run(self) -> None:
        """The thread: one batch after the other, for ever."""
        while True:
            with self._changed:
                self._changed.wait_for(self._work)
                lines, self._lines = self._lines, []
                dropped, self._is_owing = self._dropped, False
                self._is_writing = True
            data = b"".join(lines)
            lost = self._write(data)
            # The next batch is younger than what was dropped, this one is older.
            if dropped > self._told and not lost:
                notice = self._render_dropped(dropped - self._told)
                self._told = self._told if self._write(notice) else dropped
            with self._changed:
                self._dropped += lost
                self._bytes -= len(data)
                self._is_writing = False
                self._changed.notify_all()

    def _write(self, data: bytes) -> int:
        """Writes whole lines; how many are lost: the reader is gone, or the disk is full."""
        if self._is_torn and self._write_octets(b"\n"):
            return data.count(b"\n")
        rest = self._write_octets(data)
        written = data[: len(data) - len(rest)]
        self._is_torn = bool(rest and written) and not written.endswith(b"\n")
        return rest.count(b"\n")

    def _write_octets(self, data: bytes) -> bytes:
        """What could not be written of ``data``."""
        rest = memoryview(data)
        while rest:
            try:
                rest = rest[os.write(self._descriptor, rest) :]
            except BlockingIOError:  # somebody who has it too has set O_NONBLOCK
                select.select((), (self._descriptor,), ())
            except OSError:
                break
        return bytes(rest)
