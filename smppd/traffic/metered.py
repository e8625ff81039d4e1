"""A stream that says whether it has been read empty: what a timer needs to know.

response_timer may be judged only after what the socket holds was read. Under TLS one read of the
socket is many of the stream above it, so this stands below both and counts what really happens:
whoever reads it again has used up all it was given before.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Final

import trio

RECEIVE_BYTES_MAX: Final = 65_536
"""One read: some six hundred receipts, so a commit is shared by many and memory stays small."""

BUSY_SECONDS_MAX: Final = 0.1
"""Between two looks at a reader that does not come back to read: one that has ended never will."""


class MeteredStream(trio.abc.Stream):
    """``reads`` were made; ``drains`` of them had emptied the socket, and are used up."""

    def __init__(self, stream: trio.abc.Stream) -> None:
        self.is_reading = False
        self.reads = 0
        self.drains = 0
        self._took_all = False
        self._began = trio.Event()
        self._stream = stream
        self._socket = stream.socket if isinstance(stream, trio.SocketStream) else None

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        """One read. A short one took all there was, and that counts once the next one begins."""
        limit = max_bytes or RECEIVE_BYTES_MAX
        self.drains += self._took_all
        self._took_all = False
        self.is_reading = True
        self._began.set()
        try:
            data = await self._stream.receive_some(limit)
        finally:
            self.is_reading = False
        self.reads += 1
        self._took_all = len(data) < limit
        return data

    async def wait_read_empty(self, is_moot: Callable[[], bool]) -> bool:
        """True once all that had come was read and used; False as soon as ``is_moot``.

        A read that was waiting already, and still waits two passes of the scheduler later, found
        nothing: in the first pass it is seen to be readable, in the second it has read. A peer
        that never pauses is judged by a read that took less than it could (the second that is
        counted: the first may have been made before). While what was read waits for its commit,
        which a full disk may hold up for long, nothing is found, and nothing spins.
        """
        drains = self.drains + 1
        while True:
            if not self.is_reading:
                await self._wait_for_read()
            reads = self.reads if self.is_reading else None
            await trio.lowlevel.checkpoint()
            await trio.lowlevel.checkpoint()
            if is_moot():
                return False
            if self.drains > drains or (self.is_reading and reads == self.reads):
                return True

    async def _wait_for_read(self) -> None:
        self._began = trio.Event()
        with trio.move_on_after(BUSY_SECONDS_MAX):
            await self._began.wait()

    def send_nowait(self, data: bytes) -> int:
        """How many octets the socket took at once, without a pass of the scheduler: all of them
        unless the peer reads slowly. 0 where this is no plain socket. OSError where it broke."""
        if self._socket is None:
            return 0
        try:
            return os.write(self._socket.fileno(), data)
        except BlockingIOError:
            return 0

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """As the stream below."""
        await self._stream.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        """As the stream below."""
        await self._stream.wait_send_all_might_not_block()

    async def aclose(self) -> None:
        """Closes the stream below."""
        await self._stream.aclose()
