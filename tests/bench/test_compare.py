"""Two systems in turn: real commits, real floods, a real bearerbox where there is one."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from bench.driven import WORKING_TREE, BenchTree, run_throughput
from bench.flood import FloodSettings, run_flood
from bench.processes import ROOT, RunFailed
from bench.report import Host
from bench.rounds import Comparison, Sample, alternate, draw, make_comparison, show

HOST = Host("CPython 3.11.2", "build", "/usr/bin/python3", 2, "Linux", 100.0)

needs_checkout = pytest.mark.skipif(
    shutil.which("git") is None or not (ROOT / ".git").exists(), reason="needs a checkout"
)


def compare(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "bench.compare", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )


def make_sample(rate: float, cpu: float = 0.1, faults: tuple[str, ...] = ()) -> Sample:
    return Sample(
        rate=rate, cpu_per_thousand=cpu, private_peak=1_000_000, note="", faults=list(faults)
    )


def test_systems_take_turns_and_every_second_round_goes_the_other_way(tmp_path: Path) -> None:
    order: list[str] = []

    def run(name: str, directory: Path) -> Sample:
        assert list(directory.iterdir()) == [], "each run begins in an empty directory"
        (directory / "left").touch()
        order.append(name)
        return make_sample(1.0)

    systems = {"a": lambda place: run("a", place), "b": lambda place: run("b", place)}
    _, runs = alternate(systems, 4, tmp_path)
    assert "".join(order) == "abbaabba"
    assert {name: len(samples) for name, samples in runs.items()} == {"a": 4, "b": 4}
    assert list(tmp_path.iterdir()) == []


def test_ratios_are_of_the_two_runs_of_one_round_and_faults_say_whose_they_are() -> None:
    runs = {
        "a": [make_sample(100.0, 0.2), make_sample(50.0, 0.2)],
        "b": [make_sample(150.0, 0.1), make_sample(60.0, 0.3, ("told twice: 1, not 0",))],
    }
    comparison = make_comparison(HOST, "", runs, [("b", "a")])
    (ratio,) = comparison.ratios
    assert (ratio.name, ratio.rate, ratio.cpu) == ("b / a", [1.5, 1.2], [0.5, 1.5])
    assert comparison.faults == ["b, round 2: told twice: 1, not 0"]


def test_a_comparison_is_shown_by_round_and_drawn(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = {"a": [make_sample(1234.0)] * 3}
    comparison = make_comparison(HOST, "as it is", runs, [("a", "a")])
    show(comparison)
    said = capsys.readouterr().out
    assert "\t".join(["a", *["1234"] * 6]) in said
    assert "ledgers: equal" in said
    pytest.importorskip("matplotlib")
    draw(tmp_path / "rates.svg", "Rates", comparison)
    assert "1,234" in (tmp_path / "rates.svg").read_text()


@needs_checkout
def test_a_commit_is_compared_with_itself() -> None:
    done = compare(
        *("commits", "HEAD", "HEAD", "--pairs", "1", "--own-bench", "--json"),
        *("--", "--messages", "200", "--window", "10"),
    )
    assert done.returncode == 0, done.stderr
    comparison = msgspec.json.decode(done.stdout, type=Comparison)
    assert [len(samples) for samples in comparison.runs.values()] == [1, 1]
    (ratio,) = comparison.ratios
    assert ratio.rate[0] > 0


def test_a_tree_has_the_smppd_of_its_commit_and_the_bench_of_this_checkout() -> None:
    with BenchTree(WORKING_TREE) as tree:
        assert (tree.path / "smppd").resolve() == ROOT / "smppd"
        assert (tree.path / "bench").resolve() == ROOT / "bench"
    assert not tree.path.exists()
    assert (ROOT / "bench" / "compare.py").exists(), "what a tree links to stays"


def test_what_a_run_says_before_it_fails_is_told(tmp_path: Path) -> None:
    with pytest.raises(RunFailed, match="No such option: --fast"):
        run_throughput(ROOT, ["--fast"], tmp_path)


@needs_checkout
def test_a_commit_that_git_does_not_know_is_named() -> None:
    done = compare("commits", "HEAD", "no-such-commit", "--pairs", "1")
    assert done.returncode == 1
    assert "no-such-commit" in done.stderr


def test_a_flood_gets_every_receipt_and_the_smsc_has_it_all(tmp_path: Path) -> None:
    sample = run_flood(FloodSettings(messages=500, window=20), tmp_path)
    assert sample.faults == []
    assert sample.rate > 0


def test_a_flooder_that_fails_is_a_fault(tmp_path: Path) -> None:
    command = 'sh -c \'echo "{{\\"messages_per_second\\": 7}}"; exit 3\''
    sample = run_flood(FloodSettings(1, 1, command=command), tmp_path)
    assert sample.faults[-1] == "the flooder ended with 3"


def test_a_flooder_of_another_kind_is_asked_for_its_rate_by_its_field(tmp_path: Path) -> None:
    told = "echo '{{\"per_s\": 7}}'"
    with pytest.raises(RunFailed, match="told no 'rate'"):
        run_flood(FloodSettings(1, 1, command=told, field="rate"), tmp_path)
    sample = run_flood(FloodSettings(1, 1, command=told, field="per_s"), tmp_path)
    assert sample.rate == 7
    assert sample.faults == ["accepted by the SMSC: 0, not 1"]
