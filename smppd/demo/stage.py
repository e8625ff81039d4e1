"""The demo's two processes: the simulator and the daemon, as ``python -m smppd`` would run them.

They get a configuration of their own in a temporary directory, ports nobody uses, and a log file
each. Both are stopped with SIGTERM and must end with exit code 0; whatever goes wrong, the ends
of their logs are shown and no process is left.
"""

from __future__ import annotations

import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

import msgspec

from smppd.client import JsonObject
from smppd.demo.plan import CARRIERS, REFUSE_RATES, ROUTES
from smppd.errors import SmppdError

START_SECONDS_MAX: Final = 20.0
"""From exec to readiness: one second on an idle core."""

STOP_SECONDS_MAX: Final = 20.0
"""From SIGTERM to the end: one second, as the windows are empty by then."""

LOOK_SECONDS: Final = 0.02
"""Between two looks at a starting process."""

PORTS: Final = range(20_000, 30_000)
"""Below Linux's ephemeral ports, so that no outgoing connection is in the way."""

LOG_LINES_SHOWN: Final = 15
"""The end of each log, when something went wrong."""

ORDINARY_CARRIER: Final = """\
host = "127.0.0.1"
port = {port}
system_id = "smppd"
password = "secret"
reconnect_min = 0.2
"""


class StageFailed(SmppdError):
    """A process did not start, did not end in order, or ended too early."""


class Stage(msgspec.Struct):
    """Where the app finds the daemon; and, once both have ended, what each carrier counted."""

    socket: Path
    counts: dict[str, JsonObject] = msgspec.field(default_factory=dict)


@contextmanager
def set_stage(directory: Path) -> Iterator[Stage]:
    """Simulator and daemon running in ``directory``; stopped and judged at the end."""
    stage = Stage(directory / "run" / "smppd.sock")
    write_configuration(directory)
    with ExitStack() as stack:
        simulator = stack.enter_context(_running(directory, "simulate", *_simulation()))
        simulator.wait_until(lambda: simulator.has_said("ready"))
        daemon = stack.enter_context(_running(directory, "run"))
        daemon.wait_until(lambda: is_listening(stage.socket))
        yield stage
    stage.counts = {counts["carrier"]: counts for counts in simulator.said_objects()}


def write_configuration(directory: Path) -> None:
    """A whole configuration on free ports."""
    (directory / "carriers").mkdir()
    (directory / "smppd.toml").write_text('[daemon]\nmap_size = "1GiB"\n', encoding="utf-8")
    for (name, keys), port in zip(CARRIERS.items(), free_ports(len(CARRIERS)), strict=True):
        text = ORDINARY_CARRIER.format(port=port) + keys
        (directory / "carriers" / f"{name}.toml").write_text(text, encoding="utf-8")
    routes = "".join(
        f'[[route]]\nprefix = "{prefix}"\ncarrier = "{carrier}"\ncost = "{cost}"\n'
        for prefix, carrier, cost in ROUTES
    )
    (directory / "routing.toml").write_text(f'currency = "USD"\n{routes}', encoding="utf-8")


def free_ports(count: int) -> list[int]:
    """``count`` TCP ports of this host on which nobody listens."""
    found: list[int] = []
    for port in random.sample(PORTS, len(PORTS)):
        if len(found) == count:
            break
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)):
                found.append(port)
    return found


def is_listening(path: Path) -> bool:
    """Whether somebody accepts connections on the Unix socket ``path``."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        return probe.connect_ex(str(path)) == 0


class _Child:
    """One process, and the file its output goes to."""

    def __init__(self, directory: Path, command: str, arguments: list[str]) -> None:
        self.command = command
        self._log = directory / f"{command}.log"
        with self._log.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "smppd", command, "--config", str(directory), *arguments],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def has_said(self, text: str) -> bool:
        """Whether its output so far holds ``text``."""
        return text in self._log.read_text(encoding="utf-8", errors="replace")

    def said_objects(self) -> list[JsonObject]:
        """The JSON objects among its lines."""
        lines = self._log.read_bytes().splitlines()
        return [msgspec.json.decode(line) for line in lines if line.startswith(b"{")]

    def wait_until(self, condition: Callable[[], bool]) -> None:
        """Returns once ``condition`` holds; StageFailed if that is never."""
        deadline = time.monotonic() + START_SECONDS_MAX
        while not condition():
            if self.process.poll() is not None:
                raise StageFailed(f"smppd {self.command} ended with {self.process.returncode}")
            if time.monotonic() > deadline:
                raise StageFailed(f"smppd {self.command} is not up in {START_SECONDS_MAX:g} s")
            time.sleep(LOOK_SECONDS)

    def stop(self) -> None:
        """SIGTERM; StageFailed unless it ends, with 0."""
        self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(STOP_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            raise StageFailed(
                f"smppd {self.command} runs on {STOP_SECONDS_MAX:g} s after SIGTERM"
            ) from None
        if code:
            raise StageFailed(f"smppd {self.command} ended with exit code {code}")

    def show_log(self) -> None:
        """The end of its output, on stderr."""
        lines = self._log.read_text(encoding="utf-8", errors="replace").splitlines()
        print(f"-- smppd {self.command}, its last lines", file=sys.stderr)
        print("\n".join(lines[-LOG_LINES_SHOWN:]), file=sys.stderr)


@contextmanager
def _running(directory: Path, command: str, *arguments: str) -> Iterator[_Child]:
    """A process that is stopped at the end, or killed and its log shown if anything failed."""
    child = _Child(directory, command, list(arguments))
    try:
        yield child
        child.stop()
    except BaseException as error:
        child.process.kill()
        child.process.wait()
        if not isinstance(error, KeyboardInterrupt):
            child.show_log()
        raise


def _simulation() -> list[str]:
    rates = [f"--refuse-rate={name}={rate}" for name, rate in REFUSE_RATES.items()]
    return ["--json", "--response-delay=0.005", "--receipt-delay=0.05", "--seed=1", *rates]
