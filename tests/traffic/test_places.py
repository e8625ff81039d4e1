"""Where messages wait: pins and limits, reloads, carriers that come and go; nothing is lost."""

from __future__ import annotations

import pytest

from smppd.routing.table import Route
from smppd.store.changes import Doubted, Extras, Verdict
from smppd.store.records import CarrierProfile
from smppd.text.segment import Form
from smppd.traffic.places import GROUPS_SPARE, STALE_ROWS_MAX
from tests.house import House, Open, pdu_of, tag_of, texts

THREE = [
    Route("49", "alpha", "0.01"),
    Route("49", "beta", "0.02"),
    Route("49", "gamma", "0.03"),
]
NAMES = ("alpha", "beta", "gamma")


def open_three(open_house: Open, **settings: object) -> House:
    """All three carriers are up."""
    house = open_house(routes=THREE, carriers=NAMES, **settings)
    for name in NAMES:
        house.up(name)
    return house


def submit_each(house: House, *names: str, **fields: object) -> None:
    for name in names:
        house.submit(name, text=name, **fields)


def taken(house: House) -> dict[str, list[str]]:
    """What each carrier would write now."""
    found = {name: texts(house.take(name)) for name in house.states}
    return {name: names for name, names in found.items() if names}


def settle(house: House) -> int:
    """Commits until nothing is left to be done at once; how many."""
    commits = 0
    while (due := house.dispatch.next_at()[1]) is not None and due <= house.now:
        house.commit([])
        commits += 1
    return commits


def codes(house: House) -> list[tuple[object, object]]:
    return [(event["event"], event.get("code", event.get("resend"))) for event in house.events()]


# --- the app's wishes ---


def test_pinned_message_goes_to_its_carrier_alone(open_house: Open) -> None:
    house = open_three(open_house)
    submit_each(house, "r1", extras=Extras(carriers=("beta",)))
    assert taken(house) == {"beta": ["r1"]}


def test_pins_keep_the_order_of_cost(open_house: Open) -> None:
    house = open_three(open_house)
    submit_each(house, "r1", extras=Extras(carriers=("gamma", "beta")))
    assert taken(house) == {"beta": ["r1"]}


def test_pinned_message_waits_for_its_carrier_though_others_are_up(open_house: Open) -> None:
    house = open_three(open_house)
    house.down("beta")
    submit_each(house, "r1", extras=Extras(carriers=("beta",)))
    assert taken(house) == {}
    house.up("beta")
    assert taken(house) == {"beta": ["r1"]}


def test_refused_pinned_message_fails_where_no_other_is_pinned(open_house: Open) -> None:
    house = open_three(open_house)
    submit_each(house, "r1", extras=Extras(carriers=("beta",)))
    house.answer(house.take("beta"), carrier="beta", verdict=Verdict.REROUTE, status=0x0B)
    assert codes(house) == [("failed", "rejected_by_carrier")]


def test_dearer_offers_are_no_failover_of_a_limited_message(open_house: Open) -> None:
    house = open_three(open_house)
    house.down("alpha")
    submit_each(house, "r1", extras=Extras(max_cost="0.02"))
    assert taken(house) == {"beta": ["r1"]}
    house.down("beta")
    submit_each(house, "r2", extras=Extras(max_cost="0.02"))
    assert taken(house) == {}


def test_limit_is_for_the_whole_message_in_each_carriers_form(open_house: Open) -> None:
    latin = CarrierProfile(form=Form(default_alphabet="ascii"))
    house = open_three(open_house, profiles={"alpha": latin})
    limit = Extras(max_cost="0.02")
    # One segment of GSM-7 at beta; three of UCS-2 at alpha, where data_coding 0 is ASCII.
    house.submit("r1", text="é" * 150, encoding="ucs2", segments=3, form=latin.form, extras=limit)
    assert house.take("alpha") == []
    assert len(house.take("beta")) == 1


def test_tlvs_go_only_to_carriers_that_have_them(open_house: Open) -> None:
    old = CarrierProfile(has_tlvs=False)
    house = open_three(open_house, profiles={"alpha": old})
    house.submit("r1", text="r1", extras=Extras(tlvs={0x1400: b"x"}))
    assert house.take("alpha") == []
    (submit,) = house.take("beta")
    assert pdu_of(submit).tlvs == {0x1400: b"x"}


def test_wishes_are_kept_over_a_restart(open_house: Open) -> None:
    house = open_house(routes=THREE, carriers=NAMES)
    submit_each(house, "pinned", extras=Extras(carriers=("gamma",)))
    submit_each(house, "free")
    house.close()
    house = open_three(open_house)
    assert taken(house) == {"alpha": ["free"], "gamma": ["pinned"]}


