"""An ESME and an SMSC session joined without a network, and raw PDUs to feed either of them."""

from __future__ import annotations

import json
from pathlib import Path

from smppd.smpp.framing import Frame, FrameBuffer, FramingFault
from smppd.smpp.pdu import HEADER, DeliverSm, SubmitSm
from smppd.smpp.rare import Bind, BindKind
from smppd.smpp.session import Role, Session, Submit, Timers
from smppd.smpp.signals import BindReceived, Signal

CREDENTIALS = Bind(system_id="smppd", password="secret")
TIMERS = Timers(
    session_init_timer=10.0, enquire_link_timer=60.0, response_timer=30.0, inactivity_timer=0.0
)
HELLO = SubmitSm(destination_addr="447700900123", short_message=b"hello")
REPLY = DeliverSm(destination_addr="12345", short_message=b"STOP", source_addr="447700900123")


class Pair:
    """Both ends of one bind; ``to_*`` moves what the other end has queued."""

    def __init__(self, *, window: int = 10, timers: Timers = TIMERS, now: float = 0.0) -> None:
        self.esme = Session("esme", window=window, timers=timers, now=now)
        self.smsc = Session("smsc", window=window, timers=timers, now=now)

    def to_smsc(self, now: float = 0.0) -> list[Signal]:
        return self.smsc.receive_data(self.esme.data_to_send(), now)

    def to_esme(self, now: float = 0.0) -> list[Signal]:
        return self.esme.receive_data(self.smsc.data_to_send(), now)

    def bind(self, now: float = 0.0, bind: Bind = CREDENTIALS) -> None:
        self.esme.bind(bind, now)
        (received,) = self.to_smsc(now)
        assert isinstance(received, BindReceived)
        self.smsc.accept_bind(received, "centre", now)
        self.to_esme(now)


def bound_pair(
    *,
    window: int = 10,
    timers: Timers = TIMERS,
    kind: BindKind = "transceiver",
    interface_version: int = 0x34,
) -> Pair:
    """A pair that has bound at 0.0, with nothing queued."""
    pair = Pair(window=window, timers=timers)
    bind = Bind("smppd", "secret", kind=kind, interface_version=interface_version)
    pair.bind(bind=bind)
    return pair


def bound_esme(*, window: int = 10, timers: Timers = TIMERS) -> Session:
    """An ESME that has bound at 0.0, with nothing queued."""
    return bound_pair(window=window, timers=timers).esme


def bound_smsc(*, window: int = 10, timers: Timers = TIMERS) -> Session:
    """An SMSC that has bound at 0.0, with nothing queued."""
    return bound_pair(window=window, timers=timers).smsc


def session_in(role: Role, state: str) -> Session:
    """A session in any state but closed, with nothing queued."""
    pair = Pair()
    session = pair.esme if role == "esme" else pair.smsc
    if state != "open":
        pair.esme.bind(CREDENTIALS, 0.0)
        (received,) = pair.to_smsc()
        assert isinstance(received, BindReceived)
        if state != "binding":
            pair.smsc.accept_bind(received, "centre", 0.0)
            pair.to_esme()
    if state == "unbinding":
        session.unbind(0.0)
    session.data_to_send()
    assert session.state == state
    return session


def raw(command_id: int, sequence_number: int, command_status: int = 0, body: bytes = b"") -> bytes:
    """One PDU with a true command_length, whatever else it holds."""
    return HEADER.pack(16 + len(body), command_id, command_status, sequence_number) + body


def frames_of(octets: bytes) -> list[Frame]:
    """The PDUs of a stream that has to be sound."""
    frames = FrameBuffer().receive(octets)
    assert not any(isinstance(frame, FramingFault) for frame in frames)
    return [frame for frame in frames if isinstance(frame, Frame)]


def sent_by(session: Session) -> list[Frame]:
    """What the session wants written, as PDUs."""
    return frames_of(session.data_to_send())


def submits(*tags: object) -> list[Submit]:
    """A submit_sm for each tag."""
    return [Submit(tag, HELLO) for tag in tags]


def golden_pdus() -> list[bytes]:
    """PDUs of real centres; their order is that of the file."""
    path = Path(__file__).parent.parent / "golden" / "pdus.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines()
    return [bytes.fromhex(json.loads(line)["hex"]) for line in lines]
