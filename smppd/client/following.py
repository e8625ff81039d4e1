"""Messages that are followed under Trio, over one connection for all that a client follows.

A connection of its own, because it must see events as they happen, whatever a slow loop over
``events`` holds up. It takes nothing, and it may miss events: what they would have told is asked
for, as ``requests.Followed`` sees fit.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import TypeAlias
from weakref import WeakValueDictionary

import trio

from smppd.client.keeper import Keeper, Reading
from smppd.client.requests import EVENTS_MAX, FOLLOW_SECONDS, Followed
from smppd.client.shapes import Event, Message
from smppd.errors import SmppdError

Query: TypeAlias = Callable[[str], Awaitable[Message]]


class Story:
    """What has been heard of one message that is followed; ``heard`` is set by the next event."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.heard = trio.Event()


class Follower:
    """All that a client follows, over one connection that begins with the first of it."""

    def __init__(self, path: Path, app: str | None, nursery: trio.Nursery) -> None:
        self._keeper = Keeper(path, app, math.inf)
        self._nursery = nursery
        self._stories: WeakValueDictionary[str, Story] = WeakValueDictionary()
        self._is_running = False

    async def listen(self, message_id: str) -> Story:
        """The message's story from now on, for as long as somebody keeps it."""
        story = self._stories.setdefault(message_id, Story())
        if not self._is_running:
            self._is_running = True
            self._nursery.start_soon(self._keeper.run)
            self._nursery.start_soon(self._run)
        exchange = self._keeper.exchange
        while not exchange.is_subscribed and exchange.fault is None:
            await self._keeper.wait_arrival()
        return story

    async def _run(self) -> None:
        subscription = self._keeper.exchange.subscribe("latest", ())
        reading = Reading(self._keeper, subscription, False, lambda lost: None)
        with suppress(SmppdError):  # the client's own connection ends for the same reason
            while True:
                for event in await reading.wait_events(EVENTS_MAX):
                    if story := self._stories.get(event.id):
                        story.events.append(event)
                        story.heard.set()
                        story.heard = trio.Event()


class Follow:
    """One loop that follows one message; ``query`` gives its life so far."""

    def __init__(self, follower: Follower, query: Query, message_id: str) -> None:
        self._follower = follower
        self._query = query
        self._followed = Followed(message_id)
        self._is_begun = False
        self._story: Story | None = None
        self._position = 0

    def __aiter__(self) -> Follow:
        return self

    async def __anext__(self) -> Event:
        await trio.lowlevel.checkpoint()
        while not self._followed.is_ended:
            if not self._is_begun:
                self._is_begun = True
                news = await self._ask()
            elif self._story is None:
                self._story = await self._follower.listen(self._followed.id)
                self._position = len(self._story.events)
                news = await self._ask()
            else:
                news = await self._hear(self._story)
            if news:
                return news[0]
        raise StopAsyncIteration

    async def _hear(self, story: Story) -> list[Event]:
        with trio.move_on_after(FOLLOW_SECONDS):
            while self._position == len(story.events):
                await story.heard.wait()
        if self._position == len(story.events):
            return await self._ask()
        self._position += 1
        return self._followed.heed_event(story.events[self._position - 1])

    async def _ask(self) -> list[Event]:
        return self._followed.heed_message(await self._query(self._followed.id))
