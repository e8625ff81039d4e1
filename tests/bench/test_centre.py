"""The benches' SMSC on a link: what it answers, which receipts it sends, and what it counts."""

from __future__ import annotations

import re
import socket
import struct
import time
from array import array
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from bench.centre import (
    BIND_RECEIVER,
    BIND_TRANSCEIVER,
    BIND_TRANSMITTER,
    DELIVER_SM,
    ENQUIRE_LINK,
    ESME_RINVBNDSTS,
    ESME_RINVPASWD,
    GENERIC_NACK,
    RESPONSE,
    SUBMIT_SM,
    UNBIND,
    Centre,
    IdFormat,
    Link,
    Options,
)
from bench.submits import is_lost, number_of
from smppd.smpp.constants import NPI_ISDN, TON_ALPHANUMERIC, TON_INTERNATIONAL
from smppd.smpp.framing import Frame, FrameBuffer
from smppd.smpp.pdu import (
    DeliverSm,
    SubmitSm,
    decode_deliver_sm,
    decode_submit_sm_resp,
    encode_deliver_sm_resp,
    encode_submit_sm,
)
from smppd.smpp.receipt import Receipt, read_receipt

BIND = b"bench\0bench\0\0\x34\0\0\0"
TEXT = b"On Monday between ten and twelve."


def pdu(command: int, sequence: int, body: bytes = b"") -> bytes:
    return struct.pack(">IIII", 16 + len(body), command, 0, sequence) + body


def submit(index: int, **fields: Any) -> bytes:
    """The submit_sm of message ``index``, which is its sequence_number, too."""
    chosen = {"registered_delivery": 1, "short_message": TEXT, **fields}
    asked = SubmitSm(
        number_of(index),
        source_addr_ton=TON_ALPHANUMERIC,
        source_addr="ACME",
        dest_addr_ton=TON_INTERNATIONAL,
        dest_addr_npi=NPI_ISDN,
        **chosen,
    )
    return encode_submit_sm(asked, index)


class Peer:
    """Our end of a link to ``centre``."""

    def __init__(self, centre: Centre) -> None:
        theirs, self.ours = socket.socketpair()
        theirs.setblocking(False)
        self.ours.setblocking(False)
        self.link = Link(theirs, centre)
        self._frames = FrameBuffer()

    def tell(self, *octets: bytes) -> list[Frame]:
        """What the centre has to say to these octets, each of which is a read of its own."""
        said: list[Frame] = []
        for each in octets:
            self.ours.sendall(each)
            self.link.receive()
            said += self.hear()
        return said

    def hear(self) -> list[Frame]:
        """What it has said since."""
        try:
            octets = self.ours.recv(1 << 20)
        except BlockingIOError:
            return []
        frames = self._frames.receive(octets)
        return [frame for frame in frames if isinstance(frame, Frame)]

    def close(self) -> None:
        """Leaves without a word."""
        self.ours.close()
        self.link.receive()


@contextmanager
def bound(centre: Centre, command: int = BIND_TRANSCEIVER) -> Iterator[Peer]:
    peer = Peer(centre)
    (answer,) = peer.tell(pdu(command, 1, BIND))
    assert (answer.command_id, answer.command_status) == (command | RESPONSE, 0)
    try:
        yield peer
    finally:
        peer.close()


def receipts_of(frames: list[Frame]) -> list[DeliverSm]:
    found = [decode_deliver_sm(one.body) for one in frames if one.command_id == DELIVER_SM]
    return [one for one in found if isinstance(one, DeliverSm)]


def ids_of(frames: list[Frame]) -> list[str]:
    answered = [one for one in frames if one.command_id == SUBMIT_SM | RESPONSE]
    return [str(decode_submit_sm_resp(one.body)) for one in answered]


def acks_of(frames: list[Frame]) -> list[bytes]:
    delivers = [one for one in frames if one.command_id == DELIVER_SM]
    return [encode_deliver_sm_resp(one.sequence_number, 0) for one in delivers]


def test_a_message_is_answered_and_its_receipt_names_it() -> None:
    centre = Centre(Options())
    with bound(centre) as peer:
        frames = peer.tell(submit(7))
        (answer, _), (name,) = frames, ids_of(frames)
        assert (answer.command_status, answer.sequence_number) == (0, 7)
        (deliver,) = receipts_of(frames)
        assert (deliver.source_addr, deliver.destination_addr) == (number_of(7), "ACME")
        assert (deliver.source_addr_ton, deliver.dest_addr_ton) == (1, 5)
        receipt = read_receipt(deliver)
        assert isinstance(receipt, Receipt)
        assert (receipt.id, receipt.stat, receipt.err) == (name, "DELIVRD", "000")
        assert deliver.short_message.endswith(b" text:" + TEXT[:20])
        assert peer.tell(*acks_of(frames)) == []
    ledger = centre.ledger()
    assert (ledger.accepted, ledger.receipts_sent, ledger.receipts_acked) == (1, 1, 1)
    assert ledger.destinations == {"1": 1}


def test_octets_that_come_one_by_one_are_understood() -> None:
    centre = Centre(Options())
    with bound(centre) as peer:
        octets = submit(1) + submit(2)
        frames = peer.tell(*(octets[at : at + 1] for at in range(len(octets))))
    assert len(ids_of(frames)) == len(receipts_of(frames)) == 2


