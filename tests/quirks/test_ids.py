"""What centres do with message_ids: rows 01 to 06 of docs/carriers.md."""

from __future__ import annotations

from pathlib import Path

import pytest
import structlog
import trio
import trio.testing
from hypothesis import given
from hypothesis import strategies as st

from smppd.daemon.hinting import LOOK_SECONDS, describe_hint, tell_hints
from smppd.smpp import constants as c
from smppd.smpp.message_id import candidate_ids, rule_between
from smppd.smpp.pdu import DeliverSm, encode_deliver_sm
from smppd.smpp.signals import BindReceived
from smppd.store.hints import AGAIN, KINDS, Hints
from smppd.store.records import CarrierProfile
from tests.quirks.centre import PHONE, Centre, Open, text, tlv
from tests.smpp.pair import frames_of, raw
from tests.traffic.line import open_line

Clock = trio.testing.MockClock
OTHER_PHONE = "491709999999"

# The id of the response, that of its receipt, and the rule that states how they are joined: from
# issues #20, #586 and #1034 of jookies/jasmin, and rows 7, 13 and 31 of the receipts.
PAIRS = [
    ("39f99dd5", "0972660181", "hex_to_dec"),
    ("812FC7470000001B", "9308878062554710043", "hex_to_dec"),
    ("666C7CEC78", "439906790520", "hex_to_dec"),
    ("0416342074", "18d0e03a", "dec_to_hex"),
    ("0059113978", "38601fa", "dec_to_hex"),
    ("9308878062554710043", "812fc7470000001b", "dec_to_hex"),
]


# -- 01: hexadecimal in the response, decimal in the receipt, or the reverse --


@pytest.mark.parametrize("stated", [True, False], ids=["stated", "auto"])
@pytest.mark.parametrize(("response_id", "receipt_id", "rule"), PAIRS)
def test_b01_receipt_in_another_base_finds_its_message(
    open_centre: Open, response_id: str, receipt_id: str, rule: str, stated: bool
) -> None:
    centre = open_centre(message_id=rule if stated else "auto")
    centre.take("r", ids=[response_id])
    centre.receipt(text(receipt_id))
    assert centre.state_of("r") == "delivered"


@pytest.mark.parametrize(("response_id", "receipt_id", "rule"), PAIRS)
def test_b01_stated_conversion_of_the_other_way_finds_nothing(
    open_centre: Open, response_id: str, receipt_id: str, rule: str
) -> None:
    other = {"hex_to_dec": "dec_to_hex", "dec_to_hex": "hex_to_dec"}[rule]
    centre = open_centre(message_id=other)
    centre.take("r", ids=[response_id])
    centre.receipt(text(receipt_id))
    assert centre.state_of("r") == "sent"


def test_b01_receipts_that_waited_are_found_once_a_reload_states_the_rule(
    open_centre: Open,
) -> None:
    centre = open_centre(message_id="same")
    centre.take("r", ids=["4d"])
    centre.receipt(text("77"))
    centre.house.profiles["alpha"] = CarrierProfile(message_id="hex_to_dec")
    centre.house.store.set_rules(centre.house.rules)
    centre.house.pass_time(60)
    assert centre.state_of("r") == "delivered"


def test_b01_auto_says_which_rule_matched_once_it_is_no_accident(open_centre: Open) -> None:
    centre = open_centre()
    for number in range(KINDS["ids_hex_to_dec"].often):
        assert centre.hinted() == []
        centre.take(f"r{number}", ids=[f"a{number:07x}"])
        centre.receipt(text(str(0xA0000000 + number)))
    assert centre.hinted() == [("ids_hex_to_dec", 'message_id = "hex_to_dec"')]
    assert centre.hinted() == []


def test_b01_a_hint_is_told_again_only_after_ten_times_as_many() -> None:
    hints, often = Hints(), KINDS["ids_missing"].often
    told = []
    for seen in range(1, often * AGAIN * AGAIN + 1):
        hints.note("alpha", "ids_missing")
        told += [(seen, hint.count) for hint in hints.take_due()]
    assert told == [(often * AGAIN**power,) * 2 for power in range(3)]


