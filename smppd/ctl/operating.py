"""The verbs that change how the daemon works: pause, resume, drain, resolve, reload."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated, Final

import trio
import typer

from smppd import terminal
from smppd.client import Connection, DaemonUnreachable, JsonObject, ProtocolError
from smppd.ctl import tables
from smppd.ctl.options import (
    CarrierArgument,
    JsonOption,
    RevealOption,
    app,
    ask_and_show,
    complete_carrier,
    is_named,
    show_answer,
)
from smppd.ctl.talk import SEARCH_SECONDS_MAX, Daemon, ask, find_socket, talk
from smppd.log import plain
from smppd.terminal import count_of

LOOK_SECONDS: Final = 0.1
"""Between two looks of ``--wait``: what it waits for takes a second at least."""

DOUBTFUL_MAX: Final = 1000
"""Doubtful messages listed: what one answer holds."""


@app.command()
def pause(context: typer.Context, carrier: CarrierArgument, as_json: JsonOption = False) -> None:
    """Send nothing more to a carrier; its binds stay."""
    ask_and_show(context.obj, {"type": "pause", "carrier": carrier}, show_mode, as_json=as_json)


@app.command()
def resume(context: typer.Context, carrier: CarrierArgument, as_json: JsonOption = False) -> None:
    """Send to a carrier again, be it paused or drained."""
    ask_and_show(context.obj, {"type": "resume", "carrier": carrier}, show_mode, as_json=as_json)


@app.command()
def drain(
    context: typer.Context,
    carrier: Annotated[
        str | None,
        typer.Argument(
            metavar="CARRIER", autocompletion=complete_carrier, help="Left out: the daemon."
        ),
    ] = None,
    wait: Annotated[
        bool, typer.Option("--wait", help="Return when its binds, or the daemon, have ended.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Let a carrier, or the daemon, finish and unbind.

    Resume brings a drained carrier back. A drained daemon ends, as after SIGTERM.
    """
    place: Daemon = context.obj
    path = find_socket(place)

    async def converse(client: Connection) -> int:
        if carrier is None:
            await drain_daemon(client, path, wait=wait, as_json=as_json)
            return terminal.OK
        answer = await ask(client, {"type": "drain", "carrier": carrier})
        show_answer(answer, show_mode, as_json=as_json)
        if wait:
            await wait_settled(client, {carrier})
        return terminal.OK

    talk(place, converse, greet=is_named(place))


@app.command()
def resolve(
    context: typer.Context,
    message_id: Annotated[
        str | None,
        typer.Argument(metavar="ID", help="Left out: list them.", show_default=False),
    ] = None,
    resend: Annotated[
        bool, typer.Option("--resend", help="Send it once more, flagged maybe_duplicate.")
    ] = False,
    drop: Annotated[
        bool, typer.Option("--drop", help="Send nothing more, and take it off the list.")
    ] = False,
    reveal: RevealOption = False,
    as_json: JsonOption = False,
) -> None:
    """List the doubtful messages, or decide on one.

    A carrier may have them or not: they went out, and no answer came.
    """
    if message_id is None:
        if resend or drop:
            raise typer.BadParameter("--resend and --drop are of one message; give its ID")
        request: JsonObject = {"type": "doubtful", "limit": DOUBTFUL_MAX}
        ask_and_show(context.obj, request, show_doubtful, as_json=as_json, reveal=reveal)
        return
    if resend == drop:
        raise typer.BadParameter("give one of --resend and --drop")
    request = {"type": "resolve", "id": message_id, "action": "resend" if resend else "drop"}

    async def converse(client: Connection) -> int:
        try:
            answer = await ask(client, request)
        except ProtocolError as error:
            if error.code != "bad_request":
                raise
            why, _, remedy = error.reason.partition("; ")
            terminal.complain("nothing was done", why, remedy)
            return terminal.FAILED
        show_answer(answer, show_resolved, as_json=as_json)
        return terminal.OK

    talk(context.obj, converse, greet=is_named(context.obj))


