"""Twenty-five points of SMPP that cheap implementations miss: those the wire can keep.

Each test is named after its point. What belongs to text (segments, alphabets) is tested there.
"""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from smppd.errors import LocalProtocolError
from smppd.smpp import constants as c
from smppd.smpp.bind import BindState
from smppd.smpp.data_sm import DataSm, decode_data_sm, encode_data_sm
from smppd.smpp.framing import PDU_BYTES_MAX
from smppd.smpp.pdu import (
    TIME_FORMAT,
    DeliverSm,
    PduFault,
    SubmitSm,
    decode_deliver_sm,
    decode_submit_sm,
    encode_deliver_sm,
    encode_deliver_sm_resp,
    encode_submit_sm,
    encode_submit_sm_resp,
    relative_time,
)
from smppd.smpp.rare import Bind, encode_bind
from smppd.smpp.session import Ask, Deliver, Session, Submit, SubmitAnswer, Timers
from smppd.smpp.signals import (
    AlertReceived,
    BindReceived,
    BindRejected,
    Bound,
    CancelAnswered,
    DeliverAnswered,
    DeliverReceived,
    OutbindReceived,
    PduRefused,
    PeerFault,
    PeerUnbound,
    QueryAnswered,
    Signal,
    SubmitAnswered,
    SubmitReceived,
    Unanswered,
)
from smppd.smpp.sundry import (
    AlertNotification,
    CancelSm,
    QuerySm,
    decode_alert_notification,
    encode_alert_notification,
)
from smppd.smpp.window import Window
from tests.smpp.pair import (
    CREDENTIALS,
    HELLO,
    REPLY,
    TIMERS,
    Pair,
    bound_esme,
    bound_pair,
    bound_smsc,
    frames_of,
    raw,
    sent_by,
    submits,
)

DATA = DataSm(destination_addr="447700900123", tlvs={c.TLV_MESSAGE_PAYLOAD: b"hello"})
LAST = c.SEQUENCE_NUMBER_MAX


def bind_state(window: Window, last_used: int) -> BindState:
    """The part of a session that gives out sequence numbers, with ``last_used`` behind it."""
    state = BindState("esme", window, TIMERS, 0.0)
    state._sequence_number = last_used
    return state


# 1


def test_e01_sequence_numbers_start_at_1() -> None:
    esme = Session("esme", window=1, timers=TIMERS, now=0.0)
    esme.bind(CREDENTIALS, 0.0)
    assert [frame.sequence_number for frame in sent_by(esme)] == [1]


def test_e01_sequence_numbers_wrap_to_1_and_skip_the_window() -> None:
    window = Window(10)
    window.queue(["a", "b"], [1, 3], [b"", b""], 30.0)
    state = bind_state(window, LAST - 1)
    assert [state.next_sequence_number() for _ in range(3)] == [LAST, 2, 4]


def test_e01_sequence_numbers_skip_an_enquire_link_that_waits() -> None:
    state = bind_state(Window(1), LAST)
    state.state = "bound"
    state.handle_timers(60.0)
    state._sequence_number = LAST
    assert state.next_sequence_number() == 2


def test_e01_each_direction_counts_alone_and_a_response_echoes() -> None:
    pair = bound_pair()
    pair.smsc.deliver([Deliver("x", REPLY)], 0.0)
    (received,) = pair.to_esme()
    assert isinstance(received, DeliverReceived)
    assert received.sequence_number == 1
    esme = bound_esme()
    esme.receive_data(raw(c.ENQUIRE_LINK, LAST), 0.0)
    assert [frame.sequence_number for frame in sent_by(esme)] == [LAST]


# 2


def waiting_esme() -> Session:
    """Bound, with "a" and "b" written as 2 and 3."""
    esme = bound_esme()
    esme.submit(submits("a", "b"), 0.0)
    assert [frame.sequence_number for frame in sent_by(esme)] == [2, 3]
    return esme


