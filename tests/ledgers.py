"""An app under load and its ledger, a carrier with its own, and what both must agree on.

``App`` does what a careful app does: it submits under refs, sends every ref that was not answered
again after a reconnect, and reads events from the last ``seq`` it saw. Everything it was told is
kept. ``WatchedCarrier`` is a simulated carrier that says what passes. The ``find_…`` functions
hold the ledgers against each other and return what is wrong, so that a test can name it.
"""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeAlias

import trio

from smppd.client import Connection, DaemonUnreachable, connect
from smppd.simulator import Behaviour, SimulatedCarrier, SubmitRecord
from smppd.simulator.deliveries import Delivery
from smppd.simulator.schedule import Schedule
from smppd.smpp.session import SubmitAnswer
from smppd.smpp.signals import DeliverAnswered, SubmitReceived

JsonObject: TypeAlias = dict[str, Any]
"""A line of the protocol, as the client hands it out."""

Note: TypeAlias = Callable[[str, int], None]
"""Told what has passed (``accepted``, ``event``, ``submit_sm``, ``deliver_sm`` or
``deliver_sm_resp``) and how many of it."""

BATCH: Final = 25
"""Submits in one write."""

WRITERS: Final = 3
"""Batches on their way at once."""

RESENT_ANSWERED: Final = 10
"""Refs sent again after a reconnect although they were answered: they are duplicates then."""

FINAL: Final = frozenset({"delivered", "failed", "expired", "unconfirmed", "cancelled"})
ORDER: Final = ("uncertain True", "uncertain False", "sent", *sorted(FINAL))


def make_submit(number: int) -> JsonObject:
    """The submit numbered ``number``: its destination is its alone; some are long, some urgent."""
    text = f"Order {number} has shipped."
    if number % 5 == 0:
        text += " It comes to your door between nine and noon, so somebody should be in." * 5
    elif number % 9 == 0:
        text = f"订单 {number} 已发货。" * 9
    submit: JsonObject = {"ref": f"o-{number}", "to": f"+49170{number:07}", "from": "ACME"}
    submit["text"] = text
    if number % 13 == 0:
        submit["class"] = "otp"
    elif number % 17 == 0:
        submit["class"] = "promotional"
    if number % 11 == 0:
        submit["receipt"] = False
    return submit


def is_closing(event: JsonObject) -> bool:
    """Whether the message may have no further event (docs/protocol.md, Events)."""
    name = event["event"]
    if name == "sent":
        return not event["receipt"]
    return name in FINAL or (name == "uncertain" and not event["resend"])


def _note_nothing(kind: str, count: int) -> None:
    pass


