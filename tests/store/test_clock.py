"""The wall clock is set, forward or back: what is due goes by it, and nothing bursts or stalls.

``House.now`` is the wall clock. Pacing has a clock of its own, which nobody sets.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from smppd.store.changes import Extras, Verdict
from smppd.store.records import CarrierProfile
from smppd.store.retention import REST_MILLISECONDS, RetentionPeriods
from tests.house import House, pdu_of

HOUR = 3_600_000
DAY = 24 * HOUR
YEAR = 365 * DAY
LONG_VALID = 30 * 86_400
RETRY_STATUS = 8


class Monotonic:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def monotonic() -> Monotonic:
    return Monotonic()


@pytest.fixture
def house(tmp_path: Path, monotonic: Monotonic) -> Iterator[House]:
    """One carrier whose bind is up, and room for ten."""
    house = House(tmp_path / "state", clock=monotonic)
    house.up()
    yield house
    house.store.close()


def set_clock(house: House, milliseconds: int) -> None:
    """The wall clock is set by so much, and the next commit sees it."""
    house.now += milliseconds
    house.commit([])


def texts(house: House) -> list[bytes]:
    return [pdu_of(submit).short_message for submit in house.take()]


def send_at(house: House, at: int) -> Extras:
    return Extras(send_at=at)


# --- retries ---


@pytest.mark.parametrize("back", [HOUR, DAY, YEAR])
def test_retry_is_not_put_off_by_a_clock_set_back(house: House, back: int) -> None:
    house.submit("r1", text="again", valid_for=LONG_VALID)
    house.answer(house.take(), verdict=Verdict.RETRY, status=RETRY_STATUS)
    set_clock(house, -back)
    assert texts(house) == [b"again"]


def test_retries_of_a_whole_queue_are_found_in_batches_and_each_goes_once(tmp_path: Path) -> None:
    house = House(tmp_path / "state", window=1_210)
    house.up()
    house.submit(*[f"r{number}" for number in range(1_200)], valid_for=LONG_VALID)
    house.answer(house.take(room=1_200), verdict=Verdict.RETRY, status=RETRY_STATUS)
    house.now -= DAY
    gone = []
    for _ in range(4):
        house.commit([])
        gone += house.take(room=1_200)
    assert len(gone) == len({submit.tag for submit in gone}) == 1_200
    house.store.close()


def test_retry_of_what_was_accepted_after_it_waits_as_always(house: House) -> None:
    house.submit("r1")
    house.take()
    set_clock(house, -DAY)
    house.submit("r2", text="again")
    house.answer(house.take(), verdict=Verdict.RETRY, status=RETRY_STATUS)
    assert texts(house) == []
    house.pass_time(1)
    assert texts(house) == [b"again"]


def test_start_behind_the_store_puts_no_retry_off(tmp_path: Path) -> None:
    house = House(tmp_path / "state")
    house.up()
    house.submit("r1", text="again", valid_for=LONG_VALID)
    house.answer(house.take(), verdict=Verdict.RETRY, status=RETRY_STATUS)
    house.store.close()
    again = House(tmp_path / "state", now=house.now - YEAR)
    again.up()
    assert texts(again) == [b"again"]
    again.store.close()


# --- receipts ---


def test_early_receipt_of_a_second_try_is_matched_after_the_clock_was_set_back(
    house: House,
) -> None:
    house.submit("r1", valid_for=LONG_VALID)
    house.answer(house.take(), verdict=Verdict.RETRY, status=RETRY_STATUS)
    set_clock(house, -HOUR)
    submits = house.take()
    house.receive("early")
    house.answer(submits, ids=["early"])
    assert house.told() == [("r1", "sent"), ("r1", "delivered")]


def test_early_receipt_is_matched_where_the_clock_was_set_back_since_the_submit(
    house: House,
) -> None:
    house.submit("r1", valid_for=LONG_VALID)
    submits = house.take()
    set_clock(house, -HOUR)
    house.receive("early")
    house.answer(submits, ids=["early"])
    assert house.told() == [("r1", "sent"), ("r1", "delivered")]


def test_receipt_is_found_by_address_where_the_clock_was_set_back_since_the_submit(
    tmp_path: Path,
) -> None:
    house = House(tmp_path / "state", profile=CarrierProfile(match_receipts="address"))
    house.up()
    house.submit("r1", valid_for=LONG_VALID)
    house.answer(house.take(), ids=["0"])
    set_clock(house, -HOUR)
    house.receive("0")
    assert house.told() == [("r1", "sent"), ("r1", "delivered")]
    house.store.close()


# --- send_at ---


def test_send_at_is_kept_by_a_clock_set_back(house: House) -> None:
    at = house.now + HOUR
    house.submit("r1", valid_for=LONG_VALID, extras=send_at(house, at))
    set_clock(house, -DAY)
    assert texts(house) == []
    set_clock(house, DAY)
    assert texts(house) == []
    set_clock(house, HOUR)
    assert len(texts(house)) == 1


def test_send_at_of_what_is_accepted_after_it_is_kept(house: House) -> None:
    house.submit("r1")
    house.take()
    set_clock(house, -DAY)
    house.submit("r2", extras=send_at(house, house.now + HOUR), valid_for=LONG_VALID)
    assert texts(house) == []
    set_clock(house, HOUR)
    assert len(texts(house)) == 1


def test_nothing_stands_behind_a_send_at_for_a_clock_that_was_ahead(house: House) -> None:
    house.down()
    house.submit("later", extras=send_at(house, house.now + HOUR // 2), valid_for=LONG_VALID)
    set_clock(house, HOUR)
    house.submit("r1", text="accepted ahead", valid_for=LONG_VALID)
    set_clock(house, -HOUR)
    house.submit("r2", text="accepted after it", valid_for=LONG_VALID)
    house.up()
    assert texts(house) == [b"accepted ahead", b"accepted after it"]


def test_submit_that_was_read_before_the_clock_was_set_back_waits_for_nothing(
    house: House,
) -> None:
    proposal = house.propose("r1", text="between", valid_for=LONG_VALID)
    house.now -= DAY
    house.commit([proposal])
    assert texts(house) == [b"between"]


def test_send_at_has_come_when_the_clock_is_set_forward(house: House) -> None:
    house.submit("r1", extras=send_at(house, house.now + HOUR), valid_for=LONG_VALID)
    set_clock(house, HOUR)
    assert len(texts(house)) == 1


# --- valid_for ---


def test_valid_for_ends_when_the_clock_is_set_past_it(house: House) -> None:
    house.down()
    house.submit("r1", valid_for=600)
    set_clock(house, HOUR)
    assert [event["event"] for event in house.events()] == ["expired"]


def test_valid_for_lasts_longer_by_what_the_clock_is_set_back(house: House) -> None:
    house.down()
    house.submit("r1", valid_for=600)
    set_clock(house, -HOUR)
    house.pass_time(900)
    assert house.events() == []
    house.up()
    assert len(texts(house)) == 1


# --- order, ids, pace ---


@pytest.mark.parametrize("step", [HOUR, -HOUR, DAY, -DAY, -YEAR])
def test_ids_grow_and_the_order_of_acceptance_stays(tmp_path: Path, step: int) -> None:
    house = House(tmp_path / "state")
    ids = house.submit("r1", "r2", text="before", valid_for=LONG_VALID)
    set_clock(house, step)
    ids += house.submit("r3", "r4", text="after", valid_for=LONG_VALID)
    house.up()
    assert texts(house) == [b"before", b"before", b"after", b"after"]
    assert ids == sorted(set(ids))
    house.store.close()


@pytest.mark.parametrize("step", [HOUR, -HOUR, DAY, -DAY])
def test_pace_goes_by_its_own_clock(tmp_path: Path, monotonic: Monotonic, step: int) -> None:
    house = House(tmp_path / "state", window=100, throughput=20, clock=monotonic)
    house.submit(*[f"r{number}" for number in range(50)], valid_for=LONG_VALID)
    house.up()
    assert len(house.take()) <= 2
    set_clock(house, step)
    assert house.take() == []
    monotonic.now += 1
    house.commit([])
    assert 1 <= len(house.take()) <= 2
    house.store.close()


# --- aging out ---


def end_one(house: House) -> None:
    """One message that is done, and its event."""
    house.submit("r1", receipt=False)
    house.answer(house.take())


def test_clock_set_a_year_ahead_and_back_ages_nothing(house: House) -> None:
    end_one(house)
    house.store.clock_was_set(house.now + YEAR)
    set_clock(house, YEAR)
    house.pass_time(60)
    assert house.store.query("shop", ref="r1") is not None
    assert len(house.events()) == 1
    assert house.submit("r1")  # its ref is still bound: answered as the same message
    assert len(house.take()) == 0
    house.store.clock_was_set(house.now - YEAR)
    set_clock(house, -YEAR)
    house.pass_time(REST_MILLISECONDS // 1000 + 1)
    assert house.store.query("shop", ref="r1") is not None
    assert len(house.events()) == 1


def test_clock_that_stays_ages_out_after_a_rest(house: House) -> None:
    end_one(house)
    house.store.clock_was_set(house.now + YEAR)
    set_clock(house, YEAR)
    assert house.store.next_deadline() == house.now + REST_MILLISECONDS
    house.pass_time(REST_MILLISECONDS // 1000)
    house.pass_time(1)
    assert house.store.query("shop", ref="r1") is None
    assert house.events() == []


def test_start_long_after_the_last_use_rests_and_soon_after_it_does_not(tmp_path: Path) -> None:
    periods = RetentionPeriods(messages=60, refs=60, events=60)
    house = House(tmp_path / "state", periods=periods)
    house.up()
    end_one(house)
    house.store.close()
    away = House(tmp_path / "state", periods=periods, now=house.now + YEAR)
    away.commit([])
    assert away.store.query("shop", ref="r1") is not None
    away.store.close()
    soon = House(tmp_path / "state", periods=periods, now=house.now + HOUR)
    soon.commit([])
    assert soon.store.query("shop", ref="r1") is None
    soon.store.close()


def test_sweeps_go_on_after_the_clock_was_set_back(tmp_path: Path) -> None:
    periods = RetentionPeriods(messages=60, refs=60, events=60)
    house = House(tmp_path / "state", periods=periods)
    house.up()
    set_clock(house, DAY)
    set_clock(house, -DAY)
    end_one(house)
    house.pass_time(3_600)
    assert house.events() == []
    house.store.close()