def test_e02_answers_are_matched_out_of_order() -> None:
    octets = encode_submit_sm_resp(3, 0, "B") + encode_submit_sm_resp(2, 0, "A")
    assert waiting_esme().receive_data(octets, 0.0) == [
        SubmitAnswered("b", 0, "B", 3),
        SubmitAnswered("a", 0, "A", 2),
    ]


@pytest.mark.parametrize(
    "command_id", [c.DELIVER_SM_RESP, c.ENQUIRE_LINK_RESP, c.UNBIND_RESP, c.QUERY_SM_RESP]
)
def test_e02_a_response_of_another_command_is_no_answer(command_id: int) -> None:
    esme = waiting_esme()
    assert esme.receive_data(raw(command_id, 2), 0.0) == []
    assert esme.room == 8
    assert esme.state == "bound"


def test_e02_a_nack_with_our_sequence_number_is_the_answer() -> None:
    octets = raw(c.GENERIC_NACK, 3, c.ESME_RINVCMDLEN)
    assert waiting_esme().receive_data(octets, 0.0) == [
        SubmitAnswered("b", c.ESME_RINVCMDLEN, "", 3)
    ]


@pytest.mark.parametrize("sequence_number", [0, 99])
def test_e02_an_unknown_sequence_number_is_counted_and_not_fatal(sequence_number: int) -> None:
    esme = waiting_esme()
    octets = raw(c.GENERIC_NACK, sequence_number, 3) + raw(c.SUBMIT_SM_RESP, sequence_number)
    assert esme.receive_data(octets, 0.0) == []
    assert esme.statistics().unknown_responses == 2
    assert esme.room == 8


def test_e02_a_second_answer_to_one_request_is_no_answer() -> None:
    esme = waiting_esme()
    octets = encode_submit_sm_resp(2, 0, "A")
    assert len(esme.receive_data(octets + octets, 0.0)) == 1


def test_e02_data_sm_is_answered_by_data_sm_resp_alone() -> None:
    esme = bound_esme()
    esme.submit([Submit("a", DATA), *submits("b")], 0.0)
    esme.data_to_send()
    crossed = raw(c.SUBMIT_SM_RESP, 2, body=b"A\0") + raw(c.DATA_SM_RESP, 3, body=b"B\0")
    assert esme.receive_data(crossed, 0.0) == []
    assert (esme.room, esme.statistics().unknown_responses) == (8, 2)
    right = raw(c.DATA_SM_RESP, 2, body=b"A\0") + raw(c.SUBMIT_SM_RESP, 3, body=b"B\0")
    assert esme.receive_data(right, 0.0) == [
        SubmitAnswered("a", 0, "A", 2),
        SubmitAnswered("b", 0, "B", 3),
    ]


def test_e02_a_nack_answers_data_sm_and_asks_too() -> None:
    esme = bound_esme()
    esme.submit([Submit("a", DATA)], 0.0)
    esme.ask([Ask("q", QuerySm("id")), Ask("c", CancelSm("id"))], 0.0)
    nacks = b"".join(raw(c.GENERIC_NACK, number, 3) for number in (2, 3, 4))
    assert esme.receive_data(nacks, 0.0) == [
        SubmitAnswered("a", 3, "", 2),
        QueryAnswered("q", 3),
        CancelAnswered("c", 3),
    ]


# 3


@pytest.mark.parametrize("length", [0, 4, 15, PDU_BYTES_MAX + 1, 0xFFFFFFFF])
def test_e03_an_impossible_length_is_nacked_and_closes(length: int) -> None:
    esme = bound_esme()
    octets = length.to_bytes(4, "big") + b"\0\0\0\x15\0\0\0\0\0\0\0\x09"
    (fault,) = esme.receive_data(octets, 0.0)
    assert isinstance(fault, PeerFault)
    (nack,) = sent_by(esme)
    assert (nack.command_id, nack.command_status) == (c.GENERIC_NACK, c.ESME_RINVCMDLEN)
    assert esme.closed


def test_e03_every_split_point_gives_the_same_signals() -> None:
    octets = encode_deliver_sm(REPLY, 1) + encode_submit_sm_resp(2, 0, "A") + raw(c.UNBIND, 2)
    whole = waiting_esme().receive_data(octets, 0.0)
    for place in range(len(octets) + 1):
        esme = waiting_esme()
        parts = esme.receive_data(octets[:place], 0.0) + esme.receive_data(octets[place:], 0.0)
        assert parts == whole


