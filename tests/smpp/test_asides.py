"""Queries, cancels, alerts and outbind in a session: who may say them, and what becomes of them."""

from __future__ import annotations

import math

import pytest

from smppd.errors import LocalProtocolError
from smppd.smpp import constants as c
from smppd.smpp.rare import Bind, BindKind
from smppd.smpp.session import Ask, CancelAnswer, QueryAnswer, Session, Submit, Timers
from smppd.smpp.signals import (
    AlertReceived,
    AskUnanswered,
    CancelAnswered,
    CancelReceived,
    OutbindReceived,
    PduRefused,
    PeerFault,
    QueryAnswered,
    QueryReceived,
    Stalled,
    SubmitAnswered,
    Unanswered,
)
from smppd.smpp.sundry import AlertNotification, CancelSm, Outbind, QuerySm, encode_outbind
from tests.smpp.pair import HELLO, TIMERS, Pair, bound_esme, bound_pair, raw, sent_by, submits

QUERY = QuerySm("id", 5, 0, "ACME")
CANCEL = CancelSm("id", source_addr="ACME")
ALERT = AlertNotification("491701234567", "ACME", 0)
BOTH = [Ask("q", QUERY), Ask("c", CANCEL)]


def asking_pair() -> Pair:
    """Both questions have been read by the SMSC."""
    pair = bound_pair()
    pair.esme.ask(BOTH, 0.0)
    assert pair.to_smsc() == [QueryReceived(2, QUERY), CancelReceived(3, CANCEL)]
    return pair


# --- questions ---


def test_questions_are_answered_by_their_tags() -> None:
    pair = asking_pair()
    pair.smsc.answer_cancel([CancelAnswer(3, c.ESME_RCANCELFAIL)])
    pair.smsc.answer_query([QueryAnswer(2, 0, "id", "260101120000000+", 2, 9)])
    assert pair.to_esme() == [
        CancelAnswered("c", c.ESME_RCANCELFAIL),
        QueryAnswered("q", 0, "id", "260101120000000+", 2, 9),
    ]
    assert pair.esme.room == 10


def test_a_refused_query_has_no_body_and_says_nothing_else() -> None:
    pair = asking_pair()
    pair.smsc.answer_query([QueryAnswer(2, c.ESME_RQUERYFAIL, "never sent")])
    assert pair.smsc.data_to_send() == raw(c.QUERY_SM_RESP, 2, c.ESME_RQUERYFAIL)
    octets = raw(c.QUERY_SM_RESP, 2, c.ESME_RQUERYFAIL, b"\0\0\0\0")
    assert pair.esme.receive_data(octets, 0.0) == [QueryAnswered("q", c.ESME_RQUERYFAIL)]


def test_a_good_answer_nobody_can_read_is_one_all_the_same() -> None:
    pair = asking_pair()
    assert pair.esme.receive_data(raw(c.QUERY_SM_RESP, 2, body=b"id"), 0.0) == [
        QueryAnswered("q", 0)
    ]


def test_an_answer_of_the_other_command_is_none() -> None:
    pair = asking_pair()
    octets = raw(c.CANCEL_SM_RESP, 2) + raw(c.QUERY_SM_RESP, 3) + raw(c.SUBMIT_SM_RESP, 2)
    assert pair.esme.receive_data(octets, 0.0) == []
    assert pair.esme.statistics().unknown_responses == 3


def test_questions_take_room_in_the_window() -> None:
    esme = bound_pair(window=3).esme
    esme.submit(submits("a"), 0.0)
    esme.ask(BOTH, 0.0)
    assert esme.room == 0
    with pytest.raises(LocalProtocolError):
        esme.ask(BOTH[:1], 0.0)
    with pytest.raises(LocalProtocolError):
        esme.submit([Submit("b", HELLO)], 0.0)


def test_an_unanswered_question_is_told_stalls_nothing_and_puts_nothing_in_doubt() -> None:
    esme = bound_esme(timers=Timers(enquire_link_timer=0.0, response_timer=30.0))
    esme.ask(BOTH[:1], 0.0)
    esme.ask(BOTH[1:], 5.0)
    assert esme.next_deadline() == 30.0
    assert esme.handle_timers(30.0) == [AskUnanswered(["q"])]
    assert (esme.state, esme.stalled, esme.room) == ("bound", False, 9)
    assert esme.handle_timers(35.0) == [AskUnanswered(["c"])]
    assert esme.next_deadline() == math.inf


