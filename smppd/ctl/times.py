"""Times as people write them: ``2h`` from or before now, ``2026-11-22T09:00``, Unix milliseconds;
and as they read them."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Final

import typer

UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
"""Of a time from now, in seconds."""

TIME_MAX: Final = 2**53
"""Unix milliseconds that the protocol takes."""

_DURATION: Final = re.compile(r"([0-9]{1,9})([smhdw])")
_MILLISECONDS: Final = re.compile(r"[0-9]{12,14}")


def read_past(text: str | None, now_ms: int, option: str) -> int | None:
    """Unix milliseconds of ``2h`` (ago) or of a date; typer.BadParameter for anything else."""
    return None if text is None else _read_time(text, now_ms, -1, option)


def read_future(text: str | None, now_ms: int, option: str) -> int | None:
    """Unix milliseconds of ``2h`` (from now) or of a date; typer.BadParameter otherwise."""
    return None if text is None else _read_time(text, now_ms, 1, option)


def read_duration(text: str | None, option: str) -> int | None:
    """Seconds of ``90``, ``30m``, ``2h``, ``1d`` or ``1w``; typer.BadParameter otherwise."""
    if text is None:
        return None
    if found := _DURATION.fullmatch(text):
        return int(found[1]) * UNITS[found[2]]
    if text.isascii() and text.isdigit() and len(text) < 10:
        return int(text)
    reason = f"{text!r} is no duration; write seconds, or 30m, 2h, 1d, 1w"
    raise typer.BadParameter(reason, param_hint=option)


def _read_time(text: str, now_ms: int, direction: int, option: str) -> int:
    if found := _DURATION.fullmatch(text):
        return _bounded(now_ms + direction * int(found[1]) * UNITS[found[2]] * 1000)
    if _MILLISECONDS.fullmatch(text):
        return int(text)
    try:
        # A date without a zone is the operator's own.
        return _bounded(int(datetime.fromisoformat(text).astimezone(UTC).timestamp() * 1000))
    except (ValueError, OverflowError):
        reason = f"{text!r} is no time; write 30m, 2h, 1d or 2026-11-22T09:00"
        raise typer.BadParameter(reason, param_hint=option) from None


def _bounded(milliseconds: int) -> int:
    return min(max(milliseconds, 0), TIME_MAX)


def show_time(at: int) -> str:
    """Unix milliseconds as the local time of day: ``09:00:01.002``."""
    return _local(at).strftime("%H:%M:%S.%f")[:-3]


def show_moment(at: int) -> str:
    """Unix milliseconds as local date and time: ``2026-11-22 09:00:01``."""
    return _local(at).strftime("%Y-%m-%d %H:%M:%S")


def show_duration(milliseconds: int) -> str:
    """``4 s``, ``3 min``, ``5 h``, ``2 d``: the largest unit there is one of."""
    seconds = max(0, milliseconds) // 1000
    for size, unit in ((86_400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"


def show_elapsed(milliseconds: int) -> str:
    """Since the first step of a life: ``+0.004 s``, ``+12.3 s``, ``+3 min``."""
    if milliseconds < 10_000:
        return f"+{milliseconds / 1000:.3f} s"
    return (
        f"+{milliseconds / 1000:.1f} s"
        if milliseconds < 60_000
        else (f"+{show_duration(milliseconds)}")
    )


def _local(at: int) -> datetime:
    return datetime.fromtimestamp(at / 1000, UTC).astimezone()
