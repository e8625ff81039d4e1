"""One connection's lines, without the connection: what was asked, what was answered, what came.

It knows the contract's one rule that shapes a client: answers come in the order of the lines, with
events anywhere between. So answers go to who asked, in order, and events are kept apart until
somebody takes them. It neither reads nor writes, and it ends with its connection: what is to be
asked again on another one is ``exchange``'s to know.

Lines come in as plain JSON objects: their shapes grow fields, and this file has no opinion on any.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import msgspec

from smppd.client.errors import ProtocolError
from smppd.client.shapes import JsonObject
from smppd.errors import SmppdError

RECEIVE_BYTES_MAX: Final = 128 * 1024
"""One read: what the daemon hands out as one batch of events."""

LINE_BYTES_MAX: Final = 16 * 1024 * 1024
"""The longest line the contract allows the daemon."""

ANSWER_TYPES: Final[Mapping[str, frozenset[str]]] = {
    "hello": frozenset({"welcome"}),
    "submit": frozenset({"accepted", "rejected"}),
    "cancel": frozenset({"cancelled"}),
    "query": frozenset({"message"}),
    "quote": frozenset({"quoted", "rejected"}),
    "subscribe": frozenset({"subscribed"}),
    "ping": frozenset({"pong"}),
}
"""What may answer a request, but for ``error``; a control verb's answer may be of any type."""

_decode_lines = msgspec.json.Decoder(JsonObject).decode_lines
_encode_lines = msgspec.json.Encoder().encode_lines


def _note_nothing(asked: Asked) -> None:
    pass


class Asked:
    """Requests of one ``verb`` somebody waits for, one encoded line each, and their answers.

    ``settle`` is called once every answer is here, or ``fault`` is set: no more will come.
    """

    __slots__ = ("answers", "fault", "first", "lines", "settle", "verb", "was_sent")

    def __init__(
        self, verb: str, lines: list[bytes], settle: Callable[[Asked], None] = _note_nothing
    ) -> None:
        self.verb = verb
        self.lines = lines
        self.settle = settle
        self.answers: list[JsonObject] = []
        self.fault: SmppdError | None = None
        self.first = 0
        self.was_sent = False

    @property
    def is_settled(self) -> bool:
        """Whether nothing more is to come."""
        return self.fault is not None or len(self.answers) == len(self.lines)

    def fail(self, fault: SmppdError) -> None:
        """No answer will come, for this reason."""
        self.fault = fault
        self.settle(self)

    def result(self) -> list[JsonObject]:
        """One answer a line, in order; raises why there is none."""
        if self.fault is not None:
            raise self.fault
        return self.answers

    def only_result(self) -> JsonObject:
        """The answer to the only line; ProtocolError where it is an ``error``."""
        (answer,) = self.result()
        if answer["type"] == "error":
            raise fault_of(answer)
        return answer


def fault_of(answer: JsonObject) -> ProtocolError:
    """What an ``error`` (or a ``rejected``) says, to be raised."""
    return ProtocolError(str(answer.get("code")), str(answer.get("reason")))


def ask_one(request: JsonObject, settle: Callable[[Asked], None] = _note_nothing) -> Asked:
    """One request, ``type`` and all."""
    return Asked(request["type"], encode([request]), settle)


def encode(requests: Sequence[JsonObject | msgspec.Struct]) -> list[bytes]:
    """A line each; ValueError for half a surrogate pair, which no JSON can carry."""
    return [_encode_lines([request]) for request in requests]


class Lines:
    """What goes out and comes in over one connection. ``events`` is the reader's to empty."""

    def __init__(self) -> None:
        self.events: deque[JsonObject] = deque()
        self._output: list[bytes] = []
        self._line = 0
        self._asked: deque[Asked] = deque()
        self._partial = bytearray()

    @property
    def is_awaiting(self) -> bool:
        """Whether somebody waits for an answer."""
        return bool(self._asked)

    @property
    def has_output(self) -> bool:
        """Whether something waits to be written."""
        return bool(self._output)

    def ask(self, asked: Asked) -> None:
        """Puts those of its lines that have no answer yet."""
        lines = asked.lines[len(asked.answers) :]
        asked.first = self._line + 1
        asked.was_sent = True
        self.put(lines)
        if lines:
            self._asked.append(asked)
        else:
            asked.settle(asked)

    def put(self, lines: list[bytes]) -> None:
        """Lines that nobody waits for."""
        self._output += lines
        self._line += len(lines)

    def data_to_send(self) -> bytes:
        """Everything put since the last call."""
        data = b"".join(self._output)
        self._output.clear()
        return data

    def receive_data(self, data: bytes | bytearray) -> None:
        """Gives answers to who asked, and keeps events; raises ProtocolError where an ``error`` is
        nobody's answer, or what came is no line of the protocol: the end of this connection.
        """
        end = data.rfind(b"\n") + 1
        if end:
            complete = bytes(self._partial + data[:end])
            self._partial.clear()
            self._sort(complete)
        self._partial += data[end:]
        if len(self._partial) > LINE_BYTES_MAX:
            raise ProtocolError("line_too_long", f"over {LINE_BYTES_MAX} bytes from the daemon")

    def end(self, fault: SmppdError) -> None:
        """Nobody here gets an answer any more."""
        while self._asked:
            self._asked.popleft().fail(fault)

    def _sort(self, complete: bytes) -> None:
        try:
            received = _decode_lines(complete)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise ProtocolError("bad_json", f"what came is not the protocol: {error}") from None
        for line in received:
            _check_shape(line)
            if line["type"] == "event":
                self.events.append(line)
            else:
                self._give(line)

    def _give(self, answer: JsonObject) -> None:
        """``answer`` is the first asker's, unless it is an error about a line that asked nothing.

        Of a type that answers nothing we asked it is a later release's, and ignored (contract).
        """
        asked = self._asked[0] if self._asked else None
        if answer["type"] == "error":
            if asked is None or answer.get("line", asked.first) < asked.first:
                raise fault_of(answer)
        elif asked is None or not _may_answer(asked.verb, answer):
            return
        asked.answers.append(answer)
        if asked.is_settled:
            self._asked.popleft()
            asked.settle(asked)


def _check_shape(line: JsonObject) -> None:
    """ProtocolError unless what is read here is of the type the protocol has: a word that stands
    where a number belongs is some other program's."""
    for name, kind, default in (("type", str, None), ("seq", int, 0), ("line", int, 0)):
        if not isinstance(line.get(name, default), kind):
            raise ProtocolError("bad_json", f"what came is not the protocol: no {name!r} in it")


def _may_answer(verb: str, answer: JsonObject) -> bool:
    types = ANSWER_TYPES.get(verb)
    return types is None or answer.get("type") in types
