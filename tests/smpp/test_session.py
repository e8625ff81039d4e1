"""The traffic of one bind, and its ends, in both roles, without a network or a clock."""

from __future__ import annotations

import itertools
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smppd.errors import LocalProtocolError
from smppd.smpp.constants import (
    BIND_TRANSCEIVER,
    DELIVER_SM,
    DELIVER_SM_RESP,
    ENQUIRE_LINK,
    ENQUIRE_LINK_RESP,
    ESME_RINVBNDSTS,
    ESME_RINVCMDLEN,
    ESME_RINVMSGLEN,
    ESME_RMSGQFUL,
    ESME_RTHROTTLED,
    ESME_RUNKNOWNERR,
    GENERIC_NACK,
    SUBMIT_SM,
    SUBMIT_SM_RESP,
    TLV_MESSAGE_PAYLOAD,
    UNBIND,
    UNBIND_RESP,
)
from smppd.smpp.pdu import (
    SubmitSm,
    encode_deliver_sm,
    encode_deliver_sm_resp,
    encode_submit_sm,
    encode_submit_sm_resp,
)
from smppd.smpp.session import (
    ANSWERS_WAITING_MAX,
    Deliver,
    Role,
    Session,
    Submit,
    SubmitAnswer,
)
from smppd.smpp.signals import (
    BindRejected,
    Bound,
    DeliverAnswered,
    DeliverReceived,
    PduRefused,
    PeerFault,
    Signal,
    Stalled,
    SubmitAnswered,
    SubmitReceived,
    Unanswered,
    Unwritten,
)
from tests.smpp.pair import (
    HELLO,
    REPLY,
    bound_esme,
    bound_pair,
    bound_smsc,
    golden_pdus,
    raw,
    sent_by,
    session_in,
    submits,
)

IN_EVERY_STATE = pytest.mark.parametrize(
    ("role", "state"),
    list(itertools.product(["esme", "smsc"], ["open", "binding", "bound", "unbinding"])),
)


# Submitting


def test_submits_are_answered_by_their_tags_in_any_order() -> None:
    pair = bound_pair()
    pair.esme.submit(submits("a", "b"), 0.0)
    assert pair.esme.room == 8
    first, second = pair.to_smsc()
    assert isinstance(first, SubmitReceived)
    assert isinstance(second, SubmitReceived)
    assert first.pdu == HELLO
    pair.smsc.answer(
        [
            SubmitAnswer(second.sequence_number, 0, "id-b"),
            SubmitAnswer(first.sequence_number, ESME_RTHROTTLED, ""),
        ]
    )
    assert pair.to_esme() == [
        SubmitAnswered("b", 0, "id-b", second.sequence_number),
        SubmitAnswered("a", ESME_RTHROTTLED, "", first.sequence_number),
    ]
    assert pair.esme.room == 10


def test_nothing_to_submit_is_no_fault_in_any_state() -> None:
    esme = session_in("esme", "open")
    esme.submit([], 0.0)
    assert esme.data_to_send() == b""


@pytest.mark.parametrize("state", ["open", "binding", "unbinding"])
def test_esme_that_is_not_bound_has_no_room(state: str) -> None:
    esme = session_in("esme", state)
    assert esme.room == 0
    with pytest.raises(LocalProtocolError):
        esme.submit(submits("a"), 0.0)


def test_esme_submits_no_more_than_its_window() -> None:
    esme = bound_esme(window=2)
    with pytest.raises(LocalProtocolError):
        esme.submit(submits("a", "b", "c"), 0.0)
    assert esme.room == 2


def test_a_bad_field_leaves_nothing_of_its_batch_behind() -> None:
    esme = bound_esme()
    bad = SubmitSm(destination_addr="1" * 30, short_message=b"")
    with pytest.raises(LocalProtocolError):
        esme.submit([*submits("a"), Submit("b", bad)], 0.0)
    assert esme.room == 10
    assert esme.data_to_send() == b""


