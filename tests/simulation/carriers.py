"""A carrier: the real simulator's, on the world's network, and what it does to receipts besides."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Final

import msgspec
import trio

from smppd.simulator import Behaviour, SimulatedCarrier
from smppd.simulator.deliveries import Delivery
from smppd.simulator.link import Link
from smppd.smpp.signals import DeliverAnswered
from tests.simulation.net import Connection
from tests.simulation.violations import Violation

if TYPE_CHECKING:
    from tests.simulation.world import World

ODD_RECEIPT_RATE: Final = 0.03
"""Of receipts that are followed by one that contradicts it, or by one of an id nobody knows."""


class OddCarrier(SimulatedCarrier):
    """Sends receipts that contradict and receipts of others, while ``is_odd``."""

    def __init__(self, world: World, name: str, chance: random.Random) -> None:
        behaviour = Behaviour(first_id=chance.randint(1, 1 << 30), seed=chance.randint(1, 1 << 30))
        super().__init__(name, "smppd", "secret", behaviour, ledger=True, wall=world.wall.true)
        self.is_odd = False
        self.contradicted: set[str] = set()
        self.odd = 0
        self._world = world
        self._chance = chance

    def take_deliveries(self, room: int, now: float) -> list[Delivery]:
        taken = super().take_deliveries(room, now)
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

    def settle(self, signals: list[DeliverAnswered]) -> None:
        super().settle(signals)
        for signal in signals:
            if signal.command_status:
                raise Violation("a deliver_sm is taken", f"{self.name}: {signal}")


class Carrier:
    """``name`` is also its host. ``reach`` is what becomes of a connection to it."""

    def __init__(self, world: World, name: str) -> None:
        self.world = world
        self.name = name
        self.chance: random.Random = world.chance(f"carrier {name}")
        self.smsc = OddCarrier(world, name, self.chance)
        self.reach = "well"
        self.inbound_sent: list[str] = []
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
        try:
            await Link(connection.far, [self.smsc]).run()
        finally:
            connection.far.close()

    def behave(self, **changes: object) -> None:
        """From now on it behaves like this, beside its name and ids."""
        fixed = {
            name: getattr(self.smsc.behaviour, name)
            for name in ("first_id", "seed", "receipt_window")
        }
        self.smsc.behaviour = Behaviour(**fixed, **changes)  # type: ignore[arg-type]

    def behave_as_usual(self) -> None:
        """At its own pace, and without a fault. A slow one has a full window most of the time."""
        self.behave(**self._usual)

    def write_in(self) -> None:
        """A phone writes to us."""
        text = f"Call me back {self.name} {len(self.inbound_sent)}"
        self.inbound_sent.append(text)
        self.smsc.inbound(f"4917{self.chance.randint(10**7, 10**8 - 1)}", "ACME", text)
