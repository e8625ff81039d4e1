"""Phones that write to us, in one segment or several: what they sent, and what apps were told.

Every segment has words of its own, so that each can be found again in what is told: ``<7:2>`` is
the second of message 7. Segments come in any order, twice, late or never.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import msgspec
import trio

from smppd.simulator.deliveries import Delivery
from smppd.smpp.pdu import DeliverSm
from tests.simulation.pdus import Traffic
from tests.simulation.violations import Violation

if TYPE_CHECKING:
    from tests.simulation.carriers import Carrier
    from tests.simulation.world import World

JsonObject: TypeAlias = dict[str, Any]

INBOUND_TIMEOUT: Final = 60.0
"""Of every carrier, in seconds; a removed one has the usual 600."""

SURE_SECONDS: Final = INBOUND_TIMEOUT * 0.8
"""Within which segments are of one message by any clock that is not set."""

BANK_NUMBER: Final = "4444"
"""By a rule, what is written to it is the bank's; all else is the shop's, which has ``inbound``."""

TELL_SECONDS_MAX: Final = 700.0
"""From the last segment until the rest is given up, by a removed carrier's timeout too."""

_MARK: Final = re.compile(r"<(\d+):(\d+)>")
_MARK_16: Final = re.compile(rb"\0<((?:\0\d)+)\0:((?:\0\d)+)\0>")

_SURROGATES: Final = "\N{GRINNING FACE}"


class Written(msgspec.Struct):
    """One message. ``read`` and ``acked`` are when each segment was, by its number."""

    number: int
    carrier: str
    source: str
    destination: str
    text: str
    total: int
    read: dict[int, list[float]] = {}
    acked: dict[int, list[float]] = {}

    @property
    def app(self) -> str:
        """Who is to be told."""
        return "bank" if self.destination == BANK_NUMBER else "shop"