def test_wishes_are_kept_by_a_new_table(open_house: Open) -> None:
    house = open_house(routes=THREE, carriers=NAMES)
    submit_each(house, "pinned", extras=Extras(carriers=("gamma",)))
    submit_each(house, "limited", extras=Extras(max_cost="0.015"))
    house.reroute([Route("49", name, f"0.0{cost}") for cost, name in enumerate(NAMES[::-1], 1)])
    for name in NAMES:
        house.up(name)
    assert taken(house) == {"gamma": ["pinned", "limited"]}


def test_message_whose_wishes_no_new_offer_meets_fails(open_house: Open) -> None:
    house = open_house(routes=THREE, carriers=NAMES)
    submit_each(house, "r1", extras=Extras(carriers=("gamma",)))
    house.reroute(THREE[:2])
    house.commit([])
    assert codes(house) == [("failed", "no_route_left")]


def test_form_that_changed_meanwhile_is_looked_at_before_the_money_is_spent(
    open_house: Open,
) -> None:
    house = open_house(routes=THREE, carriers=NAMES)
    house.submit("r1", text="é" * 150, extras=Extras(max_cost="0.02"))
    house.states["alpha"].form = Form(default_alphabet="ascii")
    for name in ("gamma", "alpha", "beta"):
        house.up(name)
    assert house.take("alpha") == []
    assert len(house.take("beta")) == 1


# --- another table, while it runs ---


def test_waiting_messages_follow_a_new_table(open_house: Open) -> None:
    house = open_house()
    submit_each(house, "r1", "r2")
    house.reroute([Route("49", "beta", "0.05")])
    house.up("alpha")
    house.up("beta")
    assert taken(house) == {"beta": ["r1", "r2"]}


def test_one_time_codes_follow_first(open_house: Open) -> None:
    house = open_house(window=1)
    bulk = [f"bulk{number}" for number in range(3 * STALE_ROWS_MAX)]
    house.submit(*bulk, message_class="promotional", text="bulk")
    submit_each(house, "code", message_class="otp")
    house.reroute([Route("49", "beta", "0.05")])
    house.up("beta")
    assert taken(house) == {"beta": ["code"]}


def test_long_backlog_follows_in_bounded_commits_without_a_pause(open_house: Open) -> None:
    house = open_house(window=5_000)
    names = [f"r{number}" for number in range(3 * STALE_ROWS_MAX + 50)]
    house.submit(*names)
    house.reroute([Route("49", "beta", "0.05")])
    house.up("beta")
    assert settle(house) <= 5
    assert len(house.take("beta", room=5_000)) == len(names)


def test_table_that_comes_back_before_the_last_has_settled_loses_nothing(open_house: Open) -> None:
    house = open_house(window=5_000)
    names = [f"r{number}" for number in range(2 * STALE_ROWS_MAX)]
    house.submit(*names)
    first = [Route("49", "alpha", "0.01"), Route("49", "beta", "0.02")]
    house.reroute([Route("49", "beta", "0.05")])
    house.commit([])
    house.reroute(first)
    house.submit("new", text="new")
    house.reroute([Route("49", "beta", "0.06")])
    house.commit([])
    house.reroute(first)
    house.up("alpha")
    settle(house)
    refs = texts(house.take("alpha", room=5_000))
    assert len(refs) == len(names) + 1
    assert house.store.statistics().queued == 0


def test_restart_with_the_same_table_moves_nothing(open_house: Open) -> None:
    house = open_house()
    submit_each(house, "r1", "r2")
    submit_each(house, "pinned", extras=Extras(carriers=("beta",)))
    house.store.close()
    house = open_house()
    assert house.dispatch.statistics().queued_in_memory == 0  # none was read to be routed anew
    house.up("alpha")
    house.up("beta")
    assert taken(house) == {"alpha": ["r1", "r2"], "beta": ["pinned"]}


def test_restart_with_another_table_routes_anew_what_waits(open_house: Open) -> None:
    house = open_house()
    submit_each(house, "r1")
    house.store.close()
    house = open_house(routes=[Route("49", "beta", "0.05")])
    house.up("alpha")
    house.up("beta")
    settle(house)
    assert taken(house) == {"beta": ["r1"]}


def test_of_many_lists_of_offers_those_without_a_message_are_not_kept(open_house: Open) -> None:
    count = GROUPS_SPARE + 100
    routes = [Route(f"49{n:04}", "alpha", f"0.{n + 1:05}") for n in range(count)]
    house = open_house(routes=[*routes, Route("44", "beta", "0.01")], window=count + 10)
    submit_each(house, "waits", to="447000000000")
    house.up("alpha")
    for n in range(count):
        house.submit(f"r{n}", to=f"49{n:04}0000", text=f"r{n}")
    assert len(house.take("alpha", room=2 * count)) == count
    assert len(house.dispatch._places._groups) <= GROUPS_SPARE
    house.up("beta")
    assert taken(house) == {"beta": ["waits"]}


