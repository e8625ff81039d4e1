"""A run under strace: what it wrote to which file, what it had flushed, what it told to whom.

One trace is one clock: a write to the store, a flush and an octet on a socket stand in the order
in which they were made. A call counts from its first line on where it only may have had its
effect (a write, a send), and at its last line where the effect is promised (a flush).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple, TypeAlias

import msgspec

STRING_OCTETS_MAX: Final = 1 << 20
"""Octets of a string that strace shows: more than any write of ours has."""

CALLS: Final = (
    *("openat", "close", "dup", "dup2", "dup3", "fcntl", "mmap", "lseek"),
    *("pwrite64", "pwritev", "pwritev2", "write", "writev", "ftruncate", "fallocate"),
    *("fsync", "fdatasync", "msync", "sync_file_range", "sync", "syncfs"),
    *("mkdir", "mkdirat", "rename", "renameat", "renameat2", "link", "linkat"),
    *("unlink", "unlinkat", "sendto", "sendmsg", "recvfrom", "recvmsg"),
)

OPTIONS: Final = (
    *("-f", "-y", "-xx", "-qq", "--seccomp-bpf"),
    *("-s", str(STRING_OCTETS_MAX), "-e", "signal=none", "-e", "trace=" + ",".join(CALLS)),
)


class Written(msgspec.Struct, frozen=True):
    """``data`` went to ``path`` at ``offset``; on disk when its ``Flushed`` comes, or a later one
    of the whole file. ``number`` tells the writes apart."""

    path: str
    number: int
    offset: int
    data: bytes


class Sized(msgspec.Struct, frozen=True):
    """The file has ``octets``, or, if it ``grows`` only, at least so many."""

    path: str
    octets: int
    grows: bool


class Flushed(msgspec.Struct, frozen=True):
    """The file's octets are on disk; ``number``: those of one write alone (O_DSYNC)."""

    path: str
    number: int | None = None


class Named(msgspec.Struct, frozen=True):
    """``path`` is a new name; ``source`` what it was renamed from, or None where it was made."""

    path: str
    source: str | None = None
    is_directory: bool = False


class Unnamed(msgspec.Struct, frozen=True):
    """The name is gone."""

    path: str


class DirectoryFlushed(msgspec.Struct, frozen=True):
    """The names in this directory are on disk."""

    path: str


class Sent(msgspec.Struct, frozen=True):
    """Octets went to a peer."""

    peer: str
    data: bytes


class Received(msgspec.Struct, frozen=True):
    """Octets came from a peer."""

    peer: str
    data: bytes


Moment: TypeAlias = Written | Sized | Flushed | Named | Unnamed | DirectoryFlushed | Sent | Received


class Call(NamedTuple):
    """One system call that succeeded: its arguments as strace writes them."""

    name: str
    arguments: str
    result: int
    begins: int
    ends: int


_WHOLE: Final = re.compile(r"(\d+) +(\w+)\((.*)\) += (-?\w+)")
_BEGUN: Final = re.compile(r"(\d+) +(\w+)\((.*) <unfinished \.\.\.>$")
_RESUMED: Final = re.compile(r"(\d+) +<\.\.\. (\w+) resumed>(.*)\) += (-?\w+)")
_DESCRIPTOR: Final = re.compile(r"(-?\d+|AT_FDCWD)<([^>]*)>")
_STRING: Final = re.compile(r'"((?:\\x[0-9a-f]{2})*)"(\.\.\.)?')
_SOCKET: Final = "socket:"
_IS_SYNCED: Final = ("O_DSYNC", "O_SYNC")
_WRITES: Final = frozenset({"pwrite64", "pwritev", "pwritev2", "write", "writev"})
_FLUSHES: Final = frozenset({"fsync", "fdatasync"})


class TraceError(Exception):
    """The trace holds what this parser does not understand."""


def parse_calls(path: Path) -> Iterator[Call]:
    """The calls that succeeded, in the order in which they ended."""
    begun: dict[tuple[str, str], tuple[str, int]] = {}
    with path.open(encoding="ascii") as lines:
        for number, line in enumerate(lines):
            if whole := _WHOLE.match(line):
                _, name, arguments, result = whole.groups()
                begins = number
            elif resumed := _RESUMED.match(line):
                process, name, rest, result = resumed.groups()
                arguments, begins = begun.pop((process, name))
                arguments += rest
            else:
                if unfinished := _BEGUN.match(line):
                    process, name, arguments = unfinished.groups()
                    begun[process, name] = arguments, number
                continue
            if (value := _number(result)) >= 0:
                yield Call(name, arguments, value, begins, number)


def read_trace(path: Path, root: Path) -> list[Moment]:
    """What happened to files below ``root``, to its own name and on sockets, in order.

    Raises TraceError for a way of writing that is not followed here, so that none goes unseen.
    """
    reader = _Reader(str(root))
    placed: list[tuple[int, int, Moment]] = []
    for call in parse_calls(path):
        for at, moment in reader.read(call):
            placed.append((at, len(placed), moment))
    return [moment for _, _, moment in sorted(placed, key=lambda found: found[:2])]


def _is_socket(call: Call) -> bool:
    return _path_of(call).startswith("socket:")