async def test_b01_hints_are_a_line_of_the_log_each_at_most_once_a_minute(
    autojump_clock: Clock,
) -> None:
    hints = Hints()
    hints.note("alpha", "id_constant", "x" * 100)
    with structlog.testing.capture_logs() as lines, trio.move_on_after(3 * LOOK_SECONDS):
        await tell_hints(hints.take_due)
    assert lines == [
        {
            "event": "receipt_hint",
            "log_level": "warning",
            "carrier": "alpha",
            "what": "id_constant",
            "count": 1,
            "example": "x" * 64,
            "remedy": KINDS["id_constant"].remedy,
        }
    ]


def test_b01_hint_that_was_told_stands_in_status_from_then_on() -> None:
    hints = Hints()
    for _ in range(KINDS["ids_dec_to_hex"].often):
        hints.note("alpha", "ids_dec_to_hex")
        assert hints.standing() == []
    hints.take_due()
    said = [describe_hint(hint) for hint in hints.standing()]
    assert said == [
        'receipts of alpha: ids dec to hex (10 times since start); message_id = "dec_to_hex"'
    ]


@given(st.integers(0, 2**128), st.sampled_from(["hex_to_dec", "dec_to_hex"]))
def test_b01_rule_that_is_suggested_is_one_that_finds_the_message(number: int, rule: str) -> None:
    ids = [f"{number:x}", str(number)]
    response_id, receipt_id = ids if rule == "hex_to_dec" else ids[::-1]
    found = rule_between(response_id, receipt_id)
    assert response_id in candidate_ids(receipt_id, found)
    assert found == ("same" if response_id == receipt_id else rule)


# -- 02: leading zeros, case, 64 bits and more, UUIDs --


@pytest.mark.parametrize(
    ("response_id", "receipt_id"),
    [
        ("0972660181", "972660181"),
        ("972660181", "0972660181"),
        ("000024", "24"),
        ("1101C1-", "1101c1-"),
        ("0e999f21-8a3f-4c1d-9e57-0123456789ab", "E999F21-8A3F-4C1D-9E57-0123456789AB"),
        ("171026125222636445993424531920", "171026125222636445993424531920"),
        ("f" * 64, "F" * 64),
        ("ü-7", "ü-7"),
    ],
)
def test_b02_id_is_found_whatever_became_of_its_zeros_and_case(
    open_centre: Open, response_id: str, receipt_id: str
) -> None:
    centre = open_centre()
    centre.take("r", ids=[response_id])
    centre.receipt(text(receipt_id))
    assert centre.state_of("r") == "delivered"


def test_b02_id_is_shown_and_kept_as_it_came(open_centre: Open) -> None:
    centre = open_centre()
    centre.take("r", ids=["000024Ab"])
    centre.receipt(text("24aB"))
    view = centre.house.store.query("shop", ref="r")
    assert view is not None
    assert view.parts[0].message_id == "000024Ab"


def test_b02_other_spelling_is_believed_of_its_own_phone_alone(open_centre: Open) -> None:
    centre = open_centre()
    centre.take("r", ids=["000024"])
    centre.receipt(text("24"), source=OTHER_PHONE)
    assert centre.state_of("r") == "sent"


# -- 03: binds of SMPP 3.3 give ids in another base than those of 3.4 --


def test_b03_rule_of_a_bind_that_speaks_33_is_its_own(open_centre: Open) -> None:
    centre = open_centre(binds=2, message_id="same", message_id_33="hex_to_dec")
    centre.take("new", "old", ids=["77", "4d"])
    centre.receipt(text("77"), is_33=False)
    assert centre.states("new", "old") == ["delivered", "sent"]
    centre.receipt(text("77"), bind=1, is_33=True)
    assert centre.states("new", "old") == ["delivered", "delivered"]


