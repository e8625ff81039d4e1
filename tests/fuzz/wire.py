"""What comes over a carrier's stream, and what its PDUs hold: octets into sessions, codecs and
the readings of a receipt."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, Final
from zoneinfo import ZoneInfo

from smppd.errors import LocalProtocolError
from smppd.smpp import constants, data_sm, pdu, rare, sundry
from smppd.smpp.framing import PDU_BYTES_MAX, Frame, FrameBuffer, FramingFault
from smppd.smpp.message_id import candidate_ids, inverse_candidate_ids
from smppd.smpp.pdu import DeliverSm, PduFault, SubmitSm
from smppd.smpp.rare import BIND_COMMANDS, Bind, BindKind
from smppd.smpp.receipt import looks_like_receipt, parse_date, parse_receipt
from smppd.smpp.requests import Ask, Deliver, Submit
from smppd.smpp.session import Session, SubmitAnswer
from smppd.smpp.signals import (
    AskUnanswered,
    BindReceived,
    DeliverReceived,
    PeerFault,
    Signal,
    SubmitReceived,
    Unanswered,
    Unwritten,
)
from smppd.smpp.sundry import QuerySm
from smppd.store.changes import Quarantined
from smppd.text import gsm7, segment, ucs2
from smppd.text.reading import Piece, read_pieces
from smppd.traffic.settle import LinkProfile, settle
from tests.fuzz.feed import Feed, cut
from tests.smpp.pair import TIMERS, bound_pair

KINDS: Final[tuple[BindKind, ...]] = ("transceiver", "transmitter", "receiver")


# -- sessions -------------------------------------------------------------------------------------


class Tally:
    """Tags handed in, and tags that came back: each comes back once."""

    def __init__(self) -> None:
        self.given = 0
        self.back: set[bytes] = set()

    def make(self) -> bytes:
        self.given += 1
        return self.given.to_bytes(8, "big")

    def count(self, signals: list[Signal]) -> None:
        for signal in signals:
            for tag in _tags_of(signal):
                assert isinstance(tag, bytes)
                assert tag not in self.back, "a request ended twice"
                self.back.add(tag)


def _tags_of(signal: Signal) -> list[object]:
    if isinstance(signal, Unanswered | Unwritten | AskUnanswered):
        return signal.tags
    tag = getattr(signal, "tag", None)
    return [] if tag is None else [tag]


def _make_session(feed: Feed) -> Session:
    kind, window = feed.pick(KINDS), 1 + feed.byte() % 8
    version = 0x33 if feed.byte() & 1 else 0x34
    match feed.byte() % 5:
        case 0:
            return bound_pair(window=window, kind=kind, interface_version=version).esme
        case 1:
            return bound_pair(window=window, kind=kind, interface_version=version).smsc
        case 2:
            return Session("esme", window=window, timers=TIMERS, now=0.0)
        case 3:
            return Session("smsc", window=window, timers=TIMERS, now=0.0)
    session = Session("esme", window=window, timers=TIMERS, now=0.0)
    session.bind(Bind("smppd", "secret", kind=kind, interface_version=version), 0.0)
    return session


class Bench:
    """A session, a clock, and what a shell around it would do next."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.tally = Tally()
        self.now = 0.0
        self.heard: list[Signal] = []
        self.read = 0
        self.written = 0

    def hear(self, signals: list[Signal]) -> None:
        self.tally.count(signals)
        assert not any(isinstance(one, PeerFault) for one in signals[:-1]), "a fault comes last"
        self.heard = signals

    def receive(self, data: bytes) -> None:
        was_closed = self.session.closed
        self.read += len(data)
        signals = self.session.receive_data(data, self.now)
        assert not (was_closed and signals), "a closed session says nothing"
        self.hear(signals)

    def submit(self, feed: Feed) -> None:
        for _ in range(self.session.room):
            sm = SubmitSm("447700900123", feed.take(3))
            self.session.submit([Submit(self.tally.make(), sm)], self.now)

    def ask(self) -> None:
        if self.session.room:
            query = QuerySm("m1", 0, 0, "")
            self.session.ask([Ask(self.tally.make(), query)], self.now)

    def deliver(self, feed: Feed) -> None:
        for _ in range(self.session.deliver_room):
            sm = DeliverSm("12345", feed.take(3))
            self.session.deliver([Deliver(self.tally.make(), sm)], self.now)

    def answer(self, feed: Feed) -> None:
        for signal in self.heard:
            if isinstance(signal, BindReceived):
                if feed.byte() & 1:
                    self.session.refuse_bind(signal, constants.ESME_RBINDFAIL, self.now)
                else:
                    self.session.accept_bind(signal, "centre", self.now)
            elif isinstance(signal, SubmitReceived):
                number, command = signal.sequence_number, signal.command_id
                self.session.answer([SubmitAnswer(number, 0, "m1", command)])
        self.session.acknowledge(self.heard)

    def pass_time(self, seconds: float) -> None:
        self.now += seconds
        self.hear(self.session.handle_timers(self.now))

    def write(self) -> None:
        data = self.session.data_to_send()
        self.written += len(data)
        frames = FrameBuffer()
        assert not any(isinstance(one, FramingFault) for one in frames.receive(data))
        assert not frames.octets_waiting, "what goes out is whole PDUs"


