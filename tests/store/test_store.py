"""The store and its dispatch on real files: what is promised, matched, and found again."""

from __future__ import annotations

import msgspec
import pytest

from smppd.errors import StoreError
from smppd.routing.table import Route
from smppd.smpp.constants import ESM_UDHI
from smppd.store import index
from smppd.store.changes import Accepted, InboundArrived, RefConflict, Rejection, Take, Verdict
from smppd.store.environment import Environment
from smppd.store.keys import ref_key
from smppd.store.layout import META_SCHEMA
from smppd.store.records import CarrierProfile
from smppd.store.retention import RetentionPeriods
from smppd.traffic.granting import LOOKS_MAX
from smppd.traffic.queue import ROWS_MAX
from tests.house import House, Open, pdu_of, tag_of

# --- accepting ---


def test_message_is_granted_in_the_commit_that_accepts_it(open_house: Open) -> None:
    house = open_house()
    house.up()
    house.submit("r1")
    (submit,) = house.take()
    assert pdu_of(submit).destination_addr == "491701234567"
    assert pdu_of(submit).short_message == b"hi"
    assert pdu_of(submit).validity_period == "000000001000000R"
    assert pdu_of(submit).registered_delivery == 1


def test_same_ref_with_same_content_is_a_duplicate_and_sends_nothing(open_house: Open) -> None:
    house = open_house()
    house.up()
    (first,) = house.submit("r1")
    (again,) = house.commit([house.propose("r1")])
    assert again == Accepted(first, 1, "gsm7", duplicate=True)
    assert len(house.take()) == 1


def test_same_ref_with_other_content_is_a_conflict(open_house: Open) -> None:
    house = open_house()
    (first,) = house.submit("r1")
    (result,) = house.commit([house.propose("r1", digest=b"e" * 16)])
    assert result == RefConflict(first)


