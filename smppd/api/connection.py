"""One connection: two tasks over one stream, and so no lock.

The reader never writes, it leaves answers in the output and rings. Per read: requests, one
commit, answers in line order. What is written at once is all there is: answers, then events.

Numbered invariants:

1. No answer of a batch is in the output before the batch's commit.
2. ``accepted`` comes before that message's first event on the same connection: while a commit is
   awaited the writer sends no event above the app's ``latest`` of before that commit.
3. Memory: the reader reads on only while at most ``output_bytes_max`` of answers wait, and events
   are fetched from disk only when the previous write is done. A peer that does not read costs that
   much and holds up nobody, so no write has a deadline, but the last ones before a close.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Final, Protocol

import trio
from msgspec import UNSET

from smppd import faults
from smppd.api.answers import Answer, ErrorAnswer, SubscribedAnswer, wrap_answer
from smppd.api.controls import ANSWER_TYPES, ControlFault, Controls, serve_control
from smppd.api.conversation import Admission, Conversation
from smppd.api.intake import Intake
from smppd.api.outbox import Bell, EventSource, Outbox, Subscription
from smppd.api.peers import Rights
from smppd.api.protocol import AppProtocol
from smppd.api.replies import (
    CancelLine,
    Pending,
    Read,
    conclude,
    continue_cancel,
    is_message_id,
    refuse_unknown,
)
from smppd.api.requests import Query, Request, Subscribe
from smppd.smpp.throughput import Throughput
from smppd.store.changes import Change, Result
from smppd.store.view import MessageView

RECEIVE_BYTES_MAX: Final = 16 * 1024
"""One read, one batch: some 90 submits, half a millisecond to judge and some three with their
commit, which is what a one-time code waits behind a flood. Four times as much takes the code three
times as long, and costs the flood no less."""

OUTPUT_BYTES_MAX: Final = 1024 * 1024
"""Answers waiting for the writer, past which the reader stops reading: seconds of a busy client."""

OUTPUT_BYTES_ALL_MAX: Final = 256 * 1024 * 1024
"""The same over all connections, each of which has an equal part: ten thousand that do not read
must not cost ten thousand times what one may."""

CLOSE_SECONDS_MAX: Final = 10.0
"""For the last answers, after the peer has ended its side or has been told to go."""

LINGER_SECONDS_MAX: Final = 1.0
"""For a peer we close on to read why: unread octets of its own would turn our end into a reset."""


class Committer(Protocol):
    """As much of ``traffic``'s committer as the server needs."""

    async def commit(self, changes: list[Change]) -> list[Result]:
        """Makes ``changes`` durable, in order; one result each."""


class MessageSource(EventSource, Protocol):
    """As much of the store as the server reads."""

    def query(
        self, app: str, *, message_id: str | None = None, ref: str | None = None
    ) -> MessageView | None:
        """The whole life of one of the app's messages."""


