"""The local socket protocol without the socket: bytes in, requests out; answers in, bytes out.

``AppProtocol`` splits what was read into lines, decodes each, and gives exactly one request per
line, in line order: a line that is no request comes back as a ``BadLine`` and costs only itself.
On the way out it counts the ``error`` answers in a row and ends the conversation at the limit.
It does not know who is speaking, what an app may do, or what a message is (``intake`` does), and
it neither reads nor writes (``server`` does). The contract is ``docs/protocol.md``.

Reading one line is tried twice: first by one typed decoder, about half a microsecond; what that
refuses is read again by the standard library, which takes every JSON there is, so that a submit
with a slip in it is still answered under its ``ref``.
"""

from __future__ import annotations

import json
import re
from difflib import get_close_matches
from typing import Final, get_args

import msgspec
from msgspec import Raw

from smppd.api.answers import Answer, ErrorAnswer
from smppd.api.faults import JsonObject, JsonValue, Rule, find_fault, rules_of
from smppd.api.fields import is_ref, read_odd_quote, read_odd_submit
from smppd.api.requests import BadLine, Request, Served

PROTOCOL_VERSION: Final = 1
LINE_BYTES_MAX: Final = 65_536
"""Of a request line or an event, its newline included (contract)."""
ANSWER_BYTES_MAX: Final = 16 * 1024 * 1024
"""Of any other answer (contract)."""
ERRORS_IN_A_ROW_MAX: Final = 100
"""Lines answered ``error`` one after the other before the connection is closed (contract)."""
NESTING_MAX: Final = 64
"""Levels of brackets the second reading follows: no request has more than a ``meta`` can use,
and half a thousand would be too near the interpreter's recursion limit."""
INTEGER_DIGITS_MAX: Final = 4300
"""CPython reads no longer integer; one is kept as spelled."""

REQUEST_RULES: Final[dict[str, dict[str, Rule]]] = {
    str(request.__struct_config__.tag): rules_of(request) for request in get_args(Served)
}
"""Every request there is, and the rules of its fields."""

_decode = msgspec.json.Decoder(Served).decode
_encode_lines = msgspec.json.Encoder().encode_lines

_TOO_LONG: Final = BadLine(
    "line_too_long", f"a request line has at most {LINE_BYTES_MAX} bytes with its newline"
)


class AppProtocol:
    """One connection's lines. ``closed`` once nothing more may be read or answered.

    >>> AppProtocol().receive_data(b'{"type":"hello"}\\n')
    [Hello(app=UNSET)]
    """

    __slots__ = ("_errors", "_partial", "_skipping", "closed")

    def __init__(self) -> None:
        self._partial = b""
        self._skipping = False
        self._errors = 0
        self.closed = False

    @property
    def errors_left(self) -> int:
        """How many answers in a row may be errors until, with the last, this closes."""
        return ERRORS_IN_A_ROW_MAX - self._errors

    def receive_data(self, data: bytes) -> list[Request]:
        """One request per line that ended in ``data``, in order; what is after them is kept.

        A line that grows too long is reported at once and then read over, kept nowhere.
        """
        requests: list[Request] = []
        lines = data.split(b"\n")
        if self._skipping:
            if len(lines) == 1:
                return requests
            self._skipping = False
            del lines[0]
        elif self._partial:
            lines[0] = self._partial + lines[0]
        self._partial = lines.pop()
        for line in lines:
            if len(line) >= LINE_BYTES_MAX:
                requests.append(_TOO_LONG)
                continue
            try:
                request = _decode(line)
                if not line.isascii():
                    line.decode()  # the decoder takes a Raw (meta, token) unread
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as fault:
                request = read_odd_line(line, str(fault))
            requests.append(request)
        if len(self._partial) >= LINE_BYTES_MAX:
            self._partial = b""
            self._skipping = True
            requests.append(_TOO_LONG)
        return requests

    def encode_answers(self, answers: list[Answer]) -> bytes:
        """The lines of ``answers``, in order.

        The error that reaches the limit is the last answer given: ``too_many_errors`` follows
        it, ``closed`` is set, and what stood after it in the list is dropped.
        """
        errors = self._errors
        for index, answer in enumerate(answers):
            if type(answer) is not ErrorAnswer:
                errors = 0
                continue
            errors += 1
            if errors == ERRORS_IN_A_ROW_MAX:
                self.closed = True
                reason = f"{errors} lines in a row were answered error; this connection ends"
                end = ErrorAnswer("too_many_errors", reason, answer.line)
                answers = [*answers[: index + 1], end]
                break
        self._errors = errors
        return _encode_lines(answers)


