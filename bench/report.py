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

from bench.load import LoadResult
from bench.processes import CommitCounts

FSYNC_BLOCK_BYTES: Final = 4096
"""One page: the least that LMDB makes durable."""

FSYNC_TIMES: Final = 200
"""Some tenths of a second on a common disk."""

BUSY_SHARE: Final = 0.9
"""Of a core: a process above it has no time left, and sets the pace."""


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What was asked for. Windows are of one bind; ``client_window`` 0 is no bound."""

    messages: int
    segments: int
    carriers: int
    binds: int
    window: int
    client_window: int
    receipt_delay: float
    id_format: str
    sink: str


class Host(msgspec.Struct, frozen=True):
    """Where it was measured; ``fsync_us`` is a median, of the disk that the store was on."""

    interpreter: str
    build: str
    executable: str
    cores: int
    machine: str
    fsync_us: float


class SinkLedger(msgspec.Struct, frozen=True):
    """Of what an SMSC reports at its end: submit_sm answered ESME_ROK."""

    accepted: int


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """One run. Memory in bytes; CPU in seconds, from the first message in to the last final."""

    load: LoadResult
    sink_accepted: int
    daemon_cpu: float
    sink_cpu: float
    private_end: int
    private_peak: int
    commits: CommitCounts

    def rate(self) -> float:
        """Messages a second, from the first one in to the last one final."""
        return self.load.delivered / self.load.seconds

    def cpu_per_thousand(self) -> float:
        """The daemon's CPU seconds for 1,000 messages."""
        return self.daemon_cpu / max(self.load.delivered, 1) * 1000


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


def find_faults(settings: Settings, run: Run) -> list[str]:
    """Where the ledgers of app and carrier differ.

    Every message has had its own final event, and the carrier has accepted as many segments as
    they have: so none was lost, and none was sent twice.
    """
    load, messages = run.load, settings.messages
    expected = (
        ("accepted by the daemon", load.accepted, messages),
        ("rejected by the daemon", load.rejected, 0),
        ("answered error", load.errors, 0),
        ("told as sent", load.sent, messages),
        ("told as delivered", load.delivered, messages),
        ("told as ended otherwise", load.other_finals, 0),
        ("told twice", load.doubles, 0),
        ("segments accepted by the SMSC", run.sink_accepted, messages * settings.segments),
    )
    return [f"{what}: {count}, not {wanted}" for what, count, wanted in expected if count != wanted]


def find_pace(run: Run, cores: int) -> str:
    """Which process set the pace, by its share of a core."""
    seconds = run.load.seconds
    daemon, sink = run.daemon_cpu / seconds, run.sink_cpu / seconds
    client = run.load.cpu_seconds / seconds
    shares = f"daemon {daemon:.0%}, SMSC {sink:.0%}, client {client:.0%} of a core"
    if daemon >= BUSY_SHARE:
        return f"the daemon set the pace: {shares}"
    for name, share in (("the SMSC", sink), ("the client", client)):
        if share > BUSY_SHARE:
            return f"{name} was the bottleneck, not the daemon: {shares}"
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
        rate=_spread([run.rate() for run in runs]),
        cpu_seconds_per_thousand=_spread([run.cpu_per_thousand() for run in runs], 5),
        private_peak=_spread([run.private_peak for run in runs]),
        faults=[
            f"run {number}: {fault}"
            for number, run in enumerate(runs, 1)
            for fault in find_faults(settings, run)
        ],
        notes=[f"run {number}: {find_pace(run, host.cores)}" for number, run in enumerate(runs, 1)],
        runs=runs,
    )


def _spread(values: Sequence[float], digits: int = 0) -> Spread:
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
        times = [_time_fsync(descriptor, number) for number in range(FSYNC_TIMES)]
    finally:
        os.close(descriptor)
        path.unlink()
    return statistics.median(times)


def _time_fsync(descriptor: int, number: int) -> float:
    start = time.perf_counter()
    os.pwrite(descriptor, bytes([number & 0xFF]) * FSYNC_BLOCK_BYTES, 0)
    os.fdatasync(descriptor)
    return time.perf_counter() - start
