"""What is said beside the traffic of a bind: queries, cancels, alerts and outbind.

Who may say which, and in which state, is a table: what is not in it, or not allowed now, is left
to ``bind.py`` to refuse. Nothing here is in doubt when a link ends, so nothing here is in the
window of the messages.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from smppd.errors import LocalProtocolError
from smppd.smpp.bind import BindState, Role
from smppd.smpp.constants import (
    ALERT_NOTIFICATION,
    CANCEL_SM,
    CANCEL_SM_RESP,
    OUTBIND,
    QUERY_SM,
    QUERY_SM_RESP,
)
from smppd.smpp.framing import Frame
from smppd.smpp.pdu import PduFault
from smppd.smpp.rare import encode_bodiless
from smppd.smpp.requests import CancelAnswer, QueryAnswer
from smppd.smpp.signals import (
    AlertReceived,
    CancelReceived,
    OutbindReceived,
    PduRefused,
    QueryReceived,
    Signal,
)
from smppd.smpp.sundry import (
    AlertNotification,
    Outbind,
    QuerySmResp,
    decode_alert_notification,
    decode_cancel_sm,
    decode_outbind,
    decode_query_sm,
    encode_alert_notification,
    encode_outbind,
    encode_query_sm_resp,
)


def receive(bind: BindState, frame: Frame) -> list[Signal]:
    """Read one PDU of the table; empty where it is none, or is not allowed now."""
    receive_one = ASIDES.get((bind.role, frame.command_id))
    return [] if receive_one is None else receive_one(bind, frame)


def answer_queries(bind: BindState, answers: Sequence[QueryAnswer]) -> None:
    """SMSC: see ``Session.answer_query``."""
    if not bind.answers_welcome:
        return
    for one in answers:
        number = one.sequence_number
        if one.command_status:
            bind.answers.append(encode_bodiless(QUERY_SM_RESP, one.command_status, number))
            continue
        pdu = QuerySmResp(one.message_id, one.final_date, one.message_state, one.error_code)
        bind.answers.append(encode_query_sm_resp(pdu, number))


def answer_cancels(bind: BindState, answers: Sequence[CancelAnswer]) -> None:
    """SMSC: see ``Session.answer_cancel``."""
    if bind.answers_welcome:
        bind.answers += [
            encode_bodiless(CANCEL_SM_RESP, one.command_status, one.sequence_number)
            for one in answers
        ]


def send_alerts(bind: BindState, alerts: Sequence[AlertNotification]) -> None:
    """SMSC: see ``Session.alert``. SMPP 3.3 has no alert_notification."""
    if bind.role == "smsc" and bind.state == "bound" and bind.may_send and bind.takes_tlvs:
        bind.answers += [
            encode_alert_notification(alert, bind.next_sequence_number()) for alert in alerts
        ]


def send_outbind(bind: BindState, outbind: Outbind, now: float) -> None:
    """SMSC: see ``Session.outbind``."""
    if bind.role != "smsc" or bind.state != "open":
        raise LocalProtocolError(f"an {bind.role} session that is {bind.state} cannot outbind")
    bind.answers.append(encode_outbind(outbind, bind.next_sequence_number()))
    bind.deadlines.start_init(now)


def _receive_alert(bind: BindState, frame: Frame) -> list[Signal]:
    if not bind.carries_traffic:
        return []
    pdu = decode_alert_notification(frame.body)
    if isinstance(pdu, PduFault):
        return [_refuse_silently(bind, frame, pdu)]
    return [AlertReceived(pdu.source_addr, pdu.esme_addr, pdu.availability)]


def _receive_outbind(bind: BindState, frame: Frame) -> list[Signal]:
    if bind.state != "open":
        return []
    pdu = decode_outbind(frame.body)
    if isinstance(pdu, PduFault):
        return [_refuse_silently(bind, frame, pdu)]
    return [OutbindReceived(pdu.system_id, pdu.password)]


def _receive_query(bind: BindState, frame: Frame) -> list[Signal]:
    if not bind.carries_traffic:
        return []
    pdu = decode_query_sm(frame.body)
    if isinstance(pdu, PduFault):
        return [bind.refuse_pdu(frame, pdu.command_status, pdu.reason)]
    return [QueryReceived(frame.sequence_number, pdu)]


def _receive_cancel(bind: BindState, frame: Frame) -> list[Signal]:
    if not bind.carries_traffic:
        return []
    pdu = decode_cancel_sm(frame.body)
    if isinstance(pdu, PduFault):
        return [bind.refuse_pdu(frame, pdu.command_status, pdu.reason)]
    return [CancelReceived(frame.sequence_number, pdu)]


def _receive_ask_resp(bind: BindState, frame: Frame) -> list[Signal]:
    answered = bind.asks.finish(
        frame.command_id, frame.sequence_number, frame.command_status, frame.body
    )
    return [] if answered is None else [answered]


def _refuse_silently(bind: BindState, frame: Frame, fault: PduFault) -> PduRefused:
    """Of a request that has no response."""
    return bind.note_refused(frame, fault.reason)


# Which side reads which of them.
ASIDES: Final[dict[tuple[Role, int], Callable[[BindState, Frame], list[Signal]]]] = {
    ("esme", QUERY_SM_RESP): _receive_ask_resp,
    ("esme", CANCEL_SM_RESP): _receive_ask_resp,
    ("esme", ALERT_NOTIFICATION): _receive_alert,
    ("esme", OUTBIND): _receive_outbind,
    ("smsc", QUERY_SM): _receive_query,
    ("smsc", CANCEL_SM): _receive_cancel,
}
