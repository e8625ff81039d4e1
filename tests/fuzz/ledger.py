"""A whole carrier's side of the daemon: hostile octets through session and settling into a real
store, whose promises must hold whatever came."""

from __future__ import annotations

import tempfile
from collections import Counter
from pathlib import Path
from typing import Final

import msgspec

from smppd.api.protocol import LINE_BYTES_MAX
from smppd.smpp import constants
from smppd.smpp.pdu import HEADER, DeliverSm, encode_deliver_sm, encode_submit_sm_resp
from smppd.smpp.session import Session
from smppd.smpp.signals import Signal
from smppd.store.changes import Accepted
from smppd.traffic.settle import LinkProfile, settle
from tests.fuzz.feed import Feed
from tests.house import House
from tests.ledgers import find_wrong_stories
from tests.smpp.pair import bound_esme

MEMORY: Final = Path("/dev/shm")
"""Where an fsync costs nothing, if there is such a place: no input here loses power."""

STEPS_MAX: Final = 64
"""Commits of one input."""

STATUSES: Final = (0, 0, 0, 0x58, 0x14, 0x0B, 0x45, 0x08, 0x64, 0x400)
TEXTS: Final = (
    b"id:%b sub:001 dlvrd:001 submit date:2611221000 done date:2611221001 stat:DELIVRD err:000",
    b"id:%b stat:UNDELIV err:255",
    b"id:%b sub:001 dlvrd:000 stat:EXPIRED err:001 text:hi",
    b"id:%b stat:\xff\x00\x1b[2J err:" + b"9" * 60,
    b"%b",
)
MESSAGE_CLASSES: Final = ("transactional", "otp", "promotional")


class Carrier:
    """The link of one bind without a stream, over a house."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.session: Session | None = None
        self.ids: list[bytes] = []
        self.accepted: dict[str, str] = {}

    def up(self) -> None:
        if self.session is None:
            self.session = bound_esme(window=10)
            self.session.data_to_send()
            self.house.up("alpha")

    def down(self) -> None:
        if self.session is not None:
            self._settle(self.session.receive_eof(0.0))
            self.session = None
            self.house.down("alpha")

    def submit(self, feed: Feed) -> None:
        refs = [f"r{feed.byte() % 16}"]
        text = "long " * (feed.byte() % 60) or "hi"
        message_class = feed.pick(MESSAGE_CLASSES)
        found = self.house.commit(
            [self.house.propose(ref, text=text, message_class=message_class) for ref in refs]  # type: ignore[arg-type]
        )
        for ref, result in zip(refs, found, strict=True):
            if isinstance(result, Accepted):
                assert self.accepted.setdefault(ref, result.id) == result.id

    def write(self) -> None:
        if self.session is not None:
            self.session.submit(self.house.take(room=self.session.room), 0.0)
            self.session.data_to_send()

    def hear(self, octets: bytes) -> None:
        if self.session is None:
            return
        self._settle(self.session.receive_data(octets, 0.0))
        if self.session.closed:
            self.down()

    def answer(self, feed: Feed) -> None:
        """An answer to one of the last requests, or to none."""
        name = f"m{feed.byte() % 16}".encode() if feed.byte() & 3 else feed.chunk()[:64]
        self.ids.append(name)
        number, status = 1 + feed.byte() % 24, feed.pick(STATUSES)
        if status or name.isascii():
            shown = name.replace(b"\0", b"").decode("latin-1")
            self.hear(encode_submit_sm_resp(number, status, shown))
        else:
            octets = name.replace(b"\0", b"") + b"\0"
            head = HEADER.pack(16 + len(octets), constants.SUBMIT_SM_RESP, 0, number)
            self.hear(head + octets)

    def deliver(self, feed: Feed) -> None:
        """A receipt for what was answered, or not yet, or never; or what looks like one."""
        name = feed.pick(self.ids) if self.ids and feed.byte() & 3 else feed.chunk()[:64]
        text = feed.pick(TEXTS).replace(b"%b", name)[:254]
        tlvs = {constants.TLV_RECEIPTED_MESSAGE_ID: name + b"\0"} if feed.byte() & 1 else {}
        if feed.byte() & 1:
            tlvs[constants.TLV_MESSAGE_STATE] = feed.take(1)
        source = "491701234567" if feed.byte() & 1 else feed.take(8).hex()
        esm_class = feed.pick((4, 0, 0x40, 0x20, 0xFF))
        pdu = DeliverSm("ACME", text, source_addr=source, esm_class=esm_class, tlvs=tlvs)
        self.hear(encode_deliver_sm(pdu, feed.byte() + 1))

    def _settle(self, signals: list[Signal]) -> None:
        assert self.session is not None
        profile = LinkProfile("alpha", 0, None)
        self.house.commit(settle(signals, profile, self.house.now).changes)
        self.session.acknowledge(signals)


def fuzz_ledger(data: bytes) -> None:
    """Whatever a carrier sends: the store takes it, every accepted message can be found, its
    events tell one story, in order and in lines that fit, and a restart finds the same."""
    feed = Feed(data)
    place = MEMORY if MEMORY.is_dir() else None
    with tempfile.TemporaryDirectory(dir=place) as directory:
        house = House(Path(directory), inbound_apps=("shop",), map_size=64 << 20)
        carrier = Carrier(house)
        try:
            for _ in range(STEPS_MAX):
                if feed.is_empty:
                    break
                _step(carrier, feed)
            carrier.down()
            events = _check(carrier)
        finally:
            house.close()
        _check_restart(Path(directory), events)


def _step(carrier: Carrier, feed: Feed) -> None:
    match feed.byte() % 10:
        case 0:
            carrier.up()
        case 1 | 2:
            carrier.up()
            carrier.submit(feed)
            carrier.write()
        case 3 | 4:
            carrier.answer(feed)
        case 5 | 6:
            carrier.deliver(feed)
        case 7:
            carrier.hear(feed.chunk())
        case 8:
            carrier.house.pass_time(feed.byte() * 10)
        case 9:
            carrier.down()


def _check(carrier: Carrier) -> list[dict[str, object]]:
    house = carrier.house
    events = house.events()
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    assert all(len(msgspec.json.encode(event)) < LINE_BYTES_MAX for event in events)
    told = [event for event in events if event["event"] != "inbound"]
    late = [event for event in told if event["event"] in ("delivered", "failed", "expired")]
    finals = Counter(str(event["ref"]) for event in late)
    assert all(count == 1 for count in finals.values()), f"more than one end: {finals}"
    assert not find_wrong_stories([one for one in told if not event_is_late(one, told)])
    for ref, message_id in carrier.accepted.items():
        found = house.store.query("shop", ref=ref)
        assert found is not None, f"{ref} was accepted and is gone"
        assert found.id == message_id
        msgspec.json.encode(found)
    return events


def event_is_late(event: dict[str, object], told: list[dict[str, object]]) -> bool:
    """Whether a receipt brought it after the promise that nothing more would come."""
    closed = ("unconfirmed", "uncertain")
    before = [one for one in told if one["ref"] == event["ref"] and one["seq"] < event["seq"]]  # type: ignore[operator]
    return any(one["event"] in closed for one in before)


def _check_restart(directory: Path, events: list[dict[str, object]]) -> None:
    house = House(directory, inbound_apps=("shop",), map_size=64 << 20)
    try:
        assert house.events()[: len(events)] == events, "a restart tells another story"
    finally:
        house.close()