class App:
    """``backlog`` messages are on their way at once, until ``finish`` or ``messages_max`` of them;
    ``make`` makes them, by their numbers. Of every ``cancel_every`` one is cancelled again, once it
    is accepted.

    ``answers`` keep when they were read (``read_at``, Unix milliseconds), ``cancels`` are the
    answers to those, by ref.
    """

    def __init__(
        self,
        socket: Path,
        *,
        backlog: int,
        note: Note = lambda kind, count: None,
        make: Callable[[int], JsonObject] = make_submit,
        cancel_every: int = 0,
        messages_max: int | None = None,
    ) -> None:
        self._socket = socket
        self._backlog = backlog
        self._note = note
        self._make = make
        self._cancel_every = cancel_every
        self._messages_max = messages_max
        self._finishing = False
        self._waiting: deque[str] = deque()
        self._moved = trio.Event()
        self.submits: dict[str, JsonObject] = {}
        self.ids: dict[str, str] = {}
        self.answers: list[JsonObject] = []
        self.events: list[JsonObject] = []
        self.cancels: dict[str, JsonObject] = {}
        self.open: set[str] = set()
        self.reconnects = 0

    def finish(self) -> None:
        """Nothing new; ``carry`` returns once every message has its outcome."""
        self._finishing = True
        self._move()

    async def carry(self) -> bool:
        """One connection, to its end; True when every message has its outcome."""
        unanswered = [ref for ref in self.submits if ref not in self.ids]
        self._waiting = deque(unanswered + list(self.ids)[-RESENT_ANSWERED:])
        self.reconnects += 1
        try:
            async with connect(self._socket) as client:
                subscribed = await client.subscribe(after=len(self.events))
                assert not subscribed["gap"], subscribed
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._read_events, client)
                    for _ in range(WRITERS):
                        nursery.start_soon(self._submit, client)
                    await self._wait_finished()
                    nursery.cancel_scope.cancel()
        except* DaemonUnreachable:
            pass
        return self._is_finished()

    async def catch_up(self) -> list[JsonObject]:
        """The events since the end of the last connection: a doubt that ended a message may have
        been settled after all."""
        async with connect(self._socket) as client:
            subscribed = await client.subscribe(after=len(self.events))
            known = len(self.events)
            while len(self.events) < subscribed["latest"]:
                self._keep_events(await client.wait_events())
        return self.events[known:]

    async def _submit(self, client: Connection) -> None:
        while True:
            refs = self._take_refs()
            if not refs:
                await self._moved.wait()
                continue
            answers = await client.submit([self.submits[ref] for ref in refs])
            for ref, answer in zip(refs, answers, strict=True):
                self._keep_answer(ref, answer)
            self._note("accepted", len(answers))
            self._move()
            await self._cancel(client, refs)

    async def _cancel(self, client: Connection, refs: list[str]) -> None:
        numbered = {ref: int(ref.rpartition("-")[2]) for ref in refs if self._cancel_every}
        for ref, number in numbered.items():
            if number % self._cancel_every == 1 and ref in self.ids and ref not in self.cancels:
                self.cancels[ref] = await client.ask({"type": "cancel", "ref": ref})

    def _take_refs(self) -> list[str]:
        while len(self._waiting) < BATCH and self._wants_more():
            submit = self._make(len(self.submits))
            ref = submit["ref"]
            self.submits[ref] = submit
            self.open.add(ref)
            self._waiting.append(ref)
        return [self._waiting.popleft() for _ in range(min(BATCH, len(self._waiting)))]

    def _wants_more(self) -> bool:
        made, most = len(self.submits), self._messages_max
        return len(self.open) < self._backlog and not self._finishing and made != most

    def _keep_answer(self, ref: str, answer: JsonObject) -> None:
        if answer["type"] == "rejected" and answer["code"] == "draining":
            return
        assert answer["type"] == "accepted", answer
        assert answer["ref"] == ref, answer
        self.answers.append({**answer, "read_at": time.time_ns() // 1_000_000})
        known = self.ids.setdefault(ref, answer["id"])
        assert known == answer["id"], f"{ref} was {known} and is {answer['id']}"

    async def _read_events(self, client: Connection) -> None:
        while True:
            events = await client.wait_events()
            self._keep_events(events)
            self._note("event", len(events))
            self._move()

    def _keep_events(self, events: list[JsonObject]) -> None:
        for event in events:
            assert event["seq"] == len(self.events) + 1, event
            self.events.append(event)
            if is_closing(event):
                self.open.discard(event["ref"])

    async def _wait_finished(self) -> None:
        while not self._is_finished():
            await self._moved.wait()

    def _is_finished(self) -> bool:
        return self._finishing and not self.open and len(self.ids) == len(self.submits)

    def _move(self) -> None:
        self._moved.set()
        self._moved = trio.Event()


class WatchedCarrier(SimulatedCarrier):
    """A simulated carrier whose traffic is noted before anybody else learns of it."""

    def __init__(self, name: str, behaviour: Behaviour, note: Note) -> None:
        super().__init__(name, "smppd", "secret", behaviour, ledger=True)
        self._note = note

    def answer(
        self,
        signals: list[SubmitReceived],
        answers: Schedule[SubmitAnswer],
        now: float,
        *,
        is_old: bool = False,
    ) -> None:
        super().answer(signals, answers, now, is_old=is_old)
        self._note("submit_sm", len(signals))

    def take_deliveries(self, room: int, now: float) -> list[Delivery]:
        taken = super().take_deliveries(room, now)
        self._note("deliver_sm", len(taken))
        return taken

    def settle(self, signals: list[DeliverAnswered], now: float) -> None:
        super().settle(signals, now)
        self._note("deliver_sm_resp", len(signals))


def find_flagged(events: list[JsonObject]) -> set[str]:
    """Refs whose events say that they were, or may have been, sent twice."""
    return {
        event["ref"]
        for event in events
        if event["event"] == "uncertain" or event.get("maybe_duplicate")
    }


def find_doubled(app: App, records: list[SubmitRecord]) -> set[str]:
    """Refs of which the carrier was given a segment more than once."""
    seen = Counter((record.destination, record.udh[-2:]) for record in records)
    doubled = {destination for (destination, _), count in seen.items() if count > 1}
    return {ref for ref, submit in app.submits.items() if submit["to"][1:] in doubled}


def find_lost(app: App, records: list[SubmitRecord]) -> set[str]:
    """Accepted refs without an outcome, or with one of a carrier that never saw them."""
    seen = {record.destination for record in records}
    last = {event["ref"]: event for event in app.events}
    return {
        ref
        for ref in app.ids
        if ref not in last
        or not is_closing(last[ref])
        or (
            last[ref]["event"] not in ("uncertain", "cancelled")
            and app.submits[ref]["to"][1:] not in seen
        )
    }


def find_wrong_stories(events: list[JsonObject]) -> dict[str, list[str]]:
    """Messages whose events cannot all be true, by ref."""
    stories: dict[str, list[str]] = {}
    for event in events:
        name = event["event"]
        if name == "inbound":
            continue
        stories.setdefault(event["ref"], []).append(
            f"{name} {event['resend']}" if name == "uncertain" else name
        )
    return {ref: story for ref, story in stories.items() if not _is_sound(story)}


def find_disagreements(
    app: App, records: list[SubmitRecord], store: dict[str, JsonObject]
) -> dict[str, JsonObject]:
    """Messages of which the store says other than the app was told or the carrier answered."""
    last = {event["ref"]: event for event in app.events}
    flagged = {event["ref"] for event in app.events if event.get("maybe_duplicate")}
    ids: dict[str, set[str]] = {}
    for record in records:
        ids.setdefault(record.destination, set()).add(record.message_id)
    return {
        ref: message
        for ref, message in store.items()
        if message["id"] != app.ids[ref]
        or message["state"] != last[ref]["event"]
        or message["maybe_duplicate"] != (ref in flagged)
        or not {part["message_id"] or "" for part in message["parts"]}
        <= ids.get(message["to"][1:], set()) | {""}
    }


def _is_sound(story: list[str]) -> bool:
    """Each at most once, a promise before what ends it, ``sent`` before what a receipt brings."""
    ended = [name for name in story if name in FINAL]
    return len(ended) <= 1 and story == sorted(set(story), key=ORDER.index)