def test_ref_that_has_left_memory_is_still_bound(
    open_house: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is in a run alone by then, before a restart and after it."""
    monkeypatch.setattr(index, "GENERATION", 2)
    house = open_house()
    (first,) = house.submit("r1")
    for number in range(20):
        house.submit(f"later-{number}")
    assert ref_key("shop", "r1") not in refs_in_memory(house)
    for _ in range(2):
        (again,) = house.commit([house.propose("r1")])
        assert again == Accepted(first, 1, "gsm7", duplicate=True)
        (conflict,) = house.commit([house.propose("r1", digest=b"e" * 16)])
        assert conflict == RefConflict(first)
        view = house.store.query("shop", ref="r1")
        assert view is not None
        assert view.id == first
        house.close()
        house = open_house()
        assert ref_key("shop", "r1") not in refs_in_memory(house)


def test_store_of_before_there_were_runs_goes_on(open_house: Open) -> None:
    """Its refs and ids are single rows, in tables that are empty now."""
    house = open_house()
    house.up()
    (first,) = house.submit("r1")
    house.answer(house.take(), ids=["abc"])
    env = house.store._env
    env.begin(write=True)
    for name in ("refs", "smsc_ids"):
        for key, row in env.tables[f"{name}_journal"].rows_from(b""):
            env.tables[f"{name}_journal"].delete(key)
            for entry, value in index.decode_entries(row):
                env.tables[name].put(entry, value)
    env.tables["meta"].put(META_SCHEMA, b"1")
    env.commit()
    house.close()
    for turn in range(2):
        house = open_house()
        house.up()
        (again,) = house.commit([house.propose("r1")])
        assert again == Accepted(first, 1, "gsm7", duplicate=True)
        if turn == 0:
            house.receive("abc")
            assert house.store.statistics().receipts_matched == 1
        with house.store._reading():
            tables = house.store._env.tables
            assert (tables["refs"].count(), tables["smsc_ids"].count()) == (0, 0)
            assert tables["meta"].get(META_SCHEMA) == b"2"
        house.close()


def refs_in_memory(house: House) -> set[bytes]:
    refs = house.store._ledger.refs
    return {*refs._young, *refs._old}


def test_ref_twice_in_one_batch_is_accepted_once(open_house: Open) -> None:
    house = open_house()
    first, second = house.commit([house.propose("r1"), house.propose("r1")])
    assert isinstance(first, Accepted)
    assert second == Accepted(first.id, 1, "gsm7", duplicate=True)


def test_ref_is_looked_up_before_a_rejection(open_house: Open) -> None:
    house = open_house()
    (first,) = house.submit("r1")
    rejection = Rejection("draining", "smppd is stopping", 30)
    proposal = house.propose("r1")
    (result,) = house.commit([type(proposal)("shop", "r1", proposal.digest, rejection)])
    assert result == Accepted(first, 1, "gsm7", duplicate=True)
    (result,) = house.commit([type(proposal)("shop", "r2", proposal.digest, rejection)])
    assert result == rejection


def test_rejected_ref_is_not_bound(open_house: Open) -> None:
    house = open_house()
    proposal = house.propose("r1")
    house.commit([type(proposal)("shop", "r1", proposal.digest, Rejection("no_route", "x"))])
    (result,) = house.commit([proposal])
    assert isinstance(result, Accepted)
    assert not result.duplicate


def test_refs_of_two_apps_are_apart(open_house: Open) -> None:
    house = open_house()
    house.submit("r1", app="shop")
    (result,) = house.commit([house.propose("r1", app="crm")])
    assert isinstance(result, Accepted)
    assert not result.duplicate


def test_full_backlog_is_a_rejection_with_a_retry(open_house: Open) -> None:
    house = open_house(backlog_max=2)
    house.submit("r1", "r2")
    (result,) = house.commit([house.propose("r3")])
    assert isinstance(result, Rejection)
    assert result.code == "backlog_full"
    assert result.retry_after


def test_backlog_counts_what_the_same_commit_has_accepted(open_house: Open) -> None:
    house = open_house(backlog_max=2)
    results = house.commit([house.propose(f"r{number}") for number in range(4)])
    assert [type(result) for result in results] == [Accepted, Accepted, Rejection, Rejection]


def test_ids_grow_even_when_the_clock_goes_back(open_house: Open) -> None:
    house = open_house()
    (first,) = house.submit("r1")
    house.close()
    house = open_house(now=house.now - 86_400_000)
    (second,) = house.submit("r2")
    assert second > first


# --- order, lanes, routes ---


def test_one_time_codes_go_before_what_waits(open_house: Open) -> None:
    house = open_house(window=1)
    house.submit("slow1", "slow2", message_class="promotional")
    house.submit("code", message_class="otp", text="code")
    house.up()
    assert [pdu_of(submit).short_message for submit in house.take()] == [b"code"]


def test_slots_are_kept_for_one_time_codes(open_house: Open) -> None:
    house = open_house(window=10)
    house.submit(*[f"r{number}" for number in range(20)])
    house.up()
    assert len(house.take()) == 8
    house.submit("c1", "c2", "c3", message_class="otp", text="code")
    assert [pdu_of(submit).short_message for submit in house.take()] == [b"code", b"code"]


def test_apps_take_turns(open_house: Open) -> None:
    house = open_house(window=4)
    house.submit(*[f"a{number}" for number in range(10)], app="flood", text="flood")
    house.submit("b1", "b2", app="shop", text="shop")
    house.up()
    texts = [pdu_of(submit).short_message for submit in house.take()]
    assert texts == [b"flood", b"shop", b"flood", b"shop"]


def test_cheapest_healthy_offer_gets_the_message(open_house: Open) -> None:
    house = open_house()
    house.submit("r1")
    house.up("beta")
    (submit,) = house.take("beta")
    house.answer([submit], carrier="beta")
    assert house.events()[-1]["cost"] == "0.02"
    house.up("alpha")
    house.submit("r2")
    assert len(house.take("alpha")) == 1
    assert house.take("beta") == []


def test_refused_message_goes_to_the_next_offer_whole(open_house: Open) -> None:
    house = open_house()
    house.up("alpha")
    house.up("beta")
    house.submit("r1", text="x" * 200, segments=2)
    submits = house.take("alpha")
    house.answer(submits, verdict=Verdict.REROUTE, status=0x45)
    retried = house.take("beta")
    assert [pdu_of(submit).short_message[6:] for submit in retried] == [b"x" * 153, b"x" * 47]
    house.answer(retried, carrier="beta", verdict=Verdict.REROUTE, status=0x0B)
    (event,) = house.events()
    assert (event["event"], event["code"]) == ("failed", "rejected_by_carrier")
    assert event["status"] == "0x0000000B"


def test_throttled_message_keeps_its_place(open_house: Open) -> None:
    house = open_house(window=1)
    house.up()
    house.submit("r1", text="first")
    house.submit("r2", text="second")
    submits = house.take()
    house.answer(submits, verdict=Verdict.SLOW, status=0x58)
    assert [pdu_of(submit).short_message for submit in house.take()] == [b"first"]
    assert house.events() == []


def test_passing_fault_is_tried_again_when_it_is_due(open_house: Open) -> None:
    house = open_house()
    house.up()
    house.submit("r1")
    house.answer(house.take(), verdict=Verdict.RETRY, status=8)
    assert house.take() == []
    assert house.dispatch.next_at()[1] == house.now + 1_000
    house.pass_time(1)
    assert len(house.take()) == 1


def test_throughput_bounds_what_is_granted(open_house: Open) -> None:
    house = open_house(window=100, throughput=20)
    house.submit(*[f"r{number}" for number in range(50)])
    house.up()
    assert len(house.take()) <= 2
    paced, _ = house.dispatch.next_at()
    assert paced is not None
    house.pass_time(1)
    assert 1 <= len(house.take()) <= 2


def test_message_without_any_offer_left_fails(open_house: Open) -> None:
    house = open_house()
    house.submit("r1")
    house.close()
    house = open_house(routes=[], carriers=("alpha",))
    house.commit([])
    assert house.told() == [("r1", "failed")]
    assert house.events()[0]["code"] == "no_route_left"


def test_message_of_a_former_table_is_routed_anew(open_house: Open) -> None:
    house = open_house()
    house.submit("r1", to="8613800138000")
    house.close()
    house = open_house(routes=[Route("86", "alpha", "0.05")])
    house.up("alpha")
    (submit,) = house.take("alpha")
    house.answer([submit])
    assert house.events()[0]["cost"] == "0.05"


# --- long messages ---


def test_segments_go_out_on_one_bind_as_the_window_allows(open_house: Open) -> None:
    house = open_house(window=2, binds=2)
    house.up(bind=0)
    house.submit("long", text="x" * 700, segments=5)
    house.up(bind=1)
    first = house.take(bind=0)
    assert [pdu_of(submit).short_message[5] for submit in first] == [1, 2]
    assert all(pdu_of(submit).esm_class == ESM_UDHI for submit in first)
    house.answer(first)
    second = house.take(bind=0)
    assert [pdu_of(submit).short_message[5] for submit in second] == [3, 4]
    house.answer(second)
    house.answer(house.take(bind=0))
    assert house.take(bind=1) == []
    assert house.told() == [("long", "sent")]
    assert house.events()[0]["segments"] == 5


def test_references_differ_between_messages_and_survive_a_restart(open_house: Open) -> None:
    house = open_house(window=100)
    house.up()
    house.submit("a", "b", text="x" * 200, segments=2)
    references = {pdu_of(submit).short_message[3] for submit in house.take()}
    house.close()
    house = open_house(window=100)
    house.up()
    house.submit("c", text="x" * 200, segments=2)
    third = {pdu_of(submit).short_message[3] for submit in house.take() if True}
    assert len(references) == 2
    assert third - references


def test_half_sent_message_goes_on_after_its_bind_came_back(open_house: Open) -> None:
    house = open_house(window=2)
    house.up()
    house.submit("long", text="x" * 500, segments=4)
    house.answer(house.take())
    granted = house.take()
    house.down(doubt=[])
    assert len(granted) == 2
    house.commit([])
    house.up()
    assert house.told() == []


# --- doubt ---


def test_unanswered_submit_is_told_and_resent_flagged(open_house: Open) -> None:
    house = open_house()
    house.up()
    house.submit("r1")
    (submit,) = house.take()
    house.down(doubt=[tag_of(submit)])
    assert house.events()[0]["resend"] is True
    assert "maybe_duplicate" not in house.events()[0]
    house.up()
    house.answer(house.take())
    event = house.events()[-1]
    assert event["event"] == "sent"
    assert event["maybe_duplicate"] is True


def test_granted_and_not_taken_is_sent_without_a_flag(open_house: Open) -> None:
    house = open_house()
    house.up("alpha")
    house.submit("r1")
    house.down("alpha")
    house.up("beta")
    house.answer(house.take("beta"), carrier="beta")
    assert house.told() == [("r1", "sent")]
    assert "maybe_duplicate" not in house.events()[0]


def test_open_grants_are_doubt_after_a_crash(open_house: Open) -> None:
    house = open_house()
    house.up()
    house.submit("r1", "r2", "r3")
    house.answer(house.take(room=1))
    house.close()
    house = open_house()
    assert house.doubtful == 2
    assert house.told()[1:] == [("r2", "uncertain"), ("r3", "uncertain")]
    house.up()
    house.answer(house.take())
    assert house.told()[3:] == [("r2", "sent"), ("r3", "sent")]


def test_second_restart_doubts_nothing_again(open_house: Open) -> None:
    house = open_house()
    house.up()
    house.submit("r1")
    house.close()
    open_house().close()
    house = open_house()
    assert house.doubtful == 0
    assert house.told() == [("r1", "uncertain")]


def test_doubt_at_a_carrier_that_is_gone_is_not_resent(open_house: Open) -> None:
    house = open_house()
    house.up()
    house.submit("r1")
    house.close()
    house = open_house(carriers=("beta",))
    assert house.told() == [("r1", "uncertain")]
    assert house.events()[0]["resend"] is False


def test_receipt_settles_a_doubt_after_a_minute_when_one_message_fits(open_house: Open) -> None:
    house = open_house()
    house.up()
    house.submit("r1", uncertain="stop")
    (submit,) = house.take()
    house.down(doubt=[tag_of(submit)])
    house.receive("unknown-id")
    assert house.told() == [("r1", "uncertain")]
    house.pass_time(59)
    assert house.told() == [("r1", "uncertain")]
    house.pass_time(2)
    assert house.told() == [("r1", "uncertain"), ("r1", "delivered")]


def test_receipt_settles_no_doubt_when_two_messages_fit(open_house: Open) -> None:
    house = open_house()
    house.up()
    house.submit("r1", "r2", uncertain="stop")
    house.down(doubt=[tag_of(submit) for submit in house.take()])
    house.receive("unknown-id")
    house.pass_time(61)
    assert house.told() == [("r1", "uncertain"), ("r2", "uncertain")]
    assert house.store.statistics().unmatched == 1


# --- receipts ---


def test_receipt_before_its_response_is_told_after_sent(open_house: Open) -> None:
    house = open_house()
    house.up()
    house.submit("r1")
    submits = house.take()
    house.receive("early")
    assert house.told() == []
    house.answer(submits, ids=["early"])
    assert house.told() == [("r1", "sent"), ("r1", "delivered")]
    assert house.store.statistics().unmatched == 0


def test_receipt_before_its_response_survives_a_restart(open_house: Open) -> None:
    house = open_house()
    house.receive("early")
    house.close()
    house = open_house()
    house.up()
    house.submit("r1")
    house.answer(house.take(), ids=["early"])
    assert house.told() == [("r1", "sent"), ("r1", "delivered")]


def test_doubled_receipt_brings_one_event(open_house: Open) -> None:
    house = open_house()
    house.up()
    house.submit("r1")
    house.answer(house.take(), ids=["m1"])
    house.receive("m1")
    house.receive("m1")
    assert house.told() == [("r1", "sent"), ("r1", "delivered")]
    assert house.store.statistics().receipts_without_effect == 1


@pytest.mark.parametrize(
    ("rule", "response_id", "receipt_id"),
    [
        ("same", "AbC", "AbC"),
        ("hex_to_dec", "666C7CEC78", "439906790520"),
        ("hex_to_dec", "39f99dd5", "0972660181"),
        ("dec_to_hex", "439906790520", "666C7CEC78"),
        ("auto", "39f99dd5", "0972660181"),
        ("auto", "812FC7470000001B", "9308878062554710043"),
        ("auto", "000024", "24"),
        ("auto", "1101c1-", "1101C1-"),
    ],
)
@pytest.mark.parametrize("early", [False, True])
def test_receipt_is_matched_by_the_carriers_rule(
    open_house: Open, rule: str, response_id: str, receipt_id: str, early: bool
) -> None:
    house = open_house(profile=CarrierProfile(message_id=rule))
    house.up()
    house.submit("r1")
    submits = house.take()
    if early:
        house.receive(receipt_id)
    house.answer(submits, ids=[response_id])
    if not early:
        house.receive(receipt_id)
    assert house.told() == [("r1", "sent"), ("r1", "delivered")]


def test_converted_id_is_not_believed_from_another_phone(open_house: Open) -> None:
    house = open_house()
    house.up()
    house.submit("r1")
    house.answer(house.take(), ids=["39f99dd5"])
    house.receive("0972660181", source="4917099999999")
    assert house.told() == [("r1", "sent")]


def test_rule_same_converts_nothing(open_house: Open) -> None:
    house = open_house(profile=CarrierProfile(message_id="same"))
    house.up()
    house.submit("r1")
    house.answer(house.take(), ids=["39f99dd5"])
    house.receive("0972660181")
    assert house.told() == [("r1", "sent")]


def test_reused_id_means_the_newest_message(open_house: Open) -> None:
    house = open_house()
    house.up()
    house.submit("r1", "r2")
    submits = house.take()
    house.answer(submits[:1], ids=["same"])
    house.pass_time(601)
    house.answer(submits[1:], ids=["same"])
    house.receive("same")
    assert house.told()[-1] == ("r2", "delivered")


def test_receipt_asked_of_the_last_segment_decides(open_house: Open) -> None:
    house = open_house(profile=CarrierProfile(receipts="last"))
    house.up()
    house.submit("long", text="x" * 200, segments=2)
    submits = house.take()
    assert [pdu_of(submit).registered_delivery for submit in submits] == [0, 1]
    house.answer(submits, ids=["m1", "m2"])
    house.receive("m2")
    assert house.told()[-1] == ("long", "delivered")


def test_missing_receipt_is_unconfirmed_in_the_end(open_house: Open) -> None:
    house = open_house(profile=CarrierProfile(receipt_timeout=60))
    house.up()
    house.submit("r1")
    house.answer(house.take(), ids=["m1"])
    house.pass_time(61)
    assert house.told() == [("r1", "sent"), ("r1", "unconfirmed")]
    house.receive("m1")
    assert house.told()[-1] == ("r1", "delivered")


def test_waiting_message_expires_and_leaves_the_queue(open_house: Open) -> None:
    house = open_house()
    house.submit("r1", valid_for=5)
    house.pass_time(6)
    assert house.told() == [("r1", "expired")]
    assert house.events()[0]["where"] == "here"
    assert house.store.statistics().queued == 0
    house.up()
    assert house.take() == []


def test_expiry_survives_a_restart(open_house: Open) -> None:
    house = open_house()
    house.submit("r1", valid_for=5)
    house.close()
    house = open_house(now=house.now + 6_000)
    house.commit([])
    assert house.told() == [("r1", "expired")]


# --- events ---


def test_events_are_numbered_and_kept_across_a_restart(open_house: Open) -> None:
    house = open_house()
    house.up()
    house.submit(*[f"r{number}" for number in range(5)])
    house.answer(house.take())
    house.close()
    house = open_house()
    assert [event["seq"] for event in house.events()] == [1, 2, 3, 4, 5]
    assert [event["seq"] for event in house.events(after=3)] == [4, 5]


def test_taken_events_are_gone_and_the_cursor_moves_forward_only(open_house: Open) -> None:
    house = open_house()
    house.up()
    house.submit("r1", "r2", "r3")
    house.answer(house.take())
    house.commit([Take("shop", 2)])
    house.commit([Take("shop", 1)])
    bounds = house.store.event_bounds("shop")
    assert (bounds.oldest, bounds.latest, bounds.taken) == (3, 3, 2)
    assert [event["seq"] for event in house.events()] == [3]


def test_taken_above_the_latest_is_refused(open_house: Open) -> None:
    house = open_house()
    (result,) = house.commit([Take("shop", 1)])
    assert result is not None
    assert not result.ok  # type: ignore[union-attr]


def test_numbers_go_on_after_everything_was_taken(open_house: Open) -> None:
    house = open_house()
    house.up()
    house.submit("r1")
    house.answer(house.take())
    house.commit([Take("shop", 1)])
    house.pass_time(2)
    house.close()
    house = open_house()
    house.up()
    house.submit("r2")
    house.answer(house.take())
    assert [event["seq"] for event in house.events()] == [2]


def test_inbound_message_is_an_event_of_every_inbound_app(open_house: Open) -> None:
    house = open_house(inbound_apps=("shop", "crm"))
    house.commit(
        [InboundArrived("alpha", "491701234567", "12345", "STOP", b"STOP", 0, 0, house.now)]
    )
    for app in ("shop", "crm"):
        (event,) = house.events(app)
        assert (event["event"], event["text"], event["ref"]) == ("inbound", "STOP", None)
        assert (event["from"], event["to"]) == ("491701234567", "12345")


# --- the queue on disk ---


def test_long_queue_is_held_in_memory_only_in_part(open_house: Open) -> None:
    house = open_house(window=1_000)
    for start in range(0, 3_000, 500):
        house.submit(*[f"r{number}" for number in range(start, start + 500)], text="x")
    assert house.dispatch.statistics().queued_in_memory == ROWS_MAX
    house.up()
    taken = 0
    while submits := house.take():
        taken += len(submits)
        house.answer(submits)
    assert taken == 3_000
    assert [event["ref"] for event in house.events()] == [f"r{n}" for n in range(3_000)]


def test_queue_is_found_after_a_restart(open_house: Open) -> None:
    house = open_house()
    house.submit(*[f"r{number}" for number in range(30)])
    house.close()
    house = open_house(window=100)
    house.up()
    assert len(house.take()) == 30


# --- aging out, schema, growth ---


def test_everything_ages_out(open_house: Open) -> None:
    periods = RetentionPeriods(events=10, messages=40, refs=20, unmatched=10)
    house = open_house(periods=periods)
    house.up()
    house.submit("r1", text="x" * 200, segments=2)
    house.answer(house.take(), ids=["m1", "m2"])
    house.receive("m1")
    house.receive("m2")
    house.receive("nobody")
    house.pass_time(30)
    house.pass_time(2)
    (result,) = house.commit([house.propose("r1", digest=b"e" * 16)])
    assert isinstance(result, Accepted)
    assert house.store.query("shop", message_id=result.id) is not None
    assert house.events() == []
    house.pass_time(30)
    house.pass_time(2)
    house.close()
    environment = Environment(house.directory, 1 << 30)
    environment.begin(write=False)
    left = {name: table.count() for name, table in environment.tables.items()}
    environment.close()
    assert left["messages"] == left["tags"] == 1
    assert left["events"] == left["unmatched"] == 0
    open_house()


def test_newer_schema_is_refused(open_house: Open) -> None:
    house = open_house()
    house.close()
    environment = Environment(house.directory, 1 << 30)
    environment.begin(write=True)
    environment.tables["meta"].put(b"schema", b"99")
    environment.commit()
    environment.close()
    with pytest.raises(StoreError, match="newer smppd"):
        open_house()


def test_second_process_on_the_same_state_is_refused(open_house: Open) -> None:
    house = open_house()
    with pytest.raises(StoreError, match="in use by another smppd"):
        Environment(house.directory, 1 << 30)


def test_full_map_grows_by_itself(open_house: Open) -> None:
    house = open_house(map_size=1 << 20)
    for number in range(20):
        house.submit(f"r{number}", *[f"r{number}-{n}" for n in range(300)], text="x" * 100)
    assert house.store.statistics().accepted == 20 * 301


def test_query_shows_the_whole_life(open_house: Open) -> None:
    house = open_house()
    house.up()
    (message_id,) = house.submit("r1")
    house.answer(house.take(), ids=["m1"])
    house.receive("m1")
    view = house.store.query("shop", ref="r1")
    assert view is not None
    assert view.id == message_id
    assert view.state == "delivered"
    assert view.parts[0].message_id == "m1"
    assert view.parts[0].receipt is not None
    assert view.parts[0].receipt.stat == "STAT"
    assert house.store.query("crm", ref="r1") is None
    assert house.store.query("crm", message_id=message_id) is None
    assert house.store.query("shop", message_id="0" * 16) is None


# --- what looks like a receipt and is not marked as one ---


def test_unmarked_receipt_counts_when_it_names_a_message_to_that_phone(open_house: Open) -> None:
    house = open_house(inbound_apps=("shop",))
    house.up()
    house.submit("r1")
    house.answer(house.take(), ids=["m1"])
    for source in ("4917099999999", "491701234567"):
        unmarked = house.receipt("m1", source=source)
        body = b"id:m1 stat:DELIVRD"
        house.commit([InboundArrived("alpha", source, "ACME", "", body, 0, 0, house.now, unmarked)])
    events = [event["event"] for event in house.events()]
    assert events == ["sent", "inbound", "delivered"]


def test_policy_of_the_carrier_wins_over_the_class(open_house: Open) -> None:
    house = open_house(profile=CarrierProfile(uncertain="stop"))
    house.up()
    house.submit("r1", uncertain="resend")
    (submit,) = house.take()
    house.down(doubt=[tag_of(submit)])
    assert house.events()[0]["resend"] is False


# --- what a review found ---


def test_refused_message_is_granted_nothing_more_while_the_rest_is_outstanding(
    open_house: Open,
) -> None:
    house = open_house(window=2)
    house.up("alpha")
    house.up("beta")
    house.submit("long", text="x" * 700, segments=5)
    first, second = house.take("alpha")
    house.answer([first], verdict=Verdict.REROUTE, status=0x45)
    assert house.take("alpha") == []
    house.answer([second], verdict=Verdict.REROUTE, status=0x45)
    assert house.take("alpha") == []
    assert [pdu_of(submit).short_message[5] for submit in house.take("beta")] == [1, 2]


def test_retry_stands_among_what_was_accepted_when_it_is_due(open_house: Open) -> None:
    house = open_house(window=1, routes=[Route("49", "alpha", "0.01")])
    house.up()
    house.submit("r0", text="retried")
    house.submit(*[f"b{number}" for number in range(5)], text="before")
    house.answer(house.take(), verdict=Verdict.RETRY, status=8)
    house.pass_time(2)
    house.submit(*[f"a{number}" for number in range(5)], text="after")
    order = []
    while submits := house.take():
        order.append(pdu_of(submits[0]).short_message.decode())
        house.answer(submits)
    assert order == ["before"] * 5 + ["retried"] + ["after"] * 5


def test_messages_of_other_prefixes_take_turns(open_house: Open) -> None:
    routes = [Route("49", "alpha", "0.01"), Route("86", "alpha", "0.03")]
    house = open_house(window=1, routes=routes, carriers=("alpha",))
    house.up()
    house.submit(*[f"a{number}" for number in range(20)], text="many")
    house.submit("other", to="8613800138000", app="crm", text="other")
    order = []
    for _ in range(5):
        submits = house.take()
        order.append(pdu_of(submits[0]).short_message)
        house.answer(submits)
    assert b"other" in order


def test_clock_set_back_holds_up_nothing_that_was_accepted(open_house: Open) -> None:
    house = open_house()
    house.submit("r1")
    house.now -= 3_600_000
    house.up()
    assert len(house.take()) == 1


def test_expired_backlog_is_worked_off_in_bounded_commits(open_house: Open) -> None:
    house = open_house()
    for start in range(0, 6_000, 1_000):
        house.submit(*[f"r{number}" for number in range(start, start + 1_000)], valid_for=3_600)
    house.close()
    house = open_house(now=house.now + 3_601_000)
    house.up()
    commits = 1
    while house.store.statistics().queued:
        before = house.store.statistics().queued
        house.commit([])
        commits += 1
        assert before - house.store.statistics().queued <= LOOKS_MAX + 2_000
    assert commits > 1
    assert len(house.events()) == 6_000


def test_paced_carrier_serves_its_prefixes_in_turn(open_house: Open) -> None:
    routes = [Route("49", "alpha", "0.01"), Route("86", "alpha", "0.03")]
    house = open_house(window=10, throughput=10, routes=routes, carriers=("alpha",))
    house.submit(*[f"a{number}" for number in range(50)], text="a")
    house.submit(*[f"b{number}" for number in range(50)], to="8613800138000", text="b")
    house.up()
    texts: list[bytes] = []
    for _ in range(40):
        house.pass_time(0.1)
        submits = house.take()
        house.answer(submits)
        texts += [pdu_of(submit).short_message for submit in submits]
    assert abs(texts.count(b"a") - texts.count(b"b")) <= 1


def test_resend_of_a_half_sent_message_is_not_made_after_its_validity(open_house: Open) -> None:
    house = open_house()
    house.up()
    house.submit("long", text="x" * 300, segments=2, valid_for=60)
    first, second = house.take()
    house.answer([first])
    house.down(doubt=[tag_of(second)])
    house.pass_time(61)
    house.up()
    assert house.take() == []
    assert [(event["event"], event.get("resend")) for event in house.events()] == [
        ("uncertain", True),
        ("uncertain", False),
    ]


def test_receipt_that_settles_the_last_doubt_finishes_the_message(open_house: Open) -> None:
    house = open_house()
    house.up()
    house.submit("long", text="x" * 300, segments=2)
    first, second = house.take()
    house.answer([first], ids=["m1"])
    house.down(doubt=[tag_of(second)])
    house.receive("unknown-id")
    house.pass_time(61)
    assert [event["event"] for event in house.events()] == ["uncertain", "sent"]
    house.receive("m1")
    assert house.told()[-1] == ("long", "delivered")
    house.up()
    assert house.take() == []


def test_receipt_nobody_asked_for_settles_a_doubt_too(open_house: Open) -> None:
    house = open_house()
    house.up()
    house.submit("r1", receipt=False, uncertain="resend")
    (submit,) = house.take()
    house.down(doubt=[tag_of(submit)])
    house.receive("unknown-id")
    house.pass_time(61)
    assert [event["event"] for event in house.events()] == ["uncertain", "sent"]


def test_stated_conversion_comes_before_an_identical_id(open_house: Open) -> None:
    house = open_house(profile=CarrierProfile(message_id="hex_to_dec"))
    house.up()
    house.submit("ten", "sixteen")
    house.answer(house.take(), ids=["a", "10"])
    house.receive("10")
    assert house.told()[-1] == ("ten", "delivered")


def test_stray_receipt_is_not_claimed_by_a_response_of_another_base(open_house: Open) -> None:
    house = open_house(profile=CarrierProfile(message_id="hex_to_dec"))
    house.receive("1234567", source="4917099999999")
    house.up()
    house.submit("r1")
    house.answer(house.take(), ids=["1234567"])
    assert house.told() == [("r1", "sent")]


def test_validity_period_is_what_is_left_when_it_is_written(open_house: Open) -> None:
    house = open_house()
    house.submit("r1", valid_for=60)
    house.pass_time(40)
    house.up()
    (submit,) = house.take()
    assert pdu_of(submit).validity_period == "000000000020000R"


def test_rerouting_after_a_reload_goes_on_by_itself(open_house: Open) -> None:
    house = open_house()
    house.submit(*[f"r{number}" for number in range(500)], to="8613800138000")
    house.close()
    house = open_house(routes=[Route("86", "alpha", "0.05")])
    assert house.dispatch.next_at()[1] == house.now
    house.commit([])
    house.commit([])
    house.commit([])
    assert house.dispatch.next_at()[1] is None


def test_aged_unmatched_receipts_are_forgotten_in_memory_too(open_house: Open) -> None:
    house = open_house(periods=RetentionPeriods(unmatched=10))
    house.receive("nobody")
    house.pass_time(20)
    house.pass_time(2)
    assert house.store.statistics().unmatched == 0


def test_settled_message_is_not_written_again_when_its_deadline_comes(open_house: Open) -> None:
    house = open_house()
    house.up()
    house.submit("r1", valid_for=5)
    house.answer(house.take(), ids=["m1"])
    house.receive("m1")
    house.pass_time(6)
    assert house.told() == [("r1", "sent"), ("r1", "delivered")]


def test_inbound_ids_do_not_repeat_when_the_clock_was_set_back(open_house: Open) -> None:
    house = open_house(inbound_apps=("shop",))
    arrived = InboundArrived("alpha", "491701234567", "1", "hi", b"hi", 0, 0, house.now)
    house.commit([arrived])
    house.close()
    house = open_house(inbound_apps=("shop",), now=house.now - 60_000)
    house.commit([arrived])
    first, second = house.events()
    assert first["id"] != second["id"]


def test_promised_resend_that_was_given_back_carries_no_flag(open_house: Open) -> None:
    house = open_house()
    house.up()
    house.submit("r1", valid_for=60)
    (submit,) = house.take()
    house.down(doubt=[tag_of(submit)])
    house.up()
    house.down()
    house.pass_time(61)
    assert "maybe_duplicate" not in house.events()[-1]


def test_sleeping_carrier_that_cannot_be_woken_is_unhealthy(open_house: Open) -> None:
    house = open_house()
    house.up("beta")
    house.dispatch.bind_asleep(house.slot("alpha"), lambda: house.woken.append("alpha"))
    house.submit("r1")
    assert house.woken == ["alpha"]
    house.dispatch.bind_down(house.slot("alpha"))
    house.commit([])
    assert len(house.take("beta")) == 1


def test_prefix_that_moves_to_offers_of_another_takes_its_waiting_messages_along(
    open_house: Open,
) -> None:
    before = [Route("49", "alpha", "0.01"), Route("86", "beta", "0.01")]
    after = [Route("49", "beta", "0.01"), Route("86", "alpha", "0.01")]
    house = open_house(routes=before)
    house.submit("r1")
    house.close()
    house = open_house(routes=after)
    house.up("alpha")
    house.up("beta")
    assert house.take("alpha") == []
    assert len(house.take("beta")) == 1


# --- what a second review found ---


def test_lanes_that_are_not_due_hold_up_nobody(open_house: Open) -> None:
    prefixes = [f"49{number}" for number in range(1_000, 2_200)]
    routes = [
        Route(prefix, "alpha", f"0.{number:06d}") for number, prefix in enumerate(prefixes, 1)
    ]
    routes.append(Route("86", "beta", "0.01"))
    house = open_house(window=5_000, binds=2, routes=routes)
    house.up("alpha", 0)
    house.up("alpha", 1)
    house.up("beta")
    for number, prefix in enumerate(prefixes):
        house.submit(f"r{number}", to=prefix + "000000")
    for bind in (0, 1):
        submits = house.take(bind=bind)
        house.answer(submits, bind=bind, verdict=Verdict.RETRY, status=8)
    house.submit("code", to="8613800138000", message_class="otp")
    assert len(house.take("beta")) == 1
    due = house.dispatch.next_at()[1]
    assert due is not None
    assert due > house.now


def test_passing_fault_sends_the_message_to_the_next_offer_and_back(open_house: Open) -> None:
    house = open_house()
    house.up("alpha")
    house.up("beta")
    house.submit("r1")
    house.answer(house.take("alpha"), verdict=Verdict.RETRY, status=8)
    retried = house.take("beta")
    assert len(retried) == 1
    house.answer(retried, carrier="beta", verdict=Verdict.RETRY, status=8)
    assert house.take("alpha") == []
    house.pass_time(3)
    house.answer(house.take("alpha"))
    assert house.told() == [("r1", "sent")]


def test_passing_fault_comes_back_to_its_carrier_when_the_others_are_down(
    open_house: Open,
) -> None:
    house = open_house()
    house.up("alpha")
    house.submit("r1")
    house.answer(house.take("alpha"), verdict=Verdict.RETRY, status=8)
    house.close()
    house = open_house(now=house.now + 2_000)
    house.up("alpha")
    assert len(house.take("alpha")) == 1


def test_receipt_settles_the_doubt_of_a_carrier_that_is_gone(open_house: Open) -> None:
    house = open_house()
    house.up()
    house.submit("long", text="x" * 300, segments=2)
    house.down(doubt=[tag_of(submit) for submit in house.take()])
    house.receive("unknown-id")
    house.close()
    house = open_house(carriers=("beta",), now=house.now + 120_000)
    house.commit([])
    assert house.told()[0] == ("long", "uncertain")


def test_receipt_that_is_older_than_its_doubt_settles_it(open_house: Open) -> None:
    house = open_house()
    house.up()
    house.submit("r1", uncertain="stop")
    (submit,) = house.take()
    house.receive("unknown-id")
    house.pass_time(75)
    house.down(doubt=[tag_of(submit)])
    for _ in range(4):
        house.pass_time(60)
    assert house.told() == [("r1", "uncertain"), ("r1", "delivered")]


def test_throttled_resend_leaves_the_doubt_of_the_first_copy(open_house: Open) -> None:
    house = open_house()
    house.up()
    house.submit("r1")
    house.down(doubt=[tag_of(submit) for submit in house.take()])
    house.up()
    house.answer(house.take(), verdict=Verdict.SLOW, status=0x58)
    house.down()
    house.receive("unknown-id")
    house.pass_time(61)
    assert house.told() == [("r1", "uncertain"), ("r1", "delivered")]


def test_receipt_settles_no_doubt_while_the_resend_is_on_the_wire(open_house: Open) -> None:
    house = open_house()
    house.up()
    house.submit("r1")
    house.down(doubt=[tag_of(submit) for submit in house.take()])
    house.receive("unknown-id")
    house.up()
    resent = house.take()
    house.pass_time(61)
    seen = house.store.query("shop", ref="r1")
    assert seen is not None
    assert [part.state for part in seen.parts] == ["granted"]
    assert house.told() == [("r1", "uncertain")]
    house.down(doubt=[tag_of(submit) for submit in resent])
    house.pass_time(121)
    assert house.told() == [("r1", "uncertain"), ("r1", "uncertain"), ("r1", "delivered")]


def test_one_time_codes_are_routed_anew_before_campaigns(open_house: Open) -> None:
    house = open_house()
    bulk = [f"p{number}" for number in range(1_000)]
    house.submit(*bulk, to="8613800138000", message_class="promotional", text="bulk")
    house.submit("code", to="8613800138000", message_class="otp", text="code")
    house.close()
    house = open_house(routes=[Route("86", "alpha", "0.05")])
    house.up("alpha")
    assert pdu_of(house.take()[0]).short_message == b"code"


def test_grant_that_lay_past_its_validity_is_not_written(open_house: Open) -> None:
    house = open_house()
    house.up()
    house.submit("code", message_class="otp", valid_for=5)
    house.now += 20_000
    assert house.take() == []
    house.down()
    assert house.told() == [("code", "expired")]


def test_rest_of_a_message_waits_for_its_own_bind(open_house: Open) -> None:
    house = open_house(window=2, binds=2)
    house.up(bind=0)
    house.submit("long", text="x" * 700, segments=5)
    written = house.take(bind=0)
    house.up(bind=1)
    tags = house.dispatch.bind_stalled(house.slot(bind=0))
    assert tags == []
    house.commit([])
    assert house.take(bind=1) == []
    house.answer(written)
    house.down(bind=0)
    assert [pdu_of(submit).short_message[5] for submit in house.take(bind=1)] == [3, 4]


def test_flag_stays_once_a_resend_was_written(open_house: Open) -> None:
    house = open_house(window=2)
    house.up()
    house.submit("r1")
    house.down(doubt=[tag_of(submit) for submit in house.take()])
    house.up()
    house.answer(house.take(), verdict=Verdict.RETRY, status=8)
    house.pass_time(2)
    house.down()
    house.pass_time(700)
    assert house.events()[-1]["maybe_duplicate"] is True


def test_resent_doubt_goes_behind_one_time_codes(open_house: Open) -> None:
    house = open_house(window=1)
    house.up()
    house.submit("r1", text="doubt")
    house.down(doubt=[tag_of(submit) for submit in house.take()])
    house.submit("code", message_class="otp", text="code")
    house.up()
    assert [pdu_of(submit).short_message for submit in house.take()] == [b"code"]


def test_sweeps_are_no_closer_for_what_has_not_aged(open_house: Open) -> None:
    house = open_house()
    for number in range(300):
        house.receive(f"nobody{number}")
    house.pass_time(2)
    deadline = house.store.next_deadline()
    assert deadline is not None
    assert deadline - house.now > 500


def test_query_says_whether_the_last_event_was_told(open_house: Open) -> None:
    house = open_house(profile=CarrierProfile(receipts="none"))
    house.up()
    house.submit("r1")
    view = house.store.query("shop", ref="r1")
    assert view is not None
    assert (view.state, view.final) == ("queued", False)
    house.answer(house.take())
    view = house.store.query("shop", ref="r1")
    assert view is not None
    assert (view.state, view.final) == ("sent", True)


def test_looking_at_a_settled_message_does_not_keep_it_in_memory(open_house: Open) -> None:
    house = open_house()
    house.up()
    house.submit("r1", valid_for=5)
    house.answer(house.take(), ids=["m1"])
    house.receive("m1")
    house.commit([house.propose("r1")])
    house.pass_time(6)
    assert house.store.statistics().live == 0


def test_contradictory_and_unreadable_receipts_are_counted(open_house: Open) -> None:
    house = open_house()
    receipt = house.receipt("m1", state=5)
    said = msgspec.structs.replace(receipt.receipt, stat="DELIVRD")
    house.commit([msgspec.structs.replace(receipt, receipt=said)])
    house.receive("m2", state=None)
    counts = house.store.statistics()
    assert (counts.receipts_contradictory, counts.receipts_unreadable) == (1, 1)
