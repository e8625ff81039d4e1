"""What smppctl shows in lines: a submit's answer, events, the daemon's status.

What strangers wrote is made plain. The shapes are docs/protocol.md's.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Final

from smppd import terminal
from smppd.client import JsonObject
from smppd.ctl.masking import hide
from smppd.ctl.tables import STYLES, describe_open_breaker
from smppd.ctl.times import show_duration, show_moment, show_time
from smppd.log import plain
from smppd.smpp.constants import status_name
from smppd.terminal import count_of, to_json

FINAL_STATES: Final = frozenset({"delivered", "failed", "expired", "cancelled", "unconfirmed"})
"""Events, and states of a message, that no event follows but, rarely, a late receipt's."""

# Fields of an event that a line for people leaves out, or shows in a form of their own.
UNTOLD: Final = frozenset(
    {"type", "seq", "event", "id", "ref", "at", "accepted_at", "cost", "currency", "segments"}
)

# Those that are Unix milliseconds.
TIMES: Final = frozenset({"done_at", "until"})

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
    "mode",
    "reason",
)


def show_submitted(answer: JsonObject) -> None:
    """The answer to a submit; one that was not accepted goes to stderr."""
    if answer["type"] != "accepted":
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
        show_replaced(answer)


def show_replaced(answer: JsonObject) -> None:
    """What smart encoding changed, on a line of its own; nothing where it changed nothing."""
    if not answer.get("replaced"):
        return
    pairs = [f"{one['count']} {name_replaced(one)}" for one in answer["replaced"]]
    saved = count_of(answer["segments_saved"], "segment")
    print(plain(f"smart     replaced {', '.join(pairs)}; saved {saved}"), flush=True)


def name_replaced(one: JsonObject) -> str:
    """By code point, as half of them cannot be seen: ``U+2019 by '``."""
    points = "+".join(f"U+{ord(character):04X}" for character in one["character"])
    named = {"": "nothing", " ": "a space", "\n": "a new line"}
    return f"{points} by {named.get(one['by'], one['by'])}"


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
        shown = event if reveal else hide(event)
        print(to_json(shown) if as_json else describe_event(shown))
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
    parts += [f"{key}={_show(key, value)}" for key, value in rest if value is not None]
    return plain("  ".join(parts))


def _show(key: str, value: object) -> str:
    if isinstance(value, int) and key in TIMES:
        return show_moment(value)
    if key == "status" and isinstance(value, str):
        return status_name(int(value, 16))
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
    if store.get("full"):
        print("warning: the disk is full, and submits are rejected; make room", file=sys.stderr)
    for warning in found["warnings"]:
        print(f"warning: {plain(warning)}", file=sys.stderr)
    rows = list(_bind_rows(found["carriers"], now))
    terminal.print_table("", BIND_COLUMNS, rows, STYLES)


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
                "-" if carrier["mode"] == "running" else carrier["mode"],
                bind["reason"] or describe_open_breaker(carrier) or "-",
            ]


def show_quoted(answer: JsonObject) -> None:
    """What a message would take; why it would be rejected goes to stderr."""
    known = {
        "segments": answer["segments"] and count_of(answer["segments"], "segment"),
        "encoding": answer["encoding"],
        "carrier": answer["carrier"] and f"by {answer['carrier']}",
        "cost": answer["cost"] and f"{answer['cost']} {answer['currency']}",
    }
    if parts := [str(part) for part in known.values() if part]:
        print(plain("  ".join(parts)))
    show_replaced(answer)
    if answer["blocked_by"]:
        why, _, remedy = answer["reason"].partition("; ")
        terminal.complain(f"would be rejected: {answer['blocked_by']}", why, remedy)


def show_cancelled(answer: JsonObject) -> None:
    """How many will never be sent, and for how many it was too late."""
    count, late = answer["count"], answer["too_late"]
    handed = f"; too late for {late}: a carrier has a part of it" if late else ""
    if not count and not late:
        handed = ": nothing of the tag waits" if "tag" in answer else ": it has ended already"
    print(f"{count_of(count, 'message')} cancelled{handed}")
