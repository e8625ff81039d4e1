"""``bench.throughput`` driven as a program, on the ``smppd`` of any commit.

A tree is a directory with ``bench`` and ``smppd`` in it: every process of a run imports both from
where its first one did (``bench.processes.ROOT``). So a link to this checkout's bench beside the
``smppd`` of another commit is all it takes, and everything that knows the commit's own formats,
reading its store among them, is the commit's.
"""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, TypeVar
from zipfile import ZipFile

import msgspec

from bench.processes import ROOT, RunFailed
from bench.report import Spread
from bench.rounds import Sample

WORKING_TREE: Final = "."

_T = TypeVar("_T")

LINES_TOLD: Final = 10
"""Of what a run said on stderr before it failed."""

COLUMNS_TOLD: Final = 300
"""Of each such line: a log line with a traceback in it is some thousand."""


class BenchTree:
    """A directory with the ``smppd`` of ``commit`` and a bench to drive it; gone with its ``with``.

    The bench is this checkout's, or with ``own_bench`` the commit's. RunFailed where Git does not
    know the commit.
    """

    def __init__(self, commit: str, *, own_bench: bool = False) -> None:
        self.name = commit if commit == WORKING_TREE else _git("describe", "--always", commit)
        self.path = Path(tempfile.mkdtemp(prefix="smppd-tree-"))
        try:
            self._fill(commit, own_bench)
        except BaseException:
            shutil.rmtree(self.path)
            raise

    def __enter__(self) -> BenchTree:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        shutil.rmtree(self.path)

    def _fill(self, commit: str, own_bench: bool) -> None:
        rooms = ["smppd", "bench"] if own_bench else ["smppd"]
        if commit == WORKING_TREE:
            rooms = []
        else:
            _extract(commit, rooms, self.path)
        for room in {"smppd", "bench"} - set(rooms):
            (self.path / room).symlink_to(ROOT / room)


def _extract(commit: str, rooms: Sequence[str], into: Path) -> None:
    done = _run_git("archive", "--format=zip", commit, *rooms)
    with ZipFile(io.BytesIO(done)) as archive:
        archive.extractall(into)


def _git(*arguments: str) -> str:
    return _run_git(*arguments).decode().strip()


def _run_git(*arguments: str) -> bytes:
    try:
        done = subprocess.run(["git", "-C", ROOT, *arguments], capture_output=True, check=False)
    except OSError as error:
        raise RunFailed(f"git: {error.strerror}") from error
    if done.returncode:
        raise RunFailed(done.stderr.decode(errors="replace").strip())
    return done.stdout


class _Report(msgspec.Struct, frozen=True):
    """Of ``bench.throughput --json``: as much as any commit's has."""

    rate: Spread
    cpu_seconds_per_thousand: Spread
    private_peak: Spread
    notes: list[str]
    faults: list[str]


def run_throughput(tree: Path, options: Sequence[str], directory: Path) -> Sample:
    """One run of the bench in ``tree`` with these options, in ``directory``. RunFailed where it
    comes to no report."""
    words = [*options, "--runs", "1", "--directory", str(directory)]
    report = run_bench(tree, "bench.throughput", words, _Report)
    return Sample(
        rate=report.rate.median,
        cpu_per_thousand=report.cpu_seconds_per_thousand.median,
        private_peak=int(report.private_peak.max),
        note="; ".join(note.removeprefix("run 1: ") for note in report.notes),
        faults=report.faults,
    )


def run_bench(tree: Path, module: str, options: Sequence[str], report: type[_T]) -> _T:
    """What ``python -m module options --json`` says. RunFailed where it comes to no report."""
    said, complaints = _run([sys.executable, "-m", module, *options, "--json"], tree)
    try:
        return msgspec.json.decode(said, type=report)
    except msgspec.DecodeError:
        lines = complaints.decode(errors="replace").splitlines()[-LINES_TOLD:]
        last = [line[:COLUMNS_TOLD] for line in lines]
        raise RunFailed("\n".join((f"{module} came to no report", *last))) from None


def _run(words: Sequence[str], tree: Path) -> tuple[bytes, bytes]:
    """What it writes to stdout and stderr. Where we end before it does, it ends its children."""
    environment = {**os.environ, "PYTHONPATH": str(tree)}
    with subprocess.Popen(
        words, cwd=tree, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        try:
            return process.communicate()
        except BaseException:
            process.terminate()
            process.wait()
            raise
