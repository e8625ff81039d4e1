"""Segments from phones are joined however they come, over restarts too, and none is ever lost."""

from __future__ import annotations

from itertools import pairwise
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smppd.store import keys, outcomes, reassembly
from smppd.store.changes import InboundArrived
from smppd.store.environment import Environment
from smppd.store.rebuild import Rebuilding
from smppd.store.records import CarrierProfile
from smppd.text.header import Concatenation
from tests.house import START, House, Open

PHONE = "491701234567"
TEXTS = ("one ", "two ", "three ")
Told = tuple[str, int, bool, list[int]]
ESM_UDHI = 0x40


def part(
    number: int,
    *,
    reference: int = 7,
    text: str = "",
    total: int = 3,
    source: str = PHONE,
    carrier: str = "alpha",
    at: int = START,
) -> InboundArrived:
    """A segment whose header joins it by an 8-bit reference."""
    header = bytes((5, 0, 3, reference, total, number))
    body = (text or TEXTS[number - 1]).encode()
    joined = Concatenation("udh8", reference, total, number)
    return InboundArrived(
        carrier, source, "12345", body.decode(), header + body, 0, ESM_UDHI, at,
        concatenation=joined, udh=header,
    )  # fmt: skip


def told(house: House) -> list[Told]:
    """Text, segments, whether all came, and which did not."""
    return [
        (
            str(event["text"]),
            int(str(event["segments"])),
            bool(event.get("complete", True)),
            list(event.get("segments_missing", [])),  # type: ignore[call-overload]
        )
        for event in house.events()
    ]


@pytest.fixture
def house(open_house: Open) -> House:
    return open_house(inbound_apps=("shop",))


WHOLE: Final[Told] = ("one two three ", 3, True, [])


@pytest.mark.parametrize("order", [(1, 2, 3), (3, 2, 1), (2, 3, 1)])
def test_segments_are_joined_in_whatever_order_they_come(
    house: House, order: tuple[int, ...]
) -> None:
    for number in order:
        assert told(house) == []
        house.commit([part(number)])
    assert told(house) == [WHOLE]


def test_segments_of_one_read_are_joined_in_its_commit(house: House) -> None:
    house.commit([part(2), part(1), part(3)])
    assert told(house) == [WHOLE]
    assert house.store.statistics().inbound_waiting == 0


def test_segments_of_two_phones_with_one_reference_are_kept_apart(house: House) -> None:
    other = "491709999999"
    mixed = [part(1), part(1, source=other, text="uno "), part(2, source=other, text="due ")]
    house.commit([*mixed, part(2), part(3), part(3, source=other, text="tre ")])
    assert [text for text, *_ in told(house)] == ["one two three ", "uno due tre "]


def test_messages_of_one_phone_are_kept_apart_by_reference_and_number(house: House) -> None:
    other = [part(1, reference=8, text="a"), part(2, reference=8, text="b", total=2)]
    house.commit([part(1), other[0], part(2), part(1, text="c", total=2), other[1], part(3)])
    assert [text for text, *_ in told(house)] == ["one two three "]
    assert house.store.statistics().inbound_waiting == 3


def test_message_may_come_over_two_carriers_and_is_joined_only_within_one(house: House) -> None:
    house.commit([part(1), part(2, carrier="beta"), part(3)])
    assert told(house) == []
    house.commit([part(2)])
    assert told(house) == [WHOLE]


def test_segment_that_comes_again_changes_nothing(house: House) -> None:
    house.commit([part(1), part(1), part(2)])
    house.commit([part(2), part(3), part(3)])
    house.commit([part(1)])
    assert told(house) == [WHOLE]
    assert house.store.statistics().inbound_repeated == 4


def test_reference_in_use_again_ends_the_message_that_had_it(house: House) -> None:
    house.commit([part(1), part(3)])
    house.commit([part(1, text="uno ")])
    assert told(house) == [("one three ", 3, False, [2])]
    house.commit([part(2, text="due "), part(3, text="tre ")])
    assert told(house)[1:] == [("uno due tre ", 3, True, [])]


