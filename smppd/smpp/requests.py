"""What a shell hands to a session: requests with the tags of its own, and answers.

Values only. A tag is the shell's, comes back with the answer, and is never looked at; an answer
names the request by its sequence_number, as the signal that told of it did.
"""

from __future__ import annotations

import msgspec

from smppd.smpp.constants import SUBMIT_SM
from smppd.smpp.data_sm import DataSm
from smppd.smpp.pdu import DeliverSm, SubmitSm
from smppd.smpp.sundry import CancelSm, QuerySm


class Submit(msgspec.Struct, frozen=True):
    """ESME: a submit_sm or data_sm to send."""

    tag: object
    pdu: SubmitSm | DataSm


class Ask(msgspec.Struct, frozen=True):
    """ESME: a query_sm or cancel_sm to send."""

    tag: object
    pdu: QuerySm | CancelSm


class Deliver(msgspec.Struct, frozen=True):
    """SMSC: a deliver_sm or data_sm to send."""

    tag: object
    pdu: DeliverSm | DataSm


class SubmitAnswer(msgspec.Struct, frozen=True, gc=False):
    """SMSC: the answer to one SubmitReceived; ``command_id`` is that of the signal."""

    sequence_number: int
    command_status: int
    message_id: str
    command_id: int = SUBMIT_SM


class QueryAnswer(msgspec.Struct, frozen=True):
    """SMSC: the answer to one QueryReceived; an error status says none of the rest."""

    sequence_number: int
    command_status: int
    message_id: str = ""
    final_date: str = ""
    message_state: int = 0
    error_code: int = 0


class CancelAnswer(msgspec.Struct, frozen=True):
    """SMSC: the answer to one CancelReceived."""

    sequence_number: int
    command_status: int