def test_a_submit_that_is_overdue_at_once_with_a_question_stalls() -> None:
    esme = bound_esme(timers=Timers(enquire_link_timer=0.0, response_timer=30.0))
    esme.submit(submits("a"), 0.0)
    esme.ask(BOTH[:1], 0.0)
    assert esme.handle_timers(30.0) == [AskUnanswered(["q"]), Stalled()]


def test_the_end_tells_questions_apart_from_doubt() -> None:
    esme = bound_esme()
    esme.submit(submits("a"), 0.0)
    esme.ask(BOTH, 0.0)
    esme.data_to_send()
    questions, doubt, fault = esme.receive_eof(1.0)
    assert questions == AskUnanswered(["q", "c"])
    assert doubt == Unanswered(["a"])
    assert isinstance(fault, PeerFault)


def test_a_question_answered_while_unbinding_is_told() -> None:
    pair = asking_pair()
    pair.esme.unbind(0.0)
    pair.smsc.answer_cancel([CancelAnswer(3, 0)])
    assert pair.to_esme() == [CancelAnswered("c", 0)]


def test_a_question_and_a_submit_never_share_a_number() -> None:
    esme = bound_esme()
    esme.ask(BOTH, 0.0)
    esme._bind._sequence_number = 1
    esme.submit(submits("a", "b"), 0.0)
    assert [frame.sequence_number for frame in sent_by(esme)] == [2, 3, 4, 5]
    octets = raw(c.SUBMIT_SM_RESP, 4, body=b"A\0")
    assert esme.receive_data(octets, 0.0) == [SubmitAnswered("a", 0, "A", 4)]


@pytest.mark.parametrize(("command_id", "status"), [(c.QUERY_SM, 2), (c.CANCEL_SM, 2)])
def test_a_question_our_smsc_cannot_read_is_refused(command_id: int, status: int) -> None:
    smsc = bound_pair().smsc
    (refused,) = smsc.receive_data(raw(command_id, 4, body=b"id"), 0.0)
    assert isinstance(refused, PduRefused)
    assert smsc.data_to_send() == raw(command_id | c.RESPONSE_BIT, 4, status)


@pytest.mark.parametrize("command_id", [c.QUERY_SM, c.CANCEL_SM, c.SUBMIT_SM])
def test_an_esme_is_not_asked(command_id: int) -> None:
    esme = bound_esme()
    esme.receive_data(raw(command_id, 4), 0.0)
    assert esme.data_to_send() == raw(command_id | c.RESPONSE_BIT, 4, c.ESME_RINVBNDSTS)


def test_nothing_is_answered_after_the_peers_unbind() -> None:
    pair = asking_pair()
    pair.esme.unbind(0.0)
    pair.to_smsc()
    pair.smsc.data_to_send()
    pair.smsc.answer_query([QueryAnswer(2, 0, "id")])
    pair.smsc.answer_cancel([CancelAnswer(3, 0)])
    assert pair.smsc.data_to_send() == b""


# --- what each kind of bind may carry ---


@pytest.mark.parametrize(
    ("kind", "room", "deliver_room"),
    [("transceiver", 10, 10), ("transmitter", 10, 0), ("receiver", 0, 10)],
)
def test_a_bind_has_room_where_it_carries(kind: BindKind, room: int, deliver_room: int) -> None:
    pair = bound_pair(kind=kind)
    assert (pair.esme.room, pair.smsc.deliver_room) == (room, deliver_room)
    assert (pair.esme.deliver_room, pair.smsc.room) == (0, 0)


def test_a_receiver_can_neither_submit_nor_ask() -> None:
    esme = bound_pair(kind="receiver").esme
    with pytest.raises(LocalProtocolError):
        esme.submit([Submit("a", HELLO)], 0.0)
    with pytest.raises(LocalProtocolError):
        esme.ask(BOTH, 0.0)