class PhoneBook:
    """All that phones wrote, in one world."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._chance: random.Random = world.chance("phones")
        self.written: dict[int, Written] = {}

    # -- writing ---

    def write(self, carrier: Carrier) -> None:
        """A phone writes, by this carrier."""
        chance, number = self._chance, len(self.written) + 1
        total = chance.choice([1, 1, 2, 3, 5])
        source, destination = self._draw_ends()
        coding = chance.choice([0, 3, 8, 8])
        if coding == 0 and carrier.nature.packed:
            coding = 3  # these phones do not pack
        rests = [chance.choice([_SURROGATES, " is that right?"]) for _ in range(total)]
        if coding != 8:
            rests = [" call me back"] * total
        words = [f"<{number}:{index}>{rest}" for index, rest in enumerate(rests, 1)]
        written = Written(number, carrier.name, source, destination, "".join(words), total)
        self.written[number] = written
        bodies = _cut(words, coding)
        pdus = self._address(written, bodies, coding, carrier.nature.is_old)
        self._send(carrier, pdus)

    def _draw_ends(self) -> tuple[str, str]:
        """Whose phone it is and where it writes: some answer what they got."""
        chance, world = self._chance, self._world
        source = f"4917{chance.randint(10**7, 10**8 - 1)}"
        destination = chance.choice(["ACME", BANK_NUMBER])
        lot = chance.random()
        if lot < 0.4 and world.book.sent:
            phone = chance.choice(list(world.book.sent)[-100:])[0]
            app, ref = world.ref_of(phone)
            sender: str = world.apps[app].submits[ref]["from"]
            if sender.isdigit():
                source, destination = phone, sender
        return source, destination

    def _address(
        self, written: Written, bodies: list[bytes], coding: int, is_old: bool
    ) -> list[DeliverSm]:
        kind = self._chance.choice(["udh8", "udh16", "udh8" if is_old else "sar"])
        reference, total, pdus = self._chance.randint(0, 255), written.total, []
        for index, body in enumerate(bodies, 1):
            header, tlvs, esm_class = b"", {}, 0
            if total > 1 and kind == "sar":
                tlvs = {
                    0x020C: bytes((0, reference)),
                    0x020E: bytes((total,)),
                    0x020F: bytes((index,)),
                }
            elif total > 1:
                place = (reference, total, index)
                header = bytes((5, 0, 3, *place) if kind == "udh8" else (6, 8, 4, 7, *place))
                esm_class = 0x40
            pdu = DeliverSm(written.destination, header + body, source_addr=written.source)
            pdus.append(
                msgspec.structs.replace(pdu, esm_class=esm_class, data_coding=coding, tlvs=tlvs)
            )
        return pdus

    def _send(self, carrier: Carrier, pdus: list[DeliverSm]) -> None:
        """In any order; some twice, some late, one maybe never."""
        chance = self._chance
        if chance.random() < 0.5:
            chance.shuffle(pdus)
        if len(pdus) > 1 and chance.random() < 0.3:
            pdus.pop()
        pdus += [pdu for pdu in pdus if chance.random() < 0.1]
        spread = chance.choice([0.0, 0.0, 20.0, 200.0])
        now = trio.current_time()
        for pdu in pdus:
            carrier.smsc.deliver_at([Delivery(pdu)], now + chance.uniform(0.0, spread), now)

    # -- what becomes of it ---

    def find(self, traffic: Traffic) -> tuple[int, int] | None:
        """Which segment of which message a deliver_sm holds."""
        found = _MARK.search(traffic.data.decode("latin-1"))
        if found:
            return int(found[1]), int(found[2])
        wide = _MARK_16.search(traffic.data)
        if wide is None:
            return None
        return int(wide[1].decode("utf-16-be")), int(wide[2].decode("utf-16-be"))

    def note_read(self, key: tuple[int, int]) -> None:
        """The daemon has read this segment."""
        self.written[key[0]].read.setdefault(key[1], []).append(self._world.now())

    def note_acked(self, key: tuple[int, int]) -> None:
        """The daemon has answered that it has it."""
        self.written[key[0]].acked.setdefault(key[1], []).append(self._world.now())

    def is_told(self) -> bool:
        """Whether every segment that was acknowledged was told, whole or not."""
        return not any(self._missing(one, self._segments(one)) for one in self.written.values())

    def check(self) -> None:
        """All of it, at the end."""
        told = [one for app in self._world.apps.values() for one in app.inbound]
        self._world.counts.update(
            {
                "phones: messages": len(self.written),
                "phones: told": len(told),
                "phones: told in part": sum("segments_missing" in one for one in told),
                "phones: replies": sum("reply_to" in one for one in told),
            }
        )
        for written in self.written.values():
            self._check(written)

    def _segments(self, written: Written) -> Counter[int]:
        events = self._events(written)
        return Counter(int(k) for one in events for _, k in _MARK.findall(one["text"]))

    def _events(self, written: Written) -> list[JsonObject]:
        mark = f"<{written.number}:"
        return [one for one in self._world.apps[written.app].inbound if mark in one["text"]]

    def _missing(self, written: Written, told: Counter[int]) -> set[int]:
        return set(written.acked) - set(told)

    def _check(self, written: Written) -> None:
        told = self._segments(written)
        if missing := self._missing(written, told):
            raise Violation("what was acknowledged is told", f"{sorted(missing)} of {written}")
        others = [app for app in self._world.apps.values() if app.name != written.app]
        if any(f"<{written.number}:" in one["text"] for app in others for one in app.inbound):
            raise Violation("a phone's message is told to its app", f"{written}")
        events = self._events(written)
        for event in events:
            self._check_event(written, event)
        if self._is_sure(written):
            if any(count > 1 for count in told.values()):
                raise Violation("a segment is told once", f"{written}: {events}")
            if len(written.acked) == written.total and len(events) != 1:
                raise Violation("a long message is told whole", f"{written}: {events}")

    def _check_event(self, written: Written, event: JsonObject) -> None:
        found = [int(k) for _, k in _MARK.findall(event["text"])]
        missing = [k for k in range(1, written.total + 1) if k not in found]
        is_right = event["segments"] == written.total and found == sorted(set(found))
        if written.total > 1:
            is_right &= event.get("complete") == (not missing)
            is_right &= list(event.get("segments_missing", ())) == missing
        if not missing:
            is_right &= event["text"] == written.text
        is_right &= (event["from"].lstrip("+"), event["to"]) == (
            written.source,
            written.destination,
        )
        if not is_right:
            raise Violation("what is told is what was written", f"{written}: {event}")

    def _is_sure(self, written: Written) -> bool:
        """Whether all that came of it came within the time in which it is one message."""
        times = [at for ats in written.read.values() for at in ats]
        jumps = self._world.wall.jumps
        if written.total == 1:
            return len(times) == 1
        if not times or max(times) - min(times) > SURE_SECONDS:
            return False
        return not any(min(times) - 1.0 <= at <= max(times) + 1.0 for at in jumps)


def _cut(words: list[str], coding: int) -> list[bytes]:
    """The octets of each segment; in UCS-2 a surrogate pair is cut in two where one ends."""
    if coding != 8:
        return [word.encode("latin-1") for word in words]
    octets = [word.encode("utf-16-be") for word in words]
    for index in range(len(octets) - 1):
        if words[index].endswith(_SURROGATES):
            octets[index], rest = octets[index][:-2], octets[index][-2:]
            octets[index + 1] = rest + octets[index + 1]
    return octets
