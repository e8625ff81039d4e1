"""For the guard's own tests: work that takes as many instructions as it is given rounds."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from bench.callgrind import Counter

ROUNDS = 1000
WARM = 10


def prepare(directory: Path, rounds: int = ROUNDS) -> Callable[[Counter], None]:
    """One case whose work is ``rounds`` long, and one that is always the same."""
    for _ in range(WARM):
        work(ROUNDS)

    def count(counter: Counter) -> None:
        counter.count("changed work", 10, lambda: work(rounds))
        counter.count("other work", 10, lambda: work(ROUNDS))

    return count


def work(rounds: int) -> list[str]:
    """Something that no interpreter leaves out."""
    return [str(1000 + number % 1000) for number in range(rounds)]