def test_b03_receipt_that_came_first_is_claimed_by_the_rule_of_its_bind(open_centre: Open) -> None:
    centre = open_centre(message_id="same", message_id_33="hex_to_dec")
    centre.take("r")
    centre.receipt(text("77"), is_33=True)
    centre.answer("4d")
    assert centre.state_of("r") == "delivered"


def test_b03_without_a_rule_of_its_own_33_goes_by_the_carriers(open_centre: Open) -> None:
    centre = open_centre(message_id="hex_to_dec")
    centre.take("r", ids=["4d"])
    centre.receipt(text("77"), is_33=True)
    assert centre.state_of("r") == "delivered"


@pytest.mark.parametrize(
    ("named", "found"), [(b"\x33", True), (b"\x34", False), (b"\x50", False), (None, False)]
)
async def test_b03_version_is_that_of_the_carriers_own_answer(
    tmp_path: Path, autojump_clock: Clock, named: bytes | None, found: bool
) -> None:
    profile = CarrierProfile(message_id="same", message_id_33="hex_to_dec")
    async with open_line(tmp_path, profile=profile, carriers=("alpha",)) as line:
        tie = line.open_link()
        await tie.smsc.read_until(lambda: bool(tie.smsc.received))
        (asked,) = tie.smsc.received
        assert isinstance(asked, BindReceived)
        version = b"" if named is None else tlv(c.TLV_SC_INTERFACE_VERSION, named)
        answer = raw(c.BIND_TRANSCEIVER_RESP, asked.sequence_number, body=b"centre\0" + version)
        await tie.smsc.stream.send_all(answer)
        await line.submit("r")
        data = b""
        while len(data) < 16:
            data += await tie.smsc.stream.receive_some(65_536)
        (frame,) = frames_of(data)
        taken = raw(c.SUBMIT_SM_RESP, frame.sequence_number, body=b"4d\0")
        receipt = DeliverSm("ACME", text("77"), source_addr=PHONE, esm_class=c.ESM_TYPE_RECEIPT)
        await tie.smsc.stream.send_all(taken + encode_deliver_sm(receipt, 1))
        assert await line.wait_told(1) == [("r", "sent"), ("r", "delivered")][: 1 + found]


# -- 04: the id in the TLV, in the text, or both, and different --


@pytest.mark.parametrize(
    ("in_tlv", "in_text"),
    [("m1", ""), ("", "m1"), ("m1", "m1"), ("m1", "other"), ("other", "m1")],
)
def test_b04_id_is_found_in_the_tlv_or_in_the_text(
    open_centre: Open, in_tlv: str, in_text: str
) -> None:
    centre = open_centre()
    centre.take("r", ids=["m1"])
    tlvs = {c.TLV_RECEIPTED_MESSAGE_ID: in_tlv.encode() + b"\0"} if in_tlv else {}
    centre.receipt(text(in_text), tlvs=tlvs)
    assert centre.state_of("r") == "delivered"


@pytest.mark.parametrize(("in_tlv", "in_text"), [("m1", "other"), ("other", "m1")])
def test_b04_receipt_of_two_ids_that_came_before_its_response_is_found_in_the_end(
    open_centre: Open, in_tlv: str, in_text: str
) -> None:
    centre = open_centre()
    centre.take("r")
    centre.receipt(text(in_text), tlvs={c.TLV_RECEIPTED_MESSAGE_ID: in_tlv.encode() + b"\0"})
    centre.answer("m1")
    centre.house.pass_time(60)
    assert centre.state_of("r") == "delivered"
    assert centre.house.store.statistics().unmatched == 0


def test_b04_tlv_wins_where_both_name_a_message(open_centre: Open) -> None:
    centre = open_centre()
    centre.take("one", "two", ids=["m1", "m2"])
    centre.receipt(text("m2"), tlvs={c.TLV_RECEIPTED_MESSAGE_ID: b"m1\0"})
    assert centre.states("one", "two") == ["delivered", "sent"]


