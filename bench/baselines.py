"""Counts that are kept, and what becomes of a change that takes more instructions than they say.

A count is true of one interpreter: another build of the same version may take a tenth more for the
same work. So one is kept for every interpreter that somebody has recorded, and where this one is
not among them there is no verdict, only what can be guessed through the calibration case.
"""

from __future__ import annotations

import platform
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Final

import msgspec

from bench.counted import CALIBRATION
from bench.processes import ROOT, RunFailed

BASELINE: Final = ROOT / "bench" / "baseline.json"
"""The kept one, in the repository."""

GROWTH_MAX: Final = 0.10
"""Of any case. A layout of memory by itself moves one by up to a thirtieth."""

CALIBRATION_DRIFT_MAX: Final = 0.03
"""No change of ours moves the calibration: past this the same interpreter counts otherwise here
(another valgrind, another processor's memcpy), and there is no verdict."""

LIBRARIES: Final = ("lmdb", "msgspec", "phonenumbers", "regex", "trio")
"""Whose code is in the counts."""


class Interpreter(msgspec.Struct, frozen=True):
    """Which machine code runs the bytecode: two that are equal count equally."""

    implementation: str
    version: str
    build: str
    machine: str
    libc: str


class Baseline(msgspec.Struct, frozen=True):
    """Instructions a message by case, of one interpreter with these libraries."""

    interpreter: Interpreter
    libraries: dict[str, str]
    counts: dict[str, float]


class Kept(msgspec.Struct, frozen=True):
    """The file: one of each interpreter."""

    baselines: list[Baseline]


class Line(msgspec.Struct, frozen=True):
    """One case: what it takes, what it took (None: it is not kept), and by how much it grew."""

    name: str
    instructions: float
    before: float | None
    growth: float | None


class Comparison(msgspec.Struct, frozen=True):
    """Every case, what there is to say, and what fails; nothing fails without the same interpreter.

    Instructions of another interpreter are already made ours by the ratio of the calibrations.
    """

    lines: list[Line]
    notes: list[str]
    failures: list[str]


def read_interpreter() -> Interpreter:
    """The one that runs this."""
    return Interpreter(
        platform.python_implementation(),
        platform.python_version(),
        sys.version.partition("(")[2].replace("\n", "").replace(") [", ", ").rstrip("]"),
        platform.machine(),
        " ".join(platform.libc_ver()),
    )


def make_baseline(counts: Mapping[str, float]) -> Baseline:
    """Of this interpreter and what is installed for it."""
    libraries = {name: version(name) for name in LIBRARIES}
    return Baseline(read_interpreter(), libraries, dict(counts))


def read_kept(path: Path) -> Kept:
    """What is kept; nothing where there is no file. RunFailed where it is no such file."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Kept)
    except FileNotFoundError:
        return Kept([])
    except (OSError, msgspec.MsgspecError) as error:
        raise RunFailed(f"{path}: {error}") from None


def encode_kept(kept: Kept) -> bytes:
    """One case a line, interpreters in a fixed order: a diff shows what became of each."""
    ordered = sorted(kept.baselines, key=lambda one: msgspec.structs.astuple(one.interpreter))
    return msgspec.json.format(msgspec.json.encode(Kept(ordered)), indent=2) + b"\n"


def keep(path: Path, baseline: Baseline) -> None:
    """Puts it into the file, in the place of its interpreter's last one."""
    others = [one for one in read_kept(path).baselines if one.interpreter != baseline.interpreter]
    path.write_bytes(encode_kept(Kept([*others, baseline])))


def compare(now: Baseline, kept: Sequence[Baseline], *, whole: bool = True) -> Comparison:
    """``now`` against the baseline of its interpreter, or else against the one most like it.

    ``whole``: all cases were counted, so one that is kept and not counted is amiss.
    """
    before = find_nearest(now.interpreter, kept)
    if before is None:
        lines = [Line(name, count, None, None) for name, count in now.counts.items()]
        return Comparison(lines, ["nothing is kept yet: NOTHING WAS COMPARED"], [])
    drift = now.counts[CALIBRATION] / before.counts[CALIBRATION]
    notes = _find_doubts(now, before, drift)
    scale = drift if notes else 1.0
    lines = [_compare_case(name, count, before, scale) for name, count in now.counts.items()]
    if notes:
        return Comparison(lines, [*notes, *_find_changed_libraries(now, before)], [])
    failures = [*find_failures(lines), *(_find_missing(now, before) if whole else [])]
    return Comparison(lines, _find_changed_libraries(now, before), failures)


def find_nearest(wanted: Interpreter, kept: Sequence[Baseline]) -> Baseline | None:
    """The baseline whose interpreter has most in common with this one, the same one at best."""
    fields = msgspec.structs.astuple(wanted)

    def likeness(one: Baseline) -> int:
        pairs = zip(msgspec.structs.astuple(one.interpreter), fields, strict=True)
        return sum(theirs == ours for theirs, ours in pairs)

    return max(kept, key=likeness, default=None)


def find_failures(lines: Sequence[Line]) -> list[str]:
    """The cases that grew past GROWTH_MAX, and those that nobody keeps a count of."""
    failures = []
    for line in lines:
        if line.before is None or line.growth is None:
            failures.append(f"{line.name}: not in the baseline")
        elif round(line.growth, 4) > GROWTH_MAX:
            failures.append(
                f"{line.name}: {line.before:,.0f} instructions before, {line.instructions:,.0f}"
                f" now, {line.growth:+.1%} (allowed: {GROWTH_MAX:+.0%})"
            )
    return failures


def _compare_case(name: str, count: float, before: Baseline, scale: float) -> Line:
    kept = before.counts.get(name)
    if not kept:
        return Line(name, count, None, None)
    return Line(name, count, round(kept * scale, 1), count / (kept * scale) - 1)


def _find_doubts(now: Baseline, before: Baseline, drift: float) -> list[str]:
    """Why ``before`` is no measure for ``now``: empty where it is one."""
    ours, theirs = now.interpreter, before.interpreter
    if ours != theirs:
        return [
            f"no baseline for {_name(ours)}",
            f"compared with {_name(theirs)} by the ratio of the calibrations, {drift:.3f}:"
            " REPORTED ONLY, nothing fails",
        ]
    if abs(drift - 1) > CALIBRATION_DRIFT_MAX:
        return [
            f"the calibration takes {drift - 1:+.1%} of what is kept: this machine counts"
            " otherwise (another valgrind or processor): REPORTED ONLY, nothing fails"
        ]
    return []


def _name(one: Interpreter) -> str:
    return f"{one.implementation} {one.version} ({one.build}), {one.machine}, {one.libc}"


def _find_changed_libraries(now: Baseline, before: Baseline) -> list[str]:
    return [
        f"{name} is {now.libraries.get(name)}; kept with {kept}"
        for name, kept in before.libraries.items()
        if now.libraries.get(name) != kept
    ]


def _find_missing(now: Baseline, before: Baseline) -> list[str]:
    return [
        f"{name}: kept, and counted no more" for name in before.counts if name not in now.counts
    ]
