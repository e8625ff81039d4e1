"""A carrier: the real simulator's, on the world's network, and what it does to receipts besides."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Final

import msgspec
import trio

from smppd.simulator import Behaviour, SimulatedCarrier
from smppd.simulator.batch import Batch
from smppd.simulator.behaviour import IdFormat
from smppd.simulator.decisions import Decisions
from smppd.simulator.deliveries import Delivery
from smppd.simulator.link import Link
from smppd.smpp.constants import ESME_RMSGQFUL
from smppd.smpp.pdu import DeliverSm, SubmitSm
from smppd.smpp.signals import DeliverAnswered
from tests.simulation.natures import Nature, draw_nature
from tests.simulation.net import Connection
from tests.simulation.pdus import Traffic
from tests.simulation.rubbish import FIRST_NUMBER, KINDS, NoisyStream, make_pdu
from tests.simulation.violations import Violation

if TYPE_CHECKING:
    from tests.simulation.world import World

ODD_RECEIPT_RATE: Final = 0.03
"""Of receipts that are followed by one that contradicts it, or by one of an id nobody knows."""


_PAYLOAD: Final = 0x0424


class OneId(Decisions):
    """Answers every submit_sm with the same message_id."""

    def message_ids(self, kind: IdFormat, count: int) -> list[str]:
        """As ``Decisions``."""
        return ["0"] * count


class OddCarrier(SimulatedCarrier):
    """What its ``nature`` says; sends receipts that contradict and receipts of others, while
    ``is_odd``."""

    def __init__(self, world: World, name: str, chance: random.Random, nature: Nature) -> None:
        behaviour = Behaviour(
            first_id=chance.randint(1, 1 << 30),
            seed=chance.randint(1, 1 << 30),
            **nature.behaviour,  # type: ignore[arg-type]
        )
        super().__init__(name, "smppd", "secret", behaviour, ledger=True, wall=world.wall.true)
        if nature.ids == "constant":
            self._decisions = OneId(behaviour.seed, name, behaviour.first_id)
        self._nature = nature
        self.is_odd = False
        self.contradicted: set[str] = set()
        self.odd = 0
        self._world = world
        self._chance = chance

    def deliver_at(self, deliveries: list[Delivery], due: float, now: float) -> None:
        """What phones wrote, sent at ``due``."""
        self._outgoing.put(deliveries, due, now)

    def _record(self, batch: Batch) -> None:
        """Of these receipts some are never made: the last segment's is for all of them."""
        super()._record(batch)
        if self._nature.covers:
            for index, signal in enumerate(batch.signals):
                number, total = place_of(signal.pdu)
                if number < total:
                    batch.receipts[index] = None

    def take_deliveries(self, room: int, now: float) -> list[Delivery]:
        taken = super().take_deliveries(room, now)
        for delivery in taken:
            if delivery.is_receipt:
                delivery.pdu = self._spell(delivery.pdu)
        if self.is_odd:
            for delivery in taken:
                if delivery.is_receipt and self._chance.random() < ODD_RECEIPT_RATE:
                    self._add_odd(delivery, now)
        return taken

    def _add_odd(self, delivery: Delivery, now: float) -> None:
        pdu = delivery.pdu
        body = pdu.short_message
        self.odd += 1
        if self._chance.random() < 0.5:
            other = b"stat:UNDELIV" if b"stat:DELIVRD" in body else b"stat:DELIVRD"
            start = body.index(b"stat:")
            body = body[:start] + other + body[start + 12 :]
            self.contradicted.add(pdu.source_addr)
        else:
            body = body.replace(b"id:", b"id:FEED%04X" % self.odd, 1)
            pdu = msgspec.structs.replace(pdu, source_addr="491700000000")
        odd = msgspec.structs.replace(pdu, short_message=body, tlvs={})
        self._outgoing.put([Delivery(odd, True)], now + self._chance.uniform(0.0, 60.0), now)

    def _spell(self, pdu: DeliverSm) -> DeliverSm:
        """The receipt as this carrier writes it; once more changes nothing."""
        nature = self._nature
        if nature.unmarked and pdu.esm_class:
            pdu = msgspec.structs.replace(pdu, esm_class=0)
        if nature.ids == "unrelated" and not pdu.short_message.startswith(b"id:R"):
            body = b"id:R" + pdu.short_message.removeprefix(b"id:")
            pdu = msgspec.structs.replace(pdu, short_message=body)
        return pdu

    def settle(self, signals: list[DeliverAnswered], now: float) -> None:
        super().settle(signals, now)
        for signal in signals:
            is_for_want_of_room = signal.command_status == ESME_RMSGQFUL
            if is_for_want_of_room and self._world.faults.counts["disk full"]:
                continue  # it comes again
            if signal.command_status:
                raise Violation("a deliver_sm is taken", f"{self.name}: {signal}")


class Carrier:
    """``name`` is also its host. ``reach`` is what becomes of a connection to it."""

    def __init__(self, world: World, name: str) -> None:
        self.world = world
        self.name = name
        self.chance: random.Random = world.chance(f"carrier {name}")
        self.nature = draw_nature(world.chance(f"nature {name}"))
        self.smsc = OddCarrier(world, name, self.chance, self.nature)
        self.reach = "well"
        self.is_noisy = False
        self.rubbish: dict[int, str] = {}
        self._usual = {
            "response_delay": self.chance.choice([0.0, 0.05, 0.5, 2.0]),
            "receipt_delay": self.chance.choice([0.0, 0.5, 20.0]),
        }
        self.behave_as_usual()

    async def wait_connected(self) -> None:
        """Raises OSError where nobody answers there; or never returns."""
        await trio.sleep(self.chance.uniform(0.0, 0.1))
        if self.reach == "refused":
            raise ConnectionRefusedError(111, "Connection refused")
        if self.reach == "silent":
            await trio.sleep_forever()

    def accept(self, connection: Connection) -> None:
        """The daemon is there."""
        if self.reach == "deaf":
            return  # the kernel took it, and nobody reads
        self.world.nursery.start_soon(self._carry, connection)

    async def _carry(self, connection: Connection) -> None:
        stream = NoisyStream(self, connection.far)
        stream.link = link = Link(stream, [self.smsc])
        try:
            await link.run()
        finally:
            connection.far.close()

    def behave(self, **changes: object) -> None:
        """From now on it behaves like this, beside its name and ids."""
        fixed = {
            name: getattr(self.smsc.behaviour, name)
            for name in ("first_id", "seed", "receipt_window", *self.nature.behaviour)
        }
        self.smsc.behaviour = Behaviour(**fixed, **changes)  # type: ignore[arg-type]

    def behave_as_usual(self) -> None:
        """At its own pace, and without a fault. A slow one has a full window most of the time."""
        self.behave(**self._usual)

    def make_rubbish(self) -> bytes:
        """A PDU that nobody can read, kept by its number."""
        number = FIRST_NUMBER + len(self.rubbish)
        kind = self.rubbish[number] = self.chance.choice(list(KINDS))
        return make_pdu(kind, number)


def place_of(pdu: SubmitSm) -> tuple[int, int]:
    """Which segment a submit is, and of how many."""
    data = pdu.short_message or pdu.tlvs.get(_PAYLOAD, b"")
    return Traffic("", "", pdu.esm_class, data, pdu.tlvs).place
