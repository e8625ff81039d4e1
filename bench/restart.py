"""From exec to READY: how long a restart takes, with nothing stored and with millions.

Run as ``python -m bench.restart``. Stores are filled once (``bench.fill``), then daemons start on
them by turns, the sizes alternating. The clock runs from exec to the datagram READY=1 on a real
notify socket, when apps can connect. No SMSC is there: what waits, waits. ``--cold`` has the kernel
drop the store's pages before each start, as after a reboot (the interpreter's own files stay
warm).

``--stages`` shows where a start goes: the same calls one after the other, in a fresh process
(``bench.start_stages``).
"""

from __future__ import annotations

import socket
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Final

import msgspec
import typer

from bench.fill import What, fill
from bench.plot import check_plot, draw_lines
from bench.processes import START_SECONDS_MAX, Child, RunFailed, python
from bench.report import Host, print_host, read_host
from bench.stand import Stand, drop_cache
from smppd.terminal import print_table

ENV: Final = "/usr/bin/env"

READY_SECONDS_MAX: Final = 120.0
"""For a start from a slow disk with a cold cache."""


class Start(msgspec.Struct, frozen=True):
    """One start: seconds from exec to READY, and what the process has used by then."""

    messages: int
    is_cold: bool
    seconds: float
    cpu_seconds: float
    private: int


class RestartReport(msgspec.Struct, frozen=True):
    """Everything, as ``--json`` prints it. ``octets`` are of the data file, by messages; ``stages``
    are seconds by the clock and of CPU, by name."""

    host: Host
    what: What
    octets: dict[int, int]
    starts: list[Start]
    stages: dict[int, dict[str, tuple[float, float]]]


def start_once(stand: Stand, messages: int, what: What, *, is_cold: bool) -> Start:
    """Starts a daemon, waits until it is ready, and stops it. RunFailed where it has not found what
    was stored."""
    if is_cold:
        drop_cache(stand.state)
    address = stand.directory / "notify"
    address.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(address))
        manager.settimeout(READY_SECONDS_MAX)
        words = python("smppd", "run", "--config", str(stand.directory))
        begin = time.perf_counter()
        # env(1) becomes the daemon: the same process, half a millisecond later.
        command = [ENV, f"NOTIFY_SOCKET={address}", *words]
        with Child(command, stand.directory / "daemon.log") as daemon:
            _wait_ready(manager, daemon)
            seconds = time.perf_counter() - begin
            used, private = daemon.cpu_seconds(), daemon.private_bytes()
            queued = stand.status().store.queued
            daemon.stop()
    if queued != (messages if what is What.queued else 0):
        raise RunFailed(f"{queued} messages wait after a start, of {messages} {what}")
    return Start(messages, is_cold, seconds, used, private)


def _wait_ready(manager: socket.socket, daemon: Child) -> None:
    try:
        while not manager.recv(4096).startswith(b"READY=1"):
            pass
    except TimeoutError:
        raise daemon.failure(f"not ready in {READY_SECONDS_MAX:g} s") from None


def time_stages(stand: Stand) -> dict[str, tuple[float, float]]:
    """Seconds by the clock and of CPU of each stage of a start, by name."""
    words = python("bench.start_stages", str(stand.directory), str(time.monotonic_ns()))
    with Child(words, stand.directory / "stages.log", piped=True) as child:
        line = child.read_line(lambda: None, START_SECONDS_MAX)
    return msgspec.json.decode(line, type=dict[str, tuple[float, float]])


def run_all(
    sizes: list[int],
    what: What,
    id_format: str,
    runs: int,
    directory: Path | None,
    *,
    cold: bool,
    stages: bool,
) -> RestartReport:
    """Fills a store of each size below ``directory``, then starts on them by turns."""
    with tempfile.TemporaryDirectory(prefix="smppd-bench-", dir=directory) as place:
        host = read_host(Path(place))
        stands = {size: Stand(Path(place) / str(size)) for size in sizes}
        octets = {
            size: fill(stand.directory, size, what, id_format).octets
            for size, stand in stands.items()
        }
        starts = [*_start_by_turns(stands, what, runs, cold=cold)]
        found = {size: time_stages(stand) for size, stand in stands.items()} if stages else {}
    return RestartReport(host, what, octets, starts, found)


