"""What smppctl shows: a submit's answer, events and the daemon's status, for people or as JSON.

Numbers are masked unless told otherwise, and what strangers wrote is made plain. The shapes are
docs/protocol.md's.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final

from smppd import terminal
from smppd.client import JsonObject
from smppd.log import mask, plain
from smppd.terminal import count_of, to_json

FINAL_STATES: Final = frozenset({"delivered", "failed", "expired", "cancelled", "unconfirmed"})
"""Events, and states of a message, that no event follows but, rarely, a late receipt's."""

# Fields of an event that a line for people leaves out, or shows in a form of their own.
UNTOLD: Final = frozenset(
    {"type", "seq", "event", "id", "ref", "at", "accepted_at", "cost", "currency", "segments"}
)

BIND_COLUMNS: Final = (
    "carrier",
    "healthy",
    "bind",
    "state",
    "for",
    "window",
    "limit",
    "pace",
    "reconnects",
    "reason",
)


def show_answer(answer: JsonObject, *, as_json: bool) -> None:
    """The answer to a submit; one that was not accepted goes to stderr, unless ``as_json``."""
    if as_json:
        print(to_json(answer), flush=True)
    elif answer["type"] != "accepted":
        why, _, remedy = answer["reason"].partition("; ")
        terminal.complain(f"{answer['type']}: {answer['code']}", why, remedy)
    else:
        again = ", accepted before" if answer.get("duplicate") else ""
        segments = count_of(answer["segments"], "segment")
        print(
            f"accepted  id {answer['id']}  ref {plain(answer['ref'])}  "
            f"{segments} {answer['encoding']}{again}",
            flush=True,
        )


def is_last(event: JsonObject) -> bool:
    """Whether no event follows (but, rarely, a late receipt's): docs/protocol.md, *Events*."""
    match event["event"]:
        case "sent":
            return not event["receipt"]
        case "uncertain":
            return not event["resend"]
        case kind:
            return kind in FINAL_STATES


def show_events(events: list[JsonObject], *, reveal: bool, as_json: bool) -> None:
    """One line each; numbers masked unless ``reveal``."""
    for event in events:
        if not reveal:
            event = event | {key: mask(event[key]) for key in ("from", "to") if key in event}
        print(to_json(event) if as_json else describe_event(event))
    sys.stdout.flush()


def describe_event(event: JsonObject) -> str:
    """An event on one line: time, seq, what, whose, then whatever it carries as key=value."""
    parts = [
        show_time(event["at"]),
        f"{event['seq']:>6}",
        f"{event['event']:<11}",
        event["id"],
        event["ref"] or "-",
    ]
    if "segments" in event:
        parts.append(count_of(event["segments"], "segment"))
    if "cost" in event:
        parts.append(f"{event['cost']} {event['currency']}")
    rest = ((key, value) for key, value in event.items() if key not in UNTOLD)
    parts += [f"{key}={_show(value)}" for key, value in rest if value is not None]
    return plain("  ".join(parts))


def _show(value: object) -> str:
    return value if isinstance(value, str) else to_json(value)


def show_status(found: JsonObject) -> None:
    """The whole answer to ``status``, for people."""
    store, now = found["store"], found["now"]
    draining = ", draining" if found["draining"] else ""
    up = show_duration(now - found["started_at"])
    print(f"smppd {found['version']}, pid {found['pid']}, up {up}{draining}")
    print(
        f"{store['queued']} queued, {store['live']} in memory, {store['accepted']} accepted since "
        f"start, {count_of(found['connections'], 'connection')}"
    )
    for warning in found["warnings"]:
        print(f"warning: {plain(warning)}", file=sys.stderr)
    terminal.print_table("", BIND_COLUMNS, list(_bind_rows(found["carriers"], now)))


def _bind_rows(carriers: list[JsonObject], now: int) -> Iterator[list[str]]:
    for carrier in carriers:
        for bind in carrier["binds"]:
            yield [
                carrier["name"],
                "yes" if carrier["healthy"] else "no",
                str(bind["bind"]),
                bind["state"],
                show_duration(now - bind["since"]),
                f"{bind['outstanding']}/{bind['window']}",
                f"{carrier['throughput']:g}" if carrier["throughput"] else "-",
                "-" if carrier["pace"] is None else f"{carrier['pace']:g}",
                str(bind["reconnects"]),
                bind["reason"] or "-",
            ]


def show_time(at: int) -> str:
    """Unix milliseconds as the local time of day."""
    return datetime.fromtimestamp(at / 1000, UTC).astimezone().strftime("%H:%M:%S.%f")[:-3]


def show_duration(milliseconds: int) -> str:
    """``4 s``, ``3 min``, ``5 h``, ``2 d``: the largest unit there is one of."""
    seconds = max(0, milliseconds) // 1000
    for size, unit in ((86_400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"
