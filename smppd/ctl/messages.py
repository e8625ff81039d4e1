"""The verbs of messages: send, quote, cancel, and tail, which follows what becomes of them."""

from __future__ import annotations

import base64
import secrets
import sys
import time
from enum import StrEnum
from typing import Annotated, Final

import trio
import typer

from smppd import terminal
from smppd.client import Connection, EventsLost, JsonObject, ProtocolError
from smppd.ctl.asking import ask_carrier
from smppd.ctl.options import (
    CarriersOption,
    JsonOption,
    RevealOption,
    app,
    given,
    show_answer,
)
from smppd.ctl.show import is_last, show_cancelled, show_events, show_quoted, show_submitted
from smppd.ctl.talk import SEARCH_SECONDS_MAX, Daemon, ask, talk
from smppd.ctl.times import read_duration, read_future
from smppd.terminal import count_of

LOOK_SECONDS: Final = 1.0
"""Without an event for so long, ``send --wait`` asks for the message's state: an app may have no
events, or somebody may have taken them."""

WANTED: Final = ("delivered", "sent")
"""The ends of a message that are what was wanted: ``sent`` is one where no receipt is awaited."""

SEQ_MAX: Final = 2**63 - 1
"""Above any event: to subscribe there is to learn the latest."""

REF_CHARACTERS: Final = 10
"""Of a ref made here, 5 random bits each: it fits a table, and among 100,000 sent by hand in the
week a ref is kept two are the same once in 200,000 weeks. That is no harm: ``ref_conflict`` says so
and nothing is sent."""

COUNTED_MAX: Final = 1000
"""Messages counted before a tag is cancelled: what one ``find`` answers."""


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
    latin1 = "latin1"


ToOption = Annotated[str, typer.Option("--to", help="The number, E.164 with +.")]
TextOption = Annotated[str, typer.Option("--text", help="What to send; - reads it from stdin.")]
SenderOption = Annotated[
    str | None, typer.Option("--from", help="The sender; default: the app's own.")
]
ClassOption = Annotated[MessageClass | None, typer.Option("--class", help="Lane and rules.")]
EncodingOption = Annotated[
    Encoding | None, typer.Option("--encoding", help="How the text is coded.")
]
SmartOption = Annotated[
    bool | None,
    typer.Option(
        "--smart/--no-smart",
        help="Plain quotes, dashes and spaces where that keeps it in GSM-7; default: the app's.",
        show_default=False,
    ),
]
FlashOption = Annotated[bool, typer.Option("--flash", help="Shown at once, and not kept.")]
MaxCostOption = Annotated[
    str | None, typer.Option("--max-cost", help="For the whole message, such as 0.25.")
]
SendAtOption = Annotated[
    str | None, typer.Option("--send-at", help="Not before: 30m, 2h, 1d from now, or a date.")
]
ValidForOption = Annotated[
    str | None, typer.Option("--valid-for", help="Seconds, or 30m, 2h, 1d; default: by class.")
]


