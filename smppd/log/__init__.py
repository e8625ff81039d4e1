"""Lines for operators: structlog set up once, and what strangers wrote made fit to be shown.

One event a line: JSON where stdout is no terminal, laid out for reading where it is one. Callers
give an event's name in snake_case and a few fields, carrier and bind first, never a message's text
and never a whole number. Logging never blocks: a terminal, and a stream that is only in memory, is
written to at once, anything else by ``writer``, which drops lines when nobody takes them.
"""

from __future__ import annotations

import atexit
import os
import re
import stat
import sys
import traceback
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, TextIO

import msgspec

from smppd.log.importing import structlog
from smppd.log.writer import LineWriter

if TYPE_CHECKING:
    from structlog.typing import EventDict, Processor, WrappedLogger

LEVELS: Final = {"debug": 10, "info": 20, "warning": 30, "error": 40}
"""The levels there are, with the numbers structlog filters by."""

PRIORITIES: Final = {"debug": 7, "info": 6, "warning": 4, "error": 3}
"""The same levels as syslog's, which sd-daemon(3) has in front of a line: ``<6>``."""

STDERR: Final = 2

HIDDEN_DIGITS_MIN: Final = 4
"""Digits of a number that are never shown: one in ten thousand is nobody in particular."""

SHOWN_DIGITS_MAX: Final = 4
"""Digits shown at either end: country and network in front, enough to recognise behind."""

_NUMBER: Final = re.compile(r"\+?([0-9]+)")

# Unicode general categories that move a cursor, hide, or turn the reading direction round:
# controls, formats (the bidi ones among them), surrogates, line and paragraph separators.
_UNFIT_CATEGORIES: Final = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})

_ZERO_WIDTH_JOINERS: Final = "\u200c\u200d"
"""Formats that scripts and emoji are spelled with, and that move nothing."""

_encode = msgspec.json.Encoder(enc_hook=str).encode


_writer: LineWriter | None = None


def configure(level: str = "info", stream: TextIO | None = None) -> None:
    """Log from ``level`` (one of LEVELS) on to ``stream``, by default stdout.

    To be called once, before the first line: loggers keep what they were first used with.
    """
    shape, factory = _output_to(stream or sys.stdout)
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.StackInfoRenderer(),
            _add_traceback,
            *shape,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS[level]),
        logger_factory=factory,
        cache_logger_on_first_use=True,
    )


def get_logger(name: str) -> Any:
    """structlog's logger, for who has nothing else of it."""
    return structlog.get_logger(name)


def dropped() -> int:
    """Lines dropped since start, because nobody took them."""
    return 0 if _writer is None else _writer.dropped


def flush() -> bool:
    """Waits a little until every line has been written; whether that is so. For the last ones."""
    return _writer is None or _writer.flush()


