"""The verbs that reach to a carrier, and what it sent that nobody could read."""

from __future__ import annotations

import os
import sys
from base64 import b64decode
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, BinaryIO, Final

import trio
import typer

from smppd import terminal
from smppd.client import Connection, JsonObject
from smppd.ctl import tables
from smppd.ctl.asking import ask_carrier
from smppd.ctl.options import (
    HELP,
    CarrierArgument,
    JsonOption,
    RevealOption,
    app,
    ask_and_show,
    complete_carrier,
    given,
    is_named,
)
from smppd.ctl.talk import Daemon, ask, talk
from smppd.ctl.times import read_duration, show_moment
from smppd.log import plain
from smppd.smpp.capture import CapturedLink, as_it_is, file_header
from smppd.smpp.redaction import redact_pdu
from smppd.terminal import count_of, to_json

TAP_SECONDS_MAX: Final = 3_600
"""The daemon ends a tap then."""

QUARANTINE_ROWS: Final = 1_000
"""Rows listed: what one answer holds."""

HEX_OCTETS: Final = 16
"""In a line of a dump."""

FILE_MODE: Final = 0o600
"""A capture is for who made it."""

quarantine_app = typer.Typer(
    help="Show what carriers sent and nobody could read.",
    cls=terminal.Commands,
    no_args_is_help=True,
    rich_markup_mode=None,
    context_settings=HELP,
)
app.add_typer(quarantine_app, name="quarantine")

IdArgument = Annotated[str, typer.Argument(metavar="ID", show_default=False)]
OneCarrierOption = Annotated[
    str | None,
    typer.Option(
        "--carrier", metavar="NAME", help="Only its own.", autocompletion=complete_carrier
    ),
]


