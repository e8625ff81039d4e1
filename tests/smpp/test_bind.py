"""The state of one bind: how it begins, what it waits for, and how it ends in order."""

from __future__ import annotations

import math

import pytest

from smppd.errors import LocalProtocolError
from smppd.smpp.constants import (
    BIND_TRANSCEIVER,
    BIND_TRANSCEIVER_RESP,
    ENQUIRE_LINK,
    ESME_RALYBND,
    ESME_RBINDFAIL,
    ESME_RINVCMDID,
    ESME_RINVSYSID,
    GENERIC_NACK,
    UNBIND,
    UNBIND_RESP,
)
from smppd.smpp.pdu import (
    encode_deliver_sm,
    encode_submit_sm_resp,
)
from smppd.smpp.session import (
    Deliver,
    Session,
    SubmitAnswer,
    Timers,
)
from smppd.smpp.signals import (
    BindReceived,
    BindRejected,
    Bound,
    PduRefused,
    PeerFault,
    PeerUnbound,
    Stalled,
    SubmitAnswered,
    SubmitReceived,
    Unanswered,
    Unwritten,
)
from tests.smpp.pair import (
    CREDENTIALS,
    REPLY,
    TIMERS,
    Pair,
    bound_esme,
    bound_pair,
    bound_smsc,
    raw,
    sent_by,
    session_in,
    submits,
)

# Binding


def test_esme_and_smsc_bind() -> None:
    pair = Pair()
    pair.esme.bind(CREDENTIALS, 0.0)
    assert pair.esme.state == "binding"
    signals = pair.to_smsc()
    assert signals == [BindReceived(1, BIND_TRANSCEIVER, "smppd", "secret", "", 0x34, "")]
    received = signals[0]
    assert isinstance(received, BindReceived)
    pair.smsc.accept_bind(received, "centre", 0.0)
    assert pair.to_esme() == [Bound("centre", 0x34)]
    assert (pair.esme.state, pair.smsc.state) == ("bound", "bound")
    assert (pair.esme.room, pair.esme.deliver_room) == (10, 0)
    assert (pair.smsc.room, pair.smsc.deliver_room) == (0, 10)


def test_esme_reports_a_refused_bind_and_closes() -> None:
    pair = Pair()
    pair.esme.bind(CREDENTIALS, 0.0)
    (received,) = pair.to_smsc()
    assert isinstance(received, BindReceived)
    pair.smsc.refuse_bind(received, ESME_RBINDFAIL, 0.0)
    assert pair.smsc.closed
    assert pair.to_esme() == [BindRejected(ESME_RBINDFAIL)]
    assert pair.esme.closed
    assert pair.esme.receive_eof(0.0) == []


def test_esme_takes_a_nack_of_its_bind_as_a_refusal() -> None:
    esme = session_in("esme", "binding")
    assert esme.receive_data(raw(GENERIC_NACK, 1, ESME_RINVCMDID), 0.0) == [
        BindRejected(ESME_RINVCMDID)
    ]


def test_esme_ignores_a_bind_response_it_did_not_ask_for() -> None:
    esme = session_in("esme", "binding")
    assert esme.receive_data(raw(BIND_TRANSCEIVER_RESP, 99), 0.0) == []
    assert esme.state == "binding"
    assert esme.statistics().unknown_responses == 1


def test_only_an_open_esme_can_bind() -> None:
    with pytest.raises(LocalProtocolError):
        bound_esme().bind(CREDENTIALS, 0.0)
    with pytest.raises(LocalProtocolError):
        session_in("smsc", "open").bind(CREDENTIALS, 0.0)


def test_smsc_refuses_a_second_bind_and_lives() -> None:
    smsc = bound_smsc()
    body = b"a\0b\0\0\x34\0\0\0"
    (refused,) = smsc.receive_data(raw(BIND_TRANSCEIVER, 5, body=body), 0.0)
    assert isinstance(refused, PduRefused)
    assert smsc.data_to_send() == raw(BIND_TRANSCEIVER_RESP, 5, ESME_RALYBND)
    assert smsc.state == "bound"


def test_smsc_refuses_a_malformed_bind_and_waits_for_another() -> None:
    smsc = session_in("smsc", "open")
    body = b"x" * 20 + b"\0b\0\0\x34\0\0\0"
    (refused,) = smsc.receive_data(raw(BIND_TRANSCEIVER, 1, body=body), 0.0)
    assert isinstance(refused, PduRefused)
    assert smsc.data_to_send() == raw(BIND_TRANSCEIVER_RESP, 1, ESME_RINVSYSID)
    assert smsc.state == "open"