@pytest.mark.parametrize(
    ("id_format", "form"),
    [
        ("hex", r"[0-9A-F]{8}"),
        ("dec", r"[0-9]{10}"),
        ("uuid", r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"),
    ],
)
def test_ids_have_the_form_that_was_asked_for_and_differ(id_format: IdFormat, form: str) -> None:
    with bound(Centre(Options(id_format))) as peer:
        names = ids_of(peer.tell(*(submit(index) for index in range(1, 601))))
    assert len(set(names)) == 600
    assert all(re.fullmatch(form, name) for name in names)


@pytest.mark.parametrize(
    "fields",
    [
        {"data_coding": 8, "short_message": b"\0a\0b"},
        {"esm_class": 0x40, "short_message": b"\5\0\3\1\2\1abc"},
        {"short_message": b"", "tlvs": {0x0424: b"x" * 300}},
    ],
)
def test_octets_that_are_no_text_are_not_repeated_in_the_receipt(fields: dict[str, Any]) -> None:
    with bound(Centre(Options())) as peer:
        (deliver,) = receipts_of(peer.tell(submit(1, **fields)))
    assert deliver.short_message.endswith(b" text:")


@pytest.mark.parametrize("registered_delivery", [0, 2])
def test_no_receipt_comes_where_none_is_due(registered_delivery: int) -> None:
    with bound(Centre(Options())) as peer:
        frames = peer.tell(submit(1, registered_delivery=registered_delivery))
    assert (len(ids_of(frames)), receipts_of(frames)) == (1, [])


def test_no_more_receipts_are_unacknowledged_than_the_window_has_room_for() -> None:
    with bound(Centre(Options(receipt_window=2))) as peer:
        frames = peer.tell(*(submit(index) for index in range(1, 6)))
        assert (len(ids_of(frames)), len(receipts_of(frames))) == (5, 2)
        assert len(receipts_of(peer.tell(acks_of(frames)[0]))) == 1


def test_a_delayed_receipt_goes_when_its_time_has_come() -> None:
    centre = Centre(Options(receipt_delay=3600.0))
    with bound(centre) as peer:
        frames = peer.tell(submit(1))
        assert (len(ids_of(frames)), receipts_of(frames)) == (1, [])
        due = centre.next_due()
        assert due is not None
        assert centre.take_due(due - 1.0) == set()
        assert centre.take_due(due) == {peer.link}
        peer.link.send()
        assert len(receipts_of(peer.hear())) == 1
    assert centre.next_due() is None


def test_lost_receipts_are_told_and_never_sent() -> None:
    centre = Centre(Options(loss=0.5))
    with bound(centre) as peer:
        frames = peer.tell(*(submit(index) for index in range(1, 101)))
    lost = {number_of(index) for index in range(1, 101) if is_lost(number_of(index), 0.5)}
    assert set(centre.ledger().lost or []) == lost
    assert {one.source_addr for one in receipts_of(frames)}.isdisjoint(lost)
    assert len(receipts_of(frames)) == 100 - len(lost)


def test_what_a_link_did_not_acknowledge_goes_out_on_another_one() -> None:
    centre = Centre(Options())
    with bound(centre) as peer:
        frames = peer.tell(submit(1), submit(2))
        peer.tell(acks_of(frames)[0])
    other = Peer(centre)
    (again,) = receipts_of(other.tell(pdu(BIND_TRANSCEIVER, 1, BIND)))
    assert again.source_addr == number_of(2)
    other.close()


def test_a_transmitter_gets_no_receipt_and_a_receiver_may_not_submit() -> None:
    centre = Centre(Options())
    with bound(centre, BIND_TRANSMITTER) as sender, bound(centre, BIND_RECEIVER) as receiver:
        assert receipts_of(sender.tell(submit(1))) == []
        (answer, deliver) = receiver.tell(submit(2))
    assert answer.command_status == ESME_RINVBNDSTS
    assert len(receipts_of([deliver])) == 1
    assert (centre.ledger().accepted, centre.ledger().refused) == (1, 1)


def test_a_wrong_password_is_refused() -> None:
    peer = Peer(Centre(Options()))
    (answer,) = peer.tell(pdu(BIND_TRANSCEIVER, 1, BIND.replace(b"bench\0\0", b"guess\0\0")))
    assert answer.command_status == ESME_RINVPASWD
    peer.close()


def test_an_unbind_ends_the_link_and_a_length_that_cannot_be_does_too() -> None:
    centre = Centre(Options())
    with bound(centre) as peer:
        (answer,) = peer.tell(pdu(ENQUIRE_LINK, 5), pdu(UNBIND, 6))[1:]
        assert (answer.command_id, peer.link.is_open) == (UNBIND | RESPONSE, False)
    with bound(centre) as peer:
        (answer,) = peer.tell(pdu(0x77, 7))
        assert answer.command_id == GENERIC_NACK
        peer.tell(struct.pack(">IIII", 8, SUBMIT_SM, 0, 8))
        assert not peer.link.is_open


def test_a_destination_that_came_twice_stands_out() -> None:
    centre = Centre(Options())
    with bound(centre) as peer:
        peer.tell(submit(1), submit(2), submit(3), submit(2))
    assert centre.ledger().destinations == {"1": 2, "2": 1}


def test_the_time_of_each_messages_first_segment_is_kept_by_its_index() -> None:
    stamps = array("d")
    before = time.monotonic()
    with bound(Centre(Options(), stamps)) as peer:
        peer.tell(submit(3))
        first = stamps[3]
        peer.tell(submit(3), submit(5))
    assert before <= first == stamps[3] <= stamps[5] <= time.monotonic()
    assert (len(stamps), stamps[0], stamps[4]) == (6, 0.0, 0.0)
