"""kill -9 at any moment under load, and SIGTERM: three ledgers, and what they must agree on.

The app's ledger is every ``accepted`` and every event it was told; the carrier's is every
submit_sm it was given; the store's is what ``query`` answers after the last start. The carrier
and the app live in this process and outlive the daemon, which is a real one and is killed when
something has passed: so many accepted, so many events, so many PDUs; never after a time.
"""

from __future__ import annotations

import random
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import msgspec
import trio

from smppd.client import connect
from smppd.simulator import Behaviour, serve
from tests.ledgers import (
    App,
    JsonObject,
    WatchedCarrier,
    find_disagreements,
    find_doubled,
    find_flagged,
    find_lost,
    find_wrong_stories,
)
from tests.processes import START_SECONDS_MAX, Child, Site

KILLS: Final = 20
BINDS: Final = 2
WINDOW: Final = 20

BACKLOG: Final = 400
"""Messages on their way at once: ten times what the windows hold, so they are always full."""

RUN_SECONDS_MAX: Final = 180.0
"""Of a whole run, on slow cores with other work."""

OUTCOMES_SECONDS_MAX: Final = 30.0
"""From the last start until every message has its outcome: none waits for a timer by then."""

MOMENTS: Final = ("accepted", "event", "submit_sm", "deliver_sm", "deliver_sm_resp", "start")
"""What a kill waits for; ``start``: the store was opened, and is being recovered."""

PASSED_MAX: Final = 1_000
"""Of the moment's kind, until the kill; at ``accepted`` and ``submit_sm`` often the first few."""

SEED: Final = 20
"""Of the moments; what has happened by then differs from run to run all the same."""

CARRIER: Final = {"binds": BINDS, "window": WINDOW}

BEHAVIOUR: Final = Behaviour(
    response_delay=0.02, receipt_delay=0.03, refuse_rate=0.01, undelivered_rate=0.02
)
"""Slow enough that most of both windows is unanswered whenever the daemon dies."""


class Rig:
    """A site, its carrier and its app, and the daemon that is killed under them."""

    def __init__(self, directory: Path, behaviour: Behaviour = BEHAVIOUR) -> None:
        self.site = Site(directory, carriers={"alpha": CARRIER})
        self.carrier = WatchedCarrier("alpha", behaviour, self.note)
        self.app = App(self.site.socket, backlog=BACKLOG, note=self.note)
        self.up = trio.Event()
        self.finished = trio.Event()
        self._passed = trio.Event()
        self._kind = ""
        self._left = 0
        self._then: Callable[[], None] = lambda: None
        self._daemon: Child | None = None

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """The carrier listens, the app lives; all of it ends with the body."""
        place = ("127.0.0.1", self.site.ports["alpha"], self.carrier)
        with self.site, trio.fail_after(RUN_SECONDS_MAX):
            async with trio.open_nursery() as nursery:
                await nursery.start(serve, [place])
                nursery.start_soon(self._live)
                yield
                nursery.cancel_scope.cancel()

    async def _live(self) -> None:
        """The app's life: a connection whenever there is a daemon."""
        while True:
            await self.up.wait()
            if await self.app.carry():
                return self.finished.set()

    def start(self) -> Child:
        """A daemon that answers; the app hears of it."""
        self._daemon = self.site.start_daemon()
        self.up.set()
        return self._daemon

    async def finish(self) -> None:
        """Nothing new; returns once every message has its outcome."""
        self.app.finish()
        with trio.move_on_after(OUTCOMES_SECONDS_MAX) as scope:
            await self.finished.wait()
        assert not scope.cancelled_caught, f"without outcome: {sorted(self.app.open)[:20]}"

    async def stop(self) -> int:
        """SIGTERM, with the carrier alive to see it; the exit code."""
        assert self._daemon is not None, "stopped without a daemon"
        self.up = trio.Event()
        self._daemon.send_signal(signal.SIGTERM)
        return await trio.to_thread.run_sync(self._daemon.wait)

    def kill(self) -> None:
        """kill -9, and the daemon is gone when this returns."""
        assert self._daemon is not None, "killed without a daemon"
        self.up = trio.Event()
        self._daemon.kill()

    async def wait_passed(
        self, kind: str, count: int, then: Callable[[], None] = lambda: None
    ) -> None:
        """Returns once ``count`` more of ``kind`` have passed; ``then`` is done at that moment,
        before the carrier or the app does anything more."""
        self._kind, self._left, self._then = kind, count, then
        self._passed = trio.Event()
        await self._passed.wait()

    def note(self, kind: str, count: int) -> None:
        """Something has passed."""
        if kind != self._kind:
            return
        self._left -= count
        if self._left <= 0:
            self._kind = ""
            self._then()
            self._passed.set()


