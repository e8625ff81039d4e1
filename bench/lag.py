"""A Trio loop that does nothing, and how late it does it: what the machine adds to any latency.

Run by ``bench.latency`` as ``python -m bench.lag FILE DIRECTORY`` beside the processes of a run.
Its ticks are TICK_SECONDS apart; each one's lag is how much later than due it woke. Trio asks the
kernel for whole milliseconds, rounded up, so a lag of a millisecond is no pause; whatever is above
it is the scheduler's, or another process's on this core. Ten times a second a thread writes a page
in DIRECTORY and waits for the disk, as every commit does: that is the disk's part.

It says ``ready`` at the start, and at SIGTERM it writes to FILE what it measured.
"""

from __future__ import annotations

import gc
import os
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec
import trio

from bench.report import time_fsync

TICK_SECONDS: Final = 0.001

FSYNC_SECONDS: Final = 0.1
"""Between two looks at the disk: a hundredth of what a busy daemon asks of it."""


class Samples(msgspec.Struct):
    """Durations in seconds, and when each ended, in seconds of CLOCK_MONOTONIC."""

    ended: list[float] = msgspec.field(default_factory=list)
    seconds: list[float] = msgspec.field(default_factory=list)

    def add(self, ended: float, seconds: float) -> None:
        """Keeps one."""
        self.ended.append(ended)
        self.seconds.append(seconds)

    def between(self, start: float, end: float) -> list[float]:
        """The durations that ended from ``start`` to ``end``."""
        both = zip(self.ended, self.seconds, strict=True)
        return [seconds for ended, seconds in both if start <= ended <= end]


class Machine(msgspec.Struct):
    """What was measured: how late the loop was, and how long the disk took for a page."""

    lags: Samples = msgspec.field(default_factory=Samples)
    fsyncs: Samples = msgspec.field(default_factory=Samples)


async def tick(lags: Samples) -> None:
    """Does nothing, again and again."""
    before = time.monotonic()
    while True:
        await trio.sleep(TICK_SECONDS)
        now = time.monotonic()
        lags.add(now, now - before - TICK_SECONDS)
        before = now


async def sync(fsyncs: Samples, descriptor: int) -> None:
    """Asks the disk how long it takes, again and again."""
    while True:
        await trio.sleep(FSYNC_SECONDS)
        seconds = await trio.to_thread.run_sync(time_fsync, descriptor, len(fsyncs.ended))
        fsyncs.add(time.monotonic(), seconds)


async def run(machine: Machine, descriptor: int) -> None:
    """Measures until SIGTERM."""
    with trio.open_signal_receiver(signal.SIGTERM) as signals:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(tick, machine.lags)
            nursery.start_soon(sync, machine.fsyncs, descriptor)
            print("ready", flush=True)
            await anext(signals)
            nursery.cancel_scope.cancel()


def main(arguments: Sequence[str]) -> None:
    """As the module says."""
    gc.disable()  # no pauses of its own
    file, directory = map(Path, arguments)
    machine = Machine()
    descriptor = os.open(directory / "lag.probe", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        trio.run(run, machine, descriptor)
    finally:
        os.close(descriptor)
    file.write_bytes(msgspec.msgpack.encode(machine))


if __name__ == "__main__":
    main(sys.argv[1:])
