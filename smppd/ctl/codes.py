"""``smppctl explain-code``: what a command_status means, by the table and by a carrier's own word.

It reads the table that is built in and, where there is one, the configuration on disk; the daemon
need not run, and nothing but ``[status]`` of each carrier is read.
"""

from __future__ import annotations

import sys
from difflib import get_close_matches
from typing import Annotated, Final

import typer

from smppd import terminal
from smppd.client import JsonObject
from smppd.config import load_carrier_names, load_verdicts
from smppd.config.verdicts import StatusConfig
from smppd.ctl.options import JsonOption, app, complete_carrier
from smppd.ctl.talk import Daemon
from smppd.errors import ConfigError
from smppd.log import plain
from smppd.smpp.constants import STATUS_NAMES, status_text
from smppd.smpp.statuses import (
    VERDICT_MEANINGS,
    find_seen,
    find_status,
    read_status,
    show_number,
)
from smppd.terminal import to_json

LABEL_WIDTH: Final = 9
"""Characters of what stands before a line's words."""


def complete_code(incomplete: str) -> list[str]:
    """The names that begin so, for the shell."""
    return [name for name in STATUS_NAMES.values() if name.startswith(incomplete.upper())]


@app.command("explain-code")
def explain_code(
    context: typer.Context,
    code: Annotated[
        str,
        typer.Argument(
            metavar="CODE",
            help="0x58, 88 or ESME_RTHROTTLED.",
            autocompletion=complete_code,
            show_default=False,
        ),
    ],
    carrier: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", autocompletion=complete_carrier, help="What this one means by it."
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Show what a command_status means, and what smppd does then."""
    number = read_status(code)
    if number is None:
        raise typer.BadParameter(_refuse(code), param_hint="CODE")
    own = find_own(context.obj, number, carrier)
    if carrier is not None:
        own = {carrier: own[carrier]} if carrier in own else {}
    found = describe_code(number, carrier, own)
    if as_json:
        print(to_json(found))
    else:
        show_code(found)


def find_own(place: Daemon, command_status: int, carrier: str | None) -> dict[str, StatusConfig]:
    """What carriers on disk have written of it. A named one must be there, and right; of the others
    whatever can be read counts."""
    directory = terminal.find_config(place.config)
    if carrier is not None and carrier not in (names := load_carrier_names(directory)):
        near = get_close_matches(carrier, names, 1)
        remedy = f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(names) or '-'}"
        wrong = f"no carrier {carrier!r} in {directory}; {remedy}"
        raise typer.BadParameter(wrong, param_hint="--carrier")
    try:
        verdicts = load_verdicts(directory, carrier)
    except ConfigError as error:
        terminal.show_problems(directory, error, sys.stderr)
        raise typer.Exit(terminal.BAD_CONFIG) from None
    return {
        name: statuses[command_status]
        for name, statuses in verdicts.items()
        if command_status in statuses
    }


def describe_code(
    command_status: int, carrier: str | None, own: dict[str, StatusConfig]
) -> JsonObject:
    """The answer in JSON: the table's row, with the verdict in force at ``carrier`` where it is
    given; ``carriers`` are those that have written one, ``seen`` what is known of others."""
    row = find_status(command_status)
    one = None if carrier is None else own.get(carrier)
    return {
        "type": "code",
        "command_status": show_number(command_status),
        "name": row.name,
        "text": status_text(command_status),
        "cause": row.cause,
        "remedy": row.remedy,
        "permanent": row.is_permanent,
        "carrier": carrier,
        "verdict": row.verdict if one is None else one.verdict,
        "meaning": (one.meaning or None) if one is not None else None,
        "pause": _pause_of(one),
        "carriers": [
            {
                "carrier": name,
                "verdict": config.verdict,
                "meaning": config.meaning or None,
                "pause": _pause_of(config),
            }
            for name, config in own.items()
        ],
        "seen": [
            {"carrier": seen.carrier, "meaning": seen.meaning} for seen in find_seen(command_status)
        ],
    }


def show_code(found: JsonObject) -> None:
    """What it is called, then a line for each thing there is to know."""
    number = int(found["command_status"], 16)
    name = "" if found["name"] == found["command_status"] else f"{found['name']}  "
    print(f"{name}{found['command_status']}  {number}  {found['text']}")
    for seen in found["seen"]:
        _print_line("seen", f"{seen['carrier']} means: {seen['meaning']}")
    _print_line("cause", found["meaning"] or found["cause"])
    is_own = bool(found["carrier"] and found["carriers"])
    if not is_own:
        _print_line("do", found["remedy"])
    where = f"at {found['carrier']}" if found["carrier"] else "by default"
    lasting = "permanent" if found["permanent"] else "passing"
    # What SMPP says of the number is not what a carrier with a verdict of its own means by it.
    _print_line("verdict", f"{_show_verdict(found)}, {where}" + ("" if is_own else f"; {lasting}"))
    _print_line("", VERDICT_MEANINGS[found["verdict"]])
    if found["carrier"] is None:
        for one in found["carriers"]:
            meaning = f": {one['meaning']}" if one["meaning"] else ""
            _print_line("but", f"{one['carrier']} has {_show_verdict(one)}{meaning}")


def _print_line(label: str, words: str) -> None:
    print(plain(f"  {label:<{LABEL_WIDTH}}{words}"))


def _show_verdict(one: JsonObject) -> str:
    return f"{one['verdict']} {one['pause']:g} s" if one["pause"] else str(one["verdict"])


def _pause_of(one: StatusConfig | None) -> float | None:
    return one.pause_seconds if one is not None and one.verdict == "pause" else None


def _refuse(code: str) -> str:
    near = get_close_matches(code.upper(), STATUS_NAMES.values(), 1, 0.5)
    hint = f"; did you mean {near[0]}?" if near else ""
    return f"{plain(code)!r} is no command_status: write 0x58, 88 or ESME_RTHROTTLED{hint}"
