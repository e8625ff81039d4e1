"""Systems measured in turn, so that what slows the host down slows all of them down.

A round runs every system once; every second round runs them the other way round (ABBA), so that a
slope over the whole evening takes nothing from one and gives nothing to another. Ratios are of
the two runs of one round, and it is their median and their spread that say something: the rates
themselves are also about what else the host did.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec

from bench.plot import draw_bars
from bench.report import Host, print_host, read_host, spread
from smppd.terminal import print_table


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """One run of one system: messages a second, CPU seconds for 1,000, private bytes at most.

    CPU and memory are of the system alone, neither its client nor its SMSC; ``note`` says who set
    the pace. ``faults`` is empty where all ledgers agree.
    """

    rate: float
    cpu_per_thousand: float
    private_peak: int
    note: str
    faults: list[str]


System = Callable[[Path], Sample]
"""Runs once in an empty directory. RunFailed where it could not be brought to its end."""


FIGURES: Final[tuple[tuple[str, Callable[[Sample], float], str], ...]] = (
    ("messages/s", lambda one: one.rate, ".0f"),
    ("CPU s per 1,000 messages", lambda one: one.cpu_per_thousand, ".4f"),
    ("private MB at most", lambda one: one.private_peak / 1e6, ".1f"),
)
"""What is told of each run: its table's title, the figure, and how it is written."""


class Ratio(msgspec.Struct, frozen=True):
    """What one system has of another's rate and CPU, a value a round."""

    name: str
    rate: list[float]
    cpu: list[float]


class Comparison(msgspec.Struct, frozen=True):
    """Everything, as ``--json`` prints it. ``runs`` has a list by system, a sample a round."""

    host: Host
    settings: str
    runs: dict[str, list[Sample]]
    ratios: list[Ratio]
    faults: list[str]


def alternate(
    systems: Mapping[str, System], rounds: int, directory: Path | None
) -> tuple[Host, dict[str, list[Sample]]]:
    """Every system ``rounds`` times, below ``directory`` (None: the system's), and on what."""
    runs: dict[str, list[Sample]] = {name: [] for name in systems}
    with tempfile.TemporaryDirectory(prefix="smppd-bench-", dir=directory) as place:
        host = read_host(Path(place))
        for number in range(rounds):
            for name in list(systems)[:: 1 if number % 2 == 0 else -1]:
                own = Path(place) / "run"
                own.mkdir()
                runs[name].append(systems[name](own))
                shutil.rmtree(own)
    return host, runs


def make_comparison(
    host: Host,
    settings: str,
    runs: dict[str, list[Sample]],
    pairs: Sequence[tuple[str, str]],
) -> Comparison:
    """Of each of ``pairs`` the first is divided by the second, round by round."""
    return Comparison(
        host=host,
        settings=settings,
        runs=runs,
        ratios=[_divide(name, of, runs[name], runs[of]) for name, of in pairs],
        faults=[
            f"{name}, round {number}: {fault}"
            for name, samples in runs.items()
            for number, sample in enumerate(samples, 1)
            for fault in sample.faults
        ],
    )


def _divide(name: str, of: str, upper: Sequence[Sample], lower: Sequence[Sample]) -> Ratio:
    both = list(zip(upper, lower, strict=True))
    return Ratio(
        f"{name} / {of}",
        [_over(one.rate, two.rate) for one, two in both],
        [_over(one.cpu_per_thousand, two.cpu_per_thousand) for one, two in both],
    )


def _over(upper: float, lower: float) -> float:
    """0 where there is nothing to divide by: CPU of so short a run that no tick fell into it."""
    return round(upper / lower, 4) if lower else 0.0


def show(comparison: Comparison) -> None:
    """The comparison for people."""
    print_host(comparison.host)
    print(comparison.settings)
    rounds = max(len(samples) for samples in comparison.runs.values())
    columns = [*(f"round {number}" for number in range(1, rounds + 1)), "min", "median", "max"]
    for title, figure, form in FIGURES:
        rows = [
            _row(name, [figure(sample) for sample in samples], form)
            for name, samples in comparison.runs.items()
        ]
        print_table("", (title, *columns), rows)
    rate_rows = [_row(one.name, one.rate, ".3f") for one in comparison.ratios]
    print_table("", ("ratios of messages/s", *columns), rate_rows)
    cpu_rows = [_row(one.name, one.cpu, ".3f") for one in comparison.ratios]
    print_table("", ("ratios of CPU s", *columns), cpu_rows)
    for name, samples in comparison.runs.items():
        print(f"{name}: {samples[-1].note}")
    print("ledgers: " + ("equal" if not comparison.faults else "NOT EQUAL"))
    for fault in comparison.faults:
        print(f"  {fault}")


def _row(name: str, values: Sequence[float], form: str) -> list[str]:
    of = spread(values, 5)
    cells = [*values, of.min, of.median, of.max]
    return [name, *(format(value, form) if value else "-" for value in cells)]


def draw(path: Path, title: str, comparison: Comparison) -> None:
    """A bar of the median rate for each system."""
    bars = {
        name: spread([sample.rate for sample in samples]).median
        for name, samples in comparison.runs.items()
    }
    draw_bars(path, title, "messages/s (median)", bars)
