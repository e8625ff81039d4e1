"""What ``bench.targets`` measures: the programs that it drives, and the figures it takes from each.

Whatever is a ratio is one of figures that took turns in one program. Each part is a program of its
own, so that one that fails costs the table its own rows alone.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

import msgspec

from bench.driven import run_bench, run_throughput
from bench.flood import DEFAULT_FIELD, FloodSettings, run_flood
from bench.kannel import KannelSettings, find_bearerbox, run_kannel
from bench.latency import LAG, LatencyReport
from bench.processes import ROOT
from bench.restart import RestartReport
from bench.rounds import Sample, System, alternate
from bench.scale import RATE, ScaleReport

_T = TypeVar("_T")

SEGMENTS: Final = 3

WINDOW: Final = 100
CLIENT_WINDOW: Final = 2_000
"""Of the reference run."""

MEMORY: Final = "private MB"
"""As ``bench.scale`` calls it."""


class Sizes(msgspec.Struct, frozen=True, kw_only=True):
    """How much of everything; ``rounds`` is how often.

    ``live_delay`` is the seconds that receipts are late where all messages are to be live at once:
    longer than it takes to submit them.
    """

    rounds: int = 3
    messages: int = 50_000
    kannel_messages: int = 20_000
    flood_messages: int = 500_000
    live: int = 100_000
    live_delay: float = 30.0
    idle: int = 300
    paced: int = 20_000
    restart: int = 1_000_000
    stored: int = 10_000_000
    queued: int = 10_000_000
    few_queued: int = 1_000
    binds: int = 300
    prefixes: int = 200_000
    few_prefixes: int = 1_000
    idle_seconds: float = 30.0


QUICK: Final = Sizes(
    rounds=1,
    messages=1_000,
    kannel_messages=1_000,
    flood_messages=5_000,
    live=4_000,
    live_delay=3.0,
    idle=20,
    paced=500,
    restart=1_000,
    stored=1_000,
    queued=2_000,
    few_queued=500,
    binds=10,
    prefixes=2_000,
    idle_seconds=1.0,
)
"""Every program once, in a minute or two: whether they run, and no figure means anything."""


class Others(msgspec.Struct, frozen=True):
    """Programs in place of the bench's own, as ``bench.compare flood`` takes them; empty: none."""

    sink: str = ""
    flood: str = ""
    flood_field: str = DEFAULT_FIELD


class Figures(msgspec.Struct):
    """Values by the row's key, a value a round; what was remarked, and where ledgers differ."""

    values: dict[str, list[float]]
    notes: list[str]
    faults: list[str]


Part = Callable[[Sizes, Others, Path], Figures]
"""Measures below a directory, and leaves nothing there. RunFailed where it comes to no end."""


def measure_turns(sizes: Sizes, others: Others, directory: Path) -> Figures:
    """The reference run, and all that is a ratio to it or is measured beside it."""
    _, runs = alternate(dict(_systems(sizes, others)), sizes.rounds, directory)
    ours = runs["smppd"]
    values = {
        "rate": [one.rate for one in ours],
        "cpu": [one.cpu_per_thousand for one in ours],
        "memory": [one.private_peak / 1e6 for one in ours],
        "live": [
            (more.private_peak - one.private_peak) / (sizes.live - CLIENT_WINDOW)
            for more, one in zip(runs["live"], ours, strict=True)
        ],
        "flood": _ratios(runs["flood"], ours),
        "uuid": _ratios(runs["uuid"], runs.get("hex", ours)),
        "segments": [ratio * SEGMENTS for ratio in _ratios(runs["segments"], ours)],
    }
    if "kannel" in runs:
        values["kannel"] = _ratios(ours, runs["kannel"])
    return Figures(values, [*_remarks(runs), *_find_early(runs["live"], sizes)], [*_faults(runs)])


