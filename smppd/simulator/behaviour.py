"""What a simulated carrier does: one value, the same for every link of the carrier.

It draws no lots and keeps no time; ``carrier`` does both, by this.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Final, Literal, TypeAlias

import msgspec

from smppd.smpp.constants import ESME_ROK, ESME_RSUBMITFAIL

IdFormat: TypeAlias = Literal["hex", "dec", "uuid"]
ReceiptIdFormat: TypeAlias = Literal["same", "hex", "dec"]
ReceiptForm: TypeAlias = Literal["text", "text+tlv"]
Fault: TypeAlias = Literal["none", "hang", "drop", "stop_reading"]

RATES: Final = ("refuse_rate", "lose_receipt_rate", "undelivered_rate", "throttle_rate")
SECONDS: Final = ("response_delay", "receipt_delay")
COUNTS: Final = ("throttle_per_second", "hang_after", "drop_after", "stop_reading_after")


class Behaviour(msgspec.Struct, frozen=True, kw_only=True):
    """A carrier that does all it should, at once, unless told otherwise. Rates are from 0 to 1.

    ``response_delay`` and ``receipt_delay`` are seconds. A receipt counts its own from the
    submit_sm_resp on, or from the submit_sm if ``receipts_before_responses``, where each answer
    waits until its receipt was sent. ``throttle_per_second`` (0: no limit) is of all links
    together, in whole seconds; the excess is answered ESME_RTHROTTLED.

    The three faults count the submit_sm of one link, None is never: the first N are answered,
    and what came behind them is not. ``hang_after``: reads on and answers nothing, not even
    enquire_link. ``drop_after``: resets the connection. ``stop_reading_after``: reads no more.

    ``bind_status`` refuses every bind with that command_status. ``first_id`` is the number of
    the first message_id; 0 draws it from the clock, so that a restart repeats none.
    """

    response_delay: float = 0.0
    receipt_delay: float = 0.0
    receipts_before_responses: bool = False
    receipt: ReceiptForm = "text"
    receipt_window: int = 100
    lose_receipt_rate: float = 0.0
    undelivered_rate: float = 0.0
    refuse_rate: float = 0.0
    refuse_status: int = ESME_RSUBMITFAIL
    throttle_rate: float = 0.0
    throttle_per_second: int = 0
    id_format: IdFormat = "hex"
    receipt_id_format: ReceiptIdFormat = "same"
    first_id: int = 0
    bind_status: int = ESME_ROK
    hang_after: int | None = None
    drop_after: int | None = None
    stop_reading_after: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        """``ValueError`` for a value that makes no sense."""
        for name in RATES:
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} is a rate from 0 to 1")
        for name in SECONDS + COUNTS:
            value = getattr(self, name)
            if value is not None and not value >= 0:
                raise ValueError(f"{name} is not negative")
        if self.receipt_window < 1:
            raise ValueError("receipt_window is at least 1")

    def first_fault(self) -> tuple[int, Fault]:
        """After how many submit_sm of a link comes which fault; "none" never comes."""
        faults: tuple[tuple[int | None, Fault], ...] = (
            (self.hang_after, "hang"),
            (self.drop_after, "drop"),
            (self.stop_reading_after, "stop_reading"),
        )
        return min(
            ((after, fault) for after, fault in faults if after is not None),
            default=(sys.maxsize, "none"),
        )


def _spell_uuid(number: int) -> str:
    digits = f"{number:032x}"
    groups = (digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:])
    return "-".join(groups)


# As the centres in use write them: 32 bits with their zeros, and 128 bits.
SPELLINGS: Final[dict[IdFormat, Callable[[int], str]]] = {
    "hex": "{:08X}".format,
    "dec": "{:010d}".format,
    "uuid": _spell_uuid,
}

ID_BITS: Final[dict[IdFormat, int]] = {"hex": 32, "dec": 32, "uuid": 128}
