"""Latencies of a few messages, with real processes: that all are there, and none is negative."""

from __future__ import annotations

import subprocess
import sys
from array import array
from pathlib import Path

import msgspec
from typer.testing import CliRunner

from bench.lag import Machine, Samples
from bench.latency import (
    FSYNC,
    LAG,
    LatencyReport,
    Phase,
    app,
    find_durations,
    run_all,
)
from bench.load import Clocks
from bench.processes import ROOT
from bench.report import Settings

MESSAGES = ("accept", "at the SMSC", "sent", "delivered")


def test_every_message_of_every_phase_has_its_latencies(tmp_path: Path) -> None:
    phases = [
        Phase("idle", Settings(messages=20, rate=200.0, client_window=1)),
        Phase("full", Settings(messages=200, client_window=20)),
    ]
    plot = tmp_path / "latency.svg"
    report = run_all(phases, 1, None, plot)
    assert [phase.faults for phase in report.phases] == [[], []]
    for phase, counted in zip(report.phases, (18, 180), strict=True):
        (found,) = phase.latencies
        assert {found[name].count for name in MESSAGES} == {counted}
        assert 0 < found["accept"].p50 <= found["delivered"].p50
        assert 0 < found["at the SMSC"].p50 <= found["sent"].p50 <= found["delivered"].p50
        assert found[LAG].count > 0 or phase.name == "full"
        assert phase.passes[0].count > 0
    assert "idle: delivered" in plot.read_text(encoding="utf-8")


def make_clocks() -> Clocks:
    """Twenty messages, a second apart, accepted after 1 ms, sent after 3 and final after 7."""
    clocks = Clocks(20)
    for index in range(20):
        written = 100.0 + index
        clocks.written[index] = written
        clocks.accepted[index] = written + 0.001
        clocks.sent[index] = written + 0.003
        clocks.final[index] = written + 0.007
    return clocks


def test_durations_run_from_the_line_written_and_the_first_tenth_is_left_out() -> None:
    clocks = make_clocks()
    stamps = array("d", [written + 0.002 for written in clocks.written])
    machine = Machine(Samples([101.9, 102.5, 200.0], [0.1, 0.2, 0.3]), Samples([119.5], [0.004]))
    found = find_durations(clocks, stamps, machine)
    assert {name: len(found[name]) for name in MESSAGES} == dict.fromkeys(MESSAGES, 18)
    assert {name: round(max(found[name]) * 1000) for name in MESSAGES} == {
        "accept": 1,
        "at the SMSC": 2,
        "sent": 3,
        "delivered": 7,
    }
    assert (found[LAG], found[FSYNC]) == ([0.2], [])


def test_a_phase_without_messages_is_left_out_and_none_at_all_is_refused() -> None:
    none = ["--idle-messages", "0", "--paced-messages", "0", "--full-messages", "0"]
    done = CliRunner().invoke(app, none)
    assert done.exit_code == 2
    assert "no phase has any messages" in done.output


def test_the_command_prints_json(tmp_path: Path) -> None:
    some = ["--idle-messages", "0", "--paced-messages", "30", "--full-messages", "0", "--json"]
    words = [sys.executable, "-m", "bench.latency", *some, "--directory", str(tmp_path)]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    report = msgspec.json.decode(done.stdout, type=LatencyReport)
    assert [phase.name for phase in report.phases] == ["paced"]
    assert list(tmp_path.iterdir()) == []
