"""Tables on a real terminal: a summary first, 100 columns, colours or none, and one question."""

from __future__ import annotations

import pytest

from smppd import terminal
from tests.ctl.house import TO, Desk
from tests.ctl.screen import WIDTH, call_on_terminal


@pytest.fixture(scope="module")
def sent(desk: Desk) -> str:
    """The id of a message that was delivered."""
    return desk.send("screen-1", "--wait", "--tag", "a tag of quite some length that is cut")


VERBS = [
    ("status",),
    ("carriers",),
    ("routes",),
    ("routes", "test", TO, "12345"),
    ("explain", TO),
    ("find", "--tag", "a tag of quite some length that is cut"),
    ("trace", "screen-1"),
]


@pytest.mark.usefixtures("sent")
@pytest.mark.parametrize("arguments", VERBS, ids=" ".join)
def test_table_fits_a_hundred_columns_and_begins_with_a_summary(
    desk: Desk, arguments: tuple[str, ...]
) -> None:
    _, lines = call_on_terminal(desk, *arguments)
    assert lines[0].strip(), lines
    assert "─" * 20 in "\n".join(lines)
    assert max(map(len, lines)) <= WIDTH
    assert "\x1b" not in "\n".join(lines)


@pytest.mark.usefixtures("sent")
def test_column_that_says_nothing_is_not_drawn(desk: Desk) -> None:
    _, lines = call_on_terminal(desk, "status")
    header = next(line for line in lines if "carrier" in line and "state" in line)
    assert "pace" not in header
    assert "mode" not in header


def test_words_are_coloured_unless_no_color_is_set(desk: Desk) -> None:
    _, lines = call_on_terminal(desk, "status", colour=True)
    assert "\x1b[32mbound" in "\n".join(lines)


def test_no_table_is_drawn_of_nothing(desk: Desk) -> None:
    code, lines = call_on_terminal(desk, "find", "--tag", "never-was")
    assert (code, lines) == (terminal.NOT_FOUND, ["0 messages"])


def test_cancel_of_a_tag_asks_with_the_number_and_takes_no_for_an_answer(desk: Desk) -> None:
    for number in range(2):
        desk.send(f"asked-{number}", "--tag", "asked", "--send-at", "1h")
    code, lines = call_on_terminal(desk, "cancel", "--tag", "asked", typed="n\n")
    assert code == terminal.FAILED
    assert "Cancel 2 messages of tag 'asked', app default" in "\n".join(lines)
    assert lines[-1].endswith("nothing was cancelled")
    code, lines = call_on_terminal(desk, "cancel", "--tag", "asked", typed="y\n")
    assert code == terminal.OK
    assert lines[-1].endswith("2 messages cancelled")
