"""A lost bind in parts."""

from __future__ import annotations

from pathlib import Path

from smppd.routing.table import Route
from smppd.store.changes import Change, Doubted, GivenBack
from smppd.store.keys import pack_tag
from smppd.traffic.ending import END_SEGMENTS_MAX, cut_changes
from tests.house import House, tag_of

ALPHA = ("alpha",)


def test_lost_bind_is_told_in_parts_what_was_never_written_first() -> None:
    """After a crash between two parts all that is still granted is doubt."""
    tags = [pack_tag(number, 0) for number in range(500)]
    changes: list[Change] = [Doubted("alpha", 0, tags, 7), GivenBack("alpha", 0, tags[:3], 7)]
    parts = [part for (part,) in cut_changes(changes)]
    assert [type(part) for part in parts] == [GivenBack, Doubted, Doubted, Doubted]
    doubted = [part for part in parts if isinstance(part, Doubted)]
    assert [tag for part in doubted for tag in part.tags] == tags
    assert max(len(part.tags) for part in doubted) == END_SEGMENTS_MAX


def test_message_whose_segments_stand_far_apart_in_the_window_is_doubted_at_once(
    tmp_path: Path,
) -> None:
    house = House(
        tmp_path, window=400, carriers=ALPHA, routes=[Route("49", "alpha", "0.01")]
    )  # as after a throttled segment, which goes out again behind the others
    house.up()
    house.submit("long", text="x" * 306, segments=2)
    first, second = (tag_of(one) for one in house.take())
    house.submit(*[f"s{number}" for number in range(250)])
    others = [tag_of(one) for one in house.take()]
    house.dispatch.bind_down(house.slot())
    for part in cut_changes([Doubted("alpha", 0, [first, *others, second], house.now)]):
        house.commit(part)
    told = [event["resend"] for event in house.events() if event["ref"] == "long"]
    assert told == [True]
    house.close()