def _start_by_turns(
    stands: dict[int, Stand], what: What, runs: int, *, cold: bool
) -> Iterator[Start]:
    for is_cold in (False, True) if cold else (False,):
        for size, stand in stands.items():
            start_once(stand, size, what, is_cold=False)  # the first makes what is made once
        for _ in range(runs):
            for size, stand in stands.items():
                yield start_once(stand, size, what, is_cold=is_cold)


def show(report: RestartReport) -> None:
    """The report for people."""
    print_host(report.host)
    columns = ("messages", "cache", "file MB", "ready s", "CPU s", "private MB")
    title = f"From exec to READY, {report.what} messages (min / median / max)"
    print_table(title, columns, [*_rows(report)])
    for size, stages in report.stages.items():
        rows = [
            [name, f"{wall * 1000:.1f}", f"{cpu * 1000:.1f}"]
            for name, (wall, cpu) in stages.items()
        ]
        print_table(f"Where a start with {size} goes, warm", ("stage", "ms", "CPU ms"), rows)


def _rows(report: RestartReport) -> Iterator[list[str]]:
    for size, is_cold in sorted({(one.messages, one.is_cold) for one in report.starts}):
        starts = [one for one in report.starts if (one.messages, one.is_cold) == (size, is_cold)]
        yield [
            f"{size}",
            "cold" if is_cold else "warm",
            f"{report.octets[size] / 1e6:.0f}",
            _spread([one.seconds for one in starts]),
            _spread([one.cpu_seconds for one in starts]),
            f"{max(one.private for one in starts) / 1e6:.1f}",
        ]


def _spread(values: list[float]) -> str:
    ordered = sorted(values)
    shown = (ordered[0], ordered[len(ordered) // 2], ordered[-1])
    return " / ".join(f"{value:.2f}" for value in shown)


def draw(report: RestartReport, path: Path) -> None:
    """The median seconds over the size, warm and cold."""
    series: dict[str, list[tuple[float, float]]] = {}
    for size, is_cold in sorted({(one.messages, one.is_cold) for one in report.starts}):
        seconds = sorted(
            one.seconds for one in report.starts if (one.messages, one.is_cold) == (size, is_cold)
        )
        name = "cold cache" if is_cold else "warm cache"
        series.setdefault(name, []).append((size, seconds[len(seconds) // 2]))
    title = "From exec to READY"
    draw_lines(path, title, f"messages {report.what}", "seconds", series)


app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def main(
    messages: Annotated[list[int] | None, typer.Option(min=1, help="Repeatable.")] = None,
    what: Annotated[What, typer.Option(help="What became of them.")] = What.queued,
    id_format: Annotated[str, typer.Option(help="The carrier's ids: hex or uuid.")] = "hex",
    runs: Annotated[int, typer.Option(min=1, help="Of each size.")] = 5,
    cold: Annotated[bool, typer.Option(help="Again, from a cold cache.")] = False,
    stages: Annotated[bool, typer.Option(help="Where a start goes.")] = False,
    directory: Annotated[
        Path | None, typer.Option(help="The disk to measure on; default: that of temporary files.")
    ] = None,
    plot: Annotated[Path | None, typer.Option(metavar="FILE.svg")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Measure how soon a daemon is ready."""
    try:
        check_plot(plot)
        report = run_all(
            messages or [1_000, 100_000, 1_000_000],
            what,
            id_format,
            runs,
            directory,
            cold=cold,
            stages=stages,
        )
        if plot is not None:
            draw(report, plot)
    except RunFailed as error:
        print(error, file=sys.stderr)
        raise typer.Exit(1) from None
    if as_json:
        print(msgspec.json.encode(report).decode())
    else:
        show(report)


if __name__ == "__main__":
    app()
