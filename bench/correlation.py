"""The index of random ids by itself: what a put, a hit, a miss and a start cost, and their octets.

Run as ``python -m bench.correlation``. It fills an index of the store's, in the store's own tables
and with an fsync for every batch of puts, and stops at each number of entries to measure. So a
store of ten million is looked at without a daemon, and two ways of keeping it are told apart by
more than the noise of a shared core.

Times are CPU time of this process, commits and all. Octets are those handed to the kernel; what
reaches the disk is more, by as much as its file system rounds up. Every answer is held against
what was put: a wrong one is a fault, and the exit code 1.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from hashlib import blake2b
from pathlib import Path
from random import Random
from typing import Annotated, Final, Literal

import msgspec
import typer

from bench.plot import check_plot, draw_lines
from bench.processes import RunFailed
from bench.report import Host, print_host, read_host
from smppd.store.environment import Environment
from smppd.store.index import SpilledIndex
from smppd.store.keys import pack_u64, read_u64, smsc_key
from smppd.store.runs import FANOUT, GENERATION
from smppd.terminal import print_table

Ids = Literal["uuid", "hex"]

BATCH: Final = 100
"""Puts of a commit, and looks of a transaction: a full window of the reference run."""

FILL_BATCH: Final = 2_000
"""Puts of a commit that nobody measures."""

PUTS: Final = 100_000
"""Measured at the least: a dozen generations."""

PUTS_MAX: Final = GENERATION * FANOUT**2
"""Measured at the most, and as many as there are entries between: all merges up to the third tier
have had their share then. Over fewer puts one of them lasts all the time, or none."""

LOOKS: Final = 50_000
"""Of each kind."""

RECENT: Final = 5_000
"""How long ago a receipt's id was put that comes at once."""

LATER: Final = 200_000
"""The same of one that comes ten seconds later, at full speed."""

DIGEST: Final = b"d" * 16
"""Behind a value's message id, as a ref's."""

MAP_BYTES: Final = 1 << 30

ENTRIES: Final = (0, 1_000_000, 10_000_000)


class Point(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of ids at one number of entries. Times in microseconds of CPU, but ``longest`` (of
    the index's share in a commit) and ``load`` in milliseconds; memory and file in octets."""

    ids: Ids
    entries: int
    put: float
    put_octets: int
    steady: float
    steady_octets: int
    recent: float
    later: float
    any_age: float
    miss: float
    longest: float
    load: float
    private: int
    file: int


class CorrelationReport(msgspec.Struct, frozen=True):
    """Everything, as ``--json`` prints it."""

    host: Host
    batch: int
    points: list[Point]
    faults: list[str]


class Shop:
    """An index on a disk, and what was put into it: entry ``n`` names message ``n``."""

    def __init__(self, directory: Path, ids: Ids) -> None:
        self._env = Environment(directory, MAP_BYTES)
        self._name = _uuid_key if ids == "uuid" else _hex_key
        self._file = directory / "data.mdb"
        self._index = self.load()
        self.floor = 0
        self.ids = ids
        self.count = 0
        self.longest = 0.0
        self.faults: list[str] = []

    def load(self) -> SpilledIndex:
        """As a start does."""
        tables = self._env.tables
        index = SpilledIndex(tables["refs"], tables["refs_journal"], tables["refs_runs"])
        self._env.begin(write=False)
        index.load()
        self._env.abort()
        return index

    def put(self, count: int, batch: int, *, is_aging: bool = False) -> None:
        """``count`` entries more; with ``is_aging`` as many of the oldest are none any more."""
        end = self.count + count
        while self.count < end:
            more = range(self.count, min(self.count + batch, end))
            self._env.begin(write=True)
            for number in more:
                self._index.put(self._name(number), pack_u64(number) + DIGEST)
            if is_aging:
                self.floor += len(more)
                self._index.age(self.floor)
            started = time.process_time()
            self._index.write()
            self.longest = max(self.longest, time.process_time() - started)
            self._env.commit()
            self.count = more.stop

    def look(self, numbers: Sequence[int]) -> None:
        """Each must be there if it was put and has not aged, and nothing else."""
        wrong = 0
        for start in range(0, len(numbers), BATCH):
            self._env.begin(write=False)
            for number in numbers[start : start + BATCH]:
                value = self._index.get(self._name(number))
                found = None if value is None else read_u64(value)
                wrong += found != (number if self.floor <= number < self.count else None)
            self._env.abort()
        if wrong:
            self.faults.append(f"{self.ids}: {wrong} of {len(numbers)} answers were wrong")

    def name_all(self, numbers: Sequence[int]) -> None:
        """What names cost by themselves, which no index does."""
        for number in numbers:
            self._name(number)

    def file_octets(self) -> int:
        """Of the data file."""
        return self._file.stat().st_size

    def close(self) -> None:
        """The environment, too."""
        self._env.close()


def _uuid_key(number: int) -> bytes:
    """Random, and the same for the same number."""
    digits = blake2b(pack_u64(number), digest_size=16).hexdigest()
    name = f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"
    return smsc_key("alpha", name)


def _hex_key(number: int) -> bytes:
    """As a carrier counts."""
    return smsc_key("alpha", f"{number:08X}")


def measure(shop: Shop, chance: Random) -> Point:
    """All figures at the number of entries that there are now; what names cost is taken off."""
    entries = shop.count - shop.floor
    shop.longest = 0.0
    names, _ = _cost(lambda: shop.name_all(range(LOOKS)), LOOKS)
    puts = min(max(entries, PUTS), PUTS_MAX)
    put, put_octets = _cost(lambda: shop.put(puts, BATCH), puts)
    newest = shop.count - 1
    looks = (
        [newest - chance.randrange(RECENT) for _ in range(LOOKS)],
        [newest - chance.randrange(min(LATER, puts)) for _ in range(LOOKS)],
        [chance.randrange(shop.floor, shop.count) for _ in range(LOOKS)],
        [*range(shop.count, shop.count + LOOKS)],
    )
    recent, later, any_age, miss = (_cost(partial(shop.look, one), LOOKS)[0] for one in looks)
    steady, steady_octets = _cost(lambda: shop.put(puts, BATCH, is_aging=True), puts)
    started = time.process_time()
    shop.load()
    load = time.process_time() - started
    return Point(
        ids=shop.ids,
        entries=entries,
        put=round(put - names, 2),
        put_octets=put_octets,
        steady=round(steady - names, 2),
        steady_octets=steady_octets,
        recent=round(recent - names, 2),
        later=round(later - names, 2),
        any_age=round(any_age - names, 2),
        miss=round(miss - names, 2),
        longest=round(shop.longest * 1e3, 1),
        load=round(load * 1e3, 1),
        private=read_private(),
        file=shop.file_octets(),
    )


def _cost(work: Callable[[], None], count: int) -> tuple[float, int]:
    """Microseconds of CPU and octets written, for one of ``count``."""
    octets, started = read_written(), time.process_time()
    work()
    seconds, written = time.process_time() - started, read_written() - octets
    return seconds / count * 1e6, written // count


def read_written() -> int:
    """Octets this process has handed to the kernel so far (proc(5), wchar)."""
    return _read_field(Path("/proc/self/io"), "wchar:")


def read_private() -> int:
    """Octets of memory of its own (RssAnon): without the pages of files that LMDB maps."""
    return _read_field(Path("/proc/self/status"), "RssAnon:") * 1024


def _read_field(path: Path, name: str) -> int:
    lines = path.read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name))