def fuzz_session(data: bytes) -> None:
    """A session in any state, fed anything, with a shell around it doing what shells do. Each
    request ends once, what goes out is PDUs, and nothing is kept beyond one of them."""
    feed = Feed(data)
    bench = Bench(_make_session(feed))
    session = bench.session
    while not feed.is_empty:
        match feed.byte() % 8:
            case 0 | 1 | 2:
                bench.receive(feed.chunk())
            case 3:
                bench.submit(feed)
            case 4:
                bench.deliver(feed)
            case 5:
                bench.answer(feed)
            case 6:
                bench.pass_time(feed.byte() / 4)
            case 7:
                bench.write() if feed.byte() & 3 else bench.ask()
        assert session._frames.octets_waiting <= PDU_BYTES_MAX
    bench.write()
    bench.hear(session.receive_eof(bench.now))
    assert session.closed
    assert len(bench.tally.back) == bench.tally.given, "a request was forgotten"
    assert session.receive_data(b"\0" * 16, bench.now) == []
    assert session.receive_eof(bench.now) == []


def fuzz_framing(data: bytes) -> None:
    """However the octets are cut the frames are the same, and no length makes us keep more than
    was sent; what is no request we know is answered generic_nack by a session of either role."""
    feed = Feed(data)
    sizes = feed.chunk()
    octets = feed.rest()
    whole = FrameBuffer().receive(octets)
    buffer = FrameBuffer()
    frames: list[Frame | FramingFault] = []
    for piece in cut(octets, sizes):
        frames += buffer.receive(piece)
        assert buffer.octets_waiting <= min(len(octets), PDU_BYTES_MAX)
    assert frames == whole, "the cuts made a difference"
    pair = bound_pair()
    for session in (pair.esme, pair.smsc):
        session.data_to_send()
        signals = session.receive_data(octets, 0.0)
        _check_nacks([one for one in whole if isinstance(one, Frame)], session, signals)


def _check_nacks(frames: list[Frame], session: Session, signals: list[Signal]) -> None:
    answers = FrameBuffer().receive(session.data_to_send())
    nacked = {
        one.sequence_number
        for one in answers
        if isinstance(one, Frame) and one.command_id == constants.GENERIC_NACK
    }
    for frame in frames:
        if frame.command_id == constants.UNBIND or session.closed:
            return
        if frame.command_id not in KNOWN and not frame.command_id & constants.RESPONSE_BIT:
            assert frame.sequence_number in nacked, f"{frame.command_id:#x} was not answered"


KNOWN: Final = frozenset(
    {
        *BIND_COMMANDS.values(), constants.SUBMIT_SM, constants.DELIVER_SM, constants.DATA_SM,
        constants.QUERY_SM, constants.CANCEL_SM, constants.UNBIND, constants.ENQUIRE_LINK,
        constants.OUTBIND, constants.ALERT_NOTIFICATION,
    }
)  # fmt: skip


# -- codecs ---------------------------------------------------------------------------------------

Codec = tuple[Callable[[bytes], Any], Callable[[Any], bytes]]


def _encode_resp(message_id: str) -> bytes:
    return pdu.encode_submit_sm_resp(7, 0, message_id)


def _bind_codec(kind: BindKind) -> Codec:
    return functools.partial(rare.decode_bind, kind), lambda found: rare.encode_bind(found, 7)


CODECS: Final[tuple[Codec, ...]] = (
    (pdu.decode_submit_sm, lambda found: pdu.encode_submit_sm(found, 7)),
    (pdu.decode_deliver_sm, lambda found: pdu.encode_deliver_sm(found, 7)),
    (data_sm.decode_data_sm, lambda found: data_sm.encode_data_sm(found, 7)),
    (pdu.decode_submit_sm_resp, _encode_resp),
    (sundry.decode_query_sm, lambda found: sundry.encode_query_sm(found, 7)),
    (sundry.decode_query_sm_resp, lambda found: sundry.encode_query_sm_resp(found, 7)),
    (sundry.decode_cancel_sm, lambda found: sundry.encode_cancel_sm(found, 7)),
    (sundry.decode_alert_notification, lambda found: sundry.encode_alert_notification(found, 7)),
    (sundry.decode_outbind, lambda found: sundry.encode_outbind(found, 7)),
    *(_bind_codec(kind) for kind in KINDS),
)