# 4


@pytest.mark.parametrize("command_id", [c.REPLACE_SM, c.SUBMIT_MULTI, 0x10200, 0x112])
def test_e04_an_unknown_command_is_nacked_with_its_number_and_the_session_lives(
    command_id: int,
) -> None:
    esme = bound_esme()
    (refused,) = esme.receive_data(raw(command_id, 9, body=b"?"), 0.0)
    assert isinstance(refused, PduRefused)
    assert refused.body == b"?"
    assert esme.data_to_send() == raw(c.GENERIC_NACK, 9, c.ESME_RINVCMDID)
    assert esme.state == "bound"


@pytest.mark.parametrize(
    "command_id", [c.GENERIC_NACK, 0x80010200, 0x8FFFFFFF, c.DATA_SM_RESP, c.BIND_RECEIVER_RESP]
)
def test_e04_a_response_or_a_nack_is_never_nacked(command_id: int) -> None:
    esme = bound_esme()
    assert esme.receive_data(raw(command_id, 77, 3), 0.0) == []
    assert esme.data_to_send() == b""


# 5


@pytest.mark.parametrize("command_status", [0x22, 0x200, 0x410, 1375, 0xFFFFFFFF])
def test_e05_any_command_status_is_an_answer_and_has_a_name(command_status: int) -> None:
    (answered,) = waiting_esme().receive_data(raw(c.SUBMIT_SM_RESP, 2, command_status), 0.0)
    assert answered == SubmitAnswered("a", command_status, "", 2)
    assert c.status_name(command_status) == f"0x{command_status:08X}"


def test_e05_command_status_is_0_in_our_requests() -> None:
    esme = bound_esme()
    esme.submit(submits("a"), 0.0)
    esme.handle_timers(60.0)
    esme.unbind(60.0)
    assert {frame.command_status for frame in sent_by(esme)} == {0}


# 6


def test_e06_an_error_response_is_read_with_a_body_and_without() -> None:
    octets = raw(c.SUBMIT_SM_RESP, 2, 0x0A, b"id\0") + raw(c.SUBMIT_SM_RESP, 3, 0x0A)
    assert waiting_esme().receive_data(octets, 0.0) == [
        SubmitAnswered("a", 0x0A, "id", 2),
        SubmitAnswered("b", 0x0A, "", 3),
    ]


def test_e06_an_error_response_with_tlvs_is_read() -> None:
    octets = raw(c.SUBMIT_SM_RESP, 2, 0x0A, b"\0\x04\x25\0\x01\x01")
    assert waiting_esme().receive_data(octets, 0.0) == [SubmitAnswered("a", 0x0A, "", 2)]


@pytest.mark.parametrize("body", [b"", b"\0", b"centre\0", b"\xff" * 9, b"\0\x02\x10\0\x01\x34"])
def test_e06_a_refused_bind_is_read_whatever_body_it_has(body: bytes) -> None:
    esme = Session("esme", window=1, timers=TIMERS, now=0.0)
    esme.bind(CREDENTIALS, 0.0)
    octets = raw(c.BIND_TRANSCEIVER_RESP, 1, c.ESME_RINVPASWD, body)
    assert esme.receive_data(octets, 0.0) == [BindRejected(c.ESME_RINVPASWD)]


def test_e06_our_own_error_responses_have_no_body() -> None:
    pair = Pair()
    pair.esme.bind(CREDENTIALS, 0.0)
    (received,) = pair.to_smsc()
    assert isinstance(received, BindReceived)
    pair.smsc.refuse_bind(received, c.ESME_RINVPASWD, 0.0)
    assert [frame.body for frame in sent_by(pair.smsc)] == [b""]
    smsc = bound_smsc()
    smsc.answer([SubmitAnswer(1, c.ESME_RTHROTTLED, "never sent")])
    assert [frame.body for frame in sent_by(smsc)] == [b""]


# 7