def _systems(sizes: Sizes, others: Others) -> Iterator[tuple[str, System]]:
    words = ["--messages", str(sizes.messages), "--window", str(WINDOW)]
    words += ["--client-window", str(CLIENT_WINDOW)]
    own, sink = partial(run_throughput, ROOT), ["--sink-command", others.sink]
    yield "smppd", partial(own, [*words, *sink])
    if others.sink:  # ids are told to the bench's own SMSC alone, so their pair is on that
        yield "hex", partial(own, words)
    yield "uuid", partial(own, [*words, "--id-format", "uuid"])
    yield "segments", partial(own, [*words, *sink, "--segments", str(SEGMENTS)])
    yield "live", partial(own, _all_live(sizes))
    flood = FloodSettings(
        sizes.flood_messages, WINDOW, others.sink, others.flood, others.flood_field
    )
    yield "flood", partial(run_flood, flood)
    if find_bearerbox() is not None:
        settings = KannelSettings("none", sizes.kannel_messages, CLIENT_WINDOW, others.sink)
        yield "kannel", partial(run_kannel, settings)


def _all_live(sizes: Sizes) -> list[str]:
    """All submitted at once, and none delivered before all are sent."""
    words = ["--messages", str(sizes.live), "--window", str(WINDOW), "--client-window", "0"]
    return [*words, "--receipt-delay", str(sizes.live_delay)]


def _find_early(live: list[Sample], sizes: Sizes) -> Iterator[str]:
    """Whether receipts came while messages were still being submitted."""
    for number, one in enumerate(live, 1):
        if sizes.live / max(one.rate, 1e-9) > 2 * sizes.live_delay:
            yield f"live, round {number}: not all were live at once, so their octets are too few"


def _ratios(upper: list[Sample], lower: list[Sample]) -> list[float]:
    return [one.rate / two.rate for one, two in zip(upper, lower, strict=True)]


def _remarks(runs: Mapping[str, list[Sample]]) -> Iterator[str]:
    for name, samples in runs.items():
        rates = ", ".join(f"{one.rate:,.0f}" for one in samples)
        cpu = ", ".join(f"{one.cpu_per_thousand:.4f}" for one in samples)
        yield f"{name}: {rates} messages/s, {cpu} CPU s/1,000; {samples[-1].note}"
    if "kannel" not in runs:
        yield "kannel: there is no bearerbox: apt-get install kannel"


def _faults(runs: Mapping[str, list[Sample]]) -> Iterator[str]:
    for name, samples in runs.items():
        for number, sample in enumerate(samples, 1):
            yield from (f"{name}, round {number}: {fault}" for fault in sample.faults)


def measure_latency(sizes: Sizes, _others: Others, directory: Path) -> Figures:
    """Idle, paced at 1,000/s, and at full load with a client window of 100."""
    words = ["--idle-messages", str(sizes.idle), "--paced-messages", str(sizes.paced)]
    words += ["--full-messages", str(sizes.messages), "--runs", str(sizes.rounds)]
    report = _run("bench.latency", words, directory, LatencyReport)
    phases = {phase.name: phase.latencies for phase in report.phases}
    lags = {name: [f"{one[LAG].p99:g}" for one in runs] for name, runs in phases.items()}
    return Figures(
        {
            "accept paced": [one["accept"].p99 for one in phases["paced"]],
            "accept full": [one["accept"].p99 for one in phases["full"]],
            "idle": [one["at the SMSC"].p50 for one in phases["idle"]],
        },
        [
            f"{name}: a loop that does nothing lagged, p99 ms: {', '.join(lag)}"
            for name, lag in lags.items()
        ],
        [f"{phase.name}: {fault}" for phase in report.phases for fault in phase.faults],
    )


def measure_restart(sizes: Sizes, _others: Others, directory: Path) -> Figures:
    """From exec to READY with so many queued."""
    words = ["--messages", str(sizes.restart), "--runs", str(sizes.rounds)]
    report = _run("bench.restart", words, directory, RestartReport)
    return Figures({"restart": [start.seconds for start in report.starts]}, [], [])


