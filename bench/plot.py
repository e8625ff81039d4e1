"""Figures as SVG: lines over a number, and bars side by side.

matplotlib draws them. It is in the ``bench`` extra alone and takes half a second to import, so it
is imported when there is something to draw, and a bench without ``--plot`` runs without it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bench.processes import RunFailed

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INCHES: Final = (9.0, 5.0)
"""Wide enough for a legend of ten, and a page wide in a document."""

POINTS_MARKED_MAX: Final = 50
"""A line of more points than that is drawn without a dot at each."""

COLOURS: Final = 10
"""matplotlib's; from there on they come again, and the lines are dashed."""

NAMES_LEVEL_MAX: Final = 6
"""Of bars: the names of more of them are slanted, or they would run into each other."""


def draw_lines(
    path: Path,
    title: str,
    x_label: str,
    y_label: str,
    series: Mapping[str, Sequence[tuple[float, float]]],
    *,
    log_x: bool = False,
) -> None:
    """Writes an SVG with a line through the ``(x, y)`` of each of ``series``, by name.

    RunFailed where matplotlib is not installed or the file cannot be written. With ``log_x`` every
    x must be above 0.
    """
    figure, axes = _make(title, y_label)
    for number, (name, points) in enumerate(series.items()):
        marker = "o" if len(points) <= POINTS_MARKED_MAX else ""
        style = "-" if number < COLOURS else "--"
        xs, ys = [x for x, _ in points], [y for _, y in points]
        axes.plot(xs, ys, style, label=name, marker=marker, markersize=4)
    axes.set_xlabel(x_label)
    if log_x:
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter(_spell_number)
    if len(series) > 1:
        figure.legend(loc="outside right upper")  # beside the lines, never over them
    _save(figure, path)


def draw_bars(path: Path, title: str, y_label: str, bars: Mapping[str, float]) -> None:
    """Writes an SVG with a bar for each of ``bars``, its value above it. RunFailed as above."""
    figure, axes = _make(title, y_label)
    drawn = axes.bar(list(bars), list(bars.values()))
    axes.bar_label(drawn, labels=[_spell_number(value) for value in bars.values()])
    if len(bars) > NAMES_LEVEL_MAX:
        for label in axes.get_xticklabels():
            label.set(rotation=30, ha="right", rotation_mode="anchor")
    _save(figure, path)


def check_plot(path: Path | None) -> None:
    """RunFailed where ``path`` could not be drawn later: better before a long run than after it."""
    if path is None:
        return
    _import()
    if not path.parent.is_dir():
        raise RunFailed(f"cannot draw {path}: {path.parent} is no directory")


def _import() -> type[Figure]:
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise RunFailed(f"a plot needs matplotlib: pip install smppd[bench] ({error})") from None
    return Figure


def _make(title: str, y_label: str) -> tuple[Figure, Axes]:
    figure = _import()(figsize=INCHES, layout="constrained")
    axes = figure.add_subplot()
    axes.set_title(title)
    axes.set_ylabel(y_label)
    axes.grid(visible=True, alpha=0.3)
    axes.set_axisbelow(True)
    return figure, axes


def _save(figure: Figure, path: Path) -> None:
    figure.axes[0].set_ylim(bottom=0)
    figure.axes[0].yaxis.set_major_formatter(_spell_number)
    try:
        figure.savefig(path, format="svg", metadata={"Date": None})
    except OSError as error:
        raise RunFailed(f"cannot write {path}: {error.strerror}") from error


def _spell_number(value: float, _position: float = 0) -> str:
    """As people read it: ``40,000`` and ``0.025``, never ``4e4``."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
