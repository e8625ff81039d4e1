"""What goes out to a carrier for what an app submits: its TOML is read, the submit judged, kept,
granted, and written by a bound session, whose octets are read again here."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from smppd.api.answers import AcceptedAnswer, RejectedAnswer
from smppd.api.conversation import Conversation
from smppd.api.fields import Quote, Submit
from smppd.api.intake import Intake
from smppd.api.peers import Rights
from smppd.api.replies import conclude
from smppd.config import AppConfig, load
from smppd.daemon.build import build_form, build_forms, build_profile
from smppd.routing.msisdn import NumberPlan
from smppd.routing.table import Route
from smppd.smpp import constants as c
from smppd.smpp.data_sm import DataSm, decode_data_sm
from smppd.smpp.pdu import SubmitSm, decode_submit_sm
from smppd.smpp.session import Submit as Outgoing
from smppd.store.changes import Verdict
from smppd.text.reading import Piece, read_pieces
from tests.config.house import CARRIER, write_config
from tests.house import House
from tests.smpp.pair import bound_esme, sent_by

PHONE = "491701234567"
APPS = {"shop": AppConfig(), "smart": AppConfig(smart_encoding=True)}
NOW_MS = 1_795_292_101_000

OpenWire = Callable[..., "Wire"]


class Wire:
    """Carrier alpha with these lines in its TOML, bound; ``app`` submits, and all goes to alpha."""

    def __init__(self, directory: Path, *lines: str, app: str = "shop", **settings: object) -> None:
        write_config(directory, carrier=CARRIER + "\n".join(lines) + "\n")
        config = load(directory)
        alpha = config.carriers["alpha"]
        self.form = build_form(alpha)
        self.house = House(
            directory / "state",
            profile=build_profile(alpha),
            carriers=("alpha",),
            routes=[Route("", "alpha", "0.01")],
            **{"window": 100, **settings},  # type: ignore[arg-type]
        )
        for bind in range(len(self.house.states["alpha"].slots)):
            self.house.up(bind=bind)
        self.session = bound_esme(window=1_000)
        self.intake = Intake(
            "smppd",
            APPS,
            config.classes,
            self.house.table,
            NumberPlan(),
            forms=build_forms(config),
        )
        self._conversation = Conversation(self.intake, Rights((app,), operator=False))
        self.written: list[Outgoing] = []
        """What alpha was given last."""

    def submit(
        self, text: str | None = None, ref: str = "r1", to: str = PHONE, **fields: object
    ) -> AcceptedAnswer | RejectedAnswer:
        """What the app is answered."""
        given: dict[str, object] = {} if text is None else {"text": text}
        submit = Submit(ref=ref, to="+" + to, sender="ACME", **given, **fields)  # type: ignore[arg-type]
        admission = self._conversation.admit([submit], self.house.now, 10, 10)
        (answer,) = conclude(admission.replies, self.house.commit(admission.changes))
        assert isinstance(answer, AcceptedAnswer | RejectedAnswer)
        return answer

    def quote(self, text: str, **fields: object) -> dict[str, object]:
        """The answer to a quote."""
        quote = Quote(to="+" + PHONE, sender="ACME", text=text, **fields)  # type: ignore[arg-type]
        admission = self._conversation.admit([quote], self.house.now, 10, 10)
        (answer,) = conclude(admission.replies, [])
        told: dict[str, object] = msgspec.to_builtins(answer)
        return told

    def take(self, bind: int = 0) -> list[SubmitSm]:
        """The submit_sm's that alpha is given now, from their octets."""
        self.written = self.house.take(bind=bind)
        self.session.submit(self.written, 0.0)
        read = [decode_submit_sm(frame.body) for frame in sent_by(self.session)]
        assert all(isinstance(pdu, SubmitSm) for pdu in read), read
        return [pdu for pdu in read if isinstance(pdu, SubmitSm)]

    def take_data(self) -> list[DataSm]:
        """The same of a carrier that is given data_sm."""
        self.session.submit(self.house.take(), 0.0)
        read = [decode_data_sm(frame.body) for frame in sent_by(self.session)]
        return [pdu for pdu in read if isinstance(pdu, DataSm)]

    def answer(self, verdict: Verdict = Verdict.TAKEN, status: int = 0, *indexes: int) -> None:
        """Alpha answers what it was given, or those of it."""
        written = [self.written[index] for index in indexes] if indexes else self.written
        self.house.answer(written, verdict=verdict, status=status)

    def send(self, text: str | None = None, **fields: object) -> list[SubmitSm]:
        """Both: a submit that is accepted, and what alpha is given for it."""
        answer = self.submit(text, **fields)  # type: ignore[arg-type]
        assert isinstance(answer, AcceptedAnswer), answer
        submits = self.take()
        self.answer()
        return submits

    def read(self, submits: list[SubmitSm]) -> str | None:
        """What a phone shows of these, all of one message."""
        pieces = [
            Piece(
                pdu.tlvs.get(c.TLV_MESSAGE_PAYLOAD) or pdu.short_message,
                pdu.data_coding,
                bool(pdu.esm_class & c.ESM_UDHI),
                number,
            )
            for number, pdu in enumerate(submits, 1)
        ]
        return read_pieces(pieces, self.form).text


def in_base64(octets: bytes) -> str:
    """As an app writes ``data`` and ``udh``."""
    return base64.b64encode(octets).decode()


@pytest.fixture
def open_wire(tmp_path: Path) -> Iterator[OpenWire]:
    """Opens one wire, with lines of its carrier's TOML."""
    wires: list[Wire] = []

    def open_wire(*lines: str, **settings: object) -> Wire:
        directory = tmp_path / str(len(wires))
        directory.mkdir()
        wires.append(Wire(directory, *lines, **settings))  # type: ignore[arg-type]
        return wires[-1]

    yield open_wire
    for wire in wires:
        wire.house.close()
