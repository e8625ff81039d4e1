"""The first start after a power cut: whatever files it left half-made, and what is refused.

LMDB's lock file and ours are never flushed, so a power cut may leave anything in them. The data
file gets its name when it is whole, so an empty one was never ours, and nobody begins anew with it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from smppd.errors import StoreDamaged
from smppd.store.store import Store
from tests.house import House
from tests.processes import Site, ask

GARBAGE = bytes(range(256)) * 33

LOCKS: dict[str, Mapping[str, bytes | None]] = {
    "gone": {"lock.mdb": None, "smppd.lock": None},
    "empty": {"lock.mdb": b"", "smppd.lock": b""},
    "zeros": {"lock.mdb": bytes(8192), "smppd.lock": bytes(32)},
    "garbage": {"lock.mdb": GARBAGE, "smppd.lock": GARBAGE},
    "of a process that lives": {"smppd.lock": b"1\n"},
}

BEGUN: dict[str, Mapping[str, bytes | None]] = {
    "our lock": {"smppd.lock": b"4711\n"},
    "an empty new file": {"smppd.lock": b"", "data.new": b""},
    "zeros in it": {"data.new": bytes(8192), "data.new-lock": bytes(8192)},
    "garbage in it": {"data.new": GARBAGE, "data.new-lock": GARBAGE},
}


def leave(directory: Path, files: Mapping[str, bytes | None]) -> None:
    """These files, and what else is there as it is."""
    directory.mkdir(exist_ok=True, mode=0o700)
    for name, octets in files.items():
        if octets is None:
            (directory / name).unlink()
        else:
            (directory / name).write_bytes(octets)


@pytest.mark.parametrize("files", LOCKS.values(), ids=LOCKS)
def test_whatever_is_in_the_lock_files_the_messages_are_there(
    tmp_path: Path, files: Mapping[str, bytes | None]
) -> None:
    house = House(tmp_path / "state")
    [message_id] = house.submit("o-1")
    house.store.close()
    leave(house.directory, files)
    again = House(tmp_path / "state")
    found = again.store.query("shop", ref="o-1")
    assert found is not None
    assert found.id == message_id
    again.store.close()


@pytest.mark.parametrize("files", BEGUN.values(), ids=BEGUN)
def test_directory_in_which_a_store_was_begun_is_a_new_one(
    tmp_path: Path, files: Mapping[str, bytes | None]
) -> None:
    leave(tmp_path / "state", files)
    house = House(tmp_path / "state")
    assert house.submit("o-1")
    house.store.close()
    assert not (tmp_path / "state" / "data.new").exists()
    again = House(tmp_path / "state")
    assert again.store.query("shop", ref="o-1") is not None
    again.store.close()


@pytest.mark.parametrize("octets", [b"", bytes(8192), bytes(1 << 20)], ids=["empty", "zeros", "1M"])
def test_data_file_without_a_store_in_it_is_refused_and_left_alone(
    tmp_path: Path, octets: bytes
) -> None:
    house = House(tmp_path / "state")
    house.store.close()
    leave(tmp_path / "state", {"data.mdb": octets})
    with pytest.raises(StoreDamaged, match=r"data\.mdb is damaged"):
        Store(tmp_path / "state", house.rules, map_size=1 << 30)
    assert (tmp_path / "state" / "data.mdb").read_bytes() == octets


def test_daemon_goes_on_over_garbage_in_its_lock_files(tmp_path: Path) -> None:
    with Site(tmp_path) as site:
        daemon = site.start_daemon()
        submit = {"type": "submit", "ref": "o-1", "to": "+491701234567", "from": "A", "text": "hi"}
        accepted = ask(site.socket, submit)
        daemon.kill()
        leave(site.state, LOCKS["garbage"])
        daemon = site.start_daemon()
        again = ask(site.socket, submit)
        assert again["id"] == accepted["id"]
        assert again["duplicate"] is True
        assert daemon.stop() == 0, daemon.tail()