class Services:
    """What all connections use: the rooms below, and the apps' paces.

    ``controls`` serves the control verbs; ``read_clock`` gives the wall time in ms.
    """

    def __init__(
        self,
        intake: Intake,
        store: MessageSource,
        committer: Committer,
        outbox: Outbox,
        controls: Controls,
        read_clock: Callable[[], int],
    ) -> None:
        self.intake = intake
        self.store = store
        self.committer = committer
        self.outbox = outbox
        self.controls = controls
        self.read_clock = read_clock
        self.lines = 0
        self.connections = 0
        self._paces: dict[str, Throughput] = {}

    @property
    def output_bytes_max(self) -> int:
        """Of answers that wait on one connection."""
        return min(OUTPUT_BYTES_MAX, OUTPUT_BYTES_ALL_MAX // max(self.connections, 1))

    def pace_of(self, app: str | None) -> Throughput | None:
        """The app's throughput over all its connections; None: without limit."""
        profile = self.intake.apps.get(app) if app is not None else None
        if app is None or profile is None or not profile.throughput:
            return None
        pace = self._paces.get(app)
        if pace is None:
            pace = self._paces[app] = Throughput(profile.throughput)
        elif pace.statistics().limit != profile.throughput:
            pace.set_limit(profile.throughput, trio.current_time())
        return pace


class Connection:
    """One peer's stream, from its first line to its last answer."""

    def __init__(
        self, services: Services, stream: trio.abc.HalfCloseableStream, rights: Rights
    ) -> None:
        self._services = services
        self._stream = stream
        self._protocol = AppProtocol()
        self._conversation = Conversation(services.intake, rights)
        self._subscription: Subscription | None = None
        self._seq_max: int | None = None
        self._output: list[bytes] = []
        self._output_bytes = 0
        self._work = Bell()
        self._room = Bell()
        self._ending = False
        self._broken = False

    async def run(self) -> None:
        """Returns when the peer has ended its side and has its answers, or was told to go."""
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._write_output)
                await self._read_lines()
                self._ending = True
                self._work.ring()
                nursery.cancel_scope.deadline = trio.current_time() + CLOSE_SECONDS_MAX
        finally:
            self._replace_subscription(None)
        if self._protocol.closed:
            await self._linger()

    # -- reader ---------------------------------------------------------------------------------

    async def _read_lines(self) -> None:
        while not self._protocol.closed:
            await self._wait_output_room()
            try:
                data = await self._stream.receive_some(RECEIVE_BYTES_MAX)
            except trio.BrokenResourceError:
                return
            if not data:
                return
            await self._answer_requests(self._protocol.receive_data(bytes(data)))

    async def _answer_requests(self, requests: list[Request]) -> None:
        self._services.lines += len(requests)
        while requests and not self._protocol.closed:
            admission = await self._admit(requests)
            results = await self._commit(admission.changes)
            await self._reply(conclude(admission.replies, results))
            requests = requests[admission.consumed :]

    async def _admit(self, requests: list[Request]) -> Admission:
        """Those that can be answered together, once the app's throughput lets any through."""
        services, conversation = self._services, self._conversation
        errors_max = self._protocol.errors_left
        pace = services.pace_of(conversation.app)
        if pace is None:
            return conversation.admit(requests, services.read_clock(), len(requests), errors_max)
        while True:
            now = trio.current_time()
            allowance = pace.allowance(now)
            admission = conversation.admit(requests, services.read_clock(), allowance, errors_max)
            pace.spend(admission.submits, now)
            if admission.consumed:
                return admission
            await trio.sleep_until(pace.next_at(now))

    async def _commit(self, changes: list[Change]) -> list[Result]:
        if not changes:
            await trio.lowlevel.checkpoint()  # lines that commit nothing must not own the loop
            return []
        if self._subscription is not None:
            self._seq_max = self._services.store.event_bounds(self._subscription.app).latest
        faults.reach("intake.before_commit")
        results = await self._services.committer.commit(changes)
        faults.reach("intake.after_commit")
        return results

    async def _reply(self, answers: list[Answer | Pending]) -> None:
        ready: list[Answer] = []
        for answer in answers:
            if not isinstance(answer, Pending):
                ready.append(answer)
                continue
            self._put_output(ready)
            if self._protocol.closed:
                return
            ready = []
            await self._wait_output_room()
            ready.append(await self._finish(answer))
        self._put_output(ready)

    async def _finish(self, pending: Pending) -> Answer:
        """The answer to what takes more than the batch's commit, which is made by now."""
        if isinstance(pending, CancelLine):
            return await self._finish_cancel(pending)
        assert isinstance(pending, Read), f"nothing finishes {pending!r}"
        request = pending.request
        if isinstance(request, Query):
            return self._find_message(pending.line, request)
        if isinstance(request, Subscribe):
            return self._subscribe(request)
        found = await serve_control(self._services.controls, request)
        if isinstance(found, ControlFault):
            return ErrorAnswer(found.code, found.reason, pending.line)
        return wrap_answer(ANSWER_TYPES[type(found)], found)

    async def _finish_cancel(self, cancel: CancelLine) -> Answer:
        """Goes on with a tag of many messages, a bounded number a commit."""
        while True:
            (result,) = await self._services.committer.commit([cancel.change])
            answer = continue_cancel(cancel, result)
            if not isinstance(answer, CancelLine):
                return answer
            cancel = answer

    def _find_message(self, line: int, query: Query) -> Answer:
        app = self._conversation.app
        assert app is not None, "intake lets nobody query for no app"
        view = None
        if query.ref is not UNSET:
            view = self._services.store.query(app, ref=query.ref)
        elif query.id is not UNSET and is_message_id(query.id):
            view = self._services.store.query(app, message_id=query.id)
        if view is None:
            return refuse_unknown(app, "ref" if query.id is UNSET else "id", line)
        return wrap_answer("message", view)

    def _subscribe(self, request: Subscribe) -> SubscribedAnswer:
        app = self._conversation.app
        assert app is not None, "intake lets nobody subscribe for no app"
        store = self._services.store
        bounds = store.event_bounds(app)
        after = bounds.taken if request.after is UNSET else request.after
        kinds = None if request.kinds is UNSET else frozenset(request.kinds)
        self._replace_subscription(Subscription(store, app, after, kinds, self._work))
        oldest, gap = bounds.oldest_after(after), bounds.has_gap(after)
        return SubscribedAnswer(after, oldest, bounds.latest, gap)

    def _replace_subscription(self, subscription: Subscription | None) -> None:
        if self._subscription is not None:
            self._services.outbox.discard(self._subscription)
        self._subscription = subscription
        if subscription is not None:
            self._services.outbox.add(subscription)

    def _put_output(self, answers: list[Answer]) -> None:
        """Hand answers to the writer, and with them every event it may send from now on."""
        data = self._protocol.encode_answers(answers)
        if data and not self._broken:
            self._output.append(data)
            self._output_bytes += len(data)
        self._seq_max = None
        self._work.ring()

    async def _wait_output_room(self) -> None:
        while self._output_bytes > self._services.output_bytes_max and not self._broken:
            await self._room.wait_rung()

    # -- writer ---------------------------------------------------------------------------------

    async def _write_output(self) -> None:
        while True:
            answers = self._take_answers()
            events = self._take_events()
            if answers or events:
                if events:
                    faults.reach("events.before_write")
                try:
                    await self._stream.send_all(answers + (events or b""))
                except trio.BrokenResourceError:
                    return self._give_up_writing()
                faults.reach("events.written" if events else "intake.answered")
            elif self._ending:
                return None
            elif events is None:
                await self._work.wait_rung()
            else:
                await trio.lowlevel.checkpoint()

    def _take_answers(self) -> bytes:
        data = b"".join(self._output)
        self._output.clear()
        self._output_bytes = 0
        self._room.ring()
        return data

    def _take_events(self) -> bytes | None:
        if self._subscription is None or self._ending:
            return None
        return self._subscription.take_nowait(self._seq_max)

    def _give_up_writing(self) -> None:
        """The peer reads no more. What it had sent is still read, judged and kept."""
        self._broken = True
        self._output.clear()
        self._output_bytes = 0
        self._room.ring()

    async def _linger(self) -> None:
        """Read over what the peer still sends, so that it sees our last line and then the end."""
        with trio.move_on_after(LINGER_SECONDS_MAX), suppress(trio.BrokenResourceError):
            await self._stream.send_eof()
            while await self._stream.receive_some(RECEIVE_BYTES_MAX):
                pass
