"""What a simulated carrier has counted since its start."""

from __future__ import annotations

import msgspec


class CarrierStatistics(msgspec.Struct):
    """Counts since the start.

    ``throttled`` are ESME_RTHROTTLED and ESME_RMSGQFUL, ``refused`` all other errors, and
    ``unanswered`` what a fault swallowed. ``responses_lost`` were accepted and never to be
    answered; ``answers_lost`` had not been handed to the socket when their link ended (those are
    among them). ``receipts_lost`` were never to be sent; ``receipts_sent`` counts each one once,
    ``receipts_doubled`` of them for the second time, ``deliveries_resent`` every time after the
    first. ``waiting`` is what is due, ready or unanswered now. ``outstanding_max`` is the most
    submits a link had read and not answered. ``duplicates`` are accepted submits with the source,
    destination and user data of an earlier one; only a ledger sees them. ``queries`` are query_sm
    and ``cancels`` cancel_sm, ``cancelled`` the messages that were. The times are Unix seconds, 0
    before the first submit.
    """

    binds: int = 0
    binds_refused: int = 0
    submits: int = 0
    accepted: int = 0
    refused: int = 0
    throttled: int = 0
    unanswered: int = 0
    answers_lost: int = 0
    receipts_sent: int = 0
    receipts_acked: int = 0
    receipts_lost: int = 0
    inbound_sent: int = 0
    inbound_acked: int = 0
    deliveries_resent: int = 0
    deliveries_refused: int = 0
    waiting: int = 0
    outstanding_max: int = 0
    duplicates: int = 0
    first_submit_at: float = 0.0
    last_submit_at: float = 0.0
    responses_lost: int = 0
    receipts_doubled: int = 0
    queries: int = 0
    cancels: int = 0
    cancelled: int = 0
    alerts_sent: int = 0
    outbinds: int = 0
