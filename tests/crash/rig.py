"""A real daemon that is killed under load, between carriers and an app that outlive it.

Carriers and app live in this process, the daemon is one of its own. It is killed when something
has passed (so many accepted, so many events, so many PDUs) or by itself at a fault point, never
after a time. After each kill its store is copied, verified and read (``killed``), and what the
carriers had seen by then is kept beside it.
"""

from __future__ import annotations

import signal
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, closing
from functools import partial
from pathlib import Path
from typing import Final

import msgspec
import trio

from smppd import faults
from smppd.simulator import Behaviour
from smppd.simulator.link import Link
from tests.crash.killed import Kill, Left, Tag, Verifier, read_left
from tests.crash.wire import Break, Wire
from tests.ledgers import App, JsonObject, WatchedCarrier, make_submit
from tests.processes import ROUTES, START_SECONDS_MAX, Child, Site, Table

BINDS: Final = 2
WINDOW: Final = 20

BACKLOG: Final = 400
"""Messages on their way at once: ten times what the windows hold, so they are always full."""

RUN_SECONDS_MAX: Final = 180.0
"""Of a whole run, on slow cores with other work."""

REACH_SECONDS_MAX: Final = 60.0
"""From a start to the fault point it is armed with."""

OUTCOMES_SECONDS_MAX: Final = 30.0
"""From the last start until every message has its outcome: none waits for a timer by then."""

CARRIERS: Final[Mapping[str, Table]] = {"alpha": {"binds": BINDS, "window": WINDOW}}

RESERVE: Final = "1MiB"
"""Of these stores, which are copied at every kill."""

BEHAVIOUR: Final = Behaviour(
    response_delay=0.02, receipt_delay=0.03, refuse_rate=0.01, undelivered_rate=0.02
)
"""Slow enough that most of both windows is unanswered whenever the daemon dies."""

PHONE: Final = "447700900123"
"""Writes to us. Its texts are numbered."""

LONG_TIMES: Final = 20
"""Three segments of sixteen characters each time."""


class Trigger(msgspec.Struct):
    """``act`` at each ``every``-th of ``kind``; ``left`` until the next."""

    kind: str
    every: int
    left: int
    act: Callable[[], None]