@app.command()
def reload(
    context: typer.Context,
    wait: Annotated[
        bool, typer.Option("--wait", help="Return when the carriers that changed have settled.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Put the configuration on disk in force, or none of it.

    Exit 78 where it has problems: then the old one stays.
    """

    async def converse(client: Connection) -> int:
        answer = await ask(client, {"type": "reload"}, SEARCH_SECONDS_MAX)
        show_answer(answer, show_reloaded, as_json=as_json)
        if not answer["ok"]:
            return terminal.BAD_CONFIG
        if wait:
            changes = answer["changes"]
            await wait_settled(client, {one["name"] for one in changes if one["what"] == "carrier"})
        return terminal.OK

    talk(context.obj, converse, greet=is_named(context.obj))


async def wait_settled(client: Connection, names: set[str]) -> None:
    """Returns when these carriers are as they are wanted, or gone."""
    while True:
        carriers = (await ask(client, {"type": "carriers"}))["carriers"]
        if not any(one["settling"] and one["name"] in names for one in carriers):
            return
        await trio.sleep(LOOK_SECONDS)


async def drain_daemon(client: Connection, path: Path, *, wait: bool, as_json: bool) -> None:
    """Begins the daemon's end, unless it has begun: a second time would cut it short."""
    status = await ask(client, {"type": "status"})
    answer: JsonObject = {"type": "mode", "carrier": None, "mode": "draining", "was": "draining"}
    if not status["draining"]:
        answer = await ask(client, {"type": "drain"})
    show_answer(answer, show_mode, as_json=as_json)
    if wait:
        await wait_ended(client, path, status["pid"])


async def wait_ended(client: Connection, path: Path, pid: int) -> None:
    """Returns when the daemon has closed this connection, and then its socket, or is gone.

    A socket that systemd holds stays; so does that of a daemon that was killed.
    """
    try:
        while True:
            await client.wait_events()
    except DaemonUnreachable:
        pass
    while True:
        if not await trio.Path(path).exists() or not is_alive(pid):
            return
        await trio.sleep(LOOK_SECONDS)


def is_alive(pid: int) -> bool:
    """Whether there is such a process; another user's counts."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def show_mode(answer: JsonObject) -> None:
    """What it is now, and was."""
    name = answer["carrier"] or "the daemon"
    already = answer["mode"] == answer["was"]
    was = "already" if already else f"(was {answer['was']})"
    print(plain(f"{name}: {answer['mode']} {was}"), flush=True)


def show_doubtful(answer: JsonObject) -> None:
    """Oldest first, and what may be done."""
    messages = answer["messages"]
    if not messages:
        terminal.print_summary("no message is in doubt")
        return
    tables.show_found(answer)
    more = f"; the oldest {DOUBTFUL_MAX}, there are more" if answer["more"] else ""
    print(f"smppctl resolve ID --resend or --drop{more}", file=sys.stderr)


def show_resolved(answer: JsonObject) -> None:
    """What was done, and the message's state now."""
    done = "will be sent once more" if answer["action"] == "resend" else "will not be sent again"
    print(plain(f"{answer['id']}: {done}; now {answer['state']}"))


def show_reloaded(answer: JsonObject) -> None:
    """Every change, or every problem; these and warnings go to stderr."""
    for warning in answer["warnings"]:
        print(f"warning: {plain(warning)}", file=sys.stderr)
    if not answer["ok"]:
        for problem in answer["problems"]:
            print(plain(describe_problem(problem)), file=sys.stderr)
        found = count_of(len(answer["problems"]), "problem")
        print(f"refused: {found}; the old configuration stays in force", file=sys.stderr)
        return
    changes = answer["changes"]
    waiting = sum(change["how"] == "needs_restart" for change in changes)
    restart = f", {waiting} of them at the next start" if waiting else ""
    print(f"reloaded: {count_of(len(changes), 'change')}{restart}", flush=True)
    if changes:
        tables.show_rows("what name how detail", changes)


def describe_problem(problem: JsonObject) -> str:
    """As ``smppd check`` prints one."""
    where = f"{problem['file']}:{problem['line']}" if problem["line"] else problem["file"]
    key = f": {problem['key']}" if problem["key"] else ""
    return f"{where}{key}: {problem['wrong']}; {problem['remedy']}"
