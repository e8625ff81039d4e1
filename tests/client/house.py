"""A scripted daemon on a real socket: it reads lines and says what the test says, blocking.

The client under test runs in a thread of its own (``running``), under Trio or without.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Final, TypeVar

from smppd.client import JsonObject

SECONDS_MAX: Final = 30.0
"""For any line or connection of the client under test, on slow cores."""

T = TypeVar("T")


class Peer:
    """The daemon's end of one connection."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._lines = connection.makefile("rb")

    def read(self, count: int = 1) -> list[JsonObject]:
        """The next lines of the client."""
        lines = [self._lines.readline() for _ in range(count)]
        assert all(line.endswith(b"\n") for line in lines), f"the client ended after {lines}"
        return [json.loads(line) for line in lines]

    def say(self, *lines: JsonObject) -> None:
        self._connection.sendall(b"".join(json.dumps(line).encode() + b"\n" for line in lines))

    def read_end(self) -> None:
        """Returns when the client has closed; fails on another line."""
        assert self._lines.readline() == b""

    def close(self) -> None:
        self._lines.close()
        self._connection.close()


class ScriptedDaemon:
    """Listens on ``path``."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(str(path))
        self._listener.listen()
        self._listener.settimeout(SECONDS_MAX)
        self._peers: list[Peer] = []

    def __enter__(self) -> ScriptedDaemon:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for peer in self._peers:
            peer.close()
        self._listener.close()

    def accept(self) -> Peer:
        """The client's next connection."""
        connection, _ = self._listener.accept()
        connection.settimeout(SECONDS_MAX)
        peer = Peer(connection)
        self._peers.append(peer)
        return peer

    def welcome(self) -> Peer:
        """The client's next connection, behind hello and welcome."""
        peer = self.accept()
        assert peer.read() == [{"type": "hello"}]
        peer.say({"type": "welcome", "app": "default"})
        return peer


@contextmanager
def running(work: Callable[[], T]) -> Iterator[Future[T]]:
    """``work`` in a thread; what it returned or raised is in the future, and looked at."""
    with ThreadPoolExecutor(1) as threads:
        future = threads.submit(work)
        yield future
        future.result(SECONDS_MAX)


def accepted(ref: str) -> JsonObject:
    return {"type": "accepted", "ref": ref, "id": f"id-{ref}", "segments": 1, "encoding": "gsm7"}


def event(seq: int, kind: str = "sent", id: str = "id-a", **more: object) -> JsonObject:
    return {
        "type": "event",
        "seq": seq,
        "event": kind,
        "id": id,
        "ref": None,
        "accepted_at": 1,
        "at": seq,
        **more,
    }


def subscribed(after: int, oldest: int = 1, *, latest: int = 0, gap: bool = False) -> JsonObject:
    bounds = {"after": after, "oldest": oldest, "latest": max(latest, after)}
    return {"type": "subscribed", "gap": gap, **bounds}


def message(state: str, *, final: bool, id: str = "id-a", at: int | None = None) -> JsonObject:
    return {
        "type": "message",
        "id": id,
        "ref": "a",
        "app": "default",
        "state": state,
        "final": final,
        "to": "+1",
        "from": "ACME",
        "class": "transactional",
        "encoding": "gsm7",
        "segments": 1,
        "accepted_at": 1,
        "expires_at": 2,
        "last_event_at": at,
        "a_field_of_a_later_release": 1,
    }
