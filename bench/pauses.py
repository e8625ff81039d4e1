"""How long the daemon's loop is ever busy, whatever disturbs it.

Run as ``python -m bench.pauses``. For each disturbance a fresh daemon; an app submits ``--rate``
messages a second through it to a simulated carrier all the time, and when all runs evenly the
disturbance is done. Every pass of the loop meanwhile is written down by the clock and in CPU time
of the loop's thread (``bench.watched``), and after how long each submit was accepted.

On shared cores the clock measures the neighbours: by CPU time a pause is ours. Even that they
stretch, so beside it runs a piece of work whose length is known (``bench.yardstick``). A pass by
the clock also has the disk in it. The exit code is 0 only if every message of the even app was
accepted and delivered, once; with ``--limit-ms`` only if besides no pass took longer in CPU time.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Final

import msgspec
import typer

from bench.disturbers import DISTURBERS, Sizes
from bench.drip import DripResult
from bench.pause_stage import Stage
from bench.plot import check_plot, draw_lines
from bench.processes import RunFailed
from bench.report import Host, print_host, read_host
from bench.watched import Collection, Recording
from bench.yardstick import Yardstick
from smppd.terminal import print_table

SETTLE_SECONDS: Final = 1.0
"""From the first message to the first look, and after the disturbance until the last."""

LONG_SECONDS: Final = 0.01
"""A pass above it is a pause; the target is that there is none of ours."""

LOOK_SECONDS: Final = 0.05
"""Between two looks at whether a killed process is gone."""

ONE_IN: Final = (2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000)
"""Passes, of which one is longer: where the plot has its points."""

LINES_DRAWN_MAX: Final = 10
"""Lines of one plot: more are not told apart."""


class Pauses(msgspec.Struct, frozen=True, kw_only=True):
    """What one disturbance did. Milliseconds; ``wall`` and ``cpu``: 99 % and 99.9 % of the passes
    are below, and the longest; ``accept`` likewise of submits, from write to ``accepted``;
    ``yardstick`` of a millisecond of work that another process did meanwhile, by CPU time too.
    ``curve``: of so many passes one needs more CPU time than that."""

    name: str
    seconds: float
    passes: int
    wall: list[float]
    cpu: list[float]
    over: int
    accept: list[float]
    yardstick: list[float]
    collections: str
    cpu_seconds_per_thousand: float
    private_bytes: int
    faults: list[str]
    stacks: list[str]
    curve: list[tuple[float, float]]


class PausesReport(msgspec.Struct, frozen=True):
    """Everything, as ``--json`` prints it; ``over`` in each counts passes above 10 ms of CPU."""

    host: Host
    rate: float
    sizes: Sizes
    pauses: list[Pauses]


def run_one(
    name: str, sizes: Sizes, rate: float, seconds: float, directory: Path, has_stacks: bool
) -> Pauses:
    """One disturbance, on a stage of its own in an empty ``directory``."""
    disturber = DISTURBERS[name]
    stage = Stage(
        directory,
        ("main", *disturber.carriers),
        profiles=disturber.profiles,
        has_stacks=has_stacks,
    )
    with stage:
        disturber.prepare(stage, sizes)
        if disturber.is_restarting:
            return _run_restart(name, stage)
        yardstick = stage.start_yardstick()
        drip = stage.start_drip(rate)
        drip.write_line("go")
        time.sleep(SETTLE_SECONDS)
        cpu_before, _ = stage.cpu_and_memory()
        begun = time.perf_counter()
        disturber.act(stage, sizes)
        time.sleep(max(SETTLE_SECONDS, begun + seconds - time.perf_counter()))
        ended = time.perf_counter()
        cpu_after, private = stage.cpu_and_memory()
        turns = stage.end_yardstick(yardstick)
        result = stage.end_drip(drip)
        stage.daemon.stop()
        taken = stage.end_carrier("main")
        recording = stage.read_recording()
    done = _cut(recording, begun, ended)
    messages = sum(begun <= at < ended for at in result.at)
    cpu = (cpu_after - cpu_before) / messages
    judged = _judge(name, done, begun, ended, result, turns, cpu, private)
    return msgspec.structs.replace(judged, faults=find_faults(result, taken))


def _run_restart(name: str, stage: Stage) -> Pauses:
    """The start itself: no app waits meanwhile, so it is looked at alone."""
    os.kill(stage.daemon.pid, signal.SIGKILL)
    while stage.is_running():
        time.sleep(LOOK_SECONDS)
    begun = time.perf_counter()
    stage.start_daemon()
    time.sleep(SETTLE_SECONDS)
    ended = time.perf_counter()
    _, private = stage.cpu_and_memory()
    stage.daemon.stop()
    recording = _cut(stage.read_recording(), begun, ended)
    nothing = DripResult(0, 0, 0, 0, 0, 0, 0.0, [], [], [])
    return _judge(name, recording, begun, ended, nothing, Yardstick([], []), 0.0, private)


def _cut(recording: Recording, begun: float, ended: float) -> Recording:
    """The part of it between two times."""
    places = [index for index, at in enumerate(recording.began) if begun <= at < ended]
    return Recording(
        [recording.began[index] for index in places],
        [recording.wall[index] for index in places],
        [recording.cpu[index] for index in places],
        [one for one in recording.collections if begun <= one.at < ended],
        [one for one in recording.stacks if begun <= one.at < ended],
    )


def _judge(
    name: str,
    recording: Recording,
    begun: float,
    ended: float,
    result: DripResult,
    yardstick: Yardstick,
    cpu: float,
    private: int,
) -> Pauses:
    wall, used = sorted(recording.wall), sorted(recording.cpu)
    accepted = sorted(
        after
        for at, after in zip(result.at, result.accepted_after, strict=True)
        if begun <= at < ended
    )
    return Pauses(
        name=name,
        seconds=round(ended - begun, 1),
        passes=len(wall),
        wall=_tail_of(wall),
        cpu=_tail_of(used),
        over=sum(one > LONG_SECONDS for one in used),
        accept=_tail_of(accepted),
        yardstick=_tail_of(
            sorted(
                cpu
                for at, cpu in zip(yardstick.at, yardstick.cpu, strict=True)
                if begun <= at < ended
            )
        ),
        collections=_show_collections(recording.collections),
        cpu_seconds_per_thousand=round(cpu * 1000, 4),
        private_bytes=private,
        faults=[],
        stacks=_find_stacks(recording),
        curve=[
            (count, round(_at(used, 1 - 1 / count) * 1000, 3))
            for count in ONE_IN
            if count <= len(used)
        ],
    )


def find_faults(result: DripResult, taken: int) -> list[str]:
    """Where the ledgers of the even app and of its carrier, which took ``taken``, differ."""
    expected = (
        ("accepted", result.accepted, result.submitted),
        ("delivered", result.delivered, result.submitted),
        ("refused", result.refused, 0),
        ("ended otherwise", result.other_finals, 0),
        ("told twice", result.doubles, 0),
        ("taken by the carrier", taken, result.submitted),
    )
    return [f"{what}: {count}, not {wanted}" for what, count, wanted in expected if count != wanted]


def _find_stacks(recording: Recording) -> list[str]:
    """What was found at work in passes of more than LONG_SECONDS of CPU, the most frequent
    first."""
    found: Counter[str] = Counter()
    passes = zip(recording.began, recording.wall, recording.cpu, strict=True)
    for began, wall, cpu in passes:
        if cpu > LONG_SECONDS:
            found.update(one.frames for one in recording.stacks if began <= one.at <= began + wall)
    return [f"{count} x {frames}" for frames, count in found.most_common(6)]


def _tail_of(ordered: Sequence[float]) -> list[float]:
    """Where 99 % and 99.9 % are below, and the greatest, in milliseconds."""
    return [round(_at(ordered, share) * 1000, 2) for share in (0.99, 0.999, 1.0) if ordered]


def _at(ordered: Sequence[float], share: float) -> float:
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)]


def _show_collections(collections: Sequence[Collection]) -> str:
    """Passes of the collector by generation, and the longest by the clock: ``12/1/0 3.1 ms``."""
    if not collections:
        return "-"
    counts = Counter(one.generation for one in collections)
    longest = max(one.seconds for one in collections) * 1000
    return f"{counts[0]}/{counts[1]}/{counts[2]} {longest:.1f} ms"


def run_all(
    names: Sequence[str],
    sizes: Sizes,
    rate: float,
    seconds: float,
    place: Path | None,
    has_stacks: bool,
) -> PausesReport:
    """All of ``names``, each in a directory of its own below ``place``."""
    with tempfile.TemporaryDirectory(prefix="smppd-pauses-", dir=place) as directory:
        host = read_host(Path(directory))
        done = []
        for name in names:
            own = Path(directory) / name
            own.mkdir()
            try:
                done.append(run_one(name, sizes, rate, seconds, own, has_stacks))
            except RunFailed as error:
                raise RunFailed(f"{name}: {error}") from error
            shutil.rmtree(own)
    return PausesReport(host, rate, sizes, done)


def show(report: PausesReport) -> None:
    """The report for people."""
    print_host(report.host)
    print(f"{report.rate:g} messages a second, evenly, beside what is named; {report.sizes}")
    columns = (
        "disturbed by", "s", "passes", "CPU ms p99/p99.9/max", "over 10 ms",
        "by the clock", "accept", "a ms of work", "gc", "CPU s/1,000", "private MB",
    )  # fmt: skip
    print_table("", columns, [_row(one) for one in report.pauses])
    for one in report.pauses:
        for fault in one.faults:
            print(f"{one.name}: {fault}")
        for stack in one.stacks:
            print(f"{one.name}: {stack}")


def _row(one: Pauses) -> list[str]:
    return [
        one.name,
        f"{one.seconds:g}",
        str(one.passes),
        _join(one.cpu),
        str(one.over),
        _join(one.wall),
        _join(one.accept),
        _join(one.yardstick),
        one.collections,
        f"{one.cpu_seconds_per_thousand:.3f}",
        f"{one.private_bytes / 1e6:.0f}",
    ]


def _join(values: Sequence[float]) -> str:
    return "/".join(f"{value:.1f}" for value in values) or "-"


def draw(report: PausesReport, path: Path) -> None:
    """How long the longest of so many passes is, by CPU time, where it is longest."""
    worst = sorted(report.pauses, key=lambda one: one.cpu[-1:], reverse=True)[:LINES_DRAWN_MAX]
    draw_lines(
        path,
        f"Passes of the loop at {report.rate:g} messages a second",
        "one pass in so many is longer",
        "CPU time, ms",
        {one.name: one.curve for one in worst},
        log_x=True,
    )


app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def main(
    only: Annotated[
        list[str] | None, typer.Option(help="One of the disturbances; repeatable. None: all.")
    ] = None,
    rate: Annotated[float, typer.Option(min=1, help="Messages a second, evenly.")] = 1000.0,
    seconds: Annotated[float, typer.Option(min=1, help="Of each, at the least.")] = 8.0,
    live: Annotated[int, typer.Option(min=1, help="Live messages.")] = Sizes().live,
    stored: Annotated[int, typer.Option(min=1000, help="Delivered ones.")] = Sizes().stored,
    tagged: Annotated[int, typer.Option(min=1, help="Messages of one tag.")] = Sizes().tagged,
    sheet: Annotated[int, typer.Option(min=1, help="Rows of a sheet.")] = Sizes().sheet,
    large_sheet: Annotated[int, typer.Option(min=1)] = Sizes().large_sheet,
    limit_ms: Annotated[
        float, typer.Option(min=0, help="CPU time of a pass that makes the run fail; 0: none.")
    ] = 0.0,
    stacks: Annotated[bool, typer.Option(help="Look at what long passes do.")] = False,
    directory: Annotated[
        Path | None, typer.Option(help="The disk to measure on; default: that of temporary files.")
    ] = None,
    plot: Annotated[Path | None, typer.Option(metavar="FILE.svg")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Measure the loop's passes while the daemon is disturbed."""
    names = only or list(DISTURBERS)
    if unknown := [name for name in names if name not in DISTURBERS]:
        raise typer.BadParameter(f"there is no {unknown[0]}; there are {', '.join(DISTURBERS)}")
    sizes = Sizes(live, stored, tagged, sheet, large_sheet)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that no child is left behind
    try:
        check_plot(plot)
        report = run_all(names, sizes, rate, seconds, directory, stacks)
        if plot is not None:
            draw(report, plot)
    except RunFailed as error:
        print(error, file=sys.stderr)
        raise typer.Exit(1) from None
    if as_json:
        print(msgspec.json.encode(report).decode())
    else:
        show(report)
    is_over = limit_ms and any(one.cpu[-1] > limit_ms for one in report.pauses if one.cpu)
    if is_over or any(one.faults for one in report.pauses):
        raise typer.Exit(1)


if __name__ == "__main__":
    app()
