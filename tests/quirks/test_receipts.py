"""What centres do with receipts: rows 07 to 16 of docs/carriers.md."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing
from hypothesis import given
from hypothesis import strategies as st

from smppd.config import check
from smppd.smpp import constants as c
from smppd.smpp.pdu import DeliverSm
from smppd.smpp.receipt import looks_like_receipt, parse_receipt
from smppd.store.hints import KINDS
from smppd.traffic.link import DELIVERED_SECONDS_MAX
from tests.config.house import CARRIER, write_config
from tests.disk import FullDisk
from tests.quirks.centre import PHONE, Open, data_sm, text
from tests.smpp.pair import golden_pdus, raw
from tests.smpp.test_receipt import ROWS, Row, pdu_of
from tests.traffic.line import open_line

Clock = trio.testing.MockClock
NAMED = [row for row in ROWS if row.id is not None or row.tlv_id is not None]
FATES = {2: "delivered", 3: "expired", 5: "failed", 9: "failed", 1: "sent", 6: "sent", None: "sent"}
"""What becomes of a message by the state that a row reads as."""

every_named_row = pytest.mark.parametrize("row", NAMED, ids=lambda row: f"row-{row.n}")


# -- 07: the receipt comes before the submit_sm_resp --


def test_b07_receipt_before_its_response_is_acknowledged_kept_and_told_after_sent(
    open_centre: Open,
) -> None:
    centre = open_centre()
    centre.take("r")
    centre.receipt(text("m1"))
    assert centre.house.told() == []
    centre.answer("m1")
    assert centre.house.told() == [("r", "sent"), ("r", "delivered")]


def test_b07_receipt_and_response_in_one_read_find_each_other(open_centre: Open) -> None:
    centre = open_centre()
    centre.take("r")
    (number,) = centre.unanswered
    receipt = data_sm(1, text("m1"))
    assert centre.say(receipt, raw(c.SUBMIT_SM_RESP, number, body=b"m1\0")) == [c.ESME_ROK]
    assert centre.state_of("r") == "delivered"


def test_b07_receipt_that_waits_outlives_a_restart(open_centre: Open) -> None:
    centre = open_centre()
    centre.receipt(text("m1"))
    centre = open_centre()
    centre.take("r", ids=["m1"])
    assert centre.state_of("r") == "delivered"


def test_b07_receipt_nobody_claims_ages_out(open_centre: Open) -> None:
    centre = open_centre()
    centre.receipt(text("m1"))
    assert centre.house.store.statistics().unmatched == 1
    for _ in range(3):
        centre.house.pass_time(5 * 86_400)
        centre.house.pass_time(700)
    assert centre.house.store.statistics().unmatched == 0


# -- 08: receipts of earlier runs, and on other binds --


def test_b08_receipt_on_another_bind_after_a_restart_finds_its_message(open_centre: Open) -> None:
    open_centre(binds=2).take("r", ids=["m1"])
    centre = open_centre(binds=2)
    centre.receipt(text("m1"), bind=1)
    assert centre.state_of("r") == "delivered"


@pytest.mark.parametrize(
    ("bind", "receipts", "warns"),
    [
        ("transmitter", "each", True),
        ("transmitter", "none", False),
        ("pair", "each", False),
    ],
)
def test_b08_transmitter_that_asks_for_receipts_is_named_by_check(
    tmp_path: Path, bind: str, receipts: str, warns: bool
) -> None:
    lines = f'bind = "{bind}"\nreceipts = "{receipts}"\n'
    named = [warning.key for warning in check(write_config(tmp_path, carrier=CARRIER + lines))]
    assert named == ["bind"] * warns


# -- 09: keys, words, dates and errors of every form --


@every_named_row
def test_b09_every_collected_receipt_decides_its_message(open_centre: Open, row: Row) -> None:
    centre = open_centre(match_receipts="id")
    centre.take("r", ids=[row.tlv_id or row.id or ""])
    pdu = pdu_of(row, row.body.encode("latin-1"), row.dcs, row.where)
    centre.receipt(
        pdu.short_message, esm_class=row.esm, data_coding=pdu.data_coding, tlvs=dict(pdu.tlvs)
    )
    view = centre.house.store.query("shop", ref="r")
    assert view is not None
    assert view.state == FATES[row.state]
    assert centre.house.store.statistics().unmatched == 0


def test_b09_word_nobody_knows_is_kept_counted_and_told_of_its_carrier(open_centre: Open) -> None:
    centre = open_centre()
    centre.take("r", ids=["m1"])
    for _ in range(KINDS["stat_unknown"].often):
        centre.receipt(text("m1", "BADSTAT"))
    assert centre.state_of("r") == "sent"
    assert centre.house.store.statistics().receipts_unreadable == KINDS["stat_unknown"].often
    (hint,) = centre.house.store.take_hints()
    assert (hint.carrier, hint.what, hint.example) == ("alpha", "stat_unknown", "BADSTAT")
    view = centre.house.store.query("shop", ref="r")
    assert view is not None
    assert {late.stat for late in view.late_receipts} == {"BADSTAT"}


@given(
    st.permutations(["id:m1", "sub:001", "dlvrd:001", "stat:DELIVRD", "err:0A1"]),
    st.sampled_from([" ", "  ", "\r\n"]),
    st.integers(0, 4),
)
def test_b09_order_and_gaps_of_keys_say_nothing(keys: list[str], gap: str, left_out: int) -> None:
    said = [key for key in keys if not (key.startswith(("sub", "dlvrd")) and left_out % 2)]
    read = parse_receipt(gap.join(said).encode(), {})
    assert (read.id, read.stat, read.err, read.state) == ("m1", "DELIVRD", "0A1", 2)


# -- 10: in message_payload, on deliver_sm or on data_sm --


@pytest.mark.parametrize("response_id", ["6aad5", "0000436949", "436949"])
def test_b10_receipt_of_a_real_pdu_is_read_from_its_message_payload(
    open_centre: Open, response_id: str
) -> None:
    """Row 6 of the receipts; its TLV and its text name one number in two bases."""
    (octets,) = [pdu for pdu in golden_pdus() if b"id:0000436949" in pdu]
    centre = open_centre()
    centre.take("r", to="21653520703", ids=[response_id])
    assert centre.say(octets) == [c.ESME_ROK]
    assert centre.state_of("r") == "delivered"


@pytest.mark.parametrize("in_tlv", [True, False], ids=["message_payload", "short_message"])
def test_b10_receipt_on_data_sm_or_deliver_sm_is_one(open_centre: Open, in_tlv: bool) -> None:
    centre = open_centre()
    centre.take("one", "two", ids=["m1", "m2"])
    assert centre.say(data_sm(1, text("m1"))) == [c.ESME_ROK]
    if in_tlv:
        centre.receipt(b"", tlvs={c.TLV_MESSAGE_PAYLOAD: text("m2")})
    else:
        centre.receipt(text("m2"))
    assert centre.states("one", "two") == ["delivered", "delivered"]


# -- 11: under the data_coding of the submit_sm, or really UCS-2 --


@pytest.mark.parametrize("data_coding", [0, 1, 3, 4, 8, 0xF0, 0xFF])
def test_b11_data_coding_of_a_receipt_is_not_believed(open_centre: Open, data_coding: int) -> None:
    centre = open_centre()
    centre.take("r", ids=["m1"])
    centre.receipt(text("m1"), data_coding=data_coding)
    assert centre.state_of("r") == "delivered"


@every_named_row
def test_b11_receipt_that_really_is_ucs2_says_the_same(open_centre: Open, row: Row) -> None:
    centre = open_centre()
    centre.take("r", ids=[row.tlv_id or row.id or ""])
    pdu = pdu_of(row, row.body.encode("utf-16-be"), 8, "short_message")
    where = {c.TLV_MESSAGE_PAYLOAD: pdu.short_message}
    centre.receipt(b"", esm_class=row.esm, data_coding=8, tlvs={**pdu.tlvs, **where})
    assert centre.state_of("r") == FATES[row.state]


@pytest.mark.parametrize(
    ("mark", "encoding"),
    [
        (b"", "utf-16-be"),
        (b"\xfe\xff", "utf-16-be"),
        (b"", "utf-16-le"),
        (b"\xff\xfe", "utf-16-le"),
    ],
)
def test_b11_ucs2_is_read_in_either_order_and_with_a_mark(
    open_centre: Open, mark: bytes, encoding: str
) -> None:
    body = mark + text("m1", said="Grüße").decode("latin-1").encode(encoding)
    centre = open_centre()
    centre.take("r", ids=["m1"])
    centre.receipt(b"", data_coding=8, tlvs={c.TLV_MESSAGE_PAYLOAD: body})
    assert centre.state_of("r") == "delivered"


# -- 12: octets that are no ASCII --


@given(st.binary(max_size=60))
def test_b12_no_octets_in_the_text_hide_what_stands_before_it(said: bytes) -> None:
    read = parse_receipt(b"id:m1 stat:UNDELIV err:0B1 text:" + said, {})
    assert (read.id, read.state, read.err) == ("m1", c.MESSAGE_STATE_UNDELIVERABLE, "0B1")


def test_b12_octets_that_are_no_ascii_are_kept_and_shown(open_centre: Open) -> None:
    centre = open_centre()
    centre.take("r", ids=["m1"])
    centre.receipt(b"id:m1 stat:DELIVRD err:000 text:\x84A\x89\0\x1b\xff")
    trace = centre.house.store.trace(ref="r", app="shop")
    assert trace is not None
    (detail,) = [step.detail for step in trace.steps if step.step == "receipt"]
    assert detail is not None
    assert detail.startswith("id:m1 stat:DELIVRD")


# -- 13: not marked, or marked as intermediate --


def test_b13_unmarked_receipt_of_an_outstanding_message_is_one(open_centre: Open) -> None:
    centre = open_centre()
    centre.take("r", ids=["m1"])
    centre.receipt(text("m1"), esm_class=0)
    assert centre.house.told() == [("r", "sent"), ("r", "delivered")]


def test_b13_text_of_a_phone_that_looks_like_a_receipt_is_its_text(open_centre: Open) -> None:
    centre = open_centre()
    centre.take("r", ids=["m1"])
    centre.receipt(text("m1"), esm_class=0, source="491700000099")
    centre.receipt(text("other"), esm_class=0)
    assert centre.state_of("r") == "sent"
    assert [event["event"] for event in centre.house.events()] == ["sent", "inbound", "inbound"]


def test_b13_carrier_that_marks_none_is_believed_also_before_the_response(
    open_centre: Open,
) -> None:
    centre = open_centre(unmarked_receipts=True)
    centre.take("r")
    centre.receipt(text("m1"), esm_class=0)
    centre.answer("m1")
    centre.receipt(b"id: what? stat: none", esm_class=0)
    assert [event["event"] for event in centre.house.events()] == ["sent", "delivered", "inbound"]


def test_b13_unmarked_receipts_are_found_by_their_address_too(open_centre: Open) -> None:
    centre = open_centre(unmarked_receipts=True, match_receipts="address")
    centre.take("r", ids=["0"])
    centre.receipt(text("77"), esm_class=0)
    assert centre.state_of("r") == "delivered"


@pytest.mark.parametrize(
    ("keys", "found"),
    [
        ({"unmarked_receipts": True, "match_receipts": "address"}, "delivered"),
        ({"unmarked_receipts": True}, "sent"),
        ({"match_receipts": "address"}, "sent"),
        ({}, "sent"),
    ],
)
def test_b13_unmarked_receipt_without_an_id_is_one_where_both_keys_say_so(
    open_centre: Open, keys: dict[str, object], found: str
) -> None:
    centre = open_centre(**keys)
    centre.take("r", ids=["0"])
    body = b"id: sub:001 dlvrd:001 submit date:2611220900 done date:2611220901 stat:DELIVRD err:000"
    centre.receipt(body, esm_class=0)
    assert centre.state_of("r") == found
    told = [event["event"] for event in centre.house.events()]
    assert told == ["sent", "delivered" if found == "delivered" else "inbound"]


def test_b13_id_of_a_carrier_whose_ids_name_nothing_marks_no_receipt(open_centre: Open) -> None:
    """It would be the newest message's that was given it."""
    centre = open_centre(match_receipts="address")
    centre.take("one", ids=["0"])
    centre.take("two", ids=["0"])
    centre.receipt(text("0"), esm_class=0)
    assert centre.states("one", "two") == ["sent", "sent"]
    assert centre.house.events()[-1]["event"] == "inbound"


