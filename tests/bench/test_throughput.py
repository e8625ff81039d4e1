"""Throughput runs of a few dozen messages, with real processes: the ledgers, not the rate."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from bench.processes import ROOT, RunFailed
from bench.report import Report, Settings
from bench.throughput import run_all

SETTINGS = Settings(
    messages=60,
    segments=1,
    carriers=1,
    binds=1,
    window=10,
    client_window=20,
    receipt_delay=0.0,
    id_format="hex",
    sink="",
)


def bench(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "bench.throughput", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_ledgers_of_client_and_smsc_are_equal_and_costs_are_measured(tmp_path: Path) -> None:
    report = run_all(SETTINGS, 1, tmp_path)
    assert report.faults == []
    assert report.host.fsync_us > 0
    (run,) = report.runs
    assert run.load.delivered == run.sink_accepted == 60
    assert run.private_peak >= run.private_end > 1_000_000
    assert run.commits.changes >= 180
    assert list(tmp_path.iterdir()) == []


def test_segments_carriers_and_binds_are_all_used(tmp_path: Path) -> None:
    settings = msgspec.structs.replace(SETTINGS, segments=3, carriers=2, binds=2, id_format="uuid")
    report = run_all(settings, 1, tmp_path)
    assert report.faults == []
    assert report.runs[0].sink_accepted == 180


def test_an_smsc_that_does_not_listen_is_named_with_its_last_words(tmp_path: Path) -> None:
    settings = msgspec.structs.replace(SETTINGS, sink=f"{sys.executable} -c 'exit(\"no port\")'")
    with pytest.raises(RunFailed, match="sink0: ended with 1\nno port"):
        run_all(settings, 1, tmp_path)


def test_an_smsc_that_accepted_another_number_fails_the_command(tmp_path: Path) -> None:
    liar = tmp_path / "liar.py"
    liar.write_text(LIAR, encoding="utf-8")
    done = bench(
        *("--messages", "20", "--directory", str(tmp_path), "--json"),
        *("--sink-command", f"{sys.executable} {liar} {{port}} {{report}}"),
    )
    assert done.returncode == 1, done.stderr
    report = msgspec.json.decode(done.stdout, type=Report)
    assert report.faults == ["run 1: segments accepted by the SMSC: 21, not 20"]


def test_the_command_prints_a_table_and_its_verdict(tmp_path: Path) -> None:
    done = bench("--messages", "20", "--directory", str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert "messages/s" in done.stdout
    assert "ledgers: equal" in done.stdout


LIAR = """
import subprocess, signal, sys, json
port, report = sys.argv[1:]
words = ["-m", "bench.sink", "--port", port, "--report", report]
child = subprocess.Popen([sys.executable, *words])
signal.signal(signal.SIGTERM, lambda *_: child.terminate())
child.wait()
with open(report) as file:
    counts = json.load(file)
counts["accepted"] += 1
with open(report, "w") as file:
    json.dump(counts, file)
"""
