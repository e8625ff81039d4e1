"""One run: a directory, a network, three carriers, two apps, an operator, and one daemon after the
other, all of it from one seed.

First there is trouble for a while, then everything is healed and gets the time it takes to come to
its end, then the ledgers are held against each other. The first violation ends it.
"""

from __future__ import annotations

import random
import signal
import tempfile
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

import msgspec
import trio
import trio._core._run as scheduler

from smppd.client import Connection, DaemonUnreachable
from tests.simulation.apps import App, AppPlan
from tests.simulation.carriers import Carrier
from tests.simulation.clock import Stillstand, Wall, make_clock
from tests.simulation.ending import check_app, check_carriers, check_inbound, check_texts
from tests.simulation.faults import Faults
from tests.simulation.life import Life
from tests.simulation.net import Connection as Wire
from tests.simulation.net import Digest
from tests.simulation.operators import UID, Operator
from tests.simulation.phones import PhoneBook
from tests.simulation.setup import CARRIERS, Setup
from tests.simulation.violations import Violation
from tests.simulation.wire import WireBook

RESTART_SECONDS_MAX: Final = 20.0
"""From a daemon's end to the next start."""

CALM_SECONDS_MAX: Final = 7_200.0
"""From healing until all is final: twice every validity, receipt_timeout and backoff together."""

LOOK_SECONDS: Final = 5.0
"""Between two looks whether all is final."""

STOP_SECONDS_MAX: Final = 60.0
"""From SIGTERM to the end of a daemon among healthy carriers."""

CHECK_EVERY: Final = 25
"""Commits between two looks at the whole store."""

SHARED_MEMORY: Final = Path("/dev/shm")
"""Where fsync costs nothing: what is simulated here is the daemon, not the disk."""


class Report(msgspec.Struct):
    """What one seed came to. ``seconds`` are simulated."""

    seed: int
    digest: str
    seconds: float
    lives: int
    commits: int
    submits: int
    messages: int
    faults: dict[str, int]
    endings: dict[str, int]
    counts: dict[str, int]
    points: dict[str, int]


