"""The questions of one session: query_sm and cancel_sm, from the asking to the answer.

They stand in the window beside the submits, but not among them: a question that stays unanswered
puts no message in doubt, stalls no bind, and is told as what it is. Every question waits equally
long, so the first one is always the next to be overdue (as in ``window.py``).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import msgspec

from smppd.smpp.constants import (
    CANCEL_SM_RESP,
    ESME_ROK,
    QUERY_SM_RESP,
)
from smppd.smpp.pdu import PduFault
from smppd.smpp.requests import Ask
from smppd.smpp.signals import AskUnanswered, CancelAnswered, QueryAnswered
from smppd.smpp.sundry import (
    CancelSm,
    QuerySm,
    decode_query_sm_resp,
    encode_cancel_sm,
    encode_query_sm,
)

AskPdu = QuerySm | CancelSm

# Which question a response answers: matched by number and by command (section 5.1.4).
ANSWERED_BY: Final[dict[int, type[AskPdu]]] = {QUERY_SM_RESP: QuerySm, CANCEL_SM_RESP: CancelSm}


class Waiting(msgspec.Struct, frozen=True):
    """One question without its answer; ``deadline`` is in seconds of the session's clock."""

    ask: Ask
    deadline: float


class Asks:
    """What was asked and not answered, by sequence_number, oldest first."""

    __slots__ = ("_waiting",)

    def __init__(self) -> None:
        self._waiting: dict[int, Waiting] = {}

    def __len__(self) -> int:
        return len(self._waiting)

    def __contains__(self, sequence_number: object) -> bool:
        return sequence_number in self._waiting

    def has_none_of(self, numbers: range) -> bool:
        """Whether none waits under any of ``numbers``."""
        return self._waiting.keys().isdisjoint(numbers)

    def add(self, asks: Sequence[Ask], numbers: list[int], deadline: float) -> list[bytes]:
        """The PDUs to send; none may be due before one that waits."""
        octets = [encode_ask(ask.pdu, number) for ask, number in zip(asks, numbers, strict=True)]
        waiting = [Waiting(ask, deadline) for ask in asks]
        self._waiting.update(zip(numbers, waiting, strict=True))
        return octets

    def finish(
        self, command_id: int, sequence_number: int, command_status: int, body: bytes
    ) -> QueryAnswered | CancelAnswered | None:
        """What a response says, or None where nobody asked that."""
        waiting = self._waiting.get(sequence_number)
        if waiting is None or type(waiting.ask.pdu) is not ANSWERED_BY[command_id]:
            return None
        del self._waiting[sequence_number]
        return _read_answer(waiting.ask, command_status, body)

    def nack(
        self, sequence_number: int, command_status: int
    ) -> QueryAnswered | CancelAnswered | None:
        """A generic_nack is an answer to either, and never a good one."""
        waiting = self._waiting.pop(sequence_number, None)
        return None if waiting is None else _read_answer(waiting.ask, command_status, b"")

    def first_deadline(self) -> float:
        """When the oldest is overdue; ``math.inf`` while nothing waits."""
        for waiting in self._waiting.values():
            return waiting.deadline
        return math.inf

    def end_overdue(self, now: float) -> list[AskUnanswered]:
        """Takes out what is overdue, told in one signal."""
        overdue = [number for number, one in self._waiting.items() if one.deadline <= now]
        tags = [self._waiting.pop(number).ask.tag for number in overdue]
        return [AskUnanswered(tags)] if tags else []


def encode_ask(pdu: AskPdu, sequence_number: int) -> bytes:
    """The whole PDU. ``LocalProtocolError`` for a field that is too long or not ASCII."""
    if isinstance(pdu, QuerySm):
        return encode_query_sm(pdu, sequence_number)
    return encode_cancel_sm(pdu, sequence_number)


def _read_answer(ask: Ask, command_status: int, body: bytes) -> QueryAnswered | CancelAnswered:
    if isinstance(ask.pdu, CancelSm):
        return CancelAnswered(ask.tag, command_status)
    said = decode_query_sm_resp(body) if command_status == ESME_ROK else None
    if said is None or isinstance(said, PduFault):
        return QueryAnswered(ask.tag, command_status)
    return QueryAnswered(
        ask.tag,
        command_status,
        said.message_id,
        said.final_date,
        said.message_state,
        said.error_code,
    )
