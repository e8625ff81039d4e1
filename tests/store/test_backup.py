"""A copy of the store while it is written to: whole, or not there."""

from __future__ import annotations

import errno
import os
import threading
from pathlib import Path

import pytest

from smppd import faults
from smppd.errors import StoreError
from smppd.store import backup as module
from smppd.store.backup import PARTIAL_FILE, Backup, Copied, NotCopied
from tests.house import House, Open
from tests.store.test_restore import back_up

TEXT = "x" * 150


def fill(house: House, rounds: int = 20) -> int:
    """Some megabytes of messages; how many."""
    for start in range(rounds):
        house.submit(*(f"r{start}-{number}" for number in range(500)), text=TEXT)
    return rounds * 500


@pytest.fixture
def small_syncs(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fault point after each chunk, and many of them."""
    monkeypatch.setattr(module, "CHUNK_OCTETS", 1 << 16)
    monkeypatch.setattr(module, "SYNC_OCTETS", 1 << 16)


def pause_at(name: str) -> tuple[threading.Event, threading.Event]:
    """The copying thread has come to this point; and may go on."""
    reached, go_on = threading.Event(), threading.Event()

    def wait(point: str) -> None:
        if point == name and not reached.is_set():
            reached.set()
            assert go_on.wait(60)

    faults.arm(wait)
    return reached, go_on


def start(house: House, directory: Path) -> tuple[Backup, threading.Thread, list[object]]:
    copy = house.store.backup(directory, house.now)
    found: list[object] = []
    thread = threading.Thread(target=lambda: found.append(copy.run()))
    thread.start()
    return copy, thread, found


def test_copy_holds_what_was_there_and_is_smaller(open_house: Open, tmp_path: Path) -> None:
    house = open_house()
    count = fill(house, 4)
    made = back_up(house, tmp_path / "copy")
    assert made.messages == count
    assert made.octets <= house.store.statistics().octets
    assert sorted(os.listdir(tmp_path / "copy")) == ["data.mdb"]
    assert (tmp_path / "copy").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "copy/data.mdb").stat().st_mode & 0o777 == 0o600
    copy = House(tmp_path / "copy")
    assert copy.store.statistics().queued == count
    copy.close()


def test_empty_directory_is_taken_as_it_is(open_house: Open, tmp_path: Path) -> None:
    house = open_house()
    (tmp_path / "copy").mkdir(mode=0o750)
    back_up(house, tmp_path / "copy")
    assert (tmp_path / "copy").stat().st_mode & 0o777 == 0o750


@pytest.mark.usefixtures("small_syncs")
def test_commits_go_on_while_the_copy_is_made(open_house: Open, tmp_path: Path) -> None:
    house = open_house()
    count = fill(house)
    house.up()
    reached, go_on = pause_at("backup.copying")
    _, thread, found = start(house, tmp_path / "copy")
    assert reached.wait(60)
    house.commit([])  # nothing changes: an abort would wait for the copy's end
    (late,) = house.submit("late", message_class="otp")
    assert house.store.query("shop", message_id=late) is not None
    assert house.take()
    go_on.set()
    thread.join()
    house.store.end_backup()
    faults.arm(None)
    (made,) = found
    assert isinstance(made, Copied)
    assert made.messages == count
    copy = House(tmp_path / "copy")
    assert copy.store.query("shop", message_id=late) is None
    copy.close()


@pytest.mark.usefixtures("small_syncs")
def test_freed_pages_wait_for_the_copy_and_are_used_again_after_it(
    open_house: Open, tmp_path: Path
) -> None:
    """How the data file grows beside a backup: by what is written meanwhile, and no longer."""
    house = open_house()
    fill(house)
    reached, go_on = pause_at("backup.copying")
    _, thread, _ = start(house, tmp_path / "copy")
    assert reached.wait(60)
    before = house.store.statistics().octets
    house.up()
    for _ in range(20):
        house.answer(house.take())
    grown = house.store.statistics().octets
    go_on.set()
    thread.join()
    house.store.end_backup()
    faults.arm(None)
    assert grown > before
    for _ in range(20):
        house.answer(house.take())
    assert house.store.statistics().octets <= grown + (1 << 20)


@pytest.mark.usefixtures("small_syncs")
def test_map_that_must_grow_ends_the_copy_and_nothing_of_it_is_left(
    open_house: Open, tmp_path: Path
) -> None:
    """LMDB moves its map under a reader's feet: the copy gives way to the traffic."""
    house = open_house(map_size=8 << 20)
    fill(house, 6)
    size = house.store.statistics().map_octets
    reached, go_on = pause_at("backup.copying")
    copy, thread, found = start(house, tmp_path / "copy")
    assert reached.wait(60)

    def stop_and_wait() -> None:
        copy.stop()
        go_on.set()
        copy.stop_and_wait()

    house.store._env.before_remapping = stop_and_wait
    more = 0
    while house.store.statistics().map_octets == size:
        house.submit(*(f"m{more}-{number}" for number in range(500)), text=TEXT)
        more += 1
    assert go_on.is_set()
    thread.join()
    house.store.end_backup()
    faults.arm(None)
    (made,) = found
    assert isinstance(made, NotCopied)
    assert not (tmp_path / "copy").exists()
    assert house.store.statistics().queued == 6 * 500 + more * 500


@pytest.mark.usefixtures("small_syncs")
def test_stopped_copy_leaves_nothing(open_house: Open, tmp_path: Path) -> None:
    house = open_house()
    fill(house)
    reached, go_on = pause_at("backup.copying")
    copy, thread, found = start(house, tmp_path / "copy")
    assert reached.wait(60)
    copy.stop()
    go_on.set()
    thread.join()
    faults.arm(None)
    (made,) = found
    assert isinstance(made, NotCopied)
    assert "stopped" in made.reason
    assert not (tmp_path / "copy").exists()
    house.store.end_backup()


def test_copy_that_was_stopped_before_it_began_is_none(open_house: Open, tmp_path: Path) -> None:
    house = open_house()
    copy = house.store.backup(tmp_path / "copy", house.now)
    copy.stop_and_wait()
    assert isinstance(copy.run(), NotCopied)
    house.store.end_backup()
    assert not (tmp_path / "copy").exists()


def refuse(house: House, directory: Path) -> NotCopied:
    made = house.store.backup(directory, house.now).run()
    house.store.end_backup()
    assert isinstance(made, NotCopied), made
    return made


def test_places_where_no_copy_may_be_are_refused(open_house: Open, tmp_path: Path) -> None:
    house = open_house()
    (tmp_path / "full").mkdir()
    (tmp_path / "full/file").touch()
    assert "no absolute path" in refuse(house, Path("copy")).reason
    assert "not an empty directory" in refuse(house, tmp_path / "full").reason
    assert "not an empty directory" in refuse(house, tmp_path / "full/file").reason
    assert "state directory" in refuse(house, tmp_path / "state/copy").reason
    assert "directory above" in refuse(house, tmp_path / "no/copy").reason
    assert os.listdir(tmp_path / "full") == ["file"]


@pytest.mark.parametrize("name", ["a\0b", "circle", "circle/x", "x" * 300, "file/x"])
def test_path_that_can_be_none_is_refused_and_no_error_of_ours(
    open_house: Open, tmp_path: Path, name: str
) -> None:
    (tmp_path / "circle").symlink_to(tmp_path / "circle")
    (tmp_path / "file").touch()
    house = open_house()
    made = house.store.backup(tmp_path / name, house.now).run()
    house.store.end_backup()
    assert isinstance(made, NotCopied)
    assert made.code == "bad_request"
    assert ";" in made.reason, "what to do"
    assert not list(tmp_path.glob("**/data.mdb*partial"))


def test_place_without_room_is_refused_before_anything_is_written(
    open_house: Open, tmp_path: Path
) -> None:
    house = open_house(reserve=1 << 60)
    said = refuse(house, tmp_path / "copy")
    assert (said.code, "octets free" in said.reason) == ("storage", True)
    assert not (tmp_path / "copy").exists()


def test_place_that_may_not_be_written_says_who_writes() -> None:
    """As root nothing is closed, so the kernel's word is handed in."""
    for number in (errno.EACCES, errno.EROFS):
        said = module._describe(OSError(number, os.strerror(number)), Path("/srv/copy"))
        assert said.code == "bad_request"
        assert "ReadWritePaths=" in said.reason


def test_backup_that_was_never_finished_is_no_store(tmp_path: Path) -> None:
    (tmp_path / "copy").mkdir()
    (tmp_path / "copy" / PARTIAL_FILE).touch()
    with pytest.raises(StoreError, match="never finished"):
        House(tmp_path / "copy")
