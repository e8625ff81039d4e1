"""What a command_status means, whatever number a carrier sends: named, reserved or its own.

The table is in ``status_table``; here is how one is found, by number or by name, and what stands
for the numbers that no table has. A command_status is never refused (section 5.1.3 reserves
ranges, and carriers use all of them): a number of a range has the range's row.
"""

from __future__ import annotations

import re
from typing import Final

from msgspec import structs

from smppd.smpp.status_table import PERMANENT, SEEN, STATUSES, Seen, Status
from smppd.smpp.status_table import VerdictName as VerdictName

COMMAND_STATUS_MAX: Final = 0xFFFFFFFF

DEFAULT_VERDICT: Final[VerdictName] = "other_carrier"
"""Of a number without a row: this carrier will not take the segment, another one may. Nothing is
lost by it where the number was meant to be passing, and nothing repeated where it was not."""

VERDICT_MEANINGS: Final[dict[VerdictName, str]] = {
    "taken": "the carrier has it, as with ESME_ROK",
    "retry": "it waits 1, 2, 4 … 60 s and goes again; another offer is asked at once",
    "slow": "it goes again, and all of this carrier's traffic more slowly",
    "refuse": "nobody will take it: failed, rejected_by_carrier",
    "other_carrier": "not here: the next offer is asked, and failed where there is none",
    "rebind": "as retry; besides, this bind is ended in order and made again",
    "pause": "as retry; besides, the carrier gets nothing new for pause seconds",
}
"""Every verdict, in the words of docs/errors.md."""

# Section 5.1.3 of 3.4; 5.0 has named the first numbers of the second range since.
RANGES: Final[tuple[tuple[int, Status], ...]] = (
    (
        0x00FF,
        Status(
            0x0009,
            "",
            DEFAULT_VERDICT,
            PERMANENT,
            "reserved by SMPP and used by the carrier all the same",
            "ask what the carrier means by it, and give it a verdict of its own",
        ),
    ),
    (
        0x03FF,
        Status(
            0x0113,
            "",
            DEFAULT_VERDICT,
            PERMANENT,
            "reserved for extensions of SMPP",
            "ask what the carrier means by it, and give it a verdict of its own",
        ),
    ),
    (
        0x04FF,
        Status(
            0x0400,
            "",
            DEFAULT_VERDICT,
            PERMANENT,
            "the carrier's own: credit, spam, a barred number, a template that is not registered",
            "look it up in the carrier's manual, and give it a verdict of its own",
        ),
    ),
    (
        COMMAND_STATUS_MAX,
        Status(
            0x0500,
            "",
            DEFAULT_VERDICT,
            PERMANENT,
            "above all that SMPP knows",
            "ask what the carrier means by it, and give it a verdict of its own",
        ),
    ),
)
"""The highest number of each range, and what holds for those of it that have no row."""

NAMES_OF_50: Final[dict[str, int]] = {
    "ESME_RINVTLVSTREAM": 0xC0,
    "ESME_RTLVNOTALLWD": 0xC1,
    "ESME_RINVTLVLEN": 0xC2,
    "ESME_RMISSINGTLV": 0xC3,
    "ESME_RINVTLVVAL": 0xC4,
}
"""What SMPP 5.0 calls numbers that had other names in 3.4."""

_BY_NUMBER: Final = {status.command_status: status for status in STATUSES}
_BY_NAME: Final = {status.name: status.command_status for status in STATUSES} | NAMES_OF_50
_NUMBER: Final = re.compile(r"0[xX][0-9A-Fa-f]{1,8}|[0-9]{1,10}")

VERDICTS: Final[dict[int, VerdictName]] = {one.command_status: one.verdict for one in STATUSES}
"""By command_status; DEFAULT_VERDICT where it is not here."""

LASTING_REFUSALS: Final = frozenset(one.command_status for one in STATUSES if one.is_lasting)
"""A bind refused with one of these waits ``reconnect_refused``: hammering gets an address banned,
and what is wrong only a person can mend."""


def read_status(text: str) -> int | None:
    """The number that ``text`` says: ``0x58``, ``88`` or ``ESME_RTHROTTLED`` (in any case, with or
    without ESME_); None where it says none."""
    text = text.strip()
    if _NUMBER.fullmatch(text):
        number = int(text, 16 if text[:2] in ("0x", "0X") else 10)
        return number if number <= COMMAND_STATUS_MAX else None
    name = text.upper()
    return _BY_NAME.get(name, _BY_NAME.get(f"ESME_{name}"))


def find_status(command_status: int) -> Status:
    """Its row, or that of its range under its own number; never fails."""
    named = _BY_NUMBER.get(command_status)
    if named is not None:
        return named
    row = next(row for highest, row in RANGES if command_status <= highest)
    return structs.replace(row, command_status=command_status, name=show_number(command_status))


def find_seen(command_status: int) -> list[Seen]:
    """What carriers are known to mean by it, beside or instead of its row."""
    return [one for one in SEEN if one.command_status == command_status]


def explain_status(command_status: int, meaning: str = "") -> str:
    """Name and meaning on one line, the carrier's own ``meaning`` before the table's."""
    name = find_status(command_status).name
    return f"{name}: {meaning or describe_status(command_status)}"


def describe_status(command_status: int) -> str:
    """The cause, of a named one; else what its range is for."""
    return find_status(command_status).cause


def show_number(command_status: int) -> str:
    """``0x00000058``, as command_status is written in answers, events and traces."""
    return f"0x{command_status:08X}"
