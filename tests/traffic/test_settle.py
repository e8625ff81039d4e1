"""What signals mean for the store: verdicts, receipts, what phones sent, doubt."""

from __future__ import annotations

from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smppd.smpp import constants
from smppd.smpp.pdu import DeliverSm
from smppd.smpp.signals import (
    Bound,
    DeliverReceived,
    PeerFault,
    Signal,
    Stalled,
    SubmitAnswered,
    Unanswered,
    Unwritten,
)
from smppd.store.changes import (
    Answered,
    Doubted,
    GivenBack,
    InboundArrived,
    ReceiptArrived,
    Verdict,
)
from smppd.text.header import Concatenation
from smppd.text.reading import Piece, read_pieces
from smppd.text.segment import Form
from smppd.traffic.settle import VERDICTS, LinkProfile, settle

AT = 1_795_292_101_000
ALPHA = LinkProfile("alpha", 1)
TAG = bytes(10)
RECEIPT = (
    b"id:7A3F sub:001 dlvrd:001 submit date:2611210915 done date:2611210930 stat:DELIVRD err:000"
)


def deliver(
    short_message: bytes = b"STOP",
    *,
    esm_class: int = 0,
    data_coding: int = 0,
    tlvs: dict[int, bytes] | None = None,
) -> DeliverReceived:
    pdu = DeliverSm(
        "12345",
        short_message,
        source_addr="491701234567",
        esm_class=esm_class,
        data_coding=data_coding,
        tlvs=tlvs or {},
    )
    return DeliverReceived(9, pdu)


def settle_inbound(signal: DeliverReceived) -> InboundArrived:
    (change,) = settle([signal], ALPHA, AT).changes
    assert isinstance(change, InboundArrived)
    return change


def settle_receipt(signal: DeliverReceived, profile: LinkProfile = ALPHA) -> ReceiptArrived:
    change, *_ = settle([signal], profile, AT).changes
    assert isinstance(change, ReceiptArrived)
    return change


# --- answers ---


@pytest.mark.parametrize(
    ("status", "verdict"),
    [
        (constants.ESME_ROK, Verdict.TAKEN),
        (constants.ESME_RTHROTTLED, Verdict.SLOW),
        (constants.ESME_RMSGQFUL, Verdict.SLOW),
        (constants.ESME_RSYSERR, Verdict.RETRY),
        (constants.ESME_RX_T_APPN, Verdict.RETRY),
        (constants.ESME_RINVBNDSTS, Verdict.RETRY),
        (constants.ESME_RINVDSTADR, Verdict.REROUTE),
        (constants.ESME_RSUBMITFAIL, Verdict.REROUTE),
        (0x0000055F, Verdict.REROUTE),
        (constants.ESME_RINVMSGLEN, Verdict.REFUSE),
        (constants.ESME_RX_R_APPN, Verdict.REFUSE),
    ],
)
def test_status_is_judged_by_the_table(status: int, verdict: Verdict) -> None:
    (change,) = settle([SubmitAnswered(TAG, status, "m1", 7)], ALPHA, AT).changes
    assert change == Answered("alpha", 1, TAG, verdict, status, "m1", AT, 7)


def test_slowing_down_is_counted_and_is_never_a_refusal() -> None:
    slow = [status for status, verdict in VERDICTS.items() if verdict is Verdict.SLOW]
    settlement = settle([SubmitAnswered(TAG, status, "") for status in [*slow, 0]], ALPHA, AT)
    assert settlement.throttled == len(slow) == 2


def test_changes_keep_the_order_of_their_signals() -> None:
    signals: list[Signal] = [
        deliver(RECEIPT, esm_class=constants.ESM_TYPE_RECEIPT),
        SubmitAnswered(TAG, 0, "7A3F"),
        deliver(),
    ]
    kinds = [type(change) for change in settle(signals, ALPHA, AT).changes]
    assert kinds == [ReceiptArrived, Answered, InboundArrived]


def test_what_is_no_change_is_a_notice_in_order() -> None:
    signals: list[Signal] = [
        Bound("centre", 0x34),
        SubmitAnswered(TAG, 0, "m1"),
        Stalled(),
        PeerFault("gone"),
    ]
    settlement = settle(signals, ALPHA, AT)
    assert settlement.notices == [signals[0], signals[2], signals[3]]
    assert len(settlement.changes) == 1


def test_unwritten_goes_back_and_unanswered_is_doubt() -> None:
    signals: list[Signal] = [Unwritten([TAG]), Unanswered([b"x" * 10, b"y" * 10])]
    assert settle(signals, ALPHA, AT).changes == [
        GivenBack("alpha", 1, [TAG], AT),
        Doubted("alpha", 1, [b"x" * 10, b"y" * 10], AT),
    ]


# --- receipts ---


def test_marked_receipt_is_read_with_its_addresses() -> None:
    change = settle_receipt(deliver(RECEIPT, esm_class=constants.ESM_TYPE_RECEIPT))
    assert change.receipt.ids == ("7A3F",)
    assert change.receipt.state == constants.MESSAGE_STATE_DELIVERED
    assert (change.source, change.destination) == ("491701234567", "12345")
    assert change.at == AT


def test_done_date_is_told_only_where_the_zone_is_known() -> None:
    signal = deliver(RECEIPT, esm_class=constants.ESM_TYPE_RECEIPT)
    assert settle_receipt(signal).done_at is None
    zoned = LinkProfile("alpha", 1, ZoneInfo("Europe/Berlin"))
    assert settle_receipt(signal, zoned).done_at == 1_795_249_800_000  # 2026-11-21 08:30 UTC


