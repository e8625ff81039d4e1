"""Who may have the state directory, and what those are told who may not."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from smppd.errors import StorageFull, StoreError, StoreRefused
from smppd.store.claim import Claim, allocate_readers
from smppd.store.environment import Environment
from smppd.store.layout import DATA_FILE, LMDB_LOCK_FILE, LOCK_FILE
from smppd.store.offline import opened
from tests.disk import fill, small_disk

CLAIM = """
import sys
from pathlib import Path
from smppd.errors import StoreRefused
from smppd.store.claim import Claim
try:
    Claim(Path(sys.argv[1]))
except StoreRefused as error:
    print(error.is_denied, error)
"""


def claim_without(capability: str, directory: Path) -> str:
    """What root is told who has to ask like anybody else."""
    words = ["setpriv", f"--bounding-set=-{capability},-dac_read_search", sys.executable]
    return subprocess.check_output([*words, "-c", CLAIM, str(directory)], text=True)


def test_directory_is_made_for_us_alone(tmp_path: Path) -> None:
    claim = Claim(tmp_path / "new" / "state")
    assert (tmp_path / "new" / "state").stat().st_mode & 0o777 == 0o700
    claim.close()


def test_second_claim_is_refused_with_the_pid_of_the_first(tmp_path: Path) -> None:
    first = Claim(tmp_path)
    with pytest.raises(StoreRefused, match=rf"another smppd \(pid {os.getpid()}\)") as caught:
        Claim(tmp_path)
    assert "stop that one first" in str(caught.value)
    first.close()
    Claim(tmp_path).close()


def test_claim_while_somebody_only_reads_is_told_who_that_may_be(tmp_path: Path) -> None:
    used = Environment(tmp_path, 1 << 20)
    used.close()
    (tmp_path / LOCK_FILE).write_bytes(b"123456789012345\n")
    with opened(tmp_path), pytest.raises(StoreRefused, match=r"it may be `smppd verify` or"):
        Claim(tmp_path)
    Claim(tmp_path).close()


def test_pid_is_that_of_the_last_holder(tmp_path: Path) -> None:
    (tmp_path / LOCK_FILE).write_bytes(b"123456789012345\n")
    claim = Claim(tmp_path)
    assert (tmp_path / LOCK_FILE).read_text().split() == [str(os.getpid())]
    claim.close()


@pytest.mark.parametrize("below", ["", "deeper"])
def test_file_in_place_of_the_directory_is_refused(tmp_path: Path, below: str) -> None:
    (tmp_path / "state").write_text("a note")
    with pytest.raises(StoreRefused, match=r"is no directory; set \[daemon\] state") as caught:
        Claim(tmp_path / "state" / below)
    assert not caught.value.is_denied
    assert (tmp_path / "state").read_text() == "a note"


def test_read_only_disk_is_refused(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 2**20) as directory:
        Claim(directory / "state").close()
        subprocess.run(["mount", "-o", "remount,ro", str(directory)], check=True)
        for state in ("state", "new"):
            with pytest.raises(StoreRefused, match="on a read-only file system; mount it"):
                Claim(directory / state)


def test_directory_of_another_user_is_refused_as_not_permitted(tmp_path: Path) -> None:
    if os.geteuid():
        pytest.skip("only root can make another user's directory: NOT tested here")
    directory = tmp_path / "state"
    directory.mkdir(mode=0o700)
    os.chown(directory, 65534, 65534)
    told = claim_without("dac_override", directory)
    assert told.startswith(f"True {directory}")
    assert "permission denied to uid 0" in told
    assert "chown" in told


@pytest.mark.parametrize("name", [DATA_FILE, LMDB_LOCK_FILE, LOCK_FILE])
def test_file_of_another_user_is_named(tmp_path: Path, name: str) -> None:
    if os.geteuid():
        pytest.skip("only root can make another user's file: NOT tested here")
    path = tmp_path / name
    path.write_bytes(b"")
    path.chmod(0o600)
    os.chown(path, 65534, 65534)
    told = claim_without("dac_override", tmp_path)
    assert told.startswith(f"True {path}: permission denied")


def test_full_disk_is_told_as_such(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 2**18) as directory:
        filler = fill(directory)
        with pytest.raises(StorageFull, match="make room on that disk, then start"):
            Claim(directory)
        filler.unlink()
        Claim(directory).close()
        fill(directory)
        Claim(directory).close()  # its lock file is there already


def test_table_of_readers_is_allocated_before_lmdb_maps_it(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 2**18) as directory:
        allocate_readers(directory)
        assert (directory / LMDB_LOCK_FILE).stat().st_blocks * 512 == 8192
        fill(directory)
        allocate_readers(directory)


def test_any_other_error_is_told_as_it_is(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="File name too long") as caught:
        Claim(tmp_path / ("x" * 300))
    assert not isinstance(caught.value, StoreRefused)
