"""The command ``smppctl`` itself, the options its verbs share, and the way most of them go."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Final

import typer

from smppd import terminal
from smppd.client import Connection, JsonObject
from smppd.config import load_carrier_names
from smppd.ctl.masking import hide
from smppd.ctl.talk import Daemon, ask, talk
from smppd.terminal import to_json

HELP: Final = {"help_option_names": ["-h", "--help"]}

app = typer.Typer(
    help="Talk to a running smppd over its socket.",
    cls=terminal.Commands,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings=HELP,
)


@app.callback()
def main(
    context: typer.Context,
    config: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Configuration directory; default: . when it holds smppd.toml, else /etc/smppd.",
        ),
    ] = None,
    socket: Annotated[
        Path | None, typer.Option(metavar="PATH", help="The daemon's socket, instead of --config.")
    ] = None,
    app_name: Annotated[
        str | None, typer.Option("--app", metavar="NAME", help="The app to speak for.")
    ] = None,
) -> None:
    """Talk to a running smppd over its socket."""
    if config is not None and socket is not None:
        raise typer.BadParameter("give either --config or --socket", param_hint="--socket")
    context.obj = Daemon(config, socket, app_name)


def complete_carrier(context: typer.Context, incomplete: str) -> list[str]:
    """The names of the configured carriers, for the shell."""
    given_directory = context.find_root().params.get("config")
    directory = terminal.find_config(None if given_directory is None else Path(given_directory))
    return [name for name in load_carrier_names(directory) if name.startswith(incomplete)]


JsonOption = Annotated[bool, typer.Option("--json", help="JSON, one object a line.")]
RevealOption = Annotated[
    bool, typer.Option("--reveal", help="Show whole numbers, texts, and what receipts quote.")
]
CarrierArgument = Annotated[
    str, typer.Argument(metavar="CARRIER", autocompletion=complete_carrier, show_default=False)
]
CarriersOption = Annotated[
    list[str] | None,
    typer.Option(
        "--carrier",
        metavar="NAME",
        help="Only this one; repeatable.",
        autocompletion=complete_carrier,
    ),
]

Show = Callable[[JsonObject], None]


def ask_and_show(
    place: Daemon,
    request: JsonObject,
    show: Show,
    *,
    as_json: bool,
    reveal: bool = False,
    is_empty: Callable[[JsonObject], bool] | None = None,
    seconds: float | None = None,
) -> None:
    """One question, its answer for people or as JSON, and the end of the command: 0, or NOT_FOUND
    where the answer ``is_empty``. ``seconds`` as in ``talk.ask``."""

    async def converse(client: Connection) -> int:
        answer = await (ask(client, request, seconds) if seconds else ask(client, request))
        show_answer(answer, show, as_json=as_json, reveal=reveal)
        return terminal.NOT_FOUND if is_empty is not None and is_empty(answer) else terminal.OK

    talk(place, converse, greet=is_named(place))


def is_named(place: Daemon) -> bool:
    """Whether a control verb needs a hello: only where the right to ask is an app's, of several."""
    return place.app is not None


def show_answer(answer: JsonObject, show: Show, *, as_json: bool, reveal: bool = False) -> None:
    """An answer for people or as JSON, hidden in part unless ``reveal``."""
    shown = answer if reveal else hide(answer)
    if as_json:
        print(to_json(shown), flush=True)
    else:
        show(shown)


def given(**fields: object) -> JsonObject:
    """Those of ``fields`` that were given, for a request: a field left out has its default.

    A name that Python keeps for itself has a ``_`` at its end.
    """
    return {name.rstrip("_"): value for name, value in fields.items() if value not in (None, [])}