def test_an_answer_to_a_bind_whose_peer_has_gone_is_nothing() -> None:
    pair = Pair()
    pair.esme.bind(CREDENTIALS, 0.0)
    (received,) = pair.to_smsc()
    assert isinstance(received, BindReceived)
    pair.smsc.receive_eof(0.0)
    pair.smsc.accept_bind(received, "centre", 0.0)
    pair.smsc.refuse_bind(received, ESME_RBINDFAIL, 0.0)
    assert pair.smsc.closed
    assert pair.smsc.data_to_send() == b""


def test_smsc_hides_the_password_of_a_bind() -> None:
    received = BindReceived(1, BIND_TRANSCEIVER, "smppd", "secret", "", 0x34, "")
    assert "secret" not in repr(received)
    assert "hunter2" not in repr(PduRefused(BIND_TRANSCEIVER, 1, "bad", b"hunter2"))


# Unbinding


def test_unbind_waits_for_its_response_and_reads_on() -> None:
    pair = bound_pair()
    pair.esme.submit(submits("a"), 0.0)
    (received,) = pair.to_smsc()
    assert isinstance(received, SubmitReceived)
    pair.esme.unbind(1.0)
    assert pair.esme.state == "unbinding"
    pair.smsc.answer([SubmitAnswer(received.sequence_number, 0, "1")])
    assert pair.to_esme(1.0) == [SubmitAnswered("a", 0, "1", 2)]
    assert pair.to_smsc(1.0) == [PeerUnbound()]
    assert pair.smsc.closed
    assert pair.to_esme(1.0) == []
    assert pair.esme.closed
    assert pair.esme.receive_eof(1.0) == []


def test_unbind_gives_up_after_session_init_timer() -> None:
    esme = bound_esme()
    esme.submit(submits("a"), 0.0)
    esme.data_to_send()
    esme.unbind(1.0)
    assert esme.next_deadline() == 11.0
    assert esme.handle_timers(10.9) == []
    assert not esme.closed
    assert esme.handle_timers(11.0) == []
    assert esme.closed
    assert esme.receive_eof(11.0) == [Unanswered(["a"])]


def test_unbind_before_a_bind_closes_and_twice_is_once() -> None:
    esme = session_in("esme", "open")
    esme.unbind(0.0)
    assert esme.closed
    assert esme.data_to_send() == b""
    bound = bound_esme()
    bound.unbind(0.0)
    bound.unbind(5.0)
    assert [frame.command_id for frame in sent_by(bound)] == [UNBIND]
    assert bound.next_deadline() == 10.0


def test_unbind_while_binding_makes_a_late_acceptance_harmless() -> None:
    esme = session_in("esme", "binding")
    esme.unbind(0.0)
    (unbind,) = sent_by(esme)
    assert esme.receive_data(raw(BIND_TRANSCEIVER_RESP, 1, body=b"centre\0"), 0.0) == []
    assert esme.state == "unbinding"
    assert esme.receive_data(raw(UNBIND_RESP, unbind.sequence_number), 0.0) == []
    assert esme.closed


def test_a_nack_of_our_unbind_ends_the_session_as_well() -> None:
    esme = bound_esme()
    esme.unbind(0.0)
    (unbind,) = sent_by(esme)
    esme.receive_data(raw(GENERIC_NACK, unbind.sequence_number, ESME_RINVCMDID), 0.0)
    assert esme.closed


def test_a_peer_that_unbinds_may_still_answer_what_it_was_sent() -> None:
    esme = bound_esme()
    esme.submit(submits("a", "b"), 0.0)
    first, _ = sent_by(esme)
    assert esme.receive_data(raw(UNBIND, 1), 5.0) == [PeerUnbound()]
    assert esme.state == "unbinding"
    late = encode_submit_sm_resp(first.sequence_number, 0, "id")
    assert esme.receive_data(late, 6.0) == [SubmitAnswered("a", 0, "id", 2)]
    assert esme.receive_eof(7.0) == [Unanswered(["b"])]


def test_a_peer_that_unbinds_is_not_waited_for_longer_than_session_init_timer() -> None:
    esme = bound_esme()
    esme.submit(submits("a"), 0.0)
    esme.data_to_send()
    esme.receive_data(raw(UNBIND, 1), 5.0)
    esme.receive_data(raw(UNBIND, 2), 9.0)
    assert esme.next_deadline() == 15.0
    esme.handle_timers(15.0)
    assert esme.closed


