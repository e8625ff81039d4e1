"""Small runs of every way to grow, with real processes: ledgers and figures, not the rates."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from bench.processes import ROOT
from bench.scale import ScaleReport, run_all
from bench.scale_runs import (
    Binds,
    Prefixes,
    Queue,
    Scale,
    Stored,
    find_faults,
    find_pace,
    make_prices,
)
from bench.stand import Counted
from smppd.routing.sheet import read_prices

MESSAGES = 40
LOADED = {"messages/s", "CPU s/1,000", "private MB"}
COUNTED = Counted(accepted=9, sent=9, delivered=9, doubles=0, seconds=10.0, cpu_seconds=1.0)


@pytest.mark.parametrize(
    ("make", "sizes", "own"),
    [
        (lambda: Stored(MESSAGES, 10, 20, "uuid"), [0, 30], {"file MB"}),
        (lambda: Queue(5.0, 10), [30], {"idle private MB", "start s", "messages in memory"}),
        (lambda: Prefixes(MESSAGES, 10, 20, 9, 10), [40], {"longest ms at reload", "load CPU s"}),
        (lambda: Binds(MESSAGES, 10, 20, 0.05), [4], {"idle % of a core", "idle private MB"}),
    ],
)
def test_a_scale_has_its_figures_for_every_size_and_equal_ledgers(
    tmp_path: Path, make: Callable[[], Scale], sizes: list[int], own: set[str]
) -> None:
    report = run_all(make(), sizes, 1, tmp_path)
    assert [point.size for point in report.points] == sizes
    for point in report.points:
        assert point.faults == []
        assert point.values.keys() >= LOADED | own
        assert point.values["private MB"] > 1
    assert report.ratios[sizes[0]] == [1.0]
    assert list(tmp_path.iterdir()) == []


def test_a_count_that_differs_is_a_fault() -> None:
    assert list(find_faults(COUNTED, 9)) == []
    doubled = msgspec.structs.replace(COUNTED, delivered=8, doubles=1)
    assert list(find_faults(doubled, 9)) == ["told as delivered: 8, not 9", "told twice: 1, not 0"]


@pytest.mark.parametrize(
    ("daemon", "smsc", "said"),
    [(9.5, 1.0, ""), (5.0, 9.5, "the SMSC was the bottleneck"), (5.0, 1.0, "the daemon had time")],
)
def test_who_set_the_pace_is_named_where_it_was_not_the_daemon(
    daemon: float, smsc: float, said: str
) -> None:
    note = find_pace(COUNTED, daemon, smsc)
    assert note.startswith(said)
    assert bool(note) == bool(said)


def test_a_sheet_has_as_many_prices_as_asked_for_and_is_read() -> None:
    rows = "".join(["prefix,cost\n", *make_prices(500, different=7, seed=1)])
    prices = read_prices(rows.encode(), "c0.csv")
    assert isinstance(prices, dict)
    assert len(prices) == 500
    assert len(set(prices.values())) <= 8  # and that of "49"
    assert sum(prefix.startswith("4917") for prefix in prices) > 100


def bench(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "bench.scale", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_the_command_prints_json_and_draws_every_figure(tmp_path: Path) -> None:
    plot = tmp_path / "stored.svg"
    words = ("--size", "0", "--messages", "20", "--rounds", "1", "--directory", str(tmp_path))
    done = bench("stored", *words, "--json", "--plot", str(plot))
    assert done.returncode == 0, done.stderr
    report = msgspec.json.decode(done.stdout, type=ScaleReport)
    assert report.host.fsync_us > 0
    assert (tmp_path / "stored-messages-s.svg").read_text().startswith("<?xml")
    assert len(list(tmp_path.glob("*.svg"))) == len(report.points[0].values)


def test_a_size_that_cannot_be_is_refused() -> None:
    done = bench("binds", "--size", "31")
    assert done.returncode == 1
    assert done.stderr.startswith("31 binds:")
