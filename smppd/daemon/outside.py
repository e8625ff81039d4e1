"""All a daemon gets from outside: the time of day, connections, signals, threads and chance.

Nothing else in the daemon reads the wall clock, dials, listens, starts a thread or draws a lot: so
a daemon whose outside is another one is the same daemon in another world, and two worlds that are
alike see it do the same. Monotonic time is Trio's own (``trio.run(clock=...)``); files are real.
"""

from __future__ import annotations

import random
import signal
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Final, TypeVar, TypeVarTuple

import trio

from smppd.api.peers import Credentials
from smppd.api.server import AppListener, AppStream, read_peer
from smppd.daemon.sockets import listening_sockets

SIGNALS: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
"""What a daemon is told by signals: twice that it is to end, and that it is to read its
configuration again."""

Result = TypeVar("Result")
Arguments = TypeVarTuple("Arguments")


class Outside:
    """The real one. ``chance`` is for what must differ from bind to bind, and for no secret."""

    def __init__(self) -> None:
        self.chance = random.Random()

    def read_wall_clock(self) -> int:
        """Unix milliseconds: for records, validity and events; never for pacing or timers."""
        return time.time_ns() // 1_000_000

    async def open_tcp(self, host: str, port: int) -> trio.abc.Stream:
        """A connection to a carrier; OSError where there is none to be had."""
        return await trio.open_tcp_stream(host, port)

    async def open_tcp_listeners(
        self, host: str | None, port: int
    ) -> Sequence[trio.abc.Listener[trio.abc.Stream]]:
        """Where a carrier that calls us is waited for; OSError where we may not listen."""
        return await trio.open_tcp_listeners(port, host=host)

    def listening(
        self, path: Path, passed: Mapping[str, list[int]]
    ) -> AbstractContextManager[Sequence[AppListener]]:
        """Listeners for apps while the context lasts: at ``path``, or on the sockets ``passed``.
        Raises OSError as ``listening_sockets`` does."""
        return listening_sockets(path, passed)

    def read_peer(self, stream: AppStream) -> Credentials:
        """Who is on the other end of an app's connection."""
        return read_peer(stream)

    def receiving_signals(self) -> AbstractContextManager[AsyncIterator[int]]:
        """The numbers of SIGNALS as they come, while the context lasts."""
        return trio.open_signal_receiver(*SIGNALS)

    async def run_in_thread(
        self, work: Callable[[*Arguments], Result], *arguments: *Arguments
    ) -> Result:
        """What ``work`` returns, with the loop free meanwhile. It must touch nothing that runs."""
        return await trio.to_thread.run_sync(work, *arguments)
