"""What a simulated daemon gets from outside: the world's clocks, its network, its operator."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar, TypeVarTuple

import trio

from smppd.api.peers import Credentials
from smppd.api.server import AppListener, AppStream
from smppd.daemon.outside import Outside
from tests.simulation.net import Stream

if TYPE_CHECKING:
    from tests.simulation.life import Life

THREAD_SECONDS_MAX: Final = 0.5
"""What a thread may take, as others see it: its work is done at once, its result comes later."""

Result = TypeVar("Result")
Arguments = TypeVarTuple("Arguments")


class SimulatedOutside(Outside):
    """One daemon's; ``life`` is its."""

    def __init__(self, life: Life, chance: random.Random) -> None:
        self.chance = chance
        self._life = life

    def read_wall_clock(self) -> int:
        return self._life.world.wall.read()

    async def open_tcp(self, host: str, port: int) -> trio.abc.Stream:
        return await self._life.dial(host, port)

    @contextmanager
    def listening(
        self, path: Path, passed: Mapping[str, list[int]]
    ) -> Iterator[Sequence[AppListener]]:
        assert not passed, "nobody passes sockets here"
        listener = Listener()
        self._life.listener = listener
        try:
            yield [listener]
        finally:
            self._life.listener = None
            listener.close()

    def read_peer(self, stream: AppStream) -> Credentials:
        return self._life.peers[stream]

    @contextmanager
    def receiving_signals(self) -> Iterator[AsyncIterator[int]]:
        yield self._life.signals

    async def run_in_thread(
        self, work: Callable[[*Arguments], Result], *arguments: *Arguments
    ) -> Result:
        result = work(*arguments)
        await trio.sleep(self.chance.uniform(0.0, THREAD_SECONDS_MAX))
        return result


class Listener(trio.abc.Listener[AppStream]):
    """Where apps come in."""

    def __init__(self) -> None:
        self._offer, self._take = trio.open_memory_channel[Stream](1_000)

    def offer(self, stream: Stream) -> None:
        """Somebody has connected; OSError where too many wait, or nobody listens any more."""
        try:
            self._offer.send_nowait(stream)
        except (trio.WouldBlock, trio.ClosedResourceError) as error:
            raise ConnectionRefusedError("nobody takes connections") from error

    async def accept(self) -> AppStream:
        return await self._take.receive()

    async def aclose(self) -> None:
        self.close()
        await trio.lowlevel.checkpoint()

    def close(self) -> None:
        """Whoever was not accepted yet is turned away."""
        while True:
            try:
                self._take.receive_nowait().close()
            except (trio.WouldBlock, trio.EndOfChannel, trio.ClosedResourceError):
                break
        self._take.close()
        self._offer.close()
