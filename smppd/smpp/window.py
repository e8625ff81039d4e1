"""The requests of one session: queued, written, answered, or left over at the end.

Every request waits equally long, and a dict keeps the order in which it was filled: so the first
one is always the oldest and the next to be overdue, and no heap is needed. Answers may come in
any order.

The line that matters is between *queued* and *written*: what was never handed over to be written
is known not to have been sent, what was is in doubt until its answer comes. A request leaves the
window exactly once, as answered, unwritten or unanswered. What a tag is, what an answer says and
what follows when it stays out is not known here.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec


class Waiting(msgspec.Struct, frozen=True):
    """One request without its answer; ``deadline`` is in seconds of the session's clock."""

    tag: object
    deadline: float


class Remains(msgspec.Struct, frozen=True):
    """What the end of a session leaves: tags in the order in which they were queued."""

    unwritten: list[object]
    unanswered: list[object]


class Window:
    """At most ``size`` requests, by sequence_number, oldest first."""

    __slots__ = ("_dropped", "_numbers", "_octets", "_waiting", "data_numbers", "pop", "size")

    def __init__(self, size: int) -> None:
        if size < 1:
            raise ValueError("a window has room for at least one request")
        self.size = size
        self._waiting: dict[int, Waiting] = {}
        self._octets: list[bytes] = []  # queued and not yet handed over to be written
        self._numbers: list[int] = []  # their sequence_numbers
        self._dropped: list[object] = []
        # Which of them went out as data_sm: a response must be of its request's own command.
        self.data_numbers: set[int] = set()
        # ``pop(sequence_number, None)`` takes an answered request out. Bound once, for every
        # response of the hot loop asks it.
        self.pop = self._waiting.pop

    def __len__(self) -> int:
        return len(self._waiting)

    def __contains__(self, sequence_number: object) -> bool:
        return sequence_number in self._waiting

    def has_none_of(self, numbers: range) -> bool:
        """Whether no request waits under any of ``numbers``."""
        return self._waiting.keys().isdisjoint(numbers)

    @property
    def room(self) -> int:
        """How many more requests may be queued."""
        return self.size - len(self._waiting)

    @property
    def has_queued(self) -> bool:
        """Whether ``take_queued`` has something."""
        return bool(self._octets)

    def queue(
        self, tags: Sequence[object], numbers: list[int], octets: list[bytes], deadline: float
    ) -> None:
        """Add requests, side by side in three lists; none may be due before one that waits."""
        waiting = [Waiting(tag, deadline) for tag in tags]
        self._waiting.update(zip(numbers, waiting, strict=True))
        self._numbers += numbers
        self._octets += octets

    def take_queued(self) -> list[bytes]:
        """Hand over what is queued, in order; from here on it counts as written."""
        octets = self._octets
        self._octets = []
        self._numbers = []
        return octets

    def drop_queued(self) -> None:
        """What was not handed over never will be: it is unwritten, not in doubt."""
        for number in self._numbers:
            waiting = self._waiting.pop(number, None)
            if waiting is not None:
                self._dropped.append(waiting.tag)
        self._octets = []
        self._numbers = []

    def first_deadline(self) -> float | None:
        """When the oldest request is overdue; None while nothing waits."""
        for waiting in self._waiting.values():
            return waiting.deadline
        return None

    def end(self) -> Remains:
        """Empty the window for good."""
        self.drop_queued()
        unanswered = [waiting.tag for waiting in self._waiting.values()]
        self._waiting.clear()
        unwritten, self._dropped = self._dropped, []
        return Remains(unwritten, unanswered)