def test_an_answer_without_an_id_anyone_can_keep_has_none() -> None:
    esme = bound_esme()
    esme.submit(submits("a"), 0.0)
    (sent,) = sent_by(esme)
    answer = raw(SUBMIT_SM_RESP, sent.sequence_number, body=b"x" * 300)
    number = sent.sequence_number
    assert esme.receive_data(answer, 0.0) == [
        PduRefused(SUBMIT_SM_RESP, number, "message_id is too long", b"x" * 300),
        SubmitAnswered("a", 0, "", number),
    ]


def test_an_unknown_response_is_counted_and_not_fatal() -> None:
    esme = bound_esme()
    octets = raw(SUBMIT_SM_RESP, 77) + raw(DELIVER_SM_RESP, 78) + raw(0x80000103, 79)
    assert esme.receive_data(octets, 0.0) == []
    assert esme.statistics().unknown_responses == 3
    assert esme.data_to_send() == b""


def test_a_good_nack_is_never_taken_for_success() -> None:
    esme = bound_esme()
    esme.submit(submits("a"), 0.0)
    (sent,) = sent_by(esme)
    assert esme.receive_data(raw(GENERIC_NACK, sent.sequence_number, 0), 0.0) == [
        SubmitAnswered("a", ESME_RUNKNOWNERR, "", sent.sequence_number)
    ]


# Receiving


def test_deliver_sm_is_answered_by_acknowledge_alone() -> None:
    pair = bound_pair()
    pair.smsc.deliver([Deliver("x", REPLY), Deliver("y", REPLY)], 0.0)
    assert pair.smsc.deliver_room == 8
    signals = pair.to_esme()
    assert signals == [DeliverReceived(1, REPLY), DeliverReceived(2, REPLY)]
    assert pair.esme.data_to_send() == b""
    pair.esme.acknowledge(signals)
    assert pair.to_smsc() == [DeliverAnswered("x", 0), DeliverAnswered("y", 0)]
    assert pair.smsc.deliver_room == 10


def test_deliver_sm_can_be_refused_for_now() -> None:
    pair = bound_pair()
    pair.smsc.deliver([Deliver("x", REPLY)], 0.0)
    pair.esme.acknowledge(pair.to_esme(), ESME_RMSGQFUL)
    assert pair.to_smsc() == [DeliverAnswered("x", ESME_RMSGQFUL)]


def test_acknowledge_looks_only_at_deliver_sm() -> None:
    esme = bound_esme()
    esme.acknowledge([SubmitAnswered("a", 0, "1"), Stalled()])
    esme.acknowledge([])
    assert esme.data_to_send() == b""


def test_acknowledge_after_the_end_is_nothing() -> None:
    esme = bound_esme()
    signals = esme.receive_data(encode_deliver_sm(REPLY, 1), 0.0)
    esme.receive_eof(0.0)
    esme.acknowledge(signals)
    assert esme.data_to_send() == b""


def test_acknowledge_goes_out_while_we_unbind_but_not_after_the_peer_did() -> None:
    ours, theirs = bound_esme(), bound_esme()
    ours.submit(submits("a"), 0.0)
    theirs.submit(submits("a"), 0.0)
    deliver = encode_deliver_sm(REPLY, 1)
    ours.unbind(0.0)
    ours.data_to_send()
    ours.acknowledge(ours.receive_data(deliver, 0.0))
    assert ours.data_to_send() == encode_deliver_sm_resp(1, 0)
    theirs.data_to_send()
    theirs.acknowledge(theirs.receive_data(deliver + raw(UNBIND, 2), 0.0))
    assert theirs.data_to_send() == raw(UNBIND_RESP, 2)


