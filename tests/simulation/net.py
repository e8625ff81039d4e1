"""A network in memory: slow, in pieces, and it breaks at any octet or falls silent.

A ``Stream`` is one end of a connection, and does what a socket does as far as programs can tell:
a bounded buffer that makes a writer wait, an end that comes behind what was sent, a reset that
throws away what was not read. What was handed over before the writer died still arrives.
"""

from __future__ import annotations

import hashlib
import math
import random
from collections import deque
from collections.abc import Callable
from itertools import pairwise
from typing import Final, Literal, Protocol

import trio

BUFFER_OCTETS: Final = 32_768
"""In flight or unread, past which a writer waits: a socket buffer's order, and a small one."""

PIECES_MAX: Final = 3
"""Into which one write may fall on its way."""

Break = Literal["reset", "end", "silence"]
"""Both ends are told; the reader sees an orderly end behind half a PDU; nobody is told."""


class Judge(Protocol):
    """Who watches one end of a connection."""

    def wrote(self, data: bytes) -> None:
        """This goes out now, or as much of it as does."""

    def read(self, data: bytes) -> None:
        """This was read."""


class Nobody:
    """Watches nothing."""

    def wrote(self, data: bytes) -> None:
        """Not looked at."""

    def read(self, data: bytes) -> None:
        """Not looked at."""


class Digest:
    """Everything that was written by anybody, and when, as one number."""

    def __init__(self) -> None:
        self._hash = hashlib.blake2b(digest_size=16)
        self.listener: Callable[[str, bytes], None] | None = None

    def add(self, what: str, data: bytes = b"") -> None:
        """One thing that happened."""
        line = f"{trio.current_time():.6f} {what} ".encode()
        self._hash.update(line)
        self._hash.update(data)
        if self.listener is not None:
            self.listener(line.decode(), data)

    def value(self) -> str:
        """As hexadecimal digits."""
        return self._hash.hexdigest()


class _Way:
    """Octets going one way. ``cut_after``: so many more, and then ``cut`` is called."""

    def __init__(self, name: str, latency: float, chance: random.Random, digest: Digest) -> None:
        self.name = name
        self.latency = latency
        self._chance = chance
        self._digest = digest
        self._pieces: deque[tuple[float, bytes]] = deque()
        self._last_at = 0.0
        self._octets = 0
        self._ends_at = math.inf
        self.is_reset = False
        self.is_silent = False
        self.is_deaf = False
        self.cut_after = -1
        self.cut: Callable[[], None] = lambda: None
        self._changed = trio.Event()

    def has_room(self) -> bool:
        return self._octets < BUFFER_OCTETS

    def put(self, data: bytes) -> None:
        """Sends ``data`` off, as far as it gets."""
        self._digest.add(self.name, data)
        if self.is_deaf:
            return
        is_cut = 0 <= self.cut_after <= len(data)
        if is_cut:
            data = data[: self.cut_after]
        elif self.cut_after >= 0:
            self.cut_after -= len(data)
        for piece in self._tear(data):
            self._octets += len(piece)
            self._pieces.append((self._arrival(), piece))
        if is_cut:
            self.cut_after = -1
            self.cut()
        self.note_change()

    def take(self, limit: int) -> bytes:
        """What has arrived, at most ``limit`` octets."""
        now, taken, left = trio.current_time(), [], limit
        while self._pieces and self._pieces[0][0] <= now and left:
            at, piece = self._pieces.popleft()
            if len(piece) > left:
                self._pieces.appendleft((at, piece[left:]))
                piece = piece[:left]
            left -= len(piece)
            taken.append(piece)
        if taken:
            self._octets -= limit - left
            self.note_change()
        return b"".join(taken)

    def has_ended(self) -> bool:
        """Whether the reader has come to the end."""
        return not self._pieces and self._ends_at <= trio.current_time()

    def end(self) -> None:
        """An orderly end, behind what was sent."""
        if self._ends_at == math.inf and not self.is_silent:
            self._ends_at = self._arrival()
            self.note_change()

    def reset(self) -> None:
        """What was not read is lost, and the reader is told."""
        self.is_reset = True
        self.drop()

    def drop(self) -> None:
        """What was not read is lost."""
        self._pieces.clear()
        self._octets = 0
        self.note_change()

    def silence(self) -> None:
        """What is sent from now on, and what is in flight, never arrives."""
        self.is_silent = True
        now = trio.current_time()
        arrived = [(at, piece) for at, piece in self._pieces if at <= now]
        self._pieces.clear()
        self._pieces += arrived
        self._ends_at = math.inf

    def note_change(self) -> None:
        self._changed.set()
        self._changed = trio.Event()

    async def wait_change(self) -> None:
        """Until something arrives, ends, or there is room."""
        next_at = min(self._pieces[0][0] if self._pieces else math.inf, self._ends_at)
        if next_at <= trio.current_time():
            next_at = math.inf  # it is there already; a writer waits for room
        with trio.move_on_at(next_at):
            await self._changed.wait()

    def _arrival(self) -> float:
        if self.is_silent:
            return math.inf
        jitter = self.latency * self._chance.random() if self.latency else 0.0
        self._last_at = max(self._last_at, trio.current_time() + jitter)
        return self._last_at

    def _tear(self, data: bytes) -> list[bytes]:
        if len(data) < 2 or not self.latency:
            return [data] if data else []
        count = self._chance.randint(0, PIECES_MAX - 1)
        cuts = sorted(self._chance.randint(1, len(data) - 1) for _ in range(count))
        edges = [0, *cuts, len(data)]
        pieces = [data[start:end] for start, end in pairwise(edges)]
        return [piece for piece in pieces if piece]


