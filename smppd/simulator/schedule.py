"""What is due later: lists of things, each list at its own time.

A heap of lists, not of things: a read brings a hundred submits with one delay, and they stay
together. It holds no clock; who waits for ``next_at`` is woken when something is put.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Schedule(Generic[T]):
    """Lists by the time at which they are due, in seconds of the caller's clock.

    What is due at the same time comes out in the order in which it was put.
    """

    def __init__(self, wake: Callable[[], None]) -> None:
        self._wake = wake
        self._heap: list[_Batch[T]] = []
        self._puts = 0
        self._count = 0

    def __len__(self) -> int:
        """How many things wait, due or not."""
        return self._count

    def put(self, things: list[T], due: float) -> None:
        """Keep ``things`` until ``due``."""
        if not things:
            return
        self._puts += 1
        self._count += len(things)
        heapq.heappush(self._heap, _Batch(due, self._puts, things))
        self._wake()

    def put_each(self, things: list[T], dues: list[float]) -> None:
        """Keep each until its own time; side by side in two lists."""
        if dues and dues.count(dues[0]) == len(dues):
            self.put(things, dues[0])
            return
        for thing, due in zip(things, dues, strict=True):
            self.put([thing], due)

    def take(self, now: float) -> list[T]:
        """Everything that is due, the oldest first."""
        things: list[T] = []
        while self._heap and self._heap[0].due <= now:
            things += heapq.heappop(self._heap).things
        self._count -= len(things)
        return things

    def next_at(self) -> float:
        """When something is due; ``math.inf`` if nothing waits."""
        return self._heap[0].due if self._heap else math.inf


class _Batch(Generic[T]):
    """One list; ``number`` keeps lists of one time in order."""

    __slots__ = ("due", "number", "things")

    def __init__(self, due: float, number: int, things: list[T]) -> None:
        self.due = due
        self.number = number
        self.things = things

    def __lt__(self, other: _Batch[T]) -> bool:
        return (self.due, self.number) < (other.due, other.number)
