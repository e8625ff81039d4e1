"""One conversation of smppctl with the daemon: where it is, and what to say when it fails."""

from __future__ import annotations

import signal
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NoReturn

import msgspec
import trio
import typer

from smppd import terminal
from smppd.client import Connection, DaemonUnreachable, JsonObject, ProtocolError, connect
from smppd.config import load_daemon
from smppd.errors import ConfigError

ANSWER_SECONDS_MAX: Final = 30.0
"""For an answer: a daemon that takes longer is as good as away."""

SEARCH_SECONDS_MAX: Final = 600.0
"""For what walks many messages, such as ``find``: ten million, beside traffic."""


class Daemon(msgspec.Struct, frozen=True):
    """Which daemon to talk to, and as which app; the options before the command."""

    config: Path | None
    socket: Path | None
    app: str | None


async def ask(
    client: Connection, request: JsonObject, seconds: float = ANSWER_SECONDS_MAX
) -> JsonObject:
    """An answer within ``seconds``, or DaemonUnreachable; ProtocolError where it is an error."""
    try:
        with trio.fail_after(seconds):
            return await client.ask(request)
    except trio.TooSlowError:
        raise DaemonUnreachable(f"no answer in {seconds:g} s") from None


def talk(
    place: Daemon, converse: Callable[[Connection], Awaitable[int]], *, greet: bool = True
) -> None:
    """Holds one conversation with the daemon and ends the command with its exit code."""
    path = find_socket(place)

    async def hold() -> int:
        async with connect(path, place.app, greet=greet) as client:
            return await converse(client)

    try:
        with _ended_by_interrupt():
            code = trio.run(hold)
    except DaemonUnreachable as error:
        _fail_unreachable(error)
    except ProtocolError as error:
        fail_refused(error)
    except UnicodeEncodeError:
        # The shell gave octets that are no characters (PEP 383), and JSON has no such thing.
        raise typer.BadParameter("holds octets that are no characters in your locale") from None
    raise typer.Exit(code)


def find_socket(place: Daemon) -> Path:
    """As given, or as the configuration says, which must have no problem there."""
    if place.socket is not None:
        return place.socket
    found = terminal.find_config_or_fail(place.config, has_socket=True)
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


def _fail_unreachable(error: DaemonUnreachable) -> NoReturn:
    if isinstance(error.__cause__, PermissionError):
        remedy = "run it as a user who may enter the socket's directory"
        terminal.fail(terminal.NOT_PERMITTED, "the socket is closed to you", str(error), remedy)
    remedy = "start it with smppd run, or name its socket with --socket or --config"
    terminal.fail(terminal.UNREACHABLE, "the daemon cannot be reached", str(error), remedy)


NAME_THE_APP: Final = "write smppctl --app NAME COMMAND, with one of smppd.toml's apps"

# By the code of an ``error``: the exit code, and what to do where the reason does not say it.
REFUSALS: Final = {
    "not_allowed": (
        terminal.NOT_PERMITTED,
        "run it as the app's user, the daemon's user or root; see [apps] in smppd.toml",
    ),
    "unknown_app": (terminal.USAGE, NAME_THE_APP),
    "hello_required": (terminal.USAGE, NAME_THE_APP),
    "bad_request": (terminal.USAGE, "correct the command; --help shows what it takes"),
    "unknown_message": (
        terminal.NOT_FOUND,
        "smppctl find looks by number, tag and time; another app's is found with --app",
    ),
    "busy": (terminal.FAILED, "end a connection, or try again"),
}


def fail_refused(error: ProtocolError) -> NoReturn:
    """Complains of an ``error`` of the daemon and ends the command."""
    code, remedy = REFUSALS.get(error.code, (terminal.FAILED, "see the daemon's log"))
    why, _, advice = error.reason.partition("; ")
    if "'app'" in error.reason:
        remedy = NAME_THE_APP
    terminal.fail(code, f"the daemon refused: {error.code}", why, advice or remedy)
