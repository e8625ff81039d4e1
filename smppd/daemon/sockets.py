"""Where apps connect: on the sockets systemd has passed, else on one of our own.

A passed one belongs to systemd: it was there before us, keeps its name when we end, and whoever
connects while we restart waits in its queue.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import trio

from smppd.api.server import listening


@contextmanager
def listening_sockets(
    path: Path, passed: Mapping[str, list[int]]
) -> Iterator[list[trio.SocketListener]]:
    """Listeners for apps; ``passed`` are descriptors by name (``systemd.passed_sockets``).

    Raises OSError: where ``path`` cannot be listened on, or where a passed socket is not a Unix
    stream socket that listens. Over any other nobody could tell who is asking.
    """
    if not passed:
        with listening(path) as own:
            try:
                yield [own]
            finally:
                own.socket.close()
        return
    listeners = [_adopt(name, descriptor) for name, own in passed.items() for descriptor in own]
    try:
        yield listeners
    finally:
        for listener in listeners:
            listener.socket.close()


def _adopt(name: str, descriptor: int) -> trio.SocketListener:
    own = socket.socket(fileno=descriptor)
    is_ours = (
        own.family == socket.AF_UNIX
        and own.type == socket.SOCK_STREAM
        and own.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    )
    if not is_ours:
        own.close()
        reason = f"the passed socket {name!r} is no listening Unix stream socket"
        raise OSError(errno.EINVAL, f"{reason}; see ListenStream= of smppd.socket")
    return trio.SocketListener(trio.socket.from_stdlib_socket(own))