class _Reader:
    """Which descriptor writes where, and through to the disk at once."""

    def __init__(self, root: str) -> None:
        self._root = root
        self._names: set[str] = set()
        self._positions: dict[int, int] = {}
        self._is_synced: dict[int, bool] = {}
        self._writes = 0

    def read(self, call: Call) -> Iterator[tuple[int, Moment]]:
        """The moments of one call, each with the line at which it counts."""
        name = call.name
        if name in ("sendto", "sendmsg") or (name == "write" and _is_socket(call)):
            yield call.begins, Sent(_path_of(call), _octets_of(call)[: call.result])
        elif name in ("recvfrom", "recvmsg"):
            yield call.ends, Received(_path_of(call), _octets_of(call)[: call.result])
        elif name == "openat":
            yield from self._open(call)
        elif name.startswith(("mkdir", "rename", "unlink", "link")):
            yield from self._name(call)
        elif _path_of(call).startswith(self._root):
            yield from self._touch(call)
        elif name in _FLUSHES and self._root.startswith(_path_of(call) + "/"):
            yield call.ends, DirectoryFlushed(_path_of(call))

    def _open(self, call: Call) -> Iterator[tuple[int, Moment]]:
        self._positions[call.result] = 0
        self._is_synced[call.result] = any(flag in call.arguments for flag in _IS_SYNCED)
        path = _paths_in(call)[-1]
        if "O_TRUNC" in call.arguments and path.startswith(self._root):
            raise TraceError(f"{path} is truncated when it is opened")
        if "O_CREAT" in call.arguments and path.startswith(self._root) and path not in self._names:
            self._names.add(path)
            yield call.begins, Named(path)

    def _name(self, call: Call) -> Iterator[tuple[int, Moment]]:
        paths = _paths_in(call)
        if not paths[-1].startswith(self._root):
            return
        if call.name.startswith("mkdir"):
            yield call.begins, Named(paths[-1], is_directory=True)
        elif call.name.startswith("rename"):
            self._names.discard(paths[0])
            self._names.add(paths[1])
            yield call.begins, Named(paths[1], source=paths[0])
        elif call.name.startswith("unlink"):
            self._names.discard(paths[-1])
            yield call.begins, Unnamed(paths[-1])
        else:
            raise TraceError(f"{call.name} is not followed")

    def _touch(self, call: Call) -> Iterator[tuple[int, Moment]]:
        """A call on a descriptor of a file below the root."""
        name, path, descriptor = call.name, _path_of(call), _descriptor_of(call)
        if name in _WRITES:
            yield from self._write(call, path, descriptor)
        elif name in _FLUSHES:
            is_directory = path not in self._names
            yield call.ends, DirectoryFlushed(path) if is_directory else Flushed(path)
        elif name == "lseek":
            self._positions[descriptor] = call.result
        elif name == "ftruncate":
            yield call.begins, Sized(path, _integers(call)[0], grows=False)
        elif name == "fallocate":
            if "KEEP_SIZE" not in call.arguments:
                yield call.begins, Sized(path, sum(_integers(call)[-2:]), grows=True)
        elif name.startswith("dup") or (name == "fcntl" and "F_DUPFD" in call.arguments):
            raise TraceError(f"a descriptor of {path} is doubled: {name}({call.arguments})")
        elif name == "mmap" and path.endswith(".mdb") and "lock" not in path:
            if "PROT_WRITE" in call.arguments and "MAP_SHARED" in call.arguments:
                raise TraceError(f"{path} is written through a map")
        elif name not in ("close", "fcntl", "mmap"):
            raise TraceError(f"{name} of {path} is not followed")

    def _write(self, call: Call, path: str, descriptor: int) -> Iterator[tuple[int, Moment]]:
        data = _octets_of(call)
        if len(data) != call.result:
            raise TraceError(f"{path}: {call.result} octets were written and {len(data)} shown")
        if call.name in ("write", "writev"):
            offset = self._positions[descriptor]
            self._positions[descriptor] = offset + len(data)
        else:
            offset = _integers(call)[-1]
        self._writes += 1
        yield call.begins, Written(path, self._writes, offset, data)
        if self._is_synced[descriptor]:
            yield call.ends, Flushed(path, self._writes)


def _number(text: str) -> int:
    return -1 if text == "?" else int(text, 0)


def _path_of(call: Call) -> str:
    """The path, or the socket, of the call's first descriptor; "" where it has none."""
    found = _DESCRIPTOR.search(call.arguments)
    return "" if found is None else _decode(found.group(2))


def _descriptor_of(call: Call) -> int:
    found = _DESCRIPTOR.search(call.arguments)
    assert found is not None, call
    return int(found.group(1))


def _paths_in(call: Call) -> list[str]:
    """The names a call was given, absolute ones as all of ours are."""
    return [_decode(found.group(1)) for found in _STRING.finditer(call.arguments)]


def _octets_of(call: Call) -> bytes:
    """All octets of a call's strings; an address beside them has none."""
    parts = []
    for found in _STRING.finditer(call.arguments):
        if found.group(2):
            raise TraceError(f"{call.name} has more octets than strace was told to show")
        parts.append(bytes.fromhex(found.group(1).replace("\\x", "")))
    return b"".join(parts)


def _integers(call: Call) -> list[int]:
    """The whole numbers among the arguments, after strings and descriptors."""
    bare = _DESCRIPTOR.sub("", _STRING.sub("", call.arguments))
    return [int(word) for word in bare.replace(",", " ").split() if word.isdecimal()]


def _decode(text: str) -> str:
    if "\\x" not in text:
        return text
    return bytes.fromhex(text.replace("\\x", "")).decode()
