"""The lower layer: one Trio connection to the daemon, as it is, from the welcome to its end.

For those who want to see the protocol and not be spared its ends: ``smppctl``, the demo, tests
that kill daemons. It does not connect again, sends nothing twice, and gives plain JSON objects;
an app wants ``open_client``, which does all that and is typed.

Several tasks may use one connection at once. One task reads, one writes; a caller leaves its lines
and waits for its answers. Events wait in memory up to EVENTS_KEPT_MAX, then nothing is read until
they are taken, unless somebody waits for an answer.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import trio

from smppd.client.errors import DaemonUnreachable
from smppd.client.lines import RECEIVE_BYTES_MAX, Asked, Lines, ask_one, encode
from smppd.client.requests import OPEN_SECONDS_MAX
from smppd.client.shapes import JsonObject
from smppd.errors import SmppdError

EVENTS_KEPT_MAX: Final = 10_000
"""Events in memory that nobody has taken: some 5 MB."""


class Connection:
    """One connection over ``stream``; ``run`` must be running, ``connect`` sees to that."""

    def __init__(self, stream: trio.abc.Stream) -> None:
        self._stream = stream
        self._lines = Lines()
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
                self._lines.end(fault)
            self._note_change()
            nursery.cancel_scope.cancel()

    async def hello(self, app: str | None = None) -> JsonObject:
        """The daemon's ``welcome``; ``app`` where this peer may be several."""
        return await self.ask({"type": "hello"} if app is None else {"type": "hello", "app": app})

    async def submit(self, submits: list[JsonObject]) -> list[JsonObject]:
        """One ``accepted``, ``rejected`` or ``error`` each, in order; ``type`` is added here."""
        lines = encode([{"type": "submit", **submit} for submit in submits])
        asked = Asked("submit", lines)
        await self._settle(asked)
        return asked.result()

    async def subscribe(self, after: int | None = None, kinds: Iterable[str] = ()) -> JsonObject:
        """The ``subscribed`` answer; the events are then for ``events`` to give."""
        line: JsonObject = {"type": "subscribe"}
        if after is not None:
            line["after"] = after
        if kinds := list(kinds):
            line["kinds"] = kinds
        return await self.ask(line)

    async def query(self, *, id: str | None = None, ref: str | None = None) -> JsonObject:
        """The whole life of one message, by one of the two."""
        return await self.ask({"type": "query", **({"id": id} if id else {"ref": ref})})

    async def status(self) -> JsonObject:
        """The daemon's state; for its own user and root."""
        return await self.ask({"type": "status"})

    async def ping(self) -> None:
        """Returns once the daemon has answered every line before this one."""
        await self.ask({"type": "ping"})

    async def ask(self, request: JsonObject) -> JsonObject:
        """The answer to any request, ``type`` and all; ProtocolError where it is an ``error``."""
        asked = ask_one(request)
        await self._settle(asked)
        return asked.only_result()

    def take(self, seq: int) -> None:
        """Events up to ``seq`` are done with. Not answered, unless ``seq`` never was: the end."""
        self._check()
        self._lines.put(encode([{"type": "taken", "seq": seq}]))
        self._note_change()

    async def events(self) -> AsyncIterator[list[JsonObject]]:
        """Events as they come, in batches, without end; DaemonUnreachable when no more can come."""
        while True:
            yield await self.wait_events()

    async def wait_events(self) -> list[JsonObject]:
        """The events that came since the last call, at least one."""
        while not self._lines.events:
            self._check()
            await self._changed.wait()
        await trio.lowlevel.checkpoint()
        batch = list(self._lines.events)
        self._lines.events.clear()
        self._note_change()
        return batch

    async def _settle(self, asked: Asked) -> None:
        """Puts the lines and waits until they are answered, or never will be."""
        self._check()
        settled = trio.Event()
        asked.settle = lambda _: settled.set()
        self._lines.ask(asked)
        self._note_change()
        await settled.wait()

    async def _write_output(self) -> None:
        while True:
            if not self._lines.has_output:
                await self._changed.wait()
                continue
            try:
                await self._stream.send_all(self._lines.data_to_send())
            except trio.BrokenResourceError:
                return  # the reader learns why, as a reason may be on its way

    async def _read_lines(self) -> None:
        """Sorts what comes; raises what ended it."""
        while True:
            while len(self._lines.events) >= EVENTS_KEPT_MAX and not self._lines.is_awaiting:
                await self._changed.wait()
            try:
                data = await self._stream.receive_some(RECEIVE_BYTES_MAX)
            except trio.BrokenResourceError:
                data = b""
            if not data:
                raise DaemonUnreachable("the daemon closed the connection")
            self._lines.receive_data(data)
            self._note_change()

    def _check(self) -> None:
        if self._fault is not None:
            raise self._fault

    def _note_change(self) -> None:
        """Wakes everybody who waits for output or events; they look for themselves."""
        self._changed.set()
        self._changed = trio.Event()


@asynccontextmanager
async def connect(
    path: Path, app: str | None = None, *, greet: bool = True
) -> AsyncIterator[Connection]:
    """A connection to the daemon's socket ``path`` that said ``hello`` (unless not to ``greet``).

    Raises DaemonUnreachable when nobody answers there, ProtocolError (``not_allowed``,
    ``unknown_app``) when the daemon does not want us. What the body raises comes out as it is.
    """
    failure: BaseException | None = None
    async with await open_stream(path) as stream, trio.open_nursery() as nursery:
        connection = Connection(stream)
        nursery.start_soon(connection.run)
        try:
            if greet:
                await _greet(connection, app)
            yield connection
        except BaseException as error:  # raised again below, outside of the nursery's group
            failure = error
        nursery.cancel_scope.cancel()
    if failure is not None:
        raise failure


async def open_stream(path: Path) -> trio.SocketStream:
    """A stream to the daemon; DaemonUnreachable, with the reason."""
    try:
        with trio.fail_after(OPEN_SECONDS_MAX):
            return await trio.open_unix_socket(path)
    except trio.TooSlowError:
        raise DaemonUnreachable(f"{path}: not accepted in {OPEN_SECONDS_MAX:g} s") from None
    except OSError as error:
        raise DaemonUnreachable(f"{path}: {error.strerror or error}") from error


async def _greet(connection: Connection, app: str | None) -> None:
    try:
        with trio.fail_after(OPEN_SECONDS_MAX):
            await connection.hello(app)
    except trio.TooSlowError:
        raise DaemonUnreachable(f"no welcome in {OPEN_SECONDS_MAX:g} s") from None
