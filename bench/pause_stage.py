"""What ``bench.pauses`` disturbs: a daemon, the carriers it is bound to, and its apps.

Everything is a process of its own, on a fresh store. The app ``drip`` submits evenly all the time,
to the carrier ``main``; whatever disturbs is done as the app ``crowd``, or as an operator, and its
messages go to the other carriers.
"""

from __future__ import annotations

import itertools
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Final

import msgspec

from bench.drip import Drip, DripResult
from bench.processes import Child, RunFailed, free_ports, is_listening, python
from bench.watched import STACKS_VARIABLE, Recording
from bench.yardstick import Yardstick

WAIT_SECONDS_MAX: Final = 120.0
"""For what is prepared before a disturbance: 50,000 messages, a large backup."""

LOOK_SECONDS: Final = 0.05
"""Between two looks at whether that is done: fifty a second would disturb by themselves."""

PREFIXES: Final = {
    "main": "4917",
    "quick": "49151",
    "keep": "49152",
    "mute": "49157",
    "deaf": "49159",
    "fragile": "49160",
    "idle": "49162",
    "flap": "49163",
}
"""The carriers, and the numbers that go to each: German mobile ones."""

PROFILES: Final = {
    "main": "",
    "quick": "",
    "keep": "lose_receipt_rate = 1.0\n",
    "mute": "hang_after = 0\n",
    "deaf": "stop_reading_after = 0\n",
    "fragile": "response_delay = 3600\n",
    "flap": "drop_after = 0\n",
}
"""How each behaves (docs/simulator.md); nobody listens where ``idle`` should be."""

CARRIER_KEYS: Final = {
    "main": "window = 100\n",
    "quick": "window = 100\n",
    "keep": "window = 100\n",
    "mute": "window = 1000\nresponse_timer = 4\n",
    "deaf": "window = 1000\nresponse_timer = 4\n",
    "fragile": "window = 1000\n",
    "idle": "window = 100\n",
    "flap": "window = 10\nreconnect_max = 0.1\n",
}

_refs = itertools.count()


class Status(msgspec.Struct):
    """As much of ``status`` as is asked for."""

    store: dict[str, object]
    carriers: list[dict[str, object]]

    def count(self, name: str) -> int:
        """One of the store's counts."""
        value = self.store[name]
        assert isinstance(value, int), f"{name} is no count"
        return value

    def is_bound(self, carrier: str) -> bool:
        """Whether a message can begin there."""
        return any(one["name"] == carrier and one["healthy"] for one in self.carriers)


class _Taken(msgspec.Struct):
    """Of what a simulated carrier counts."""

    accepted: int


class App:
    """One connection of an app, or of an operator where ``name`` is empty; it blocks."""

    def __init__(self, path: Path, name: str = "") -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.settimeout(WAIT_SECONDS_MAX)
        try:
            self._socket.connect(str(path))
        except OSError:
            self._socket.close()
            raise
        self._answers = self._socket.makefile("rb")
        if name:
            self.ask({"type": "hello", "app": name})

    def ask(self, request: dict[str, object]) -> dict[str, object]:
        """The answer to one request; RunFailed where it is an error."""
        self.send(msgspec.json.encode(request) + b"\n")
        return self.read()

    def send(self, data: bytes) -> None:
        """Lines, in one write."""
        self._socket.sendall(data)

    def read(self) -> dict[str, object]:
        """The next answer or event."""
        line = self._answers.readline()
        if not line:
            raise RunFailed("the daemon ended the connection")
        answer = msgspec.json.decode(line, type=dict[str, object])
        if answer["type"] == "error":
            raise RunFailed(f"the daemon answered {line.decode()!r}")
        return answer

    def submit(self, lines: Sequence[bytes], batch: int = 500) -> None:
        """Submits, ``batch`` in a write, each batch answered before the next; all accepted."""
        for start in range(0, len(lines), batch):
            part = lines[start : start + batch]
            self.send(b"".join(part))
            for _ in part:
                if (answer := self.read())["type"] != "accepted":
                    raise RunFailed(f"a submit was answered {answer}")

    def read_all(self) -> bytes:
        """All that comes until the end, where lines are no JSON."""
        return self._answers.read()

    def close(self) -> None:
        """Ends the connection."""
        self._answers.close()
        self._socket.close()


def make_submits(carrier: str, count: int, extra: str = "") -> list[bytes]:
    """Lines of ``crowd`` that go to a carrier, each to a number of its own; ``extra`` are further
    fields as JSON, with a comma behind."""
    prefix = PREFIXES[carrier]
    return [
        (
            f'{{"type":"submit","ref":"c{number}","to":"+{prefix}{number:08d}","from":"ACME",'
            f'{extra}"text":"Nr. {number}: on Monday between ten and twelve."}}\n'
        ).encode()
        for number in itertools.islice(_refs, count)
    ]


