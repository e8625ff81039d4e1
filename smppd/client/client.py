"""The Trio face: the app's verbs, typed, for any number of tasks.

``keeper`` sees to the connection, ``exchange`` to what is asked and unanswered and where the
events stand; ``following`` to single messages.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from os import PathLike
from pathlib import Path

import trio

from smppd.client.exchange import After, Statistics
from smppd.client.following import Follow, Follower
from smppd.client.keeper import Keeper, Reading, Waiting
from smppd.client.lines import ask_one
from smppd.client.requests import (
    ANSWER_SECONDS,
    CHUNKS_AHEAD,
    CONNECT_SECONDS,
    EVENTS_MAX,
    OnGap,
    ask_submits,
    cut_submits,
    make_quote,
    name_message,
    read_answer,
    read_submitted,
)
from smppd.client.shapes import (
    Accepted,
    Cancelled,
    Event,
    JsonObject,
    Message,
    Quoted,
    Rejected,
    Submit,
)


class Client:
    """Made by ``open_client``. Its tasks may share it; answers come to whoever asked.

    What asks raises DaemonUnreachable when no answer came in time, and ProtocolError where the
    daemon answers ``error``.
    """

    def __init__(self, keeper: Keeper, follower: Follower) -> None:
        self._keeper = keeper
        self._follower = follower

    def statistics(self) -> Statistics:
        """What has happened so far."""
        return self._keeper.exchange.statistics()

    async def submit(self, message: Submit) -> Accepted | Rejected:
        """``Accepted`` means on disk. After DaemonUnreachable nobody knows: submit the same
        ``message`` again, its ``ref`` sees to it that it is sent once.
        """
        (answer,) = await self.submit_many([message])
        return answer

    async def submit_many(self, messages: Sequence[Submit]) -> list[Accepted | Rejected]:
        """One answer each, in order; far quicker than one by one."""
        answers: list[Accepted | Rejected] = []
        ahead: deque[tuple[Sequence[Submit], Waiting]] = deque()
        await trio.lowlevel.checkpoint()
        try:
            for chunk in cut_submits(messages):
                if len(ahead) == CHUNKS_AHEAD:
                    answers += await _wait_submitted(*ahead.popleft())
                ahead.append((chunk, self._keeper.ask(ask_submits(chunk))))
            while ahead:
                answers += await _wait_submitted(*ahead.popleft())
        finally:
            for _, waiting in ahead:
                waiting.abandon()
        return answers

    async def query(self, *, id: str | None = None, ref: str | None = None) -> Message:
        """The whole life of one message, by one of the two."""
        return read_answer(await self.ask(name_message("query", id=id, ref=ref)), Message)

    async def quote(self, message: Submit) -> Quoted:
        """What ``message`` would be and cost; nothing is stored or sent."""
        return read_answer(await self.ask(make_quote(message)), Quoted)

    async def cancel(
        self, *, id: str | None = None, ref: str | None = None, tag: str | None = None
    ) -> Cancelled:
        """Stops what has not gone yet: one message, or all of a ``tag``. Not repeated after a lost
        connection (DaemonUnreachable says so then): cancel again if it still should be.
        """
        request = name_message("cancel", id=id, ref=ref, tag=tag)
        return read_answer(await self.ask(request), Cancelled)

    async def ping(self) -> None:
        """Returns once the daemon has answered every line before this one."""
        await self.ask({"type": "ping"})

    async def ask(self, request: JsonObject) -> JsonObject:
        """Any request of the protocol, ``type`` and all, and its answer as it is: control verbs,
        say. ``hello``, ``subscribe`` and ``taken`` are the client's own.
        """
        asked = ask_one(request)
        await self._keeper.ask(asked).wait()
        return asked.only_result()

    def events(
        self,
        after: After = None,
        kinds: Iterable[str] = (),
        *,
        take: bool = True,
        on_gap: OnGap | None = None,
    ) -> AsyncIterator[Event]:
        """The app's events, one by one, without end and over any number of connections.

        An event is taken when the loop asks for the next one; with ``take`` False, by ``taken``.
        Begins where the app was (see ``After``). One loop at a time: a second call replaces the
        first, whose loop ends with RuntimeError. Where events are gone, the loop raises
        EventsLost, or tells ``on_gap`` and goes on.
        """
        return _Events(self._read(after, kinds, take, on_gap))

    def event_batches(
        self,
        after: After = None,
        kinds: Iterable[str] = (),
        *,
        take: bool = True,
        on_gap: OnGap | None = None,
    ) -> AsyncIterator[list[Event]]:
        """As ``events``, in batches of what has come: from one to EVENTS_MAX."""
        return _EventBatches(self._read(after, kinds, take, on_gap))

    def taken(self, seq: int) -> None:
        """Events up to ``seq`` are done with and need not come again; the daemon hears it soon."""
        self._keeper.exchange.take(seq)
        self._keeper.wake()

    def follow(self, id: str) -> AsyncIterator[Event]:
        """One message's events until the last; they are not taken.

        What was told before is summed up in one event of ``seq`` 0, made from ``query``.
        """
        return Follow(self._follower, lambda id: self.query(id=id), id)

    def _read(
        self, after: After, kinds: Iterable[str], take: bool, on_gap: OnGap | None
    ) -> Reading:
        subscription = self._keeper.exchange.subscribe(after, tuple(kinds))
        self._keeper.wake()
        return Reading(self._keeper, subscription, take, on_gap)


@asynccontextmanager
async def open_client(
    path: str | PathLike[str],
    app: str | None = None,
    *,
    answer_seconds: float = ANSWER_SECONDS,
    connect_seconds: float = CONNECT_SECONDS,
) -> AsyncIterator[Client]:
    """A client of the daemon on the socket ``path``; ``app`` where this user may be several.

    ``answer_seconds`` are for any one answer, ``connect_seconds`` for the first connection; both
    may be ``math.inf``. Raises DaemonUnreachable when nobody answers, ProtocolError
    (``not_allowed``, ``unknown_app``) when the daemon does not want us. What the body raises comes
    out as it is.
    """
    failure: BaseException | None = None
    keeper = Keeper(Path(path), app, answer_seconds)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(keeper.run)
        try:
            await keeper.wait_ready(connect_seconds)
            yield Client(keeper, Follower(Path(path), app, nursery))
        except BaseException as error:  # raised again below, outside of the nursery's group
            failure = error
        with trio.CancelScope(shield=True):
            await keeper.close()
        nursery.cancel_scope.cancel()
    if failure is not None:
        raise failure


async def _wait_submitted(
    messages: Sequence[Submit], waiting: Waiting
) -> list[Accepted | Rejected]:
    await waiting.wait()
    return read_submitted(messages, waiting.asked.result())


class _Events:
    def __init__(self, reading: Reading) -> None:
        self._reading = reading

    def __aiter__(self) -> _Events:
        return self

    async def __anext__(self) -> Event:
        (event,) = await self._reading.wait_events(1)
        return event


class _EventBatches:
    def __init__(self, reading: Reading) -> None:
        self._reading = reading

    def __aiter__(self) -> _EventBatches:
        return self

    async def __anext__(self) -> list[Event]:
        return await self._reading.wait_events(EVENTS_MAX)