def test_b13_unmarked_receipt_may_say_all_in_its_tlvs(open_centre: Open) -> None:
    centre = open_centre()
    centre.take("r", ids=["m1"])
    tlvs = {c.TLV_RECEIPTED_MESSAGE_ID: b"m1\0", c.TLV_MESSAGE_STATE: b"\5"}
    centre.receipt(b"", esm_class=0, tlvs=tlvs)
    assert centre.state_of("r") == "failed"


def test_b13_unmarked_receipts_are_noticed_and_the_key_for_them_is_named(
    open_centre: Open,
) -> None:
    centre = open_centre()
    for number in range(KINDS["receipts_unmarked"].often):
        centre.take(f"r{number}", ids=[f"m{number}"])
        centre.receipt(text(f"m{number}"), esm_class=0)
    assert centre.hinted() == [("receipts_unmarked", "unmarked_receipts = true")]


@pytest.mark.parametrize("accepted_is_final", [True, False])
def test_b13_intermediate_notification_closes_nothing_whatever_it_says(
    open_centre: Open, accepted_is_final: bool
) -> None:
    centre = open_centre(accepted_is_final=accepted_is_final)
    centre.take("r", ids=["m1"])
    for stat in ("DELIVRD", "UNDELIV", "ACCEPTD"):
        centre.receipt(text("m1", stat), esm_class=c.ESM_TYPE_INTERMEDIATE)
    assert centre.state_of("r") == "sent"
    centre.receipt(text("m1"))
    assert centre.state_of("r") == "delivered"


