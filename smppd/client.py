"""The app's side of the socket, as far as smppctl, the demo and the tests need it.

This is not the client library for apps, which a later release brings: it keeps no events on disk,
does not connect again and promises no stable interface. It does know the contract's one rule that
shapes a client: answers come in the order of the lines, with events anywhere between. So answers
go to who asked, in order, and events are kept apart until somebody takes them.

Several tasks may use one client at once. One task reads, one writes; a caller leaves its lines and
waits for its answers. Events wait in memory up to EVENTS_KEPT_MAX, then nothing is read until they
are taken, unless somebody waits for an answer.

What comes in is given as plain JSON objects: their shapes are docs/protocol.md's, which grows
fields, and this file has no opinion on any of them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final, TypeAlias

import msgspec
import trio

from smppd.errors import SmppdError

JsonObject: TypeAlias = dict[str, Any]
"""A decoded line. Any: whoever reads a field knows its type from the contract, not from us."""

RECEIVE_BYTES_MAX: Final = 128 * 1024
"""One read: what the daemon hands out as one batch of events."""

EVENTS_KEPT_MAX: Final = 10_000
"""Events in memory that nobody has taken: some 5 MB."""

LINE_BYTES_MAX: Final = 16 * 1024 * 1024
"""The longest line the contract allows the daemon."""

CONNECT_SECONDS_MAX: Final = 5.0
"""For the socket and the welcome: a busy daemon answers within a commit or two."""

_encode_lines = msgspec.json.Encoder().encode_lines
_decode_lines = msgspec.json.Decoder(JsonObject).decode_lines


class DaemonUnreachable(SmppdError):
    """Nobody listens on the socket, or the connection ended. What was not answered is not known
    to be accepted: submit it again under the same ``ref``.
    """


class ProtocolError(SmppdError):
    """The daemon answered ``error``, or something that is no answer. ``code`` is the contract's."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(f"{code}: {reason}")
        self.code = code
        self.reason = reason


class _Asked:
    """Lines somebody waits for: ``expected`` answers, from line ``line`` on."""

    __slots__ = ("answers", "expected", "line", "settled")

    def __init__(self, expected: int, line: int) -> None:
        self.expected = expected
        self.line = line
        self.answers: list[JsonObject] = []
        self.settled = trio.Event()


