"""The verbs that look: status, carriers, routes, explain, trace, find. They change nothing."""

from __future__ import annotations

import re
import sys
import time
from pathlib import Path
from typing import Annotated, Final

import typer

from smppd import terminal
from smppd.client import Connection, JsonObject, ProtocolError
from smppd.config import RoutingConfig, load_routing
from smppd.ctl import tables
from smppd.ctl.masking import hide
from smppd.ctl.messages import ClassOption
from smppd.ctl.options import (
    HELP,
    CarriersOption,
    JsonOption,
    RevealOption,
    app,
    ask_and_show,
    given,
    is_named,
    show_answer,
)
from smppd.ctl.show import show_status
from smppd.ctl.talk import SEARCH_SECONDS_MAX, ask, talk
from smppd.ctl.times import read_past, show_moment
from smppd.ctl.trace import show_trace
from smppd.errors import ConfigError
from smppd.routing.table import RoutingTable, compare_tables
from smppd.terminal import to_json

MESSAGE_ID: Final = re.compile(r"[0-9a-f]{16}")
"""What an id looks like; a ref may, too."""

routes_app = typer.Typer(
    help="Show the routing table in force, or what one would do.",
    invoke_without_command=True,
    rich_markup_mode=None,
    context_settings=HELP,
)
app.add_typer(routes_app, name="routes")


@app.command()
def status(context: typer.Context, as_json: JsonOption = False) -> None:
    """Show carriers, binds and queues."""
    ask_and_show(context.obj, {"type": "status"}, show_status, as_json=as_json)


@app.command()
def carriers(context: typer.Context, as_json: JsonOption = False) -> None:
    """Show each carrier's health, mode and counts since start."""
    ask_and_show(context.obj, {"type": "carriers"}, tables.show_carriers, as_json=as_json)


@routes_app.callback()
def routes(context: typer.Context, as_json: JsonOption = False) -> None:
    """Show the routing table in force."""
    if context.invoked_subcommand is None:
        ask_and_show(context.obj, {"type": "routes"}, tables.show_routes, as_json=as_json)


@routes_app.command("test")
def try_routes(
    context: typer.Context,
    numbers: Annotated[list[str], typer.Argument(metavar="NUMBER...", help="E.164 with +.")],
    as_json: JsonOption = False,
    reveal: RevealOption = False,
) -> None:
    """Show where numbers would go now, a line each.

    Exit 1 where one would go nowhere.
    """

    async def converse(client: Connection) -> int:
        found = [await ask(client, {"type": "explain", "to": number}) for number in numbers]
        shown = found if reveal else [hide(one) for one in found]
        if as_json:
            for one in shown:
                print(to_json(one))
        else:
            tables.show_tests(shown)
        return terminal.FAILED if any(one["blocked_by"] for one in found) else terminal.OK

    talk(context.obj, converse, greet=is_named(context.obj))


@routes_app.command("diff")
def diff_routes(
    context: typer.Context,
    new: Annotated[Path, typer.Argument(metavar="NEW.toml", help="A routing.toml to be.")],
    as_json: JsonOption = False,
) -> None:
    """Show what another routing.toml would move, and its cost.

    Compared is what is on disk; the daemon need not run.
    """
    directory = terminal.find_config_or_fail(context.obj.config)
    old, new_routing = load_or_fail(directory), load_or_fail(directory, new)
    moves = compare_tables(compile_table(old), compile_table(new_routing))
    shown = [tables.describe_move(move, old.currency, new_routing.currency) for move in moves]
    if as_json:
        for one in shown:
            print(to_json(one))
    else:
        tables.show_moves(shown)


def load_or_fail(directory: Path, file: Path | None = None) -> RoutingConfig:
    """The routes on disk, or every problem of them on stderr and the end."""
    try:
        return load_routing(directory, file)
    except ConfigError as error:
        terminal.show_problems(file or directory, error, sys.stderr)
        raise typer.Exit(terminal.BAD_CONFIG) from None