@pytest.mark.parametrize("response_id", ["38601fa", "0059113978", "59113978", "038601FA"])
def test_b04_one_number_in_two_bases_in_one_receipt_names_one_message(
    open_centre: Open, response_id: str
) -> None:
    """Row 13 of the receipts, whichever form the response had."""
    centre = open_centre()
    centre.take("r", ids=[response_id])
    centre.receipt(text("0059113978"), tlvs={c.TLV_RECEIPTED_MESSAGE_ID: b"38601fa"})
    assert centre.state_of("r") == "delivered"


# -- 05: no id, one for all, or one that has to do with nothing --


def test_b05_empty_message_id_is_taken_and_no_receipt_is_guessed_to_be_its(
    open_centre: Open,
) -> None:
    centre = open_centre()
    centre.take("r", ids=[""])
    centre.receipt(text(""))
    centre.receipt(text("0"))
    assert centre.state_of("r") == "sent"
    centre.house.pass_time(400_000)
    assert centre.state_of("r") == "unconfirmed"


def test_b05_submit_sm_resp_without_any_body_is_taken_like_an_empty_id(open_centre: Open) -> None:
    centre = open_centre()
    centre.take("r")
    (number,) = centre.unanswered
    centre.say(raw(c.SUBMIT_SM_RESP, number))
    assert centre.state_of("r") == "sent"


def test_b05_constant_id_names_nobody_once_it_is_seen_to_be_one(open_centre: Open) -> None:
    """osmo-msc answers every submit_sm like this (smpplib #117)."""
    constant = "msg_id_not_implemented"
    centre = open_centre()
    for number in range(5):
        centre.take(f"r{number}", ids=[constant])
    centre.receipt(text(constant))
    assert centre.states(*(f"r{number}" for number in range(5))) == ["sent"] * 5
    assert centre.hinted() == [("id_constant", KINDS["id_constant"].remedy)]


def test_b05_constant_id_is_not_believed_again_after_a_restart(open_centre: Open) -> None:
    centre = open_centre()
    for number in range(5):
        centre.take(f"r{number}", ids=["0"])
    centre = open_centre()
    centre.receipt(text("0"))
    assert centre.state_of("r4") == "sent"


def test_b05_receipts_by_a_constant_id_are_kept_each_and_claimed_by_no_response(
    open_centre: Open,
) -> None:
    centre = open_centre()
    for number in range(5):
        centre.take(f"r{number}", ids=["0"])
    centre.receipt(text("0", "UNDELIV"))
    centre.receipt(text("0", "DELIVRD"))
    assert centre.house.store.statistics().unmatched == 2
    centre.take("r5", ids=["0"])
    assert centre.state_of("r5") == "sent"


def test_b05_address_finds_the_message_whatever_the_ids_say(open_centre: Open) -> None:
    """Ids that are empty, constant, and unrelated."""
    centre = open_centre(match_receipts="address")
    centre.take("one", ids=[""], to=PHONE)
    centre.take("two", ids=["0"], to="491700000002")
    centre.take("three", ids=["0"], to="491700000003")
    centre.receipt(text(""))
    centre.receipt(text("0", "UNDELIV"), source="+491700000002")
    centre.receipt(text("77"), source="00491700000003")
    assert centre.states("one", "two", "three") == ["delivered", "failed", "delivered"]


@pytest.mark.parametrize(
    ("source", "destination", "found"),
    [
        (PHONE, "ACME", True),
        (PHONE, "", True),
        (PHONE, "OTHER", False),
        (OTHER_PHONE, "ACME", False),
    ],
)
def test_b05_phone_and_sender_must_both_agree(
    open_centre: Open, source: str, destination: str, found: bool
) -> None:
    centre = open_centre(match_receipts="address")
    centre.take("r", ids=[""])
    centre.receipt(text(""), source=source, destination=destination)
    assert centre.state_of("r") == ("delivered" if found else "sent")