@app.command()
def query(
    context: typer.Context,
    message_id: IdArgument,
    carrier: Annotated[
        bool, typer.Option("--carrier", help="Ask the carrier that has it, with query_sm.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Ask the carrier what became of a message.

    Nothing is changed by it: what the carrier says is shown, a receipt decides. Exit 1 where it
    gave no answer. What the daemon knows is in smppctl trace.
    """
    if not carrier:
        raise typer.BadParameter("add --carrier to ask it; what is known here is in smppctl trace")
    ask_carrier(context.obj, message_id, "query", as_json=as_json)


@app.command("pdu-tap")
def tap(
    context: typer.Context,
    carrier: CarrierArgument,
    duration: Annotated[
        str, typer.Option("--for", metavar="TIME", help="How long: 60s, 10m; 1h at most.")
    ] = "60s",
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Instead of stdout; must not be there yet.")
    ] = None,
    texts: Annotated[
        bool, typer.Option("--texts", help="With texts and numbers, but no passwords.")
    ] = False,
) -> None:
    """Write what goes over a carrier's links, as a pcap file.

    Read it with wireshark -d tcp.port==2775,smpp. Texts and passwords are overwritten, and numbers
    but for their first digits. Ctrl-C ends it; the file is whole as far as it goes.
    """
    seconds = read_duration(duration, "--for") or 0
    if not 1 <= seconds <= TAP_SECONDS_MAX:
        raise typer.BadParameter("write 1s to 1h", param_hint="--for")
    if out is None and sys.stdout.isatty():
        raise typer.BadParameter("octets are no text: give --out FILE, or write > FILE")
    place: Daemon = context.obj

    async def converse(client: Connection) -> int:
        begun = await ask(client, {"type": "tap", "carrier": carrier, "texts": texts})
        with open_output(out, "--out") as file:
            written, dropped = await copy_tap(client, begun, seconds, file)
        print(f"{written:,} octets of {carrier}", file=sys.stderr)
        if dropped:
            print(f"{dropped:,} octets more were lost: they came too fast", file=sys.stderr)
        return terminal.FAILED if dropped else terminal.OK

    talk(place, converse, greet=is_named(place))


async def copy_tap(
    client: Connection, answer: JsonObject, seconds: float, file: BinaryIO
) -> tuple[int, int]:
    """Octets written and octets lost, from the first ``answer`` of a tap; returns after
    ``seconds``, with all that had come."""
    request = {"type": "tap", "carrier": answer["carrier"], "tap": answer["tap"]}
    ends_at = trio.current_time() + seconds
    written = 0
    while True:
        piece = b64decode(answer["data"])
        file.write(piece)
        file.flush()
        written += len(piece)
        if answer["ended"]:
            return written, answer["dropped"]
        is_end = trio.current_time() >= ends_at
        answer = await ask(client, {**request, "end": is_end})


def open_output(path: Path | None, option: str) -> BinaryIO:
    """A new file that only its owner can read, or stdout."""
    if path is None:
        return os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    try:
        return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, FILE_MODE), "wb")
    except OSError as error:
        reason = f"{path}: {error.strerror}"
        raise typer.BadParameter(reason, param_hint=option) from None


@quarantine_app.command("list")
def list_quarantine(
    context: typer.Context, carrier: OneCarrierOption = None, as_json: JsonOption = False
) -> None:
    """List what nobody could read, newest first.

    Exit 4 where there is nothing.
    """
    request: JsonObject = {"type": "quarantine", "limit": QUARANTINE_ROWS}
    ask_and_show(
        context.obj,
        request | given(carrier=carrier),
        show_quarantine,
        as_json=as_json,
        is_empty=lambda answer: not answer["records"],
    )


@quarantine_app.command("show")
def show_quarantined(
    context: typer.Context,
    record_id: IdArgument,
    reveal: RevealOption = False,
    as_json: JsonOption = False,
) -> None:
    """Show one PDU: why it is here, and its octets.

    Texts and numbers are overwritten unless --reveal, and so is what follows an octet that cannot
    be read. Exit 4 where there is none such.
    """

    async def converse(client: Connection) -> int:
        answer = await ask(client, {"type": "quarantine", "id": record_id})
        if not answer["records"]:
            print("nothing in the quarantine has this id", file=sys.stderr)
            return terminal.NOT_FOUND
        (record,) = answer["records"]
        shown = record if reveal else redact_record(record)
        if as_json:
            print(to_json(shown), flush=True)
        else:
            show_dump(shown)
        return terminal.OK

    talk(context.obj, converse, greet=is_named(context.obj))


@quarantine_app.command("export")
def export_quarantine(
    context: typer.Context,
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="Must not be there yet.", show_default=False)
    ],
    carrier: OneCarrierOption = None,
    reveal: RevealOption = False,
) -> None:
    """Write what nobody could read to a pcap file.

    One packet a PDU, as from the carrier, at its time. Overwritten as by show unless --reveal.
    """

    async def converse(client: Connection) -> int:
        listed = {"type": "quarantine", "limit": QUARANTINE_ROWS, **given(carrier=carrier)}
        records = [
            (await ask(client, {"type": "quarantine", "id": one["id"]}))["records"][0]
            for one in reversed((await ask(client, listed))["records"])
        ]
        if not records:
            print("nothing is kept, and no file is written", file=sys.stderr)
            return terminal.NOT_FOUND
        with open_output(file, "FILE") as output:
            output.write(capture_records(records, reveal=reveal))
        terminal.print_summary(count_of(len(records), "PDU"))
        return terminal.OK

    talk(context.obj, converse, greet=is_named(context.obj))


@quarantine_app.command("drop")
def drop_quarantine(
    context: typer.Context,
    record_id: Annotated[
        str | None, typer.Argument(metavar="ID", show_default=False, help="Or --carrier NAME.")
    ] = None,
    carrier: OneCarrierOption = None,
    as_json: JsonOption = False,
) -> None:
    """Delete one, or all of a carrier.

    Exit 4 where there was nothing.
    """
    if (record_id is None) == (carrier is None):
        raise typer.BadParameter("give either an ID or --carrier NAME")
    request: JsonObject = {"type": "quarantine_drop"}
    ask_and_show(
        context.obj,
        request | given(id=record_id, carrier=carrier),
        lambda answer: print(f"{count_of(answer['count'], 'PDU')} deleted", flush=True),
        as_json=as_json,
        is_empty=lambda answer: not answer["count"],
    )


def show_quarantine(answer: JsonObject) -> None:
    """One line each, and how many there are of all carriers."""
    records = [
        {key: str(value) for key, value in one.items()} | {"at": show_moment(one["at"])}
        for one in answer["records"]
    ]
    terminal.print_summary(f"{count_of(answer['kept'], 'PDU')} kept")
    tables.show_rows("id at carrier bind command octets reason", records)


def show_dump(record: JsonObject) -> None:
    """What is known of it, and its octets as they would stand in a standard's appendix."""
    for name in ("id", "carrier", "bind", "command", "reason", "octets"):
        print(plain(f"{name:8} {record[name]}"))
    print(f"at       {show_moment(record['at'])}")
    for line in dump(bytes.fromhex(record.get("pdu", ""))):
        print(line)


def dump(octets: bytes) -> Iterator[str]:
    """Lines of HEX_OCTETS: where, in hexadecimal, and as text."""
    for start in range(0, len(octets), HEX_OCTETS):
        line = octets[start : start + HEX_OCTETS]
        text = "".join(chr(one) if 0x20 <= one < 0x7F else "." for one in line)
        yield f"{start:06x}  {line.hex(' '):{HEX_OCTETS * 3}} {text}"


def redact_record(record: JsonObject) -> JsonObject:
    """A row without what is nobody's business."""
    return {**record, "pdu": redact_pdu(bytes.fromhex(record.get("pdu", ""))).hex()}


def capture_records(records: list[JsonObject], *, reveal: bool) -> bytes:
    """A pcap file of rows, one connection each: they have come at other times from other binds."""
    redact = as_it_is if reveal else redact_pdu
    parts = [file_header()]
    for number, record in enumerate(records):
        link, at = CapturedLink(number, redact), record["at"] * 1000
        octets = bytes.fromhex(record["pdu"])
        parts += [link.begin(at), link.received(octets, at), link.end(at)]
    return b"".join(parts)
