"""End to end: a client, a daemon and an SMSC, each its own process, and three ledgers held equal.

Run as ``python -m bench.throughput``. Each run has a fresh store and fresh processes: messages go
in over the socket, over real SMPP binds to the SMSC, and come back as ``delivered`` events. The
clock runs from the first message in to the last receipt settled at the app. Then all processes
end, and the store is read. The exit code is 0 only if client, SMSC and store agree to the message:
each was accepted, sent and delivered once, but for those whose receipts ``--receipt-loss`` lost.

The reference run is the default: one bind, window 100, single-segment GSM-7 texts of 90
characters, each asking for a receipt.

The SMSC is ``bench.sink`` unless ``--sink-command`` names another one. Its words are split as a
shell does; ``{port}`` is where it must listen, and ``{report}`` the file in which it must leave,
at SIGTERM, a JSON object with ``accepted``, the number of submit_sm it answered ESME_ROK. Whatever
else ``bench.centre.SinkLedger`` has is compared where it is there. ``{id_format}``,
``{receipt_delay}`` (seconds) and ``{receipt_window}`` are there for those that can do it. One is
started for each carrier.
"""

from __future__ import annotations

import shutil
import signal
import sys
import tempfile
from pathlib import Path
from typing import Annotated, get_args

import msgspec
import typer

from bench.centre import IdFormat
from bench.plot import check_plot, draw_bars
from bench.processes import RunFailed
from bench.report import Report, Run, Settings, make_report, print_host, read_host
from bench.site import CARRIERS_MAX
from bench.stage import run_once
from bench.submits import Encoding
from smppd.terminal import print_table


def run_all(settings: Settings, runs: int, directory: Path | None) -> Report:
    """``runs`` runs, each in a directory of its own below ``directory`` (None: the system's)."""
    with tempfile.TemporaryDirectory(prefix="smppd-bench-", dir=directory) as place:
        host = read_host(Path(place))
        done = []
        for number in range(1, runs + 1):
            own = Path(place) / str(number)
            own.mkdir()
            done.append(run_once(settings, own))
            shutil.rmtree(own)
    return make_report(settings, host, done)


def describe(settings: Settings) -> str:
    """What was asked for, in a line or two."""
    words = [
        f"{settings.messages} messages of {settings.segments} segments of {settings.encoding}",
        f"{settings.carriers} carriers",
        f"{settings.binds} binds each",
        f"window {settings.window}",
        f"client window {settings.client_window or 'no'}",
        f"ids {settings.id_format}",
        f"receipt window {settings.receipt_window}",
    ]
    options = (
        ("rate", settings.rate, "messages/s"),
        ("throughput", settings.throughput, "submit_sm/s a carrier"),
        ("receipt delay", settings.receipt_delay, "s"),
        ("receipt loss", settings.receipt_loss * 100, "%"),
    )
    words += [f"{name} {value:g} {unit}" for name, value, unit in options if value]
    return ", ".join([*words, f"SMSC {settings.sink or 'bench.sink'}"])


COLUMNS = (
    "run", "messages/s", "CPU s/1,000", "private MB", "peak MB", "daemon %", "SMSC %",
    "client %", "waited %", "changes/commit", "accept p50/p99 ms", "final p50/p99 ms",
    "late p50/p99 ms",
)  # fmt: skip


def show(report: Report) -> None:
    """The report for people."""
    print_host(report.host)
    print(describe(report.settings))
    print_table("", COLUMNS, [_row(str(number), run) for number, run in enumerate(report.runs, 1)])
    rate, cpu = report.rate, report.cpu_seconds_per_thousand
    print(f"messages/s: {rate.min:,.0f} / {rate.median:,.0f} / {rate.max:,.0f} (min/median/max)")
    print(f"CPU s per 1,000: {cpu.min:.4f} / {cpu.median:.4f} / {cpu.max:.4f}")
    for note in report.notes:
        print(note)
    print("ledgers of client, SMSC and store: " + ("NOT EQUAL" if report.faults else "equal"))
    for fault in report.faults:
        print(f"  {fault}")


