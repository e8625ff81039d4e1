"""What is drawn can be opened and read, and what cannot be drawn is said in a line."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from bench.plot import check_plot, draw_bars, draw_lines
from bench.processes import RunFailed

SERIES = {"accept": [(0.1, 50.0), (1.0, 99.0)], "delivered": [(1.0, 50.0), (20_000.0, 99.9)]}


def texts(path: Path) -> list[str]:
    """The texts of a figure, each of which matplotlib draws as shapes with a comment beside it."""
    drawn = path.read_text(encoding="utf-8")
    ElementTree.fromstring(drawn)
    return re.findall(r"<!-- (.*?) -->", drawn)


def test_lines_have_a_title_axes_and_a_legend(tmp_path: Path) -> None:
    path = tmp_path / "lines.svg"
    draw_lines(path, "Latency", "ms", "share in %", SERIES, log_x=True)
    assert {"Latency", "ms", "share in %", "accept", "delivered", "1", "10,000"} <= {*texts(path)}


def test_bars_have_their_names_and_values(tmp_path: Path) -> None:
    path = tmp_path / "bars.svg"
    draw_bars(path, "Rate", "messages/s", {"empty": 41_234.0, "ten million": 39_000.0})
    expected = {"Rate", "messages/s", "empty", "41,234", "ten million", "39,000"}
    assert expected <= {*texts(path)}


def test_the_same_figures_give_the_same_axes_however_often_drawn(tmp_path: Path) -> None:
    paths = [tmp_path / "one.svg", tmp_path / "two.svg"]
    for path in paths:
        draw_bars(path, "Rate", "messages/s", {f"run {number}": 1.0 for number in range(12)})
    assert texts(paths[0]) == texts(paths[1])


def test_without_matplotlib_the_remedy_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(RunFailed, match=r"needs matplotlib: pip install smppd\[bench\]"):
        draw_bars(tmp_path / "bars.svg", "Rate", "messages/s", {"one": 1.0})


def test_a_plot_that_has_nowhere_to_go_is_refused_before_the_run(tmp_path: Path) -> None:
    with pytest.raises(RunFailed, match="is no directory"):
        check_plot(tmp_path / "absent" / "bars.svg")
    check_plot(tmp_path / "bars.svg")
    check_plot(None)


def test_a_file_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    with pytest.raises(RunFailed, match=r"cannot write .*: Is a directory"):
        draw_bars(tmp_path, "Rate", "messages/s", {"one": 1.0})
