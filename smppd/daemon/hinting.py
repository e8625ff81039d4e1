"""Carriers whose receipts another key in their file would serve better: told in the log."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import structlog
import trio

from smppd.store.hints import Hint

LOOK_SECONDS: Final = 60.0
"""Between two looks: a hint is for the day's work, and each comes but a few times in a run."""

log = structlog.get_logger("smppd.carrier")


def describe_hint(hint: Hint) -> str:
    """A warning of ``status``."""
    what = hint.what.replace("_", " ")
    return f"receipts of {hint.carrier}: {what} ({hint.count} times since start); {hint.remedy}"


async def tell_hints(take_due: Callable[[], list[Hint]]) -> None:
    """Logs what is due, once a minute, until cancelled."""
    while True:
        await trio.sleep(LOOK_SECONDS)
        for hint in take_due():
            log.warning(
                "receipt_hint",
                carrier=hint.carrier,
                what=hint.what,
                count=hint.count,
                example=hint.example,
                remedy=hint.remedy,
            )