def test_reference_of_a_whole_message_may_be_used_again_at_once(house: House) -> None:
    house.commit([part(1), part(2), part(3)])
    house.commit([part(1, text="uno "), part(2, text="due "), part(3, text="tre ")])
    assert [text for text, *_ in told(house)] == ["one two three ", "uno due tre "]


def test_what_has_not_all_come_is_told_at_the_deadline_and_not_before(open_house: Open) -> None:
    house = open_house(inbound_apps=("shop",), profile=CarrierProfile(inbound_timeout=60_000))
    house.commit([part(3), part(1)])
    house.pass_time(59)
    assert told(house) == []
    house.pass_time(2)
    assert told(house) == [("one three ", 3, False, [2])]
    assert house.store.statistics().inbound_incomplete == 1


def test_deadline_counts_from_the_first_segment(house: House) -> None:
    house.commit([part(1)])
    house.pass_time(599)
    house.commit([part(2, at=house.now)])
    house.pass_time(2)
    assert told(house) == [("one two ", 3, False, [3])]


def test_segment_later_than_the_deadline_is_told_after_its_own(house: House) -> None:
    house.commit([part(1), part(3)])
    house.pass_time(601)
    house.commit([part(1, at=house.now), part(2, at=house.now)])
    house.pass_time(601)
    assert told(house) == [("one three ", 3, False, [2]), ("two ", 3, False, [1, 3])]
    house.pass_time(601)
    assert rows(house) == 0


def test_last_segment_may_come_again_as_late_as_any(house: House) -> None:
    """Its bind broke before it was acknowledged, and it was the last to come."""
    house.commit([part(1), part(2)])
    house.pass_time(599)
    house.commit([part(3, at=house.now)])
    house.pass_time(60)
    house.commit([part(3, at=house.now)])
    house.pass_time(601)
    assert told(house) == [WHOLE]
    assert rows(house) == 0


def test_nothing_is_kept_of_a_message_once_its_deadline_has_passed(house: House) -> None:
    house.commit([part(1), part(2), part(3)])
    assert rows(house) == 1
    house.pass_time(601)
    assert rows(house) == 0
    house.commit([part(1, at=house.now), part(2, at=house.now), part(3, at=house.now)])
    assert told(house) == [WHOLE, WHOLE]


def test_messages_that_fall_due_at_once_are_told_a_few_a_commit(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outcomes, "INBOUND_DUE_MAX", 100)
    house.commit([part(number, reference=r) for r in range(100) for number in (1, 2)])
    house.pass_time(601)
    counts = [len(told(house))]
    while counts[-1] < 100:
        house.commit([])
        counts.append(len(told(house)))
    steps = [after - before for before, after in pairwise([0, *counts])]
    assert max(steps) <= 34
    assert len(steps) == 3


def test_clock_set_back_makes_nobody_wait_longer(open_house: Open) -> None:
    """Segments came while it was a year ahead; a repetition is not swallowed for a year either."""
    year = 366 * 86_400_000
    house = open_house(inbound_apps=("shop",), now=START + year)
    house.commit([part(1, at=house.now), part(2, at=house.now)])
    house.commit([part(number, at=house.now, reference=8) for number in (1, 2, 3)])
    house.now = START
    house.commit([])
    house.pass_time(599)
    assert told(house) == [WHOLE]
    house.pass_time(2)
    assert told(house) == [WHOLE, ("one two ", 3, False, [3])]
    house.pass_time(601)
    assert rows(house) == 0


def test_clock_set_back_before_a_restart_makes_nobody_wait_longer(open_house: Open) -> None:
    house = open_house(inbound_apps=("shop",), now=START + 86_400_000)
    house.commit([part(1, at=house.now)])
    house.close()
    house = open_house(inbound_apps=("shop",))
    house.pass_time(1)
    house.pass_time(601)
    assert told(house) == [("one ", 3, False, [2, 3])]