class Verifier:
    """``python -m lmdb verify`` on copies of the data file, beside the next run of the daemon."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._running: list[subprocess.Popen[str]] = []

    def check(self, state: Path) -> None:
        """Begins with what a killed daemon left."""
        data = state / "data.mdb"
        if not data.exists() or not data.stat().st_size:
            return  # killed before there was a store
        copy = self._directory / f"{len(self._running)}.mdb"
        shutil.copyfile(data, copy)
        command = [sys.executable, "-m", "lmdb", "verify", "-s", str(copy)]
        self._running.append(
            subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        )

    def problems(self) -> list[str]:
        """What was wrong, over all copies."""
        outputs = [process.communicate()[0] for process in self._running]
        codes = [process.returncode for process in self._running]
        return [output for output, code in zip(outputs, codes, strict=True) if code]


async def read_store(socket: Path, refs: list[str]) -> dict[str, JsonObject]:
    """What ``query`` says of every ref."""
    async with connect(socket) as client:
        return {ref: await client.query(ref=ref) for ref in refs}


# --- kill -9 ---


async def test_twenty_kills_lose_nothing_and_double_nothing_in_silence(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    rig = Rig(tmp_path / "site")
    verifier = Verifier(tmp_path)
    choices = random.Random(SEED)
    app, carrier = rig.app, rig.carrier
    async with rig.running():
        for _ in range(KILLS):
            moment = choices.choice(MOMENTS)
            if moment == "start":
                kill_at_start(rig.site)
            else:
                rig.start()
                await rig.wait_passed(moment, choices.randint(1, PASSED_MAX), rig.kill)
            verifier.check(rig.site.state)
        rig.start()
        await rig.finish()
        store = await read_store(rig.site.socket, list(app.ids))
        assert await rig.stop() == 0
    records = carrier.records()
    lost = find_lost(app, records)
    flagged = find_flagged(app.events)
    doubled = find_doubled(app, records)
    totals = {
        "kills": KILLS,
        "messages": len(app.ids),
        "submits": len(records),
        "events": len(app.events),
        "duplicates_answered": sum("duplicate" in answer for answer in app.answers),
        "lost": len(lost),
        "doubled": len(doubled),
        "doubled_unflagged": len(doubled - flagged),
        "flagged": len(flagged),
        "flagged_max": KILLS * BINDS * WINDOW,
    }
    print("\n" + " ".join(f"{name}={count}" for name, count in totals.items()))
    record_property("totals", totals)
    assert lost == set()
    assert doubled - flagged == set()
    assert len(flagged) <= KILLS * BINDS * WINDOW
    assert find_wrong_stories(app.events) == {}
    assert find_disagreements(app, records, store) == {}
    assert verifier.problems() == []


# --- SIGTERM ---


async def test_sigterm_under_load_leaves_no_doubt_and_loses_nothing(tmp_path: Path) -> None:
    rig = Rig(tmp_path / "site")
    app = rig.app
    async with rig.running():
        rig.start()
        await rig.wait_passed("submit_sm", 500)
        assert await rig.stop() == 0
        assert app.open, "the load was over before the signal"
        rig.start()
        await rig.finish()
        store = await read_store(rig.site.socket, list(app.ids))
        assert await rig.stop() == 0
    records = rig.carrier.records()
    assert find_lost(app, records) == set()
    assert find_flagged(app.events) == set()
    assert find_doubled(app, records) == set()
    assert find_wrong_stories(app.events) == {}
    assert find_disagreements(app, records, store) == {}


async def test_second_sigterm_ends_at_once_and_flags_no_more_than_the_windows(
    tmp_path: Path,
) -> None:
    rig = Rig(tmp_path / "site", msgspec.structs.replace(BEHAVIOUR, response_delay=3600.0))
    app, carrier = rig.app, rig.carrier
    async with rig.running():
        daemon = rig.start()
        await rig.wait_passed("submit_sm", WINDOW)
        daemon.send_signal(signal.SIGTERM)
        daemon.wait_for_output('"draining"')
        assert await rig.stop() == 0
        assert "hurrying" in daemon.output()
        carrier.behaviour = BEHAVIOUR
        rig.start()
        await rig.finish()
        assert await rig.stop() == 0
    records = carrier.records()
    flagged = find_flagged(app.events)
    assert 1 <= len(flagged) <= BINDS * WINDOW
    assert find_lost(app, records) == set()
    assert find_doubled(app, records) <= flagged


def kill_at_start(site: Site) -> None:
    """A daemon that is killed once it holds the store, before it answers anybody."""
    daemon = site.start("-m", "smppd", "run", "--config", str(site.directory), log="daemon.log")
    lock = site.state / "smppd.lock"
    daemon.wait_until(
        lambda: lock.exists() and lock.read_text().strip() == str(daemon.pid),
        "holding the store",
        START_SECONDS_MAX,
    )
    daemon.kill()