@app.command()
def send(
    context: typer.Context,
    to: ToOption,
    text: TextOption,
    sender: SenderOption = None,
    message_class: ClassOption = None,
    encoding: EncodingOption = None,
    smart: SmartOption = None,
    flash: FlashOption = False,
    carrier: CarriersOption = None,
    max_cost: MaxCostOption = None,
    send_at: SendAtOption = None,
    valid_for: ValidForOption = None,
    tag: Annotated[str | None, typer.Option(help="A campaign or batch.")] = None,
    ref: Annotated[
        str | None, typer.Option(help="Your own name for the message; default: a new one.")
    ] = None,
    no_receipt: Annotated[
        bool, typer.Option("--no-receipt", help="Ask the carrier for no receipt.")
    ] = False,
    wait: Annotated[
        bool, typer.Option("--wait", help="Follow it to its end; exit 1 unless it arrived.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Send one message."""
    submit: JsonObject = {"ref": ref or make_ref(), "to": to}
    submit |= read_content(
        text, sender, message_class, encoding, flash, carrier, max_cost, send_at, valid_for
    )
    submit |= given(tag=tag, smart_encoding=smart)
    if no_receipt:
        submit["receipt"] = False
    refuse_octets(submit)

    async def converse(client: Connection) -> int:
        return await send_message(client, submit, wait=wait, as_json=as_json)

    talk(context.obj, converse)


@app.command()
def quote(
    context: typer.Context,
    to: ToOption,
    text: TextOption,
    sender: SenderOption = None,
    message_class: ClassOption = None,
    encoding: EncodingOption = None,
    smart: SmartOption = None,
    flash: FlashOption = False,
    carrier: CarriersOption = None,
    max_cost: MaxCostOption = None,
    send_at: SendAtOption = None,
    valid_for: ValidForOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show segments, carrier and cost of a message not sent.

    Exit 1 where it would be rejected.
    """
    request: JsonObject = {"type": "quote", "to": to}
    request |= read_content(
        text, sender, message_class, encoding, flash, carrier, max_cost, send_at, valid_for
    )
    request |= given(smart_encoding=smart)
    refuse_octets(request)

    async def converse(client: Connection) -> int:
        answer = await ask(client, request)
        show_answer(answer, show_quoted, as_json=as_json)
        return terminal.FAILED if answer["blocked_by"] else terminal.OK

    talk(context.obj, converse)


@app.command()
def cancel(
    context: typer.Context,
    message_id: Annotated[
        str | None, typer.Argument(metavar="ID", help="One message.", show_default=False)
    ] = None,
    ref: Annotated[str | None, typer.Option(help="One message, by the app's own name.")] = None,
    tag: Annotated[str | None, typer.Option(help="All messages of a campaign or batch.")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before cancelling a tag.")] = False,
    at_carrier: Annotated[
        bool,
        typer.Option("--at-carrier", help="Ask the carrier that has ID to stop it (cancel_sm)."),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Cancel what no carrier has yet: one, or all of a tag.

    Exit 1 where it was too late, 4 where there was nothing. What a carrier has it may still stop,
    where it speaks cancel_sm: with --at-carrier; exit 1 where it did not say that it has.
    """
    named = given(id=message_id, ref=ref, tag=tag)
    if at_carrier:
        if message_id is None or len(named) != 1:
            raise typer.BadParameter("give an ID", param_hint="--at-carrier")
        ask_carrier(context.obj, message_id, "cancel", as_json=as_json)
    if len(named) != 1:
        raise typer.BadParameter("give one of ID, --ref and --tag")
    if tag is not None and not yes and not sys.stdin.isatty():
        reason = "cancels every message of it; without a terminal to ask on give --yes"
        raise typer.BadParameter(reason, param_hint="--tag")
    place: Daemon = context.obj

    async def converse(client: Connection) -> int:
        app_name = (await client.hello(place.app))["app"]
        if tag is not None and not yes and not await confirm_tag(client, app_name, tag):
            print("nothing was cancelled", file=sys.stderr)
            return terminal.FAILED
        answer = await ask(client, {"type": "cancel", **named}, SEARCH_SECONDS_MAX)
        show_answer(answer, show_cancelled, as_json=as_json)
        if answer["count"]:
            return terminal.OK
        return terminal.NOT_FOUND if tag and not answer["too_late"] else terminal.FAILED

    talk(place, converse, greet=False)


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
    """Follow the app's events as they come, until Ctrl-C."""

    async def converse(client: Connection) -> int:
        if after is not None or take:
            subscribed = await client.subscribe(after, kind or ())
        else:
            latest = (await client.subscribe(SEQ_MAX))["latest"]
            subscribed = await client.subscribe(latest, kind or ())
        if subscribed["gap"]:
            lost = EventsLost(subscribed["after"], subscribed["oldest"], subscribed["latest"])
            print(lost, file=sys.stderr)
        async for batch in client.events():
            show_events(batch, reveal=reveal, as_json=as_json)
            if take:
                client.take(batch[-1]["seq"])
        raise AssertionError("events come without end, or an error does")

    talk(context.obj, converse)


def make_ref() -> str:
    """A name for a message that has none: ``ctl-k5zq2m7a4x``."""
    random = base64.b32encode(secrets.token_bytes(REF_CHARACTERS)).decode().lower()
    return f"ctl-{random[:REF_CHARACTERS]}"


def read_content(
    text: str,
    sender: str | None,
    message_class: MessageClass | None,
    encoding: Encoding | None,
    flash: bool,
    carriers: list[str] | None,
    max_cost: str | None,
    send_at: str | None,
    valid_for: str | None,
) -> JsonObject:
    """The fields that ``send`` and ``quote`` share, those that were given."""
    now = time.time_ns() // 1_000_000
    return given(
        text=read_stdin() if text == "-" else text,
        from_=sender,
        class_=message_class,
        encoding=encoding,
        flash=flash or None,
        carrier=carriers,
        max_cost=max_cost,
        send_at=read_future(send_at, now, "--send-at"),
        valid_for=read_duration(valid_for, "--valid-for"),
    )


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
            str(value).encode()
        except UnicodeEncodeError:
            reason = "holds octets that are no characters in your locale"
            raise typer.BadParameter(reason, param_hint=f"--{name}") from None


async def send_message(client: Connection, submit: JsonObject, *, wait: bool, as_json: bool) -> int:
    """Submits, shows the answer and, where wanted, every event to the last; the exit code."""
    if wait:
        latest = (await client.subscribe(SEQ_MAX))["latest"]
        await client.subscribe(latest)
    (answer,) = await client.submit([submit])
    if answer["type"] == "error":
        raise ProtocolError(answer["code"], answer["reason"])
    show_answer(answer, show_submitted, as_json=as_json)
    if answer["type"] != "accepted":
        return terminal.FAILED
    return await follow_message(client, answer["id"], as_json=as_json) if wait else terminal.OK


async def follow_message(client: Connection, message_id: str, *, as_json: bool) -> int:
    """Shows the message's events to the last one; 0 if that says what was wanted."""
    is_ended = False
    while True:
        batch: list[JsonObject] = []
        with trio.move_on_after(LOOK_SECONDS):
            batch = await client.wait_events()
        own = [event for event in batch if event["id"] == message_id]
        show_events(own, reveal=False, as_json=as_json)
        for event in own:
            if is_last(event):
                return terminal.OK if event["event"] in WANTED else terminal.FAILED
        if batch:
            continue
        message = await client.query(id=message_id)
        if is_ended:
            told = f"{message['state']}; its events were told before, or the app has none"
            print(told, file=sys.stderr)
            return terminal.OK if message["state"] in WANTED else terminal.FAILED
        is_ended = message["final"]  # its last event may have come just behind our look


async def confirm_tag(client: Connection, app_name: str, tag: str) -> bool:
    """Asks on the terminal, with the number of messages that wait where we may know it."""
    what = "all messages"
    request = {"tag": tag, "app": app_name, "state": "queued", "since": 0, "limit": COUNTED_MAX}
    try:
        found = await ask(client, {"type": "find", **request}, SEARCH_SECONDS_MAX)
    except ProtocolError:
        pass  # The number is a control verb's, and this user may be no operator.
    else:
        more = "more than " if found["more"] else ""
        what = f"{more}{count_of(len(found['messages']), 'message')}"
    question = f"Cancel {what} of tag {tag!r}, app {app_name}, that no carrier has yet?"
    return typer.confirm(question, err=True)
