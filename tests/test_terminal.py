"""What the faces share: tables for machines and people, and complaints with a remedy."""

from __future__ import annotations

import io
import sys

import pytest
import typer

from smppd import terminal

COLUMNS = ("carrier", "median ms", "reason")
ROWS = [["alpha", "12", "-"], ["beta", "7.5", "gone\x1b[2J\tand\nback"]]


class Terminal(io.StringIO):
    """A stdout that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def test_table_without_a_terminal_is_fields_between_tabs(
    capsys: pytest.CaptureFixture[str],
) -> None:
    terminal.print_table("Carriers", COLUMNS, ROWS)
    assert capsys.readouterr().out.splitlines() == [
        "carrier\tmedian_ms\treason",
        "alpha\t12\t-",
        "beta\t7.5\tgone[2J and back",
    ]


def test_table_on_a_terminal_is_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setattr(sys, "stdout", Terminal())
    terminal.print_table("Carriers", COLUMNS, ROWS)
    assert isinstance(sys.stdout, Terminal)
    shown = sys.stdout.getvalue()
    assert "Carriers" in shown
    assert "─" in shown
    assert "\x1b" not in shown


def test_table_cells_are_no_markup(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", Terminal())
    terminal.print_table("", ("reason",), [["[bold]x[/bold] :smile:"]])
    assert isinstance(sys.stdout, Terminal)
    assert "[bold]x[/bold] :smile:" in sys.stdout.getvalue()


def test_failure_says_what_why_and_what_to_do_on_stderr(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(typer.Exit) as caught:
        terminal.fail(terminal.UNREACHABLE, "no daemon", "gone\x1b[2J", "start it")
    shown = capsys.readouterr()
    assert caught.value.exit_code == 69
    assert shown.out == ""
    assert shown.err == "no daemon\n  why: gone[2J\n  do:  start it\n"


@pytest.mark.parametrize(("count", "shown"), [(0, "0 routes"), (1, "1 route"), (2, "2 routes")])
def test_nouns_are_counted(count: int, shown: str) -> None:
    assert terminal.count_of(count, "route") == shown


def test_json_is_one_line_of_ascii() -> None:
    assert terminal.to_json({"text": "你\n\u202e"}) == '{"text":"\\u4f60\\n\\u202e"}'
