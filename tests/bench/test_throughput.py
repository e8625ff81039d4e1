"""Throughput runs of a few dozen messages, with real processes: the ledgers, not the rate."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest
from typer.testing import CliRunner

from bench.processes import ROOT, RunFailed
from bench.report import Report, Settings
from bench.throughput import app, run_all

SETTINGS = Settings(messages=60, window=10, client_window=20)


def bench(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "bench.throughput", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_three_ledgers_are_equal_and_costs_are_measured(tmp_path: Path) -> None:
    report = run_all(SETTINGS, 1, tmp_path)
    assert report.faults == []
    assert report.host.fsync_us > 0
    (run,) = report.runs
    assert run.load.delivered == run.sink.accepted == run.sink.receipts_acked == 60
    assert run.store.states == {"delivered": 60}
    assert run.private_peak >= run.private_end > 1_000_000
    assert run.commits.changes >= 180
    assert run.daemon_cpu > 0
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("changed", "segments"),
    [
        ({"segments": 3, "carriers": 2, "binds": 2, "id_format": "uuid", "rate": 500.0}, 180),
        ({"segments": 2, "encoding": "ucs2", "id_format": "dec", "throughput": 400.0}, 120),
    ],
)
def test_every_kind_of_traffic_balances(
    tmp_path: Path, changed: dict[str, Any], segments: int
) -> None:
    report = run_all(msgspec.structs.replace(SETTINGS, **changed), 1, tmp_path)
    assert report.faults == []
    assert report.runs[0].sink.accepted == report.runs[0].sink.receipts_acked == segments


def test_messages_whose_receipts_are_lost_are_undelivered_for_all_three(tmp_path: Path) -> None:
    changed: dict[str, Any] = {"receipt_loss": 0.3, "receipt_delay": 0.05, "receipt_window": 3}
    settings = msgspec.structs.replace(SETTINGS, encoding="gsm7-extended", **changed)
    report = run_all(settings, 1, tmp_path)
    assert report.faults == []
    (run,) = report.runs
    lost = len(run.sink.lost or [])
    assert 0 < lost < 60
    assert len(run.load.undelivered) == len(run.store.undelivered) == lost
    assert run.store.states == {"delivered": 60 - lost, "sent": lost}


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


def test_the_command_prints_a_table_and_its_verdict_and_draws_it(tmp_path: Path) -> None:
    plot = tmp_path / "rate.svg"
    done = bench("--messages", "20", "--directory", str(tmp_path), "--plot", str(plot))
    assert done.returncode == 0, done.stderr
    assert "messages/s" in done.stdout
    assert "ledgers of client, SMSC and store: equal" in done.stdout
    assert "CPU s/1,000" in plot.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--encoding", "ebcdic"], "'ebcdic'"),
        (["--id-format", "roman"], "'roman'"),
        (["--messages", "0"], "--messages"),
        (["--receipt-loss", "2"], "--receipt-loss"),
        (["--receipt-loss", "0.1", "--sink-command", "true"], "bench.sink's"),
        (["--plot", "/nowhere/rate.svg"], "no directory"),
    ],
)
def test_what_cannot_be_done_is_refused_before_anything_starts(
    arguments: list[str], said: str
) -> None:
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code in (1, 2)
    assert said in done.stderr
    assert done.stdout == ""


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