def test_a_peer_that_unbinds_gets_no_submit_that_was_only_queued() -> None:
    esme = bound_esme()
    esme.submit(submits("a"), 0.0)
    assert esme.receive_data(raw(UNBIND, 1), 0.0) == [PeerUnbound()]
    assert esme.closed
    assert esme.data_to_send() == raw(UNBIND_RESP, 1)
    assert esme.receive_eof(0.0) == [Unwritten(["a"])]


def test_unbinds_that_cross_are_both_answered() -> None:
    pair = bound_pair()
    pair.esme.unbind(0.0)
    pair.smsc.unbind(0.0)
    to_smsc, to_esme = pair.esme.data_to_send(), pair.smsc.data_to_send()
    assert pair.esme.receive_data(to_esme, 0.0) == [PeerUnbound()]
    assert pair.smsc.receive_data(to_smsc, 0.0) == [PeerUnbound()]
    assert not pair.esme.closed
    to_smsc, to_esme = pair.esme.data_to_send(), pair.smsc.data_to_send()
    pair.esme.receive_data(to_esme, 0.0)
    pair.smsc.receive_data(to_smsc, 0.0)
    assert pair.esme.closed
    assert pair.smsc.closed


# Timers


def test_an_unbound_esme_waits_for_nothing() -> None:
    assert Session("esme", window=1, timers=TIMERS, now=5.0).next_deadline() == math.inf


def test_a_bind_that_is_not_answered_is_a_fault() -> None:
    esme = Session("esme", window=1, timers=TIMERS, now=0.0)
    esme.bind(CREDENTIALS, 5.0)
    assert esme.next_deadline() == 15.0
    assert esme.handle_timers(14.9) == []
    assert esme.handle_timers(15.0) == [
        PeerFault("the bind was not answered within session_init_timer")
    ]
    assert esme.closed


def test_a_peer_that_does_not_bind_is_a_fault() -> None:
    smsc = Session("smsc", window=1, timers=TIMERS, now=5.0)
    assert smsc.next_deadline() == 15.0
    assert smsc.handle_timers(15.0) == [
        PeerFault("the peer did not bind within session_init_timer")
    ]


def test_an_smsc_that_thinks_about_a_bind_takes_its_time() -> None:
    assert session_in("smsc", "binding").next_deadline() == math.inf


def test_enquire_link_goes_out_after_silence_and_not_before() -> None:
    esme = bound_esme()
    esme.receive_data(b"\0", 5.0)
    assert esme.next_deadline() == 65.0
    assert esme.handle_timers(64.9) == []
    assert esme.data_to_send() == b""
    assert esme.handle_timers(65.0) == []
    (frame,) = sent_by(esme)
    assert frame.command_id == ENQUIRE_LINK
    assert esme.next_deadline() == 95.0
    assert esme.handle_timers(66.0) == []
    assert esme.data_to_send() == b""


def test_an_answered_enquire_link_starts_the_silence_anew() -> None:
    pair = bound_pair()
    pair.esme.handle_timers(60.0)
    pair.to_smsc(61.0)
    assert pair.to_esme(62.0) == []
    assert pair.esme.next_deadline() == 122.0
    statistics = pair.esme.statistics()
    assert (statistics.enquire_links_sent, statistics.enquire_links_received) == (1, 0)
    assert pair.smsc.statistics().enquire_links_received == 1


def test_an_unanswered_enquire_link_is_a_fault() -> None:
    esme = bound_esme()
    esme.handle_timers(60.0)
    assert esme.handle_timers(90.0) == [PeerFault("enquire_link unanswered")]
    assert esme.closed


def test_a_nack_of_an_enquire_link_proves_the_peer_alive() -> None:
    esme = bound_esme()
    esme.handle_timers(60.0)
    (frame,) = sent_by(esme)
    esme.receive_data(raw(GENERIC_NACK, frame.sequence_number, ESME_RINVCMDID), 61.0)
    assert esme.next_deadline() == 121.0


def test_no_enquire_link_timer_never_asks() -> None:
    esme = bound_esme(timers=Timers(enquire_link_timer=0.0))
    assert esme.next_deadline() == math.inf


