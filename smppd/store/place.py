"""Where a store may live: on this machine's own file systems.

LMDB is a memory map under locks that only one kernel knows of: on a network file system two
machines can write to it at once, and what was synced is where somebody else says it is. The kernel
says which mount a directory is on (proc_pid_fdinfo(5): ``mnt_id``), so bind mounts, symbolic links
and mounts over mounts need no thought of ours.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Final

import msgspec

from smppd.errors import StoreRefused

NETWORK_TYPES: Final = frozenset(
    {
        "9p",
        "acfs",
        "afs",
        "afpfs",
        "beegfs",
        "ceph",
        "cifs",
        "coda",
        "glusterfs",
        "gpfs",
        "lustre",
        "ncpfs",
        "nfs",
        "nfs4",
        "orangefs",
        "pvfs2",
        "smb3",
        "smbfs",
    }
)
"""What the kernel calls file systems whose disks are elsewhere, or shared."""

NETWORK_FUSE_TYPES: Final = frozenset(
    {
        "ceph",
        "ceph-fuse",
        "curlftpfs",
        "davfs",
        "gcsfuse",
        "glusterfs",
        "google-drive-ocamlfuse",
        "juicefs",
        "moosefs",
        "mfs",
        "rclone",
        "s3fs",
        "seaweedfs",
        "sshfs",
        "smbnetfs",
    }
)
"""The same behind FUSE, after the ``fuse.``."""

MOUNTS: Final = Path("/proc/self/mountinfo")

_ESCAPE: Final = re.compile(r"\\([0-7]{3})")


class Mount(msgspec.Struct, frozen=True):
    """One mount of this process's world; ``kind`` is the file system's type."""

    id: int
    point: str
    kind: str
    source: str


def parse_mounts(text: str) -> list[Mount]:
    """The lines of mountinfo (proc_pid_mountinfo(5)); one that cannot be read is left out."""
    return [mount for line in text.split("\n") if (mount := _parse_mount(line)) is not None]


def parse_mount_id(text: str) -> int | None:
    """The ``mnt_id`` of a file of fdinfo, or None."""
    for line in text.splitlines():
        name, _, value = line.partition(":")
        if name == "mnt_id" and value.strip().isdecimal():
            return int(value)
    return None


def is_network(kind: str) -> bool:
    """Whether files of this type are, or may be, on another machine's disk."""
    main, _, rest = kind.partition(".")
    return main in NETWORK_TYPES or (main in ("fuse", "fuseblk") and rest in NETWORK_FUSE_TYPES)


def check_place(descriptor: int, directory: Path) -> None:
    """Raises StoreRefused where ``directory``, open as ``descriptor``, is on a network file
    system. A kernel that does not say passes: no reason to refuse."""
    try:
        number = parse_mount_id(Path(f"/proc/self/fdinfo/{descriptor}").read_text("utf-8"))
        mounts = parse_mounts(os.fsdecode(MOUNTS.read_bytes()))
    except OSError:
        return
    for mount in mounts:
        if mount.id == number and is_network(mount.kind):
            raise StoreRefused(
                f"{directory} is on a network file system ({mount.kind}, {mount.source} mounted on "
                f"{mount.point}), where two machines could write to it at once; set [daemon] state "
                "to a directory on a local disk"
            )


def _parse_mount(line: str) -> Mount | None:
    """``36 35 98:0 /root /mnt rw,noatime master:1 - ext3 /dev/root rw``: a changing number of
    optional fields ends at the hyphen."""
    words = line.split(" ")
    if "-" not in words[6:] or not words[0].isdecimal():
        return None
    after = words[words.index("-", 6) + 1 :]
    if len(after) < 2:
        return None
    return Mount(int(words[0]), _unescape(words[4]), _unescape(after[0]), _unescape(after[1]))


def _unescape(word: str) -> str:
    """Space, tab, newline and backslash are written in octal."""
    return _ESCAPE.sub(lambda found: chr(int(found[1], 8)), word)
