"""An app that is careful, over connections that are not: what it was told is its ledger.

It submits under refs, sends every ref that was not answered again after a reconnect and some that
were, reads events from the last ``seq`` it saw, and takes messages back now and then. What it is
told is judged as it comes: the stream has no gap, an id never changes, a story is one that can be.
"""

from __future__ import annotations

import random
from collections import deque
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import msgspec
import trio

from smppd.client import Connection, ProtocolError
from smppd.errors import SmppdError
from tests.simulation.natures import PASSING
from tests.simulation.violations import Violation

if TYPE_CHECKING:
    from tests.simulation.world import World

JsonObject: TypeAlias = dict[str, Any]

FINAL: Final = frozenset({"delivered", "failed", "expired", "cancelled"})
"""Of these a message gets at most one, whatever else it got."""

PREFIXES: Final = ("49170", "44770", "1202", "86138")
"""Of destinations; the routing table has other offers for each."""

SENDERS: Final = ("ACME", "ACME", "4915550001", "4444")
"""To the numbers among them phones may reply."""

BATCH_MAX: Final = 12
"""Submits in one write."""

RETRY_CODES: Final = frozenset({"draining", "storage_full", "backlog_full"})
"""Rejections after which a careful app asks again."""

LAST_CODES: Final = frozenset({"no_route", "unknown_carrier", "expired"})
"""Rejections that are right where the routing table or the time has changed."""


class AppPlan(msgspec.Struct, frozen=True):
    """How busy an app is: batches come ``every`` so many seconds, until ``total`` messages."""

    every: float
    total: int
    takes: bool