def test_a_malformed_deliver_sm_is_refused_and_costs_the_others_nothing() -> None:
    esme = bound_esme()
    good = encode_deliver_sm(REPLY, 1)
    bad = raw(DELIVER_SM, 2, body=b"no NUL in sight")
    signals = esme.receive_data(good + bad + encode_deliver_sm(REPLY, 3), 0.0)
    reason = "the body ends inside its mandatory fields"
    assert signals == [
        DeliverReceived(1, REPLY),
        PduRefused(DELIVER_SM, 2, reason, b"no NUL in sight"),
        DeliverReceived(3, REPLY),
    ]
    assert esme.data_to_send() == encode_deliver_sm_resp(2, ESME_RINVCMDLEN)
    assert esme.state == "bound"


def test_a_malformed_submit_sm_is_refused_and_the_session_lives() -> None:
    smsc = bound_smsc()
    body = encode_submit_sm(HELLO, 1)[16:-1]
    (refused,) = smsc.receive_data(raw(SUBMIT_SM, 4, body=body), 0.0)
    assert isinstance(refused, PduRefused)
    assert smsc.data_to_send() == raw(SUBMIT_SM_RESP, 4, ESME_RINVMSGLEN)
    assert smsc.state == "bound"


@pytest.mark.parametrize(
    ("role", "state", "command_id"),
    [
        ("esme", "open", DELIVER_SM),
        ("esme", "binding", DELIVER_SM),
        ("esme", "bound", SUBMIT_SM),
        ("esme", "bound", BIND_TRANSCEIVER),
        ("smsc", "open", SUBMIT_SM),
        ("smsc", "binding", SUBMIT_SM),
        ("smsc", "bound", DELIVER_SM),
        ("smsc", "unbinding", BIND_TRANSCEIVER),
    ],
)
def test_a_request_of_another_state_or_role_is_refused(
    role: Role, state: str, command_id: int
) -> None:
    session = session_in(role, state)
    (refused,) = session.receive_data(raw(command_id, 7), 0.0)
    assert isinstance(refused, PduRefused)
    (answer,) = sent_by(session)
    assert answer.command_id == command_id | 0x80000000
    assert (answer.command_status, answer.sequence_number) == (ESME_RINVBNDSTS, 7)
    assert session.state == state


def test_a_peer_that_asks_and_never_reads_is_given_up() -> None:
    esme = bound_esme()
    signals = esme.receive_data(raw(ENQUIRE_LINK, 1) * (ANSWERS_WAITING_MAX + 1), 0.0)
    assert signals == [PeerFault("the peer sends requests and does not read the answers")]
    assert esme.closed


# The order of what is written


def test_answers_go_out_before_requests_and_unbind_goes_last() -> None:
    esme = bound_esme()
    esme.submit(submits("a"), 0.0)
    esme.unbind(0.0)
    esme.receive_data(raw(ENQUIRE_LINK, 9), 0.0)
    ids = [frame.command_id for frame in sent_by(esme)]
    assert ids == [ENQUIRE_LINK_RESP, SUBMIT_SM, UNBIND]
    assert esme.data_to_send() == b""


# The end of the stream


def test_eof_tells_what_was_written_from_what_was_not() -> None:
    esme = bound_esme()
    esme.submit(submits("a", "b"), 0.0)
    esme.data_to_send()
    esme.submit(submits("c"), 0.0)
    assert esme.receive_eof(0.0) == [
        Unwritten(["c"]),
        Unanswered(["a", "b"]),
        PeerFault("the stream ended while the session was bound"),
    ]
    assert esme.receive_eof(0.0) == []
    assert esme.data_to_send() == b""


def test_eof_inside_a_pdu_says_so() -> None:
    esme = bound_esme()
    esme.receive_data(raw(ENQUIRE_LINK, 1)[:9], 0.0)
    assert esme.receive_eof(0.0) == [
        PeerFault("the stream ended inside a PDU while the session was bound")
    ]


@IN_EVERY_STATE
def test_eof_is_a_fault_unless_an_unbind_announced_it(role: Role, state: str) -> None:
    signals = session_in(role, state).receive_eof(0.0)
    faults = (
        []
        if state == "unbinding"
        else [PeerFault(f"the stream ended while the session was {state}")]
    )
    assert signals == faults


