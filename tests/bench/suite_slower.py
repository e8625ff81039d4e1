"""For the guard's own tests: the plain suite after a change that makes a case a fifth slower."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from bench.callgrind import Counter
from tests.bench import suite_plain


def prepare(directory: Path) -> Callable[[Counter], None]:
    """The plain suite with a fifth more to do."""
    return suite_plain.prepare(directory, suite_plain.ROUNDS * 6 // 5)