def measure_stored(sizes: Sizes, _others: Others, directory: Path) -> Figures:
    """The rate with so many messages stored, to that with none."""
    words = [*_sizes(sizes, 0, sizes.stored), "--messages", str(sizes.messages)]
    report = _run_scale("stored", words, directory)
    return Figures({"stored": report.ratios[sizes.stored]}, *_said(report))


def measure_queue(sizes: Sizes, _others: Others, directory: Path) -> Figures:
    """The private memory with so many queued, above that with few."""
    report = _run_scale("queue", _sizes(sizes, sizes.few_queued, sizes.queued), directory)
    few, many = (_values(report, size, MEMORY) for size in (sizes.few_queued, sizes.queued))
    above = [more - less for more, less in zip(many, few, strict=True)]
    return Figures({"queued": above}, *_said(report))


def measure_binds(sizes: Sizes, _others: Others, directory: Path) -> Figures:
    """So many binds: idle, and the rate over all of them to that of one."""
    words = [*_sizes(sizes, 1, sizes.binds), "--messages", str(sizes.messages)]
    words += ["--seconds", str(sizes.idle_seconds)]
    report = _run_scale("binds", words, directory)
    values = {
        "binds idle": _values(report, sizes.binds, "idle % of a core"),
        "binds rate": report.ratios[sizes.binds],
    }
    return Figures(values, *_said(report))


def measure_prefixes(sizes: Sizes, _others: Others, directory: Path) -> Figures:
    """So many prefixes from CSV: how soon they are loaded, and the rate to that with few."""
    words = [*_sizes(sizes, sizes.few_prefixes, sizes.prefixes), "--messages", str(sizes.messages)]
    report = _run_scale("prefixes", words, directory)
    values = {
        "prefixes load": _values(report, sizes.prefixes, "load s"),
        "prefixes rate": report.ratios[sizes.prefixes],
    }
    notes, faults = _said(report)
    for name in ("longest ms", "longest ms at reload"):
        waits = ", ".join(f"{wait:.1f}" for wait in _values(report, sizes.prefixes, name))
        notes.append(f"prefixes: an app waited for accepted, {name}: {waits}")
    return Figures(values, notes, faults)


def _sizes(sizes: Sizes, few: int, many: int) -> list[str]:
    return ["--size", str(few), "--size", str(many), "--rounds", str(sizes.rounds)]


def _run_scale(what: str, words: list[str], directory: Path) -> ScaleReport:
    return _run("bench.scale", [what, *words], directory, ScaleReport)


def _values(report: ScaleReport, size: int, name: str) -> list[float]:
    return [point.values[name] for point in report.points if point.size == size]


def _said(report: ScaleReport) -> tuple[list[str], list[str]]:
    rates = ", ".join(
        f"{point.size}: {point.values[RATE]:,.0f}"
        for point in report.points
        if RATE in point.values
    )
    notes = [
        f"{report.what}: {point.size}: {note}" for point in report.points for note in point.notes
    ]
    faults = [
        f"{report.what}: {point.size}: {one}" for point in report.points for one in point.faults
    ]
    return [f"{report.what}, messages/s by size: {rates}", *notes], faults


def _run(module: str, words: list[str], directory: Path, report: type[_T]) -> _T:
    return run_bench(ROOT, module, [*words, "--directory", str(directory)], report)


PARTS: Final[dict[str, Part]] = {
    "turns": measure_turns,
    "latency": measure_latency,
    "restart": measure_restart,
    "binds": measure_binds,
    "prefixes": measure_prefixes,
    "queue": measure_queue,
    "stored": measure_stored,
}
"""By name, the short ones first."""


def tell(line: str) -> None:
    """For who waits: all of it takes an hour."""
    print(line, file=sys.stderr, flush=True)
