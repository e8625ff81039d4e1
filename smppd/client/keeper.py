"""Keeps an exchange connected under Trio: one supervising task, and a reader and a writer.

It knows sockets and waiting, and nothing of what the lines mean: that is ``exchange``'s. Callers
wait for their answers over whatever connections those take, up to ``answer_seconds``.
"""

from __future__ import annotations

import random
from pathlib import Path

import trio

from smppd.client.connection import open_stream
from smppd.client.errors import DaemonUnreachable, EventsLost
from smppd.client.exchange import Exchange, retry_delay
from smppd.client.lines import RECEIVE_BYTES_MAX, Asked
from smppd.client.requests import CLOSE_SECONDS_MAX, OnGap
from smppd.client.shapes import Event


class Waiting:
    """A caller's wait for what it has asked."""

    def __init__(self, keeper: Keeper, asked: Asked) -> None:
        self.asked = asked
        self._keeper = keeper
        self._settled = trio.Event()
        asked.settle = lambda _: self._settled.set()

    async def wait(self) -> None:
        """Returns once it is settled; DaemonUnreachable when that takes too long."""
        keeper = self._keeper
        try:
            with trio.move_on_after(keeper.answer_seconds):
                await self._settled.wait()
        finally:
            self.abandon()
        if not self.asked.is_settled:
            raise DaemonUnreachable(f"no answer in {keeper.answer_seconds:g} s; {keeper.state}")

    def abandon(self) -> None:
        """Nobody waits any more."""
        if not self.asked.is_settled:
            self._keeper.exchange.abandon(self.asked)


class Keeper:
    """One exchange with the daemon on ``path``; ``run`` must be running.

    ``state`` says, for a person, how the connection is.
    """

    def __init__(self, path: Path, app: str | None, answer_seconds: float) -> None:
        self.exchange = Exchange(app)
        self.answer_seconds = answer_seconds
        self.state = f"{path}: not connected yet"
        self._path = path
        self._work = trio.Event()
        self._arrived = trio.Event()
        self._closing = trio.Event()
        self._ended = trio.Event()

    def ask(self, asked: Asked) -> Waiting:
        """Asks, now or when there is a connection."""
        waiting = Waiting(self, asked)
        self.exchange.ask(asked)
        self.wake()
        return waiting

    def wake(self) -> None:
        """There may be something to write."""
        self._work.set()
        self._work = trio.Event()

    async def wait_arrival(self) -> None:
        """Returns when something came, or the connection changed."""
        await self._arrived.wait()

    async def wait_ready(self, seconds: float) -> None:
        """Returns once the daemon has said welcome; raises why it does not."""
        with trio.move_on_after(seconds):
            while not self.exchange.is_ready and self.exchange.fault is None:
                await self.wait_arrival()
        if self.exchange.fault is not None:
            raise self.exchange.fault
        if not self.exchange.is_ready:
            raise DaemonUnreachable(self.state)

    async def close(self) -> None:
        """Writes what is still to be written; nothing can be asked any more."""
        self._closing.set()
        self.wake()
        with trio.move_on_after(CLOSE_SECONDS_MAX):
            await self._ended.wait()
        self.exchange.end(DaemonUnreachable("this client is closed"))
        self._note_arrival()

    async def run(self) -> None:
        """Opens connection after connection, until closed or refused for good."""
        failures = 0
        while self.exchange.fault is None and not self._closing.is_set():
            welcomes = self.exchange.statistics().connections
            await self._hold_connection()
            failures = 1 if self.exchange.statistics().connections > welcomes else failures + 1
            self.exchange.lose(self.state)
            self._note_arrival()
            with trio.move_on_after(retry_delay(failures, random.random())):
                await self._closing.wait()
        self._ended.set()

    async def _hold_connection(self) -> None:
        """One connection, from its first line to its end, however that comes."""
        try:
            stream = await open_stream(self._path)
        except DaemonUnreachable as error:
            self.state = str(error)
            return
        self.state = f"{self._path}: connected"
        self.exchange.begin()
        async with stream, trio.open_nursery() as nursery:
            nursery.start_soon(self._write_output, stream, nursery.cancel_scope)
            await self._read_lines(stream)
            nursery.cancel_scope.cancel()
        self.state = f"{self._path}: the daemon closed the connection"

    async def _write_output(self, stream: trio.abc.SendStream, scope: trio.CancelScope) -> None:
        while True:
            is_closing = self._closing.is_set()
            data = self.exchange.data_to_send(trio.current_time(), is_last=is_closing)
            if data:
                try:
                    await stream.send_all(data)
                except trio.BrokenResourceError:
                    return  # the reader learns why, as a reason may be on its way
            elif is_closing:
                scope.cancel()
                return
            else:
                with trio.move_on_at(self.exchange.next_at()):
                    await self._work.wait()

    async def _read_lines(self, stream: trio.abc.ReceiveStream) -> None:
        while self.exchange.is_connected:
            try:
                data = await stream.receive_some(RECEIVE_BYTES_MAX)
            except trio.BrokenResourceError:
                return
            if not data:
                return
            self.exchange.receive_data(data)
            self.wake()  # what came may have to be answered: a welcome, a full buffer
            self._note_arrival()

    def _note_arrival(self) -> None:
        self._arrived.set()
        self._arrived = trio.Event()


class Reading:
    """One loop's reading of the events: takes what it was given, and waits for more."""

    def __init__(self, keeper: Keeper, subscription: int, take: bool, on_gap: OnGap | None) -> None:
        self._keeper = keeper
        self._subscription = subscription
        self._take = take
        self._on_gap = on_gap
        self._given = 0

    async def wait_events(self, count_max: int) -> list[Event]:
        """The next events, at least one; those given before are done with."""
        keeper, exchange = self._keeper, self._keeper.exchange
        if self._given and self._take:
            exchange.take(self._given)
            keeper.wake()
        self._given = 0
        await trio.lowlevel.checkpoint()
        while True:
            exchange.check_reader(self._subscription)
            if not exchange.has_events:
                await keeper.wait_arrival()
                continue
            try:
                events = exchange.take_events(count_max)
            except EventsLost as lost:
                if self._on_gap is None:
                    raise
                self._on_gap(lost)
                continue
            keeper.wake()
            self._given = events[-1].seq
            return events
