"""The submits of one read, side by side with what was decided of them.

Lists in, lists out: each function adds a column to the batch, or draws one from it. Where the
columns go (a schedule of answers, the deliveries, a ledger) is for ``carrier`` to say.
"""

from __future__ import annotations

from typing import Final, TypeVar

import msgspec

from smppd.simulator.behaviour import Behaviour, IdFormat
from smppd.simulator.decisions import Decisions, spell_receipt_id
from smppd.simulator.deliveries import (
    ENROUTE,
    Delivery,
    HeldAnswer,
    Outcome,
    build_receipt,
    receipt_date,
    wants_receipt,
)
from smppd.simulator.schedule import Schedule
from smppd.smpp.constants import ESME_RMSGQFUL, ESME_ROK
from smppd.smpp.pdu import SubmitSm
from smppd.smpp.session import SubmitAnswer
from smppd.smpp.signals import SubmitReceived

_T = TypeVar("_T")

TLV_FORMS: Final = frozenset({"text+tlv", "tlv"})
"""The forms of a receipt that have TLVs."""


class Batch(msgspec.Struct):
    """One element a submit in each list; a receipt is None where there is to be none.

    ``answer_ats`` and ``final_ats`` say when each is answered and when its outcome is true.
    ``wall`` is Unix seconds and ``date`` what receipts make of it, both of the moment ``now``.
    """

    signals: list[SubmitReceived]
    answers: list[SubmitAnswer]
    answer_ats: list[float]
    outcomes: list[Outcome]
    final_ats: list[float]
    id_format: IdFormat
    now: float
    wall: float
    date: bytes
    receipts: list[Delivery | None] = []
    receipts_lost: int = 0
    responses_lost: int = 0


def decide(
    behaviour: Behaviour,
    decisions: Decisions,
    signals: list[SubmitReceived],
    now: float,
    wall: float,
    *,
    is_old: bool,
    is_full: bool,
) -> Batch:
    """What becomes of each. ``is_old``: their bind is of SMPP 3.3; ``is_full``: none is taken."""
    count = len(signals)
    statuses = decisions.statuses(behaviour, signals, now)
    if is_full:
        statuses = [ESME_RMSGQFUL] * count
    id_format = "hex" if is_old and behaviour.hex_ids_on_3_3 else behaviour.id_format
    ids = iter(decisions.message_ids(id_format, statuses.count(ESME_ROK)))
    answers = [
        SubmitAnswer(signal.sequence_number, status, "" if status else next(ids), signal.command_id)
        for signal, status in zip(signals, statuses, strict=True)
    ]
    answer_ats = decisions.after([now] * count, "response_delay", behaviour.response_delay)
    starts = [now] * count if behaviour.receipts_before_responses else answer_ats
    final_ats = decisions.after(starts, "receipt_delay", behaviour.receipt_delay)
    outcomes = decisions.outcomes(behaviour, count)
    date = receipt_date(wall)
    batch = Batch(signals, answers, answer_ats, outcomes, final_ats, id_format, now, wall, date)
    batch.receipts = _build_receipts(behaviour, batch)
    _lose_receipts(behaviour, decisions, batch)
    return batch


def build_one_receipt(
    behaviour: Behaviour, batch: Batch, submit: SubmitSm, message_id: str, outcome: Outcome
) -> Delivery:
    """The receipt of one submit of the batch, saying ``outcome``."""
    if behaviour.receipt_id_format != "same":
        message_id = spell_receipt_id(behaviour, message_id, batch.id_format)
    with_tlvs = behaviour.receipt in TLV_FORMS
    pdu = build_receipt(submit, message_id, outcome, batch.date, with_tlvs=with_tlvs)
    return Delivery(pdu, True)


def build_early_receipts(
    behaviour: Behaviour, decisions: Decisions, batch: Batch
) -> list[Delivery | None]:
    """For some of those with a receipt one before it, that the message is on its way."""
    lots = decisions.strikes("enroute", behaviour.enroute_rate, len(batch.receipts))
    columns = zip(batch.signals, batch.answers, batch.receipts, lots, strict=True)
    return [
        build_one_receipt(behaviour, batch, signal.pdu, answer.message_id, ENROUTE)
        if struck and receipt
        else None
        for signal, answer, receipt, struck in columns
    ]


def build_doubles(
    behaviour: Behaviour, decisions: Decisions, batch: Batch
) -> list[Delivery | None]:
    """Some of the receipts once more."""
    lots = decisions.strikes("double_receipt", behaviour.double_receipt_rate, len(batch.receipts))
    return [
        Delivery(one.pdu, is_receipt=True, original=one) if struck and one else None
        for struck, one in zip(lots, batch.receipts, strict=True)
    ]


def find_answers(
    behaviour: Behaviour, decisions: Decisions, batch: Batch, answers: Schedule[SubmitAnswer]
) -> tuple[list[SubmitAnswer], list[float]]:
    """Those that are to be given, and when: not the lost ones, nor those held for a receipt."""
    made, ats, receipts = batch.answers, batch.answer_ats, batch.receipts
    if behaviour.lose_response_rate:
        lots = decisions.strikes("lose_response", behaviour.lose_response_rate, len(made))
        batch.responses_lost = sum(lots)
        kept = [index for index, lost in enumerate(lots) if not lost]
        made, ats, receipts = _pick(made, kept), _pick(ats, kept), _pick(receipts, kept)
    if behaviour.receipts_before_responses:
        for answer, at, receipt in zip(made, ats, receipts, strict=True):
            if receipt:
                receipt.held = HeldAnswer(answers, answer, at)
        free = [index for index, receipt in enumerate(receipts) if not receipt]
        made, ats = _pick(made, free), _pick(ats, free)
    return made, ats


def _build_receipts(behaviour: Behaviour, batch: Batch) -> list[Delivery | None]:
    columns = zip(batch.signals, batch.answers, batch.outcomes, strict=True)
    return [
        build_one_receipt(behaviour, batch, signal.pdu, answer.message_id, outcome)
        if not answer.command_status and wants_receipt(signal.pdu.registered_delivery, outcome)
        else None
        for signal, answer, outcome in columns
    ]


def _lose_receipts(behaviour: Behaviour, decisions: Decisions, batch: Batch) -> None:
    if not behaviour.lose_receipt_rate:
        return
    lots = decisions.strikes("lose_receipt", behaviour.lose_receipt_rate, len(batch.receipts))
    for index, lost in enumerate(lots):
        if lost and batch.receipts[index]:
            batch.receipts[index] = None
            batch.receipts_lost += 1


def _pick(column: list[_T], indexes: list[int]) -> list[_T]:
    return [column[index] for index in indexes]
