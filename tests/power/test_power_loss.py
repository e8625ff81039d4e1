"""Power loss: what was told holds in everything that the disk may keep.

A kill leaves the page cache, a power cut does not: so the writes of a real run are replayed, and at
each of them the store is opened as the disk may hold it: with what was flushed alone, with all that
was written, and with sectors of it in between. ``lmdb verify`` is clean on a sample. That the check
can fail is shown thrice: without a flush, without the names' flush, and under eatmydata.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import msgspec
import pytest
import trio

from tests.power.record import MESSAGES, Recording, require_tracing
from tests.power.replay import Report, Wanted
from tests.processes import environment
from tests.tools import require_tool

REPLAY_SECONDS_MAX: Final = 240.0
"""Of one replay, on slow cores with other work."""

MEMORY: Final = Path("/dev/shm")
"""Where images are tried: a thousand files of megabytes need no disk."""

DATA_FLUSH: Final = 40
META_FLUSH: Final = 41
"""The flushes come in pairs, one of LMDB's pages and one of the meta page that names them."""

LAST_META_FLUSH: Final = 77
"""Of the least that a run makes."""

PROMISES: Final = (
    "the ref is not bound",
    "was told, and",
    "was answered, and is gone",
    "was written, and there is no message",
    "was written, and waits again without a doubt",
)
"""As they are broken."""


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Recording:
    """A run, traced once for all tests here."""
    require_tracing()
    recording = Recording(tmp_path_factory.mktemp("power") / "site")
    trio.run(recording.run)
    return recording


@pytest.fixture
def scratch(tmp_path: Path) -> Iterator[Path]:
    """A directory in memory, where there is such a thing."""
    place = MEMORY if MEMORY.is_dir() else tmp_path
    with tempfile.TemporaryDirectory(prefix="smppd-power-", dir=place) as name:
        yield Path(name)


def replay(recording: Recording, scratch: Path, wanted: Wanted) -> Report:
    """What a replay found; it is a process of its own, which LMDB may crash on what is no store."""
    save = recording.directory / "report.json"
    save.unlink(missing_ok=True)
    images = scratch / "images"
    images.mkdir(exist_ok=True)
    ended = subprocess.run(
        [
            *(sys.executable, "-m", "tests.power.replay", str(recording.trace)),
            *(str(recording.directory), str(save), "--scratch", str(images)),
            *("--wanted", msgspec.json.encode(wanted).decode()),
        ],
        cwd=Path(__file__).parents[2],
        env=environment(),
        capture_output=True,
        timeout=REPLAY_SECONDS_MAX,
        check=False,
    )
    report = msgspec.json.decode(save.read_bytes(), type=Report)
    assert report.is_whole == (ended.returncode == 0), ended.stderr.decode()
    if not report.is_whole:
        report.broken.append(f"{report.at}: the process ended with {ended.returncode}")
    return report


def test_every_content_a_power_cut_may_leave_holds_what_was_told(
    recording: Recording, scratch: Path, record_property: Callable[[str, object], None]
) -> None:
    report = replay(recording, scratch, Wanted(draws=1))
    print(f"\n{msgspec.json.encode(report).decode()}")
    record_property("totals", msgspec.to_builtins(report))
    assert report.broken == []
    assert report.is_whole
    assert report.accepted >= MESSAGES
    assert min(report.events, report.receipts, report.segments) >= MESSAGES
    assert set(report.images) == {"flushed only", "all written", "some written"}
    assert sum(report.images.values()) > 2 * report.writes
    assert report.verified >= sum(report.images.values()) // 50


@pytest.mark.parametrize("unflushed", [DATA_FLUSH, META_FLUSH])
def test_without_one_of_the_flushes_the_check_fails(
    recording: Recording, scratch: Path, unflushed: int
) -> None:
    report = replay(recording, scratch, Wanted(unflushed=unflushed, bare_only=True))
    assert report.broken


def test_disk_that_stops_flushing_breaks_every_kind_of_promise(
    recording: Recording, scratch: Path
) -> None:
    """What waited when it stopped differs from run to run, so that it stops at several moments."""
    missing = set(PROMISES)
    for flush in range(META_FLUSH, LAST_META_FLUSH, 6):
        wanted = Wanted(unflushed=flush, deaf=True, bare_only=True)
        broken = "\n".join(replay(recording, scratch, wanted).broken)
        missing = {promise for promise in missing if promise not in broken}
        if not missing:
            break
    assert not missing


def test_without_the_flush_of_its_names_nothing_is_there(
    recording: Recording, scratch: Path
) -> None:
    report = replay(recording, scratch, Wanted(nameless=True, bare_only=True))
    assert set(report.images) == {"not there"}
    assert report.broken_images == report.images["not there"]


def test_with_a_disk_that_flushes_nothing_what_was_accepted_is_lost(
    tmp_path: Path, scratch: Path, record_property: Callable[[str, object], None]
) -> None:
    require_tracing()
    eatmydata = require_tool("eatmydata", "eatmydata")
    recording = Recording(tmp_path / "site")
    trio.run(recording.run, eatmydata)
    report = replay(recording, scratch, Wanted(bare_only=True))
    record_property("totals", msgspec.to_builtins(report))
    assert report.flushes == 0
    assert report.accepted >= MESSAGES
    assert report.broken_images == sum(report.images.values())
