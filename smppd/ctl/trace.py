"""A message's whole life for people: who, what and for how much, then every step of it."""

from __future__ import annotations

from typing import Final

from smppd import terminal
from smppd.client import JsonObject
from smppd.ctl.tables import STYLES, say
from smppd.ctl.times import show_elapsed, show_moment, show_time
from smppd.log import plain
from smppd.smpp.constants import status_name
from smppd.smpp.statuses import find_status
from smppd.terminal import count_of

COLUMNS: Final[tuple[str, ...]] = (
    "time", "after", "step", "segment", "bind", "sequence", "status", "message id", "detail"
)  # fmt: skip


def show_trace(answer: JsonObject) -> None:
    """The message in three lines, then a line a step."""
    message, steps = answer["message"], answer["steps"]
    for line in (_name(message), _describe(message), _tell_times(message)):
        print(plain(line))
    if dropped := answer["steps_dropped"]:
        print(f"{count_of(dropped, 'step')} of it not kept")
    has_segments = any((step.get("segment") or 1) > 1 for step in steps)
    first = steps[0]["at"]
    has_days = any(show_moment(step["at"])[:10] != show_moment(first)[:10] for step in steps)
    rows = []
    for step in steps:
        row = _show_step(step, first, has_date=has_days or not terminal.is_drawn())
        if not has_segments and terminal.is_drawn():
            row[COLUMNS.index("segment")] = "-"
        rows.append(row)
    columns = COLUMNS
    if terminal.is_drawn():
        # A receipt is long, and wants what room there is: its id is in its own words.
        at = COLUMNS.index("message id")
        columns = (*COLUMNS[:at], COLUMNS[at + 1])
        rows = [[*row[:at], _join(row[at], row[at + 1])] for row in rows]
    terminal.print_table("", columns, rows, STYLES)


def _name(message: JsonObject) -> str:
    parts = [message["id"], message["state"], f"ref {message['ref']}", f"app {message['app']}"]
    parts += [f"tag {message['tag']}"] if message["tag"] else []
    parts += [f"held: {message['held']}"] if message["held"] else []
    parts += [message["failure"]] if message["failure"] else []
    return "  ".join(parts) + ("  maybe a duplicate" if message["maybe_duplicate"] else "")


def _describe(message: JsonObject) -> str:
    segments = f"{count_of(message['segments'], 'segment')} {message['encoding']}"
    parts = [f"{message['to'] or 'forgotten'} from {message['from']}", message["class"], segments]
    if message["cost"]:
        parts.append(f"{message['cost']} {message['currency']} by {message['carrier']}")
    return ", ".join(parts)


def _tell_times(message: JsonObject) -> str:
    parts = [f"accepted {show_moment(message['accepted_at'])}"]
    if message["send_at"]:
        parts.append(f"not before {show_moment(message['send_at'])}")
    return ", ".join([*parts, f"valid until {show_moment(message['expires_at'])}"])


def _show_step(step: JsonObject, first: int, *, has_date: bool) -> list[str]:
    carrier, bind, status = step.get("carrier"), step.get("bind"), step.get("command_status")
    day = show_moment(step["at"])[:11] if has_date else ""
    return [
        day + show_time(step["at"]),
        show_elapsed(step["at"] - first),
        step["step"],
        say(step.get("segment")),
        say(carrier if bind is None or carrier is None else f"{carrier}/{bind}"),
        say(step.get("sequence_number")),
        "-" if status is None else status_name(int(status, 16)),
        say(step.get("message_id")),
        say(_detail(step)),
    ]


def _detail(step: JsonObject) -> str | None:
    """What the daemon says beside the status, or else what the status means."""
    status = int(step.get("command_status") or "0", 16)
    meaning = step.get("meaning") or _meaning_of(status, step["step"])
    return "; ".join(filter(None, (step.get("detail"), meaning))) or None


def _meaning_of(status: int, step: str) -> str | None:
    """By the table; a carrier may take a message under a number that says otherwise there."""
    if not status:
        return None
    return "which means taken there" if step == "taken" else find_status(status).cause


def _join(message_id: str, detail: str) -> str:
    if message_id == "-" or message_id in detail:
        return detail
    return f"id {message_id}" if detail == "-" else f"id {message_id}; {detail}"
