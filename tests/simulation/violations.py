"""What is wrong, told so that somebody can look at it."""

from __future__ import annotations


class Violation(AssertionError):
    """An invariant does not hold. ``about`` is the destination of a message, or ""."""

    def __init__(self, invariant: str, detail: str, about: str = "") -> None:
        super().__init__(f"{invariant}: {detail}")
        self.invariant = invariant
        self.detail = detail
        self.about = about