@given(st.text(max_size=80))
def test_b13_what_a_phone_writes_is_no_receipt_unless_it_has_an_id_and_a_known_word(
    said: str,
) -> None:
    body = said.encode("latin-1", "replace")
    if looks_like_receipt(body):
        read = parse_receipt(body, {})
        assert read.id is not None
        assert read.state is not None


# -- 14: ACCEPTD and DELIVRD, buffered and final, twice, against each other --


def test_b14_steps_on_the_way_close_nothing_and_every_one_is_kept(open_centre: Open) -> None:
    centre = open_centre()
    centre.take("r", ids=["m1"])
    for stat in ("ACCEPTD", "BUFFRED", "ENROUTE", "DELIVRD", "DELIVRD", "UNDELIV"):
        centre.receipt(text("m1", stat))
    assert centre.house.told() == [("r", "sent"), ("r", "delivered")]
    view = centre.house.store.query("shop", ref="r")
    assert view is not None
    late = [one.stat for one in view.late_receipts]
    assert late == ["ACCEPTD", "BUFFRED", "ENROUTE", "DELIVRD", "UNDELIV"]


def test_b14_tlv_wins_against_the_text_and_the_contradiction_is_counted(open_centre: Open) -> None:
    centre = open_centre()
    centre.take("r", ids=["m1"])
    centre.receipt(text("m1", "DELIVRD"), tlvs={c.TLV_MESSAGE_STATE: b"\5"})
    assert centre.state_of("r") == "failed"
    assert centre.house.store.statistics().receipts_contradictory == 1