def test_same_table_moves_nothing(open_house: Open) -> None:
    house = open_house()
    submit_each(house, "r1")
    house.dispatch.set_table(house.table)
    assert house.dispatch.statistics().queued_in_memory == 1
    house.up("alpha")
    assert taken(house) == {"alpha": ["r1"]}


def test_message_that_was_granted_when_the_table_changed_finds_the_new_one(
    open_house: Open,
) -> None:
    house = open_house()
    house.up("alpha")
    house.up("beta")
    submit_each(house, "r1")
    submits = house.take("alpha")
    house.reroute([Route("49", "beta", "0.05")])
    house.answer(submits, verdict=Verdict.SLOW, status=0x58)
    assert taken(house) == {"beta": ["r1"]}


def test_number_nobody_takes_any_more_fails(open_house: Open) -> None:
    house = open_house()
    submit_each(house, "r1")
    house.reroute([Route("86", "beta", "0.05")])
    house.commit([])
    assert codes(house) == [("failed", "no_route_left")]


def test_scheduled_message_follows_a_new_table_and_keeps_its_time(open_house: Open) -> None:
    house = open_house()
    submit_each(house, "r1", extras=Extras(send_at=house.now + 60_000))
    house.reroute([Route("49", "beta", "0.05")])
    house.up("beta")
    assert taken(house) == {}
    house.pass_time(60)
    assert taken(house) == {"beta": ["r1"]}


# --- a carrier that is taken away ---


def test_what_waited_for_a_removed_carrier_goes_to_the_other_offers(open_house: Open) -> None:
    house = open_house()
    submit_each(house, "r1", "r2")
    house.remove("alpha")
    house.up("beta")
    assert taken(house) == {"beta": ["r1", "r2"]}


def test_what_waited_for_the_only_carrier_fails_once_its_routes_go_too(open_house: Open) -> None:
    house = open_house(routes=[Route("49", "alpha", "0.01")])
    submit_each(house, "r1", "r2")
    house.reroute([Route("86", "beta", "0.01")])
    house.remove("alpha")
    assert codes(house) == [("failed", "no_route_left")] * 2
    assert house.store.statistics().queued == 0


def test_what_was_granted_and_not_taken_goes_elsewhere_unflagged(open_house: Open) -> None:
    house = open_house()
    house.up("alpha")
    house.up("beta")
    submit_each(house, "r1")
    house.remove("alpha")
    submits = house.take("beta")
    house.answer(submits, carrier="beta")
    assert "maybe_duplicate" not in house.events()[0]


def half_sent(house: House) -> None:
    house.up("alpha")
    house.submit("long", text="x" * 400, segments=3)
    house.answer(house.take("alpha"))
    house.down("alpha")


def test_half_sent_message_of_a_removed_carrier_fails_and_says_what_was_taken(
    open_house: Open,
) -> None:
    house = open_house(window=1)
    half_sent(house)
    house.remove("alpha")
    (event,) = house.events()
    assert (event["event"], event["code"]) == ("failed", "no_route_left")
    assert (event["segments"], event["segments_taken"]) == (3, 1)


def test_promised_resend_to_a_removed_carrier_is_not_made_and_told(open_house: Open) -> None:
    house = open_house()
    house.up("alpha")
    submit_each(house, "r1")
    house.down("alpha", doubt=[tag_of(submit) for submit in house.take("alpha")])
    house.remove("alpha")
    house.up("beta")
    assert taken(house) == {}
    assert codes(house) == [("uncertain", True), ("uncertain", False)]


def test_doubt_that_ends_the_last_bind_of_a_removed_carrier_is_not_resent(
    open_house: Open,
) -> None:
    house = open_house()
    house.up("alpha")
    submit_each(house, "r1")
    tags = [tag_of(submit) for submit in house.take("alpha")]
    house.remove("alpha")
    house.commit([Doubted("alpha", 0, tags, house.now)])
    assert codes(house) == [("uncertain", False)]


def test_late_receipt_of_a_removed_carrier_still_finds_its_message(open_house: Open) -> None:
    house = open_house()
    house.up("alpha")
    submit_each(house, "r1")
    house.answer(house.take("alpha"), ids=["m1"])
    house.remove("alpha")
    house.receive("m1")
    assert house.told() == [("r1", "sent"), ("r1", "delivered")]