@pytest.mark.parametrize("kind", ["transceiver", "transmitter", "receiver"])
def test_enquire_link_and_unbind_go_both_ways_on_every_bind(kind: BindKind) -> None:
    pair = bound_pair(kind=kind, timers=Timers(enquire_link_timer=5.0))
    assert pair.esme.handle_timers(5.0) == pair.smsc.handle_timers(5.0) == []
    assert pair.to_smsc(5.0) == pair.to_esme(5.0) == []
    assert pair.to_smsc(5.0) == []
    pair.esme.unbind(6.0)
    pair.to_smsc(6.0)
    pair.to_esme(6.0)
    assert pair.esme.closed
    assert pair.smsc.closed


def test_a_response_to_another_kind_of_bind_is_none() -> None:
    esme = Session("esme", window=1, timers=TIMERS, now=0.0)
    esme.bind(Bind("smppd", "secret", kind="receiver"), 0.0)
    assert esme.receive_data(raw(c.BIND_TRANSCEIVER_RESP, 1, body=b"centre\0"), 0.0) == []
    assert esme.state == "binding"


@pytest.mark.parametrize("kind", ["transmitter", "receiver"])
def test_a_refused_bind_is_answered_by_its_own_response(kind: BindKind) -> None:
    pair = Pair()
    pair.esme.bind(Bind("smppd", "secret", kind=kind), 0.0)
    (received,) = pair.to_smsc()
    pair.smsc.refuse_bind(received, c.ESME_RINVPASWD, 0.0)  # type: ignore[arg-type]
    pair.to_esme()
    assert pair.esme.closed


# --- alerts ---


def test_an_alert_is_sent_to_no_transmitter_and_to_no_33_bind() -> None:
    for pair in (bound_pair(kind="transmitter"), bound_pair(interface_version=0x33), Pair()):
        pair.smsc.alert([ALERT])
        assert pair.smsc.data_to_send() == b""


def test_an_alert_on_a_transmitter_is_refused_in_silence() -> None:
    sender = bound_pair(kind="receiver").smsc
    sender.alert([ALERT])
    esme = bound_pair(kind="transmitter").esme
    (refused,) = esme.receive_data(sender.data_to_send(), 0.0)
    assert isinstance(refused, PduRefused)
    assert esme.data_to_send() == b""


def test_alerts_stand_among_traffic_in_their_order() -> None:
    pair = bound_pair()
    pair.smsc.alert([ALERT, AlertNotification("1", "2")])
    assert pair.to_esme() == [
        AlertReceived("491701234567", "ACME", 0),
        AlertReceived("1", "2", None),
    ]


# --- outbind ---


def test_an_smsc_that_called_gives_the_esme_session_init_timer() -> None:
    smsc = Session("smsc", window=1, timers=TIMERS, now=0.0)
    smsc.outbind("smppd", "secret", 5.0)
    assert smsc.next_deadline() == 15.0
    (fault,) = smsc.handle_timers(15.0)
    assert isinstance(fault, PeerFault)


def test_an_outbind_comes_before_the_bind_or_not_at_all() -> None:
    pair = bound_pair()
    with pytest.raises(LocalProtocolError):
        pair.smsc.outbind("smppd", "secret", 0.0)
    with pytest.raises(LocalProtocolError):
        Session("esme", window=1, timers=TIMERS, now=0.0).outbind("smppd", "secret", 0.0)
    octets = encode_outbind(Outbind("smppd", "secret"), 9)
    (refused,) = pair.esme.receive_data(octets, 0.0)
    assert isinstance(refused, PduRefused)
    assert pair.esme.data_to_send() == b""


def test_an_outbind_nobody_can_read_is_refused_in_silence() -> None:
    esme = Session("esme", window=1, timers=TIMERS, now=0.0)
    (refused,) = esme.receive_data(raw(c.OUTBIND, 1, body=b"smppd"), 0.0)
    assert isinstance(refused, PduRefused)
    assert esme.data_to_send() == b""


def test_an_outbind_shows_no_password() -> None:
    assert "secret" not in repr(OutbindReceived("smppd", "secret"))
