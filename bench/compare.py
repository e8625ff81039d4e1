"""Is it faster: two systems measured in turn on one host, and their ratio round by round.

``python -m bench.compare commits A B`` measures two commits of this repository,
``python -m bench.compare kannel`` Kannel's bearerbox beside the daemon, and
``python -m bench.compare flood`` what the two ends of a wire can do with nothing in between.
``bench.rounds`` says how they take turns. The exit code is 0 only if all ledgers balance.

Both commits are driven by the bench of this checkout, with ``smppd`` of that commit behind it:
so the client and the SMSC are the same, and only the daemon differs. Where this bench asks for
what an older commit does not have, ``--own-bench`` has each be driven by its own. A commit of
``.`` is the working tree as it is.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Annotated, Final, get_args

import msgspec
import typer

from bench.driven import BenchTree, run_throughput
from bench.flood import DEFAULT_FIELD, FloodSettings, run_flood
from bench.kannel import STORES, WINDOW, KannelSettings, Store, find_bearerbox, run_kannel
from bench.plot import check_plot
from bench.processes import ROOT, RunFailed
from bench.rounds import Comparison, System, alternate, draw, make_comparison, show

USAGE: Final = 2
"""The exit code of what cannot be begun: a commit unknown, or a program not installed."""

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)

Rounds = Annotated[int, typer.Option(min=1, help="Runs of each system.")]
Messages = Annotated[int, typer.Option(min=1, help="Of each run.")]
ClientWindow = Annotated[
    int, typer.Option(min=0, help="Messages submitted and not yet final; 0: no bound.")
]
SinkCommand = Annotated[
    str, typer.Option(help="Another SMSC in place of bench.sink, with {port} and {report}.")
]
Directory = Annotated[
    Path | None, typer.Option(help="The disk to measure on; default: that of temporary files.")
]
Plot = Annotated[Path | None, typer.Option(help="Draw the median rates, as SVG.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object.")]


@app.command()
def commits(
    a: Annotated[str, typer.Argument(help="A commit, or '.' for the working tree.")],
    b: Annotated[str, typer.Argument(help="The one that is divided by it.")],
    options: Annotated[
        list[str] | None, typer.Argument(help="After '--': options of bench.throughput.")
    ] = None,
    pairs: Annotated[int, typer.Option(min=1, help="Runs of each commit.")] = 8,
    own_bench: Annotated[bool, typer.Option(help="Drive each commit by its own bench.")] = False,
    directory: Directory = None,
    plot: Plot = None,
    as_json: AsJson = False,
) -> None:
    """Two commits in turn."""
    words = options or []

    def compare() -> Comparison:
        with (
            BenchTree(a, own_bench=own_bench) as tree_a,
            BenchTree(b, own_bench=own_bench) as tree_b,
        ):
            name_a, name_b = f"A {tree_a.name}", f"B {tree_b.name}"
            systems = {
                name_a: partial(run_throughput, tree_a.path, words),
                name_b: partial(run_throughput, tree_b.path, words),
            }
            bench = "each driven by its own bench" if own_bench else "both driven by this bench"
            settings = f"{bench}, bench.throughput {' '.join(words) or 'as it is'}"
            host, runs = alternate(systems, pairs, directory)
            return make_comparison(host, settings, runs, [(name_b, name_a)])

    _report(compare, "Two commits in turn", plot, as_json=as_json)


@app.command()
def kannel(
    rounds: Rounds = 3,
    messages: Messages = 20_000,
    client_window: ClientWindow = 2_000,
    store: Annotated[
        list[str] | None, typer.Option(help="none, file, spool; repeatable. Default: all.")
    ] = None,
    sink_command: SinkCommand = "",
    directory: Directory = None,
    plot: Plot = None,
    as_json: AsJson = False,
) -> None:
    """Kannel's bearerbox beside the daemon, over its own box protocol."""
    if find_bearerbox() is None:
        print("there is no bearerbox: apt-get install kannel", file=sys.stderr)
        raise typer.Exit(USAGE)
    stores = _check_stores(store)
    common = ["--messages", str(messages), "--client-window", str(client_window)]
    common += ["--sink-command", sink_command]
    ours = {
        f"smppd, window {window}": partial(run_throughput, ROOT, [*common, "--window", str(window)])
        for window in (100, WINDOW)
    }
    theirs = {
        f"Kannel, store {one}": partial(
            run_kannel, KannelSettings(one, messages, client_window, sink_command)
        )
        for one in stores
    }
    settings = (
        f"{messages} messages, client window {client_window or 'no'}, one bind,"
        f" Kannel's window {WINDOW}, SMSC {sink_command or 'bench.sink'}"
    )
    pairs = [(mine, other) for mine in ours for other in theirs]
    compare = partial(_alternate, {**ours, **theirs}, rounds, directory, settings, pairs)
    _report(compare, "Beside Kannel", plot, as_json=as_json)


