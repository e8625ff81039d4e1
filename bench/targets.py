"""The whole table of targets, measured in one go on one host.

Run as ``python -m bench.targets``: every row that the benches measure, so many rounds each, beside
its target and what was hoped for (``stretch``). The median decides. It takes an hour, and
some gigabytes on the disk that is measured; ``--only`` measures a part, and ``--quick`` shows that
everything runs. docs/performance.md says what each row means.

The exit code is 0 if everything was measured and all ledgers balance, whatever the figures are.
"""

from __future__ import annotations

import signal
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Final

import msgspec
import typer

from bench.flood import DEFAULT_FIELD
from bench.plot import check_plot, draw_bars
from bench.processes import RunFailed
from bench.report import Host, Spread, print_host, read_host, spread
from bench.target_runs import PARTS, QUICK, Others, Sizes, tell
from smppd.terminal import print_table

USAGE: Final = 2

SHARE_DRAWN_MAX: Final = 5.0
"""A bar of hundreds of times its target would leave nothing of the others."""


class Target(msgspec.Struct, frozen=True):
    """A row of the table: ``part`` measures it under ``key``."""

    part: str
    key: str
    name: str
    target: float
    stretch: float
    is_more_better: bool = True


TARGETS: Final = (
    Target("turns", "rate", "end to end, messages/s", 25_000, 45_000),
    Target("turns", "kannel", "rate over Kannel's without store", 2.9, 5.0),
    Target("turns", "flood", "raw flood over rate, 1:N", 27, 15, False),
    Target("turns", "cpu", "CPU s per 1,000 messages", 0.035, 0.020, False),
    Target("latency", "accept paced", "accept p99 at 1,000/s, ms", 6, 3, False),
    Target("latency", "accept full", "accept p99 at full load, ms", 12, 5, False),
    Target("latency", "idle", "idle, to the SMSC, median ms", 1.5, 1.0, False),
    Target("turns", "memory", "private MB, 2,000 live", 62, 46.2, False),
    Target("turns", "live", "private octets a live message", 1_000, 600, False),
    Target("queue", "queued", "ten million queued, private MB more", 100, 30, False),
    Target("restart", "restart", "restart with one million queued, s", 2.0, 0.5, False),
    Target("turns", "uuid", "rate with uuid ids over hex", 0.8, 0.95),
    Target("stored", "stored", "rate with ten million stored over none", 0.8, 0.95),
    Target("binds", "binds idle", "300 idle binds, % of a core", 5.0, 2.0, False),
    Target("binds", "binds rate", "rate over 300 binds over one", 0.7, 0.9),
    Target("turns", "segments", "three-segment segments/s over messages/s", 1.0, 1.3),
    Target("prefixes", "prefixes rate", "rate with 200,000 prefixes over 1,000", 0.9, 1.0),
    Target("prefixes", "prefixes load", "200,000 prefixes loaded, s", 3.0, 1.0, False),
)


class Row(msgspec.Struct, frozen=True):
    """What came of a target: a value a round; ``verdict`` is the highest that its median
    reached, ``stretch`` or ``target``, or ``missed``, ``not measured``, ``not judged``."""

    key: str
    name: str
    target: float
    stretch: float
    values: list[float]
    spread: Spread | None
    verdict: str


class TargetsReport(msgspec.Struct, frozen=True):
    """Everything, as ``--json`` writes it. ``faults`` is empty where all was measured, and all
    ledgers agree."""

    host: Host
    sizes: Sizes
    others: Others
    rows: list[Row]
    notes: list[str]
    faults: list[str]


def judge(target: Target, values: Sequence[float], *, is_full_size: bool = True) -> Row:
    """The median decides; of smaller sizes than the table names, nothing is said."""
    found = spread(values, 4) if values else None
    if found is None:
        verdict = "not measured"
    elif not is_full_size:
        verdict = "not judged"
    else:
        verdict = _find_verdict(target, found.median)
    return Row(target.key, target.name, target.target, target.stretch, list(values), found, verdict)


def _find_verdict(target: Target, value: float) -> str:
    for verdict, wanted in (("stretch", target.stretch), ("target", target.target)):
        if value >= wanted if target.is_more_better else value <= wanted:
            return verdict
    return "missed"