def test_b14_where_accepted_is_the_best_it_will_say_it_is_delivered_and_told_as_that(
    open_centre: Open,
) -> None:
    centre = open_centre(accepted_is_final=True)
    centre.take("r", ids=["m1"])
    centre.receipt(text("m1", "ACCEPTD"))
    sent, delivered = centre.house.events()
    assert "accepted" not in sent
    assert (delivered["event"], delivered["accepted"]) == ("delivered", True)
    view = centre.house.store.query("shop", ref="r")
    assert view is not None
    assert view.parts[0].receipt is not None
    assert view.parts[0].receipt.state == "ACCEPTED"
    centre.receipt(text("m1", "UNDELIV"))
    assert centre.state_of("r") == "delivered"


def test_b14_event_of_an_accepted_message_is_the_same_with_a_tag_and_without(
    open_centre: Open,
) -> None:
    """One is written in one go, the other field by field."""
    centre = open_centre(accepted_is_final=True)
    centre.take("r", tag="t", ids=["m1"])
    centre.take("s", tag=None, ids=["m2"])
    centre.receipt(text("m1", "ACCEPTD"))
    centre.receipt(text("m2", "ACCEPTD"))
    first, second = (one for one in centre.house.events() if one["event"] == "delivered")
    differ = {key for key in first if first[key] != second[key]}
    assert differ == {"seq", "id", "ref", "tag"}
    assert list(first) == list(second)


