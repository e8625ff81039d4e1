"""``smppd``, with every pass of its loop and every collection of garbage written down.

Run by ``bench.pauses`` as ``python -m bench.watched FILE run --config DIR``: the words after FILE
are ``smppd``'s own, and what runs is the daemon as it is. At its end FILE holds a ``Recording`` as
MessagePack. Times are CLOCK_MONOTONIC's, which all processes of a host share.

With ``SMPPD_BENCH_STACKS=1`` a thread looks every STACK_SECONDS at what a pass is doing that is
longer than that. SIGUSR1 makes it collect all garbage there is, at once.
"""

from __future__ import annotations

import atexit
import gc
import os
import signal
import sys
import threading
import time
from array import array
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Final

import msgspec
import trio

STACKS_VARIABLE: Final = "SMPPD_BENCH_STACKS"

STACK_SECONDS: Final = 0.003
"""A third of what no pass may take: at least two stacks of each that does."""

FRAMES_SHOWN: Final = 4
"""Of a stack, the innermost of ours: what is done, and for whom."""


class Collection(msgspec.Struct, array_like=True):
    """One pass of the garbage collector: when it began, over which generation, its seconds."""

    at: float
    generation: int
    seconds: float


class Stack(msgspec.Struct, array_like=True):
    """What the loop did at one time."""

    at: float
    frames: str


class Recording(msgspec.Struct):
    """Passes in their order: when each began, its seconds by the clock, and in CPU time."""

    began: list[float]
    wall: list[float]
    cpu: list[float]
    collections: list[Collection]
    stacks: list[Stack]


class Recorder(trio.abc.Instrument):
    """Writes down in memory what it is told; ``save`` writes it to a file."""

    def __init__(self) -> None:
        self._began, self._wall, self._cpu = array("d"), array("d"), array("d")
        self._cpu_began = self._collecting_since = 0.0
        self._collections: list[Collection] = []
        self._stacks: list[Stack] = []
        self.in_pass_since = 0.0

    def after_io_wait(self, timeout: float) -> None:
        """A pass begins."""
        self.in_pass_since = time.perf_counter()
        self._cpu_began = time.thread_time()

    def before_io_wait(self, timeout: float) -> None:
        """A pass has ended."""
        cpu, now = time.thread_time(), time.perf_counter()
        if self.in_pass_since:
            self._began.append(self.in_pass_since)
            self._wall.append(now - self.in_pass_since)
            self._cpu.append(cpu - self._cpu_began)
        self.in_pass_since = 0.0

    def collect(self, phase: str, info: dict[str, int]) -> None:
        """A ``gc.callbacks``."""
        if phase == "start":
            self._collecting_since = time.perf_counter()
        else:
            seconds = time.perf_counter() - self._collecting_since
            one = Collection(self._collecting_since, info["generation"], seconds)
            self._collections.append(one)

    def look(self, loop: int) -> None:
        """The thread that looks at long passes; ``loop`` is the loop's own thread."""
        while True:
            time.sleep(STACK_SECONDS)
            since, now = self.in_pass_since, time.perf_counter()
            if since and now - since > STACK_SECONDS:
                frame = sys._current_frames().get(loop)
                self._stacks.append(Stack(now, _describe(frame)))

    def save(self, path: Path) -> None:
        """Writes what there is."""
        recording = Recording(
            list(self._began),
            list(self._wall),
            list(self._cpu),
            self._collections,
            self._stacks,
        )
        path.write_bytes(msgspec.msgpack.encode(recording))


def _describe(frame: FrameType | None) -> str:
    """The innermost frames of ours, the innermost first."""
    found: list[str] = []
    while frame is not None and len(found) < FRAMES_SHOWN:
        module = frame.f_globals.get("__name__", "")
        if module.startswith("smppd"):
            found.append(f"{module.removeprefix('smppd.')}.{frame.f_code.co_name}:{frame.f_lineno}")
        frame = frame.f_back
    return " < ".join(found)


def main() -> None:
    """Runs ``smppd`` with the words behind the file's name."""
    path = Path(sys.argv.pop(1))
    recorder = Recorder()
    atexit.register(recorder.save, path)
    gc.callbacks.append(recorder.collect)
    signal.signal(signal.SIGUSR1, lambda *_: gc.collect())
    if os.environ.get(STACKS_VARIABLE):
        loop = threading.get_ident()
        threading.Thread(target=recorder.look, args=(loop,), daemon=True).start()
    # The only thread between the daemon and its loop that an instrument can be hung on: what runs
    # is smppd.cli, whole.
    trio.run = partial(trio.run, instruments=[recorder])  # type: ignore[assignment]  # as above
    from smppd.cli import app

    app(prog_name="smppd")


if __name__ == "__main__":
    main()
