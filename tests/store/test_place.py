"""Where a store may live, from what kernels have said of mounts."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smppd.errors import StoreRefused
from smppd.store import place
from smppd.store.place import Mount, check_place, is_network, parse_mount_id, parse_mounts
from tests.disk import small_disk

GOLDEN = [
    (  # proc_pid_mountinfo(5)
        "36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue",
        Mount(36, "/mnt2", "ext3", "/dev/root"),
    ),
    (  # Debian 12, NFS 4.2
        "512 28 0:53 / /srv/state rw,relatime shared:301 - nfs4 10.0.0.5:/export/state "
        "rw,vers=4.2,rsize=1048576,wsize=1048576,hard,proto=tcp,timeo=600",
        Mount(512, "/srv/state", "nfs4", "10.0.0.5:/export/state"),
    ),
    (  # no optional field at all
        "601 28 0:58 / /mnt/share rw,relatime - cifs //nas/share rw,vers=3.1.1",
        Mount(601, "/mnt/share", "cifs", "//nas/share"),
    ),
    (  # several
        "77 28 0:61 / /home/op/remote rw,nosuid,nodev shared:5 master:2 propagate_from:1 - "
        "fuse.sshfs op@host:/data rw,user_id=1000",
        Mount(77, "/home/op/remote", "fuse.sshfs", "op@host:/data"),
    ),
    (  # a bind mount of a directory, with a space and a backslash in its path
        r"88 28 8:1 /var/lib/smppd /mnt/our\040state\134old rw shared:1 - ext4 /dev/sda1 rw",
        Mount(88, "/mnt/our state\\old", "ext4", "/dev/sda1"),
    ),
    (  # WSL 2, a disk of Windows
        r"71 70 0:46 / /mnt/c rw,noatime - 9p C:\134 rw,dirsync,aname=drvfs",
        Mount(71, "/mnt/c", "9p", "C:\\"),
    ),
    (  # a container's root
        "1033 854 0:136 / / rw,relatime master:415 - overlay overlay rw,lowerdir=/var/lib/x",
        Mount(1033, "/", "overlay", "overlay"),
    ),
]


@pytest.mark.parametrize(("line", "mount"), GOLDEN)
def test_lines_of_kernels_are_read(line: str, mount: Mount) -> None:
    assert parse_mounts(line + "\n") == [mount]


@pytest.mark.parametrize(
    "line", ["", "36", "x 35 98:0 / /mnt rw - ext4 /dev/sda rw", "1 2 3 4 5 6"]
)
def test_lines_that_cannot_be_read_are_left_out(line: str) -> None:
    assert parse_mounts(f"{line}\n{GOLDEN[0][0]}\n") == [GOLDEN[0][1]]


@given(st.text())
def test_any_text_is_read_without_a_fault(text: str) -> None:
    parse_mounts(text)
    parse_mount_id(text)


@given(st.text(min_size=1).filter(lambda word: "\0" not in word))
def test_any_mount_point_comes_back_as_it_was(point: str) -> None:
    escaped = "".join(f"\\{ord(one):03o}" if one in " \t\n\\" else one for one in point)
    line = f"36 35 98:0 / {escaped} rw - ext4 /dev/sda rw"
    assert parse_mounts(line)[0].point == point


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("pos:\t0\nflags:\t02100000\nmnt_id:\t29\nino:\t12\n", 29),
        ("pos:\t0\nflags:\t0\n", None),
        ("mnt_id:\tnone\n", None),
        ("", None),
    ],
)
def test_mount_of_a_descriptor_is_read(text: str, number: int | None) -> None:
    assert parse_mount_id(text) == number


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("nfs", True),
        ("nfs4", True),
        ("cifs", True),
        ("smb3", True),
        ("9p", True),
        ("ceph", True),
        ("lustre", True),
        ("glusterfs", True),
        ("fuse.glusterfs", True),
        ("fuse.sshfs", True),
        ("fuse.s3fs", True),
        ("ext4", False),
        ("xfs", False),
        ("btrfs", False),
        ("zfs", False),
        ("tmpfs", False),
        ("overlay", False),
        ("virtiofs", False),
        ("fuseblk", False),
        ("fuse.gocryptfs", False),
        ("fuse", False),
    ],
)
def test_type_tells_whether_the_disk_is_elsewhere(kind: str, expected: bool) -> None:
    assert is_network(kind) is expected


def check(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        check_place(descriptor, directory)
    finally:
        os.close(descriptor)


def test_local_directory_passes(tmp_path: Path) -> None:
    check(tmp_path)


def test_kernel_that_tells_nothing_passes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(place, "MOUNTS", tmp_path / "none")
    check(tmp_path)


def test_mount_over_a_mount_and_a_link_to_it_are_seen_through(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The upper of two mounts on one directory is called a network's here, by its number."""
    with small_disk(tmp_path / "disk", 2**16) as lower, small_disk(lower, 2**16) as upper:
        (upper / "state").mkdir()
        link = tmp_path / "link"
        link.symlink_to(upper / "state")
        mounts = Path("/proc/self/mountinfo").read_text()
        ours = [line for line in mounts.splitlines() if str(upper) in line]
        assert len(ours) == 2
        number = max(int(line.split()[0]) for line in ours)
        text = "\n".join(
            line.replace("tmpfs none", "nfs4 host:/export")
            if line.startswith(f"{number} ")
            else line
            for line in ours
        )
        (tmp_path / "mounts").write_text(text)
        monkeypatch.setattr(place, "MOUNTS", tmp_path / "mounts")
        with pytest.raises(StoreRefused, match=r"nfs4, host:/export mounted on .*/disk") as caught:
            check(link)
        assert "set [daemon] state" in str(caught.value)
        check(tmp_path)
    assert subprocess.run(["mountpoint", "-q", str(lower)], check=False).returncode