def test_b14_all_segments_accepted_is_delivered_and_one_that_failed_is_not(
    open_centre: Open,
) -> None:
    centre = open_centre(accepted_is_final=True)
    long: dict[str, Any] = {"text": "x" * 200, "segments": 2}
    centre.take("good", ids=["a1", "a2"], **long)
    centre.take("bad", ids=["b1", "b2"], **long)
    for name, stat in [("a1", "ACCEPTD"), ("a2", "DELIVRD"), ("b1", "ACCEPTD"), ("b2", "UNDELIV")]:
        centre.receipt(text(name, stat))
    assert centre.states("good", "bad") == ["delivered", "failed"]


# -- 15: acknowledged when it is stored, and not before --


def deliver_sm(name: str) -> DeliverSm:
    return DeliverSm("ACME", text(name), source_addr=PHONE, esm_class=c.ESM_TYPE_RECEIPT)


async def test_b15_receipt_is_acknowledged_only_once_it_is_on_disk(
    tmp_path: Path, autojump_clock: Clock
) -> None:
    async with open_line(tmp_path, is_committing=False) as line:
        tie = line.open_link()
        await tie.smsc.accept_bind()
        await tie.smsc.deliver(deliver_sm("m1"))
        await trio.testing.wait_all_tasks_blocked()
        assert line.house.store.statistics().unmatched == 0
        line.start_committing()
        assert await tie.smsc.wait_acknowledged(1) == [c.ESME_ROK]
        assert line.house.store.statistics().unmatched == 1


async def test_b15_receipt_that_the_disk_has_no_room_for_is_refused_as_a_full_queue(
    tmp_path: Path, autojump_clock: Clock
) -> None:
    async with open_line(tmp_path) as line:
        tie = await line.bind()
        with FullDisk() as disk:
            await tie.smsc.deliver(deliver_sm("m1"), deliver_sm("m2"))
            before = trio.current_time()
            with trio.fail_after(10 * DELIVERED_SECONDS_MAX):
                assert await tie.smsc.wait_acknowledged(2) == [c.ESME_RMSGQFUL] * 2
            assert trio.current_time() >= before + DELIVERED_SECONDS_MAX
            disk.is_full = False
        assert line.house.store.statistics().unmatched == 0
        await tie.smsc.deliver(deliver_sm("m1"))
        assert await tie.smsc.wait_acknowledged(1) == [c.ESME_ROK]
        assert line.house.store.statistics().unmatched == 1


async def test_b15_receipt_is_acknowledged_as_soon_as_there_is_room_again(
    tmp_path: Path, autojump_clock: Clock
) -> None:
    async with open_line(tmp_path) as line:
        tie = await line.bind()
        with FullDisk(times=3):
            await tie.smsc.deliver(deliver_sm("m1"))
            assert await tie.smsc.wait_acknowledged(1) == [c.ESME_ROK]
        assert line.house.store.statistics().unmatched == 1


# -- 16: a receipt a segment, one for the first alone, one for all --


LONG: dict[str, Any] = {"text": "x" * 400, "segments": 3}