@pytest.mark.parametrize(
    ("field", "octets_max"),
    [("system_id", 16), ("password", 9), ("system_type", 13), ("address_range", 41)],
)
def test_e07_bind_limits_count_the_nul(field: str, octets_max: int) -> None:
    base: dict[str, Any] = {"system_id": "a", "password": "b"}
    longest = Bind(**{**base, field: "x" * (octets_max - 1)})
    encode_bind(longest, 1)
    with pytest.raises(LocalProtocolError):
        encode_bind(Bind(**{**base, field: "x" * octets_max}), 1)


@pytest.mark.parametrize(
    ("field", "octets_max"), [("service_type", 6), ("source_addr", 21), ("destination_addr", 21)]
)
def test_e07_submit_limits_count_the_nul(field: str, octets_max: int) -> None:
    def submit(length: int) -> SubmitSm:
        fields: dict[str, Any] = {"destination_addr": "1", "short_message": b""}
        return SubmitSm(**{**fields, field: "1" * length})

    longest = submit(octets_max - 1)
    assert decode_submit_sm(encode_submit_sm(longest, 1)[16:]) == longest
    with pytest.raises(LocalProtocolError):
        encode_submit_sm(submit(octets_max), 1)


def test_e07_a_nul_inside_a_field_is_never_sent() -> None:
    with pytest.raises(LocalProtocolError):
        encode_submit_sm(SubmitSm(destination_addr="44\0 7", short_message=b""), 1)


def test_e07_short_message_is_octets_up_to_254_and_may_hold_nul() -> None:
    pdu = DeliverSm(destination_addr="1", short_message=bytes(254))
    assert decode_deliver_sm(encode_deliver_sm(pdu, 1)[16:]) == pdu
    with pytest.raises(LocalProtocolError):
        encode_submit_sm(SubmitSm(destination_addr="1", short_message=bytes(255)), 1)


def test_e07_data_sm_and_alerts_have_addresses_of_up_to_64_octets() -> None:
    longest = DataSm(source_addr="1" * 64, destination_addr="2" * 64)
    assert decode_data_sm(encode_data_sm(longest, 1)[16:]) == longest
    alert = AlertNotification("1" * 64, "2" * 64)
    assert decode_alert_notification(encode_alert_notification(alert, 1)[16:]) == alert
    with pytest.raises(LocalProtocolError):
        encode_data_sm(DataSm(destination_addr="2" * 65), 1)
    with pytest.raises(LocalProtocolError):
        encode_alert_notification(AlertNotification("1", "2" * 65), 1)


# 8


def test_e08_message_payload_stands_instead_of_short_message_and_sm_length_is_0() -> None:
    pdu = SubmitSm("447700900123", b"", tlvs={c.TLV_MESSAGE_PAYLOAD: b"long" * 100})
    octets = encode_submit_sm(pdu, 1)
    assert octets.endswith(b"\0" + b"\x04\x24\x01\x90" + b"long" * 100)
    assert decode_submit_sm(octets[16:]) == pdu


def test_e08_both_at_once_are_never_sent_and_refused_by_our_smsc() -> None:
    pdu = SubmitSm("447700900123", b"short", tlvs={c.TLV_MESSAGE_PAYLOAD: b"long"})
    with pytest.raises(LocalProtocolError):
        encode_submit_sm(pdu, 1)
    body = encode_submit_sm(HELLO, 1)[16:] + b"\x04\x24\0\x04long"
    fault = decode_submit_sm(body)
    assert isinstance(fault, PduFault)
    assert fault.command_status == c.ESME_ROPTPARNOTALLWD


def test_e08_both_at_once_in_a_deliver_sm_are_kept() -> None:
    body = encode_deliver_sm(REPLY, 1)[16:] + b"\x04\x24\0\x04long"
    pdu = decode_deliver_sm(body)
    assert isinstance(pdu, DeliverSm)
    assert (pdu.short_message, pdu.tlvs) == (b"STOP", {c.TLV_MESSAGE_PAYLOAD: b"long"})


