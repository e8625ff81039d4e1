"""What the machine makes of a millisecond: a fixed piece of work, timed over and over.

A host that shares its cores stretches CPU time too: neighbours take the caches, and a hypervisor's
stolen time counts as ours. So beside what is measured runs a process that does the same work
again and again, TURN_SECONDS apart. Where it needs four times as long as at its best, so does
everything else. Run by ``bench.pauses`` as ``python -m bench.yardstick FILE``; at SIGTERM it
leaves a ``Yardstick`` in FILE, as MessagePack.
"""

from __future__ import annotations

import signal
import sys
import time
from pathlib import Path
from types import FrameType
from typing import Final

import msgspec

TURN_SECONDS: Final = 0.02
"""Between two turns: a twentieth of a core, and fifty looks a second."""

WORK_SECONDS: Final = 0.001
"""Of one turn, at the best of CALIBRATIONS."""

CALIBRATIONS: Final = 200

OBJECTS: Final = 100
"""Allocated in one step of the work: Python is mostly memory."""


class Yardstick(msgspec.Struct):
    """By turn: when it began (CLOCK_MONOTONIC), and the CPU seconds of ``WORK_SECONDS``' work."""

    at: list[float]
    cpu: list[float]


def work(steps: int) -> int:
    """Makes and sorts small things, ``steps`` times."""
    total = 0
    for step in range(steps):
        made = {f"{number * 7919 % 1009}": [number] for number in range(step, step + OBJECTS)}
        total += len(sorted(made))
    return total


def measure(steps: int) -> float:
    """CPU seconds of one turn."""
    began = time.thread_time()
    work(steps)
    return time.thread_time() - began


def calibrate() -> int:
    """How many steps WORK_SECONDS are, at the best."""
    best = min(measure(10) for _ in range(CALIBRATIONS)) / 10
    return max(1, round(WORK_SECONDS / best))


def main() -> None:
    """Works until SIGTERM."""
    path = Path(sys.argv[1])
    done = Yardstick([], [])

    def end(_number: int, _frame: FrameType | None) -> None:
        path.write_bytes(msgspec.msgpack.encode(Yardstick(done.at[: len(done.cpu)], done.cpu)))
        sys.exit(0)

    signal.signal(signal.SIGTERM, end)
    steps = calibrate()
    while True:
        done.at.append(time.perf_counter())
        done.cpu.append(measure(steps))
        time.sleep(TURN_SECONDS)


if __name__ == "__main__":
    main()
