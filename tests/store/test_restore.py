"""The first start on a copy: what waited in it may have been sent since, by the original."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from smppd import faults
from smppd.routing.table import Route
from smppd.store import restore
from smppd.store.backup import Copied
from smppd.store.changes import Extras, Resolve, Resolved, Take
from smppd.store.eventlog import JUMP
from smppd.store.records import CarrierProfile
from smppd.text.segment import Form
from tests.house import START, House, pdu_of, tag_of


class Stopped(BaseException):
    """The process is gone at a fault point."""


@pytest.fixture
def houses(tmp_path: Path) -> Iterator[list[House]]:
    found: list[House] = []
    yield found
    faults.arm(None)
    for house in found:
        house.close()


def make(houses: list[House], directory: Path, **settings: object) -> House:
    houses.append(House(directory, **settings))  # type: ignore[arg-type]
    return houses[-1]


def back_up(house: House, directory: Path) -> Copied:
    copy = house.store.backup(directory, house.now)
    try:
        made = copy.run()
    finally:
        house.store.end_backup()
    assert isinstance(made, Copied), made
    return made


def test_what_waited_is_sent_once_more_and_flagged(houses: list[House], tmp_path: Path) -> None:
    original = make(houses, tmp_path / "state")
    original.submit("a")
    back_up(original, tmp_path / "copy")
    copy = make(houses, tmp_path / "copy", now=START + 60_000)
    assert copy.restored is not None
    assert (copy.restored.made_at, copy.restored.resent, copy.restored.stopped) == (START, 1, 0)
    assert [(event["event"], event["resend"]) for event in copy.events()] == [("uncertain", True)]
    copy.up()
    copy.answer(copy.take())
    view = copy.store.query("shop", ref="a")
    assert view is not None
    assert (view.state, view.maybe_duplicate) == ("sent", True)


def test_what_may_not_be_sent_twice_is_not_sent(houses: list[House], tmp_path: Path) -> None:
    original = make(houses, tmp_path / "state")
    original.submit("a", uncertain="stop")
    back_up(original, tmp_path / "copy")
    copy = make(houses, tmp_path / "copy")
    copy.up()
    assert copy.take() == []
    assert [(event["event"], event["resend"]) for event in copy.events()] == [("uncertain", False)]
    (doubtful,) = copy.list_doubtful(10)
    assert doubtful.ref == "a"
    (result,) = copy.commit([Resolve(doubtful.id, "resend", copy.now)])
    assert result == Resolved("queued")
    assert len(copy.take()) == 1
    view = copy.store.query("shop", ref="a")
    assert view is not None
    assert view.maybe_duplicate


def test_half_sent_message_is_in_doubt_once_and_its_rest_goes_flagged(
    houses: list[House], tmp_path: Path
) -> None:
    """One segment taken, one granted, one waiting: the last two are one doubt."""
    original = make(houses, tmp_path / "state", window=2)
    original.up()
    original.submit("a", text="x" * 400, segments=3)
    original.answer(original.take(room=1))
    back_up(original, tmp_path / "copy")
    copy = make(houses, tmp_path / "copy", window=5)
    told = [(event["event"], event.get("resend")) for event in copy.events()]
    assert told == [("uncertain", True)]
    copy.up()
    again = copy.take()
    assert sorted(tag_of(one)[-1] for one in again) == [1, 2]
    view = copy.store.query("shop", ref="a")
    assert view is not None
    assert view.maybe_duplicate


def test_granted_message_is_in_doubt_as_after_a_crash(houses: list[House], tmp_path: Path) -> None:
    original = make(houses, tmp_path / "state")
    original.up()
    original.submit("a")
    back_up(original, tmp_path / "copy")
    copy = make(houses, tmp_path / "copy")
    assert copy.doubtful == 1
    assert [event["event"] for event in copy.events()] == ["uncertain"]


def test_what_is_for_later_waits_on_without_a_doubt(houses: list[House], tmp_path: Path) -> None:
    original = make(houses, tmp_path / "state")
    original.submit("a", extras=Extras(send_at=START + 300_000))
    back_up(original, tmp_path / "copy")
    copy = make(houses, tmp_path / "copy", now=START + 10_000)
    copy.up()
    assert (copy.take(), copy.events()) == ([], [])
    copy.pass_time(300)
    assert len(copy.take()) == 1
    view = copy.store.query("shop", ref="a")
    assert view is not None
    assert not view.maybe_duplicate


def test_doubt_outlives_a_carrier_that_cuts_texts_another_way(
    houses: list[House], tmp_path: Path
) -> None:
    """No carrier was bound in the copy; the one it goes to wants fewer octets a segment."""
    routes = [Route("49", "alpha", "0.01")]
    original = make(houses, tmp_path / "state", routes=routes)
    original.submit("a", text="x" * 306, segments=2)
    back_up(original, tmp_path / "copy")
    profiles = {"alpha": CarrierProfile(form=Form("udh16", "latin1"))}
    copy = make(houses, tmp_path / "copy", routes=routes, profiles=profiles)
    copy.up()
    sent = copy.take()
    assert len(sent) == 3
    view = copy.store.query("shop", ref="a")
    assert view is not None
    assert view.maybe_duplicate
    copy.answer(sent)
    assert copy.list_doubtful(10) == []


def test_restored_store_is_started_once_as_one(houses: list[House], tmp_path: Path) -> None:
    original = make(houses, tmp_path / "state")
    original.submit("a")
    back_up(original, tmp_path / "copy")
    make(houses, tmp_path / "copy").close()
    copy = make(houses, tmp_path / "copy")
    assert copy.restored is None
    assert len(copy.events()) == 1


@pytest.mark.parametrize("killed_at", [1, 2, 3])
def test_kill_between_two_batches_goes_on_where_it_was(
    houses: list[House], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, killed_at: int
) -> None:
    monkeypatch.setattr(restore, "ROWS_MAX", 3)
    original = make(houses, tmp_path / "state")
    original.submit(*(f"r{number}" for number in range(10)))
    back_up(original, tmp_path / "copy")
    left = killed_at

    def stop(name: str) -> None:
        nonlocal left
        left -= name == "restore.batch"
        if not left:
            raise Stopped

    faults.arm(stop)
    with pytest.raises(Stopped):
        make(houses, tmp_path / "copy")
    faults.arm(None)
    # As kill -9 leaves it: the first process still holds its lock and map.
    shutil.copytree(tmp_path / "copy", tmp_path / "killed")
    copy = make(houses, tmp_path / "killed")
    assert copy.restored is not None
    assert copy.restored.resent == 10
    assert sorted(copy.told()) == [(f"r{number}", "uncertain") for number in range(10)]
    assert copy.events()[0]["seq"] == JUMP + 1


def test_validity_that_has_ended_is_uncertain_and_not_expired(
    houses: list[House], tmp_path: Path
) -> None:
    """The original may have sent it in time."""
    original = make(houses, tmp_path / "state")
    original.submit("a", valid_for=60)
    back_up(original, tmp_path / "copy")
    copy = make(houses, tmp_path / "copy", now=START + 3_600_000)
    assert [(event["event"], event["resend"]) for event in copy.events()] == [("uncertain", False)]


# -- the numbers of events ---


def test_app_that_was_told_more_by_the_original_misses_nothing_of_the_copy(
    houses: list[House], tmp_path: Path
) -> None:
    original = make(houses, tmp_path / "state")
    original.up()
    original.submit("a", receipt=False)
    original.answer(original.take())  # event 1, in the copy too
    original.submit("b", receipt=False)
    back_up(original, tmp_path / "copy")
    original.answer(original.take())  # event 2, of the original alone
    copy = make(houses, tmp_path / "copy")
    bounds = copy.store.event_bounds("shop")
    first = 1 + JUMP + 1
    assert (bounds.oldest, bounds.latest, bounds.untaken) == (1, first, 2)
    assert (bounds.has_gap(2), bounds.oldest_after(2)) == (True, first)
    assert [event["seq"] for event in copy.events(after=2)] == [first]
    assert [event["seq"] for event in copy.events()] == [1, first]
    copy.commit([Take("shop", 2)])
    bounds = copy.store.event_bounds("shop")
    assert (bounds.oldest, bounds.taken, bounds.untaken) == (first, 2, 1)
    assert not bounds.has_gap(first - 1)
    copy.commit([Take("shop", first)])
    assert copy.store.event_bounds("shop").untaken == 0


def test_app_that_had_no_event_in_the_copy_begins_ahead_too(
    houses: list[House], tmp_path: Path
) -> None:
    original = make(houses, tmp_path / "state")
    original.submit("a")
    back_up(original, tmp_path / "copy")
    copy = make(houses, tmp_path / "copy")
    copy.up()
    copy.submit("b", app="new", receipt=False)
    copy.answer(copy.take())
    assert [event["seq"] for event in copy.events("new")] == [JUMP + 1]
    assert copy.store.event_bounds("new").has_gap(5)
    assert not copy.store.event_bounds("new").has_gap(copy.store.event_bounds("new").taken)


def test_numbers_jump_again_in_a_copy_of_a_copy(houses: list[House], tmp_path: Path) -> None:
    original = make(houses, tmp_path / "state")
    original.submit("a")
    back_up(original, tmp_path / "one")
    one = make(houses, tmp_path / "one")
    one.up()
    back_up(one, tmp_path / "two")
    two = make(houses, tmp_path / "two")
    assert [event["seq"] for event in two.events()] == [JUMP + 1, 2 * JUMP + 2]


def test_backup_that_is_restored_twice_gives_no_number_twice(
    houses: list[House], tmp_path: Path
) -> None:
    original = make(houses, tmp_path / "state")
    original.submit("a")
    back_up(original, tmp_path / "one")
    shutil.copytree(tmp_path / "one", tmp_path / "two")
    first = make(houses, tmp_path / "one", now=START + 1)
    first.up()
    first.answer(first.take())
    second = make(houses, tmp_path / "two", now=START + 60_000)
    assert len(first.events()) == 2
    seen = first.store.event_bounds("shop").latest
    bounds = second.store.event_bounds("shop")
    assert bounds.has_gap(seen), "the app is not told that it is another log"
    assert bounds.latest > seen
    assert [event["seq"] for event in second.events(after=seen)] == [bounds.latest]


def test_ids_go_on_and_carry_on_with_refs(houses: list[House], tmp_path: Path) -> None:
    original = make(houses, tmp_path / "state")
    (first,) = original.submit("a")
    back_up(original, tmp_path / "copy")
    copy = make(houses, tmp_path / "copy", now=START + 1)
    assert copy.submit("a") == [first]
    assert copy.submit("b") > [first]
    copy.up()
    assert {pdu_of(one).destination_addr for one in copy.take()} == {"491701234567"}
