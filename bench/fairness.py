"""Fair under pressure: two carriers, one a hundred times as fast, and three apps, one flooding.

Run as ``python -m bench.fairness``. A daemon, two SMSCs and the apps are each their own process.
The run has five phases:

``idle``     one-time codes alone: what is compared with
``fill``     a campaign of ``--waiting`` promotional messages is submitted at once, beside the codes
``steady``   it waits, and a shop submits transactional messages at a third of each carrier's pace,
             and a few promotional ones of its own, which must not wait behind the million
``crowd``    the shop submits more transactional messages at once than can go in the next phase
``contest``  both wait: the weights count, 4 : 1

In ``steady`` and ``contest`` each carrier must be kept full, each stream have what it is due of
each carrier, and the codes' p99 to ``sent`` stay within twice that of the idle phase. What is not
so is told as a miss; the exit code says whether the ledgers of apps, daemon and SMSCs agree. At the
end both carriers are paused: what waits need not be sent to be counted.

The runner has nothing to do meanwhile, and so is the loop whose lag is the machine's own part.
"""

from __future__ import annotations

import signal
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Final

import msgspec
import typer

from bench.fair_report import FairReport, FairSettings, make_report
from bench.fair_stage import FAST, SLOW, FairRun, FairSite
from bench.plot import check_plot, draw_lines
from bench.processes import RunFailed
from bench.report import print_host, read_host
from smppd.terminal import print_table

WAITING_MAX: Final = 1_000_000
"""A stream's numbers have six digits of their own."""


def run_once(settings: FairSettings, directory: Path | None) -> FairReport:
    """One run in a directory of its own below ``directory`` (None: the system's)."""
    with tempfile.TemporaryDirectory(prefix="smppd-bench-", dir=directory) as place:
        host = read_host(Path(place))
        site = FairSite(Path(place), settings)
        with ExitStack() as stack:
            run = FairRun(site, settings, stack)
            run.run()
            ending = run.finish()
        return make_report(settings, host, run.phases, ending)


def show(report: FairReport) -> None:
    """The report for people."""
    settings = report.settings
    print_host(report.host)
    paces = ", ".join(f"{name} {pace:g}/s" for name, pace in settings.paces.items())
    print(
        f"{paces}, window {settings.window}, {settings.waiting} promotional messages waiting,"
        f" phases of {settings.seconds:g} s, SMSC bench.sink"
    )
    print_table(
        "What each had (messages/s)",
        (
            "phase", "carrier", "stream", "submitted", "due", "sent", "of its due %",
            "longest pause s",
        ),
        [
            [
                one.phase, one.carrier, one.stream,
                "more" if one.offered is None else f"{one.offered:.2f}",
                f"{one.fair:.2f}", f"{one.got:.2f}", f"{one.share * 100:.1f}", f"{one.pause:.1f}",
            ]
            for one in report.shares
        ],
    )  # fmt: skip
    print_table(
        "Carriers kept full",
        ("phase", "carrier", "pace/s", "sent/s", "used %"),
        [
            [one.phase, one.carrier, f"{one.pace:g}", f"{one.got:.2f}", f"{one.use * 100:.2f}"]
            for one in report.uses
        ],
    )
    print_table(
        "One-time codes (ms)",
        (
            "phase", "carrier", "codes", "accepted p50", "p99", "sent p50", "p99", "max",
            "p99 x idle",
        ),
        [
            [
                one.phase, one.carrier, str(one.count), f"{one.accepted_p50:.2f}",
                f"{one.accepted_p99:.2f}", f"{one.sent_p50:.2f}", f"{one.sent_p99:.2f}",
                f"{one.sent_max:.2f}", f"{one.ratio:.2f}",
            ]
            for one in report.codes
        ],
    )  # fmt: skip
    print_table(
        "What it cost, and how late a loop was that does nothing",
        (
            "phase", "s", "CPU s/1,000", "daemon %", "no core %", "private MB", "queued",
            "lag p50 ms", "p99", "max",
        ),
        [
            [
                one.phase, f"{one.seconds:.1f}", f"{one.cpu_per_thousand:.4f}",
                f"{one.daemon_share * 100:.0f}", f"{one.waited_share * 100:.0f}",
                f"{one.private_peak / 1e6:.1f}", str(one.queued),
                f"{one.lag_p50:.2f}", f"{one.lag_p99:.2f}", f"{one.lag_max:.2f}",
            ]
            for one in report.costs
        ],
    )  # fmt: skip
    for miss in report.misses:
        print(f"not fair: {miss}")
    print("ledgers: " + ("equal" if not report.faults else "NOT EQUAL"))
    for fault in report.faults:
        print(f"  {fault}")


app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def main(
    waiting: Annotated[
        int, typer.Option(min=100, max=WAITING_MAX, help="Promotional messages.")
    ] = WAITING_MAX,
    seconds: Annotated[float, typer.Option(min=1, help="Of each phase but the filling.")] = 60.0,
    fast: Annotated[float, typer.Option(min=1, help="Submits a second of one carrier.")] = 1_000.0,
    slow: Annotated[float, typer.Option(min=1, help="And of the other.")] = 10.0,
    window: Annotated[int, typer.Option(min=1, help="Unanswered submit_sm of a bind.")] = 100,
    directory: Annotated[
        Path | None, typer.Option(help="The disk to measure on; default: that of temporary files.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
    plot: Annotated[Path | None, typer.Option(help="An SVG of the rates over time.")] = None,
) -> None:
    """Measure who has what of two carriers while a campaign waits."""
    settings = FairSettings(
        paces={FAST: fast, SLOW: slow}, window=window, waiting=waiting, seconds=seconds
    )
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that no child is left behind
    try:
        check_plot(plot)
        report = run_once(settings, directory)
        if plot is not None:
            draw_lines(plot, "Sent while a campaign waits", "seconds", "messages/s", report.series)
    except RunFailed as error:
        print(error, file=sys.stderr)
        raise typer.Exit(1) from None
    if as_json:
        print(msgspec.json.encode(report).decode())
    else:
        show(report)
    if report.faults:
        raise typer.Exit(1)


if __name__ == "__main__":
    app()
