"""``smppctl``: send a message, see how the daemon is, follow the events. A client of the socket.

Arguments in, one conversation with the daemon, lines for people or JSON out. Numbers are masked
unless ``--reveal``; what strangers wrote is made plain before it is shown. It reads nothing of
the daemon's but ``[daemon] socket``, and needs no rights but those the daemon gives its user.
"""

from __future__ import annotations

import secrets
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final

import trio
import typer

from smppd import terminal
from smppd.client import Client, JsonObject
from smppd.ctl.show import (
    is_last,
    show_answer,
    show_events,
    show_status,
)
from smppd.ctl.talk import Daemon, answered, talk
from smppd.terminal import to_json

LOOK_SECONDS: Final = 1.0
"""Without an event for so long, ``send --wait`` asks for the message's state: an app may have no
events, or somebody may have taken them."""

WANTED: Final = ("delivered", "sent")
"""The ends of a message that are what was wanted: ``sent`` is one where no receipt is awaited."""

SEQ_MAX: Final = 2**63 - 1
"""Above any event: to subscribe there is to learn the latest."""

app = typer.Typer(
    help="Talk to a running smppd over its socket.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)

JsonOption = Annotated[bool, typer.Option("--json", help="JSON, one object a line.")]
RevealOption = Annotated[bool, typer.Option("--reveal", help="Show whole numbers.")]


class MessageClass(StrEnum):
    """What ``--class`` takes."""

    otp = "otp"
    transactional = "transactional"
    promotional = "promotional"


class Encoding(StrEnum):
    """What ``--encoding`` takes."""

    auto = "auto"
    gsm7 = "gsm7"
    ucs2 = "ucs2"


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


@app.command()
def send(
    context: typer.Context,
    to: Annotated[str, typer.Option(help="The number, E.164 with +.")],
    text: Annotated[str, typer.Option(help="What to send; - reads it from stdin.")],
    sender: Annotated[
        str | None, typer.Option("--from", help="The sender; default: the app's own.")
    ] = None,
    message_class: Annotated[
        MessageClass | None, typer.Option("--class", help="Lane and rules.")
    ] = None,
    encoding: Annotated[Encoding | None, typer.Option(help="How the text is coded.")] = None,
    tag: Annotated[str | None, typer.Option(help="A campaign or batch.")] = None,
    ref: Annotated[
        str | None, typer.Option(help="Your own name for the message; default: a new one.")
    ] = None,
    no_receipt: Annotated[bool, typer.Option(help="Ask the carrier for no receipt.")] = False,
    wait: Annotated[
        bool, typer.Option("--wait", help="Follow it to its end; exit 1 unless it arrived.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Send one message."""
    submit: JsonObject = {
        "ref": ref or f"smppctl-{secrets.token_hex(8)}",
        "to": to,
        "text": read_stdin() if text == "-" else text,
    }
    optional = {"from": sender, "class": message_class, "encoding": encoding, "tag": tag}
    submit |= {name: str(value) for name, value in optional.items() if value is not None}
    refuse_octets(submit)
    if no_receipt:
        submit["receipt"] = False

    async def converse(client: Client) -> int:
        return await send_message(client, submit, wait=wait, as_json=as_json)

    talk(context.obj, converse)


@app.command()
def status(context: typer.Context, as_json: JsonOption = False) -> None:
    """Show carriers, binds and queues."""

    async def converse(client: Client) -> int:
        found = await answered(client.status)
        if as_json:
            print(to_json(found))
        else:
            show_status(found)
        return terminal.OK

    # A hello is needed only where the right to ask is an app's, and the peer may be several.
    talk(context.obj, converse, greet=context.obj.app is not None)


@app.command()
def tail(
    context: typer.Context,
    after: Annotated[
        int | None,
        typer.Option(
            min=0, max=SEQ_MAX, help="Begin after this seq; default: with what comes now."
        ),
    ] = None,
    kind: Annotated[list[str] | None, typer.Option(help="Only such events; repeatable.")] = None,
    take: Annotated[
        bool,
        typer.Option("--take", help="Take what is shown; begins after the last one taken."),
    ] = False,
    reveal: RevealOption = False,
    as_json: JsonOption = False,
) -> None:
    """Follow the app's events as they come, until interrupted."""

    async def converse(client: Client) -> int:
        if after is not None or take:
            subscribed = await client.subscribe(after, kind or ())
        else:
            latest = (await client.subscribe(SEQ_MAX))["latest"]
            subscribed = await client.subscribe(latest, kind or ())
        if subscribed["gap"]:
            print(f"events before {subscribed['oldest']} are no longer kept", file=sys.stderr)
        async for batch in client.events():
            show_events(batch, reveal=reveal, as_json=as_json)
            if take:
                client.take(batch[-1]["seq"])
        raise AssertionError("events come without end, or an error does")

    talk(context.obj, converse)


def read_stdin() -> str:
    """The text on stdin, less the newline that ends it."""
    try:
        return sys.stdin.read().removesuffix("\n")
    except UnicodeDecodeError as error:
        raise typer.BadParameter(f"stdin is no text: {error}", param_hint="--text") from None


def refuse_octets(submit: JsonObject) -> None:
    """typer.BadParameter where the shell gave octets that are no characters (PEP 383)."""
    for name, value in submit.items():
        try:
            value.encode()
        except UnicodeEncodeError:
            reason = "holds octets that are no characters in your locale"
            raise typer.BadParameter(reason, param_hint=f"--{name}") from None


async def send_message(client: Client, submit: JsonObject, *, wait: bool, as_json: bool) -> int:
    """Submits, shows the answer and, where wanted, every event to the last; the exit code."""
    if wait:
        latest = (await client.subscribe(SEQ_MAX))["latest"]
        await client.subscribe(latest)
    (answer,) = await client.submit([submit])
    show_answer(answer, as_json=as_json)
    if answer["type"] != "accepted":
        return terminal.FAILED
    return await follow_message(client, answer["id"], as_json=as_json) if wait else terminal.OK


async def follow_message(client: Client, message_id: str, *, as_json: bool) -> int:
    """Shows the message's events to the last one; 0 if that says what was wanted."""
    while True:
        batch: list[JsonObject] = []
        with trio.move_on_after(LOOK_SECONDS):
            batch = await client.wait_events()
        own = [event for event in batch if event["id"] == message_id]
        show_events(own, reveal=False, as_json=as_json)
        for event in own:
            if is_last(event):
                return terminal.OK if event["event"] in WANTED else terminal.FAILED
        if not batch:
            message = await client.query(id=message_id)
            if message["final"]:
                told = f"{message['state']}; its events were told before, or the app has none"
                print(told, file=sys.stderr)
                return terminal.OK if message["state"] in WANTED else terminal.FAILED
