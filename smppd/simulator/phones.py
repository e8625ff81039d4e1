"""What phones do by themselves, by a profile: messages, answers to messages, and coming back.

Times are seconds from the carrier's start. Each table of the profile has its own chance, so what
one draws shifts nothing of another. It builds deliveries and sends none.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from typing import Final

from smppd.simulator.delay import Delay, draw
from smppd.simulator.deliveries import Delivery, build_inbound, build_inbound_data, check_inbound
from smppd.simulator.join import MessageRecord
from smppd.simulator.profile import Inbound, Profile, Reply
from smppd.smpp.sundry import AlertNotification

CATCH_UP_MAX: Final = 10_000
"""Messages of one table that were due while nobody looked; what is beyond was never written."""

INTERVAL_MIN: Final = 0.0001
"""Seconds between two messages of one table: the highest rate there is."""

DATA_CODING_OCTETS: Final = 4
"""Of ``data`` that says none."""


class Phones:
    """The phones of one carrier."""

    def __init__(self, profile: Profile, seed: int, name: str) -> None:
        def chance(table: str, index: int) -> random.Random:
            return random.Random(f"{seed} {name} {table} {index}")

        self._inbound = [
            (entry, _Beat(entry.at, entry.lasting, entry.every, entry.rate, chance("inbound", n)))
            for n, entry in enumerate(profile.inbound)
        ]
        self._alerts = [
            (entry, _Beat(entry.at, None, entry.every, 0.0, chance("alert", number)))
            for number, entry in enumerate(profile.alerts)
        ]
        self._replies = [
            (entry, chance("reply", number)) for number, entry in enumerate(profile.replies)
        ]
        self._reference = 0
        self._alphabet = profile.behaviour.default_alphabet

    @property
    def listen(self) -> bool:
        """Whether any phone answers to what it gets."""
        return bool(self._replies)

    def next_at(self) -> float:
        """When something is due; ``math.inf`` if nothing will be."""
        beats = [beat.next_at for _, beat in (*self._inbound, *self._alerts)]
        return min(beats, default=math.inf)

    def take(self, time: float) -> list[Delivery]:
        """The messages that are due at ``time``, in order of the tables."""
        deliveries: list[Delivery] = []
        for entry, beat in self._inbound:
            for _ in range(beat.take(time)):
                deliveries += self._write(entry, beat.chance)
        return deliveries

    def take_alerts(self, time: float) -> list[AlertNotification]:
        """The alert_notification that are due at ``time``."""
        return [
            AlertNotification(entry.source, entry.to, entry.availability)
            for entry, beat in self._alerts
            for _ in range(beat.take(time))
        ]

    def answer(self, messages: Sequence[MessageRecord]) -> list[tuple[list[Delivery], float]]:
        """The deliveries of each answer to these messages, and after how many seconds."""
        answers = []
        for message in messages:
            for entry, chance in self._replies:
                if entry.contains.casefold() in message.text.casefold():
                    answers += self._reply(entry, message, chance)
        return answers

    def next_reference(self) -> int:
        """Of a message in segments: 0 to 255 and round again."""
        self._reference = (self._reference + 1) % 256
        return self._reference

    def _write(self, entry: Inbound, chance: random.Random) -> list[Delivery]:
        source = "".join(
            chance.choice("0123456789") if one == "#" else one
            for one in _pick(entry.sources, chance)
        )
        if not entry.texts:
            data_coding = DATA_CODING_OCTETS if entry.data_coding is None else entry.data_coding
            pdus = build_inbound_data(source, entry.to, entry.data, data_coding)
        else:
            text = _pick(entry.texts, chance)
            reference = self.next_reference()
            pdus = build_inbound(
                source, entry.to, text, reference, entry.data_coding, self._alphabet
            )
        return [Delivery(pdu) for pdu in pdus]

    def _reply(
        self, entry: Reply, message: MessageRecord, chance: random.Random
    ) -> list[tuple[list[Delivery], float]]:
        """From the number it was sent to, to its sender; none where no phone could write there."""
        happens = chance.random() < entry.rate
        text = _pick(entry.texts, chance)
        (delay,) = draw(entry.delay, chance, 1)
        source, sender = message.destination, message.source
        if not happens or not sender.isdigit() or check_inbound(source, sender, text, None):
            return []
        reference = self.next_reference()
        pdus = build_inbound(source, sender, text, reference, alphabet=self._alphabet)
        return [([Delivery(pdu) for pdu in pdus], delay)]


class _Beat:
    """When one table of the profile is due: once, ``every`` so often, or ``rate`` a second."""

    def __init__(
        self,
        at: float,
        lasting: float | None,
        every: Delay | None,
        rate: float,
        chance: random.Random,
    ) -> None:
        self.chance = chance
        self._every = every
        self._rate = rate
        self._end = math.inf if lasting is None else at + lasting
        self.next_at = at
        if rate:
            self._advance()

    def take(self, time: float) -> int:
        """How often it was due up to ``time`` since the last call."""
        count = 0
        while self.next_at <= time and count < CATCH_UP_MAX:
            count += 1
            self._advance()
        if self.next_at <= time:
            self.next_at = time
            self._advance()
        return count

    def _advance(self) -> None:
        """A process without memory where there is a rate, as many phones are."""
        if self._rate:
            self.next_at += max(INTERVAL_MIN, self.chance.expovariate(self._rate))
        elif self._every is not None:
            self.next_at += max(INTERVAL_MIN, draw(self._every, self.chance, 1)[0])
        else:
            self.next_at = math.inf
        if self.next_at >= self._end:
            self.next_at = math.inf


def _pick(texts: tuple[str, ...], chance: random.Random) -> str:
    return texts[0] if len(texts) == 1 else chance.choice(texts)
