"""The guard counts, fails what grew past a tenth, and never fails what it cannot judge."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from bench.baselines import Baseline, Comparison, compare, keep, make_baseline, read_kept
from bench.callgrind import read_windows
from bench.counted import CALIBRATION
from bench.processes import ROOT, RunFailed
from tests.tools import require_tool

PLAIN, SLOWER = "tests.bench.suite_plain", "tests.bench.suite_slower"

DUMP = """# callgrind format
version: 1
creator: callgrind-3.19.0
pid: 1
part: 1

desc: Trigger: Client Request: {things} {name}

positions: line
events: Ir
summary: 99

ob=/usr/lib/libpython3.11.so
fl=Objects/dictobject.c
fn=insertdict
0 40
cfi=Objects/obmalloc.c
cfn=_PyObject_Malloc
calls=2 0
0 17

fl=Objects/obmalloc.c
fn=_PyObject_Malloc
0 15

fn=_PyObject_Malloc'2
0 2

totals: {total}
"""
"""As callgrind writes it with the options that we give it, but shorter."""


def guard(
    *arguments: str | Path, environment: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """The guard as CI runs it, with one layout of memory."""
    return subprocess.run(
        [sys.executable, "-m", "bench.instructions", "--layouts", "1", *map(str, arguments)],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_a_case_made_a_fifth_slower_fails_the_guard_and_says_by_how_much(tmp_path: Path) -> None:
    require_tool("valgrind", "valgrind")
    kept = tmp_path / "baseline.json"
    recorded = guard("--suite", PLAIN, "--against", kept, "--update")
    assert recorded.returncode == 0, recorded.stderr
    again = guard("--suite", PLAIN, "--against", kept)
    assert (again.returncode, "SLOWER" in again.stdout) == (0, False), again.stdout
    slower = guard("--suite", SLOWER, "--against", kept)
    assert slower.returncode == 1, slower.stdout + slower.stderr
    (failure,) = [line for line in slower.stdout.splitlines() if line.startswith("SLOWER")]
    assert failure.startswith("SLOWER: changed work: ")
    assert growth_shown(slower.stdout, "other work") == pytest.approx(0, abs=0.2)
    assert growth_shown(slower.stdout, "changed work") == pytest.approx(20, abs=1)
    (before,) = read_kept(kept).baselines
    assert f"{before.counts['changed work']:,.0f} instructions before" in failure
    assert "make instructions-baseline" in slower.stdout


def growth_shown(table: str, name: str) -> float:
    """The last column of a case, in percent."""
    (line,) = [line for line in table.splitlines() if line.startswith(f"{name}\t")]
    return float(line.split("\t")[-1].rstrip("%"))


def test_without_valgrind_it_says_what_to_install() -> None:
    done = guard("--suite", PLAIN, environment={"PATH": ""})
    assert (done.returncode, done.stdout) == (2, "")
    assert "needs valgrind" in done.stderr
    assert "apt-get install valgrind" in done.stderr


def test_dumps_of_one_name_add_up_less_what_an_empty_window_costs(tmp_path: Path) -> None:
    for number, (things, name, total) in enumerate(
        [
            (1, "nothing", 30),
            (1, "nothing", 20),
            (50, "stage: submit", 1020),
            (50, "stage: submit", 2020),
        ]
    ):
        dump = DUMP.format(things=things, name=name, total=total)
        (tmp_path / f"callgrind.out.{number + 1}").write_text(dump)
    (tmp_path / "callgrind.out").write_text("desc: Trigger: Program termination\ntotals: 7\n")
    windows = read_windows(tmp_path)
    assert list(windows) == ["stage: submit"]
    window = windows["stage: submit"]
    assert (window.things, window.instructions, window.each()) == (100, 3000, 30)


def test_a_functions_instructions_are_its_own_and_not_its_callees(tmp_path: Path) -> None:
    (tmp_path / "callgrind.out.1").write_text(DUMP.format(things=1, name="one", total=57))
    functions = read_windows(tmp_path)["one"].functions
    assert functions == {"insertdict": 40, "_PyObject_Malloc": 17}


def counted(**counts: float) -> Baseline:
    """Of this interpreter, with a calibration of 1,000."""
    return make_baseline({CALIBRATION: 1000.0, **counts})


def of_another(baseline: Baseline, **counts: float) -> Baseline:
    """The same from another build of the interpreter."""
    other = msgspec.structs.replace(baseline.interpreter, build="another day")
    return msgspec.structs.replace(
        baseline, interpreter=other, counts={**baseline.counts, **counts}
    )


def growths(comparison: Comparison) -> dict[str, float | None]:
    return {
        line.name: None if line.growth is None else round(line.growth, 3)
        for line in comparison.lines
    }


def test_a_tenth_more_is_allowed_and_what_is_past_it_is_not() -> None:
    kept = [counted(one=100, two=100)]
    assert compare(counted(one=110, two=50), kept).failures == []
    (failure,) = compare(counted(one=111, two=100), kept).failures
    assert failure == "one: 100 instructions before, 111 now, +11.0% (allowed: +10%)"


def test_another_interpreter_is_compared_by_the_calibration_and_never_failed() -> None:
    other = of_another(counted(one=100), calibration=500)
    comparison = compare(counted(one=300), [other])
    assert growths(comparison) == {CALIBRATION: 0.0, "one": 0.5}
    assert comparison.failures == []
    assert "REPORTED ONLY" in " ".join(comparison.notes)


def test_its_own_interpreter_is_what_it_is_compared_with() -> None:
    mine = counted(one=100)
    comparison = compare(counted(one=100), [of_another(mine, one=5), mine])
    assert growths(comparison)["one"] == 0.0
    assert (comparison.notes, comparison.failures) == ([], [])


def test_a_machine_that_counts_the_calibration_otherwise_gets_no_verdict() -> None:
    kept = [make_baseline({CALIBRATION: 1100.0, "one": 50})]
    comparison = compare(counted(one=100), kept)
    assert comparison.failures == []
    assert "REPORTED ONLY" in comparison.notes[0]


def test_with_nothing_kept_it_says_that_nothing_was_compared() -> None:
    comparison = compare(counted(one=100), [])
    assert (growths(comparison)["one"], comparison.failures) == (None, [])
    assert "NOTHING WAS COMPARED" in comparison.notes[0]


def test_a_case_that_is_not_kept_or_not_counted_any_more_fails() -> None:
    kept = [counted(old=100, same=1)]
    now = counted(new=100, same=1)
    assert compare(now, kept).failures == [
        "new: not in the baseline",
        "old: kept, and counted no more",
    ]
    assert compare(now, kept, whole=False).failures == ["new: not in the baseline"]


def test_a_library_of_another_version_is_named_and_excuses_nothing() -> None:
    before = counted(one=100)
    before.libraries["lmdb"] = "0.1"
    comparison = compare(counted(one=200), [before])
    assert len(comparison.failures) == 1
    assert [note.partition(" ")[0] for note in comparison.notes] == ["lmdb"]


def test_keeping_replaces_what_is_kept_of_this_interpreter_alone(tmp_path: Path) -> None:
    path, first = tmp_path / "kept.json", counted(one=1)
    keep(path, first)
    keep(path, of_another(first))
    keep(path, counted(one=2))
    kept = {one.interpreter: one.counts["one"] for one in read_kept(path).baselines}
    assert kept == {first.interpreter: 2, of_another(first).interpreter: 1}


def test_a_file_that_is_no_baseline_is_said_to_be_none(tmp_path: Path) -> None:
    path = tmp_path / "kept.json"
    path.write_text('{"baselines": 1}')
    with pytest.raises(RunFailed, match=r"kept\.json"):
        read_kept(path)
