"""A port that accepts when a test does, and the binds kept up to it, on a test's clock."""

from __future__ import annotations

import math
import os
import socket
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import trio
import trio.testing

from smppd.smpp.session import Timers
from smppd.traffic.carrier import BindKeeper, Endpoint
from smppd.traffic.outbind import OutbindListener
from smppd.traffic.settle import LinkProfile
from smppd.traffic.tls import Tls
from tests.smpp.pair import CREDENTIALS
from tests.traffic.line import Line, Smsc, open_line

Clock = trio.testing.MockClock

ENDLESS: Final = Timers(
    session_init_timer=1e6, enquire_link_timer=0.0, response_timer=1e6, inactivity_timer=0.0
)
WAIT_MIN: Final = 1.0
WAIT_MAX: Final = 4.0
WAIT_REFUSED: Final = 300.0
NAME: Final = "smsc.example"

REAL_SECONDS_MAX: Final = 20.0
"""For what the kernel does at once; only a failing test waits that long."""


class Centre:
    """A port, and the keepers of binds to it."""

    def __init__(self, line: Line, listener: trio.SocketListener, clock: Clock) -> None:
        self.line = line
        self.port = listener.socket.getsockname()[1]
        self.clock = clock
        self._listener = listener
        self._streams: list[trio.SocketStream] = []

    async def accept(self) -> Smsc:
        """The next connection."""
        stream = await self._listener.accept()
        self._streams.append(stream)
        return Smsc(stream)

    def accept_nowait(self) -> None:
        """The next connection, which is there already; else BlockingIOError."""
        self._streams.append(trio.SocketStream(_accept_nowait(self._listener)))

    async def listen_again(self) -> None:
        """On the same port."""
        (self._listener,) = await trio.open_tcp_listeners(self.port, host="127.0.0.1")

    async def accept_bound(self, keeper: BindKeeper) -> Smsc:
        """The next connection, bound."""
        smsc = await self.accept()
        await smsc.accept_bind()
        await until(lambda: keeper.status.state == "bound")
        return smsc

    async def close(self) -> None:
        """Nobody listens any more."""
        await self._listener.aclose()

    def hang_up(self) -> None:
        """Every connection is closed, and nobody listens."""
        for stream in self._streams:
            stream.socket.close()
        self._listener.socket.close()

    async def check_wait(self, keeper: BindKeeper, seconds: float) -> None:
        """The keeper waits ``seconds``, jittered down by at most three tenths, then connects."""
        attempts = keeper.status.reconnects
        await trio.testing.wait_all_tasks_blocked()
        self.clock.jump(0.69 * seconds)
        await trio.testing.wait_all_tasks_blocked()
        assert keeper.status.reconnects == attempts
        assert keeper.status.state in ("down", "refused"), keeper.status
        self.clock.jump(0.32 * seconds)


@asynccontextmanager
async def open_centre(directory: Path, clock: Clock, **settings: object) -> AsyncIterator[Centre]:
    """A line (``settings`` are its house's), and a port that accepts when a test does."""
    clock.autojump_threshold = math.inf
    async with open_line(directory, **settings) as line:  # type: ignore[arg-type]
        (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
        centre = Centre(line, listener, clock)
        try:
            yield centre
        finally:
            centre.hang_up()


def keep(
    centre: Centre,
    *,
    bind: int = 0,
    timers: Timers = ENDLESS,
    tls: Tls | None = None,
    listener: OutbindListener | None = None,
    host: str = "127.0.0.1",
    **fields: float,
) -> BindKeeper:
    """A keeper of one bind of alpha, not running yet; ``fields`` are its endpoint's."""
    house = centre.line.house
    endpoint = Endpoint(
        host,
        centre.port,
        CREDENTIALS,
        timers,
        reconnect_min=WAIT_MIN,
        reconnect_max=WAIT_MAX,
        reconnect_refused=WAIT_REFUSED,
        tls=tls,
        **fields,  # type: ignore[arg-type]
    )
    return BindKeeper(
        house.slot("alpha", bind),
        endpoint,
        LinkProfile("alpha", bind),
        committer=centre.line.committer,
        dispatch=house.dispatch,
        store=house.store,
        wall=centre.line.wall,
        listener=listener,
    )


def _accept_nowait(listener: trio.SocketListener) -> trio.socket.SocketType:
    """By the system's own call: Trio's waits."""
    number = os.dup(listener.socket.fileno())
    with socket.socket(fileno=number) as plain:
        accepted, _ = plain.accept()
    return trio.socket.from_stdlib_socket(accepted)


async def until(condition: Callable[[], bool]) -> None:
    """Lets everybody run until ``condition`` holds."""
    deadline = time.monotonic() + REAL_SECONDS_MAX
    while not condition():
        assert time.monotonic() < deadline, "it never came to be"
        await trio.lowlevel.checkpoint()
