"""``[status."0x58"]`` of a carrier: what it means by a command_status, and what is then done.

The number is written as in a log (``0x58``) or as in a manual (``88``). What holds for the numbers
that are not here is ``smpp/status_table.py``'s matter.
"""

from __future__ import annotations

from typing import Annotated, Final

import msgspec
from msgspec import Meta

from smppd.config.source import Key, Source
from smppd.config.tables import read_struct, read_table
from smppd.smpp.statuses import COMMAND_STATUS_MAX, VerdictName, read_status

PAUSE_SECONDS: Final = 60.0
"""What ``pause`` is where it is not written: soon enough for a carrier that was restarted, and
rarely enough for one that bans who asks too often."""

PAUSE_SECONDS_MAX: Final = 86_400
"""A day: longer than that is an operator's word (smppctl pause), not a rule's."""

_STATUS_TABLES_MAX: Final = 1000
"""Four times what the carriers' own range holds: beyond it a file was made by a slip."""


PauseSeconds = Annotated[
    float,
    Meta(
        gt=0,
        le=PAUSE_SECONDS_MAX,
        description="a number of seconds above 0, at most a day",
        examples=[PAUSE_SECONDS],
    ),
]


class StatusConfig(msgspec.Struct, frozen=True, kw_only=True):
    """One ``[status."…"]``: ``meaning`` is the carrier's own word for it, ``pause`` in seconds
    (of the verdict ``pause``; None: PAUSE_SECONDS)."""

    verdict: Annotated[
        VerdictName,
        Meta(
            description="a verdict: taken, retry, slow, refuse, other_carrier, rebind or pause",
            examples=["retry"],
        ),
    ]
    meaning: Annotated[
        str,
        Meta(
            pattern=r"^[^\x00-\x1f\x7f]{0,200}\Z",
            description="a text of at most 200 characters on one line",
            examples=["no credit left"],
        ),
    ] = ""
    pause: PauseSeconds | None = None

    def __str__(self) -> str:
        """As the differences of a reload show it."""
        pause = f" {self.pause_seconds:g} s" if self.verdict == "pause" else ""
        return f"{self.verdict}{pause}" + (f" ({self.meaning})" if self.meaning else "")

    @property
    def pause_seconds(self) -> float:
        """How long the carrier gets nothing new."""
        return PAUSE_SECONDS if self.pause is None else self.pause


def read_verdicts(source: Source, value: object) -> dict[int, StatusConfig]:
    """``[status]``, by command_status in the order of the file; problems are noted."""
    found: dict[int, StatusConfig] = {}
    rows = read_table(source, ("status",), value)
    if len(rows) > _STATUS_TABLES_MAX:
        wrong = f"holds {len(rows)} tables, and at most {_STATUS_TABLES_MAX} are read"
        source.note(("status",), wrong, "keep those that differ from docs/errors.md")
        return found
    for name, row in rows.items():
        key: Key = ("status", name)
        number = _read_number(source, key, name)
        if number is None:
            continue
        if number in found:
            source.note(key, f"{name} stands here twice, in two spellings", "keep one of the two")
        elif (config := _read_status(source, key, row)) is not None:
            found[number] = config
    return found


def _read_number(source: Source, key: Key, name: str) -> int | None:
    number = read_status(name)
    if number is None:
        wrong = f"{name!r} is not a command_status from 1 to 0x{COMMAND_STATUS_MAX:X}"
        source.note(key, wrong, 'write its number or its name, such as [status."0x58"]')
    elif number == 0:
        wrong = f"{name!r} is ESME_ROK, which means that the carrier has the message"
        source.note(key, wrong, "take the table away")
        return None
    return number


def _read_status(source: Source, key: Key, row: object) -> StatusConfig | None:
    if not isinstance(row, dict):
        source.note(key, "is not a table", 'write { verdict = "retry" }')
        return None
    config = read_struct(StatusConfig, source, key, row)
    if config is not None and config.pause is not None and config.verdict != "pause":
        wrong = f'stands beside verdict = "{config.verdict}", which does not pause'
        source.note((*key, "pause"), wrong, 'take it away, or write verdict = "pause"')
    return config