class Stream(trio.abc.HalfCloseableStream):
    """One end of a connection. ``judge`` sees what it writes and reads."""

    def __init__(self, connection: Connection, incoming: _Way, outgoing: _Way) -> None:
        self.connection = connection
        self.judge: Judge = Nobody()
        self.is_closed = False
        self._incoming = incoming
        self._outgoing = outgoing
        self._has_sent_eof = False

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        left = bytes(data)
        if not self.is_closed:
            # Before it may fail: a program cannot know how much of a failed write went out.
            self.judge.wrote(left)
        await trio.lowlevel.checkpoint_if_cancelled()
        self._check()
        while left:
            while not self._outgoing.has_room():
                await self._outgoing.wait_change()
                self._check()
            self._outgoing.put(left[:BUFFER_OCTETS])
            left = left[BUFFER_OCTETS:]
            if self._outgoing.is_deaf:
                self._incoming.reset()  # nobody reads there: we are told, a moment later
        await trio.lowlevel.cancel_shielded_checkpoint()

    async def wait_send_all_might_not_block(self) -> None:
        await trio.lowlevel.checkpoint_if_cancelled()
        while not self._outgoing.has_room() and not self._incoming.is_reset:
            await self._outgoing.wait_change()
        await trio.lowlevel.cancel_shielded_checkpoint()

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        await trio.lowlevel.checkpoint_if_cancelled()
        while True:
            if self.is_closed:
                raise trio.ClosedResourceError("this end was closed")
            if data := self._incoming.take(max_bytes or BUFFER_OCTETS):
                self.judge.read(data)
                break
            if self._incoming.is_reset:
                raise trio.BrokenResourceError("the connection was reset")
            if self._incoming.has_ended():
                break
            await self._incoming.wait_change()
        await trio.lowlevel.cancel_shielded_checkpoint()
        return data

    async def send_eof(self) -> None:
        await trio.lowlevel.checkpoint_if_cancelled()
        self._check()
        self._has_sent_eof = True
        self._outgoing.end()
        await trio.lowlevel.cancel_shielded_checkpoint()

    async def aclose(self) -> None:
        self.close()
        await trio.lowlevel.checkpoint()

    def close(self) -> None:
        """Closes this end at once. Unread octets make the end a reset, as the kernel has it."""
        if self.is_closed:
            return
        self.is_closed = True
        has_unread = bool(self._incoming.take(1))
        self._incoming.is_deaf = True
        self._incoming.drop()
        if has_unread and self.connection.chance.random() < 0.5:
            self._outgoing.reset()
        else:
            self._outgoing.end()
        self._outgoing.note_change()
        self._incoming.note_change()

    def _check(self) -> None:
        if self.is_closed or self._has_sent_eof:
            raise trio.ClosedResourceError("this end was closed")
        if self._incoming.is_reset:
            raise trio.BrokenResourceError("the connection was reset")


class Connection:
    """Two ends: ``near`` is the daemon's, ``far`` the others'. ``name`` is in the digest."""

    def __init__(self, name: str, latency: float, chance: random.Random, digest: Digest) -> None:
        self.name = name
        self.chance = chance
        out = _Way(f"{name}>", latency, chance, digest)
        back = _Way(f"{name}<", latency, chance, digest)
        out.cut = back.cut = self._cut
        self._ways = (out, back)
        self._break: Break = "reset"
        self.near = Stream(self, back, out)
        self.far = Stream(self, out, back)

    @property
    def is_open(self) -> bool:
        """Whether either end still has it."""
        return not (self.near.is_closed and self.far.is_closed)

    def break_after(self, octets: int, way: int, how: Break) -> None:
        """Breaks once so many more octets went out (``way`` 0) or came back (1)."""
        self._break = how
        self._ways[way].cut_after = octets

    def break_now(self, how: Break) -> None:
        """Breaks at once."""
        self._break = how
        self._cut()

    def _cut(self) -> None:
        for way in self._ways:
            if self._break == "reset":
                way.reset()
            elif self._break == "end":
                way.end()
                way.is_deaf = True
            else:
                way.silence()
            way.note_change()