def test_e08_a_payload_has_up_to_65535_octets() -> None:
    pdu = DeliverSm("1", b"", tlvs={c.TLV_MESSAGE_PAYLOAD: bytes(65_535)})
    pair = bound_pair()
    pair.smsc.deliver([Deliver("x", pdu)], 0.0)
    assert pair.to_esme() == [DeliverReceived(1, pdu)]
    with pytest.raises(LocalProtocolError):
        encode_deliver_sm(DeliverSm("1", b"", tlvs={c.TLV_MESSAGE_PAYLOAD: bytes(65_536)}), 1)


# 9


@pytest.mark.parametrize(
    "time", ["020610233429000R", "261121223000000+", "261121223059948-", "000000000000000R"]
)
def test_e09_a_time_of_the_specification_is_a_time(time: str) -> None:
    assert TIME_FORMAT.fullmatch(time)


@pytest.mark.parametrize(
    "time",
    [
        "02061023342900R",
        "0206102334290000R",
        "261321223000000+",
        "261100223000000+",
        "261121243000000+",
        "261121226000000+",
        "261121223000049+",
        "261121223000000Z",
        "020610233429100R",
        "020610233429001R",
        "٠٢٠٦١٠٢٣٣٤٢٩٠٠٠R",
    ],
)
def test_e09_what_is_no_time_is_never_sent_and_never_taken(time: str) -> None:
    pdu = SubmitSm(destination_addr="1", short_message=b"", validity_period=time)
    with pytest.raises(LocalProtocolError):
        encode_submit_sm(pdu, 1)
    head = b"\0\0\0\0\0\0" + b"1\0" + b"\0\0\0" + b"\0"
    fault = decode_submit_sm(head + time.encode() + b"\0" + b"\0\0\0\0\0")
    assert isinstance(fault, PduFault)
    assert fault.command_status == c.ESME_RINVEXPIRY


def test_e09_no_time_is_one_nul_and_a_relative_one_is_sixteen_characters() -> None:
    assert len(relative_time(3600)) == 16
    without = encode_submit_sm(HELLO, 1)
    pdu = SubmitSm("447700900123", b"hello", validity_period=relative_time(3600))
    assert len(encode_submit_sm(pdu, 1)) - len(without) == 16


# 10, 11, 12, 13: tables


def test_e10_esm_class_is_read_by_masks() -> None:
    receipt_with_udh = c.ESM_TYPE_RECEIPT | c.ESM_UDHI | c.ESM_MODE_STORE_AND_FORWARD
    assert receipt_with_udh & c.ESM_TYPE_MASK == c.ESM_TYPE_RECEIPT
    assert c.ESM_MODE_MASK | c.ESM_TYPE_MASK | c.ESM_UDHI | c.ESM_REPLY_PATH == 0xFF
    types = [c.ESM_TYPE_RECEIPT, c.ESM_TYPE_DELIVERY_ACK, c.ESM_TYPE_USER_ACK]
    assert types == [0x04, 0x08, 0x10]
    assert (c.ESM_TYPE_CONVERSATION_ABORT, c.ESM_TYPE_INTERMEDIATE) == (0x18, 0x20)


def test_e11_message_state_has_the_eight_of_34_and_the_two_of_50() -> None:
    assert list(c.MESSAGE_STATES.items()) == [
        (0, "SCHEDULED"),
        (1, "ENROUTE"),
        (2, "DELIVERED"),
        (3, "EXPIRED"),
        (4, "DELETED"),
        (5, "UNDELIVERABLE"),
        (6, "ACCEPTED"),
        (7, "UNKNOWN"),
        (8, "REJECTED"),
        (9, "SKIPPED"),
    ]


def test_e12_registered_delivery_has_its_notification_in_bit_4() -> None:
    assert c.REGISTERED_DELIVERY_BOTH & c.REGISTERED_DELIVERY_MASK == 0b01
    assert c.REGISTERED_DELIVERY_FAILURE & c.REGISTERED_DELIVERY_MASK == 0b10
    assert c.REGISTERED_DELIVERY_INTERMEDIATE == 0b10000