class Client:
    """One connection over ``stream``; ``run`` must be running, ``connect`` sees to that."""

    def __init__(self, stream: trio.abc.Stream) -> None:
        self._stream = stream
        self._output = bytearray()
        self._line = 0
        self._asked: deque[_Asked] = deque()
        self._events: deque[JsonObject] = deque()
        self._fault: SmppdError | None = None
        self._changed = trio.Event()

    async def run(self) -> None:
        """Reads and writes until the connection ends, however it does; calls then raise why."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._write_output)
            try:
                await self._read_lines()
            except SmppdError as fault:
                self._fault = fault
            for asked in self._asked:
                asked.settled.set()
            self._note_change()
            nursery.cancel_scope.cancel()

    async def hello(self, app: str | None = None) -> JsonObject:
        """The daemon's ``welcome``; ``app`` where this peer may be several."""
        return await self._ask_one(
            {"type": "hello"} if app is None else {"type": "hello", "app": app}
        )

    async def submit(self, submits: list[JsonObject]) -> list[JsonObject]:
        """One ``accepted``, ``rejected`` or ``error`` each, in order; ``type`` is added here."""
        return await self._ask([{"type": "submit", **submit} for submit in submits])

    async def subscribe(self, after: int | None = None, kinds: Iterable[str] = ()) -> JsonObject:
        """The ``subscribed`` answer; the events are then for ``events`` to give."""
        line: JsonObject = {"type": "subscribe"}
        if after is not None:
            line["after"] = after
        if kinds := list(kinds):
            line["kinds"] = kinds
        return await self._ask_one(line)

    async def query(self, *, id: str | None = None, ref: str | None = None) -> JsonObject:
        """The whole life of one message, by one of the two."""
        return await self._ask_one({"type": "query", **({"id": id} if id else {"ref": ref})})

    async def status(self) -> JsonObject:
        """The daemon's state; for its own user and root."""
        return await self._ask_one({"type": "status"})

    async def ping(self) -> None:
        """Returns once the daemon has answered every line before this one."""
        await self._ask_one({"type": "ping"})

    def take(self, seq: int) -> None:
        """Events up to ``seq`` are done with. Not answered, unless ``seq`` never was: the end."""
        self._put_lines([{"type": "taken", "seq": seq}])

    async def events(self) -> AsyncIterator[list[JsonObject]]:
        """Events as they come, in batches, without end; DaemonUnreachable when no more can come."""
        while True:
            yield await self.wait_events()

    async def wait_events(self) -> list[JsonObject]:
        """The events that came since the last call, at least one."""
        while not self._events:
            self._check()
            await self._changed.wait()
        await trio.lowlevel.checkpoint()
        batch = list(self._events)
        self._events.clear()
        self._note_change()
        return batch

    # -- lines out ------------------------------------------------------------------------------

    async def _ask_one(self, line: JsonObject) -> JsonObject:
        (answer,) = await self._ask([line])
        if answer["type"] == "error":
            raise ProtocolError(answer["code"], answer["reason"])
        return answer

    async def _ask(self, lines: list[JsonObject]) -> list[JsonObject]:
        self._check()
        asked = _Asked(len(lines), self._line + 1)
        if lines:
            self._asked.append(asked)
            self._put_lines(lines)
            await asked.settled.wait()
        else:
            await trio.lowlevel.checkpoint()
        if len(asked.answers) < asked.expected:
            self._check()
        return asked.answers

    def _put_lines(self, lines: list[JsonObject]) -> None:
        self._check()
        self._line += len(lines)
        self._output += _encode_lines(lines)
        self._note_change()

    async def _write_output(self) -> None:
        while True:
            if not self._output:
                await self._changed.wait()
                continue
            data = bytes(self._output)
            self._output.clear()
            try:
                await self._stream.send_all(data)
            except trio.BrokenResourceError:
                return  # the reader learns why, as a reason may be on its way

    # -- lines in -------------------------------------------------------------------------------

    async def _read_lines(self) -> None:
        """Sorts what comes, line by line; raises what ended it."""
        partial = bytearray()
        while True:
            while len(self._events) >= EVENTS_KEPT_MAX and not self._asked:
                await self._changed.wait()
            try:
                data = await self._stream.receive_some(RECEIVE_BYTES_MAX)
            except trio.BrokenResourceError:
                data = b""
            if not data:
                raise DaemonUnreachable("the daemon closed the connection")
            end = data.rfind(b"\n") + 1
            if end:
                self._sort(bytes(partial) + data[:end])
                partial.clear()
            partial += data[end:]
            if len(partial) > LINE_BYTES_MAX:
                raise ProtocolError("line_too_long", f"over {LINE_BYTES_MAX} bytes from the daemon")

    def _sort(self, data: bytes) -> None:
        try:
            lines = _decode_lines(data)
        except msgspec.DecodeError as error:
            raise ProtocolError("bad_json", f"what came is not the protocol: {error}") from None
        for line in lines:
            if line.get("type") == "event":
                self._events.append(line)
            else:
                self._give(line)
        self._note_change()

    def _give(self, answer: JsonObject) -> None:
        """``answer`` is the first asker's, unless it is about a line that asked nothing."""
        asked = self._asked[0] if self._asked else None
        line = answer.get("line")
        if asked is None or (line is not None and line < asked.line):
            raise ProtocolError(answer.get("code", "bad_answer"), answer.get("reason", str(answer)))
        asked.answers.append(answer)
        if len(asked.answers) == asked.expected:
            self._asked.popleft()
            asked.settled.set()

    def _check(self) -> None:
        if self._fault is not None:
            raise self._fault

    def _note_change(self) -> None:
        """Wakes everybody who waits for anything; they look for themselves."""
        self._changed.set()
        self._changed = trio.Event()


@asynccontextmanager
async def connect(
    path: Path, app: str | None = None, *, greet: bool = True
) -> AsyncIterator[Client]:
    """A client on the daemon's socket ``path`` that said ``hello`` (unless not to ``greet``).

    Raises DaemonUnreachable when nobody answers there, ProtocolError (``not_allowed``,
    ``unknown_app``) when the daemon does not want us. What the body raises comes out as it is.
    """
    failure: BaseException | None = None
    async with await _open(path) as stream, trio.open_nursery() as nursery:
        client = Client(stream)
        nursery.start_soon(client.run)
        try:
            if greet:
                await _greet(client, app)
            yield client
        except BaseException as error:  # raised again below, outside of the nursery's group
            failure = error
        nursery.cancel_scope.cancel()
    if failure is not None:
        raise failure


async def _greet(client: Client, app: str | None) -> None:
    try:
        with trio.fail_after(CONNECT_SECONDS_MAX):
            await client.hello(app)
    except trio.TooSlowError:
        raise DaemonUnreachable(f"no welcome in {CONNECT_SECONDS_MAX:g} s") from None


async def _open(path: Path) -> trio.SocketStream:
    try:
        with trio.fail_after(CONNECT_SECONDS_MAX):
            return await trio.open_unix_socket(path)
    except trio.TooSlowError:
        raise DaemonUnreachable(f"{path}: not accepted in {CONNECT_SECONDS_MAX:g} s") from None
    except OSError as error:
        raise DaemonUnreachable(f"{path}: {error.strerror or error}") from error