def test_rows_that_contradict_each_other_are_survived(open_house: Open) -> None:
    """As a salvage may find them: old ones beside what became of them, and two of one identity."""
    house = open_house(inbound_apps=("shop",))
    house.commit([part(1), part(2)])
    table = house.store._env.tables["inbound_parts"]
    with house.store._reading():
        old = dict(table.rows_from(b""))
    house.commit([part(3)])
    house.close()
    env = Environment(house.directory, 1 << 24)
    env.begin(write=True)
    table = env.tables["inbound_parts"]
    ((key, _),) = table.rows_from(b"")
    for at, row in enumerate(old.items()):
        table.put(*row)
        table.put(keys.part_key(keys.read_u64(key) + 99, at + 1), row[1])
    env.commit()
    env.close()
    house = open_house(inbound_apps=("shop",), now=START + 1_000)
    house.commit([part(1, reference=9, at=house.now)])
    house.pass_time(601)
    house.commit([part(number, at=house.now) for number in (1, 2, 3)])
    assert told(house) == [WHOLE, ("one ", 3, False, [2, 3]), WHOLE]
    assert house.store.statistics().inbound_waiting == 0


@pytest.mark.parametrize("harmed", ["inbound_parts", "deadlines"])
def test_segments_that_a_salvage_found_again_are_waited_for(open_house: Open, harmed: str) -> None:
    """A row may be an older one, whose deadline has gone by."""
    house = open_house(inbound_apps=("shop",))
    house.commit([part(1)])
    house.close()
    env = Environment(house.directory, 1 << 24)
    env.begin(write=True)
    for key in list(env.tables["deadlines"].keys_from(b"")):
        env.tables["deadlines"].delete(key)
    env.commit()
    Rebuilding(env, frozenset({harmed}), set()).run()
    env.close()
    house = open_house(inbound_apps=("shop",), now=START + 1_000)
    house.pass_time(601)
    assert told(house) == [("one ", 3, False, [2, 3])]


def test_segments_wait_over_a_restart(open_house: Open) -> None:
    house = open_house(inbound_apps=("shop",))
    house.commit([part(1), part(3)])
    house.close()
    house = open_house(inbound_apps=("shop",), now=START + 1000)
    assert house.store.statistics().inbound_waiting == 2
    house.commit([part(3), part(2)])
    assert told(house) == [WHOLE]
    house.close()
    house = open_house(inbound_apps=("shop",), now=START + 2000)
    house.commit([part(2)])
    assert told(house) == [WHOLE]
    assert house.store.statistics().inbound_waiting == 0


def test_deadline_holds_over_a_restart(open_house: Open) -> None:
    house = open_house(inbound_apps=("shop",))
    house.commit([part(2)])
    house.close()
    house = open_house(inbound_apps=("shop",), now=START + 601_000)
    house.commit([])
    assert told(house) == [("two ", 3, False, [1, 3])]


def test_of_too_many_segments_the_message_that_waits_longest_is_told(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reassembly, "WAITING_MAX", 4)
    house.commit([part(1, reference=reference) for reference in range(6)])
    assert told(house) == [("one ", 3, False, [2, 3])] * 2
    assert house.store.statistics().inbound_waiting == 4


def test_of_too_many_told_messages_the_first_is_known_no_more(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reassembly, "TOLD_MAX", 2)
    house.commit([part(n, reference=r) for r in range(3) for n in (1, 2, 3)])
    assert rows(house) == 2
    house.commit([part(1, reference=2), part(1, reference=0)])
    assert house.store.statistics().inbound_waiting == 1


def test_escape_and_surrogate_cut_between_segments_are_read_whole(house: House) -> None:
    halves = ("a\x1b", "\x65b")
    house.commit([part(number, text=text, total=2) for number, text in enumerate(halves, 1)])
    assert told(house)[0][0] == "a€b"