def test_e13_data_coding_names_the_three_we_write() -> None:
    assert (c.DATA_CODING_DEFAULT, c.DATA_CODING_LATIN1, c.DATA_CODING_UCS2) == (0, 3, 8)


# 14


def test_e14_unknown_tlvs_are_kept_and_the_first_of_two_wins() -> None:
    tlvs = b"\x14\0\0\x03abc" + b"\0\x1e\0\x02id" + b"\x14\0\0\x01z" + b"\x3f\xff\0\0"
    body = encode_deliver_sm(REPLY, 1)[16:] + tlvs
    pdu = decode_deliver_sm(body)
    assert isinstance(pdu, DeliverSm)
    assert pdu.tlvs == {0x1400: b"abc", c.TLV_RECEIPTED_MESSAGE_ID: b"id", 0x3FFF: b""}


def test_e14_a_vendor_tlv_can_be_sent() -> None:
    pdu = SubmitSm("447700900123", b"hello", tlvs={0x1400: b"1101", 0x1401: b"1007"})
    assert encode_submit_sm(pdu, 1).endswith(b"\x14\0\0\x041101" + b"\x14\x01\0\x041007")


# 15


def test_e15_a_centre_that_names_no_version_is_bound_all_the_same() -> None:
    esme = Session("esme", window=1, timers=TIMERS, now=0.0)
    esme.bind(CREDENTIALS, 0.0)
    assert esme.receive_data(raw(c.BIND_TRANSCEIVER_RESP, 1, body=b"centre\0"), 0.0) == [
        Bound("centre", None)
    ]
    assert esme.room == 1


def test_e15_a_peer_older_than_34_is_sent_no_tlv() -> None:
    pair = Pair()
    pair.esme.bind(Bind("smppd", "secret", interface_version=0x33), 0.0)
    (received,) = pair.to_smsc()
    assert isinstance(received, BindReceived)
    assert received.interface_version == 0x33
    pair.smsc.accept_bind(received, "centre", 0.0)
    assert pair.smsc.data_to_send() == raw(c.BIND_TRANSCEIVER_RESP, 1, body=b"centre\0")


def test_e15_a_33_bind_carries_no_tlv_and_no_data_sm_either_way() -> None:
    pair = bound_pair(interface_version=0x33)
    with_tlv = SubmitSm("447700900123", b"", tlvs={c.TLV_MESSAGE_PAYLOAD: b"hello"})
    for pdu in (with_tlv, DATA):
        with pytest.raises(LocalProtocolError):
            pair.esme.submit([*submits("a"), Submit("b", pdu)], 0.0)
    for reply in (msgspec.structs.replace(REPLY, tlvs={0x1400: b""}), DATA):
        with pytest.raises(LocalProtocolError):
            pair.smsc.deliver([Deliver("x", reply)], 0.0)
    pair.esme.submit(submits("a"), 0.0)
    assert pair.to_smsc() == [SubmitReceived(2, HELLO)]


def test_e15_tlvs_of_a_33_peer_are_read_all_the_same() -> None:
    esme = bound_pair(interface_version=0x33).esme
    octets = encode_deliver_sm(msgspec.structs.replace(REPLY, tlvs={0x1400: b"x"}), 1)
    (received,) = esme.receive_data(octets, 0.0)
    assert isinstance(received, DeliverReceived)
    assert received.pdu.tlvs == {0x1400: b"x"}


# 24


def test_e24_after_unbind_nothing_new_goes_out_and_answers_are_read() -> None:
    esme = waiting_esme()
    esme.unbind(0.0)
    assert esme.room == 0
    with pytest.raises(LocalProtocolError):
        esme.submit([Submit("c", HELLO)], 0.0)
    (unbind,) = sent_by(esme)
    answers = encode_submit_sm_resp(2, 0, "A") + raw(c.UNBIND_RESP, unbind.sequence_number)
    assert esme.receive_data(answers, 1.0) == [SubmitAnswered("a", 0, "A", 2)]
    assert esme.closed


