"""What the tests of overload share: an app with a line a call, and what a process has of its own.

Memory is counted where no file backs it (``Anonymous``, proc(5)): what LMDB maps is the kernel's to
take back.
"""

from __future__ import annotations

import json
import os
import re
import socket
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from tests.processes import START_SECONDS_MAX, Child

Line = dict[str, object]
Sent = Mapping[str, object] | bytes


class Peer:
    """An app's connection, with a line a call."""

    def __init__(self, path: Path) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(START_SECONDS_MAX)
        self.socket.connect(str(path))
        self._lines = self.socket.makefile("rb")

    def __enter__(self) -> Peer:
        return self

    def __exit__(self, *_: object) -> None:
        self._lines.close()
        self.socket.close()

    def send(self, *lines: Sent) -> None:
        """All of them in one go. Whoever was turned away meanwhile learns it from ``read``."""
        with suppress(BrokenPipeError, ConnectionResetError):
            self.socket.sendall(b"".join(map(encode, lines)))

    def read_raw(self) -> bytes:
        """The next line as it came; nothing at the end."""
        return self._lines.readline()

    def read(self) -> Line:
        """The next line; {} at the end."""
        line = self.read_raw()
        found: Line = json.loads(line) if line else {}
        return found

    def ask(self, line: Sent) -> Line:
        """One request, and the line that follows."""
        self.send(line)
        return self.read()


def encode(line: Sent) -> bytes:
    """A line as it goes out; octets as they are, with a newline."""
    return (line if isinstance(line, bytes) else json.dumps(line).encode()) + b"\n"


def anonymous_bytes(child: Child) -> int:
    """Memory of the process's own: what no file backs."""
    return _read_kib(Path(f"/proc/{child.pid}/smaps_rollup"), "Anonymous") * 1024


def address_space_bytes(child: Child) -> int:
    """What RLIMIT_AS bounds."""
    return _read_kib(Path(f"/proc/{child.pid}/status"), "VmSize") * 1024


def peak_bytes(child: Child) -> int:
    """The most memory the process has had resident since the peak was last reset."""
    return _read_kib(Path(f"/proc/{child.pid}/status"), "VmHWM") * 1024


def reset_peak(child: Child) -> None:
    """From now on ``peak_bytes`` counts anew (proc(5), clear_refs)."""
    Path(f"/proc/{child.pid}/clear_refs").write_text("5")


def _read_kib(path: Path, name: str) -> int:
    found = re.search(rf"^{name}:\s+(\d+) kB$", path.read_text(), re.MULTILINE)
    assert found is not None, path
    return int(found[1])


def open_descriptors(child: Child) -> list[int]:
    """Those the process has now."""
    return sorted(map(int, os.listdir(f"/proc/{child.pid}/fd")))
