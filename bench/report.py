"""What a throughput run comes to: ledgers, rates, costs, and which process set the pace.

Numbers in, numbers and sentences out; the host is asked once, before the first run.
"""

from __future__ import annotations

import os
import platform
import statistics
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec

from bench.centre import IdFormat, SinkLedger
from bench.ledgers import Ledgers, StoreLedger, find_faults
from bench.load import LoadResult
from bench.passes import Passes
from bench.processes import CommitCounts
from bench.submits import Encoding

FSYNC_BLOCK_BYTES: Final = 4096
"""One page: the least that LMDB makes durable."""

FSYNC_TIMES: Final = 200
"""Some tenths of a second on a common disk."""

BUSY_SHARE: Final = 0.9
"""Of a core: a process above it has no time left, and sets the pace."""


WAITED_SHARE: Final = 0.05
"""Of the time: a daemon that waited so long for a core was measured on a busy host."""

PACE_SHARE: Final = 0.9
"""Of a pace that was asked for: a run that comes so near was held back by it."""


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What was asked for.

    Windows are of one bind; ``client_window`` 0 is no bound. ``rate`` is the messages a second that
    the client submits, ``throughput`` the submit_sm a second that a carrier takes, 0: as many as
    can be. ``receipt_delay`` is in seconds, ``receipt_loss`` a share. ``sink``: another SMSC.
    """

    messages: int
    segments: int = 1
    encoding: Encoding = "gsm7"
    carriers: int = 1
    binds: int = 1
    window: int = 100
    throughput: float = 0.0
    client_window: int = 2_000
    rate: float = 0.0
    receipt_delay: float = 0.0
    receipt_window: int = 100
    receipt_loss: float = 0.0
    id_format: IdFormat = "hex"
    sink: str = ""


class Host(msgspec.Struct, frozen=True):
    """Where it was measured; ``fsync_us`` is a median, of the disk that the store was on."""

    interpreter: str
    build: str
    executable: str
    cores: int
    machine: str
    fsync_us: float


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """One run. Memory in bytes; CPU in seconds, from the first message in to the last final.

    ``daemon_waited`` are seconds that its loop was ready to run and others had the cores;
    ``passes`` are of that loop in that time, where the daemon was asked for them.
    """

    load: LoadResult
    sink: SinkLedger
    store: StoreLedger
    daemon_cpu: float
    daemon_waited: float
    sink_cpu: float
    private_end: int
    private_peak: int
    commits: CommitCounts
    passes: Passes | None = None

    def ledgers(self) -> Ledgers:
        """What each process counted."""
        return Ledgers(self.load, self.sink, self.store)

    def rate(self) -> float:
        """Messages a second, from the first one in to the last one final."""
        return self.load.sent / self.load.seconds

    def cpu_per_thousand(self) -> float:
        """The daemon's CPU seconds for 1,000 messages."""
        return self.daemon_cpu / max(self.load.sent, 1) * 1000


class Spread(msgspec.Struct, frozen=True):
    """Of one figure over the runs."""

    min: float
    median: float
    max: float


class Report(msgspec.Struct, frozen=True):
    """Everything, as ``--json`` prints it. ``faults`` is empty where all ledgers agree."""

    settings: Settings
    host: Host
    rate: Spread
    cpu_seconds_per_thousand: Spread
    private_peak: Spread
    faults: list[str]
    notes: list[str]
    runs: list[Run]


def find_pace(settings: Settings, run: Run, cores: int) -> str:
    """Which process set the pace, by its share of a core; or what was asked to."""
    seconds = run.load.seconds
    daemon, sink = run.daemon_cpu / seconds, run.sink_cpu / seconds
    client = run.load.cpu_seconds / seconds
    waited = run.daemon_waited / seconds
    shares = f"daemon {daemon:.0%}, SMSC {sink:.0%}, client {client:.0%} of a core"
    if waited >= WAITED_SHARE:
        shares += f" (others had the daemon's core for {waited:.0%} of the time)"
    for name, share in (("the SMSC", sink), ("the client", client)):
        if share > BUSY_SHARE and daemon < BUSY_SHARE:
            return f"{name} was the bottleneck, not the daemon: {shares}"
    asked = settings.throughput * settings.carriers / settings.segments
    for what, pace in (("--rate", settings.rate), ("--throughput", asked)):
        if pace and run.rate() > PACE_SHARE * pace:
            return f"{what} set the pace: {shares}"
    if daemon >= BUSY_SHARE:
        return f"the daemon set the pace: {shares}"
    if daemon + waited >= BUSY_SHARE:
        return f"the daemon set the pace, and had to wait for a core: {shares}"
    if daemon + sink + client > BUSY_SHARE * cores:
        return f"the cores were the bottleneck: {shares}, and there are {cores}"
    if daemon > 2 * max(sink, client):
        return f"the daemon set the pace, some of it in waiting for its disk: {shares}"
    return f"nobody was busy, they waited for each other or for the disk: {shares}"


def make_report(settings: Settings, host: Host, runs: list[Run]) -> Report:
    """All runs of one setting. Faults and notes carry the number of their run."""
    return Report(
        settings=settings,
        host=host,
        rate=spread([run.rate() for run in runs]),
        cpu_seconds_per_thousand=spread([run.cpu_per_thousand() for run in runs], 5),
        private_peak=spread([run.private_peak for run in runs]),
        faults=[
            f"run {number}: {fault}"
            for number, run in enumerate(runs, 1)
            for fault in find_faults(run.ledgers(), settings.messages, settings.segments)
        ],
        notes=[
            f"run {number}: {find_pace(settings, run, host.cores)}"
            for number, run in enumerate(runs, 1)
        ],
        runs=runs,
    )


def spread(values: Sequence[float], digits: int = 0) -> Spread:
    """Of one figure over the runs, each rounded to so many digits after the point."""
    ordered = sorted(round(value, digits) for value in values)
    return Spread(ordered[0], statistics.median(ordered), ordered[-1])


def read_host(directory: Path) -> Host:
    """This interpreter, this host, and the disk under ``directory``."""
    return Host(
        interpreter=f"{platform.python_implementation()} {platform.python_version()}",
        build=sys.version.partition("(")[2].replace(")", "").replace("\n", ""),
        executable=os.path.realpath(sys.executable),
        cores=len(os.sched_getaffinity(0)),
        machine=platform.platform(),
        fsync_us=round(measure_fsync(directory) * 1e6, 1),
    )


def print_host(host: Host) -> None:
    """The two lines without which no figure means anything."""
    print(f"{host.interpreter}, {host.build}, {host.executable}")
    print(f"{host.cores} cores, {host.machine}, fsync of a page {host.fsync_us:g} us")


def measure_fsync(directory: Path) -> float:
    """The median seconds of writing a page and fdatasync, as every commit does at the least."""
    path = directory / "fsync.probe"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        times = [time_fsync(descriptor, number) for number in range(FSYNC_TIMES)]
    finally:
        os.close(descriptor)
        path.unlink()
    return statistics.median(times)


def time_fsync(descriptor: int, number: int) -> float:
    """Writes a page of ``number``; the seconds until the disk has it."""
    start = time.perf_counter()
    os.pwrite(descriptor, bytes([number & 0xFF]) * FSYNC_BLOCK_BYTES, 0)
    os.fdatasync(descriptor)
    return time.perf_counter() - start