def test_smsc_tells_what_became_of_its_deliver_sm() -> None:
    smsc = bound_smsc()
    smsc.deliver([Deliver("x", REPLY)], 0.0)
    smsc.data_to_send()
    smsc.deliver([Deliver("y", REPLY)], 0.0)
    assert smsc.receive_eof(0.0)[:2] == [Unwritten(["y"]), Unanswered(["x"])]


def test_nothing_is_read_after_the_end() -> None:
    esme = bound_esme()
    esme.receive_eof(0.0)
    assert esme.receive_data(encode_deliver_sm(REPLY, 1), 0.0) == []
    assert esme.next_deadline() == math.inf
    assert esme.handle_timers(1e9) == []


# Faults of the framing


def test_a_lost_stream_is_nacked_and_is_the_last_signal() -> None:
    esme = bound_esme()
    esme.submit(submits("a"), 0.0)
    octets = encode_deliver_sm(REPLY, 1) + b"\0\0\0\x0f" + encode_deliver_sm(REPLY, 2)
    assert esme.receive_data(octets, 0.0) == [
        DeliverReceived(1, REPLY),
        PeerFault("command_length 15 is less than a header"),
    ]
    assert esme.closed
    assert esme.data_to_send() == raw(GENERIC_NACK, 0, ESME_RINVCMDLEN)
    assert esme.receive_eof(0.0) == [Unwritten(["a"])]


def test_a_peer_that_speaks_http_is_named() -> None:
    esme = session_in("esme", "binding")
    assert esme.receive_data(b"HTTP/1.1 400 Bad Request\r\n\r\n", 0.0) == [
        PeerFault("the peer speaks HTTP, not SMPP")
    ]


# Properties


STREAM = b"".join(
    [
        encode_submit_sm_resp(2, 0, "one"),
        encode_deliver_sm(REPLY, 1),
        raw(ENQUIRE_LINK, 2),
        raw(DELIVER_SM, 3, body=b"broken"),
        raw(0x00010200, 4, body=b"vendor"),
        encode_submit_sm_resp(99, 0, "nobody's"),
        raw(GENERIC_NACK, 3, 0x0B),
        *golden_pdus()[1:3],
        encode_submit_sm_resp(4, ESME_RTHROTTLED, ""),
        raw(UNBIND, 5),
    ]
)


def read_in_pieces(octets: bytes, places: list[int]) -> tuple[list[Signal], bytes]:
    esme = bound_esme()
    esme.submit(submits("a", "b", "c", "d"), 0.0)
    esme.data_to_send()
    edges = [0, *sorted(place % (len(octets) + 1) for place in places), len(octets)]
    signals: list[Signal] = []
    for start, end in itertools.pairwise(edges):
        signals += esme.receive_data(octets[start:end], 1.0)
    return signals + esme.receive_eof(1.0), esme.data_to_send()


@given(st.binary(max_size=40), st.lists(st.integers(0, 2000), max_size=12))
def test_any_cut_of_a_stream_gives_the_same_signals_and_answers(
    rubbish: bytes, places: list[int]
) -> None:
    octets = STREAM + rubbish
    assert read_in_pieces(octets, places) == read_in_pieces(octets, [])


PEER_PDUS = st.builds(
    raw,
    st.sampled_from([*range(10), 0x15, 0x102, 0x103, 0x10200]).flatmap(
        lambda command_id: st.sampled_from([command_id, command_id | 0x80000000])
    ),
    st.integers(0, 8),
    st.sampled_from([0, 4, 0x58, 0xFFFFFFFF]),
    st.binary(max_size=30),
)
# What may happen to a session besides a PDU: octets that are none, silence, and our own wishes.
STEPS = st.one_of(
    PEER_PDUS,
    st.binary(max_size=20),
    st.floats(0, 40),
    st.sampled_from(["work", "unbind", "write"]),
)


