"""What a carrier's links have counted since the start, for status and metrics: pure.

Raised once a batch from the changes of its reads, never a message at a time. It lives as long as
the carrier is served, whatever becomes of its binds.
"""

from __future__ import annotations

from collections import Counter
from typing import Final

import msgspec

from smppd.smpp.constants import ESME_ROK
from smppd.store.changes import (
    Answered,
    Change,
    Doubted,
    InboundArrived,
    ReceiptArrived,
    Verdict,
)

STATUSES_MAX: Final = 256
"""Different command_status kept apart: five times what SMPP 3.4 has. A carrier that makes up more
is counted on as ``throttled`` and ``refused`` alone, so that it cannot fill our memory."""


class CarrierCounts(msgspec.Struct):
    """Plain counts.

    ``taken`` are submit_sm that the carrier has (ESME_ROK, nearly always), ``throttled`` those
    told to come slower, ``refused`` all other answers, ``doubted`` those that were written and
    never answered. ``statuses`` are the answers but ESME_ROK by their command_status. ``receipts``
    and ``inbound`` (from phones) are what was taken from the carrier, ``alerts`` its
    alert_notification, ``pdus_refused`` what could not be read of it or is not spoken here.
    """

    taken: int = 0
    throttled: int = 0
    refused: int = 0
    doubted: int = 0
    receipts: int = 0
    inbound: int = 0
    alerts: int = 0
    statuses: dict[int, int] = {}
    pdus_refused: int = 0

    def add(self, changes: list[Change], throttled: int) -> None:
        """The changes of one batch, of which ``throttled`` answers said "slower"."""
        kinds = [type(change) for change in changes]
        self.receipts += kinds.count(ReceiptArrived)
        self.inbound += kinds.count(InboundArrived)
        if Doubted in kinds:
            self.doubted += sum(len(one.tags) for one in changes if isinstance(one, Doubted))
        answered = kinds.count(Answered)
        if not answered:
            return
        statuses = [one.command_status for one in changes if type(one) is Answered]
        taken = statuses.count(ESME_ROK)
        if taken != answered:
            # A carrier may mean by another status, too, that it has the message.
            verdicts = [one.verdict for one in changes if isinstance(one, Answered)]
            taken = verdicts.count(Verdict.TAKEN)
            self.throttled += throttled
            self.refused += answered - taken - throttled
            self._count_statuses(statuses)
        self.taken += taken

    def _count_statuses(self, statuses: list[int]) -> None:
        for status, count in Counter(statuses).items():
            if status and (status in self.statuses or len(self.statuses) < STATUSES_MAX):
                self.statuses[status] = self.statuses.get(status, 0) + count