def compile_table(routing: RoutingConfig) -> RoutingTable:
    """As the daemon would."""
    return RoutingTable(routing.routes, routing.currency, routing.sheets, routing.fallback)


@app.command()
def explain(
    context: typer.Context,
    number: Annotated[str, typer.Argument(metavar="NUMBER", help="E.164 with +.")],
    text: Annotated[str | None, typer.Option(help="What would be sent; default: one segment.")] = (
        None
    ),
    sender: Annotated[str | None, typer.Option("--from", help="The sender.")] = None,
    message_class: ClassOption = None,
    carrier: CarriersOption = None,
    max_cost: Annotated[str | None, typer.Option(help="For the whole message.")] = None,
    as_json: JsonOption = False,
    reveal: RevealOption = False,
) -> None:
    """Show every offer for a number, and why it won or lost.

    Nothing is sent. Exit 1 where it would go nowhere.
    """
    request: JsonObject = {"type": "explain", "to": number}
    request |= given(
        text=text,
        from_=sender,
        class_=message_class,
        carrier=carrier,
        max_cost=max_cost,
        app=context.obj.app,
    )

    async def converse(client: Connection) -> int:
        answer = await ask(client, request)
        show_answer(answer, tables.show_explained, as_json=as_json, reveal=reveal)
        return terminal.FAILED if answer["blocked_by"] else terminal.OK

    talk(context.obj, converse, greet=is_named(context.obj))


@app.command()
def trace(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="ID|REF", help="Its id, or the app's own ref.")],
    as_json: JsonOption = False,
    reveal: RevealOption = False,
) -> None:
    """Show every step of a message's life.

    Each with time, carrier, bind, sequence_number, command_status, and receipts as they came.
    """

    async def converse(client: Connection) -> int:
        found = await ask_trace(client, name, context.obj.app)
        show_answer(found, show_trace, as_json=as_json, reveal=reveal)
        return terminal.OK

    talk(context.obj, converse, greet=is_named(context.obj))


async def ask_trace(client: Connection, name: str, app_name: str | None) -> JsonObject:
    """By id where it can be one, else, and where there is none such, by the app's ref."""
    own = given(app=app_name)
    if MESSAGE_ID.fullmatch(name):
        try:
            return await ask(client, {"type": "trace", "id": name, **own})
        except ProtocolError as error:
            if error.code != "unknown_message":
                raise
    return await ask(client, {"type": "trace", "ref": name, **own})


@app.command()
def find(
    context: typer.Context,
    to: Annotated[str | None, typer.Argument(metavar="NUMBER", help="E.164 with +.")] = None,
    tag: Annotated[str | None, typer.Option(help="A campaign or batch.")] = None,
    state: Annotated[str | None, typer.Option(help="Such as queued, delivered, failed.")] = None,
    since: Annotated[str, typer.Option(help="30m, 2h, 1d ago, or a date.")] = "1d",
    until: Annotated[str | None, typer.Option(help="As --since; default: now.")] = None,
    before: Annotated[str | None, typer.Option(help="Older than this id, to go on.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="Messages at most.")] = 100,
    as_json: JsonOption = False,
    reveal: RevealOption = False,
) -> None:
    """Find messages, newest first; all that is given must hold.

    Exit 4 where there is none.
    """
    now = time.time_ns() // 1_000_000
    request: JsonObject = {"type": "find", "limit": limit}
    request |= given(
        to=to,
        tag=tag,
        state=state,
        app=context.obj.app,
        since=read_past(since, now, "--since"),
        until=read_past(until, now, "--until"),
        before=before,
    )
    ask_and_show(
        context.obj,
        request,
        show_found,
        as_json=as_json,
        reveal=reveal,
        is_empty=lambda answer: not answer["messages"],
        seconds=SEARCH_SECONDS_MAX,
    )


def show_found(answer: JsonObject) -> None:
    """The messages, and how to go on where there are more."""
    tables.show_found(answer)
    if answer["more"]:
        last = answer["messages"][-1]["id"]
        place = f"--before {last} ({show_moment(answer['searched_to'])})"
        print(f"there are more; go on with {place}", file=sys.stderr)
