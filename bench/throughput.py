"""End to end: a client, a daemon and an SMSC, each its own process, and both ledgers held equal.

Run as ``python -m bench.throughput``. Each run has a fresh store and fresh processes: messages go
in over the socket, over real SMPP binds to the SMSC, and come back as ``delivered`` events. The
clock runs from the first message in to the last receipt settled at the app. The exit code is 0
only if every message was accepted, told as sent and as delivered once, and accepted by the SMSC
once a segment.

The reference run is the default: one bind, window 100, single-segment GSM-7 texts of 90
characters, each asking for a receipt.

The SMSC is ``bench.sink`` unless ``--sink-command`` names another one. Its words are split as a
shell does; ``{port}`` is where it must listen, and ``{report}`` the file in which it must leave,
at SIGTERM, a JSON object with ``accepted``, the number of submit_sm it answered ESME_ROK. One is
started for each carrier.
"""

from __future__ import annotations

import shlex
import shutil
import signal
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Final

import msgspec
import typer

from bench import sink
from bench.load import Load, LoadResult
from bench.processes import (
    Child,
    DaemonStatus,
    MemoryWatch,
    RunFailed,
    Usage,
    ask_status,
    free_ports,
    is_listening,
    python,
)
from bench.report import Report, Run, Settings, SinkLedger, make_report, print_host, read_host
from smppd.terminal import print_table

SAMPLE_SECONDS: Final = 0.1
"""Between two looks at the daemon's memory: a fraction of a percent of a core."""

CARRIERS_MAX: Final = 100
"""Routes are by the two digits after +4917."""

_OWN_SINK: Final = (
    *python("bench.sink", "--port", "{port}", "--report", "{report}"),
    *("--id-format", "{id_format}", "--receipt-delay", "{receipt_delay}"),
)


class Site:
    """One run's directory: its configuration, its ports, its socket."""

    def __init__(self, directory: Path, settings: Settings) -> None:
        self.directory = directory
        self.settings = settings
        self.socket = directory / "smppd.sock"
        self.ports = free_ports(settings.carriers)
        (directory / "carriers").mkdir()
        self._write("smppd.toml", '[daemon]\nsocket = "smppd.sock"\nstate = "state"\n')
        self._write("routing.toml", _routing(settings.carriers))
        for number, port in enumerate(self.ports):
            self._write(f"carriers/c{number}.toml", _carrier(port, settings))

    def report_path(self, number: int) -> Path:
        """Where the SMSC of carrier ``number`` leaves its counts."""
        return self.directory / f"sink{number}.json"

    def sink_command(self, number: int) -> list[str]:
        """What to run as the SMSC of carrier ``number``."""
        settings = self.settings
        places = {
            "port": self.ports[number],
            "report": self.report_path(number),
            "id_format": settings.id_format,
            "receipt_delay": settings.receipt_delay,
        }
        words = shlex.split(settings.sink) if settings.sink else _OWN_SINK
        return [word.format(**places) for word in words]

    def _write(self, name: str, text: str) -> None:
        (self.directory / name).write_text(text, encoding="utf-8")


def _routing(carriers: int) -> str:
    """The client's numbers spread evenly over the carriers, by two digits."""
    prefixes = range(CARRIERS_MAX if carriers > 1 else 1)
    routes = "".join(
        f'[[route]]\nprefix = "4917{prefix:02d}"\ncarrier = "c{prefix % carriers}"\ncost = "0.01"\n'
        if carriers > 1
        else '[[route]]\nprefix = "49"\ncarrier = "c0"\ncost = "0.01"\n'
        for prefix in prefixes
    )
    return f'currency = "EUR"\n{routes}'


def _carrier(port: int, settings: Settings) -> str:
    return (
        f'host = "127.0.0.1"\nport = {port}\n'
        f'system_id = "{sink.SYSTEM_ID}"\npassword = "{sink.PASSWORD}"\n'
        f"binds = {settings.binds}\nwindow = {settings.window}\n"
        'message_id = "same"\nreconnect_min = 0.1\n'
    )


def run_once(settings: Settings, directory: Path) -> Run:
    """One run in an empty ``directory``. RunFailed where it could not be brought to its end."""
    site = Site(directory, settings)
    with ExitStack() as stack:
        sinks = [_start_sink(stack, site, number) for number in range(settings.carriers)]
        daemon = _start_daemon(stack, site)
        load = Load(str(site.socket), settings.messages, settings.client_window, settings.segments)
        words = python("bench.load", msgspec.json.encode(load).decode())
        client = stack.enter_context(Child(words, directory / "client.log", piped=True))
        memory = MemoryWatch(daemon)
        client.read_line(memory.look, SAMPLE_SECONDS)
        before = _usage(daemon, sinks)
        client.write_line("go")
        result = msgspec.json.decode(client.read_line(memory.look, SAMPLE_SECONDS), type=LoadResult)
        after = _usage(daemon, sinks)
        memory.look()
        status = _status(daemon, site)
        for process in (daemon, *sinks):
            process.stop()
    return Run(
        load=result,
        sink_accepted=sum(_read_ledger(site, number) for number in range(settings.carriers)),
        daemon_cpu=after.daemon - before.daemon,
        sink_cpu=after.sinks - before.sinks,
        private_end=memory.last,
        private_peak=memory.peak,
        commits=status.commits,
    )