def _check_stores(names: list[str] | None) -> list[Store]:
    try:
        return msgspec.convert(names or list(STORES), list[Store])
    except msgspec.ValidationError:
        print(f"--store is one of {', '.join(get_args(Store))}", file=sys.stderr)
        raise typer.Exit(USAGE) from None


@app.command()
def flood(
    rounds: Rounds = 3,
    messages: Messages = 50_000,
    flood_messages: Annotated[
        int, typer.Option(min=1, help="Of each flood: many, so that it lasts a while.")
    ] = 200_000,
    window: Annotated[int, typer.Option(min=1, help="Unanswered submit_sm, of both.")] = 100,
    client_window: ClientWindow = 2_000,
    flood_command: Annotated[
        str,
        typer.Option(help="Another flooder than bench.raw, with {port}, {messages} and {window}."),
    ] = "",
    flood_field: Annotated[
        str, typer.Option(help="Of the JSON that it prints last: its messages a second.")
    ] = DEFAULT_FIELD,
    sink_command: SinkCommand = "",
    directory: Directory = None,
    plot: Plot = None,
    as_json: AsJson = False,
) -> None:
    """The raw flood of an SMSC beside the daemon on the same one."""
    ours, theirs = "smppd", "flood"
    words = ["--messages", str(messages), "--client-window", str(client_window)]
    words += ["--window", str(window), "--sink-command", sink_command]
    raw = FloodSettings(flood_messages, window, sink_command, flood_command, flood_field)
    systems = {ours: partial(run_throughput, ROOT, words), theirs: partial(run_flood, raw)}
    settings = (
        f"{messages} messages and {flood_messages} in a flood, one bind, window {window},"
        f" client window {client_window or 'no'}, SMSC {sink_command or 'bench.sink'},"
        f" flood by {flood_command or 'bench.raw'}"
    )
    if not (flood_command and sink_command):
        settings += "; a flood in Python is a lower bound of what the wire can do"
    compare = partial(_alternate, systems, rounds, directory, settings, [(theirs, ours)])
    _report(compare, "Beside a raw flood", plot, as_json=as_json)


def _alternate(
    systems: Mapping[str, System],
    rounds: int,
    directory: Path | None,
    settings: str,
    pairs: list[tuple[str, str]],
) -> Comparison:
    host, runs = alternate(systems, rounds, directory)
    return make_comparison(host, settings, runs, pairs)


def _report(
    compare: Callable[[], Comparison], title: str, plot: Path | None, *, as_json: bool
) -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that no child is left behind
    try:
        check_plot(plot)
        comparison = compare()
        if plot is not None:
            draw(plot, title, comparison)
    except RunFailed as error:
        print(error, file=sys.stderr)
        raise typer.Exit(1) from None
    if as_json:
        print(msgspec.json.encode(comparison).decode())
    else:
        show(comparison)
    if comparison.faults:
        raise typer.Exit(1)


if __name__ == "__main__":
    app()
