"""A message's whole life, step by step, from what a store has kept of it."""

from __future__ import annotations

from smppd.store.changes import Cancel, Extras, Resolve, Verdict
from smppd.store.records import RECEIPT_RAW_MAX, STEPS_MAX
from smppd.store.trace import StepView, TraceView
from tests.house import START, House, Open, tag_of


def trace(house: House, ref: str = "r1") -> TraceView:
    found = house.store.trace(app="shop", ref=ref)
    assert found is not None
    return found


def names(house: House, ref: str = "r1") -> list[str]:
    return [step.step for step in trace(house, ref).steps]


def test_happy_way_is_told_from_acceptance_to_delivery(open_house: Open) -> None:
    house = open_house()
    house.up()
    house.submit("r1")
    submits = house.take()
    house.now += 10
    house.answer(submits, ids=["m1"])
    house.now += 20
    house.receive("m1")
    raw = "id:m1 stat:STAT err:000"
    assert trace(house).steps == [
        StepView(START, "accepted", detail="transactional, gsm7, 1 segment"),
        StepView(START, "granted", 1, "alpha", 0),
        StepView(START + 10, "taken", 1, "alpha", 0, 1, "0x00000000", "m1"),
        StepView(START + 30, "receipt", 1, "alpha", message_id="m1", detail=raw),
        StepView(START + 30, "delivered"),
    ]


def test_trace_shows_no_text_and_no_data(open_house: Open) -> None:
    house = open_house()
    house.submit("r1", text="secret")
    house.submit("r2", text="", encoding="binary", extras=Extras(data=b"secret"))
    assert trace(house).message.text == ""
    assert trace(house, "r2").message.data is None


def test_message_is_traced_by_its_id_whosesoever_it_is(open_house: Open) -> None:
    house = open_house()
    (message_id,) = house.submit("r1", app="crm")
    found = house.store.trace(message_id=message_id)
    assert found is not None
    assert found.message.app == "crm"
    assert house.store.trace(message_id=message_id, app="shop") is None
    assert house.store.trace(message_id="0" * 16) is None
    assert house.store.trace(app="shop", ref="r1") is None


def test_throttled_refused_and_retried_answers_are_steps(open_house: Open) -> None:
    house = open_house()
    house.up("alpha")
    house.up("beta")
    house.submit("r1")
    house.answer(house.take("alpha"), verdict=Verdict.SLOW, status=0x58)
    house.answer(house.take("alpha"), verdict=Verdict.REROUTE, status=0x0B)
    house.answer(house.take("beta"), carrier="beta", verdict=Verdict.RETRY, status=0x64)
    steps = [step for step in trace(house).steps[1:] if step.step != "granted"]
    assert names(house).count("granted") == 3
    assert [(step.step, step.carrier, step.command_status) for step in steps] == [
        ("throttled", "alpha", "0x00000058"),
        ("refused", "alpha", "0x0000000B"),
        ("retried", "beta", "0x00000064"),
    ]
    assert [step.sequence_number for step in steps] == [1, 1, 1]


def test_doubt_and_its_resend_are_steps_also_after_a_restart(open_house: Open) -> None:
    house = open_house()
    house.up()
    house.submit("r1")
    house.down(doubt=[tag_of(submit) for submit in house.take()])
    house.close()
    house = open_house(now=START + 5)
    house.up()
    house.answer(house.take())
    assert names(house) == [
        "accepted",
        "granted",
        "doubted",
        "resend",
        "granted",
        "taken",
    ]


def test_what_was_given_back_is_a_step(open_house: Open) -> None:
    house = open_house(carriers=("alpha",))
    house.up()
    house.submit("r1")
    house.down()
    assert names(house) == ["accepted", "granted", "given_back"]


def test_hold_cancel_and_the_operators_word_are_steps(open_house: Open) -> None:
    house = open_house(carriers=("alpha",))
    house.set_mode("alpha", "paused")
    house.submit("r1")
    house.commit([Cancel("shop", ref="r1")])
    assert names(house) == ["accepted", "held", "cancelled"]
    house.set_mode("alpha", "running")
    house.up()
    house.submit("r2", uncertain="stop")
    house.down(doubt=[tag_of(submit) for submit in house.take()])
    (message_id,) = house.submit("r2")
    house.commit([Resolve(message_id, "resend", house.now)])
    assert names(house, "r2") == ["accepted", "granted", "doubted", "resolved"]


def test_late_receipts_are_shown_as_they_came(open_house: Open) -> None:
    house = open_house()
    house.up()
    house.submit("r1")
    house.answer(house.take(), ids=["m1"])
    house.receive("m1")
    house.now += 10
    house.receive("m1", state=5)
    late = trace(house).steps[-1]
    assert (late.step, late.message_id, late.detail) == (
        "late_receipt",
        "m1",
        "id:m1 stat:STAT err:000",
    )


def test_receipt_is_kept_only_up_to_its_bound(open_house: Open) -> None:
    house = open_house()
    house.up()
    house.submit("r1")
    name = "m" * (RECEIPT_RAW_MAX + 50)
    house.answer(house.take(), ids=[name])
    house.receive(name)
    detail = next(step.detail for step in trace(house).steps if step.step == "receipt")
    assert detail is not None
    assert len(detail) == RECEIPT_RAW_MAX


def test_message_that_was_thrown_back_again_and_again_says_how_many_steps_are_missing(
    open_house: Open,
) -> None:
    house = open_house(carriers=("alpha",))
    house.up()
    house.submit("r1", valid_for=86_400)
    for _ in range(STEPS_MAX // 2 + 5):  # each is two steps: granted, and thrown back
        house.answer(house.take(), verdict=Verdict.SLOW, status=0x58)
    found = trace(house)
    assert found.steps_dropped == 10
    assert len(found.steps) == STEPS_MAX + 2  # accepted, and granted again
