"""One line for what may happen a thousand times a second."""

from __future__ import annotations

from smppd.log.notices import Notices


def test_first_is_due_at_once_and_the_next_counts_those_between() -> None:
    notices = Notices(10.0)
    assert notices.count(100.0) == 1
    assert [notices.count(100.0 + second) for second in range(1, 10)] == [0] * 9
    assert notices.count(110.0) == 10
    assert notices.count(119.9) == 0
    assert notices.count(200.0) == 2
