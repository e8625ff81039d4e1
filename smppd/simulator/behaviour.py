"""What a simulated carrier does at one time: one value, the same for every link of the carrier.

A field is a key of a profile, and its ``Meta`` what a value must be; ``docs/simulator.md`` says
what each means. It draws no lots and keeps no time: ``decisions`` and ``carrier`` do, by this.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Annotated, Final, Literal, TypeAlias

import msgspec
from msgspec import Meta

from smppd.config.values import Wrong
from smppd.simulator.delay import Delay, read_delay
from smppd.smpp.constants import (
    ESME_ROK,
    ESME_RSUBMITFAIL,
    ESME_RTHROTTLED,
    STATUS_NAMES,
    status_name,
)
from smppd.text.segment import Alphabet

IdFormat: TypeAlias = Literal["hex", "dec", "uuid"]
ReceiptIdFormat: TypeAlias = Literal["same", "hex", "dec"]
ReceiptForm: TypeAlias = Literal["text", "text+tlv", "tlv", "payload"]
DeliverCommand: TypeAlias = Literal["deliver_sm", "data_sm"]
Fault: TypeAlias = Literal["none", "hang", "drop", "stop_reading", "unbind"]

RATES: Final = (
    "refuse_rate",
    "throttle_rate",
    "lose_response_rate",
    "lose_receipt_rate",
    "double_receipt_rate",
    "enroute_rate",
    "undelivered_rate",
    "expired_rate",
)
SECONDS: Final = ("response_delay", "receipt_delay")
COUNTS: Final = (
    "throttle_per_second",
    "binds_max",
    "hang_after",
    "drop_after",
    "stop_reading_after",
    "unbind_after",
)

_STATUSES: Final = {name: status for status, name in STATUS_NAMES.items()}


def read_status(value: object) -> int | Wrong:
    """A command_status by its name, or by its number."""
    if isinstance(value, str) and value in _STATUSES:
        return _STATUSES[value]
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 0xFFFFFFFF:
        return value
    return Wrong(
        f"{value!r} is no command_status",
        f'write its name or its number, such as "{status_name(ESME_RTHROTTLED)}" or 0x58',
    )


def _one_of(*names: str) -> Meta:
    shown = ", ".join(f'"{name}"' for name in names[:-1]) + f' or "{names[-1]}"'
    return Meta(description=shown, examples=[names[0]])


Seconds = Annotated[Delay, Meta(extra={"read": read_delay})]
Rate = Annotated[float, Meta(ge=0, le=1, description="a share from 0 to 1", examples=[0.1])]
Count = Annotated[int, Meta(ge=0, le=2**31, description="a whole number from 0", examples=[100])]
Status = Annotated[int, Meta(extra={"read": read_status})]
Flag = Annotated[bool, Meta(description="true or false", examples=[True])]


class Behaviour(msgspec.Struct, frozen=True, kw_only=True):
    """A carrier that does all it should, at once, unless told otherwise. Rates are from 0 to 1.

    A receipt counts its delay from the submit_sm_resp on, or from the submit_sm if
    ``receipts_before_responses``, where each answer waits until its receipt was sent.
    ``throttle_per_second`` (0: no limit) is of all links together, in whole seconds.

    The four faults count the submits of one link, None is never: the first N are answered, and
    what came behind them is not. ``hang_after``: reads on and answers nothing, not even
    enquire_link. ``drop_after``: resets the connection. ``stop_reading_after``: reads no more.
    ``unbind_after``: unbinds in order.

    ``first_id`` is the number of the first message_id; 0 draws it from the clock, so that a
    restart repeats none.
    """

    FIXED = frozenset({"receipt_window", "first_id", "seed"})

    response_delay: Seconds = 0.0
    receipt_delay: Seconds = 0.0
    receipts_before_responses: Flag = False
    receipt: Annotated[ReceiptForm, _one_of("text", "text+tlv", "tlv", "payload")] = "text"
    deliver_command: Annotated[DeliverCommand, _one_of("deliver_sm", "data_sm")] = "deliver_sm"
    receipt_window: Annotated[
        int, Meta(ge=1, le=10_000, description="a whole number from 1 to 10000", examples=[100])
    ] = 100
    refuse_rate: Rate = 0.0
    refuse_status: Status = ESME_RSUBMITFAIL
    throttle_rate: Rate = 0.0
    throttle_per_second: Count = 0
    throttle_status: Status = ESME_RTHROTTLED
    lose_response_rate: Rate = 0.0
    lose_receipt_rate: Rate = 0.0
    double_receipt_rate: Rate = 0.0
    enroute_rate: Rate = 0.0
    undelivered_rate: Rate = 0.0
    expired_rate: Rate = 0.0
    id_format: Annotated[IdFormat, _one_of("hex", "dec", "uuid")] = "hex"
    receipt_id_format: Annotated[ReceiptIdFormat, _one_of("same", "hex", "dec")] = "same"
    hex_ids_on_3_3: Flag = False
    first_id: Count = 0
    default_alphabet: Annotated[Alphabet, _one_of("gsm7", "latin1", "ascii")] = "gsm7"
    bind_status: Status = ESME_ROK
    binds_max: Count = 0
    hang_after: Count | None = None
    drop_after: Count | None = None
    stop_reading_after: Count | None = None
    unbind_after: Count | None = None
    seed: Count = 0

    def __post_init__(self) -> None:
        """``ValueError`` for a value that makes no sense."""
        for name in RATES:
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} is a rate from 0 to 1")
        for name in SECONDS + COUNTS:
            value = getattr(self, name)
            if isinstance(value, int | float) and not value >= 0:
                raise ValueError(f"{name} is not negative")
        if self.receipt_window < 1:
            raise ValueError("receipt_window is at least 1")

    def first_fault(self) -> tuple[int, Fault]:
        """After how many submits of a link comes which fault; "none" never comes."""
        faults: tuple[tuple[int | None, Fault], ...] = (
            (self.hang_after, "hang"),
            (self.drop_after, "drop"),
            (self.stop_reading_after, "stop_reading"),
            (self.unbind_after, "unbind"),
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