def work(session: Session, now: float) -> list[object]:
    """Use all the room there is; return the tags."""
    room = max(session.room, session.deliver_room)
    tags: list[object] = [object() for _ in range(room)]
    if session.room:
        session.submit([Submit(tag, HELLO) for tag in tags], now)
    elif room:
        session.deliver([Deliver(tag, REPLY) for tag in tags], now)
    return tags


@given(st.sampled_from(["esme", "smsc"]), st.lists(STEPS, max_size=40))
def test_whatever_a_peer_does_every_request_ends_exactly_once(
    role: Role, steps: list[bytes | float | str]
) -> None:
    session = session_in(role, "bound")
    now = 0.0
    sent: list[object] = []
    signals: list[Signal] = []
    for step in steps:
        found: list[Signal] = []
        if isinstance(step, bytes):
            found = session.receive_data(step, now)
        elif isinstance(step, float):
            now += step
            found = session.handle_timers(now)
            assert session.next_deadline() > now
        elif step == "work":
            sent += work(session, now)
        elif step == "unbind":
            session.unbind(now)
        else:
            session.data_to_send()
        assert not any(isinstance(signal, PeerFault) for signal in found[:-1])
        if found and isinstance(found[-1], PeerFault):
            assert session.closed
        assert session.closed == (session.state == "closed")
        signals += found
    signals += session.receive_eof(now)
    assert sorted(map(id, ended_tags(signals))) == sorted(map(id, sent))


def ended_tags(signals: list[Signal]) -> list[Any]:
    tags: list[Any] = []
    for signal in signals:
        if isinstance(signal, SubmitAnswered | DeliverAnswered):
            tags.append(signal.tag)
        elif isinstance(signal, Unwritten | Unanswered):
            tags += signal.tags
    return tags


# Octets of real centres


def test_a_refused_bind_with_a_body_is_a_refusal() -> None:
    assert session_in("esme", "binding").receive_data(golden_pdus()[0], 0.0) == [BindRejected(0x53)]


def test_an_error_that_carries_an_id_keeps_it() -> None:
    esme = bound_esme()
    esme.submit(submits("a"), 0.0)
    esme.data_to_send()
    assert esme.receive_data(golden_pdus()[1], 0.0) == [SubmitAnswered("a", 0x0A, "00000000", 2)]


def test_a_reserved_status_is_an_answer() -> None:
    esme = bound_esme()
    esme.submit(submits("a"), 0.0)
    esme.data_to_send()
    assert esme.receive_data(golden_pdus()[2], 0.0) == [SubmitAnswered("a", 0x22, "", 2)]


def test_a_misprinted_version_tag_is_read() -> None:
    esme = session_in("esme", "binding")
    assert esme.receive_data(golden_pdus()[3], 0.0) == [Bound("Yenta1", 0x34)]


def test_a_receipt_in_message_payload_is_received() -> None:
    esme = bound_esme()
    (received,) = esme.receive_data(golden_pdus()[4], 0.0)
    assert isinstance(received, DeliverReceived)
    assert received.pdu.short_message == b""
    assert received.pdu.tlvs[TLV_MESSAGE_PAYLOAD].startswith(b"id:0000436949 ")
    assert received.pdu.tlvs[0x001E] == b"6aad5\0"
    assert received.pdu.tlvs[0x0427] == b"\x02"


def test_statistics_count_both_directions() -> None:
    pair = bound_pair()
    pair.esme.submit(submits("a", "b"), 0.0)
    before = pair.esme.statistics()
    pair.to_smsc()
    after = pair.esme.statistics()
    assert (after.requests_sent, after.waiting) == (2, 2)
    assert after.octets_sent - before.octets_sent == 2 * len(encode_submit_sm(HELLO, 1))
    assert pair.smsc.statistics().requests_received == 2
    assert pair.smsc.statistics().octets_received == after.octets_sent
