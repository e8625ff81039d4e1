"""Times as people write them, and as they read them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
import typer

from smppd.ctl.times import (
    TIME_MAX,
    read_duration,
    read_future,
    read_past,
    show_duration,
    show_elapsed,
)

NOW = 1_795_292_101_000


@pytest.mark.parametrize(
    ("text", "seconds"), [("30s", 30), ("5m", 300), ("2h", 7200), ("1d", 86_400), ("1w", 604_800)]
)
def test_time_from_now_and_before_now_is_a_number_and_a_unit(text: str, seconds: int) -> None:
    assert read_future(text, NOW, "--send-at") == NOW + seconds * 1000
    assert read_past(text, NOW, "--since") == NOW - seconds * 1000


def test_time_may_be_a_date_of_any_zone_or_of_ones_own() -> None:
    assert read_past("2026-11-22T09:00+01:00", NOW, "--since") == 1_795_334_400_000
    local = datetime(2026, 11, 22, 9, tzinfo=None).astimezone(UTC)
    assert read_past("2026-11-22T09:00", NOW, "--since") == int(local.timestamp() * 1000)


def test_time_may_be_what_the_protocol_says() -> None:
    assert read_past(str(NOW), 0, "--until") == NOW
    assert read_past(None, 0, "--until") is None


def test_time_before_all_times_is_the_first_and_one_after_all_the_last() -> None:
    assert read_past("999999999w", NOW, "--since") == 0
    assert read_future("999999999w", NOW, "--send-at") == TIME_MAX


@pytest.mark.parametrize("text", ["yesterday", "2x", "", "99", "2026-13-01"])
def test_what_is_no_time_is_refused_with_what_to_write(text: str) -> None:
    with pytest.raises(typer.BadParameter, match="write 30m"):
        read_past(text, NOW, "--since")


@pytest.mark.parametrize(
    ("text", "seconds"), [("90", 90), ("90s", 90), ("2h", 7200), ("1w", 604_800)]
)
def test_duration_is_seconds_or_a_number_and_a_unit(text: str, seconds: int) -> None:
    assert read_duration(text, "--valid-for") == seconds


@pytest.mark.parametrize("text", ["", "1.5h", "-3", "soon", "٣"])
def test_what_is_no_duration_is_refused_with_what_to_write(text: str) -> None:
    with pytest.raises(typer.BadParameter, match="write seconds"):
        read_duration(text, "--valid-for")


@pytest.mark.parametrize(
    ("milliseconds", "shown"),
    [(0, "0 s"), (59_999, "59 s"), (61_000, "1 min"), (7_200_000, "2 h"), (-1, "0 s")],
)
def test_duration_is_shown_in_its_largest_unit(milliseconds: int, shown: str) -> None:
    assert show_duration(milliseconds) == shown


@pytest.mark.parametrize(
    ("milliseconds", "shown"), [(4, "+0.004 s"), (12_300, "+12.3 s"), (180_000, "+3 min")]
)
def test_what_has_passed_is_shown_as_exactly_as_it_matters(milliseconds: int, shown: str) -> None:
    assert show_elapsed(milliseconds) == shown
