"""What all faces share: exit codes, how they complain, and tables where there is a terminal.

Data goes to stdout, everything else to stderr. Without a terminal a table is lines of fields
between tabs, so that cut(1) and awk(1) read them. Nothing here knows a message or a carrier.
"""

from __future__ import annotations

import errno
import io
import json
import os
import re
import shutil
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NoReturn, TextIO, cast

import typer
from typer.core import TyperGroup

from smppd.config import Config, load
from smppd.config.daemon_file import DAEMON_FILE
from smppd.errors import ConfigError
from smppd.log import has_colour, plain
from smppd.systemd import credentials_directory

if TYPE_CHECKING:
    from rich.console import Console, JustifyMethod

OK: Final = 0
FAILED: Final = 1
USAGE: Final = 2
NOT_FOUND: Final = 4
"""No such message, or none that fits."""
INTERRUPTED: Final = 130
"""Ended by Ctrl-C, as shells count it: 128 and the signal's number."""
PIPE_BROKEN: Final = 141
"""Whoever read the output has left: 128 and SIGPIPE's number, as of a program that it ends."""
# The others are named by sysexits.h.
DAMAGED: Final = 65
"""EX_DATAERR: the store's file is damaged; a start refuses it."""
UNREACHABLE: Final = 69
"""EX_UNAVAILABLE: no daemon answers on the socket."""
STORE_FAILED: Final = 74
"""EX_IOERR: the store cannot keep its promise."""
OUTPUT_FAILED: Final = 74
"""EX_IOERR: stdout takes no more."""
NOT_PERMITTED: Final = 77
"""EX_NOPERM: the daemon, or the kernel, does not let this user."""
BAD_CONFIG: Final = 78
"""EX_CONFIG: the configuration has problems."""

_NUMBER: Final = re.compile(r"-|[+-]?[0-9.]+(?: ?/ ?[0-9.]+)?")
"""A cell of numbers, or of none: ``12``, ``0.0210``, ``7/50``, ``3 / 12``, ``+0.01``, ``-``."""

_OUTPUT_ERRORS: Final = frozenset({errno.ENOSPC, errno.EIO, errno.EFBIG, errno.EDQUOT})
"""What a write to stdout fails with, beside EPIPE: a full disk or device, a terminal gone."""

_EMPTY: Final = frozenset({"", "-"})
"""Cells that say nothing; a column of these alone is not drawn."""

SYSTEM_DIRECTORY: Final = Path("/etc/smppd")

COLUMNS_MIN: Final = 100
"""A table is laid out this wide at least: wrapped by the terminal it can be read, cut it cannot."""


_UsageError: Final = cast("type[typer.BadParameter]", typer.BadParameter.__base__)
"""What every fault of a command line derives from; Typer names no more of them than the one."""

_VALIDATION: Final = "Value error, "
"""What the library behind Typer's writes before every reason of a refused value."""


