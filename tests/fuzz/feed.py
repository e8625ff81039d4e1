"""One input, spent piece by piece: what a target draws its choices from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeVar

T = TypeVar("T")

LONG_CHUNK = 200
"""A length octet from here on means a long piece: that many times ``LONG_FACTOR``."""

LONG_FACTOR = 64


class Feed:
    """The octets of one input; where they end everything is 0, empty and first."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    @property
    def is_empty(self) -> bool:
        return self._at >= len(self._data)

    def byte(self) -> int:
        return int.from_bytes(self.take(1), "big")

    def number(self) -> int:
        """Of four octets."""
        return int.from_bytes(self.take(4), "big")

    def pick(self, choices: Sequence[T]) -> T:
        return choices[self.byte() % len(choices)]

    def take(self, count: int) -> bytes:
        taken = self._data[self._at : self._at + count]
        self._at += count
        return taken

    def chunk(self) -> bytes:
        """A piece with its length in front."""
        length = self.byte()
        return self.take(length if length < LONG_CHUNK else (length - LONG_CHUNK) * LONG_FACTOR)

    def rest(self) -> bytes:
        return self.take(len(self._data))


def cut(data: bytes, sizes: bytes) -> Iterator[bytes]:
    """``data`` in pieces as long as ``sizes`` say, over and over; whole where they say nothing."""
    steps = [size for size in sizes if size] or [len(data) or 1]
    at = turn = 0
    while at < len(data):
        yield data[at : at + steps[turn % len(steps)]]
        at += steps[turn % len(steps)]
        turn += 1
