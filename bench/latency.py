"""How long a message takes to be accepted, sent, told as sent, and delivered, at three loads.

Run as ``python -m bench.latency``. Each phase has a fresh store and fresh processes:

``idle``    one message at a time, and a pause before the next: what a daemon that slept takes
``paced``   messages at even times, whether earlier ones are final or not
``full``    as many as go, with so many submitted and not final at the app

Times are CLOCK_MONOTONIC's, which all processes of a host share. They run from the moment before
the client writes a submit line to the read that brings ``accepted`` (``accept``), to the read at
the SMSC that brings the submit_sm (``at the SMSC``), and to the reads that bring the events
``sent`` and ``delivered``. The SMSC's answer and its receipt leave in one write, so that those two
are mostly told in one, too.

Beside them runs ``bench.lag``, a loop that does nothing: where its lag is as long as a latency, the
machine was away, and not the daemon. It asks the disk, too, which every commit waits for. What the
daemon says of its own loop stands below, warm-up included (``smppd_loop_pass_seconds`` in
docs/metrics.md): a long pass that had little CPU time waited for its disk, or for a core.

The first tenth of each phase warms up and is not counted. The exit code is 0 only if client, SMSC
and store agree to the message.
"""

from __future__ import annotations

import shutil
import signal
import statistics
import sys
import tempfile
from array import array
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Final

import msgspec
import typer

from bench.distribution import Distribution, distribute, make_curve
from bench.lag import Machine
from bench.ledgers import find_faults
from bench.load import Clocks, differences
from bench.passes import Passes
from bench.plot import check_plot, draw_lines
from bench.processes import Child, RunFailed, python
from bench.report import Host, Run, Settings, find_pace, print_host, read_host
from bench.site import Site
from bench.stage import Stage
from smppd.terminal import print_table

WARM_UP_SHARE: Final = 0.1
"""Of a phase's messages, the first ones: a process is slower on its first pages and caches."""

LAG: Final = "a do-nothing loop's lag"
FSYNC: Final = "a page is on the disk"
DRAWN: Final = ("accept", "at the SMSC", "delivered", LAG)
FIGURES: Final = ("p50", "p90", "p99", "p999", "max")


class Phase(msgspec.Struct, frozen=True):
    """A load, by name."""

    name: str
    settings: Settings


class PhaseRun(msgspec.Struct, frozen=True):
    """One run of a phase; ``durations`` by what was waited for, in seconds, warm-up left out."""

    run: Run
    durations: dict[str, list[float]]


class PhaseReport(msgspec.Struct, frozen=True):
    """A phase: of each of its runs the distributions by what was waited for, rate and costs."""

    name: str
    settings: Settings
    latencies: list[dict[str, Distribution]]
    rates: list[float]
    cpu_seconds_per_thousand: list[float]
    private_peak: list[int]
    late_ms: list[list[float]]
    passes: list[Passes]
    notes: list[str]
    faults: list[str]


class LatencyReport(msgspec.Struct, frozen=True):
    """Everything, as ``--json`` prints it."""

    host: Host
    phases: list[PhaseReport]


def run_phase(settings: Settings, directory: Path) -> PhaseRun:
    """One run of one phase in an empty ``directory``."""
    site = Site(directory, settings, has_metrics=True)
    clocks, lag = directory / "client.clocks", directory / "lag.machine"
    with ExitStack() as stack:
        stage = Stage(stack, site, clocks)
        idler = stack.enter_context(
            Child(python("bench.lag", str(lag), str(directory)), directory / "lag.log", piped=True)
        )
        idler.read_line(lambda: None, 1.0)
        run = stage.run()
        idler.stop()
    stamps = array("d", site.stamps.read_bytes())
    stamps.extend([0.0] * (settings.messages - len(stamps)))  # what never came to the SMSC
    machine = msgspec.msgpack.decode(lag.read_bytes(), type=Machine)
    return PhaseRun(run, find_durations(Clocks.load(clocks), stamps, machine))