def _row(name: str, run: Run) -> list[str]:
    load, commits = run.load, run.commits
    shares = (run.daemon_cpu, run.sink_cpu, load.cpu_seconds, run.daemon_waited)
    return [
        name,
        f"{run.rate():.0f}",
        f"{run.cpu_per_thousand():.4f}",
        f"{run.private_end / 1e6:.1f}",
        f"{run.private_peak / 1e6:.1f}",
        *(f"{share / load.seconds * 100:.0f}" for share in shares),
        f"{commits.changes / max(commits.commits, 1):.0f}",
        *(
            "/".join(f"{value:.1f}" for value in values) or "-"
            for values in (load.accepted_ms, load.final_ms, load.late_ms)
        ),
    ]


def draw(report: Report, path: Path) -> None:
    """Each run's rate, with its costs below."""
    bars = {
        f"run {number}\n{run.cpu_per_thousand():.4f} CPU s/1,000\n"
        f"{run.private_peak / 1e6:.0f} MB": run.rate()
        for number, run in enumerate(report.runs, 1)
    }
    title = f"{report.settings.messages:,} messages, window {report.settings.window}"
    draw_bars(path, title, "messages/s", bars)


app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def main(
    messages: Annotated[int, typer.Option(min=1)] = 50_000,
    window: Annotated[int, typer.Option(min=1, help="Unanswered submit_sm of a bind.")] = 100,
    binds: Annotated[int, typer.Option(min=1, max=64, help="Binds of each carrier.")] = 1,
    carriers: Annotated[int, typer.Option(min=1, max=CARRIERS_MAX)] = 1,
    throughput: Annotated[
        float, typer.Option(min=0, help="submit_sm a second for each carrier; 0: no limit.")
    ] = 0.0,
    segments: Annotated[int, typer.Option(min=1, max=255, help="Of each message.")] = 1,
    encoding: Annotated[
        str, typer.Option(help=f"Of the texts: {', '.join(get_args(Encoding))}.")
    ] = "gsm7",
    client_window: Annotated[
        int, typer.Option(min=0, help="Messages submitted and not yet final; 0: no bound.")
    ] = 2_000,
    rate: Annotated[
        float, typer.Option(min=0, help="Messages a second, submitted evenly; 0: no pacing.")
    ] = 0.0,
    receipt_delay: Annotated[float, typer.Option(min=0, help="Seconds; bench.sink only.")] = 0.0,
    receipt_window: Annotated[
        int, typer.Option(min=1, help="Unacknowledged deliver_sm of a bind; bench.sink only.")
    ] = 100,
    receipt_loss: Annotated[
        float,
        typer.Option(min=0, max=1, help="Share of messages without receipt; bench.sink only."),
    ] = 0.0,
    id_format: Annotated[
        str, typer.Option(help=f"{', '.join(get_args(IdFormat))}; bench.sink only.")
    ] = "hex",
    sink_command: Annotated[
        str, typer.Option(help="Another SMSC in place of bench.sink, with {port} and {report}.")
    ] = "",
    runs: Annotated[int, typer.Option(min=1)] = 1,
    directory: Annotated[
        Path | None, typer.Option(help="The disk to measure on; default: that of temporary files.")
    ] = None,
    plot: Annotated[
        Path | None, typer.Option(help="Draw rate and costs of the runs, as SVG.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Measure the daemon from the first message in to the last receipt settled."""
    if sink_command and receipt_loss:
        raise typer.BadParameter("--receipt-loss is bench.sink's; --sink-command has another SMSC")
    asked = {
        "messages": messages,
        "segments": segments,
        "encoding": encoding,
        "carriers": carriers,
        "binds": binds,
        "window": window,
        "throughput": throughput,
        "client_window": client_window,
        "rate": rate,
        "receipt_delay": receipt_delay,
        "receipt_window": receipt_window,
        "receipt_loss": receipt_loss,
        "id_format": id_format,
        "sink": sink_command,
    }
    try:
        settings = msgspec.convert(asked, Settings)
    except msgspec.ValidationError as error:
        raise typer.BadParameter(str(error)) from None
    try:
        check_plot(plot)
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that no child is left behind
        report = run_all(settings, runs, directory)
        if plot is not None:
            draw(report, plot)
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