class LogPump:
    """Reads the daemon's log from a named pipe into a file, unless it is told to let it stand."""

    def __init__(self, directory: Path) -> None:
        self._log = directory / "daemon.log"
        self._may_read = threading.Event()
        self._may_read.set()
        self.pipe = directory / "daemon.pipe"
        os.mkfifo(self.pipe)
        # Opened for both, so that it has no end while no daemon runs.
        self._reading = os.open(self.pipe, os.O_RDWR)
        threading.Thread(target=self._run, daemon=True).start()

    def stop(self) -> None:
        """From now on nobody reads."""
        self._may_read.clear()

    def go_on(self) -> None:
        """Somebody reads again."""
        self._may_read.set()

    def _run(self) -> None:
        with self._log.open("wb") as log:
            while self._may_read.wait() and (data := os.read(self._reading, 65_536)):
                log.write(data)
                log.flush()


class Stage:
    """One daemon and its surroundings, gone when the ``with`` ends. ``carriers`` are the simulated
    ones that run, ``profiles`` go over the usual ones."""

    def __init__(
        self,
        directory: Path,
        carriers: Sequence[str],
        *,
        profiles: dict[str, str] | None = None,
        has_stacks: bool = False,
    ) -> None:
        self.directory = directory
        self.socket = directory / "smppd.sock"
        self.metrics = directory / "metrics.sock"
        self._carriers = carriers
        self._has_stacks = has_stacks
        self._profiles = {**PROFILES, **(profiles or {})}
        self._ports = dict(zip(PREFIXES, free_ports(len(PREFIXES)), strict=True))
        self._stack = ExitStack()
        self._sims: dict[str, Child] = {}
        self._starts = 0
        self.log = LogPump(directory)
        (directory / "carriers").mkdir()
        self.write_daemon_file()
        self.write_routing()
        for name in PREFIXES:
            if name in (*carriers, "idle"):
                self._write_carrier(directory, name)

    def __enter__(self) -> Stage:
        try:
            for name in self._carriers:
                self.start_carrier(name)
            self.start_daemon()
            self.operator = App(self.socket)
            self._stack.callback(self.operator.close)
            self.crowd = App(self.socket, "crowd")
            self._stack.callback(self.crowd.close)
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()

    # -- the configuration ---

    def write_daemon_file(self, retention: str = "") -> None:
        """``smppd.toml``; ``retention`` are the keys of its table."""
        (self.directory / "smppd.toml").write_text(
            '[daemon]\nsocket = "smppd.sock"\nstate = "state"\nmetrics = "unix:metrics.sock"\n'
            "drain_timeout = 1\n"  # some carriers never answer
            f"[retention]\n{retention}"
            f"[apps.drip]\nuid = {os.getuid()}\n"
            f"[apps.crowd]\nuid = {os.getuid()}\nstrict_numbers = false\n"
        )

    def write_routing(self, sheet_rows: int = 0, fault: str = "") -> None:
        """``routing.toml``, with a sheet of so many prefixes for ``quick``."""
        routes = "".join(
            f'[[route]]\nprefix = "{prefix}"\ncarrier = "{name}"\ncost = "0.01"\n'
            for name, prefix in PREFIXES.items()
            if name in (*self._carriers, "idle")
        )
        if sheet_rows:
            routes += '[[route]]\nprefix = ""\ncarrier = "main"\n'
            routes += '[[prices]]\ncarrier = "main"\nfile = "main.csv"\n'
            rows = "".join(f"{10_000_000 + row},0.{row % 9973:04d}1\n" for row in range(sheet_rows))
            (self.directory / "main.csv").write_text(f"prefix,cost\n{rows}{fault}")
        (self.directory / "routing.toml").write_text(f'currency = "EUR"\n{routes}')

    def _write_carrier(self, directory: Path, name: str) -> None:
        (directory / "carriers" / f"{name}.toml").write_text(
            f'host = "127.0.0.1"\nport = {self._ports[name]}\nsystem_id = "bench"\n'
            f'password = "bench"\nmessage_id = "same"\nreconnect_min = 0.1\n{CARRIER_KEYS[name]}'
        )

    # -- processes ---

    def start_carrier(self, name: str) -> None:
        """The simulator of one carrier, by its profile."""
        directory = self.directory / f"sim-{name}"
        if not directory.exists():
            (directory / "carriers").mkdir(parents=True)
            # Nobody opens it, but its path must not be too long for one.
            (directory / "smppd.toml").write_text(f'[daemon]\nsocket = "{self.directory}/s"\n')
            (directory / "routing.toml").write_text(
                f'currency = "EUR"\n[[route]]\nprefix = ""\ncarrier = "{name}"\ncost = "0.01"\n'
            )
            self._write_carrier(directory, name)
            (directory / "profile.toml").write_text(self._profiles[name])
        words = ("--json", "--config", str(directory), "--profile", f"{directory}/profile.toml")
        log = directory / "log"
        child = self._stack.enter_context(Child(python("smppd", "simulate", *words), log))
        child.wait_until(lambda: is_listening(self._ports[name]), "listening")
        self._sims[name] = child

    def kill_carrier(self, name: str) -> None:
        """The carrier's process is gone, and its links with it."""
        os.kill(self._sims.pop(name).pid, signal.SIGKILL)

    def end_carrier(self, name: str) -> int:
        """Ends a carrier in order; how many submit_sm it took."""
        self._sims.pop(name).stop()
        last = (self.directory / f"sim-{name}" / "log").read_bytes().splitlines()[-1]
        return msgspec.json.decode(last, type=_Taken).accepted

    def start_daemon(self) -> None:
        """Starts it, and returns when it is bound to all its carriers but those that never are."""
        self._starts += 1
        words = python("bench.watched", str(self._recording()), "run")
        stacks = f"{STACKS_VARIABLE}=1 " if self._has_stacks else ""
        shell = f'{stacks}exec "$0" "$@" >{self.log.pipe} 2>&1'
        words = ["sh", "-c", shell, *words, "--config", str(self.directory)]
        self.daemon = self._stack.enter_context(Child(words, self.directory / "sh.log"))
        wanted = [name for name in self._carriers if name not in ("flap",)]
        self.daemon.wait_until(lambda: self._is_bound(wanted), "bound")

    def _is_bound(self, wanted: Sequence[str]) -> bool:
        if not self.socket.exists():
            return False
        try:
            operator = App(self.socket)
        except OSError:
            return False
        try:
            status = read_status(operator)
        finally:
            operator.close()
        return all(status.is_bound(name) for name in wanted)

    def start_drip(self, rate: float) -> Child:
        """The app that submits evenly; it waits for a line before it begins."""
        drip = Drip(str(self.socket), "drip", rate, str(self.directory / "drip.result"))
        words = python("bench.drip", msgspec.json.encode(drip).decode())
        child = Child(words, self.directory / "drip.log", piped=True)
        self._stack.enter_context(child)
        child.read_line(lambda: None, LOOK_SECONDS)
        return child

    def end_drip(self, drip: Child) -> DripResult:
        """Its ledger, once all it submitted is final."""
        drip.write_line("stop")
        drip.read_line(lambda: None, LOOK_SECONDS)
        data = (self.directory / "drip.result").read_bytes()
        return msgspec.msgpack.decode(data, type=DripResult)

    def start_yardstick(self) -> Child:
        """What says how fast the machine is meanwhile."""
        words = python("bench.yardstick", str(self.directory / "yardstick"))
        return self._stack.enter_context(Child(words, self.directory / "yardstick.log"))

    def end_yardstick(self, yardstick: Child) -> Yardstick:
        """Its turns."""
        yardstick.stop()
        data = (self.directory / "yardstick").read_bytes()
        return msgspec.msgpack.decode(data, type=Yardstick)

    def smppctl(self, *words: str) -> None:
        """Runs an operator's command to its end; RunFailed where it fails."""
        done = subprocess.run(
            [sys.executable, "-c", "from smppd.ctl import app; app()", *words],
            cwd=self.directory,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)},
            capture_output=True,
            timeout=WAIT_SECONDS_MAX,
            check=False,
        )
        if done.returncode:
            said = (done.stdout + done.stderr).decode(errors="replace")[-2000:]
            raise RunFailed(f"smppctl {' '.join(words)} ended with {done.returncode}: {said}")

    # -- looking ---

    def status(self) -> Status:
        """What the daemon says of itself."""
        return read_status(self.operator)

    def wait_for(self, condition: Callable[[Status], bool], what: str) -> None:
        """Returns once ``condition`` holds; RunFailed if it does not in time."""
        deadline = time.monotonic() + WAIT_SECONDS_MAX
        while not condition(self.status()):
            if time.monotonic() > deadline:
                raise RunFailed(f"not {what} in {WAIT_SECONDS_MAX:g} s")
            time.sleep(LOOK_SECONDS)

    def is_running(self) -> bool:
        """Whether the daemon has not ended; one that was killed is waited for."""
        return os.waitpid(self.daemon.pid, os.WNOHANG)[0] == 0

    def _recording(self) -> Path:
        return self.directory / f"passes-{self._starts}"

    def read_recording(self) -> Recording:
        """What the daemon that was started last wrote down; it has ended."""
        return msgspec.msgpack.decode(self._recording().read_bytes(), type=Recording)

    def cpu_and_memory(self) -> tuple[float, int]:
        """The daemon's CPU seconds so far, and its private memory now."""
        return self.daemon.cpu_seconds(), self.daemon.private_bytes()


def read_status(operator: App) -> Status:
    """``status``, asked on a connection."""
    return msgspec.convert(operator.ask({"type": "status"}), Status)
