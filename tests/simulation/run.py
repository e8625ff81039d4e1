"""The command: one seed, or seeds for a while, on as many processes as there are cores."""

from __future__ import annotations

import argparse
import gc
import io
import os
import queue
import subprocess
import sys
import threading
import time
import traceback
from collections import Counter
from typing import Final

import msgspec

from smppd import log
from tests.simulation.world import Failure, Report, simulate

REPORT: Final = "report "
"""What a line of a process for its parent begins with."""


def main() -> int:
    """0: every seed held; 1: one did not, and the last lines say which."""
    given = read_arguments()
    log.configure(given.log or "error", sys.stderr if given.log else io.StringIO())
    processes = given.processes or os.cpu_count() or 1
    if processes > 1 and given.seed is None:
        return run_side_by_side(given, processes)
    total = Total()
    began = time.monotonic()
    seed = given.first if given.seed is None else given.seed
    while True:
        report = try_seed(seed, given.seconds, frozenset(given.without))
        if report is None:
            return 1
        total.add(report)
        if given.verbose or given.seed is not None:
            print(describe(report), flush=True)
        if given.child:
            print(REPORT + msgspec.json.encode(report).decode(), flush=True)
        seed += given.step
        if given.seed is not None or (given.count and total.seeds >= given.count):
            break
        is_timed = given.limit or not given.count
        if is_timed and time.monotonic() - began >= given.limit:
            break
    if not given.child:
        print(total.describe(time.monotonic() - began))
    return 0


def read_arguments() -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seed", type=int, help="this one alone")
    parser.add_argument("--first", type=int, default=int(time.time()), help="the first of many")
    parser.add_argument("--count", type=int, default=0, help="so many seeds")
    parser.add_argument(
        "--for", dest="limit", type=float, default=0.0, help="seeds for so many seconds, or inf"
    )
    parser.add_argument("--processes", type=int, default=1, help="0: one a core")
    parser.add_argument("--seconds", type=float, default=0.0, help="of trouble; else drawn")
    parser.add_argument("--without", action="append", default=[], help="a kind of fault, repeated")
    parser.add_argument("--log", default="", choices=["", *log.LEVELS], help="the daemon's log")
    parser.add_argument("--verbose", action="store_true", help="a line a seed")
    parser.add_argument("--step", type=int, default=1, help=argparse.SUPPRESS)
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


def try_seed(seed: int, seconds: float, without: frozenset[str]) -> Report | None:
    """One world; None where it failed, and everything about it was printed."""
    gc.unfreeze()  # every life of a daemon keeps what it finds from the collector (daemon/garbage)
    gc.collect()
    try:
        return simulate(seed, seconds=seconds, without=without)
    except Failure as failure:
        print(failure)
    except Exception as error:
        print("".join(traceback.format_exception(error)))
        print(f"seed {seed}: {error!r}")
    options = "".join(f' --without "{kind}"' for kind in sorted(without))
    options += f" --seconds {seconds:g}" if seconds else ""
    print(f"reproduce: python -m tests.simulation --seed {seed}{options}", flush=True)
    return None


def run_side_by_side(given: argparse.Namespace, processes: int) -> int:
    """Every process takes its share of the seeds; the first failure is told, and ends them all."""
    began = time.monotonic()
    command = [sys.executable, "-m", "tests.simulation", "--child", f"--step={processes}"]
    command += [f"--for={given.limit}", f"--seconds={given.seconds}"]
    command += [f"--count={-(-given.count // processes)}"]
    command += [f"--without={kind}" for kind in given.without]
    children = [
        subprocess.Popen(
            [*command, f"--first={given.first + n}"], stdout=subprocess.PIPE, text=True
        )
        for n in range(processes)
    ]
    lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
    readers = [threading.Thread(target=read_lines, args=(child, lines)) for child in children]
    for reader in readers:
        reader.start()
    total, running = Total(), len(children)
    while running:
        line = lines.get()
        if line is None:
            running -= 1
            if any(child.poll() for child in children):
                for child in children:  # one seed is enough to look at
                    child.terminate()
        elif line.startswith(REPORT):
            total.add(msgspec.json.decode(line.removeprefix(REPORT), type=Report))
        else:
            print(line, end="", flush=True)
    print(total.describe(time.monotonic() - began))
    return int(any(child.wait() == 1 for child in children))


def read_lines(child: subprocess.Popen[str], lines: queue.SimpleQueue[str | None]) -> None:
    """Hands on what the child writes; None once it has ended."""
    assert child.stdout is not None, "it was asked for"
    for line in child.stdout:
        lines.put(line)
    child.wait()
    lines.put(None)


class Total:
    """Over all seeds of a run."""

    def __init__(self) -> None:
        self.seeds = 0
        self.hours = 0.0
        self.counts: Counter[str] = Counter()
        self.faults: Counter[str] = Counter()

    def add(self, report: Report) -> None:
        """One seed more."""
        self.seeds += 1
        self.hours += report.seconds / 3600
        self.faults.update(report.faults)
        self.counts.update(
            lives=report.lives,
            commits=report.commits,
            submits=report.submits,
            messages=report.messages,
        )

    def describe(self, seconds: float) -> str:
        """A line of sums, and the faults by kind."""
        rate = self.hours / max(seconds / 3600, 1e-9)
        sums = " ".join(f"{name}={count}" for name, count in sorted(self.counts.items()))
        lines = [
            f"{self.seeds} seeds held in {seconds:.0f} s: {self.hours:.1f} simulated hours"
            f" ({rate:.0f} an hour), {sums}, faults={sum(self.faults.values())}"
        ]
        lines += [f"  {count:6} {kind}" for kind, count in sorted(self.faults.items())]
        return "\n".join(lines)


def describe(report: Report) -> str:
    """One seed in a line."""
    endings = ", ".join(f"{count} {how}" for how, count in sorted(report.endings.items()))
    return (
        f"seed {report.seed}: {report.digest} {report.seconds:.0f} s, {report.messages} messages,"
        f" {report.submits} submits, {report.commits} commits, {report.lives} lives ({endings}),"
        f" {sum(report.faults.values())} faults"
    )
