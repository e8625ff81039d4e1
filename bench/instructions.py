"""The guard against getting slower: instructions a message, against those that are kept.

Run as ``python -m bench.instructions``. Every case of ``bench.micro`` that is ours and every stage
of ``bench.pipeline`` is counted by valgrind's callgrind: the same on a loaded machine as on an idle
one, to a fraction of a percent, so that a change shows at once and by itself. A case more than a
tenth above what is kept in ``bench/baseline.json`` fails (exit code 1); ``--update`` keeps what was
counted instead. Times are what a user waits for: they are for ``bench.micro`` and the others.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import repeat
from pathlib import Path
from typing import Annotated, Final

import typer

from bench.baselines import (
    BASELINE,
    Comparison,
    Kept,
    Line,
    compare,
    encode_kept,
    keep,
    make_baseline,
    read_kept,
)
from bench.callgrind import Window, fixed_addresses, run_counted
from bench.counted import STAGE
from bench.processes import RunFailed
from smppd.terminal import print_table

LAYOUTS: Final = 3
"""Runs with different hash seeds, of which the least counts. Where objects lie decides which of
the interpreter's method cache they share, and moves a case by up to 3 % from layout to layout."""

FUNCTIONS: Final = 12
"""Of ``--profile``: the heaviest of each case."""

ALL_STAGES: Final = "all stages"


def count_all(suite: str, names: Sequence[str], layouts: int) -> dict[str, Window]:
    """Every case's least window over the layouts, and the sum of the stages if all are there."""
    cores = len(os.sched_getaffinity(0))
    with (
        tempfile.TemporaryDirectory(prefix="smppd-bench-") as place,
        ThreadPoolExecutor(cores) as pool,
    ):
        places = [Path(place) / f"{seed:02d}" for seed in range(layouts)]
        runs = list(pool.map(_count_once, repeat(suite), repeat(names), places))
    least = {name: min((run[name] for run in runs), key=Window.each) for name in runs[0]}
    if not names:
        _add_all_stages(least)
    return least


def _count_once(suite: str, names: Sequence[str], place: Path) -> dict[str, Window]:
    out, work = place / "out", place / "work"
    out.mkdir(parents=True)
    work.mkdir()
    command = [sys.executable, "-m", "bench.counted", suite, str(work), *names]
    return run_counted(command, out, seed=int(place.name))


def _add_all_stages(windows: dict[str, Window]) -> None:
    stages = [window for name, window in windows.items() if name.startswith(STAGE)]
    if stages:
        total = windows[ALL_STAGES] = Window(stages[0].things)
        for stage in stages:
            total.instructions += stage.instructions
            total.functions.update(stage.functions)


def print_comparison(comparison: Comparison) -> None:
    """The table, and what there is to say of it."""
    rows = [_show_line(line) for line in comparison.lines]
    print_table("", ("what", "instructions a message", "kept", "change"), rows)
    for note in comparison.notes:
        print(f"note: {note}")
    for failure in comparison.failures:
        print(f"SLOWER: {failure}")


def _show_line(line: Line) -> list[str]:
    if line.before is None or line.growth is None:
        return [line.name, f"{line.instructions:,.0f}", "-", "-"]
    return [line.name, f"{line.instructions:,.0f}", f"{line.before:,.0f}", f"{line.growth:+.1%}"]


def print_profile(windows: Mapping[str, Window]) -> None:
    """The heaviest C functions of every case, callees not included, instructions a message."""
    rows = [
        [name, function, f"{count / window.things:,.0f}", f"{count / total:.1%}"]
        for name, window in windows.items()
        if (total := window.functions.total())
        for function, count in window.functions.most_common(FUNCTIONS)
    ]
    print_table("", ("what", "function", "instructions a message", "share"), rows)
    if any(row[1].startswith("0x") for row in rows):
        print("note: 0x...: without a symbol; an interpreter that is not stripped names more")


app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def main(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[CASE]...", help="Cases with this in their name.")
    ] = None,
    against: Annotated[
        Path, typer.Option(help="What is kept: a file of --json, or of --update.")
    ] = BASELINE,
    update: Annotated[
        bool, typer.Option("--update", help="Keep what is counted, for this interpreter.")
    ] = False,
    profile: Annotated[
        bool, typer.Option("--profile", help=f"The {FUNCTIONS} heaviest C functions of each case.")
    ] = False,
    layouts: Annotated[
        int, typer.Option(min=1, max=99, help="Of memory, the least counts; 1 is quickest.")
    ] = LAYOUTS,
    as_json: Annotated[
        bool, typer.Option("--json", help="Only what is counted, as --against takes it.")
    ] = False,
    suite: Annotated[str, typer.Option(hidden=True)] = "bench.suite",
) -> None:
    """Count instructions a message, and fail where they are a tenth above what is kept."""
    if update and names:
        raise typer.BadParameter("--update keeps all cases: name none")
    if not fixed_addresses():
        print("note: no setarch -R here, so counts may differ from run to run", file=sys.stderr)
    try:
        windows = count_all(suite, names or [], layouts)
        baseline = make_baseline({name: round(one.each(), 1) for name, one in windows.items()})
        comparison = compare(baseline, read_kept(against).baselines, whole=not names)
        if update:
            keep(against, baseline)
    except RunFailed as failure:
        raise typer.Exit(_complain(str(failure))) from None
    if as_json:
        print(encode_kept(Kept([baseline])).decode(), end="")
        return
    if profile:
        print_profile(windows)
    print_comparison(comparison)
    if update:
        print(f"kept in {against}, for this interpreter")
    elif comparison.failures:
        print("meant? then accept it, and say why in the commit: make instructions-baseline")
        raise typer.Exit(1)


def _complain(words: str) -> int:
    print(words, file=sys.stderr)
    return 2


if __name__ == "__main__":
    app()
