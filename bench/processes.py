"""The processes of a throughput run, and what the kernel says of them.

Every process is a child with its output in a file, gone when its ``with`` ends. CPU and memory
are read from /proc, so that nothing measured knows that it is. Linux only, like the daemon.
"""

from __future__ import annotations

import os
import random
import select
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Final, NamedTuple, Self

import msgspec

START_SECONDS_MAX: Final = 30.0
"""From exec to the first answer: a second on an idle core."""

STOP_SECONDS_MAX: Final = 60.0
"""From SIGTERM to the end: the daemon's own drain_timeout and some."""

LOOK_SECONDS: Final = 0.02
"""Between two looks at a condition, before and after a run."""

PORTS: Final = range(20_000, 30_000)
"""Below Linux's ephemeral ports, so that no outgoing connection takes one first."""

ROOT: Final = Path(__file__).parent.parent
"""Where ``smppd`` and ``bench`` are imported from, in every process."""

_CPUCLOCK_SCHED: Final = 2
"""With a process's id, the clock of the CPU time it has had (clock_getcpuclockid(3) on Linux)."""


class RunFailed(Exception):
    """A process of the run ended, or did not come so far as it should. Says which, and why."""


class Child:
    """One process: stderr, and stdout unless it is piped, in ``log``."""

    def __init__(self, command: Sequence[str], log: Path, *, piped: bool = False) -> None:
        self.log = log
        with log.open("wb") as output:
            try:
                self._process = subprocess.Popen(
                    list(command),
                    cwd=log.parent,
                    env={**os.environ, "PYTHONPATH": str(ROOT)},
                    stdin=subprocess.PIPE if piped else subprocess.DEVNULL,
                    stdout=subprocess.PIPE if piped else output,
                    stderr=output,
                )
            except OSError as error:
                raise RunFailed(f"{command[0]}: {error.strerror}") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        self._process.kill()
        self._process.wait()

    @property
    def pid(self) -> int:
        """The process's id."""
        return self._process.pid

    def cpu_seconds(self) -> float:
        """User and system time of all its threads so far, to the microsecond."""
        return time.clock_gettime(~self.pid << 3 | _CPUCLOCK_SCHED)

    def core_wait_seconds(self) -> float:
        """How long its main thread was ready to run so far, and others had the cores."""
        return int(Path(f"/proc/{self.pid}/schedstat").read_text().split()[1]) / 1e9

    def private_bytes(self) -> int:
        """RssAnon: what is its own, without the pages of files that LMDB maps."""
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith("RssAnon:"):
                return int(line.split()[1]) * 1024
        raise RunFailed(f"{self.log.stem}: /proc/{self.pid}/status has no RssAnon")

    def wait_until(self, condition: Callable[[], bool], what: str) -> None:
        """Returns once ``condition`` holds; RunFailed if the process ends or time runs out."""
        deadline = time.monotonic() + START_SECONDS_MAX
        while not condition():
            if self._process.poll() is not None:
                raise self.failure(f"ended with {self._process.returncode}")
            if time.monotonic() > deadline:
                raise self.failure(f"not {what} in {START_SECONDS_MAX:g} s")
            time.sleep(LOOK_SECONDS)

    def write_line(self, line: str) -> None:
        """A line to its stdin."""
        pipe = self._pipe(self._process.stdin)
        pipe.write(line.encode() + b"\n")
        pipe.flush()

    def read_line(self, look: Callable[[], None], seconds: float) -> bytes:
        """Its next line on stdout; ``look`` is called every ``seconds`` until it comes."""
        pipe = self._pipe(self._process.stdout)
        while not select.select([pipe], [], [], seconds)[0]:
            look()
        line = pipe.readline()
        if not line.endswith(b"\n"):
            raise self.failure("ended before it answered")
        return line

    def stop(self) -> None:
        """SIGTERM, and it has ended; RunFailed unless in good order."""
        self._process.terminate()
        try:
            code = self._process.wait(STOP_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            raise self.failure(f"alive {STOP_SECONDS_MAX:g} s after SIGTERM") from None
        if code:
            raise self.failure(f"ended with {code}")

    def failure(self, reason: str) -> RunFailed:
        """``reason``, with the last lines of the log."""
        tail = self.log.read_text(errors="replace").splitlines()[-10:]
        return RunFailed("\n".join((f"{self.log.stem}: {reason}", *tail)))

    def _pipe(self, pipe: IO[bytes] | None) -> IO[bytes]:
        assert pipe is not None, f"{self.log.stem} was started without pipes"
        return pipe


class Usage(NamedTuple):
    """CPU seconds that processes have used so far, and seconds that the daemon had no core."""

    daemon: float
    sinks: float
    daemon_waited: float


class MemoryWatch:
    """The daemon's private memory, looked at from time to time."""

    def __init__(self, daemon: Child) -> None:
        self._daemon = daemon
        self.peak = 0
        self.last = 0

    def look(self) -> None:
        """Takes one sample."""
        self.last = self._daemon.private_bytes()
        self.peak = max(self.peak, self.last)


def python(*arguments: str) -> list[str]:
    """A command for this interpreter."""
    return [sys.executable, "-m", *arguments]


def free_ports(count: int) -> list[int]:
    """``count`` ports on which nobody listens."""
    found: list[int] = []
    for port in random.sample(PORTS, len(PORTS)):  # two benches at once must not meet
        if len(found) == count:
            return found
        if not is_listening(port):
            found.append(port)
    raise RunFailed(f"no {count} free ports in {PORTS}")


def is_listening(port: int) -> bool:
    """Whether somebody does, on this host."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


class BindCount(msgspec.Struct):
    """Of a carrier's ``binds`` in ``status``: as much as is asked here."""

    state: str


class CarrierStatus(msgspec.Struct):
    """Of ``carriers`` in ``status``."""

    binds: list[BindCount]


class CommitCounts(msgspec.Struct, frozen=True):
    """Of ``commits`` in ``status``: commits since start, the changes in them, the most in one."""

    commits: int
    changes: int
    largest: int


class DaemonStatus(msgspec.Struct):
    """As much of the answer to ``status`` as a run asks for."""

    carriers: list[CarrierStatus]
    commits: CommitCounts

    def is_bound(self) -> bool:
        """Whether every bind is up."""
        return all(bind.state == "bound" for carrier in self.carriers for bind in carrier.binds)


def ask_status(path: Path) -> DaemonStatus | None:
    """The daemon's ``status``; None where none answers on the socket ``path`` yet."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(START_SECONDS_MAX)
        try:
            connection.connect(str(path))
        except OSError:
            return None
        connection.sendall(b'{"type":"status"}\n')
        with connection.makefile("rb") as answers:
            return msgspec.json.decode(answers.readline(), type=DaemonStatus)