def _start_sink(stack: ExitStack, site: Site, number: int) -> Child:
    log = site.directory / f"sink{number}.log"
    child = stack.enter_context(Child(site.sink_command(number), log))
    child.wait_until(lambda: is_listening(site.ports[number]), "listening")
    return child


def _start_daemon(stack: ExitStack, site: Site) -> Child:
    words = python("smppd", "run", "--config", str(site.directory))
    child = stack.enter_context(Child(words, site.directory / "daemon.log"))

    def is_bound() -> bool:
        status = ask_status(site.socket)
        return status is not None and status.is_bound()

    child.wait_until(is_bound, "bound")
    return child


def _status(daemon: Child, site: Site) -> DaemonStatus:
    status = ask_status(site.socket)
    if status is None:
        raise daemon.failure("answers no status")
    return status


def _usage(daemon: Child, sinks: list[Child]) -> Usage:
    return Usage(daemon.cpu_seconds(), sum(process.cpu_seconds() for process in sinks))


def _read_ledger(site: Site, number: int) -> int:
    path = site.report_path(number)
    try:
        return msgspec.json.decode(path.read_bytes(), type=SinkLedger).accepted
    except (OSError, msgspec.DecodeError) as error:
        raise RunFailed(f"the SMSC left no report with 'accepted' in {path}: {error}") from error


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


def show(report: Report) -> None:
    """The report for people."""
    settings = report.settings
    print_host(report.host)
    window = settings.client_window or "no"
    print(
        f"{settings.messages} messages of {settings.segments} segments, {settings.carriers}"
        f" carriers, {settings.binds} binds each, window {settings.window}, client window"
        f" {window}, ids {settings.id_format}, SMSC {settings.sink or 'bench.sink'}"
    )
    columns = (
        "run", "messages/s", "CPU s/1,000", "private MB", "peak MB", "daemon %", "SMSC %",
        "client %", "changes/commit", "accept p50/p99 ms", "final p50/p99 ms",
    )  # fmt: skip
    print_table("", columns, [_row(str(number), run) for number, run in enumerate(report.runs, 1)])
    rate, cpu = report.rate, report.cpu_seconds_per_thousand
    print(f"messages/s: {rate.min:,.0f} / {rate.median:,.0f} / {rate.max:,.0f} (min/median/max)")
    print(f"CPU s per 1,000: {cpu.min:.4f} / {cpu.median:.4f} / {cpu.max:.4f}")
    for note in report.notes:
        print(note)
    print("ledgers: " + ("equal" if not report.faults else "NOT EQUAL"))
    for fault in report.faults:
        print(f"  {fault}")


def _row(name: str, run: Run) -> list[str]:
    load, commits = run.load, run.commits
    shares = (run.daemon_cpu, run.sink_cpu, load.cpu_seconds)
    return [
        name,
        f"{run.rate():.0f}",
        f"{run.cpu_per_thousand():.4f}",
        f"{run.private_end / 1e6:.1f}",
        f"{run.private_peak / 1e6:.1f}",
        *(f"{share / load.seconds * 100:.0f}" for share in shares),
        f"{commits.changes / max(commits.commits, 1):.0f}",
        "/".join(f"{value:.1f}" for value in load.accepted_ms),
        "/".join(f"{value:.1f}" for value in load.final_ms),
    ]


app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def main(
    messages: Annotated[int, typer.Option(min=1)] = 50_000,
    window: Annotated[int, typer.Option(min=1, help="Unanswered submit_sm of a bind.")] = 100,
    binds: Annotated[int, typer.Option(min=1, max=64, help="Binds of each carrier.")] = 1,
    carriers: Annotated[int, typer.Option(min=1, max=CARRIERS_MAX)] = 1,
    segments: Annotated[int, typer.Option(min=1, max=255, help="Of each message.")] = 1,
    client_window: Annotated[
        int, typer.Option(min=0, help="Messages submitted and not yet final; 0: no bound.")
    ] = 2_000,
    receipt_delay: Annotated[float, typer.Option(min=0, help="Seconds; bench.sink only.")] = 0.0,
    id_format: Annotated[str, typer.Option(help="hex, dec or uuid; bench.sink only.")] = "hex",
    sink_command: Annotated[
        str, typer.Option(help="Another SMSC in place of bench.sink, with {port} and {report}.")
    ] = "",
    runs: Annotated[int, typer.Option(min=1)] = 1,
    directory: Annotated[
        Path | None, typer.Option(help="The disk to measure on; default: that of temporary files.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Measure the daemon from the first message in to the last receipt settled."""
    settings = Settings(
        messages=messages,
        segments=segments,
        carriers=carriers,
        binds=binds,
        window=window,
        client_window=client_window,
        receipt_delay=receipt_delay,
        id_format=id_format,
        sink=sink_command,
    )
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that no child is left behind
    try:
        report = run_all(settings, runs, directory)
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
