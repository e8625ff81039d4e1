"""A bind of alpha and the message centre at its other end, which says what a test has it say.

All of ours is real: the session reads octets, what it reports is settled and committed, and only
then it acknowledges. The centre is a list of PDUs that it has written.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest

from smppd.routing.table import Route
from smppd.smpp import constants as c
from smppd.smpp.pdu import DeliverSm, SubmitSm, decode_submit_sm, encode_deliver_sm
from smppd.store.records import CarrierProfile
from smppd.traffic.settle import LinkProfile, settle
from tests.house import House, tag_of
from tests.smpp.pair import bound_esme, raw, sent_by

PHONE = "491701234567"
Open = Callable[..., "Centre"]


class Centre:
    """``house`` is ours, its messages are of app "shop" and go to alpha. ``unanswered`` are the
    submit_sm that wait, by sequence_number, with the tags of their segments."""

    def __init__(self, house: House, binds: int) -> None:
        self.house = house
        self.sessions = [bound_esme(window=1_000) for _ in range(binds)]
        self.unanswered: dict[int, bytes] = {}
        self._numbers = count(1)

    def take(
        self, *refs: str, ids: list[str] | None = None, to: str = PHONE, **fields: object
    ) -> list[SubmitSm]:
        """Messages that the centre is given, and takes under these ids, "" where it names none;
        without ``ids`` it does not answer yet."""
        self.house.submit(*refs, to=to, **fields)
        submits = self.house.take()
        self.sessions[0].submit(submits, 0.0)
        frames = sent_by(self.sessions[0])
        self.unanswered = {
            frame.sequence_number: tag_of(submit)
            for frame, submit in zip(frames, submits, strict=True)
        }
        if ids is not None:
            self.answer(*ids)
        read = [decode_submit_sm(frame.body) for frame in frames]
        return [pdu for pdu in read if isinstance(pdu, SubmitSm)]

    def answer(self, *ids: str) -> None:
        """Takes what is unanswered, under these ids, in one write."""
        self.say(
            *(
                raw(c.SUBMIT_SM_RESP, number, body=name.encode("latin-1") + b"\0")
                for number, name in zip(self.unanswered, ids, strict=True)
            )
        )
        self.unanswered = {}

    def lose(self) -> None:
        """The link breaks before anything is answered, and is made again."""
        self.house.down(doubt=list(self.unanswered.values()))
        self.house.up()

    def say(self, *pdus: bytes, bind: int = 0, is_33: bool = False) -> list[int]:
        """These PDUs come in one read; the command_status of each of our answers."""
        session = self.sessions[bind]
        signals = session.receive_data(b"".join(pdus), 0.0)
        profile = LinkProfile("alpha", bind, is_33=is_33)
        self.house.commit(settle(signals, profile, self.house.now).changes)
        session.acknowledge(signals)
        return [frame.command_status for frame in sent_by(session)]

    def receipt(
        self,
        body: bytes,
        *,
        source: str = PHONE,
        destination: str = "ACME",
        esm_class: int = c.ESM_TYPE_RECEIPT,
        data_coding: int = 0,
        tlvs: dict[int, bytes] | None = None,
        bind: int = 0,
        is_33: bool = False,
    ) -> None:
        """A deliver_sm, which is acknowledged."""
        pdu = DeliverSm(
            destination,
            body,
            source_addr=source,
            esm_class=esm_class,
            data_coding=data_coding,
            tlvs=tlvs or {},
        )
        octets = encode_deliver_sm(pdu, next(self._numbers))
        assert self.say(octets, bind=bind, is_33=is_33) == [c.ESME_ROK]

    def state_of(self, ref: str) -> str:
        """What ``query`` says of the message."""
        view = self.house.store.query("shop", ref=ref)
        assert view is not None, ref
        return view.state

    def states(self, *refs: str) -> list[str]:
        """The same of several."""
        return [self.state_of(ref) for ref in refs]

    def hinted(self) -> list[tuple[str, str]]:
        """What the log would say of alpha now: what, and the remedy."""
        return [(hint.what, hint.remedy) for hint in self.house.store.take_hints()]


def text(id_: str, stat: str = "DELIVRD", said: str = "") -> bytes:
    """The text of a receipt as appendix B of SMPP 3.4 has it; without its id where that is ""."""
    name = f"id:{id_} sub:001 dlvrd:001 " if id_ else ""
    dates = "submit date:2611220900 done date:2611220901"
    return f"{name}{dates} stat:{stat} err:000 text:{said}".encode("latin-1")


def data_sm(number: int, body: bytes, esm_class: int = c.ESM_TYPE_RECEIPT) -> bytes:
    """A data_sm of the phone with its text in a message_payload (SMPP 3.4 s4.7.1)."""
    head = b"\0\1\1" + PHONE.encode() + b"\0\5\0ACME\0" + bytes([esm_class, 0, 0])
    return raw(c.DATA_SM, number, body=head + tlv(c.TLV_MESSAGE_PAYLOAD, body))


def tlv(tag: int, value: bytes) -> bytes:
    """A TLV as it goes over the wire."""
    return tag.to_bytes(2, "big") + len(value).to_bytes(2, "big") + value


@pytest.fixture
def open_centre(tmp_path: Path) -> Iterator[Open]:
    """Opens the same store again and again, as restarts do; the keys are those of the carrier."""
    houses: list[House] = []

    def open_centre(binds: int = 1, window: int = 100, **keys: object) -> Centre:
        if houses:
            houses.pop().close()
        house = House(
            tmp_path / "state",
            profile=CarrierProfile(**keys),  # type: ignore[arg-type]
            routes=[Route("", "alpha", "0.01")],
            binds=binds,
            window=window,
            inbound_apps=("shop",),
        )
        houses.append(house)
        for bind in range(binds):
            house.up(bind=bind)
        return Centre(house, binds)

    yield open_centre
    houses.pop().close()