def test_octets_that_are_no_text_are_told_joined(house: House) -> None:
    pieces = [
        InboundArrived(
            "alpha", PHONE, "12345", None, body, 4, ESM_UDHI, START,
            concatenation=Concatenation("udh8", 7, 2, number), udh=body[:-1],
        )
        for number, body in enumerate(
            (b"\x0b\x05\x04\x0b\x84\x23\xf0\x00\x03\x07\x02\x01\x01",
             b"\x0b\x05\x04\x0b\x84\x23\xf0\x00\x03\x07\x02\x02\x02"), 1
        )
    ]  # fmt: skip
    house.commit(list(pieces))
    (event,) = house.events()
    assert (event["text"], event["udh"]) == ("", "0605040b8423f0")
    assert event["data"] == "0605040b8423f0" + "0102"
    assert (event["segments"], event["complete"]) == (2, True)


def rows(house: House) -> int:
    """Of ``inbound_parts``."""
    with house.store._reading():
        return house.store._env.tables["inbound_parts"].count()


@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_each_message_is_told_once_however_its_segments_come(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Any order, repetitions and commits; a restart in between."""
    totals = data.draw(st.lists(st.integers(2, 4), min_size=1, max_size=4))
    segments = [(m, n) for m, total in enumerate(totals) for n in range(1, total + 1)]
    order = data.draw(st.permutations(segments))
    repeats = data.draw(st.lists(st.sampled_from(segments), max_size=4))
    cuts = data.draw(st.lists(st.integers(0, len(order)), max_size=3))
    directory = tmp_path_factory.mktemp("state")
    house = House(directory, inbound_apps=("shop",))
    for at, (message, number) in enumerate([*order, *repeats]):
        text = f"{message}.{number} "
        house.commit([part(number, reference=message, text=text, total=totals[message])])
        if at in cuts:
            house.close()
            house = House(directory, inbound_apps=("shop",))
    expected = {
        "".join(f"{message}.{number} " for number in range(1, total + 1))
        for message, total in enumerate(totals)
    }
    found = [text for text, *_ in told(house)]
    house.close()
    assert sorted(found) == sorted(expected)


ARRIVALS = st.lists(
    st.tuples(
        st.integers(0, 1),  # the reference
        st.integers(2, 3),  # segments
        st.integers(1, 3),
        st.sampled_from(["x ", "y "]),
        st.sampled_from([0, 0, 0, 20, 45]),  # seconds that pass
    ),
    max_size=30,
)


@settings(max_examples=20, deadline=None)
@given(arrivals=ARRIVALS, restart_at=st.integers(0, 30), waiting_max=st.sampled_from([2, 100]))
def test_every_segment_is_told_once_or_known_to_have_come_before(
    arrivals: list[tuple[int, int, int, str, int]],
    restart_at: int,
    waiting_max: int,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """References that are used again in the middle, gaps, late ones, a full table, a restart."""
    directory = tmp_path_factory.mktemp("state")
    profile = CarrierProfile(inbound_timeout=60_000)
    house = House(directory, inbound_apps=("shop",), profile=profile)
    repeated = sent = 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reassembly, "WAITING_MAX", waiting_max)
        for index, (reference, total, number, text, seconds) in enumerate(arrivals):
            if number > total:
                continue
            sent += 1
            segment = part(number, reference=reference, text=text, total=total, at=house.now)
            house.commit([segment])
            house.pass_time(seconds)
            if index == restart_at:
                repeated += house.store.statistics().inbound_repeated
                now = house.now
                house.close()
                house = House(directory, inbound_apps=("shop",), profile=profile, now=now)
        house.pass_time(61)
        house.pass_time(61)
    repeated += house.store.statistics().inbound_repeated
    found = told(house)
    assert sum(segments - len(missing) for _, segments, _, missing in found) + repeated == sent
    assert all(len(text) // 2 == n - len(missing) for text, n, _, missing in found)
    assert (rows(house), house.store.statistics().inbound_waiting) == (0, 0)
    house.close()
