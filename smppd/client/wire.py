"""Keeps an exchange connected over a plain socket, for as long as somebody calls ``pump``.

What ``keeper`` is to Trio: it knows sockets and waiting, and nothing of what the lines mean.
"""

from __future__ import annotations

import math
import random
import select
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

from smppd.client.errors import DaemonUnreachable
from smppd.client.exchange import Exchange, retry_delay
from smppd.client.lines import RECEIVE_BYTES_MAX
from smppd.client.requests import OPEN_SECONDS_MAX

LOOKS_MAX: Final = 64
"""Reads at the beginning of a call: 8 MB, far more than a socket holds between two calls."""


class Wire:
    """One exchange with the daemon on ``path``; ``state`` says, for a person, how it stands."""

    def __init__(self, path: Path, app: str | None) -> None:
        self.exchange = Exchange(app)
        self.state = f"{path}: not connected yet"
        self._path = path
        self._socket: socket.socket | None = None
        self._output = bytearray()
        self._failures = 0
        self._welcomes = 0
        self._retry_at = -math.inf

    def pump(self, is_done: Callable[[], bool], seconds: float) -> bool:
        """Reads, writes and connects until ``is_done``, or until the exchange has a fault; False
        when that takes more than ``seconds``.
        """
        deadline = time.monotonic() + seconds
        while not is_done() and self.exchange.fault is None:
            now = time.monotonic()
            if now >= deadline:
                return False
            if self._socket is None:
                self._connect(now, deadline)
            else:
                self._serve(self._socket, now, deadline)
        return True

    def look(self) -> None:
        """Reads what has come since the last call, so that a connection that has ended meanwhile
        is known to have ended before anything more is asked over it.
        """
        for _ in range(LOOKS_MAX):
            if self._socket is None or not _has_come(self._socket):
                return
            self._read(self._socket)

    def flush(self) -> None:
        """Writes what there is, as far as it can be written without waiting."""
        if self._socket is not None:
            self._output += self.exchange.data_to_send(time.monotonic())
            if self._output:
                self._write(self._socket)

    def close(self, seconds: float) -> None:
        """Writes what is still to be written, for so long; nothing can be asked any more."""
        if self._socket is not None:
            self._output += self.exchange.data_to_send(time.monotonic(), is_last=True)
            self._socket.settimeout(seconds)
            with suppress(OSError):  # then the daemon is gone, and forgets nothing by it
                self._socket.sendall(self._output)
            self._socket.close()
            self._socket = None
        self.exchange.end(DaemonUnreachable("this client is closed"))

    def _connect(self, now: float, deadline: float) -> None:
        """One try, not before it is time for it."""
        if now < self._retry_at:
            time.sleep(min(self._retry_at, deadline) - now)
            return
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connection.settimeout(max(0.001, min(OPEN_SECONDS_MAX, deadline - now)))
            connection.connect(str(self._path))
        except OSError as error:
            connection.close()
            self._note_failure(f"{self._path}: {error.strerror or error}")
            return
        connection.setblocking(False)
        self._socket = connection
        self.state = f"{self._path}: connected"
        self.exchange.begin()

    def _serve(self, connection: socket.socket, now: float, deadline: float) -> None:
        """Waits until something can be read or written, and does it."""
        self._output += self.exchange.data_to_send(now)
        poll = select.poll()
        poll.register(connection, select.POLLIN | (select.POLLOUT if self._output else 0))
        until = min(deadline, self.exchange.next_at())
        ready = poll.poll(None if until == math.inf else math.ceil(max(0, until - now) * 1000))
        for _, event in ready:
            if event & select.POLLOUT:
                self._write(connection)
            if event & ~select.POLLOUT:
                self._read(connection)

    def _write(self, connection: socket.socket) -> None:
        try:
            del self._output[: connection.send(self._output)]
        except BlockingIOError:
            pass
        except OSError:
            self._output.clear()  # the reader learns why, as a reason may be on its way

    def _read(self, connection: socket.socket) -> None:
        try:
            data = connection.recv(RECEIVE_BYTES_MAX)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if data:
            self.exchange.receive_data(data)
        if not data or not self.exchange.is_connected:
            self._lose(connection)

    def _lose(self, connection: socket.socket) -> None:
        connection.close()
        self._socket = None
        self._output.clear()
        welcomes = self.exchange.statistics().connections
        if welcomes > self._welcomes:
            self._welcomes = welcomes
            self._failures = 0
        self._note_failure(f"{self._path}: the daemon closed the connection")

    def _note_failure(self, state: str) -> None:
        self.state = state
        self._failures += 1
        self._retry_at = time.monotonic() + retry_delay(self._failures, random.random())
        if self.exchange.fault is None:
            self.exchange.lose(state)


def _has_come(connection: socket.socket) -> bool:
    poll = select.poll()
    poll.register(connection, select.POLLIN)
    return bool(poll.poll(0))