def test_b16_message_is_delivered_when_every_segment_is_and_failed_when_one_is_not(
    open_centre: Open,
) -> None:
    centre = open_centre()
    for ref, stats in {"good": ["DELIVRD"] * 3, "bad": ["DELIVRD", "UNDELIV", "DELIVRD"]}.items():
        names = [f"{ref}{number}" for number in range(3)]
        centre.take(ref, ids=names, **LONG)
        for name, stat in zip(names, stats, strict=True):
            assert centre.state_of(ref) in ("sent", "failed")
            centre.receipt(text(name, stat))
    assert centre.states("good", "bad") == ["delivered", "failed"]


def test_b16_receipt_can_be_asked_of_the_last_segment_alone(open_centre: Open) -> None:
    centre = open_centre(receipts="last")
    pdus = centre.take("r", ids=["a", "b", "z"], **LONG)
    assert [pdu.registered_delivery for pdu in pdus] == [0, 0, 1]
    centre.receipt(text("z"))
    assert centre.state_of("r") == "delivered"


@pytest.mark.parametrize("named", [0, 1, 2])
@pytest.mark.parametrize(("stat", "fate"), [("DELIVRD", "delivered"), ("UNDELIV", "failed")])
def test_b16_one_receipt_covers_all_segments_whichever_it_names(
    open_centre: Open, named: int, stat: str, fate: str
) -> None:
    centre = open_centre(receipt_covers="message")
    names = ["a", "b", "z"]
    centre.take("r", ids=names, **LONG)
    centre.receipt(text(names[named], stat))
    assert centre.state_of("r") == fate
    centre.receipt(text(names[(named + 1) % 3], "EXPIRED"))
    assert centre.state_of("r") == fate


def test_b16_receipt_for_all_before_the_last_response_counts_with_it(open_centre: Open) -> None:
    centre = open_centre(receipt_covers="message", window=2)
    centre.take("r", ids=["a", "b"], **LONG)
    centre.receipt(text("a"))
    assert centre.state_of("r") == "queued"
    centre.take(ids=["z"])
    assert centre.house.told() == [("r", "sent"), ("r", "delivered")]


def test_b16_receipt_for_all_settles_the_doubt_of_a_segment(open_centre: Open) -> None:
    centre = open_centre(receipt_covers="message", window=2)
    centre.take("r", uncertain="stop", ids=["a", "b"], **LONG)
    centre.take()
    centre.lose()
    assert centre.state_of("r") == "uncertain"
    centre.receipt(text("b"))
    assert centre.state_of("r") == "delivered"


def test_b16_receipt_for_all_takes_the_place_of_a_promised_resend(open_centre: Open) -> None:
    centre = open_centre(receipt_covers="message", window=2)
    centre.take("r", ids=["a", "b"], **LONG)
    centre.take()
    centre.house.down(doubt=list(centre.unanswered.values()))
    assert centre.state_of("r") == "queued"
    centre.receipt(text("b"))
    assert centre.state_of("r") == "delivered"
    centre.house.up()
    assert centre.take() == []


def test_b16_one_id_for_all_segments_is_of_each_of_them_in_turn(open_centre: Open) -> None:
    centre = open_centre()
    centre.take("r", ids=["same"] * 3, **LONG)
    for number in range(3):
        assert centre.state_of("r") == "sent"
        centre.receipt(text("same", said=f"part {number}"))
        centre.receipt(text("same", said=f"part {number}"))
    assert centre.state_of("r") == "delivered"


def test_b16_receipt_that_covers_all_without_the_key_is_noticed(open_centre: Open) -> None:
    centre = open_centre(receipt_timeout=3600)
    for number in range(KINDS["receipt_per_message"].often):
        centre.take(f"r{number}", ids=[f"{number}-{part}" for part in range(3)], **LONG)
        centre.receipt(text(f"{number}-0"))
    centre.house.pass_time(3601)
    assert centre.state_of("r0") == "unconfirmed"
    assert [what for what, _ in centre.hinted()] == ["receipt_per_message"]
