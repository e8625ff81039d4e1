"""The life of a request: queued, written, answered, or left over."""

from __future__ import annotations

import pytest

from smppd.smpp.window import Remains, Waiting, Window


def window_of(*tags: str, size: int = 10, deadline: float = 30.0) -> Window:
    window = Window(size)
    numbers = list(range(1, len(tags) + 1))
    window.queue(tags, numbers, [tag.encode() for tag in tags], deadline)
    return window


def test_window_has_room_for_what_is_not_waiting() -> None:
    window = window_of("a", "b", size=3)
    assert (len(window), window.room) == (2, 1)
    assert 2 in window
    assert 3 not in window


def test_window_refuses_to_have_no_room_at_all() -> None:
    with pytest.raises(ValueError, match="at least one"):
        Window(0)


def test_window_gives_an_answered_request_its_tag_once() -> None:
    window = window_of("a", "b")
    assert window.pop(1, None) == Waiting("a", 30.0)
    assert window.pop(1, None) is None
    assert len(window) == 1


def test_window_hands_over_what_is_queued_once_and_in_order() -> None:
    window = window_of("a", "b")
    window.queue(["c"], [3], [b"c"], 31.0)
    assert window.take_queued() == [b"a", b"b", b"c"]
    assert window.take_queued() == []


def test_window_is_due_when_its_oldest_request_is() -> None:
    window = window_of("a")
    window.queue(["b"], [2], [b"b"], 31.0)
    assert window.first_deadline() == 30.0
    window.pop(1, None)
    assert window.first_deadline() == 31.0
    window.pop(2, None)
    assert window.first_deadline() is None


def test_window_tells_at_its_end_what_was_written_from_what_was_not() -> None:
    window = window_of("a", "b")
    window.take_queued()
    window.queue(["c", "d"], [3, 4], [b"c", b"d"], 31.0)
    window.pop(1, None)
    assert window.end() == Remains(unwritten=["c", "d"], unanswered=["b"])
    assert window.end() == Remains([], [])
    assert window.room == window.size


def test_window_remembers_what_was_dropped_until_its_end() -> None:
    window = window_of("a")
    window.drop_queued()
    window.queue(["b"], [2], [b"b"], 31.0)
    assert window.take_queued() == [b"b"]
    assert window.end() == Remains(unwritten=["a"], unanswered=["b"])


def test_a_request_answered_before_it_was_written_is_not_left_over() -> None:
    window = window_of("a")
    window.pop(1, None)
    window.drop_queued()
    assert window.end() == Remains([], [])