class Rig:
    """A site, its carriers and its app, and the daemon that is killed under them.

    ``kills`` is all that was killed so far, ``wrong`` what a kill showed to be wrong, by ref.
    """

    def __init__(
        self,
        directory: Path,
        behaviour: Behaviour = BEHAVIOUR,
        *,
        carriers: Mapping[str, Table] = CARRIERS,
        routes: tuple[Table, ...] = ROUTES,
        daemon: Table | None = None,
        classes: Mapping[str, Table] | None = None,
        backlog: int = BACKLOG,
        make: Callable[[int], JsonObject] = make_submit,
        cancel_every: int = 0,
        messages_max: int | None = None,
    ) -> None:
        self.site = Site(
            directory,
            carriers=carriers,
            routes=routes,
            daemon={"reserve": RESERVE, **(daemon or {})},
            classes=classes,
        )
        self.windows = {name: _slots(table) for name, table in carriers.items()}
        self.carriers = {name: WatchedCarrier(name, behaviour, self.note) for name in carriers}
        self.carrier = next(iter(self.carriers.values()))
        self.wire = Wire()
        self.app = App(
            self.site.socket,
            backlog=backlog,
            note=self.note,
            make=make,
            cancel_every=cancel_every,
            messages_max=messages_max,
        )
        self.up = trio.Event()
        self.finished = trio.Event()
        self.kills: list[Kill] = []
        self.wrong: list[tuple[str, str]] = []
        self.texts: list[str] = []
        self.verifier = Verifier(directory)
        self._triggers: list[Trigger] = []
        self._daemon: Child | None = None
        self._doubtful = 0
        self._nursery: trio.Nursery | None = None

    @asynccontextmanager
    async def running(self, *, listening: bool = True) -> AsyncIterator[None]:
        """The carriers listen, the app lives; all of it ends with the body."""
        with self.site, closing(self.verifier), trio.fail_after(RUN_SECONDS_MAX):
            async with trio.open_nursery() as nursery:
                self._nursery = nursery
                if listening:
                    await self.listen()
                nursery.start_soon(self._live)
                yield
                nursery.cancel_scope.cancel()

    async def listen(self) -> None:
        """From now on the carriers can be reached."""
        assert self._nursery is not None, "it is not running"
        for name, port in self.site.ports.items():
            listeners = await trio.open_tcp_listeners(port, host="127.0.0.1")
            carry = partial(self._carry, self.carriers[name])
            self._nursery.start_soon(trio.serve_listeners, carry, listeners)

    async def _carry(self, carrier: WatchedCarrier, stream: trio.SocketStream) -> None:
        tap = self.wire.open(carrier.name, stream)
        try:
            await Link(tap, [carrier]).run()
        finally:
            self.wire.close(tap)

    async def _live(self) -> None:
        """The app's life: a connection whenever there is a daemon."""
        while True:
            up = self.up
            await up.wait()
            daemon = self._daemon
            if await self.app.carry():
                return self.finished.set()
            assert daemon is not None, "up without a daemon"
            await trio.to_thread.run_sync(daemon.wait)
            if self.up is up:
                self._go_down()

    # -- the daemon ---

    async def start(self, fault: str = "", variables: Mapping[str, str] | None = None) -> Child:
        """A daemon that serves, and the app hears of it; or one that ended at ``fault``."""
        own = {**({faults.VARIABLE: fault} if fault else {}), **(variables or {})}
        self._daemon = daemon = self.site.launch_daemon(variables=own)
        if await trio.to_thread.run_sync(partial(_is_ready, daemon)):
            self._check_doubtful(daemon)
            self.up.set()
        return daemon

    async def run_to(self, fault: str) -> Kill:
        """Starts a daemon and returns once it was killed at ``fault`` (``NAME:COUNT``)."""
        daemon = await self.start(fault)
        code = await trio.to_thread.run_sync(partial(daemon.wait, REACH_SECONDS_MAX))
        assert code == -signal.SIGKILL, f"{fault}: ended with {code}\n{daemon.tail()}"
        return await self.examine()

    async def run_until(self, kind: str, count: int) -> Kill:
        """Starts a daemon, and kill -9 at the moment when ``count`` of ``kind`` have passed."""
        passed = self.expect(kind, count, self.kill)
        await self.start()
        await passed.wait()
        return await self.examine()

    def kill(self) -> None:
        """kill -9, and the daemon is gone when this returns."""
        assert self._daemon is not None, "killed without a daemon"
        self._go_down()
        self._daemon.kill()

    async def examine(self) -> Kill:
        """What the kill left, held against what the carriers have read by now."""
        self._go_down()
        await self.wire.wait_quiet()
        copy = self.verifier.copy(self.site.state)
        kill = Kill(read_left(copy), self.wire.seen())
        self._note_wrong(kill, kill.problems(), f"kill {len(self.kills) + 1}")
        for slot, tags in kill.left.grants.items():
            window = self.windows[slot.partition("\0")[0]]
            if len(tags) > window:
                self.wrong.append(("", f"{len(tags)} grants of a window of {window}: {slot!r}"))
        self._look_for_missed(kill.left)
        self.kills.append(kill)
        self._doubtful = len(kill.left.tags())
        return kill

    def _go_down(self) -> None:
        """The app waits for the next daemon, unless it does already."""
        if self.up.is_set():
            self.up = trio.Event()

    def _look_for_missed(self, left: Left) -> None:
        """Every grant of the last kill became a doubt, unless nothing at all was done since."""
        if self.kills and left.messages != self.kills[-1].left.messages:
            kill = self.kills[-1]
            self._note_wrong(kill, kill.missed(left), f"kill {len(self.kills)}")

    def _check_doubtful(self, daemon: Child) -> None:
        """The start made as many doubts as there were open grants: with ``missed``, the same."""
        if f'"doubtful":{self._doubtful}}}' not in daemon.output():
            self.wrong.append(("", f"not {self._doubtful} doubtful:\n{daemon.tail()}"))
        self._doubtful = 0

    def _note_wrong(self, kill: Kill, problems: Mapping[Tag, str], which: str) -> None:
        self.wrong += [
            (kill.left.messages[tag.message_id].ref, f"{which}, segment {tag.index + 1}: {text}")
            for tag, text in problems.items()
        ]

    async def finish(self) -> None:
        """Nothing new; returns once every message has its outcome."""
        self.app.finish()
        with trio.move_on_after(OUTCOMES_SECONDS_MAX) as scope:
            await self.finished.wait()
        assert not scope.cancelled_caught, f"without outcome: {sorted(self.app.open)[:20]}"

    async def stop(self) -> int:
        """SIGTERM, with the carriers alive to see it; the exit code."""
        assert self._daemon is not None, "stopped without a daemon"
        self._go_down()
        self._daemon.send_signal(signal.SIGTERM)
        return await trio.to_thread.run_sync(self._daemon.wait)

    def signal(self, number: signal.Signals) -> None:
        """A signal to a daemon that serves; to none, nothing."""
        if self._daemon is not None and self.up.is_set() and self._daemon.is_running:
            self._daemon.send_signal(number)

    def left(self) -> Left:
        """The store as it is on disk, the daemon being down."""
        left = read_left(self.verifier.copy(self.site.state))
        self._look_for_missed(left)
        return left

    # -- what happens meanwhile ---

    def on(self, kind: str, every: int, act: Callable[[], None]) -> None:
        """From now on ``act`` at each ``every``-th of ``kind``."""
        self._triggers.append(Trigger(kind, every, every, act))

    def off(self) -> None:
        """What ``on`` asked for is over."""
        self._triggers.clear()

    def expect(self, kind: str, count: int, then: Callable[[], None] = lambda: None) -> trio.Event:
        """Set once ``count`` more of ``kind`` have passed; ``then`` is done at that moment, before
        the carriers or the app do anything more. Ask before you do what makes it pass."""
        passed = trio.Event()

        def act() -> None:
            self._triggers.remove(trigger)
            then()
            passed.set()

        trigger = Trigger(kind, count, count, act)
        self._triggers.append(trigger)
        return passed

    def note(self, kind: str, count: int) -> None:
        """Something has passed."""
        for trigger in [one for one in self._triggers if one.kind == kind]:
            trigger.left -= count
            if trigger.left <= 0:
                trigger.left = trigger.every
                trigger.act()

    def ring(self, carrier: str = "alpha") -> None:
        """A phone writes to us: one more numbered text, each third in several segments."""
        text = f"phone {len(self.texts)}"
        if len(self.texts) % 3 == 2:
            text += " has much to say" * LONG_TIMES
        self.texts.append(text)
        self.carriers[carrier].inbound(PHONE, "4477", text)

    def break_link(self, number: int, how: Break) -> None:
        """One of the links breaks; ``number`` says which of those there are."""
        if self.wire.taps:
            self.wire.taps[number % len(self.wire.taps)].break_off(how)

    def reload(self, routes: tuple[Table, ...] | None = None) -> None:
        """SIGHUP, with other routes in the file."""
        if routes is not None:
            self.site.write_routes(routes)
        self.signal(signal.SIGHUP)


def _slots(table: Table) -> int:
    return int(str(table.get("window", WINDOW)))


def _is_ready(daemon: Child) -> bool:
    """Waits until the daemon serves, or ended at a point before that."""
    try:
        daemon.wait_for_output('"ready"', START_SECONDS_MAX)
    except AssertionError:
        if daemon.is_running:
            raise
        return False
    return True
