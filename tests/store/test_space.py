"""The reserve by itself: really allocated, in steps, and never more than is wanted."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from smppd import faults
from smppd.store import space
from smppd.store.space import Reserve
from tests.disk import fill, nothing_to_allocate, small_disk

SIZE = 64 * 2**10
USED = 8192


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "data.mdb"
    path.write_bytes(b"x" * USED)
    return path


@pytest.fixture
def reserve(path: Path) -> Iterator[Reserve]:
    reserve = Reserve(path, SIZE)
    yield reserve
    reserve.close()


def test_reserve_is_allocated_beyond_what_is_used(path: Path, reserve: Reserve) -> None:
    reserve.look(USED, 0)
    found = path.stat()
    assert found.st_blocks * 512 >= USED + SIZE
    assert found.st_size == USED + 2 * SIZE
    assert path.read_bytes()[:USED] == b"x" * USED
    assert (reserve.is_full, reserve.is_low) == (False, False)


def test_it_is_topped_up_when_a_step_is_used_and_not_before(path: Path, reserve: Reserve) -> None:
    reserve.look(USED, 0)
    reserve.look(USED + SIZE, 0)
    assert path.stat().st_size == USED + 2 * SIZE
    reserve.look(USED + SIZE + 4096, 0)
    assert path.stat().st_size == USED + 4096 + 3 * SIZE


def test_full_and_low_are_told_from_what_is_left(path: Path, reserve: Reserve) -> None:
    reserve.look(USED, 0)
    with nothing_to_allocate():
        reserve.look(USED + SIZE, 0)
        assert not reserve.is_full
        reserve.look(USED + SIZE + 4096, 0)
        assert (reserve.is_full, reserve.is_low) == (True, False)
        reserve.look(USED + SIZE + SIZE // 2, 0)
        assert not reserve.is_low
        reserve.look(USED + SIZE + SIZE // 2 + 4096, 0)
        assert reserve.is_low
        reserve.look(USED + 3 * SIZE, 0)
        assert reserve.left == 0


def test_full_disk_is_asked_once_a_second(reserve: Reserve) -> None:
    now, asked = 0, set()

    def hook(name: str) -> None:
        asked.add(now)
        raise OSError(errno.EDQUOT, "quota")

    faults.arm(hook)
    try:
        for now in (0, 500, 999, 1_000, 1_500, 400):
            reserve.look(USED, now)
    finally:
        faults.arm(None)
    assert asked == {0, 1_000}
    reserve.look(USED, 2_000)
    assert not reserve.is_full


def test_what_an_earlier_start_allocated_counts(path: Path, reserve: Reserve) -> None:
    reserve.look(USED, 0)
    again = Reserve(path, SIZE)
    again.look(USED, 0)
    assert again.left >= SIZE
    again.close()


def test_reserve_beyond_reason_takes_nothing(path: Path, reserve: Reserve) -> None:
    reserve.size = 64 * 2**40
    reserve.look(USED, 0)
    assert reserve.is_full
    assert path.stat().st_blocks * 512 <= USED + 4096


def test_reserve_of_none_allocates_nothing(path: Path) -> None:
    reserve = Reserve(path, 0)
    reserve.look(USED, 0)
    assert (reserve.is_full, reserve.is_low) == (False, False)
    assert path.stat().st_size == USED
    reserve.close()


def test_failed_write_counts_until_it_was_tried_again(reserve: Reserve) -> None:
    reserve.look(USED, 0)
    reserve.fail(0)
    assert (reserve.is_full, reserve.is_low) == (True, True)
    reserve.look(USED, space.FAILED_MILLISECONDS - 1)
    assert reserve.is_low
    reserve.look(USED, space.FAILED_MILLISECONDS)
    assert (reserve.is_full, reserve.is_low) == (False, False)


def test_file_system_that_cannot_allocate_is_judged_by_its_free_space(reserve: Reserve) -> None:
    def refuse(name: str) -> None:
        raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))

    faults.arm(refuse)
    try:
        reserve.look(USED, 0)
        assert not reserve.can_allocate
        assert reserve.left > SIZE
        reserve.size = 64 * 2**40
        assert reserve.is_full
    finally:
        faults.arm(None)


def test_error_that_is_no_matter_of_room_is_raised(reserve: Reserve) -> None:
    def break_(name: str) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    faults.arm(break_)
    try:
        with pytest.raises(OSError, match=os.strerror(errno.EIO)):
            reserve.look(USED, 0)
    finally:
        faults.arm(None)


def test_small_disk_gives_what_it_has_and_gets_full(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 2**20) as directory:
        path = directory / "data.mdb"
        path.write_bytes(b"x" * USED)
        reserve = Reserve(path, SIZE)
        reserve.look(USED, 0)
        assert not reserve.is_full
        filler = fill(directory)
        with path.open("r+b") as file:
            file.write(b"y" * (USED + SIZE))  # what is ours can be written
        reserve.look(USED + SIZE + 4096, 0)
        assert reserve.is_full
        filler.unlink()
        reserve.look(USED + SIZE + 4096, 1_000)
        assert not reserve.is_full
        reserve.close()


LIMITED = """
import resource, sys
from pathlib import Path
from smppd.store.space import Reserve
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), -1))
reserve = Reserve(Path(sys.argv[1]), int(sys.argv[3]))
reserve.look(8192, 0)
print(reserve.is_full, reserve.has_room())
"""


@pytest.mark.parametrize(("limit", "said"), [(SIZE, "True False"), (100 * 2**20, "False True")])
def test_limit_of_file_sizes_is_a_full_disk(path: Path, limit: int, said: str) -> None:
    words = [sys.executable, "-c", LIMITED, str(path), str(limit), str(SIZE)]
    assert subprocess.check_output(words, text=True).strip() == said


def test_another_size_is_looked_for_at_once(path: Path, reserve: Reserve) -> None:
    reserve.look(USED, 0)
    reserve.resize(64 * 2**40)
    reserve.look(USED, 0)
    assert reserve.is_full
    reserve.resize(4 * SIZE)
    reserve.look(USED, 0)
    assert not reserve.is_full
    assert path.stat().st_blocks * 512 >= USED + 4 * SIZE
