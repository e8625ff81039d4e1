"""How rate, memory and pauses grow: with what is stored, what waits, prefixes, binds and carriers.

Run as ``python -m bench.scale stored`` (or ``queue``, ``prefixes``, ``binds``, ``carriers``), with
``--size N`` for each size. Everything is prepared once a size; then the sizes take turns,
``--rounds`` times, so that a ratio is one of figures of the same minutes. ``--help`` of each says
what it measures.

Every message of the client must be accepted, told as sent and as delivered once, and accepted once
by the SMSC, in every run; else the exit code is 1.
"""

from __future__ import annotations

import signal
import statistics
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Final

import msgspec
import typer

from bench.plot import check_plot, draw_lines
from bench.processes import RunFailed
from bench.report import Host, print_host, read_host
from bench.scale_runs import Binds, Carriers, Point, Prefixes, Queue, Scale, Stored
from smppd.terminal import print_table

SizesOption = Annotated[list[int] | None, typer.Option("--size", min=0, help="Repeatable.")]
RoundsOption = Annotated[int, typer.Option(min=1, help="Times that every size is measured.")]
MessagesOption = Annotated[int, typer.Option(min=1, help="Submitted in a run.")]
WindowOption = Annotated[int, typer.Option(min=1, help="Unanswered submit_sm of a bind.")]
ClientWindowOption = Annotated[int, typer.Option(min=1, help="Messages not yet final at the app.")]
DirectoryOption = Annotated[
    Path | None, typer.Option(help="The disk to measure on; default: that of temporary files.")
]
PlotOption = Annotated[
    Path | None, typer.Option(metavar="FILE.svg", help="Draw it; a file a figure, by its name.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="One JSON object.")]

RATE: Final = "messages/s"


class ScaleReport(msgspec.Struct, frozen=True):
    """Everything, as ``--json`` prints it. ``ratios`` are of the rates to that of the first size,
    pair by pair in each round, by size."""

    what: str
    host: Host
    settings: dict[str, object]
    points: list[Point]
    ratios: dict[int, list[float]]


def run_all(scale: Scale, sizes: Sequence[int], rounds: int, directory: Path | None) -> ScaleReport:
    """Prepares every size in a directory of its own below ``directory``, then measures in turn."""
    with tempfile.TemporaryDirectory(prefix="smppd-bench-", dir=directory) as place:
        host = read_host(Path(place))
        for size in sizes:
            scale.prepare(size, Path(place) / str(size))
        points = [scale.measure(size, number) for number in range(rounds) for size in sizes]
    return ScaleReport(scale.what, host, scale.settings, points, _find_ratios(points, sizes))


def _find_ratios(points: Sequence[Point], sizes: Sequence[int]) -> dict[int, list[float]]:
    ratios: dict[int, list[float]] = {size: [] for size in sizes}
    first = 1.0
    for point in points:
        if RATE not in point.values:
            continue
        if point.size == sizes[0]:
            first = point.values[RATE]
        ratios[point.size].append(point.values[RATE] / first)
    return ratios


def show(report: ScaleReport) -> None:
    """The report for people."""
    print_host(report.host)
    print(", ".join(f"{name} {value}" for name, value in report.settings.items()))
    names = list(report.points[0].values)
    title = f"{report.what}: medians over the rounds"
    print_table(title, (report.what, *names, "ratio of rates min/median/max"), [*_rows(report)])
    for point in report.points:
        for note in point.notes:
            print(f"{point.size}: {note}")
    faults = [f"{point.size}: {fault}" for point in report.points for fault in point.faults]
    print("ledgers: " + ("equal" if not faults else "NOT EQUAL"))
    for fault in faults:
        print(f"  {fault}")


def _rows(report: ScaleReport) -> Iterator[list[str]]:
    for size, ratios in report.ratios.items():
        found = [point.values for point in report.points if point.size == size]
        middle = [_median(found, name) for name in report.points[0].values]
        shown = [min(ratios), statistics.median(ratios), max(ratios)] if ratios else []
        yield [f"{size}", *map(_spell, middle), "/".join(f"{ratio:.2f}" for ratio in shown)]


def _median(values: Sequence[dict[str, float]], name: str) -> float:
    return statistics.median(one[name] for one in values)


def _spell(value: float) -> str:
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def draw(report: ScaleReport, path: Path) -> None:
    """A file for each figure: ``FILE-rate.svg`` is drawn for FILE.svg and the rate, say."""
    for name in report.points[0].values:
        line = [
            (float(size), _median([p.values for p in report.points if p.size == size], name))
            for size in report.ratios
        ]
        own = path.with_name(f"{path.stem}-{_file_name(name)}{path.suffix}")
        draw_lines(own, f"{name}, by {report.what}", report.what, name, {name: line})


def _file_name(name: str) -> str:
    return "-".join("".join(c if c.isalnum() else " " for c in name).split()).lower()


def _conclude(
    scale: Scale,
    sizes: Sequence[int],
    rounds: int,
    directory: Path | None,
    plot: Path | None,
    *,
    as_json: bool,
) -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that no child is left behind
    try:
        check_plot(plot)
        report = run_all(scale, sizes, rounds, directory)
        if plot is not None:
            draw(report, plot)
    except RunFailed as error:
        print(error, file=sys.stderr)
        raise typer.Exit(1) from None
    if as_json:
        print(msgspec.json.encode(report).decode())
    else:
        show(report)
    if any(point.faults for point in report.points):
        raise typer.Exit(1)


app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, no_args_is_help=True)


@app.callback()
def main() -> None:
    """Measure how smppd scales."""


@app.command()
def stored(
    size: SizesOption = None,
    rounds: RoundsOption = 3,
    messages: MessagesOption = 50_000,
    window: WindowOption = 100,
    client_window: ClientWindowOption = 2_000,
    id_format: Annotated[str, typer.Option(help="The carrier's ids: hex or uuid.")] = "hex",
    directory: DirectoryOption = None,
    plot: PlotOption = None,
    as_json: JsonOption = False,
) -> None:
    """Rate, CPU and memory with so many delivered messages in the store."""
    scale = Stored(messages, window, client_window, id_format)
    _conclude(scale, size or [0, 1_000_000], rounds, directory, plot, as_json=as_json)


@app.command()
def queue(
    size: SizesOption = None,
    rounds: RoundsOption = 1,
    seconds: Annotated[float, typer.Option(min=0.1, help="To drain for.")] = 10.0,
    window: WindowOption = 100,
    directory: DirectoryOption = None,
    plot: PlotOption = None,
    as_json: JsonOption = False,
) -> None:
    """Start, memory and rate with so many messages queued for a carrier that is down, then up."""
    scale = Queue(seconds, window)
    _conclude(scale, size or [100_000, 1_000_000], rounds, directory, plot, as_json=as_json)


@app.command()
def prefixes(
    size: SizesOption = None,
    rounds: RoundsOption = 3,
    messages: MessagesOption = 50_000,
    window: WindowOption = 100,
    client_window: ClientWindowOption = 2_000,
    prices: Annotated[
        int, typer.Option(min=1, max=9_000, help="Different ones in a sheet: its networks.")
    ] = 100,
    probes: Annotated[
        int, typer.Option(min=10, help="Submits, one by one, before the reload.")
    ] = 1_000,
    directory: DirectoryOption = None,
    plot: PlotOption = None,
    as_json: JsonOption = False,
) -> None:
    """Load time, rate, and the longest pause at a reload, with two rate sheets of so many rows."""
    scale = Prefixes(messages, window, client_window, prices, probes)
    _conclude(scale, size or [1_000, 10_000, 200_000], rounds, directory, plot, as_json=as_json)


@app.command()
def binds(
    size: SizesOption = None,
    rounds: RoundsOption = 3,
    messages: MessagesOption = 50_000,
    window: WindowOption = 100,
    client_window: ClientWindowOption = 2_000,
    seconds: Annotated[float, typer.Option(min=1, help="To be idle for.")] = 30.0,
    directory: DirectoryOption = None,
    plot: PlotOption = None,
    as_json: JsonOption = False,
) -> None:
    """Idle CPU, memory and rate with so many binds, spread over up to thirty carriers."""
    scale = Binds(messages, window, client_window, seconds)
    _conclude(scale, size or [1, 30, 300], rounds, directory, plot, as_json=as_json)


@app.command()
def carriers(
    size: SizesOption = None,
    rounds: RoundsOption = 3,
    messages: MessagesOption = 20_000,
    window: WindowOption = 100,
    client_window: ClientWindowOption = 2_000,
    seconds: Annotated[float, typer.Option(min=1, help="To be idle for.")] = 30.0,
    directory: DirectoryOption = None,
    plot: PlotOption = None,
    as_json: JsonOption = False,
) -> None:
    """Idle CPU, memory and rate with so many carriers of one bind each."""
    scale = Carriers(messages, window, client_window, seconds)
    _conclude(scale, size or [1, 300], rounds, directory, plot, as_json=as_json)


if __name__ == "__main__":
    app()
