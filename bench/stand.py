"""A configuration that outlives its processes: for benches that fill a store, start and stop.

One SMSC listens on the ports of all carriers. A daemon can be started, stopped and started again
on the same store. Numbers are the bench's client's (+4917 and eight digits), and go to the carriers
evenly, by three of them.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import msgspec

from bench.centre import PASSWORD, SYSTEM_ID
from bench.load import Load
from bench.processes import (
    START_SECONDS_MAX,
    Child,
    RunFailed,
    ask_status,
    free_ports,
    is_listening,
    python,
)
from bench.submits import PREFIX

CARRIERS_MAX: Final = 1_000
"""Routes are by the three digits after +4917."""

CURRENCY: Final = 'currency = "EUR"\n'


class Counted(msgspec.Struct, frozen=True):
    """Of what the client counted and measured: as much as is compared here."""

    accepted: int
    sent: int
    delivered: int
    doubles: int
    seconds: float
    cpu_seconds: float


class Accepted(msgspec.Struct, frozen=True):
    """Of what the SMSC reports."""

    accepted: int


class StoreCounts(msgspec.Struct, frozen=True):
    """Of ``store`` in ``status``; ``live`` are the messages in memory."""

    queued: int
    live: int
    octets: int
    told: dict[str, int]


class StoreStatus(msgspec.Struct, frozen=True):
    """Of the answer to ``status``."""

    store: StoreCounts


class Stand:
    """``carriers`` with ``binds`` each, in ``directory``; nothing runs yet."""

    def __init__(
        self, directory: Path, *, carriers: int = 1, binds: int = 1, window: int = 100
    ) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.directory = directory
        self.socket = directory / "smppd.sock"
        self.state = directory / "state"
        self.ports = free_ports(carriers)
        (directory / "carriers").mkdir()
        self.write_app("")
        self.write("routing.toml", CURRENCY + "".join(_routes(carriers)))
        for number, port in enumerate(self.ports):
            self.write(
                f"carriers/c{number}.toml",
                f'host = "127.0.0.1"\nport = {port}\n'
                f'system_id = "{SYSTEM_ID}"\npassword = "{PASSWORD}"\n'
                f"binds = {binds}\nwindow = {window}\n"
                'message_id = "same"\nreconnect_min = 0.1\nreconnect_max = 0.5\n',
            )

    def write(self, name: str, text: str) -> None:
        """A file of the configuration."""
        (self.directory / name).write_text(text, encoding="utf-8")

    def write_app(self, name: str) -> None:
        """The one app there is from the next start on, this user's; "": the default one. Another
        app has refs and events of its own, so the client can begin anew on the same store."""
        app = f"[apps.{name}]\nuid = {os.getuid()}\n" if name else ""
        self.write("smppd.toml", f'[daemon]\nsocket = "smppd.sock"\nstate = "state"\n{app}')

    @contextmanager
    def smsc(self, *options: str) -> Iterator[Smsc]:
        """An SMSC on every carrier's port."""
        with Smsc(self, options) as running:
            yield running

    @contextmanager
    def daemon(self, *, bound: bool = True) -> Iterator[Child]:
        """A daemon that answers, with all binds up where ``bound``. To be stopped, or it is
        killed."""
        words = python("smppd", "run", "--config", str(self.directory))
        with Child(words, self.directory / "daemon.log") as child:
            child.wait_until(lambda: self._is_up(bound), "bound" if bound else "answering")
            yield child

    def wait_bound(self, daemon: Child) -> None:
        """Returns when all binds of a running daemon are up."""
        daemon.wait_until(lambda: self._is_up(True), "bound")

    def submit(self, messages: int, client_window: int) -> Client:
        """A client that has subscribed, and begins when it is told to."""
        load = Load(socket=str(self.socket), messages=messages, client_window=client_window)
        return Client(self, load)

    def connect(self) -> socket.socket:
        """A connection of an app, that waits no longer than for a start."""
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.settimeout(START_SECONDS_MAX)
        connection.connect(str(self.socket))
        return connection

    def status(self) -> StoreStatus:
        """What the daemon says of its store."""
        with self.connect() as connection:
            connection.sendall(b'{"type":"status"}\n')
            with connection.makefile("rb") as answers:
                return msgspec.json.decode(answers.readline(), type=StoreStatus)

    def _is_up(self, bound: bool) -> bool:
        status = ask_status(self.socket)
        return status is not None and (not bound or status.is_bound())


class Smsc(Child):
    """The bench's SMSC of a stand."""

    def __init__(self, stand: Stand, options: Sequence[str] = ()) -> None:
        self._report = stand.directory / "sink.json"
        ports = [word for port in stand.ports for word in ("--port", str(port))]
        words = python("bench.sink", *ports, "--report", str(self._report), *options)
        super().__init__(words, stand.directory / "sink.log")
        self.wait_until(lambda: all(map(is_listening, stand.ports)), "listening")

    def end(self) -> int:
        """Stops it; how many submit_sm it answered ESME_ROK."""
        self.stop()
        try:
            return msgspec.json.decode(self._report.read_bytes(), type=Accepted).accepted
        except (OSError, msgspec.DecodeError) as error:
            raise RunFailed(f"the SMSC left no report with 'accepted': {error}") from error


class Client(Child):
    """The bench's client, waiting for the word."""

    def __init__(self, stand: Stand, load: Load) -> None:
        words = python("bench.load", msgspec.json.encode(load).decode())
        super().__init__(words, stand.directory / "client.log", piped=True)
        self.read_line(lambda: None, 1.0)

    def run(self, look: Callable[[], None], seconds: float) -> Counted:
        """Submits everything; returns when all is final. ``look`` is called every ``seconds``."""
        self.write_line("go")
        return msgspec.json.decode(self.read_line(look, seconds), type=Counted)


def _routes(carriers: int) -> Iterator[str]:
    if carriers == 1:
        yield '[[route]]\nprefix = "49"\ncarrier = "c0"\ncost = "0.01"\n'
        return
    for number in range(CARRIERS_MAX):
        prefix, carrier = f"{PREFIX}{number:03d}", f"c{number % carriers}"
        yield f'[[route]]\nprefix = "{prefix}"\ncarrier = "{carrier}"\ncost = "0.01"\n'


def drop_cache(directory: Path) -> None:
    """Has the kernel forget what it keeps of the files in ``directory``; they must not be open."""
    for path in directory.iterdir():
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)  # what is dirty stays
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        finally:
            os.close(descriptor)
