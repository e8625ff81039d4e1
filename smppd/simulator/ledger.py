"""What a carrier was given, submit by submit: the evidence of a test.

Kept in memory, or written as JSON lines, one write a read, so that it outlives the process. A
submit that was never answered has no command_status: the client may rightly send it again.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec

from smppd.smpp.constants import (
    DATA_CODING_DEFAULT,
    DATA_CODING_LATIN1,
    DATA_CODING_UCS2,
    ESM_UDHI,
    ESME_ROK,
    TLV_MESSAGE_PAYLOAD,
)
from smppd.smpp.pdu import SubmitSm
from smppd.smpp.session import SubmitAnswer
from smppd.smpp.signals import SubmitReceived
from smppd.text import gsm7, ucs2

SUBMITS_MAX: Final = 2_000_000
"""Submits that are kept in memory and told apart: some two gigabytes of them, far more than a
test needs. Beyond it nothing is kept and no duplicate seen, and ``unrecorded`` says so."""


class SubmitRecord(msgspec.Struct, frozen=True, gc=False):
    """One submit_sm as it came in.

    ``text`` is decoded where data_coding says how (0, 3 and 8), else it is empty and ``raw``
    has the octets in hexadecimal; ``udh`` is the user data header with its length, in hexadecimal
    too. ``command_status`` is None and ``message_id`` empty where there was no answer. ``time``
    is Unix seconds.
    """

    carrier: str
    sequence_number: int
    source: str
    destination: str
    text: str
    raw: str
    udh: str
    registered_delivery: int
    message_id: str
    command_status: int | None
    time: float


class Ledger:
    """The submits of one carrier, in order; in memory, or appended to the file ``path``."""

    def __init__(self, carrier: str, path: Path | None = None) -> None:
        self.duplicates = 0
        self.unrecorded = 0
        self._carrier = carrier
        self._path = path
        self._encoder = msgspec.json.Encoder()
        self._seen: set[int] = set()
        self._submits: list[_Submit] = []

    def write(
        self, signals: list[SubmitReceived], answers: Sequence[SubmitAnswer | None], time: float
    ) -> None:
        """Add the submits of one read, and the answer of each: None where there is none."""
        submits = [
            _Submit(signal.sequence_number, signal.pdu, answer, time)
            for signal, answer in zip(signals, answers, strict=True)
        ]
        self._find_duplicates(submits)
        if self._path:
            lines = self._encoder.encode_lines(self._describe(submits))
            with self._path.open("ab", buffering=0) as file:
                file.write(lines)
            return
        kept = submits[: max(0, SUBMITS_MAX - len(self._submits))]
        self._submits += kept
        self.unrecorded += len(submits) - len(kept)

    def records(self) -> list[SubmitRecord]:
        """What was seen so far; nothing of what went to a file."""
        return self._describe(self._submits)

    def _find_duplicates(self, submits: list[_Submit]) -> None:
        """By a 64-bit hash: two of a million differ and collide once in some thirty million."""
        if len(self._seen) >= SUBMITS_MAX:
            return
        accepted = [
            hash((pdu.source_addr, pdu.destination_addr, _user_data(pdu)))
            for pdu in (one.pdu for one in submits if one.is_accepted)
        ]
        before = len(self._seen)
        self._seen.update(accepted)
        self.duplicates += before + len(accepted) - len(self._seen)

    def _describe(self, submits: list[_Submit]) -> list[SubmitRecord]:
        return [_describe(self._carrier, submit) for submit in submits]


class _Submit(msgspec.Struct, frozen=True, gc=False):
    sequence_number: int
    pdu: SubmitSm
    answer: SubmitAnswer | None
    time: float

    @property
    def is_accepted(self) -> bool:
        return self.answer is not None and self.answer.command_status == ESME_ROK


def _describe(carrier: str, submit: _Submit) -> SubmitRecord:
    pdu = submit.pdu
    body = _user_data(pdu)
    header = b""
    if pdu.esm_class & ESM_UDHI and body:
        header, body = body[: body[0] + 1], body[body[0] + 1 :]
    text = _text(body, pdu.data_coding)
    return SubmitRecord(
        carrier,
        submit.sequence_number,
        pdu.source_addr,
        pdu.destination_addr,
        text or "",
        body.hex() if text is None else "",
        header.hex(),
        pdu.registered_delivery,
        submit.answer.message_id if submit.answer else "",
        submit.answer.command_status if submit.answer else None,
        submit.time,
    )


def _user_data(pdu: SubmitSm) -> bytes:
    return pdu.short_message or pdu.tlvs.get(TLV_MESSAGE_PAYLOAD, b"")


def _text(body: bytes, data_coding: int) -> str | None:
    if data_coding == DATA_CODING_DEFAULT:
        return gsm7.decode(body)
    if data_coding == DATA_CODING_UCS2:
        return ucs2.decode(body)
    return body.decode("latin-1") if data_coding == DATA_CODING_LATIN1 else None
