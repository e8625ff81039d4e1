"""What became of each message: the truth behind query_sm and cancel_sm.

Batches are kept as they were answered, and looked at only when somebody asks, so a carrier that
is never asked pays next to nothing. A message is final when its receipt is due, whether or not
one was wanted or was lost on the way.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Final

import msgspec

from smppd.simulator.batch import Batch
from smppd.simulator.deliveries import (
    DELETED,
    ENROUTE,
    Delivery,
    Outcome,
    final_date,
    wants_receipt,
)
from smppd.smpp.constants import (
    ESME_RCANCELFAIL,
    ESME_RINVMSGID,
    ESME_ROK,
    ESME_RQUERYFAIL,
)
from smppd.smpp.pdu import SubmitSm
from smppd.smpp.requests import QueryAnswer
from smppd.smpp.signals import QueryReceived
from smppd.smpp.sundry import CancelSm

MESSAGES_MAX: Final = 20_000
"""Submits that are remembered, at some two kilobytes each: the last half minute of a busy one."""


class Answered(msgspec.Struct):
    """One message of a batch."""

    batch: Batch
    index: int

    @property
    def pdu(self) -> SubmitSm:
        """The submit."""
        return self.batch.signals[self.index].pdu

    @property
    def message_id(self) -> str:
        """As its response has it; empty where it was not accepted."""
        return self.batch.answers[self.index].message_id

    @property
    def receipt(self) -> Delivery | None:
        """What tells its outcome, if anything does."""
        return self.batch.receipts[self.index]

    @property
    def has_lost_receipt(self) -> bool:
        """Whether its receipt is one that never comes."""
        outcome = self.batch.outcomes[self.index]
        return self.receipt is None and wants_receipt(self.pdu.registered_delivery, outcome)

    @property
    def final_date(self) -> str:
        """When it was final, as query_sm_resp says it."""
        seconds = self.batch.final_ats[self.index] - self.batch.now
        return final_date(self.batch.wall + seconds)

    def outcome_at(self, now: float) -> Outcome:
        """What is true of it now."""
        if self.batch.final_ats[self.index] > now:
            return ENROUTE
        return self.batch.outcomes[self.index]

    def delete(self, now: float, receipt: Delivery | None) -> None:
        """It is final as DELETED, with this receipt."""
        self.batch.outcomes[self.index] = DELETED
        self.batch.receipts[self.index] = receipt
        self.batch.final_ats[self.index] = now


class Messages:
    """The last ``MESSAGES_MAX`` submits of one carrier."""

    def __init__(self) -> None:
        self._batches: deque[Batch] = deque()
        self._count = 0
        self._by_id: dict[str, Answered] = {}
        self._unindexed = 0  # batches at the right end

    def keep(self, batch: Batch) -> None:
        """Remember a batch; the oldest one that is too many is forgotten."""
        self._batches.append(batch)
        self._count += len(batch.signals)
        self._unindexed += 1
        while self._count - len(self._batches[0].signals) >= MESSAGES_MAX:
            self._count -= len(self._batches.popleft().signals)

    def query(self, signal: QueryReceived, now: float) -> QueryAnswer:
        """The answer to a query_sm (section 4.8)."""
        number = signal.sequence_number
        found = self._find(signal.pdu.message_id)
        if found is None:
            return QueryAnswer(number, ESME_RINVMSGID)
        if found.pdu.source_addr != signal.pdu.source_addr:
            return QueryAnswer(number, ESME_RQUERYFAIL)
        outcome = found.outcome_at(now)
        date = "" if outcome is ENROUTE else found.final_date
        error_code = int(outcome.err)
        return QueryAnswer(
            number, ESME_ROK, found.message_id, date, outcome.message_state, error_code
        )

    def find_cancelled(self, pdu: CancelSm, now: float) -> tuple[int, list[Answered]]:
        """The command_status of a cancel_sm (section 4.9), and the messages that it ends.

        With a message_id that one, without all of its source, destination and service_type.
        """
        if pdu.message_id:
            found = self._find(pdu.message_id)
            if found is None:
                return ESME_RINVMSGID, []
            matching = [found] if _fits(found.pdu, pdu) else []
        else:
            matching = [one for one in self._all() if _fits(one.pdu, pdu)]
        ended = [one for one in matching if one.outcome_at(now) is ENROUTE]
        return (ESME_ROK, ended) if ended else (ESME_RCANCELFAIL, [])

    def _find(self, message_id: str) -> Answered | None:
        """The newest of that id, for ids may come round again."""
        fresh = min(self._unindexed, len(self._batches))
        for number in range(len(self._batches) - fresh, len(self._batches)):
            self._index(self._batches[number])
        self._unindexed = 0
        if len(self._by_id) > 2 * MESSAGES_MAX:
            self._by_id.clear()
            for batch in self._batches:
                self._index(batch)
        return self._by_id.get(message_id)

    def _index(self, batch: Batch) -> None:
        for index, answer in enumerate(batch.answers):
            if answer.message_id:
                self._by_id[answer.message_id] = Answered(batch, index)

    def _all(self) -> Iterator[Answered]:
        """The accepted ones, newest first."""
        for batch in reversed(self._batches):
            for index in range(len(batch.signals) - 1, -1, -1):
                if batch.answers[index].message_id:
                    yield Answered(batch, index)


def _fits(submit: SubmitSm, cancel: CancelSm) -> bool:
    """Whether a cancel_sm means this submit; with an id, the destination may be left out."""
    if submit.source_addr != cancel.source_addr:
        return False
    if cancel.message_id and not cancel.destination_addr:
        return True
    is_same_service = cancel.service_type in ("", submit.service_type)
    return submit.destination_addr == cancel.destination_addr and is_same_service