def test_carrier_that_is_removed_and_comes_back_has_what_is_bound_to_it(open_house: Open) -> None:
    house = open_house(window=1)
    half_sent(house)
    changes = house.dispatch.remove_carrier("alpha")
    house.dispatch.add_carrier(house.make_state("alpha"))
    house.commit(changes)
    house.up("alpha")
    (submit,) = house.take("alpha")
    assert pdu_of(submit).short_message[5] == 2
    assert house.events() == []


def test_removal_survives_a_crash_before_it_has_settled(open_house: Open) -> None:
    house = open_house(window=1)
    half_sent(house)
    submit_each(house, "r1")
    house.dispatch.remove_carrier("alpha")
    house.close()
    house = open_house(carriers=("beta",))
    house.up("beta")
    assert taken(house) == {"beta": ["r1"]}
    assert codes(house) == [("failed", "no_route_left")]


# --- a carrier that is added, or has other binds ---


def test_added_carrier_takes_what_waits_for_it(open_house: Open) -> None:
    house = open_house(carriers=("beta",), routes=[Route("49", "alpha", "0.01")])
    submit_each(house, "r1")
    house.add("alpha")
    assert taken(house) == {}
    house.up("alpha")
    assert taken(house) == {"alpha": ["r1"]}


@pytest.mark.parametrize("window", [1, 3])
def test_other_binds_of_a_carrier_go_on_with_what_waits_for_it(
    open_house: Open, window: int
) -> None:
    house = open_house(window=window)
    house.up("alpha")
    house.submit("long", text="x" * 153 * 6, segments=6)
    submit_each(house, "r1")
    house.answer(house.take("alpha"))
    house.down("alpha")
    changes = house.dispatch.replace_carrier(house.make_state("alpha"))
    house.commit(changes)
    house.up("alpha")
    seen = 0
    while submits := house.take("alpha"):
        seen += len(submits)
        house.answer(submits)
    assert seen == 7 - window
    assert sorted(house.told()) == [("long", "sent"), ("r1", "sent")]


def test_what_old_binds_were_granted_and_never_took_is_given_to_the_new(open_house: Open) -> None:
    house = open_house(carriers=("alpha",))
    house.up("alpha")
    submit_each(house, "r1")
    changes = house.dispatch.replace_carrier(house.make_state("alpha"))
    house.commit(changes)
    house.up("alpha")
    assert taken(house) == {"alpha": ["r1"]}


def test_paused_carrier_with_other_binds_is_paused_still(open_house: Open) -> None:
    house = open_house(carriers=("alpha",), routes=[Route("49", "alpha", "0.01")])
    house.set_mode("alpha", "paused")
    submit_each(house, "r1")
    state = house.make_state("alpha")
    state.mode = "paused"
    house.commit(house.dispatch.replace_carrier(state))
    house.up("alpha")
    assert taken(house) == {}
    assert house.told() == [("r1", "held")]


# --- a carrier that a reload made speak SMPP 3.3 ---


def turn_to_3_3(house: House) -> None:
    house.profiles["alpha"] = CarrierProfile(has_tlvs=False)
    house.dispatch.replace_carrier(house.make_state("alpha"))
    house.store.set_rules(house.rules)
    house.up("alpha")


def test_half_sent_message_whose_carrier_lost_its_tlvs_fails_and_says_what_was_taken(
    open_house: Open,
) -> None:
    form = Form(long_message="sar")
    house = open_house(window=1, profiles={"alpha": CarrierProfile(form=form)})
    house.up("alpha")
    house.submit("long", text="x" * 400, segments=3, form=form)
    house.answer(house.take("alpha"))
    house.down("alpha")
    turn_to_3_3(house)
    assert house.take("alpha") == []
    (event,) = house.events()
    assert (event["event"], event["code"], event["segments_taken"]) == (
        "failed",
        "no_route_left",
        1,
    )


def test_promised_resend_with_tlvs_to_a_carrier_that_lost_them_is_not_made_and_told(
    open_house: Open,
) -> None:
    house = open_house()
    house.up("alpha")
    submit_each(house, "r1", extras=Extras(tlvs={0x1401: b"\1"}))
    house.down("alpha", doubt=[tag_of(submit) for submit in house.take("alpha")])
    turn_to_3_3(house)
    assert house.take("alpha") == []
    assert codes(house) == [("uncertain", True), ("uncertain", False)]


def test_message_with_tlvs_that_had_not_begun_goes_to_a_carrier_that_has_them(
    open_house: Open,
) -> None:
    house = open_three(open_house)
    submit_each(house, "r1", extras=Extras(tlvs={0x1401: b"\1"}))
    house.answer(house.take("alpha"), verdict=Verdict.SLOW)
    house.down("alpha")
    turn_to_3_3(house)
    assert taken(house) == {"beta": ["r1"]}