def run_all(
    parts: Sequence[str], sizes: Sizes, others: Others, directory: Path | None
) -> TargetsReport:
    """Each of ``parts`` by its name, below ``directory`` (None: the system's)."""
    values: dict[str, list[float]] = {}
    notes: list[str] = []
    faults: list[str] = []
    with tempfile.TemporaryDirectory(prefix="targets-", dir=directory) as place:
        host = read_host(Path(place))
        for part in parts:
            tell(f"measuring: {part}")
            try:
                figures = PARTS[part](sizes, others, Path(place))
            except RunFailed as error:
                faults.append(f"{part}: {error}")
                continue
            values.update(figures.values)
            notes += figures.notes
            faults += figures.faults
    is_full_size = msgspec.structs.replace(sizes, rounds=Sizes().rounds) == Sizes()
    rows = [
        judge(one, values.get(one.key, []), is_full_size=is_full_size)
        for one in TARGETS
        if one.part in parts
    ]
    return TargetsReport(host, sizes, others, rows, notes, faults)


def show(report: TargetsReport) -> None:
    """The report for people."""
    print_host(report.host)
    sizes = msgspec.structs.asdict(report.sizes)
    print(", ".join(f"{name.replace('_', ' ')} {value}" for name, value in sizes.items()))
    others = report.others
    flooder = others.flood or "bench.raw, a lower bound: 1:N is less than it would be in C"
    print(f"SMSC {others.sink or 'bench.sink'}, flood by {flooder}")
    columns = ("", "min", "median", "max", "target", "stretch", "reached")
    print_table("Targets", columns, [_row(row) for row in report.rows])
    for note in report.notes:
        print(note)
    print("ledgers: " + ("equal" if not report.faults else "NOT EQUAL, or not measured"))
    for fault in report.faults:
        print(f"  {fault}")


def _row(row: Row) -> list[str]:
    found = row.spread
    values = ["-"] * 3 if found is None else map(_spell, (found.min, found.median, found.max))
    return [row.name, *values, _spell(row.target), _spell(row.stretch), row.verdict]


def _spell(value: float) -> str:
    return f"{value:.0f}" if abs(value) >= 1_000 else f"{value:.3g}"


def draw(report: TargetsReport, path: Path) -> None:
    """A bar for each row: how many times its target it reached, whichever way it counts."""
    wanted = {one.key: one for one in TARGETS}
    bars = {
        row.key: min(_find_share(row.spread.median, wanted[row.key]), SHARE_DRAWN_MAX)
        for row in report.rows
        if row.spread is not None
    }
    label = f"times the target (1: reached; at most {SHARE_DRAWN_MAX:g} are drawn)"
    draw_bars(path, "Targets reached", label, bars)


def _find_share(value: float, target: Target) -> float:
    upper, lower = (value, target.target) if target.is_more_better else (target.target, value)
    return max(upper, 0.0) / max(lower, 1e-9)


app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def main(
    only: Annotated[
        list[str] | None, typer.Option(help=f"{', '.join(PARTS)}; repeatable. Default: all.")
    ] = None,
    quick: Annotated[bool, typer.Option(help="Small sizes, once: no figure means much.")] = False,
    rounds: Annotated[int | None, typer.Option(min=1, help="Of everything; default: 3.")] = None,
    sink_command: Annotated[
        str, typer.Option(help="Another SMSC in place of bench.sink, with {port} and {report}.")
    ] = "",
    flood_command: Annotated[
        str,
        typer.Option(help="Another flooder than bench.raw, with {port}, {messages} and {window}."),
    ] = "",
    flood_field: Annotated[
        str, typer.Option(help="Of the JSON that it prints last: its messages a second.")
    ] = DEFAULT_FIELD,
    directory: Annotated[
        Path | None, typer.Option(help="The disk to measure on; default: that of temporary files.")
    ] = None,
    plot: Annotated[Path | None, typer.Option(help="Draw what was reached, as SVG.")] = None,
    json_file: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="All of it, as one JSON object.")
    ] = None,
) -> None:
    """Measure every target."""
    parts = only or list(PARTS)
    if unknown := set(parts) - set(PARTS):
        print(f"--only is one of {', '.join(PARTS)}, not {unknown.pop()}", file=sys.stderr)
        raise typer.Exit(USAGE)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that no child is left behind
    sizes = QUICK if quick else Sizes()
    if rounds is not None:
        sizes = msgspec.structs.replace(sizes, rounds=rounds)
    try:
        check_plot(plot)
        others = Others(sink_command, flood_command, flood_field)
        report = run_all(parts, sizes, others, directory)
        if json_file is not None:
            json_file.write_bytes(msgspec.json.encode(report))
        if plot is not None:
            draw(report, plot)
    except RunFailed as error:
        print(error, file=sys.stderr)
        raise typer.Exit(1) from None
    show(report)
    if report.faults:
        raise typer.Exit(1)


if __name__ == "__main__":
    app()