class Commands(TyperGroup):
    """The commands of a face, and what becomes of each where its output has nowhere to go.

    A broken pipe ends it silently: somebody piped into head(1). A full device is told. An option
    on the wrong side of the command is refused with where it goes.
    """

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Reads what stands before the command."""
        try:
            return super().parse_args(ctx, args)
        except _UsageError as error:
            name = getattr(error, "option_name", None)
            commands = list(self.commands.values())
            if (metavar := _metavar_of(name, *commands)) is not None:
                where = f"{ctx.command_path} COMMAND {name} {metavar}".rstrip()
                error.message += f"; it goes after the command: {where}"
            raise

    def main(self, *args: Any, **kwargs: Any) -> Any:  # as Typer has it
        """Runs the command line and ends the process; what is still buffered is written first."""
        if sys.__stdout__ is None:  # whoever started us has closed it
            complain("the output cannot be written", "stdout is closed", "write > FILE")
            raise SystemExit(OUTPUT_FAILED)
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="backslashreplace")  # a locale that cannot say it all
        with _ended_by_output():
            try:
                return super().main(*args, **kwargs)
            finally:
                sys.stdout.flush()

    def invoke(self, ctx: Any) -> Any:  # Typer's context, wherever this release keeps it
        """Runs one command."""
        try:
            with _ended_by_output():
                return super().invoke(ctx)
        except _UsageError as error:
            error.message = error.message.removeprefix(_VALIDATION)
            name = getattr(error, "option_name", None)
            if (metavar := _metavar_of(name, self)) is not None and error.ctx is not None:
                own = ctx.command_path
                command = error.ctx.command_path.removeprefix(own).strip()
                where = f"{own} {name} {metavar} {command}".replace("  ", " ")
                error.message += f"; it goes before the command: {where}"
            raise


def _metavar_of(name: str | None, *commands: Any) -> str | None:
    """What stands for the value of the option ``name``, of the first that has it; None: nobody."""
    params = (param for command in commands for param in command.params if name in param.opts)
    found = next(params, None)
    return None if found is None else found.metavar or ""


@contextmanager
def _ended_by_output() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        _leave_stdout()
        raise SystemExit(PIPE_BROKEN) from None
    except OSError as error:
        if error.errno not in _OUTPUT_ERRORS or error.filename is not None:
            raise
        _leave_stdout()
        with suppress(OSError):
            remedy = "make room where it goes, or send it elsewhere"
            complain("the output cannot be written", error.strerror or "", remedy)
        raise SystemExit(OUTPUT_FAILED) from None


def _leave_stdout() -> None:
    """What is still buffered goes nowhere: else the interpreter would try again, and complain."""
    with suppress(OSError):  # a stdout that is no file
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


def complain(what: str, why: str, remedy: str) -> None:
    """What went wrong, why, and what to do where that is known, on stderr."""
    print(f"{plain(what)}\n  why: {plain(why)}", file=sys.stderr)
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


def find_config_or_fail(directory: Path | None, *, has_socket: bool = False) -> Path:
    """As ``find_config``; where there is none at all, the end, with what to name: ``has_socket``
    where the command takes --socket too."""
    place = find_config(directory)
    if directory is None and _is_absent(place / DAEMON_FILE):
        why = f"no {DAEMON_FILE} here and none in {SYSTEM_DIRECTORY}"
        socket = ", or the socket with --socket" if has_socket else ""
        remedy = f"name the directory with --config{socket}"
        fail(BAD_CONFIG, "there is no configuration", why, remedy)
    return place


def _is_absent(path: Path) -> bool:
    """Not so where it is out of reach: whoever reads it says why."""
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False
    return False


def find_credentials() -> Path | None:
    """systemd's directory of credentials; None where a person runs the command."""
    return credentials_directory(os.environ)


def load_or_fail(directory: Path | None) -> Config:
    """The whole configuration, or every problem of it on stderr and the end."""
    place = find_config_or_fail(directory)
    try:
        return load(place, find_credentials(), now=time.time())
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
    from rich.console import Console  # where a table is drawn: no daemon needs its 2 MB

    width = max(COLUMNS_MIN, shutil.get_terminal_size().columns)
    return Console(
        file=sys.stdout,
        width=width,
        color_system="auto" if has_colour(sys.stdout) else None,
        highlight=False,
        markup=False,
        emoji=False,
    )


def is_drawn() -> bool:
    """Whether somebody looks at stdout; else a program reads it, and wants fields and no more."""
    return sys.stdout.isatty()


def print_summary(text: str) -> None:
    """The line over a table, for who looks at it."""
    from rich.text import Text

    if is_drawn():
        console().print(Text(plain(text), style="bold"), soft_wrap=True)


def print_table(
    title: str,
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    styles: Mapping[str, str] | None = None,
) -> None:
    """A table on a terminal, else tab-separated lines. Cells are made plain; numbers go right.

    On a terminal a column that says nothing is left out, a cell that ``styles`` names is coloured,
    and where it is too wide the last column is folded: that is where words belong.
    """
    shown = [[plain(cell) for cell in row] for row in rows]
    if not is_drawn():
        for row in ([name.replace(" ", "_") for name in columns], *shown):
            print("\t".join(row))
        return
    kept = [at for at in range(len(columns)) if any(row[at] not in _EMPTY for row in shown)]
    if kept:
        drawn = [[row[at] for at in kept] for row in shown]
        _draw(title, [columns[at] for at in kept], drawn, styles or {})


def _draw(
    title: str, columns: Sequence[str], rows: Sequence[Sequence[str]], styles: Mapping[str, str]
) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

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
        right = all(_is_number(row[index]) for row in rows)
        justify: JustifyMethod = "right" if right else "left"
        table.add_column(name, justify=justify, no_wrap=index < last, overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell, style=styles.get(cell, "")) for cell in row))
    console().print(table)


def _is_number(cell: str) -> bool:
    return _NUMBER.fullmatch(cell) is not None