def test_an_idle_bind_leaves_after_inactivity_timer_whatever_enquire_link_says() -> None:
    timers = Timers(enquire_link_timer=10.0, inactivity_timer=25.0)
    pair = bound_pair(timers=timers)
    pair.esme.handle_timers(10.0)
    pair.to_smsc(10.0)
    pair.to_esme(10.0)
    pair.esme.handle_timers(20.0)
    pair.to_smsc(20.0)
    pair.to_esme(20.0)
    assert pair.esme.next_deadline() == 25.0
    pair.esme.handle_timers(25.0)
    assert pair.esme.state == "unbinding"


def test_traffic_either_way_keeps_a_bind() -> None:
    esme = bound_esme(timers=Timers(enquire_link_timer=0.0, inactivity_timer=25.0))
    esme.receive_data(encode_deliver_sm(REPLY, 1), 20.0)
    assert esme.next_deadline() == 45.0
    esme.submit(submits("a"), 40.0)
    (sent,) = sent_by(esme)
    assert esme.next_deadline() == 70.0
    esme.receive_data(encode_submit_sm_resp(sent.sequence_number, 0, ""), 41.0)
    assert esme.next_deadline() == 65.0


# The rule of response_timer


def stalled_esme() -> Session:
    """Stalled at 30.0, with "a" and "b" overdue."""
    esme = bound_esme()
    esme.submit(submits("a", "b"), 0.0)
    esme.data_to_send()
    assert esme.next_deadline() == 30.0
    assert esme.handle_timers(30.0) == [Stalled()]
    return esme


def test_a_stalled_session_takes_nothing_new_and_says_so_once() -> None:
    esme = stalled_esme()
    assert esme.stalled
    assert esme.state == "bound"
    assert esme.room == 0
    assert esme.next_deadline() == 60.0
    assert esme.handle_timers(45.0) == []


def test_a_stalled_session_reads_on_and_unbinds_when_nothing_is_missing() -> None:
    esme = stalled_esme()
    answers = [
        SubmitAnswered("a", 0, "1", 2),
        SubmitAnswered("b", 0, "2", 3),
    ]
    octets = encode_submit_sm_resp(3, 0, "2")
    assert esme.receive_data(encode_submit_sm_resp(2, 0, "1"), 40.0) == answers[:1]
    assert esme.next_deadline() == 60.0
    assert esme.receive_data(octets, 41.0) == answers[1:]
    assert esme.state == "unbinding"
    assert [frame.command_id for frame in sent_by(esme)] == [UNBIND]
    assert esme.next_deadline() == 51.0


def test_a_stalled_session_unbinds_after_one_more_response_timer() -> None:
    esme = stalled_esme()
    assert esme.handle_timers(60.0) == []
    assert esme.state == "unbinding"
    (unbind,) = sent_by(esme)
    late = encode_submit_sm_resp(2, 0, "1") + raw(UNBIND_RESP, unbind.sequence_number)
    assert esme.receive_data(late, 65.0) == [SubmitAnswered("a", 0, "1", 2)]
    assert esme.closed
    assert esme.receive_eof(65.0) == [Unanswered(["b"])]


def test_a_stalled_session_closes_without_unbind_resp_after_session_init_timer() -> None:
    esme = stalled_esme()
    esme.handle_timers(60.0)
    assert esme.next_deadline() == 70.0
    esme.handle_timers(70.0)
    assert esme.closed
    assert esme.receive_eof(70.0) == [Unanswered(["a", "b"])]


def test_a_stall_drops_what_was_only_queued() -> None:
    esme = bound_esme()
    esme.submit(submits("a"), 0.0)
    esme.data_to_send()
    esme.submit(submits("b"), 29.0)
    esme.handle_timers(30.0)
    assert esme.data_to_send() == b""
    assert esme.receive_eof(31.0)[:2] == [Unwritten(["b"]), Unanswered(["a"])]


def test_a_stall_in_which_nothing_was_ever_written_unbinds_at_once() -> None:
    esme = bound_esme()
    esme.submit(submits("a"), 0.0)
    assert esme.handle_timers(30.0) == [Stalled()]
    assert [frame.command_id for frame in sent_by(esme)] == [UNBIND]
    assert esme.receive_eof(31.0) == [Unwritten(["a"])]


def test_an_smsc_stalls_by_the_same_rule() -> None:
    smsc = bound_smsc()
    smsc.deliver([Deliver("x", REPLY)], 0.0)
    smsc.data_to_send()
    assert smsc.handle_timers(30.0) == [Stalled()]
    assert smsc.deliver_room == 0