def test_b05_of_several_messages_to_a_phone_the_oldest_is_meant_and_it_is_said(
    open_centre: Open,
) -> None:
    centre = open_centre(match_receipts="address")
    for ref in ("one", "two"):
        centre.take(ref, ids=["0"])
        centre.house.pass_time(1)
    centre.receipt(text(""))
    assert centre.states("one", "two") == ["delivered", "sent"]
    trace = centre.house.store.trace(ref="one", app="shop")
    assert trace is not None
    details = [step.detail for step in trace.steps if step.step == "matched"]
    assert details == ["by address, the oldest of 2"]
    assert centre.house.store.statistics().receipts_by_order == 1


def test_b05_text_that_a_receipt_quotes_tells_messages_apart(open_centre: Open) -> None:
    centre = open_centre(match_receipts="address")
    centre.take("one", ids=["0"], text="Your code is 111111")
    centre.take("two", ids=["0"], text="Your code is 222222")
    centre.receipt(text("", said="Your code is 222222"))
    assert centre.states("one", "two") == ["sent", "delivered"]
    assert centre.house.store.statistics().receipts_by_order == 0


def test_b05_second_receipt_of_one_message_is_not_another_ones(open_centre: Open) -> None:
    """It differs in its dates, say, and quotes the first one's text."""
    centre = open_centre(match_receipts="address")
    centre.take("one", ids=["0"], text="Your code is 111111")
    centre.receipt(text("", said="Your code is 111111"))
    centre.take("two", ids=["0"], text="Your code is 222222")
    centre.receipt(text("1", "UNDELIV", said="Your code is 111111"))
    assert centre.states("one", "two") == ["delivered", "sent"]
    centre.receipt(text("2", said="in words of its own"))
    assert centre.states("one", "two") == ["delivered", "delivered"]


def test_b05_messages_far_apart_are_not_guessed_between(open_centre: Open) -> None:
    """The first one's receipt may never come; it must not take that of the second."""
    centre = open_centre(match_receipts="address")
    centre.take("one", ids=["0"])
    centre.house.pass_time(601)
    centre.take("two", ids=["0"])
    centre.receipt(text(""))
    assert centre.states("one", "two") == ["sent", "sent"]
    assert centre.house.store.statistics().unmatched == 1


def test_b05_same_octets_again_are_the_same_receipt(open_centre: Open) -> None:
    centre = open_centre(match_receipts="address")
    centre.take("one", "two", ids=["0", "0"])
    centre.receipt(text(""))
    centre.receipt(text(""))
    assert sorted(centre.states("one", "two")) == ["delivered", "sent"]
    centre.receipt(text("", said="another"))
    assert centre.states("one", "two") == ["delivered", "delivered"]


def test_b05_receipt_before_its_response_is_found_by_address_a_little_later(
    open_centre: Open,
) -> None:
    centre = open_centre(match_receipts="address")
    centre.take("r")
    centre.receipt(text("77"))
    centre.answer("")
    assert centre.state_of("r") == "sent"
    centre.house.pass_time(5)
    assert centre.state_of("r") == "delivered"
    assert centre.house.store.statistics().unmatched == 0


def test_b05_address_is_known_after_a_restart_and_of_the_same_commit(open_centre: Open) -> None:
    centre = open_centre(match_receipts="address")
    centre.take("r", ids=["0"])
    centre = open_centre(match_receipts="address")
    centre.receipt(text(""))
    assert centre.state_of("r") == "delivered"


def test_b05_receipt_is_for_no_message_that_was_sent_after_it_came(open_centre: Open) -> None:
    """It waits, and is looked at again, for days."""
    centre = open_centre(match_receipts="address")
    centre.receipt(text(""))
    centre.house.pass_time(30)
    centre.take("r", ids=["0"])
    for _ in range(10):
        centre.house.pass_time(60)
    assert centre.state_of("r") == "sent"


def test_b05_one_message_that_waited_is_found_by_address_and_says_so(open_centre: Open) -> None:
    centre = open_centre(match_receipts="address")
    centre.take("r", ids=["0"])
    centre.receipt(text(""))
    assert matched(centre, "r") == ["by address"]
    assert centre.house.store.statistics().receipts_by_order == 0