def test_unreadable_done_date_is_no_date() -> None:
    body = RECEIPT.replace(b"done date:2611210930", b"done date:whenever")
    zoned = LinkProfile("alpha", 1, ZoneInfo("Europe/Berlin"))
    signal = deliver(body, esm_class=constants.ESM_TYPE_RECEIPT)
    assert settle_receipt(signal, zoned).done_at is None


def test_marked_receipt_without_anything_readable_is_still_a_receipt() -> None:
    change = settle_receipt(deliver(b"\xff\x00", esm_class=constants.ESM_TYPE_RECEIPT))
    assert change.receipt.ids == ()
    assert change.receipt.state is None


def test_unmarked_receipt_is_inbound_that_may_be_one() -> None:
    change = settle_inbound(deliver(RECEIPT))
    assert change.unmarked is not None
    assert change.unmarked.receipt.ids == ("7A3F",)
    assert change.text == RECEIPT.decode()


def test_ordinary_text_is_inbound_and_nothing_else() -> None:
    change = settle_inbound(deliver(b"STOP"))
    assert change.unmarked is None
    assert change.text == "STOP"
    assert (change.source, change.destination) == ("491701234567", "12345")


# --- what phones send ---


@pytest.mark.parametrize(
    ("data_coding", "data", "text"),
    [
        (0, b"\x00\x02\x1b\x65", "@$€"),
        (3, b"caf\xe9", "café"),
        (8, "短信".encode("utf-16-be"), "短信"),
        (4, b"\x01\x02", None),
        (0xF5, b"\x01\x02", None),
    ],
)
def test_inbound_is_read_by_its_data_coding_and_kept_raw(
    data_coding: int, data: bytes, text: str | None
) -> None:
    change = settle_inbound(deliver(data, data_coding=data_coding))
    assert change.text == text
    assert (change.data, change.data_coding) == (data, data_coding)


def test_header_of_user_data_is_no_text() -> None:
    data = b"\x05\x00\x03\x07\x02\x01" + b"first half"
    change = settle_inbound(deliver(data, esm_class=constants.ESM_UDHI))
    assert change.text == "first half"
    assert change.data == data


@pytest.mark.parametrize(
    ("header", "joined"),
    [
        ("050003070201", Concatenation("udh8", 7, 2, 1)),
        ("06080401070302", Concatenation("udh16", 0x0107, 3, 2)),
        ("0605040b8423f0", None),
    ],
)
def test_header_says_which_segment_of_a_message_it_is(
    header: str, joined: Concatenation | None
) -> None:
    udh = bytes.fromhex(header)
    change = settle_inbound(deliver(udh + b"half", esm_class=constants.ESM_UDHI))
    assert (change.concatenation, change.udh, change.text) == (joined, udh, "half")
    assert settle_inbound(deliver(udh + b"half")).concatenation is None  # not marked as a header


def test_sar_tlvs_say_which_segment_of_a_message_it_is() -> None:
    tlvs = {
        constants.TLV_SAR_MSG_REF_NUM: b"\x01\x07",
        constants.TLV_SAR_TOTAL_SEGMENTS: b"\x03",
        constants.TLV_SAR_SEGMENT_SEQNUM: b"\x02",
    }
    assert settle_inbound(deliver(tlvs=tlvs)).concatenation == Concatenation("sar", 0x0107, 3, 2)
    for missing in tlvs:
        rest = {tag: value for tag, value in tlvs.items() if tag != missing}
        assert settle_inbound(deliver(tlvs=rest)).concatenation is None
    tlvs[constants.TLV_SAR_SEGMENT_SEQNUM] = b"\x04"
    assert settle_inbound(deliver(tlvs=tlvs)).concatenation is None


@pytest.mark.parametrize(
    ("form", "data", "text"),
    [
        (Form(default_alphabet="latin1"), b"@caf\xe9", "@café"),
        (Form(default_alphabet="ascii"), b"[$]", "[$]"),
        (Form(packed=True), bytes.fromhex("c8329bfd06"), "Hello"),
    ],
)
def test_text_is_read_as_its_carrier_writes_it(form: Form, data: bytes, text: str) -> None:
    (change,) = settle([deliver(data)], LinkProfile("alpha", 1, form=form), AT).changes
    assert isinstance(change, InboundArrived)
    assert change.text == text


def test_payload_in_a_tlv_is_the_text() -> None:
    change = settle_inbound(deliver(b"", tlvs={constants.TLV_MESSAGE_PAYLOAD: b"long"}))
    assert change.text == "long"


@given(
    st.binary(max_size=200),
    st.sampled_from([0, 3, 8, 4, 0xF5]),
    st.sampled_from([0, constants.ESM_UDHI, constants.ESM_TYPE_RECEIPT, 0xFF]),
)
def test_no_octets_of_a_phone_are_too_odd_to_be_kept_and_told(
    data: bytes, data_coding: int, esm_class: int
) -> None:
    signal = deliver(data, data_coding=data_coding, esm_class=esm_class)
    change, *_ = settle([signal], ALPHA, AT).changes
    msgspec.json.encode(change)


@given(st.binary(max_size=40), st.sampled_from([0, 3, 8]), st.booleans())
def test_text_that_is_read_can_be_written_as_json(
    data: bytes, data_coding: int, has_udh: bool
) -> None:
    text = read_pieces([Piece(data, data_coding, has_udh)], Form()).text
    assert text is not None
    assert msgspec.json.decode(msgspec.json.encode(text)) == text