def test_e24_a_peers_unbind_is_answered_and_its_silence_is_doubt() -> None:
    esme = waiting_esme()
    assert esme.receive_data(raw(c.UNBIND, 4), 0.0) == [PeerUnbound()]
    assert esme.data_to_send() == raw(c.UNBIND_RESP, 4)
    assert esme.room == 0
    assert esme.receive_eof(0.0) == [Unanswered(["a", "b"])]


# 25


def test_e25_session_init_timer_bounds_the_bind_on_both_sides() -> None:
    pair = Pair()
    pair.esme.bind(CREDENTIALS, 0.0)
    for session in (pair.esme, pair.smsc):
        (fault,) = session.handle_timers(10.0)
        assert isinstance(fault, PeerFault)
        assert session.closed


def test_e25_the_other_three_timers_have_a_deadline_each() -> None:
    timers = Timers(enquire_link_timer=50.0, response_timer=30.0, inactivity_timer=40.0)
    esme = bound_esme(timers=timers)
    assert esme.next_deadline() == 40.0
    esme.submit(submits("a"), 5.0)
    assert esme.next_deadline() == 35.0
    (sent,) = sent_by(esme)
    esme.receive_data(encode_submit_sm_resp(sent.sequence_number, 0, ""), 6.0)
    esme.submit(submits("b"), 30.0)
    assert esme.next_deadline() == 56.0


def answers_of(session: Session, octets: bytes) -> tuple[list[Signal], bytes]:
    return session.receive_data(octets, 0.0), session.data_to_send()


def test_e25_enquire_link_is_answered_in_every_state_without_a_body() -> None:
    open_, binding = Pair(), Pair()
    binding.esme.bind(CREDENTIALS, 0.0)
    binding.to_smsc()
    unbinding = bound_pair()
    unbinding.esme.unbind(0.0)
    unbinding.smsc.unbind(0.0)
    unbinding.esme.data_to_send()
    unbinding.smsc.data_to_send()
    for pair in (open_, binding, bound_pair(), unbinding):
        for session in (pair.esme, pair.smsc):
            answer: tuple[list[Signal], bytes] = ([], raw(c.ENQUIRE_LINK_RESP, 6))
            assert answers_of(session, raw(c.ENQUIRE_LINK, 6)) == answer


def test_e25_unbind_is_answered_in_every_state() -> None:
    binding = Pair()
    binding.esme.bind(CREDENTIALS, 0.0)
    binding.to_smsc()
    unbinding = bound_pair()
    unbinding.esme.unbind(0.0)
    unbinding.smsc.unbind(0.0)
    unbinding.esme.data_to_send()
    unbinding.smsc.data_to_send()
    for pair in (Pair(), binding, bound_pair(), unbinding):
        for session in (pair.esme, pair.smsc):
            answer = ([PeerUnbound()], raw(c.UNBIND_RESP, 6))
            assert answers_of(session, raw(c.UNBIND, 6)) == answer


@pytest.mark.parametrize("command_id", [c.OUTBIND, c.ALERT_NOTIFICATION])
def test_e25_a_request_without_a_response_gets_none(command_id: int) -> None:
    esme = bound_esme()
    (refused,) = esme.receive_data(raw(command_id, 1, body=b"\0\0"), 0.0)
    assert isinstance(refused, PduRefused)
    assert esme.data_to_send() == b""


def test_e25_deliver_sm_resp_has_a_message_id_of_one_nul() -> None:
    for command_status in (c.ESME_ROK, c.ESME_RX_T_APPN, c.ESME_RX_P_APPN):
        (frame,) = frames_of(encode_deliver_sm_resp(1, command_status))
        assert (frame.command_status, frame.body) == (command_status, b"\0")


def test_e25_traffic_before_the_bind_gets_rinvbndsts() -> None:
    pair = Pair()
    pair.smsc.receive_data(encode_submit_sm(HELLO, 1), 0.0)
    pair.esme.receive_data(encode_deliver_sm(REPLY, 1), 0.0)
    assert pair.smsc.data_to_send() == raw(c.SUBMIT_SM_RESP, 1, c.ESME_RINVBNDSTS)
    assert pair.esme.data_to_send() == encode_deliver_sm_resp(1, c.ESME_RINVBNDSTS)


