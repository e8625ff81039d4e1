"""What a carrier was given, submit by submit: the evidence of a test.

Kept in memory, or written as JSON lines, one write a read, so that it outlives the process. A
submit that was never answered has no command_status: the client may rightly send it again.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec

from smppd.simulator.join import MessageRecord, SubmitRecord, decode_text, join
from smppd.smpp.constants import ESM_UDHI, ESME_ROK, TLV_MESSAGE_PAYLOAD, command_name
from smppd.smpp.pdu import SubmitSm
from smppd.smpp.session import SubmitAnswer
from smppd.smpp.signals import SubmitReceived
from smppd.text.segment import Alphabet

SUBMITS_MAX: Final = 2_000_000
"""Submits that are kept in memory and told apart: some two gigabytes of them, far more than a
test needs. Beyond it nothing is kept and no duplicate seen, and ``unrecorded`` says so."""


def _open_private(path: str, flags: int) -> int:
    """Texts and numbers are in it, and secrets of a rehearsal."""
    return os.open(path, flags, 0o600)


class Ledger:
    """The submits of one carrier, in order; in memory, or appended to the file ``path``."""

    def __init__(self, carrier: str, path: Path | None = None, alphabet: Alphabet = "gsm7") -> None:
        self.duplicates = 0
        self.unrecorded = 0
        self._carrier = carrier
        self._alphabet = alphabet
        self._path = path
        self._encoder = msgspec.json.Encoder()
        self._seen: set[int] = set()
        self._submits: list[_Submit] = []

    def write(
        self, signals: list[SubmitReceived], answers: Sequence[SubmitAnswer | None], time: float
    ) -> None:
        """Add the submits of one read, and the answer of each: None where there is none."""
        submits = [
            _Submit(signal, answer, time) for signal, answer in zip(signals, answers, strict=True)
        ]
        self._find_duplicates(submits)
        if self._path:
            lines = self._encoder.encode_lines(self._describe(submits))
            with open(self._path, "ab", buffering=0, opener=_open_private) as file:
                file.write(lines)
            return
        kept = submits[: max(0, SUBMITS_MAX - len(self._submits))]
        self._submits += kept
        self.unrecorded += len(submits) - len(kept)

    def records(self) -> list[SubmitRecord]:
        """What was seen so far; nothing of what went to a file."""
        return self._describe(self._submits)

    def messages(self) -> list[MessageRecord]:
        """What was accepted so far, its segments joined again."""
        return join([record for record in self.records() if record.command_status == ESME_ROK])

    def _find_duplicates(self, submits: list[_Submit]) -> None:
        """By a 64-bit hash: two of a million differ and collide once in some thirty million."""
        if len(self._seen) >= SUBMITS_MAX:
            return
        accepted = [
            hash((pdu.source_addr, pdu.destination_addr, _user_data(pdu)))
            for pdu in (one.signal.pdu for one in submits if one.is_accepted)
        ]
        before = len(self._seen)
        self._seen.update(accepted)
        self.duplicates += before + len(accepted) - len(self._seen)

    def _describe(self, submits: list[_Submit]) -> list[SubmitRecord]:
        return [
            describe(self._carrier, one.signal, one.answer, one.time, self._alphabet)
            for one in submits
        ]


class _Submit(msgspec.Struct, frozen=True, gc=False):
    signal: SubmitReceived
    answer: SubmitAnswer | None
    time: float

    @property
    def is_accepted(self) -> bool:
        return self.answer is not None and self.answer.command_status == ESME_ROK


def describe(
    carrier: str,
    signal: SubmitReceived,
    answer: SubmitAnswer | None,
    time: float,
    alphabet: Alphabet,
) -> SubmitRecord:
    """One submit as a record; ``alphabet`` is what data_coding 0 means here."""
    pdu = signal.pdu
    body = _user_data(pdu)
    header = b""
    if pdu.esm_class & ESM_UDHI and body:
        header, body = body[: body[0] + 1], body[body[0] + 1 :]
    text = decode_text(body, pdu.data_coding, alphabet, header)
    return SubmitRecord(
        carrier,
        signal.sequence_number,
        pdu.source_addr,
        pdu.destination_addr,
        text or "",
        body.hex() if text is None else "",
        header.hex(),
        pdu.registered_delivery,
        answer.message_id if answer else "",
        answer.command_status if answer else None,
        time,
        body.hex(),
        pdu.data_coding,
        pdu.esm_class,
        command_name(signal.command_id),
        {f"{tag:04x}": v.hex() for tag, v in pdu.tlvs.items() if tag != TLV_MESSAGE_PAYLOAD},
        pdu.validity_period,
        alphabet,
    )


def _user_data(pdu: SubmitSm) -> bytes:
    return pdu.short_message or pdu.tlvs.get(TLV_MESSAGE_PAYLOAD, b"")
