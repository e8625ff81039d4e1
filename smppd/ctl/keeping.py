"""The verbs of what is kept: backup, and, for the owner of a phone number, export and forget."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Final

import typer

from smppd import terminal
from smppd.client import Connection, JsonObject
from smppd.ctl import tables
from smppd.ctl.masking import hide_number
from smppd.ctl.options import JsonOption, app, ask_and_show, given, is_named, show_answer
from smppd.ctl.talk import ask, talk
from smppd.log import plain
from smppd.terminal import count_of, to_json

KEEPING_SECONDS_MAX: Final = 86_400.0
"""For an answer: a copy of a terabyte takes hours, and forgetting reads everything."""

PAGE_ROWS: Final = 500
"""Records asked for at once."""

NumberArgument = Annotated[
    str,
    typer.Argument(
        metavar="NUMBER",
        help="E.164 with +; of messages from phones also as the carrier wrote it.",
        show_default=False,
    ),
]


@app.command()
def backup(
    context: typer.Context,
    directory: Annotated[
        Path,
        typer.Argument(metavar="DIR", help="Nothing there yet, or empty.", show_default=False),
    ],
    as_json: JsonOption = False,
) -> None:
    """Copy the store while the daemon runs.

    The daemon writes it, so DIR is where it may write. Ctrl-C does not end it.
    """
    request: JsonObject = {"type": "backup", "directory": str(directory.absolute())}
    seconds = KEEPING_SECONDS_MAX
    ask_and_show(context.obj, request, show_backup, as_json=as_json, seconds=seconds)


@app.command()
def export(context: typer.Context, number: NumberArgument) -> None:
    """Print all that is known of a number, as JSON lines.

    Messages to it, messages from it, receipts nobody has claimed, PDUs nobody could read; whole,
    texts too. Exit 4 where nothing is known.
    """

    async def converse(client: Connection) -> int:
        count, after = 0, None
        while True:
            request = {"type": "export", "number": number, "limit": PAGE_ROWS, **given(after=after)}
            page = await ask(client, request, KEEPING_SECONDS_MAX)
            for record in page["records"]:
                print(to_json(record))
            sys.stdout.flush()
            count, after = count + len(page["records"]), page["next"]
            if after is None:
                terminal.print_summary(f"{count_of(count, 'record')}")
                if count:
                    return terminal.OK
                print(UNKNOWN, file=sys.stderr)
                return terminal.NOT_FOUND

    talk(context.obj, converse, greet=is_named(context.obj))


@app.command()
def forget(
    context: typer.Context,
    number: NumberArgument,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Take out of the store what is known of a number.

    What waits is cancelled. Exit 1 where something is with a carrier still: forget it again then.
    Exit 4 where nothing is known.
    """
    if not yes and not sys.stdin.isatty():
        reason = "cannot be undone; without a terminal to ask on give --yes"
        raise typer.BadParameter(reason, param_hint="NUMBER")
    shown = plain(hide_number(number))
    if not yes and not typer.confirm(f"Forget all that is known of {shown}?", err=True):
        print("nothing was forgotten", file=sys.stderr)
        raise typer.Exit(terminal.FAILED)

    async def converse(client: Connection) -> int:
        request = {"type": "forget", "number": number}
        answer = await ask(client, request, KEEPING_SECONDS_MAX)
        show_answer(answer, show_forgotten, as_json=as_json)
        print(REMAINS, file=sys.stderr)
        if answer["left"]:
            return terminal.FAILED
        if not any(answer[what] for what in COUNTED):
            print(UNKNOWN, file=sys.stderr)
            return terminal.NOT_FOUND
        return terminal.OK

    talk(context.obj, converse, greet=is_named(context.obj))


REMAINS: Final = (
    "freed pages of the data file, and older backups, may hold it still: "
    "docs/operations.md, Privacy requests"
)


UNKNOWN: Final = (
    "nothing is known of this number; it is looked for as E.164 with its country code (+CC…), or "
    "just as a carrier wrote it"
)

COUNTED: Final = ("messages", "events", "inbound", "unmatched", "quarantined")
"""What ``forget`` counts, but for what it has left."""


def show_backup(answer: JsonObject) -> None:
    """Where it is, and what is in it."""
    size = f"{answer['octets'] / 2**20:,.1f} MiB"
    messages = count_of(answer["messages"], "message")
    print(f"{plain(answer['directory'])}: {size}, {messages}, {answer['seconds']:g} s")


def show_forgotten(answer: JsonObject) -> None:
    """What went, and what did not yet."""
    counts = [
        count_of(answer["messages"], "message"),
        f"{answer['cancelled']} of them cancelled before",
        count_of(answer["events"], "event"),
        f"{answer['inbound']} from the phone",
        f"{count_of(answer['unmatched'], 'receipt')} without a message",
    ]
    if answer["quarantined"]:
        counts.append(f"{count_of(answer['quarantined'], 'PDU')} nobody could read")
    print("forgotten: " + ", ".join(counts), flush=True)
    if answer["left"]:
        tables.show_found({"messages": answer["messages_left"], "more": False})
        left = count_of(answer["left"], "message")
        print(f"{left} on the way: forget the number again when they have ended", file=sys.stderr)
