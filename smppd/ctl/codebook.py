"""``docs/errors.md``, from the table: ``python -m smppd.ctl.codebook > docs/errors.md``."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Final

from smppd.smpp.constants import status_text
from smppd.smpp.status_table import SEEN, STATUSES
from smppd.smpp.statuses import (
    DEFAULT_VERDICT,
    LASTING_REFUSALS,
    NAMES_OF_50,
    RANGES,
    VERDICT_MEANINGS,
)

INTRODUCTION: Final = """\
# What carriers answer

Every command_status of SMPP 3.4 (section 5.1.3) and of 5.0 (4.7.6), what brings it, what to do, and
what smppd does by itself. `smppctl explain-code CODE` says the same of one (`0x58`, `88` or
`ESME_RTHROTTLED`), with `--carrier NAME` as that carrier means it. This file is made from the table
in `smppd/smpp/status_table.py`: `python -m smppd.ctl.codebook > docs/errors.md`.

## Verdicts
A verdict is what becomes of a submit_sm that is answered so.

"""

OVERRIDES: Final = """\
A carrier that means something else by a number is given its own verdict in `carriers/NAME.toml`, by
number or by name; what smppd then says of the number is the carrier's `meaning`:
```toml
[status."0x45"]                   # or "69", or "ESME_RSUBMITFAIL"
verdict = "refuse"                # required
meaning = "barred by the regulator"

[status."0x401"]
verdict = "pause"
pause   = 600                     # seconds; without it 60
meaning = "no credit left"
```
A reload takes it up for the next answer, and no bind is lost by it. ESME_ROK cannot be given
another verdict. A generic_nack with the sequence_number of a submit_sm is an answer to it like any
other; one with status 0 counts as ESME_RUNKNOWNERR.

What a verdict never does is lose a message: *retry*, *slow*, *rebind* and *pause* end with its
`valid_for` (`expired`), *refuse* and *other_carrier* with `failed`, whose `status` is the last one.
Of a long message that was taken in part, the rest stays with its carrier.

**Binds.** A refused bind is tried again after a wait that grows to `reconnect_max`; after
{lasting} it waits `reconnect_refused`. A carrier's
`[status]` counts here too: *refuse* and *pause* wait `reconnect_refused`, all others the
ordinary time.
"""

SEEN_WORDS: Final = """\
## What some carriers mean
From their own pages, and of those who are connected to them. Nothing follows from it by itself:
the same number is spam to one and a malformed field to the next, so it has to be written for the
carrier it is true of.
"""


def write_codebook() -> str:
    """The whole file."""
    names = [status.name for status in STATUSES if status.command_status in LASTING_REFUSALS]
    parts = [
        INTRODUCTION,
        *_table(("verdict", "what is done"), _verdict_rows()),
        "\n",
        OVERRIDES.format(lasting=f"{', '.join(names[:-1])} and\n{names[-1]}"),
        "\n## Statuses\n",
        "*passing*: the same submit_sm may be taken later; *permanent*: it will not.\n\n",
        *_table(("number", "name", "cause", "what to do", "", "verdict"), _status_rows()),
        "\nNumbers without a name:\n\n",
        *_table(("numbers", "what they are", "what to do", "verdict"), _range_rows()),
        "\nSMPP 5.0 has other names for some of them:\n\n",
        *_table(("number", "5.0"), _renamed_rows()),
        "\n",
        SEEN_WORDS,
        "\n",
        *_table(("number", "carrier", "means"), _seen_rows()),
    ]
    return "".join(parts)


def _table(names: tuple[str, ...], rows: Iterator[tuple[str, ...]]) -> Iterator[str]:
    yield f"| {' | '.join(names)} |\n".replace("|  |", "| |")
    yield f"|{'---|' * len(names)}\n"
    for row in rows:
        yield f"| {' | '.join(row)} |\n"


def _verdict_rows() -> Iterator[tuple[str, ...]]:
    for name, meaning in VERDICT_MEANINGS.items():
        yield f"`{name}`", meaning


def _status_rows() -> Iterator[tuple[str, ...]]:
    for status in STATUSES:
        yield (
            f"`{_show(status.command_status)}`",
            f"{status.name}<br>{status_text(status.command_status)}",
            status.cause,
            status.remedy,
            "permanent" if status.is_permanent else "passing",
            f"`{status.verdict}`",
        )


def _range_rows() -> Iterator[tuple[str, ...]]:
    for highest, row in RANGES:
        numbers = f"`{_show(row.command_status)}` to `{_show(highest)}`"
        yield numbers, row.cause, row.remedy, f"`{DEFAULT_VERDICT}`"


def _renamed_rows() -> Iterator[tuple[str, ...]]:
    for name, number in NAMES_OF_50.items():
        yield f"`{_show(number)}`", name


def _seen_rows() -> Iterator[tuple[str, ...]]:
    for seen in SEEN:
        yield f"`{_show(seen.command_status)}`", seen.carrier, seen.meaning


def _show(command_status: int) -> str:
    return f"0x{command_status:02X}"


if __name__ == "__main__":
    sys.stdout.write(write_codebook())
