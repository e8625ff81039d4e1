"""What an operator has of a carrier's octets: a capture of them, and a quarantine of those that
nobody could read. Neither may lose, invent or show what it should not, nor harm another carrier."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Final

from smppd.smpp import constants
from smppd.smpp.asks import AskPdu
from smppd.smpp.capture import CapturedLink, PduCutter, file_header
from smppd.smpp.pdu import DeliverSm, encode_deliver_sm
from smppd.smpp.redaction import PARTS, redact_pdu
from smppd.smpp.signals import PduRefused
from smppd.smpp.sundry import CancelSm, QuerySm
from smppd.store import evidence
from smppd.store.quarantine import PDU_OCTETS_MAX
from smppd.traffic.asking import Questions
from smppd.traffic.settle import LinkProfile, settle
from tests.fuzz.feed import Feed, cut
from tests.fuzz.ledger import MEMORY
from tests.house import House
from tests.smpp.captured import carried_by, records_of
from tests.smpp.pair import bound_esme, raw

STEPS_MAX: Final = 40
"""PDUs of one input."""

COMMANDS: Final = (
    constants.DELIVER_SM,
    constants.DATA_SM,
    constants.SUBMIT_SM_RESP,
    constants.DATA_SM_RESP,
    constants.QUERY_SM_RESP,
    constants.CANCEL_SM_RESP,
    constants.ALERT_NOTIFICATION,
    constants.GENERIC_NACK,
    constants.ENQUIRE_LINK,
    0x00010200,
    constants.REPLACE_SM,
)

ASKS: Final[tuple[AskPdu, ...]] = (QuerySm("m1"), CancelSm("m1"), QuerySm("\u00e9"))


def fuzz_capture(data: bytes) -> None:
    """However a stream is cut, the file has its octets, no more and no less, in packets that their
    headers fit; redacted it is as long, and has nothing of a text."""
    feed = Feed(data)
    sizes, text = feed.chunk(), feed.take(feed.byte() % 100)
    esm_class, coding = feed.byte(), feed.byte()
    pdu = encode_deliver_sm(DeliverSm("5", text, esm_class=esm_class, data_coding=coding), 1)
    octets = pdu + feed.rest()
    pieces = list(cut(octets, sizes))
    cutter = PduCutter()
    assert b"".join([*(pdu for one in pieces for pdu in cutter.cut(one)), *cutter.take_rest()]) == (
        octets
    )
    for redact in (None, redact_pdu):
        link = CapturedLink(1) if redact is None else CapturedLink(1, redact)
        capture = file_header() + link.begin(1)
        for number, piece in enumerate(pieces):
            capture += link.received(piece, number)
        packets = records_of(capture + link.end(len(pieces)))
        assert all(int.from_bytes(one[2:4], "big") == len(one) for one in packets)
        carried = b"".join(map(carried_by, packets))
        assert len(carried) == len(octets)
        assert redact is not None or carried == octets
    shown = redact_pdu(pdu)
    assert len(shown) == len(pdu)
    if not esm_class & 0x64 and len(text) > 4:
        assert shown.endswith(b"x" * len(text)), "a text was shown"


def fuzz_quarantine(data: bytes) -> None:
    """Whatever a carrier sends in whatever PDU: what is refused is kept as it came, in bounds, and
    another carrier's message goes out and comes back as ever. Every question is answered once."""
    feed = Feed(data)
    with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as directory:
        house = House(Path(directory), map_size=64 << 20)
        try:
            sent = _send_rubbish(house, feed)
            _check_kept(house, sent)
            _check_neighbour(house)
        finally:
            house.close()


def _send_rubbish(house: House, feed: Feed) -> list[bytes]:
    session, profile = bound_esme(window=10), LinkProfile("alpha", 0)
    questions = Questions()
    put = questions.put([feed.pick(ASKS) for _ in range(feed.byte() % 4)])
    session.ask(questions.take(session.room, window=20), 0.0)
    session.data_to_send()
    sent: list[bytes] = []
    for number in range(STEPS_MAX):
        if feed.is_empty or session.closed:
            break
        command, sequence = feed.pick(COMMANDS), 1 + feed.byte() % 8
        sent.append(raw(command, sequence, feed.byte() % 2, feed.chunk()))
        signals = session.receive_data(sent[-1], float(number))
        settlement = settle(signals, profile, house.now)
        assert len(settlement.changes) <= 2
        house.commit(settlement.changes)
        for notice in settlement.notices:
            questions.hear(notice)
            assert not isinstance(notice, PduRefused) or notice.body == sent[-1][16:]
        session.acknowledge(signals)
        session.data_to_send()
    questions.end()
    assert all(question.done.is_set() for question in put), "somebody waits for ever"
    return sent


def _check_kept(house: House, sent: list[bytes]) -> None:
    listed = house.store.quarantined(rows_max=1_000)
    assert len(listed) == house.store.statistics().quarantine <= evidence.ROWS_MAX
    for one in listed:
        (row,) = house.store.quarantined(number=int(one.id, 16))
        pdu = bytes.fromhex(row.pdu)
        is_receipt = "receipt" in row.reason  # written again, as it could be read
        assert is_receipt or any(pdu == octets[:PDU_OCTETS_MAX] for octets in sent)
        assert len(redact_pdu(pdu)) == len(pdu)


def _check_neighbour(house: House) -> None:
    house.up("beta")
    house.submit("neighbour", to="8613800138000")
    submits = house.take("beta")
    house.answer(submits, carrier="beta", ids=["b1"])
    house.commit([house.receipt("b1", carrier="beta", source="8613800138000")])
    assert ("neighbour", "delivered") in house.told(), "another carrier was disturbed"


assert set(COMMANDS) - set(PARTS) == {0x00010200}, "what is shown in part is fuzzed"