def read_odd_line(line: bytes, fault: str) -> Request:
    """The second, slow reading of a line the typed decoder refused for ``fault``."""
    try:
        text = line.decode()
    except UnicodeDecodeError as error:
        return BadLine("bad_utf8", f"not UTF-8: {error.reason} at byte {error.start}")
    try:
        value = _load_json(text)
    except ValueError as error:
        return BadLine("bad_json", f"not JSON: {error}")
    if not isinstance(value, dict):
        return BadLine("bad_request", "a request is a JSON object with a 'type'")
    return _read_odd_object(value, line, fault)


def _read_odd_object(fields: JsonObject, line: bytes, fault: str) -> Request:
    verb = fields.get("type")
    if verb == "submit":
        ref = fields.get("ref")
        if is_ref(ref):
            return read_odd_submit(ref, fields, line)
        return BadLine("bad_request", REF_REASON)
    if not isinstance(verb, str) or not verb.isprintable():
        return BadLine("bad_request", "a request has a string 'type'")
    if verb == "quote":
        return read_odd_quote(fields)
    if verb not in REQUEST_RULES:
        near = get_close_matches(verb[:64], REQUEST_RULES, n=1)
        advice = f"; did you mean '{near[0]}'?" if near else ""
        return BadLine("bad_request", f"there is no request '{verb[:64]}'{advice}")
    return BadLine("bad_request", f"{verb}: {find_fault(fields, REQUEST_RULES[verb]) or fault}")


REF_REASON: Final = "a submit has a 'ref': a string of 1-64 printable characters"


def _load_json(text: str) -> JsonValue:
    """Any JSON; numbers nobody can represent stay as spelled. ValueError when it is none."""
    value: JsonValue = json.loads(
        _cut_nesting(text),
        parse_int=_read_integer,
        parse_float=Raw,
        parse_constant=_refuse_constant,
    )
    return value


def _read_integer(digits: str) -> int | Raw:
    return int(digits) if len(digits) <= INTEGER_DIGITS_MAX else Raw(digits)


def _refuse_constant(name: str) -> JsonValue:
    raise ValueError(f"{name} is no JSON number")


# Possessive, and content with an open string, so that no line costs more than its length.
_BRACKETS: Final = re.compile(r'"(?:[^"\\]++|\\.)*+"?|[\[\]{}]')


def _cut_nesting(text: str) -> str:
    """``text`` with null for everything nested deeper than NESTING_MAX.

    A parser that recurses cannot be given half a line of brackets. No acceptable line is cut,
    as a cut one went through the typed decoder before: it is odd already.
    """
    if text.count("[") + text.count("{") <= NESTING_MAX:
        return text
    pieces: list[str] = []
    depth = kept = 0
    for match in _BRACKETS.finditer(text):
        bracket = match[0]
        if bracket in "[{":
            depth += 1
            if depth == NESTING_MAX + 1:
                pieces.append(text[kept : match.start()] + "null")
        elif bracket in "]}":
            depth -= 1
            if depth == NESTING_MAX:
                kept = match.end()
    if depth <= NESTING_MAX:
        pieces.append(text[kept:])
    return "".join(pieces)