class World:
    """See the module. ``seconds`` of trouble (0: drawn)."""

    def __init__(
        self, seed: int, directory: Path, *, seconds: float = 0.0, without: frozenset[str]
    ) -> None:
        self.seed = seed
        self.directory = directory
        self.wall = Wall()
        self.digest = Digest()
        self.book = WireBook()
        self.violation: Violation | None = None
        self.evidence = ""
        self.step = 0
        self.check_every = CHECK_EVERY
        self.points: Counter[str] = Counter()
        self.counts: Counter[str] = Counter()
        self.endings: Counter[str] = Counter()
        self.destinations: dict[str, tuple[str, str]] = {}
        self.resolved: set[str] = set()
        self.doubtable: set[str] = set()
        self.life: Life | None = None
        self._lives = 0
        self._changes: list[float] = []
        self._is_over = False
        plan = self.chance("plan")
        self._seconds = seconds or plan.choice([60.0, 300.0, 900.0, 3_600.0])
        self._latency = plan.choice([0.0, 0.02, 0.3])
        self.phones = PhoneBook(self)
        self.carriers = {name: Carrier(self, name) for name in CARRIERS}
        natures = {name: one.nature for name, one in self.carriers.items()}
        self.setup = Setup(directory, self.chance("setup"), natures)
        self.apps = {
            "shop": App(self, "shop", 1001, draw_plan(plan, self._seconds, takes=False)),
            "bank": App(self, "bank", 1002, draw_plan(plan, self._seconds, takes=True)),
        }
        self.operator = Operator(self)
        self.faults = Faults(self, without)

    def chance(self, name: str) -> random.Random:
        """The lots of one concern: another draw elsewhere shifts none of them."""
        return random.Random(f"{self.seed} {name}")

    def now(self) -> float:
        """Monotonic seconds since the beginning."""
        return trio.current_time()

    def connect(self, name: str, kind: str) -> Wire:
        """A connection; a carrier's is as slow as this world's network is."""
        latency = self._latency if kind == "carrier" else 0.0
        return Wire(name, latency, self.chance(f"wire {name}"), self.digest)

    def note_submit(self, destination: str) -> None:
        """A submit_sm of it went out."""
        if destination not in self.destinations:
            self.fail(Violation("what is sent was submitted", destination, destination))

    def note_serving(self) -> None:
        """A daemon serves."""
        self._changes.append(self.now())

    def note_change(self) -> None:
        """Another configuration is to be in force."""
        self._changes.append(self.now())

    def changes_since(self, at: float) -> int:
        """Starts and reloads."""
        return sum(1 for one in self._changes[-50:] if one >= at)

    def ref_of(self, destination: str) -> tuple[str, str]:
        """Whose message it is: app and ref."""
        return self.destinations.get(destination, ("", ""))

    def fail(self, violation: Violation) -> None:
        """The first violation, and what there is to see of it, while it can be seen."""
        if self.violation is not None:
            return
        self.violation = violation
        self.evidence = self._find_evidence(violation.about)
        self.nursery.cancel_scope.cancel()

    async def run(self) -> Report:
        """Raises Violation, or whatever else is a bug."""
        trio.lowlevel.add_instrument(Stillstand(self._note_stillstand))
        async with trio.open_nursery() as self.nursery:
            self.nursery.start_soon(self._live)
            for app in self.apps.values():
                self.nursery.start_soon(self.guard, app.run)
            self.nursery.start_soon(self.guard, self.faults.run)
            await trio.sleep(self._seconds)
            await self.guard(self._heal)
            await self.guard(self._wait_final)
            await self.guard(self._check_all)
            await self.guard(self._stop)
            self.nursery.cancel_scope.cancel()
        if self.violation is not None:
            raise self.violation
        return self._report()

    def _note_stillstand(self) -> None:
        self.fail(Violation("nobody spins", f"at {self.now():.3f} s"))

    async def guard(self, work: Callable[[], Awaitable[None]]) -> None:
        """Does it; what it finds wrong ends the world."""
        try:
            await work()
        except* Violation as group:
            first: BaseException = group
            while isinstance(first, BaseExceptionGroup):
                first = first.exceptions[0]
            assert isinstance(first, Violation)
            self.fail(first)

    async def _live(self) -> None:
        chance = self.chance("restarts")
        while not self._is_over:
            self._lives += 1
            self.setup.write()
            self.life = life = Life(self, self._lives)
            await life.run()
            self.life = None
            self.endings[life.ended] += 1
            self.digest.add(f"ended {life.ended}")
            await trio.sleep(chance.uniform(0.1, RESTART_SECONDS_MAX))

    # -- the end ---

    async def _heal(self) -> None:
        self.faults.stop()
        self.wall.slew(0.0)
        behind = self.wall.latest - self.wall.read()
        self.wall.jump(behind / 1000 + 1.0)
        for app in self.apps.values():
            app.finish()
        self.setup.complete()
        self.note_change()
        for carrier in self.carriers.values():
            carrier.reach = "well"
            carrier.smsc.is_odd = carrier.is_noisy = False
            carrier.behave(response_delay=0.05, receipt_delay=0.5)
        await self._wait_serving()
        await self.operator.reload_right()
        for name in self.carriers:
            await self.operator.set_mode("resume", name)

    async def _wait_serving(self) -> Life:
        with trio.move_on_after(CALM_SECONDS_MAX) as scope:
            while self.life is None or not self.life.is_serving:  # noqa: ASYNC110  one event a life
                await trio.sleep(LOOK_SECONDS)
        if scope.cancelled_caught or self.life is None:
            raise Violation("a daemon starts", f"after {self._lives} lives: {dict(self.endings)}")
        return self.life

    async def _wait_final(self) -> None:
        healed_at, looks = self.now(), 0
        while not all(app.is_finished() for app in self.apps.values()):
            looks += 1
            if self.now() - healed_at > CALM_SECONDS_MAX:
                open_refs = {app.name: sorted(app.open)[:5] for app in self.apps.values()}
                about = next((ref for refs in open_refs.values() for ref in refs), "")
                raise Violation("every message comes to its end", str(open_refs), self._to(about))
            if looks % 60 == 0:  # what misbehaved until now, or was drained by a late hand
                await self._heal_again()
            await trio.sleep(LOOK_SECONDS)

    async def _heal_again(self) -> None:
        for carrier in self.carriers.values():
            carrier.behave(response_delay=0.05, receipt_delay=0.5)
        for name in self.carriers:
            await self.operator.set_mode("resume", name)

    async def _check_all(self) -> None:
        for app in self.apps.values():
            while not await self._check_app(app):  # a daemon was told to end before the healing
                await trio.sleep(LOOK_SECONDS)  # it may still be about to
                await self._wait_serving()
        await check_inbound(self)
        check_carriers(self)
        check_texts(self)

    async def _check_app(self, app: App) -> bool:
        """False where the daemon went away meanwhile."""
        is_checked = False
        if self.life is None:
            return is_checked
        try:
            stream = self.life.connect_app(f"app.{app.name}.last", UID)
            async with stream, trio.open_nursery() as nursery:
                connection = Connection(stream)
                nursery.start_soon(connection.run)
                await connection.hello(app.name)
                await check_app(self, app, connection)
                nursery.cancel_scope.cancel()
                is_checked = True
        except* (DaemonUnreachable, OSError):
            pass
        return is_checked

    async def _stop(self) -> None:
        """The last one ends in order, and in time, and leaves nothing in doubt."""
        life = await self._wait_serving()
        self._is_over = True
        life.signal(signal.SIGTERM)
        with trio.move_on_after(STOP_SECONDS_MAX) as scope:
            await life.gone.wait()
        if scope.cancelled_caught or life.ended != "stopped":
            raise Violation("SIGTERM ends a daemon", life.ended or "it runs on")

    def _to(self, ref: str) -> str:
        for app in self.apps.values():
            if ref in app.submits:
                to: str = app.submits[ref]["to"]
                return to[1:]
        return ""

    def _find_evidence(self, destination: str) -> str:
        if not destination:
            return ""
        name, ref = self.ref_of(destination)
        lines = [f"message {ref} of {name or 'nobody'} to {destination}"]
        for key, sent in sorted(self.book.of(destination).items()):
            lines += [f"  wire    segment {key[1]}: {one}" for one in sent]
        for carrier in self.carriers.values():
            lines += [
                f"  {carrier.name:7} {record}"
                for record in carrier.smsc.records()
                if record.destination == destination
            ]
        if name in self.apps:
            lines += [f"  event   {event}" for event in self.apps[name].stories.get(ref, [])]
        if self.life is not None:
            lines.append(f"  store   {self.life.trace(destination)}")
        return "\n".join(lines)

    def _report(self) -> Report:
        return Report(
            self.seed,
            self.digest.value(),
            self.now(),
            self._lives,
            self.step,
            self.book.submits,
            sum(len(app.ids) for app in self.apps.values()),
            dict(self.faults.counts),
            dict(self.endings),
            dict(self.counts),
            dict(self.points),
        )


