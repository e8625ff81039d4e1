"""A trace replayed moment by moment: every content that a power cut could leave is opened and held
against what had been told by then.

As a program it is a process of its own, as LMDB may crash on what is no legal content::

    python -m tests.power.replay TRACE CONFIGURATION REPORT --scratch DIRECTORY

REPORT is one JSON object; where the process died, the images it had tried stand in it.
"""

from __future__ import annotations

import argparse
import random
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec
from lmdb.verify import verify

from smppd.config import load
from smppd.daemon.build import build_rules
from smppd.errors import StoreError
from smppd.store.rules import LedgerRules
from smppd.store.store import Store
from tests.power.disk import Disk, Image
from tests.power.told import Told, find_broken
from tests.power.trace import DirectoryFlushed, Flushed, Moment, Received, Sent, read_trace

MAP_SIZE: Final = 1 << 28
VERIFIED_EVERY: Final = 40
"""Of the images one in so many is verified page by page, in a fifth of a second."""

PROBLEMS_MAX: Final = 1_000
"""Named in a report: of a broken disk there are tens of thousands."""


class Report(msgspec.Struct):
    """``images`` by kind; ``flushes`` and ``writes`` of the data file; ``broken``: what was told
    and did not hold, and in which image; ``at``: the image that was open last."""

    writes: int = 0
    flushes: int = 0
    images: dict[str, int] = {}
    verified: int = 0
    accepted: int = 0
    events: int = 0
    receipts: int = 0
    segments: int = 0
    broken_images: int = 0
    broken: list[str] = []
    at: str = ""
    is_whole: bool = False


class Wanted(msgspec.Struct, frozen=True):
    """``draws``: images drawn at each write; ``bare_only``: none but what was flushed. Taken out of
    the trace are ``unflushed``, one flush of the data file (-1: none), with all later ones if the
    disk is ``deaf`` from then on, and the flushes of directories, if they are ``nameless``."""

    draws: int = 1
    seed: int = 0
    unflushed: int = -1
    bare_only: bool = False
    deaf: bool = False
    nameless: bool = False


class Replay:
    """One trace on one configuration. ``scratch`` is a directory for the files that are tried."""

    def __init__(self, trace: Path, configuration: Path, scratch: Path, wanted: Wanted) -> None:
        config = load(configuration)
        self._rules = msgspec.structs.replace(build_rules(config, config.carriers), reserve=0)
        self._data = str(config.daemon.state / "data.mdb")
        self._moments = read_trace(trace, config.daemon.state)
        self._disk = Disk(str(config.daemon.state.parent))
        self._told = Told()
        self._scratch = scratch
        self._wanted = wanted
        self._choices = random.Random(wanted.seed)
        self._tried = (0, 0)
        self._counts: Counter[str] = Counter()
        self.report = Report()

    def run(self, save: Path) -> None:
        """Tries every image; what was found is in ``report``, and in ``save`` at all times."""
        for moment in _without(self._moments, self._data, self._wanted):
            if not isinstance(moment, Sent | Received) and self._told.count:
                self._try_images(save)
            self._count(moment)
            self._disk.take(moment)
            self._told.take(moment)
        self._try_images(save)
        self._finish(save)

    def _count(self, moment: Moment) -> None:
        if getattr(moment, "path", None) == self._data:
            self.report.flushes += isinstance(moment, Flushed)
            self.report.writes += not isinstance(moment, Flushed)

    def _try_images(self, save: Path) -> None:
        """What may be on disk now, after all that was told until now."""
        for image in self._images():
            self._counts[image.kind] += 1
            number = sum(self._counts.values())
            self.report.at = f"image {number} ({image.kind})"
            save.write_bytes(msgspec.json.encode(self.report))
            broken = self._try_image(image, is_verified=number % VERIFIED_EVERY == 0)
            if broken:
                self.report.broken_images += 1
                named = [f"{self.report.at}: {one}" for one in broken]
                self.report.broken = (self.report.broken + named)[:PROBLEMS_MAX]

    def _images(self) -> Iterator[Image]:
        tried, self._tried = self._tried, (self._disk.flushes, self._told.count)
        if tried != self._tried:
            yield self._disk.bare(self._data)
        if self._wanted.bare_only or self._disk.is_settled(self._data):
            return
        yield self._disk.full(self._data)
        for _ in range(self._wanted.draws):
            yield self._disk.drawn(self._data, self._choices)

    def _try_image(self, image: Image, *, is_verified: bool) -> list[str]:
        for left in self._scratch.iterdir():
            left.unlink()
        file = self._scratch / "data.mdb"
        if image.octets is not None:
            file.write_bytes(image.octets)
        if is_verified and image.octets:
            self.report.verified += 1
            problems = verify(str(file), subdir=False)  # type: ignore[no-untyped-call]
            if problems:
                return [f"lmdb verify: {problems[0]}"]
        return _open_and_check(self._scratch, self._rules, self._told)

    def _finish(self, save: Path) -> None:
        told, report = self._told, self.report
        report.images = dict(self._counts)
        report.accepted, report.events = len(told.promises), len(told.events)
        report.receipts, report.segments = len(told.receipts), len(told.segments)
        report.is_whole = True
        save.write_bytes(msgspec.json.encode(report))


def _open_and_check(directory: Path, rules: LedgerRules, told: Told) -> list[str]:
    try:
        store = Store(directory, rules, map_size=MAP_SIZE)
    except StoreError as error:
        return [f"it does not open: {error}"]
    try:
        return find_broken(store, told)
    except StoreError as error:
        return [f"it cannot be read: {error}"]
    finally:
        store.close()


def _without(moments: list[Moment], path: str, wanted: Wanted) -> Iterator[Moment]:
    """The moments but for what is taken out."""
    number = len(moments) if wanted.unflushed == -1 else wanted.unflushed
    for moment in moments:
        if isinstance(moment, DirectoryFlushed) and wanted.nameless:
            continue
        if isinstance(moment, Flushed) and moment.path == path:
            number -= 1
            if number == -1 or (number < -1 and wanted.deaf):
                continue
        yield moment


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser()
    for name in ("trace", "configuration", "report"):
        parser.add_argument(name, type=Path)
    parser.add_argument("--scratch", type=Path)
    parser.add_argument("--wanted", type=lambda text: msgspec.json.decode(text, type=Wanted))
    given = parser.parse_args()
    Replay(given.trace, given.configuration, given.scratch, given.wanted).run(given.report)


if __name__ == "__main__":
    main()