def find_durations(
    clocks: Clocks, stamps: Sequence[float], machine: Machine
) -> dict[str, list[float]]:
    """What each message waited for, in seconds; and what the machine did meanwhile."""
    first = int(len(clocks.written) * WARM_UP_SHARE)
    written = clocks.written[first:]
    ends = {
        "accept": clocks.accepted,
        "at the SMSC": stamps,
        "sent": clocks.sent,
        "delivered": clocks.final,
    }
    durations = {name: differences(written, times[first:]) for name, times in ends.items()}
    start, end = written[0], max(clocks.final)
    return {
        **durations,
        LAG: machine.lags.between(start, end),
        FSYNC: machine.fsyncs.between(start, end),
    }


def report_phase(phase: Phase, runs: list[PhaseRun], cores: int) -> PhaseReport:
    """All runs of one phase. Faults and notes carry the number of their run."""
    settings = phase.settings
    numbered = [(number, one.run) for number, one in enumerate(runs, 1)]
    return PhaseReport(
        name=phase.name,
        settings=settings,
        latencies=[
            {name: distribute(seconds) for name, seconds in one.durations.items()} for one in runs
        ],
        rates=[round(run.rate(), 1) for _, run in numbered],
        cpu_seconds_per_thousand=[round(run.cpu_per_thousand(), 5) for _, run in numbered],
        private_peak=[run.private_peak for _, run in numbered],
        late_ms=[run.load.late_ms for _, run in numbered],
        passes=[run.passes for _, run in numbered if run.passes is not None],
        notes=[f"run {number}: {find_pace(settings, run, cores)}" for number, run in numbered],
        faults=[
            f"run {number}: {fault}"
            for number, run in numbered
            for fault in find_faults(run.ledgers(), settings.messages, settings.segments)
        ],
    )


def run_all(
    phases: Sequence[Phase], runs: int, directory: Path | None, plot: Path | None
) -> LatencyReport:
    """Every phase ``runs`` times, by turns; the last runs are drawn to ``plot``."""
    check_plot(plot)
    done: dict[str, list[PhaseRun]] = {phase.name: [] for phase in phases}
    with tempfile.TemporaryDirectory(prefix="smppd-bench-", dir=directory) as place:
        host = read_host(Path(place))
        for _ in range(runs):
            for phase in phases:
                own = Path(place) / phase.name
                own.mkdir()
                done[phase.name].append(run_phase(phase.settings, own))
                shutil.rmtree(own)
    if plot is not None:
        _draw({name: found[-1] for name, found in done.items()}, plot)
    return LatencyReport(
        host, [report_phase(phase, done[phase.name], host.cores) for phase in phases]
    )


def _draw(runs: dict[str, PhaseRun], path: Path) -> None:
    series = {
        f"{name}: {what}": make_curve(run.durations[what])
        for name, run in runs.items()
        for what in DRAWN
    }
    draw_lines(path, "Latency", "milliseconds", "% that took no longer", series, log_x=True)


def show(report: LatencyReport) -> None:
    """The report for people."""
    print_host(report.host)
    for phase in report.phases:
        print(f"{phase.name}: {_describe(phase)}")
    rows = [
        [phase.name, what, str(phase.latencies[0][what].count), *_cells(phase, what)]
        for phase in report.phases
        for what in phase.latencies[0]
    ]
    print_table("", ("phase", "ms until", "times", "p50", "p90", "p99", "p99.9", "max"), rows)
    print_table(
        "The daemon's loop",
        ("phase", "passes", "over 10 ms", "longest ms", "longest in CPU time ms"),
        [_pass_cells(phase) for phase in report.phases],
    )
    for phase in report.phases:
        for line in (*phase.notes, *phase.faults):
            print(f"{phase.name}: {line}")
    is_equal = not any(phase.faults for phase in report.phases)
    print("ledgers of client, SMSC and store: " + ("equal" if is_equal else "NOT EQUAL"))


