"""Instructions counted by valgrind's callgrind, of what is between two calls and of nothing else.

A process under callgrind starts uncounted (``--instr-atstart=no``: import and warm-up cost a
tenth of what they would) and asks valgrind by client requests to start, to count or not, and to
write down what was counted. A client request is a few rotations that change nothing, which valgrind
finds among the instructions; here they are nine in a page of our own, so that no compiler, no
header and no symbol of the interpreter is needed. (To zero the counts is no way to leave out what
came before: callgrind 3.19 keeps some of it.)

Counts repeat where times do not: a loaded machine counts as an idle one. What they leave out is
the kernel (an fsync is free here) and the caches. Source: valgrind's manual, "The Client
Request mechanism"; valgrind.h and callgrind.h of 3.19 for the numbers. x86-64 alone.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import platform
import re
import shutil
import subprocess
from collections import Counter as Tally
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

from bench.processes import ROOT, RunFailed

SECONDS_MAX: Final = 600.0
"""For one program under valgrind: some ten times what ours takes on a loaded core."""

# mov rax, rdi; xor edx, edx: the request's words, and the answer where there is no valgrind;
# rol rdi, 3, 13, 61, 51 (which sum up to 128); xchg rbx, rbx; then mov rax, rdx; ret.
_REQUEST_CODE: Final = bytes.fromhex(
    "4889f8 31d2 48c1c703 48c1c70d 48c1c73d 48c1c733 4887db 4889d0 c3"
)
_REQUEST_WORDS: Final = 6

_RUNNING_ON_VALGRIND: Final = 0x1001
_TOOL: Final = int.from_bytes(b"CT") << 16
_TOGGLE_COLLECT: Final = _TOOL + 2
_DUMP_STATS_AT: Final = _TOOL + 3
_START_INSTRUMENTATION: Final = _TOOL + 4

_EMPTY: Final = "nothing"
"""The window with nothing in it: what the requests themselves cost."""

_TRIGGER: Final = re.compile(r"desc: Trigger: Client Request: (\d+) (.+)")
_TOTALS: Final = re.compile(r"totals: (\d+)")
_OUT: Final = "callgrind.out"

_T = TypeVar("_T")


@dataclass
class Window:
    """All that was counted under one name: ``things`` done by ``instructions``, by function."""

    things: int = 0
    instructions: int = 0
    functions: Tally[str] = field(default_factory=Tally)

    def each(self) -> float:
        """Instructions for one thing."""
        return self.instructions / max(self.things, 1)


class Counter:
    """Counts in this process, where it runs under callgrind; RunFailed where it does not.

    ``wanted`` are parts of names, in any case: others are done uncounted. None: all are counted.
    """

    def __init__(self, wanted: Iterable[str] = ()) -> None:
        self._wanted = [word.lower() for word in wanted]
        rights = mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC
        self._page = mmap.mmap(-1, mmap.PAGESIZE, prot=rights)
        self._page.write(_REQUEST_CODE)
        address = ctypes.addressof(ctypes.c_char.from_buffer(self._page))
        self._call = ctypes.CFUNCTYPE(ctypes.c_ulong, ctypes.c_void_p)(address)
        if not self._request(_RUNNING_ON_VALGRIND):
            raise RunFailed("counts under valgrind alone: run it as python -m bench.instructions")

    def start(self) -> None:
        """From here on instructions can be counted, and all is thirty times as slow."""
        self._request(_START_INSTRUMENTATION)
        for _ in range(3):
            self.count(_EMPTY, 1, lambda: None, always=True)

    def count(self, name: str, things: int, call: Callable[[], _T], *, always: bool = False) -> _T:
        """Does ``call``, which does ``things`` things, and has what it cost written down."""
        if not always and not self.wants(name):
            return call()
        label = ctypes.create_string_buffer(f"{things} {name}".encode())
        toggle, dump = _pack(_TOGGLE_COLLECT), _pack(_DUMP_STATS_AT, ctypes.addressof(label))
        request, at = self._call, ctypes.addressof(toggle)
        through_c = partial(call)  # else callgrind does not see the interpreter's loop entered
        request(at)
        result = through_c()
        request(at)
        request(ctypes.addressof(dump))
        return result

    def wants(self, name: str) -> bool:
        """Whether this one is counted."""
        return not self._wanted or any(word in name.lower() for word in self._wanted)

    def _request(self, number: int) -> int:
        words = _pack(number)
        return int(self._call(ctypes.addressof(words)))


def _pack(*words: int) -> ctypes.Array[ctypes.c_ulong]:
    return (ctypes.c_ulong * _REQUEST_WORDS)(*words)


def run_counted(command: Sequence[str], directory: Path, seed: int = 0) -> dict[str, Window]:
    """Runs a program that counts, in the repository's root, and reads what it had written down.

    ``directory`` is empty and takes valgrind's files; ``seed`` is that of Python's hashes.
    RunFailed with the program's own words where it fails, and where there is no valgrind.
    """
    done = subprocess.run(
        [*_valgrind(directory), *command],
        cwd=ROOT,
        env=_environment(seed),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=SECONDS_MAX,
        check=False,
    )
    if done.returncode:
        raise RunFailed(f"failed under valgrind, {done.returncode}:\n{done.stderr.strip()}")
    return read_windows(directory)


def fixed_addresses() -> list[str]:
    """The command that lays memory out alike in every run; none where the kernel forbids it."""
    setarch = shutil.which("setarch")
    if setarch is None or subprocess.run([setarch, "-R", "true"], check=False).returncode:
        return []
    return [setarch, "-R"]


def _valgrind(directory: Path) -> list[str]:
    if platform.machine() != "x86_64":
        raise RunFailed(f"counts on x86-64 alone, and this is {platform.machine()}")
    valgrind = shutil.which("valgrind")
    if valgrind is None:
        raise RunFailed("needs valgrind, which is missing here (Debian: apt-get install valgrind)")
    return [
        *fixed_addresses(),
        valgrind,
        "-q",
        "--vgdb=no",
        "--tool=callgrind",
        "--instr-atstart=no",
        "--collect-atstart=no",
        "--dump-line=no",
        "--compress-strings=no",
        "--compress-pos=no",
        f"--callgrind-out-file={directory / _OUT}",
    ]


def _environment(seed: int) -> dict[str, str]:
    """Little, and the same everywhere: what Python reads of it changes what it does."""
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "LANG": "C.UTF-8",
        "PYTHONHASHSEED": str(seed),
        "PYTHONPATH": str(ROOT),
    }


def read_windows(directory: Path) -> dict[str, Window]:
    """What was counted, by name, less what an empty window costs. Windows of a name add up."""
    paths = sorted(directory.glob(f"{_OUT}.*"), key=lambda path: int(path.suffix[1:]))
    parts = [part for path in paths for part in _read_part(path)]
    empty = min((part.instructions for name, part in parts if name == _EMPTY), default=0)
    found: dict[str, Window] = {}
    for name, part in parts:
        if name != _EMPTY:
            window = found.setdefault(name, Window())
            window.things += part.things
            window.instructions += max(part.instructions - empty, 0)
            window.functions.update(part.functions)
    return found


def _read_part(path: Path) -> Iterator[tuple[str, Window]]:
    """The window of a dump. Dumps are numbered; what valgrind writes at the end is not."""
    text = path.read_text()
    trigger, totals = _TRIGGER.search(text), _TOTALS.search(text)
    if trigger is not None and totals is not None:
        things, name = trigger.groups()
        yield name, Window(int(things), int(totals[1]), _read_functions(text))


def _read_functions(text: str) -> Tally[str]:
    """Instructions by function, its callees' not included.

    A line ``fn=NAME`` begins a function; of the lines ``POSITION COST`` after it, one that follows
    ``calls=`` is the callee's. ``NAME'2`` is the same function below itself.
    """
    found: Tally[str] = Tally()
    function, is_call = "", False
    for line in text.splitlines():
        if line.startswith("fn="):
            function = line[3:].partition("'")[0]
        elif line.startswith("calls="):
            is_call = True
        elif line[:1].isdigit():
            if not is_call:
                found[function] += int(line.split()[1])
            is_call = False
    return found