def report_crash(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    """A ``sys.excepthook``: what ends the daemon is a line like any other, with its traceback.

    Where nobody takes lines it goes to stderr, as it does without this hook; but a stderr that
    nobody reads either does not keep the process from ending.
    """
    log = structlog.get_logger("smppd")
    log.error("crashed", reason=f"{kind.__name__}: {error}", exc_info=error)
    if not flush():
        errors = LineWriter(STDERR, lambda _lines: b"")
        errors.put("".join(traceback.format_exception(kind, error, trace)).encode())
        errors.flush()


def open_for_faults() -> int:
    """The descriptor faulthandler is to write to: stderr, which where it is a pipe is opened anew,
    as one that never waits. A process that is dying must not wait for its reader."""
    with suppress(OSError):
        if stat.S_ISFIFO(os.fstat(STDERR).st_mode):
            own = f"/proc/self/fd/{STDERR}"
            return os.open(own, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    return STDERR


def is_journal(descriptor: int, environ: Mapping[str, str]) -> bool:
    """Whether this is journald's stream (systemd.exec(5), ``$JOURNAL_STREAM``)."""
    status = os.fstat(descriptor)
    return environ.get("JOURNAL_STREAM") == f"{status.st_dev}:{status.st_ino}"


def mask(number: str) -> str:
    """A number as it may be shown; a name, such as an alphanumeric sender, stays as it is.

    >>> mask("+5215512345678"), mask("12345678"), mask("ACME")
    ('+5215****5678', '12****78', 'ACME')
    """
    found = _NUMBER.fullmatch(number)
    if found is None:
        return number
    digits = found[1]
    shown = max(0, len(digits) - HIDDEN_DIGITS_MIN)
    head = min(SHOWN_DIGITS_MAX, shown // 2)
    tail = min(SHOWN_DIGITS_MAX, shown - head)
    plus = "+" if number.startswith("+") else ""
    return f"{plus}{digits[:head]}****{digits[len(digits) - tail :]}"


def plain(text: str) -> str:
    """``text`` without what could act on a terminal or reorder its line; a break is a space.

    >>> plain("paid\\x1b[2J \\u202e00.01\\nok")
    'paid[2J 00.01 ok'
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        " " if character in "\r\n\t\u2028\u2029" else character
        for character in text
        if character in "\r\n\t\u2028\u2029"
        or character in _ZERO_WIDTH_JOINERS
        or unicodedata.category(character) not in _UNFIT_CATEGORIES
    )


def has_colour(stream: TextIO) -> bool:
    """Whether ``stream`` is a terminal whose user did not ask for none (https://no-color.org)."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def _read_clock() -> str:
    """The time as RFC 3339 writes it, in UTC and milliseconds."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _lead_with_time(_logger: WrappedLogger, _method: str, fields: EventDict) -> EventDict:
    """``ts``, ``level`` and ``event`` in front: lines are read by people too."""
    event, level = fields.pop("event"), fields.pop("level")
    return {"ts": _read_clock(), "level": level, "event": event, **fields}


def _render_json(_logger: WrappedLogger, _method: str, fields: EventDict) -> str:
    return _encode(fields).decode()


def _render_line(
    _logger: WrappedLogger, method: str, fields: EventDict, *, has_priority: bool
) -> bytes:
    """A whole line of JSON; for the journal with its priority in front."""
    priority = b"<%d>" % PRIORITIES[method] if has_priority else b""
    return priority + _encode(fields) + b"\n"


def _add_traceback(_logger: WrappedLogger, _method: str, fields: EventDict) -> EventDict:
    """``exception`` instead of ``exc_info``, groups and causes included, without any locals."""
    error = fields.pop("exc_info", None)
    if error is True:
        error = sys.exc_info()[1]
    if isinstance(error, BaseException):
        fields["exception"] = "".join(traceback.format_exception(error)).rstrip()
    return fields


def _shape_for_terminal(stream: TextIO) -> Sequence[Processor]:
    """The local time of day, and fields in the order they were given: carrier and bind first."""
    return [
        structlog.processors.TimeStamper(fmt="%H:%M:%S", utc=False),
        _make_plain,
        structlog.dev.ConsoleRenderer(colors=has_colour(stream), pad_event_to=16, sort_keys=False),
    ]


def _make_plain(_logger: WrappedLogger, _method: str, fields: EventDict) -> EventDict:
    """What a peer sent may not act on the operator's terminal; JSON escapes it anyway."""
    kept = fields.pop("exception", None)
    shown = {
        key: plain(value) if isinstance(value, str) else value for key, value in fields.items()
    }
    if kept is None:
        return shown
    return {**shown, "exception": "\n".join(map(plain, str(kept).split("\n")))}


class _LineLogger:
    """What structlog calls with a finished line: a method a level."""

    def __init__(self, writer: LineWriter) -> None:
        self.debug = self.info = self.warning = self.error = writer.put


def _output_to(stream: TextIO) -> tuple[Sequence[Processor], Callable[..., object]]:
    """How lines for ``stream`` are shaped, and who makes the loggers that write them."""
    global _writer
    _writer = None
    if stream.isatty():
        return _shape_for_terminal(stream), structlog.WriteLoggerFactory(file=stream)
    try:
        descriptor = stream.fileno()
    except OSError:  # io.UnsupportedOperation: it is only in memory
        return (_lead_with_time, _render_json), structlog.WriteLoggerFactory(file=stream)
    render = partial(_render_line, has_priority=is_journal(descriptor, os.environ))
    _writer = LineWriter(descriptor, partial(_render_dropped, render))
    atexit.register(_writer.flush)
    logger = _LineLogger(_writer)
    return (_lead_with_time, render), lambda *_: logger


def _render_dropped(render: Processor, lines: int) -> bytes:
    """The line that stands where ``lines`` of them are missing."""
    fields: EventDict = {"event": "log_dropped", "level": "warning", "lines": lines}
    return render(None, "warning", dict(_lead_with_time(None, "warning", fields)))  # type: ignore[return-value]  # octets
