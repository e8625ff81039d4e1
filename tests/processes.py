"""Real processes for the tests: a configuration on free ports, daemons and simulators by Popen.

A ``Site`` is one configuration in one directory with whatever runs there. It can be started,
stopped, killed with -9 and started again; its logs are files in the directory. No process
outlives its site, nor the tests themselves, however they end. Waiting is for a condition and has
a deadline: nothing here sleeps.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Final

import msgspec

import smppd
from smppd.demo.stage import free_ports

START_SECONDS_MAX: Final = 20.0
"""From exec to the first answer: a second on an idle core, and tests share theirs."""

STOP_SECONDS_MAX: Final = 20.0
"""From SIGTERM to the end."""

LOOK_SECONDS: Final = 0.02
"""Between two looks at a condition, spent waiting for the process to end."""

LOG_LINES_SHOWN: Final = 40
"""Of a process's log, in the message of a failed test."""

PR_SET_PDEATHSIG: Final = 1
"""prctl(2)."""

SMPPCTL: Final = ("-c", "from smppd.ctl import app; app(prog_name='smppctl')")
"""What the console script ``smppctl`` does."""

Table = Mapping[str, object]

STORE: Final[Table] = {"map_size": "1GiB", "reserve": "1MiB"}
"""Of smppd.toml; the reserve is really allocated, and there are many sites."""

ALPHA: Final[Table] = {
    "host": "127.0.0.1",
    "system_id": "smppd",
    "password": "secret",
    "window": 50,
    "reconnect_min": 0.1,
    "reconnect_max": 0.5,
}
"""A carrier as tests like it: quick to come back. ``Site`` gives it a port."""

ROUTES: Final = ({"prefix": "", "carrier": "alpha", "cost": "0.0100"},)

_libc = ctypes.CDLL(None, use_errno=True)


class Child:
    """One process, of Python unless said otherwise, with its output in ``log``; ``variables`` are
    set in its environment, over ``environment()``."""

    def __init__(
        self,
        arguments: list[str],
        log: Path,
        cwd: Path,
        program: str = sys.executable,
        variables: Mapping[str, str] | None = None,
    ) -> None:
        self.log = log
        self._end_of_earlier = log.stat().st_size if log.exists() else 0
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                [program, *arguments],
                cwd=cwd,
                env={**environment(), **(variables or {})},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                preexec_fn=_die_with_parent,
            )

    @property
    def pid(self) -> int:
        """The process's id."""
        return self._process.pid

    @property
    def is_running(self) -> bool:
        """Whether it has not ended yet."""
        return self._process.poll() is None

    def output(self) -> str:
        """What it has written so far, this run only."""
        return self.log.read_bytes()[self._end_of_earlier :].decode(errors="replace")

    def wait_until(self, condition: Callable[[], bool], what: str, seconds: float) -> None:
        """Returns once ``condition`` holds; AssertionError if the process ends or time runs out."""
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                raise AssertionError(f"{self.log.stem}: not {what} in {seconds:g} s\n{self.tail()}")
            try:
                code = self._process.wait(timeout=LOOK_SECONDS)
            except subprocess.TimeoutExpired:
                continue
            raise AssertionError(f"{self.log.stem}: ended with {code}, not {what}\n{self.tail()}")

    def wait_for_output(self, text: str, seconds: float = START_SECONDS_MAX) -> None:
        """Returns once this run's output holds ``text``."""
        self.wait_until(lambda: text in self.output(), f"saying {text!r}", seconds)

    def send_signal(self, number: signal.Signals) -> None:
        """A signal, and no waiting."""
        self._process.send_signal(number)

    def wait(self, seconds: float = STOP_SECONDS_MAX) -> int:
        """Its exit code (negative: the signal that ended it); AssertionError when it lives on."""
        try:
            return self._process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            tail = self.tail()
            self.kill()
            raise AssertionError(f"{self.log.stem}: alive after {seconds:g} s\n{tail}") from None

    def stop(self) -> int:
        """SIGTERM, and its exit code."""
        self.send_signal(signal.SIGTERM)
        return self.wait()

    def kill(self) -> None:
        """kill -9, and it is gone when this returns."""
        self._process.kill()
        self._process.wait()

    def tail(self) -> str:
        """The last lines it wrote."""
        return "\n".join(self.output().splitlines()[-LOG_LINES_SHOWN:])