def measure_all(directory: Path, ids: Ids, entries: Sequence[int]) -> tuple[list[Point], list[str]]:
    """The figures at each number of entries, of one store that grows; and what was wrong."""
    chance = Random(1)
    shop = Shop(directory, ids)
    points = []
    try:
        for number in sorted(entries):
            shop.put(max(number - (shop.count - shop.floor), 0), FILL_BATCH)
            points.append(measure(shop, chance))
    finally:
        shop.close()
    return points, shop.faults


COLUMNS: Final = (
    "ids",
    "entries",
    "put us",
    "B",
    "put, old ones aging us",
    "B",
    "hit us",
    "200,000 later us",
    "of any age us",
    "miss us",
    "longest ms",
    "start ms",
    "private MB",
    "file MB",
)


def _row(point: Point) -> list[str]:
    return [
        point.ids,
        f"{point.entries:,}",
        f"{point.put:.1f}",
        f"{point.put_octets:,}",
        f"{point.steady:.1f}",
        f"{point.steady_octets:,}",
        f"{point.recent:.1f}",
        f"{point.later:.1f}",
        f"{point.any_age:.1f}",
        f"{point.miss:.1f}",
        f"{point.longest:.1f}",
        f"{point.load:.1f}",
        f"{point.private / 1e6:.0f}",
        f"{point.file / 1e6:.0f}",
    ]


def _draw(path: Path, points: list[Point]) -> None:
    series = {
        f"{what}, {ids}": [
            (max(point.entries, PUTS), float(getattr(point, name)))
            for point in points
            if point.ids == ids
        ]
        for ids in dict.fromkeys(point.ids for point in points)
        for what, name in (("put", "put"), ("hit of any age", "any_age"), ("miss", "miss"))
    }
    title = "The index of random ids"
    draw_lines(path, title, "entries", "microseconds of CPU", series, log_x=True)


app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def main(
    entries: Annotated[
        list[int] | None, typer.Option(min=0, help="Measured at so many; can be repeated.")
    ] = None,
    ids: Annotated[Ids | None, typer.Option(help="One kind of ids; default: both.")] = None,
    directory: Annotated[
        Path | None, typer.Option(help="The disk to measure on; default: that of temporary files.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
    plot: Annotated[Path | None, typer.Option(help="An SVG of it.")] = None,
) -> None:
    """Measure the index at 0, one million and ten million entries."""
    try:
        check_plot(plot)
        points: list[Point] = []
        faults: list[str] = []
        with tempfile.TemporaryDirectory(prefix="smppd-bench-", dir=directory) as place:
            host = read_host(Path(place))
            kinds: tuple[Ids, ...] = ("uuid", "hex") if ids is None else (ids,)
            for kind in kinds:
                found, wrong = measure_all(Path(place) / kind, kind, entries or ENTRIES)
                points += found
                faults += wrong
        if plot is not None:
            _draw(plot, points)
    except RunFailed as error:
        raise SystemExit(f"bench.correlation: {error}") from None
    report = CorrelationReport(host, BATCH, points, faults)
    if as_json:
        print(msgspec.json.encode(report).decode())
    else:
        _show(report)
    raise SystemExit(1 if faults else 0)


def _show(report: CorrelationReport) -> None:
    print_host(report.host)
    print(f"up to {PUTS_MAX:,} puts in commits of {BATCH}, {LOOKS:,} looks of each kind: CPU time")
    print_table("", COLUMNS, [_row(point) for point in report.points])
    for fault in report.faults:
        print(fault)


if __name__ == "__main__":
    app()