def test_b05_message_in_doubt_makes_it_a_guess(open_centre: Open) -> None:
    """The receipt may be the doubtful one's, whose answer was lost."""
    centre = open_centre(match_receipts="address", uncertain="stop")
    centre.take("doubtful")
    centre.lose()
    assert centre.state_of("doubtful") == "uncertain"
    centre.take("r", ids=["0"])
    centre.receipt(text(""))
    assert centre.states("doubtful", "r") == ["uncertain", "delivered"]
    assert matched(centre, "r") == ["by address, the oldest of 2"]
    assert centre.house.store.statistics().receipts_by_order == 1


def test_b05_receipt_of_one_of_several_that_wait_settles_no_doubt(open_centre: Open) -> None:
    centre = open_centre(match_receipts="address", uncertain="stop")
    centre.take("doubtful")
    centre.lose()
    centre.take("one", ids=["0"])
    centre.house.pass_time(601)
    centre.take("two", ids=["0"])
    centre.receipt(text(""))
    for _ in range(3):
        centre.house.pass_time(61)
    assert centre.states("doubtful", "one", "two") == ["uncertain", "sent", "sent"]


def matched(centre: Centre, ref: str) -> list[str | None]:
    trace = centre.house.store.trace(ref=ref, app="shop")
    assert trace is not None
    return [step.detail for step in trace.steps if step.step == "matched"]


def test_b05_same_words_without_a_date_are_another_receipt_after_a_while(
    open_centre: Open,
) -> None:
    """A centre that says the same of every message would else confirm one a phone, ever."""
    centre = open_centre(match_receipts="address")
    for ref in ("one", "two"):
        centre.take(ref, ids=["0"])
        centre.receipt(b"id:0 stat:DELIVRD err:000")
        centre.house.pass_time(60)
    assert centre.states("one", "two") == ["delivered", "sent"]
    centre.house.pass_time(600)
    centre.receipt(b"id:0 stat:DELIVRD err:000")
    assert centre.states("one", "two") == ["delivered", "delivered"]


def test_b05_receipts_by_id_of_before_the_key_was_set_are_claimed_by_no_id(
    open_centre: Open,
) -> None:
    centre = open_centre()
    centre.take("r", to=OTHER_PHONE)
    centre.receipt(text("0"))
    centre.house.profiles["alpha"] = CarrierProfile(match_receipts="address")
    centre.house.store.set_rules(centre.house.rules)
    centre.answer("0")
    assert centre.state_of("r") == "sent"


def test_b05_every_segment_has_a_receipt_of_its_own_by_address(open_centre: Open) -> None:
    centre = open_centre(match_receipts="address")
    centre.take("r", text="x" * 200, segments=2, ids=["0", "0"])
    centre.receipt(text("", said="1"))
    assert centre.state_of("r") == "sent"
    centre.receipt(text("", said="2"))
    assert centre.state_of("r") == "delivered"


def test_b05_carrier_with_the_key_is_told_of_it_no_more(open_centre: Open) -> None:
    centre = open_centre(match_receipts="address")
    for number in range(KINDS["ids_missing"].often):
        centre.take(f"r{number}", ids=[""])
    assert centre.hinted() == []


def test_b05_missing_ids_are_noticed_and_the_key_for_them_is_named(open_centre: Open) -> None:
    centre = open_centre()
    for number in range(KINDS["ids_missing"].often):
        centre.take(f"r{number}", ids=[""])
    assert centre.hinted() == [("ids_missing", KINDS["ids_missing"].remedy)]


# -- 06: ids that come again after a while --


def test_b06_receipt_that_waits_for_days_is_not_taken_for_a_later_message_of_its_id(
    open_centre: Open,
) -> None:
    centre = open_centre()
    centre.receipt(text("7"), source=OTHER_PHONE)
    centre.house.pass_time(1)
    centre.take("r", ids=["7"])
    for _ in range(8):
        centre.house.pass_time(61)
    assert centre.state_of("r") != "delivered"