class Site:
    """A configuration in ``directory`` and what runs on it.

    ``carriers`` by name, each over ALPHA; ports are chosen here and kept over restarts. ``daemon``
    and ``apps`` are the tables of smppd.toml.
    """

    def __init__(
        self,
        directory: Path,
        *,
        carriers: Mapping[str, Table] | None = None,
        routes: tuple[Table, ...] = ROUTES,
        daemon: Table | None = None,
        apps: Mapping[str, Table] | None = None,
        classes: Mapping[str, Table] | None = None,
    ) -> None:
        self.directory = directory
        self.socket = directory / "run" / "smppd.sock"
        self.state = directory / "state"
        tables = carriers or {"alpha": {}}
        self.ports = dict(zip(tables, free_ports(len(tables)), strict=True))
        self.children: list[Child] = []
        (directory / "carriers").mkdir(parents=True, exist_ok=True)
        own: dict[str, object] = {"daemon": {**STORE, **(daemon or {})}}
        own |= {"apps": apps} if apps else {}
        own |= {"classes": classes} if classes else {}
        self._write("smppd.toml", own)
        self.write_routes(routes)
        for name, table in tables.items():
            self._write(f"carriers/{name}.toml", {**ALPHA, "port": self.ports[name], **table})

    def __enter__(self) -> Site:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for child in self.children:
            if child.is_running:
                child.kill()

    def start(
        self,
        *arguments: str,
        log: str,
        program: str = sys.executable,
        variables: Mapping[str, str] | None = None,
    ) -> Child:
        """``python ARGUMENTS`` with output to the file ``log``; it ends with the site."""
        path = self.directory / log
        child = Child(list(arguments), path, self.directory, program, variables)
        self.children.append(child)
        return child

    def start_daemon(self, *arguments: str) -> Child:
        """A daemon that has answered a ping."""
        child = self.launch_daemon(*arguments)
        child.wait_until(lambda: is_answering(self.socket), "answering", START_SECONDS_MAX)
        return child

    def launch_daemon(self, *arguments: str, variables: Mapping[str, str] | None = None) -> Child:
        """A daemon, without waiting for it; ``variables`` as for ``Child``."""
        words = ("-m", "smppd", "run", "--config", str(self.directory), *arguments)
        return self.start(*words, log="daemon.log", variables=variables)

    def start_simulator(self, *arguments: str) -> Child:
        """A simulator that listens on every carrier's port."""
        child = self.start(
            "-m",
            "smppd",
            "simulate",
            "--config",
            str(self.directory),
            *arguments,
            log="simulator.log",
        )
        child.wait_for_output("ready")
        return child

    def smppctl(self, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """``smppctl --config DIRECTORY ARGUMENTS``, run to its end."""
        return subprocess.run(
            [sys.executable, *SMPPCTL, "--config", str(self.directory), *arguments],
            cwd=self.directory,
            env=environment(),
            input=stdin,
            capture_output=True,
            text=True,
            timeout=START_SECONDS_MAX,
            check=False,
        )

    def start_smppctl(self, *arguments: str, log: str) -> Child:
        """A ``smppctl`` that runs until it is killed, such as ``tail``."""
        return self.start(*SMPPCTL, "--config", str(self.directory), *arguments, log=log)

    def status(self) -> dict[str, object]:
        """The daemon's answer to ``status``."""
        return ask(self.socket, {"type": "status"})

    def wait_bound(self, child: Child) -> None:
        """Returns once every carrier of the daemon ``child`` is healthy."""
        child.wait_until(lambda: _is_healthy(self.status()), "bound", START_SECONDS_MAX)

    def write_routes(self, routes: tuple[Table, ...]) -> None:
        """The routes that the next start or reload is to find."""
        self._write("routing.toml", {"currency": "USD", "route": list(routes)})

    def _write(self, name: str, table: Table) -> None:
        (self.directory / name).write_text(
            "".join(f"{key} = {toml(value)}\n" for key, value in table.items()), encoding="utf-8"
        )


@contextmanager
def running_site(directory: Path, *simulate: str) -> Iterator[Site]:
    """A site with a simulator and a bound daemon, stopped in order at the end."""
    with Site(directory) as site:
        simulator = site.start_simulator(*simulate)
        daemon = site.start_daemon()
        site.wait_bound(daemon)
        yield site
        assert daemon.stop() == 0, daemon.tail()
        assert simulator.stop() == 0, simulator.tail()


def environment() -> dict[str, str]:
    """The tests' environment, with this package before any other of its name and no colours."""
    own = {key: value for key, value in os.environ.items() if not key.startswith("SMPPD")}
    root = str(Path(smppd.__file__).parent.parent)
    return {**own, "PYTHONPATH": root, "PYTHONUNBUFFERED": "1", "NO_COLOR": "1", "COLUMNS": "200"}


def toml(value: object) -> str:
    """``value`` as TOML writes it in one line: JSON but for tables."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key} = {toml(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(toml, value)) + "]"
    return json.dumps(value, ensure_ascii=False)


def ask(path: Path, line: Table) -> dict[str, object]:
    """One line to the daemon on ``path``, and its answer; raises OSError or EOFError."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(STOP_SECONDS_MAX)
        connection.connect(str(path))
        connection.sendall(msgspec.json.encode(line) + b"\n")
        with connection.makefile("rb") as answers:
            answer = answers.readline()
    if not answer.endswith(b"\n"):
        raise EOFError(f"{path}: closed before an answer")
    return msgspec.json.decode(answer, type=dict[str, object])


def is_answering(path: Path) -> bool:
    """Whether a daemon on ``path`` answers a ping."""
    try:
        return ask(path, {"type": "ping", "token": 1})["type"] == "pong"
    except (OSError, EOFError):
        return False


def _is_healthy(status: dict[str, object]) -> bool:
    carriers = status["carriers"]
    assert isinstance(carriers, list), status
    return all(carrier["healthy"] for carrier in carriers)


def _die_with_parent() -> None:
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