def fuzz_codecs(data: bytes) -> None:
    """Any body is read or refused, and what was read is the same after our own writing of it;
    what our encoder would not write it says so of."""
    feed = Feed(data)
    decode, encode = feed.pick(CODECS)
    body = feed.rest()
    found = decode(body)
    rare.decode_bind_resp(body)
    if isinstance(found, PduFault):
        assert found.command_status, "a fault with the status of success"
        return
    repr(found)
    try:
        octets = encode(found)
    except LocalProtocolError:
        return  # We read what carriers send, and write what the specification allows.
    (frame,) = FrameBuffer().receive(octets)
    assert isinstance(frame, Frame)
    again = decode(frame.body)
    assert again == found, "writing it changed it"


# -- what a body means ----------------------------------------------------------------------------

CODINGS: Final = (0, 1, 3, 4, 8, 16, 240, 255)
ZONES: Final = (None, ZoneInfo("Asia/Shanghai"), ZoneInfo("Pacific/Apia"))
RULES: Final = ("auto", "same", "hex_to_dec", "dec_to_hex")
IDS_MAX: Final = 200
"""Spellings of one id: every one is a look into the store."""

TAGS: Final = (
    constants.TLV_MESSAGE_PAYLOAD,
    constants.TLV_RECEIPTED_MESSAGE_ID,
    constants.TLV_MESSAGE_STATE,
    constants.TLV_NETWORK_ERROR_CODE,
    constants.TLV_USER_MESSAGE_REFERENCE,
)


def fuzz_deliveries(data: bytes) -> None:
    """Any deliver_sm settles into one change, whatever its text, TLVs, header and dates are, and
    one that says nothing at all is kept beside it."""
    feed = Feed(data)
    esm_class, coding = feed.byte(), feed.pick(CODINGS)
    zone = feed.pick(ZONES)
    tlvs = {feed.pick(TAGS): feed.chunk() for _ in range(feed.byte() % 4)}
    source, destination = feed.take(12).decode("latin-1"), feed.take(12).decode("latin-1")
    body = feed.rest()
    found = DeliverSm(
        destination, body[:254], source_addr=source, esm_class=esm_class, data_coding=coding,
        tlvs=tlvs,
    )  # fmt: skip
    settled = settle([DeliverReceived(1, found)], LinkProfile("alpha", 0, zone), 1)
    assert len(settled.changes) == 1 or isinstance(settled.changes[1], Quarantined)
    repr(settled.changes)
    receipt = parse_receipt(body, tlvs, esm_class, coding)
    for name in receipt.ids:
        _check_ids(name)
    looks_like_receipt(body)


def _check_ids(name: str) -> None:
    for rule in RULES:
        for found in (candidate_ids(name, rule), inverse_candidate_ids(name, rule)):
            assert len(found) <= IDS_MAX
            assert len(found) == len(set(found))


FORMS: Final = tuple(
    segment.Form(long_message, alphabet)
    for long_message in ("udh8", "udh16", "sar", "payload")
    for alphabet in ("gsm7", "latin1", "ascii")
)


def _check_plan(text: str, feed: Feed) -> None:
    """An app's text is cut into as many pieces as it was told, whatever is in it."""
    for form in FORMS:
        planned = segment.plan(text, "auto", form)
        if isinstance(planned, segment.Plan):
            pieces = segment.split(text, planned.encoding, form, 1)
            assert len(pieces) == planned.submits


def fuzz_texts(data: bytes) -> None:
    """Octets become text that can be written as UTF-8, by every coding, and dates are dates."""
    feed = Feed(data)
    coding, has_udh = feed.pick(CODINGS), bool(feed.byte() & 1)
    octets = feed.rest()
    text = read_pieces([Piece(octets, coding, has_udh)], segment.PLAIN_FORM).text
    if text is not None:
        text.encode()
    septets = gsm7.decode(octets)
    again = gsm7.encode(septets)
    assert again is None or gsm7.decode(again) == septets
    shown = ucs2.decode(octets)
    assert ucs2.decode(ucs2.encode(shown)) == shown
    parse_date(octets.decode("latin-1"))
    _check_plan(octets.decode("utf-8", "replace"), feed)
    _check_ids(octets.decode("latin-1")[:64])
