"""What all faces share: exit codes, how they complain, and tables where there is a terminal.

Data goes to stdout, everything else to stderr. Without a terminal a table is lines of fields
between tabs, so that cut(1) and awk(1) read them. Nothing here knows a message or a carrier.
"""

from __future__ import annotations

import json
import re
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NoReturn, TextIO

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console, JustifyMethod
from rich.table import Table
from rich.text import Text

from smppd.config import Config, load
from smppd.config.load import DAEMON_FILE
from smppd.errors import ConfigError
from smppd.log import has_colour, plain

OK: Final = 0
FAILED: Final = 1
USAGE: Final = 2
INTERRUPTED: Final = 130
"""Ended by Ctrl-C, as shells count it: 128 and the signal's number."""
# The others are named by sysexits.h.
UNREACHABLE: Final = 69
"""EX_UNAVAILABLE: no daemon answers on the socket."""
STORE_FAILED: Final = 74
"""EX_IOERR: the store cannot keep its promise."""
NOT_PERMITTED: Final = 77
"""EX_NOPERM: the daemon, or the kernel, does not let this user."""
BAD_CONFIG: Final = 78
"""EX_CONFIG: the configuration has problems."""

_NUMBER: Final = re.compile(r"-|[0-9.]+(?: ?/ ?[0-9.]+)?")
"""A cell of numbers, or of none: ``12``, ``0.0210``, ``7/50``, ``3 / 12``, ``-``."""

SYSTEM_DIRECTORY: Final = Path("/etc/smppd")

COLUMNS_MIN: Final = 100
"""A table is laid out this wide at least: wrapped by the terminal it can be read, cut it cannot."""


def complain(what: str, why: str, remedy: str) -> None:
    """What went wrong, why, and what to do where that is known, on stderr."""
    print(f"{what}\n  why: {plain(why)}", file=sys.stderr)
    if remedy:
        print(f"  do:  {plain(remedy)}", file=sys.stderr)


def fail(code: int, what: str, why: str, remedy: str) -> NoReturn:
    """Complains and ends the command with ``code``."""
    complain(what, why, remedy)
    raise typer.Exit(code)


def find_config(directory: Path | None) -> Path:
    """The configuration's directory: as given, else this one if it is one, else the system's."""
    if directory is not None:
        return directory
    here = Path()
    return here if (here / DAEMON_FILE).is_file() else SYSTEM_DIRECTORY


def load_or_fail(directory: Path | None) -> Config:
    """The whole configuration, or every problem of it on stderr and the end."""
    place = find_config(directory)
    try:
        return load(place)
    except ConfigError as error:
        show_problems(place, error, sys.stderr)
        raise typer.Exit(BAD_CONFIG) from None


def show_problems(directory: Path, error: ConfigError, stream: TextIO) -> None:
    """Every problem on a line of its own, then how many there are."""
    for problem in error.problems:
        print(plain(str(problem)), file=stream)
    print(f"{directory}: {count_of(len(error.problems), 'problem')}", file=stream)


def count_of(number: int, noun: str) -> str:
    """``1 carrier``, ``2 carriers``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def to_json(value: object) -> str:
    """``value`` on one line, in ASCII: whatever is in it acts on no terminal, and loses nothing."""
    return json.dumps(value, separators=(",", ":"))


def console() -> Console:
    """stdout for rich: coloured only where that is wanted, and never wrapped too narrow."""
    width = max(COLUMNS_MIN, shutil.get_terminal_size().columns)
    return Console(
        file=sys.stdout,
        width=width,
        color_system="auto" if has_colour(sys.stdout) else None,
        highlight=False,
        markup=False,
        emoji=False,
    )


def print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A table on a terminal, else tab-separated lines. Cells are made plain; numbers go right.

    Where it is too wide, the last column is folded: that is where words belong.
    """
    shown = [[plain(cell) for cell in row] for row in rows]
    if not sys.stdout.isatty():
        for row in ([name.replace(" ", "_") for name in columns], *shown):
            print("\t".join(row))
        return
    table = Table(
        title=title or None,
        title_justify="left",
        title_style="bold",
        box=SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
        pad_edge=False,
    )
    last = len(columns) - 1
    for index, name in enumerate(columns):
        right = all(_is_number(row[index]) for row in shown)
        justify: JustifyMethod = "right" if right else "left"
        table.add_column(name, justify=justify, no_wrap=index < last, overflow="fold")
    for row in shown:
        table.add_row(*map(Text, row))
    console().print(table)


def _is_number(cell: str) -> bool:
    return _NUMBER.fullmatch(cell) is not None
