"""What becomes of each submit: by the behaviour, by chance, by the second, by its fields.

One ``random.Random`` draws every lot, in the order of the submits, so one seed is one run. It
neither sends nor keeps anything.
"""

from __future__ import annotations

import random

from smppd.simulator.behaviour import ID_BITS, SPELLINGS, Behaviour
from smppd.simulator.deliveries import DELIVERED, UNDELIVERED, Outcome
from smppd.smpp.constants import (
    ESME_RINVDSTADR,
    ESME_RINVSRCADR,
    ESME_ROK,
    ESME_RTHROTTLED,
)
from smppd.smpp.pdu import SubmitSm
from smppd.smpp.signals import SubmitReceived


class Decisions:
    """The lots of one carrier. ``first_id`` is where its hexadecimal and decimal ids begin."""

    def __init__(self, behaviour: Behaviour, name: str, first_id: int) -> None:
        self._behaviour = behaviour
        self._random = random.Random(f"{behaviour.seed} {name}")
        self._next_id = first_id
        self._second = -1
        self._second_left = 0

    def statuses(self, signals: list[SubmitReceived], now: float) -> list[int]:
        """The command_status of each submit; throttling comes before what is in the PDU."""
        behaviour = self._behaviour
        statuses = [_judge_addresses(signal.pdu) for signal in signals]
        if behaviour.refuse_rate:
            statuses = self._strike(statuses, behaviour.refuse_rate, behaviour.refuse_status)
        if behaviour.throttle_rate:
            statuses = self._strike(statuses, behaviour.throttle_rate, ESME_RTHROTTLED)
        if behaviour.throttle_per_second:
            excess = len(signals) - self._allow(len(signals), now)
            statuses[len(signals) - excess :] = [ESME_RTHROTTLED] * excess
        return statuses

    def message_ids(self, count: int) -> list[str]:
        """New ids, as the submit_sm_resp spell them."""
        kind = self._behaviour.id_format
        if kind == "uuid":
            numbers = [self._random.getrandbits(ID_BITS[kind]) for _ in range(count)]
        else:
            mask = (1 << ID_BITS[kind]) - 1
            numbers = [number & mask for number in range(self._next_id, self._next_id + count)]
            self._next_id += count
        spell = SPELLINGS[kind]
        return [spell(number) for number in numbers]

    def receipt_id(self, message_id: str) -> str:
        """One of ``message_ids`` as its receipt spells it."""
        wanted = self._behaviour.receipt_id_format
        given = self._behaviour.id_format
        if wanted == "same" or wanted == given:
            return message_id
        number = int(message_id.replace("-", ""), 10 if given == "dec" else 16)
        return SPELLINGS[wanted](number)

    def outcome(self) -> Outcome:
        """What becomes of one accepted message."""
        return UNDELIVERED if self._happens(self._behaviour.undelivered_rate) else DELIVERED

    def loses_receipt(self) -> bool:
        """Whether one receipt is never sent."""
        return self._happens(self._behaviour.lose_receipt_rate)

    def _happens(self, rate: float) -> bool:
        return rate > 0 and self._random.random() < rate

    def _strike(self, statuses: list[int], rate: float, command_status: int) -> list[int]:
        return [command_status if self._happens(rate) else status for status in statuses]

    def _allow(self, count: int, now: float) -> int:
        """How many of ``count`` still fit into this second."""
        if int(now) != self._second:
            self._second = int(now)
            self._second_left = self._behaviour.throttle_per_second
        allowed = min(count, self._second_left)
        self._second_left -= allowed
        return allowed


def _judge_addresses(pdu: SubmitSm) -> int:
    """What cannot stand in the receipt's own addresses is refused here."""
    if not pdu.destination_addr or not pdu.destination_addr.isascii():
        return ESME_RINVDSTADR
    return ESME_ROK if pdu.source_addr.isascii() else ESME_RINVSRCADR
