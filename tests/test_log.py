"""Lines for operators: their shape for machines and for people, and what never gets into one."""

from __future__ import annotations

import io
import json
import re
import sys
from collections.abc import Iterator

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from smppd import log


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def _unconfigured() -> Iterator[None]:
    yield
    structlog.reset_defaults()


def lines_of(stream: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_line_without_a_terminal_is_json_that_begins_with_time_level_and_event() -> None:
    stream = io.StringIO()
    log.configure("info", stream)
    structlog.get_logger().info("bind_up", carrier="alpha", bind=0)
    (line,) = lines_of(stream)
    assert list(line) == ["ts", "level", "event", "carrier", "bind"]
    assert (line["level"], line["event"], line["carrier"]) == ("info", "bind_up", "alpha")


def test_time_is_rfc_3339_in_utc_with_milliseconds() -> None:
    stream = io.StringIO()
    log.configure("info", stream)
    structlog.get_logger().info("ready")
    assert re.search(r'"ts":"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"', stream.getvalue())


def test_lines_below_the_level_are_not_written() -> None:
    stream = io.StringIO()
    log.configure("warning", stream)
    logger = structlog.get_logger()
    logger.info("bind_up")
    logger.warning("bind_lost")
    assert [line["event"] for line in lines_of(stream)] == ["bind_lost"]


def test_bound_fields_come_before_those_of_the_line() -> None:
    stream = io.StringIO()
    log.configure("info", stream)
    structlog.get_logger("smppd.carrier").bind(carrier="alpha").info("bind_up", smsc="x")
    assert list(lines_of(stream)[0])[3:] == ["carrier", "smsc"]


def test_line_break_in_a_value_makes_no_second_line() -> None:
    stream = io.StringIO()
    log.configure("info", stream)
    structlog.get_logger().info("bind_lost", reason="a\nb")
    assert len(stream.getvalue().splitlines()) == 1


def test_value_of_an_unknown_type_is_logged_as_text() -> None:
    stream = io.StringIO()
    log.configure("info", stream)
    structlog.get_logger().info("odd", error=ValueError("seen"))
    assert lines_of(stream)[0]["error"] == "seen"


def test_traceback_is_one_field_of_the_line() -> None:
    stream = io.StringIO()
    log.configure("info", stream)
    try:
        raise ValueError("seen")
    except ValueError as error:
        structlog.get_logger().error("bug", exc_info=error)
    (line,) = lines_of(stream)
    assert "ValueError: seen" in str(line["exception"])


def test_line_on_a_terminal_is_laid_out_for_reading() -> None:
    stream = Terminal()
    log.configure("info", stream)
    structlog.get_logger().info("bind_up", carrier="alpha")
    assert "bind_up" in stream.getvalue()
    assert "{" not in stream.getvalue()


def test_no_color_is_respected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    stream = Terminal()
    log.configure("info", stream)
    structlog.get_logger().info("bind_up", carrier="alpha")
    assert "\x1b" not in stream.getvalue()


def test_what_a_peer_sent_does_not_act_on_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    stream = Terminal()
    log.configure("info", stream)
    structlog.get_logger().info("bind_up", smsc="\x1b[2Jevil\u202e")
    assert "\x1b" not in stream.getvalue()
    assert "evil" in stream.getvalue()


def test_stdout_is_the_default_stream(capsys: pytest.CaptureFixture[str]) -> None:
    log.configure()
    structlog.get_logger().info("ready")
    assert json.loads(capsys.readouterr().out)["event"] == "ready"
    assert not sys.stdout.isatty()


@pytest.mark.parametrize(
    ("number", "masked"),
    [
        ("+5215512345678", "+5215****5678"),
        ("8613800138000", "8613****8000"),
        ("12345678", "12****78"),
        ("12345", "****5"),
        ("1234", "****"),
        ("ACME", "ACME"),
        ("", ""),
    ],
)
def test_number_is_masked_in_its_middle(number: str, masked: str) -> None:
    assert log.mask(number) == masked


@given(st.from_regex(r"\+?[0-9]{1,20}", fullmatch=True))
def test_masked_number_hides_four_digits_at_least(number: str) -> None:
    shown = sum(map(str.isdigit, log.mask(number)))
    assert shown <= max(0, sum(map(str.isdigit, number)) - log.HIDDEN_DIGITS_MIN)


@given(st.text())
def test_plain_text_holds_nothing_that_moves_a_cursor_or_turns_the_line(text: str) -> None:
    shown = log.plain(text)
    assert re.search("[\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]", shown) is None


@given(st.text(st.characters(categories=("L", "N", "P", "S", "M", "Zs"))))
def test_plain_text_that_was_harmless_is_unchanged(text: str) -> None:
    assert log.plain(text) == text


def test_emoji_joined_by_zero_width_joiners_stays_one() -> None:
    assert log.plain("👩\u200d👩\u200d👧") == "👩\u200d👩\u200d👧"


def test_traceback_on_a_terminal_moves_no_cursor() -> None:
    fields = log._make_plain(None, "error", {"exception": "Error: \x1b[2J\u202e\n  at home"})
    assert fields["exception"] == "Error: [2J\n  at home"
