"""The blocking face: the same verbs over a plain socket, with no event loop and no thread.

It reads, writes and connects while it is called, and only then: a connection lost between two
calls shows, and is mended, at the next one. ``wire`` sees to the socket, ``exchange`` to what is
asked and unanswered and where the events stand.

One client serves one thread at a time; a call while another runs raises RuntimeError. A thread
that sends while another reads events has a client of its own, and a process after a fork, too: a
connection costs little.
"""

from __future__ import annotations

import math
import threading
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from types import TracebackType

from smppd.client.errors import DaemonUnreachable, EventsLost
from smppd.client.exchange import After, Statistics
from smppd.client.lines import Asked, ask_one
from smppd.client.requests import (
    ANSWER_SECONDS,
    CHUNKS_AHEAD,
    CLOSE_SECONDS_MAX,
    CONNECT_SECONDS,
    EVENTS_MAX,
    FOLLOW_SECONDS,
    Followed,
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
from smppd.client.wire import Wire


class SyncClient:
    """A client of the daemon on the socket ``path``; ``app`` where this user may be several.

    ``answer_seconds`` are for any one answer, ``connect_seconds`` for the first connection; both
    may be ``math.inf``. ``with`` it, or ``close`` it. What asks raises DaemonUnreachable when no
    answer came in time, and ProtocolError where the daemon answers ``error``; so does making one,
    when nobody answers, or the daemon does not want us (``not_allowed``, ``unknown_app``).
    """

    def __init__(
        self,
        path: str | PathLike[str],
        app: str | None = None,
        *,
        answer_seconds: float = ANSWER_SECONDS,
        connect_seconds: float = CONNECT_SECONDS,
    ) -> None:
        self._answer_seconds = answer_seconds
        self._path = Path(path)
        self._app = app
        self._wire = Wire(self._path, app)
        self._exchange = self._wire.exchange
        self._busy = threading.Lock()
        is_ready = self._wire.pump(lambda: self._exchange.is_ready, connect_seconds)
        fault = self._exchange.fault or (None if is_ready else DaemonUnreachable(self._wire.state))
        if fault is not None:
            self.close()
            raise fault

    def __enter__(self) -> SyncClient:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Writes what is still to be written; nothing can be asked any more."""
        self._wire.close(CLOSE_SECONDS_MAX)

    def statistics(self) -> Statistics:
        """What has happened so far."""
        return self._exchange.statistics()

    def submit(self, message: Submit) -> Accepted | Rejected:
        """``Accepted`` means on disk. After DaemonUnreachable nobody knows: submit the same
        ``message`` again, its ``ref`` sees to it that it is sent once.
        """
        (answer,) = self.submit_many([message])
        return answer

    def submit_many(self, messages: Sequence[Submit]) -> list[Accepted | Rejected]:
        """One answer each, in order; far quicker than one by one."""
        answers: list[Accepted | Rejected] = []
        ahead: deque[tuple[Sequence[Submit], Asked]] = deque()
        with self._alone():
            try:
                for chunk in cut_submits(messages):
                    if len(ahead) == CHUNKS_AHEAD:
                        answers += self._wait_submitted(*ahead.popleft())
                    asked = ask_submits(chunk)
                    self._exchange.ask(asked)
                    ahead.append((chunk, asked))
                while ahead:
                    answers += self._wait_submitted(*ahead.popleft())
            finally:
                for _, asked in ahead:
                    self._exchange.abandon(asked)
        return answers

    def query(self, *, id: str | None = None, ref: str | None = None) -> Message:
        """The whole life of one message, by one of the two."""
        return read_answer(self.ask(name_message("query", id=id, ref=ref)), Message)

    def quote(self, message: Submit) -> Quoted:
        """What ``message`` would be and cost; nothing is stored or sent."""
        return read_answer(self.ask(make_quote(message)), Quoted)

    def cancel(
        self, *, id: str | None = None, ref: str | None = None, tag: str | None = None
    ) -> Cancelled:
        """Stops what has not gone yet: one message, or all of a ``tag``. Not repeated after a lost
        connection (DaemonUnreachable says so then): cancel again if it still should be.
        """
        return read_answer(self.ask(name_message("cancel", id=id, ref=ref, tag=tag)), Cancelled)

    def ping(self) -> None:
        """Returns once the daemon has answered."""
        self.ask({"type": "ping"})

    def ask(self, request: JsonObject) -> JsonObject:
        """Any request of the protocol, ``type`` and all, and its answer as it is: control verbs,
        say. ``hello``, ``subscribe`` and ``taken`` are the client's own.
        """
        asked = ask_one(request)
        with self._alone():
            self._exchange.ask(asked)
            self._wait_settled(asked)
        return asked.only_result()

    def events(
        self,
        after: After = None,
        kinds: Iterable[str] = (),
        *,
        take: bool = True,
        on_gap: OnGap | None = None,
    ) -> Iterator[Event]:
        """The app's events, one by one, without end and over any number of connections.

        An event is taken when the loop asks for the next one; with ``take`` False, by ``taken``.
        Begins where the app was (see ``After``). One loop at a time: a second call replaces the
        first, whose loop ends with RuntimeError. Where events are gone, the loop raises
        EventsLost, or tells ``on_gap`` and goes on.
        """
        subscription = self._exchange.subscribe(after, tuple(kinds))
        batches = self._read(subscription, 1, take, on_gap)
        return (event for (event,) in batches)

    def event_batches(
        self,
        after: After = None,
        kinds: Iterable[str] = (),
        *,
        take: bool = True,
        on_gap: OnGap | None = None,
    ) -> Iterator[list[Event]]:
        """As ``events``, in batches of what has come: from one to EVENTS_MAX."""
        subscription = self._exchange.subscribe(after, tuple(kinds))
        return self._read(subscription, EVENTS_MAX, take, on_gap)

    def taken(self, seq: int) -> None:
        """Events up to ``seq`` are done with and need not come again; the daemon hears it at once
        or, where that was a moment ago, at the next call.
        """
        with self._alone():
            self._exchange.take(seq)
            self._wire.flush()

    def follow(self, id: str) -> Iterator[Event]:
        """One message's events until the last; they are not taken.

        What was told before is summed up in one event of ``seq`` 0, made from ``query``. It is
        followed over a connection of its own, for as long as the loop lasts.
        """
        followed = Followed(id)
        yield from followed.heed_message(self.query(id=id))
        if followed.is_ended:
            return
        wire = Wire(self._path, self._app)
        exchange = wire.exchange
        try:
            subscription = exchange.subscribe("latest", ())
            wire.pump(lambda: exchange.is_subscribed, self._answer_seconds)
            yield from followed.heed_message(self.query(id=id))
            while not followed.is_ended:
                yield from self._hear(wire, subscription, followed)
        finally:
            wire.close(0)

    def _hear(self, wire: Wire, subscription: int, followed: Followed) -> list[Event]:
        """What is new about one message: from the events that come, or asked when none do."""
        exchange = wire.exchange
        wire.pump(lambda: exchange.has_events, FOLLOW_SECONDS)
        exchange.check_reader(subscription)
        if not exchange.has_events:
            return followed.heed_message(self.query(id=followed.id))
        try:
            events = exchange.take_events(EVENTS_MAX)
        except EventsLost:
            return []  # the state says what they would have
        return [news for event in events for news in followed.heed_event(event)]

    def _read(
        self, subscription: int, count_max: int, take: bool, on_gap: OnGap | None
    ) -> Iterator[list[Event]]:
        exchange = self._exchange
        while True:
            with self._alone():
                self._wire.pump(lambda: exchange.has_events, math.inf)
                exchange.check_reader(subscription)
                try:
                    events = exchange.take_events(count_max)
                except EventsLost as lost:
                    if on_gap is None:
                        raise
                    on_gap(lost)
                    continue
            yield events
            if take:
                self.taken(events[-1].seq)

    def _wait_submitted(
        self, messages: Sequence[Submit], asked: Asked
    ) -> list[Accepted | Rejected]:
        self._wait_settled(asked)
        return read_submitted(messages, asked.result())

    def _wait_settled(self, asked: Asked) -> None:
        try:
            self._wire.pump(lambda: asked.is_settled, self._answer_seconds)
        finally:
            if not asked.is_settled:
                self._exchange.abandon(asked)
        if not asked.is_settled:
            raise DaemonUnreachable(f"no answer in {self._answer_seconds:g} s; {self._wire.state}")

    @contextmanager
    def _alone(self) -> Iterator[None]:
        if not self._busy.acquire(blocking=False):
            raise RuntimeError("a SyncClient serves one thread at a time; make one for each")
        try:
            self._wire.look()
            yield
        finally:
            self._busy.release()