class Failure(Exception):
    """A seed that failed, with all there is to say about it."""


def simulate(
    seed: int,
    *,
    seconds: float = 0.0,
    without: frozenset[str] = frozenset(),
    listener: Callable[[str, bytes], None] | None = None,
) -> Report:
    """One world from its beginning to its end. Raises Failure."""
    scheduler._ALLOW_DETERMINISTIC_SCHEDULING = True  # type: ignore[misc]
    scheduler._r.seed(f"{seed} scheduler")
    place = SHARED_MEMORY if SHARED_MEMORY.is_dir() else None
    with tempfile.TemporaryDirectory(prefix="smppd-sim-", dir=place) as name:
        worlds: list[World] = []

        async def run() -> Report:
            world = World(seed, Path(name) / "site", seconds=seconds, without=without)
            world.digest.listener = listener
            worlds.append(world)
            return await world.run()

        try:
            return trio.run(run, clock=make_clock())
        except BaseException as error:
            world = worlds[0]
            if world.violation is None:
                raise
            # What a daemon raises that is torn down in the middle is not what failed.
            raise Failure(
                f"seed {seed}, commit {world.step}: {world.violation}\n{world.evidence}"
            ) from error


def draw_plan(chance: random.Random, seconds: float, *, takes: bool) -> AppPlan:
    """How busy an app is in that time: some hundred messages at most."""
    total = chance.choice([20, 100, 300])
    return AppPlan(max(seconds * 6 / total, 0.05), total, takes)