class App:
    """``ids`` are the accepted, by ref; ``open`` refs have not come to their end."""

    def __init__(self, world: World, name: str, uid: int, plan: AppPlan) -> None:
        self.world = world
        self.name = name
        self.uid = uid
        self.plan = plan
        self.submits: dict[str, JsonObject] = {}
        self.ids: dict[str, str] = {}
        self.rejected: dict[str, str] = {}
        self.events: list[JsonObject] = []
        self.stories: dict[str, list[JsonObject]] = {}
        self.open: set[str] = set()
        self.inbound: list[JsonObject] = []
        self.cancelled: set[str] = set()
        self.duplicates = 0
        self.connections = 0
        self.is_finishing = False
        self.is_reading = True
        self._chance: random.Random = world.chance(f"app {name}")
        self._waiting: deque[str] = deque()
        self._moved = trio.Event()
        self._taken = 0

    async def run(self) -> None:
        """Lives until it is cancelled."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._think)
            while True:
                await self._connect()
                await trio.sleep(self._chance.uniform(0.05, 3.0))

    def finish(self) -> None:
        """Nothing new from now on; what was not answered is still asked for."""
        self.is_finishing = True
        self.is_reading = True
        self._move()

    def is_finished(self) -> bool:
        """Whether everything was answered and has come to its end."""
        answered = len(self.ids) + len(self.rejected)
        return self.is_finishing and not self.open and answered == len(self.submits)

    # -- what it wants ---

    async def _think(self) -> None:
        """Makes up messages, at its own pace, whether or not anybody answers."""
        while len(self.submits) < self.plan.total and not self.is_finishing:
            for _ in range(self._chance.randint(1, BATCH_MAX)):
                self._make()
            self._move()
            await trio.sleep(self._chance.expovariate(1 / self.plan.every))

    def _make(self) -> None:
        chance, number = self._chance, len(self.submits)
        ref = f"{self.name}-{number}"
        prefix = chance.choice(PREFIXES)
        destination = f"{prefix}{self.uid % 10}{number:06}"
        text = f"Order {number} has shipped."
        kind = chance.random()
        if kind < 0.2:
            text += " It comes to your door between nine and noon, so be in." * chance.randint(3, 8)
        elif kind < 0.3:
            text = f"订单 {number} 已发货。" * chance.randint(4, 12)
        elif kind < 0.4:
            text = f"Order {number}: siparişiniz yola çıktı. " * chance.randint(1, 8)
        sender = chance.choice(SENDERS)
        submit: JsonObject = {"ref": ref, "to": f"+{destination}", "from": sender, "text": text}
        submit["class"] = chance.choice(["transactional", "transactional", "otp", "promotional"])
        submit["valid_for"] = chance.choice([60, 300, 900, 1800])
        if chance.random() < 0.1:
            submit["receipt"] = False
        if chance.random() < 0.1:
            submit["send_at"] = self.world.wall.read() + chance.randint(0, 300_000)
        if chance.random() < 0.3:
            submit["tag"] = f"campaign-{number // 50}"
        self.submits[ref] = submit
        self.world.destinations[destination] = (self.name, ref)
        self._waiting.append(ref)
        self.open.add(ref)

    # -- one connection ---

    async def _connect(self) -> None:
        life = self.world.life
        if life is None:
            return
        self.connections += 1
        try:
            name = f"app.{self.name}.{self.connections}"
            stream = life.connect_app(name, self.uid)
        except OSError:
            return
        unanswered = [ref for ref in self.submits if ref not in self.ids | self.rejected]
        again = list(self.ids)[-10:] if self._chance.random() < 0.5 else []
        self._waiting = deque([*again, *unanswered])
        try:
            async with stream, trio.open_nursery() as nursery:
                connection = Connection(stream)
                nursery.start_soon(connection.run)
                await self._use(connection)
                nursery.cancel_scope.cancel()
        except* (SmppdError, trio.ClosedResourceError, trio.BrokenResourceError):
            pass

    async def _use(self, connection: Connection) -> None:
        await connection.hello()
        subscribed = await connection.subscribe(after=len(self.events))
        if subscribed["gap"]:
            raise Violation("events are kept", f"{self.name}: {subscribed}")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._read_events, connection)
            nursery.start_soon(self._submit, connection)
            nursery.start_soon(self._take_back, connection)
            await trio.sleep(self._chance.expovariate(1 / 300))
            nursery.cancel_scope.cancel()

    async def _submit(self, connection: Connection) -> None:
        while True:
            count = min(len(self._waiting), self._chance.randint(1, BATCH_MAX))
            refs = [self._waiting.popleft() for _ in range(count)]
            if not refs:
                await self._moved.wait()
                continue
            answers = await connection.submit([self.submits[ref] for ref in refs])
            retried = [
                ref
                for ref, answer in zip(refs, answers, strict=True)
                if not self._keep_answer(ref, answer)
            ]
            if retried:
                self.world.counts["rejected for now"] += len(retried)
                await trio.sleep(self._chance.uniform(0.5, 5.0))
                self._waiting.extend(retried)

    def _keep_answer(self, ref: str, answer: JsonObject) -> bool:
        """False where it is to be asked again."""
        if answer["type"] == "rejected" and answer["code"] in RETRY_CODES and ref not in self.ids:
            return False
        if answer["type"] == "rejected" and answer["code"] in LAST_CODES and ref not in self.ids:
            self.rejected[ref] = answer["code"]
            self.open.discard(ref)
            return True
        if answer["type"] != "accepted" or answer.get("ref") != ref:
            raise Violation("a bound ref is answered with its id", f"{ref}: {answer}")
        known = self.ids.setdefault(ref, answer["id"])
        if known != answer["id"]:
            raise Violation("a ref has one id", f"{ref} was {known} and is {answer['id']}")
        self.duplicates += bool(answer.get("duplicate"))
        return True

    async def _take_back(self, connection: Connection) -> None:
        while True:
            await trio.sleep(self._chance.expovariate(1 / 40))
            if not self.ids or self.is_finishing:
                continue
            ref = self._chance.choice(list(self.ids)[-60:])
            request: JsonObject = {"type": "cancel"}
            tag = self.submits[ref].get("tag")
            if tag and self._chance.random() < 0.2:
                request["tag"] = tag
            else:
                request["ref"] = ref
            try:
                answer = await connection.ask(request)
            except ProtocolError as error:
                raise Violation("an accepted ref can be cancelled", f"{ref}: {error}") from None
            self.world.counts["cancelled"] += answer["count"]
            if answer["count"] and "ref" in request:
                destination = self.submits[ref]["to"][1:]
                self._judge_cancelled(destination)
                self.world.book.cancelled.add(destination)
                self.cancelled.add(ref)

    def _judge_cancelled(self, destination: str) -> None:
        sent = [one for ones in self.world.book.of(destination).values() for one in ones]
        if any(one.status <= 0 for one in sent):
            raise Violation("what a carrier may have is not cancelled", f"{sent}", destination)

    # -- events ---

    async def _read_events(self, connection: Connection) -> None:
        while True:
            while not self.is_reading:
                await self._moved.wait()
            for event in await connection.wait_events():
                self._keep_event(event)
            if self.plan.takes and len(self.events) > self._taken:
                self._taken = len(self.events)
                connection.take(self._taken)
            self._move()

    def _keep_event(self, event: JsonObject) -> None:
        if event["seq"] != len(self.events) + 1:
            raise Violation("the event stream has no gap", f"{len(self.events)}, then {event}")
        self.events.append(event)
        if event["event"] == "inbound":
            self._keep_inbound(event)
            return
        ref = event["ref"]
        story = self.stories.setdefault(ref, [])
        story.append(event)
        if ref not in self.submits:
            raise Violation("events are of what was submitted", f"{event}")
        self._judge_story(ref, story)
        if is_closing(event):
            self.open.discard(ref)
        elif event["event"] in ("uncertain", "sent"):
            self.open.add(ref)

    def _keep_inbound(self, event: JsonObject) -> None:
        self.inbound.append(event)
        answered = event.get("reply_to")
        if answered is not None:
            submit = self.submits.get(answered["ref"], {"to": "", "from": ""})
            if (submit["to"], submit["from"]) != (f"+{event['from']}", event["to"]):
                raise Violation("a reply is to what was sent", f"{event}: {submit}")

    def _judge_story(self, ref: str, story: list[JsonObject]) -> None:
        names = [event["event"] for event in story]
        about = self.submits[ref]["to"][1:]
        known = self.ids.get(ref)
        if known is not None and story[-1]["id"] != known:
            raise Violation("a ref has one id", f"{ref}: {story[-1]}", about)
        if sum(name in FINAL for name in names) > 1:
            raise Violation("one final event", f"{ref}: {names}", about)
        if names.count("sent") > 1:
            raise Violation("sent once", f"{ref}: {names}", about)
        if any(name in FINAL for name in names[:-1]):
            raise Violation("nothing after the final event", f"{ref}: {names}", about)
        if names[-1] == "delivered" and "sent" not in names and "uncertain" not in names:
            raise Violation("sent before delivered", f"{ref}: {names}", about)
        if names[-1] == "failed" and int(story[-1].get("status") or "0", 16) in PASSING:
            raise Violation("nothing fails for what passes", f"{ref}: {story[-1]}", about)
        resends = sum(event["event"] == "uncertain" and event["resend"] for event in story)
        if resends > 1 and about not in self.world.resolved:
            raise Violation("resent for doubt once", f"{ref}: {names}", about)
        flags = [bool(event.get("maybe_duplicate")) for event in story]
        resolved = about in self.world.resolved
        if flags != sorted(flags) and not resolved:
            raise Violation("a flag stays", f"{ref}: {names} {flags}", about)

    def _move(self) -> None:
        self._moved.set()
        self._moved = trio.Event()


def is_closing(event: JsonObject) -> bool:
    """Whether the message may have no further event (docs/protocol.md, Events)."""
    name = event["event"]
    if name == "sent":
        return not event["receipt"]
    return name in FINAL or name == "unconfirmed" or (name == "uncertain" and not event["resend"])
