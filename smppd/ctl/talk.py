"""One conversation of smppctl with the daemon: where it is, and what to say when it fails."""

from __future__ import annotations

import signal
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import msgspec
import trio
import typer

from smppd import terminal
from smppd.client import Client, DaemonUnreachable, JsonObject, ProtocolError, connect
from smppd.config import load_daemon
from smppd.errors import ConfigError

ANSWER_SECONDS_MAX: Final = 30.0
"""For any one answer: a daemon that takes longer is as good as away."""


class Daemon(msgspec.Struct, frozen=True):
    """Which daemon to talk to, and as which app; the options before the command."""

    config: Path | None
    socket: Path | None
    app: str | None


async def answered(ask: Callable[[], Awaitable[JsonObject]]) -> JsonObject:
    """An answer within ANSWER_SECONDS_MAX, or DaemonUnreachable."""
    try:
        with trio.fail_after(ANSWER_SECONDS_MAX):
            return await ask()
    except trio.TooSlowError:
        raise DaemonUnreachable(f"no answer in {ANSWER_SECONDS_MAX:g} s") from None


def talk(
    place: Daemon, converse: Callable[[Client], Awaitable[int]], *, greet: bool = True
) -> None:
    """Holds one conversation with the daemon and ends the command with its exit code."""
    path = place.socket or _find_socket(place.config)

    async def hold() -> int:
        async with connect(path, place.app, greet=greet) as client:
            return await converse(client)

    try:
        with _ended_by_interrupt():
            code = trio.run(hold)
    except DaemonUnreachable as error:
        _fail_unreachable(error)
    except ProtocolError as error:
        _fail_refused(error)
    raise typer.Exit(code)


def _find_socket(directory: Path | None) -> Path:
    found = terminal.find_config(directory)
    try:
        return load_daemon(found).socket
    except ConfigError as error:
        terminal.show_problems(found, error, sys.stderr)
        raise typer.Exit(terminal.BAD_CONFIG) from None


@contextmanager
def _ended_by_interrupt() -> Iterator[None]:
    """Ctrl-C ends the process at once and silently: there is nothing here to put in order."""
    former = signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, former)


def _fail_unreachable(error: DaemonUnreachable) -> None:
    if isinstance(error.__cause__, PermissionError):
        remedy = "run it as a user who may enter the socket's directory"
        terminal.fail(terminal.NOT_PERMITTED, "the socket is closed to you", str(error), remedy)
    remedy = "start it with smppd run, or name its socket with --socket or --config"
    terminal.fail(terminal.UNREACHABLE, "the daemon cannot be reached", str(error), remedy)


def _fail_refused(error: ProtocolError) -> None:
    what = f"the daemon refused: {error.code}"
    if error.code == "not_allowed":
        remedy = "run it as the app's user, the daemon's user or root; see [apps] in smppd.toml"
        terminal.fail(terminal.NOT_PERMITTED, what, error.reason, remedy)
    if error.code in ("unknown_app", "hello_required") or "hello needs 'app'" in error.reason:
        remedy = "name one of smppd.toml's apps with --app"
        terminal.fail(terminal.USAGE, what, error.reason, remedy)
    terminal.fail(
        terminal.FAILED, what, error.reason, "correct the command, or see the daemon's log"
    )