def _describe(phase: PhaseReport) -> str:
    settings = phase.settings
    words = [
        f"{settings.messages} messages",
        f"{settings.rate:g} messages/s" if settings.rate else "no pacing",
        f"client window {settings.client_window or 'no'}",
        f"{settings.binds} binds, window {settings.window}",
        f"receipt window {settings.receipt_window}",
        f"messages/s {_spread(phase.rates)}",
        f"CPU s per 1,000 {_spread(phase.cpu_seconds_per_thousand)}",
        f"private MB {_spread([peak / 1e6 for peak in phase.private_peak])}",
    ]
    if settings.rate:
        late = ", ".join("/".join(f"{value:g}" for value in run) for run in phase.late_ms)
        words.append(f"written late p50/p99 ms {late}")
    return ", ".join(words)


def _cells(phase: PhaseReport, what: str) -> list[str]:
    """Of each figure the one run's, or the least, the median and the most of several."""
    return [_spread([getattr(one[what], figure) for one in phase.latencies]) for figure in FIGURES]


def _pass_cells(phase: PhaseReport) -> list[str]:
    names = ("count", "long", "longest_ms", "longest_cpu_ms")
    return [phase.name, *(_spread([getattr(one, name) for one in phase.passes]) for name in names)]


def _spread(values: Sequence[float]) -> str:
    """The one value; of several the least, their median and the most."""
    shown = [min(values), statistics.median(values), max(values)] if len(values) > 1 else values
    return "/".join(f"{value:.4g}" if value < 1000 else f"{value:.0f}" for value in shown)


app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def main(
    idle_messages: Annotated[int, typer.Option(min=0, help="0: no such phase.")] = 300,
    idle_rate: Annotated[
        float, typer.Option(min=0, help="Messages a second, one at a time; 0: without a pause.")
    ] = 50.0,
    paced_messages: Annotated[int, typer.Option(min=0, help="0: no such phase.")] = 20_000,
    paced_rate: Annotated[float, typer.Option(min=0.1, help="Messages a second.")] = 1_000.0,
    full_messages: Annotated[int, typer.Option(min=0, help="0: no such phase.")] = 50_000,
    full_client_window: Annotated[
        int, typer.Option(min=1, help="Messages submitted and not yet final.")
    ] = 100,
    window: Annotated[int, typer.Option(min=1, help="Unanswered submit_sm of a bind.")] = 100,
    binds: Annotated[int, typer.Option(min=1, max=64)] = 1,
    runs: Annotated[int, typer.Option(min=1, help="Of all phases.")] = 1,
    directory: Annotated[
        Path | None, typer.Option(help="The disk to measure on; default: that of temporary files.")
    ] = None,
    plot: Annotated[
        Path | None, typer.Option(help="Draw the distributions of the last run, as SVG.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Measure how long messages take, idle, paced and at full load."""
    common = Settings(messages=0, window=window, binds=binds)
    asked = (
        Phase("idle", _with(common, idle_messages, rate=idle_rate, client_window=1)),
        Phase("paced", _with(common, paced_messages, rate=paced_rate, client_window=0)),
        Phase("full", _with(common, full_messages, rate=0.0, client_window=full_client_window)),
    )
    phases = [phase for phase in asked if phase.settings.messages]
    if not phases:
        print("bench.latency: no phase has any messages", file=sys.stderr)
        raise typer.Exit(2)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that no child is left behind
    try:
        report = run_all(phases, runs, directory, plot)
    except RunFailed as error:
        print(error, file=sys.stderr)
        raise typer.Exit(1) from None
    if as_json:
        print(msgspec.json.encode(report).decode())
    else:
        show(report)
    if any(phase.faults for phase in report.phases):
        raise typer.Exit(1)


def _with(common: Settings, messages: int, *, rate: float, client_window: int) -> Settings:
    return msgspec.structs.replace(
        common, messages=messages, rate=rate, client_window=client_window
    )


if __name__ == "__main__":
    app()
