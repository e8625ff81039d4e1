"""What becomes of each submit: by the behaviour, by chance, by the second, by its fields.

Lists in, lists out, one element a submit. Every kind of chance has a ``random.Random`` of its own
that draws one lot for each submit while its rate is not 0: so the same seed and the same submits
are the same run, and a rate that is changed changes nothing but what it is the rate of. It
neither sends nor keeps anything.
"""

from __future__ import annotations

import random

from smppd.simulator.behaviour import ID_BITS, SPELLINGS, Behaviour, IdFormat
from smppd.simulator.delay import Delay, draw
from smppd.simulator.deliveries import DELIVERED, EXPIRED, UNDELIVERED, Outcome
from smppd.smpp.constants import (
    ESME_RINVDSTADR,
    ESME_RINVSRCADR,
    ESME_ROK,
)
from smppd.smpp.pdu import ADDRESS_OCTETS_MAX, SubmitSm
from smppd.smpp.signals import SubmitReceived


class Decisions:
    """The lots of one carrier, by the behaviour that is handed in.

    ``first_id`` is where its hexadecimal and decimal ids begin.
    """

    def __init__(self, seed: int, name: str, first_id: int) -> None:
        self._seed = f"{seed} {name}"
        self._chances: dict[str, random.Random] = {}
        self._next_id = first_id
        self._second = -1
        self._second_count = 0

    def chance(self, concern: str) -> random.Random:
        """The lots of one concern, the same ones for the same seed and carrier."""
        found = self._chances.get(concern)
        if found is None:
            found = self._chances[concern] = random.Random(f"{self._seed} {concern}")
        return found

    def statuses(
        self, behaviour: Behaviour, signals: list[SubmitReceived], now: float
    ) -> list[int]:
        """The command_status of each submit; throttling comes before what is in the PDU."""
        statuses = [_judge_addresses(signal.pdu) for signal in signals]
        if behaviour.refuse_rate:
            lots = self.strikes("refuse", behaviour.refuse_rate, len(signals))
            statuses = _strike(statuses, lots, behaviour.refuse_status)
        if behaviour.throttle_rate:
            lots = self.strikes("throttle", behaviour.throttle_rate, len(signals))
            statuses = _strike(statuses, lots, behaviour.throttle_status)
        if behaviour.throttle_per_second:
            allowed = self._allow(behaviour.throttle_per_second, len(signals), now)
            excess = len(signals) - allowed
            statuses[allowed:] = [behaviour.throttle_status] * excess
        return statuses

    def message_ids(self, kind: IdFormat, count: int) -> list[str]:
        """New ids, as the responses spell them."""
        if kind == "uuid":
            chance = self.chance("message_id")
            numbers = [chance.getrandbits(ID_BITS[kind]) for _ in range(count)]
        else:
            mask = (1 << ID_BITS[kind]) - 1
            numbers = [number & mask for number in range(self._next_id, self._next_id + count)]
            self._next_id += count
        spell = SPELLINGS[kind]
        return [spell(number) for number in numbers]

    def outcomes(self, behaviour: Behaviour, count: int) -> list[Outcome]:
        """What becomes of ``count`` messages, once they are accepted."""
        outcomes = [DELIVERED] * count
        if behaviour.expired_rate:
            lots = self.strikes("expired", behaviour.expired_rate, count)
            outcomes = _replace(outcomes, lots, EXPIRED)
        if behaviour.undelivered_rate:
            lots = self.strikes("undelivered", behaviour.undelivered_rate, count)
            outcomes = _replace(outcomes, lots, UNDELIVERED)
        return outcomes

    def strikes(self, concern: str, rate: float, count: int) -> list[bool]:
        """Whether it happens, for each of ``count`` submits."""
        if not rate:
            return [False] * count
        draw_one = self.chance(concern).random
        return [draw_one() < rate for _ in range(count)]

    def after(self, times: list[float], concern: str, delay: Delay) -> list[float]:
        """Each of ``times`` and its delay later; the same list where there is none."""
        if not delay:
            return times
        delays = draw(delay, self.chance(concern), len(times))
        return [time + more for time, more in zip(times, delays, strict=True)]

    def _allow(self, per_second: int, count: int, now: float) -> int:
        """How many of ``count`` still fit into this second."""
        if int(now) != self._second:
            self._second = int(now)
            self._second_count = 0
        allowed = min(count, max(0, per_second - self._second_count))
        self._second_count += allowed
        return allowed


def spell_receipt_id(behaviour: Behaviour, message_id: str, given: IdFormat) -> str:
    """``message_id``, which is in the format ``given``, as its receipt spells it."""
    wanted = behaviour.receipt_id_format
    if wanted == "same" or wanted == given:
        return message_id
    number = int(message_id.replace("-", ""), 10 if given == "dec" else 16)
    return SPELLINGS[wanted](number)


def _strike(statuses: list[int], lots: list[bool], command_status: int) -> list[int]:
    return [
        command_status if struck else status for status, struck in zip(statuses, lots, strict=True)
    ]


def _replace(outcomes: list[Outcome], lots: list[bool], other: Outcome) -> list[Outcome]:
    return [other if struck else one for one, struck in zip(outcomes, lots, strict=True)]


def _judge_addresses(pdu: SubmitSm) -> int:
    """What cannot stand in the receipt's own addresses is refused here."""
    destination, source = pdu.destination_addr, pdu.source_addr
    if not destination or not destination.isascii() or len(destination) >= ADDRESS_OCTETS_MAX:
        return ESME_RINVDSTADR
    if not source.isascii() or len(source) >= ADDRESS_OCTETS_MAX:
        return ESME_RINVSRCADR
    return ESME_ROK