@pytest.mark.parametrize("command_id", [c.DELIVER_SM, c.DATA_SM])
def test_e25_a_transmitter_answers_what_is_delivered_to_it_with_rinvbndsts(
    command_id: int,
) -> None:
    esme = bound_pair(kind="transmitter").esme
    (refused,) = esme.receive_data(raw(command_id, 1), 0.0)
    assert isinstance(refused, PduRefused)
    (frame,) = sent_by(esme)
    assert frame.command_id == command_id | c.RESPONSE_BIT
    assert frame.command_status == c.ESME_RINVBNDSTS


@pytest.mark.parametrize("command_id", [c.SUBMIT_SM, c.DATA_SM, c.QUERY_SM, c.CANCEL_SM])
def test_e25_our_smsc_answers_what_a_receiver_submits_with_rinvbndsts(command_id: int) -> None:
    smsc = bound_pair(kind="receiver").smsc
    (refused,) = smsc.receive_data(raw(command_id, 1), 0.0)
    assert isinstance(refused, PduRefused)
    assert smsc.data_to_send() == raw(command_id | c.RESPONSE_BIT, 1, c.ESME_RINVBNDSTS)


def test_e25_outbind_has_no_response_but_a_bind_as_receiver() -> None:
    pair = Pair()
    pair.smsc.outbind("smppd", "secret", 0.0)
    assert pair.to_esme() == [OutbindReceived("smppd", "secret")]
    assert pair.esme.data_to_send() == b""
    pair.bind(bind=Bind("smppd", "secret", kind="receiver"))
    assert (pair.esme.state, pair.smsc.state) == ("bound", "bound")
    assert (pair.esme.room, pair.smsc.deliver_room) == (0, 10)


def test_e25_alert_notification_is_told_and_has_no_response() -> None:
    pair = bound_pair(kind="receiver")
    pair.smsc.alert([AlertNotification("491701234567", "ACME", 0)])
    assert pair.to_esme() == [AlertReceived("491701234567", "ACME", 0)]
    assert pair.esme.data_to_send() == b""


def test_e25_data_sm_flows_both_ways_and_is_answered_by_its_own_response() -> None:
    pair = bound_pair()
    pair.esme.submit([Submit("up", DATA)], 0.0)
    pair.smsc.deliver([Deliver("down", DATA)], 0.0)
    (submitted,), (delivered,) = pair.to_smsc(), pair.to_esme()
    assert isinstance(submitted, SubmitReceived)
    assert isinstance(delivered, DeliverReceived)
    assert submitted.command_id == delivered.command_id == c.DATA_SM
    assert submitted.pdu.tlvs == delivered.pdu.tlvs == {c.TLV_MESSAGE_PAYLOAD: b"hello"}
    pair.esme.acknowledge([delivered])
    number = submitted.sequence_number
    pair.smsc.answer([SubmitAnswer(number, 0, "id", submitted.command_id)])
    assert pair.esme.data_to_send() == raw(c.DATA_SM_RESP, 1, body=b"\0")
    assert pair.to_esme() == [SubmitAnswered("up", 0, "id", number)]
    assert pair.smsc.receive_data(raw(c.DATA_SM_RESP, 1, body=b"\0"), 0.0) == [
        DeliverAnswered("down", 0)
    ]


def test_e25_temporary_and_permanent_refusals_reach_the_centre_as_they_are() -> None:
    pair = bound_pair()
    pair.smsc.deliver([Deliver("x", REPLY)], 0.0)
    pair.esme.acknowledge(pair.to_esme(), c.ESME_RX_T_APPN)
    (frame,) = sent_by(pair.esme)
    assert frame.command_status == c.ESME_RX_T_APPN


def test_a_submit_travels_whole_between_two_sessions() -> None:
    pair = bound_pair()
    pdu = SubmitSm("447700900123", b"\x05\0\3\x07\x02\x01part", esm_class=c.ESM_UDHI)
    pair.esme.submit([Submit("a", pdu)], 0.0)
    assert pair.to_smsc() == [SubmitReceived(2, pdu)]