def test_b06_id_that_comes_again_means_the_newest_message(open_centre: Open) -> None:
    centre = open_centre()
    centre.take("old", ids=["7"])
    centre.receipt(text("7"))
    centre.take("new", ids=["7"], to=OTHER_PHONE)
    centre.receipt(text("7", "UNDELIV"), source=OTHER_PHONE)
    assert centre.states("old", "new") == ["delivered", "failed"]
    assert centre.hinted() == []


def test_b06_id_given_to_another_while_the_first_waits_is_believed_of_its_phone_alone(
    open_centre: Open,
) -> None:
    """A counter of two digits: the receipt of the first message is not taken for the second's."""
    centre = open_centre()
    centre.take("first", ids=["7"])
    centre.take("other", ids=["8"], to="491700000008")
    centre.take("second", ids=["7"], to=OTHER_PHONE)
    centre.receipt(text("7", "UNDELIV"), source=PHONE)
    assert centre.states("first", "second") == ["sent", "sent"]
    centre.receipt(text("7"), source=OTHER_PHONE)
    assert centre.states("first", "second") == ["sent", "delivered"]


def test_b06_receipt_of_before_a_message_was_sent_is_not_claimed_by_its_id(
    open_centre: Open,
) -> None:
    """Another system of the account had that id then."""
    centre = open_centre()
    centre.receipt(text("7"), source=OTHER_PHONE)
    centre.house.pass_time(1)
    centre.take("r", ids=["7"])
    assert centre.state_of("r") == "sent"


def test_b06_shared_id_of_two_messages_to_one_phone_is_nobodys_while_both_wait(
    open_centre: Open,
) -> None:
    centre = open_centre()
    centre.take("one", ids=["7"])
    centre.take("two", ids=["7"])
    centre.receipt(text("7", "UNDELIV"))
    assert centre.states("one", "two") == ["sent", "sent"]


def test_b06_shared_id_is_not_believed_of_any_phone_again_after_a_restart(
    open_centre: Open,
) -> None:
    centre = open_centre()
    centre.take("first", ids=["7"])
    centre.take("second", ids=["7"], to=OTHER_PHONE)
    centre = open_centre()
    centre.receipt(text("7", "UNDELIV"), source=PHONE)
    assert centre.states("first", "second") == ["sent", "sent"]
    centre.receipt(text("7"), source=OTHER_PHONE)
    assert centre.states("first", "second") == ["sent", "delivered"]


def test_b06_id_that_comes_again_of_a_counter_is_not_constant_though_its_messages_wait(
    open_centre: Open,
) -> None:
    """The others have their receipts at once, so none of them is shared."""
    centre = open_centre()
    for round_ in range(5):
        centre.take(f"dead{round_}", ids=["7"], to=OTHER_PHONE)
        centre.take(f"r{round_}", ids=["8"])
        centre.receipt(text("8"))
    assert [centre.state_of(f"r{round_}") for round_ in range(5)] == ["delivered"] * 5
    assert centre.hinted() == []


def test_b06_small_counter_is_no_constant_id(open_centre: Open) -> None:
    centre = open_centre()
    for number in range(12):
        centre.take(f"r{number}", ids=[str(number % 3)], to=f"49170000000{number % 10}")
    centre.receipt(text("2"), source="491700000001")
    assert centre.state_of("r11") == "delivered"


def test_b06_id_of_a_message_that_has_aged_out_names_nobody(open_centre: Open) -> None:
    centre = open_centre()
    centre.take("old", ids=["7"])
    centre.receipt(text("7"))
    centre.house.pass_time(91 * 86_400)
    centre.house.pass_time(700)
    centre.house.pass_time(2)
    assert centre.house.store.query("shop", ref="old") is None
    centre.receipt(text("7", "UNDELIV"))
    assert centre.house.store.statistics().receipts_unmatched == 1
