"""The wall clock of a running daemon is set by hours and days, forward and back.

A real daemon under libfaketime, which moves the time of day alone: the monotonic clock, by which
binds, timers and paces go, runs on. The app and the carrier keep the true time. What the store does
in each case is in ``store/test_clock.py``.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import trio

from smppd.client import connect
from smppd.simulator import Behaviour, serve
from tests.ledgers import (
    App,
    JsonObject,
    WatchedCarrier,
    find_doubled,
    find_flagged,
    find_lost,
    find_wrong_stories,
    make_submit,
)
from tests.processes import START_SECONDS_MAX, Site, is_answering
from tests.tools import require_tool

HOUR: Final = 3_600
DAY: Final = 24 * HOUR

AHEAD: Final = (HOUR, 0, DAY, 0, -HOUR, 0, -DAY, 0)
"""Where the clock is set to, in seconds before the true time, one after the other."""

EVENTS_BETWEEN: Final = 60
"""Told between two settings: some commits with everything in them."""

BACKLOG: Final = 60
VALID_FOR: Final = 10 * DAY
"""Longer than any jump, so that nothing may expire for one."""

RUN_SECONDS_MAX: Final = 60.0
BINDS: Final = 2
CARRIER: Final = {"binds": BINDS, "window": 10}
BEHAVIOUR: Final = Behaviour(response_delay=0.01, receipt_delay=0.02)
ONES_TO: Final = "+49171999999"


class Clock:
    """What libfaketime reads at each look at the clock; ``variables`` are the daemon's."""

    def __init__(self, directory: Path) -> None:
        self._file = directory / "ahead"
        self._next = directory / "ahead.new"
        self.set(0)
        faketime = require_tool("faketime", "faketime")
        command = [faketime, "-f", "+0", "printenv", "LD_PRELOAD"]
        library = subprocess.check_output(command, text=True).strip()
        self.variables: Mapping[str, str] = {
            "LD_PRELOAD": library,
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "NO_FAKE_STAT": "1",
        }

    def set(self, seconds: int) -> None:
        """The daemon's clock is so much ahead of the true time from now on."""
        self._next.write_text(f"{seconds:+d}\n")
        os.replace(self._next, self._file)


class Passed:
    """Events that were told, and somebody who waits for more."""

    def __init__(self) -> None:
        self._left = 0
        self._enough = trio.Event()

    def note(self, kind: str, count: int) -> None:
        if kind == "event":
            self._left -= count
            if self._left <= 0:
                self._enough.set()

    async def wait(self, count: int) -> None:
        """Returns once so many more were told."""
        self._left, self._enough = count, trio.Event()
        await self._enough.wait()


def make_long_valid(number: int) -> JsonObject:
    return {**make_submit(number), "valid_for": VALID_FOR}


async def submit_one(socket: Path, number: int, send_at: int | None = None) -> str:
    """One message from somebody else, to a number of its own; its id."""
    submit: JsonObject = {
        "ref": f"one-{number}",
        "to": f"{ONES_TO}{number}",
        "from": "ACME",
        "text": "one",
    }
    submit |= {"valid_for": VALID_FOR, "receipt": False}
    submit |= {} if send_at is None else {"send_at": send_at}
    async with connect(socket) as client:
        [answer] = await client.submit([submit])
        assert answer["type"] == "accepted", answer
        return str(answer["id"])


def settings_in(log: str) -> list[float]:
    """By how much the daemon says its clock was set, in order, to the full ten seconds."""
    lines = [json.loads(line) for line in log.splitlines() if '"clock_set"' in line]
    return [round(line["seconds"], -1) for line in lines]


async def test_clock_set_by_hours_and_days_loses_doubles_and_delays_nothing(
    tmp_path: Path,
) -> None:
    clock, passed = Clock(tmp_path), Passed()
    site = Site(tmp_path / "site", carriers={"alpha": CARRIER})
    carrier = WatchedCarrier("alpha", BEHAVIOUR, passed.note)
    app = App(site.socket, backlog=BACKLOG, note=passed.note, make=make_long_valid)
    place = ("127.0.0.1", site.ports["alpha"], carrier)
    with site, trio.fail_after(RUN_SECONDS_MAX):
        async with trio.open_nursery() as nursery:
            await nursery.start(serve, [place])
            daemon = site.launch_daemon(variables=clock.variables)
            daemon.wait_until(lambda: is_answering(site.socket), "answering", START_SECONDS_MAX)
            half_an_hour_on = time.time_ns() // 1_000_000 + HOUR * 1_000 // 2
            ids = [await submit_one(site.socket, 0, half_an_hour_on)]
            nursery.start_soon(app.carry)
            await passed.wait(EVENTS_BETWEEN)
            for seconds in AHEAD:
                clock.set(seconds)
                ids.append(await submit_one(site.socket, len(ids)))
                await passed.wait(EVENTS_BETWEEN)
            app.finish()
            while app.open:
                await passed.wait(1)
            daemon.send_signal(signal.SIGINT)
            assert await trio.to_thread.run_sync(daemon.wait) == 0, daemon.tail()
            nursery.cancel_scope.cancel()
    records, log = carrier.records(), daemon.output()
    assert find_lost(app, records) == set()
    assert find_flagged(app.events) == set()
    assert find_doubled(app, records) == set()
    assert find_wrong_stories(app.events) == {}
    assert ids == sorted(set(ids))
    ones = [one for record in records if (one := record.destination).startswith(ONES_TO[1:])]
    assert sorted(ones) == [f"{ONES_TO[1:]}{number}" for number in range(len(ids))]
    assert settings_in(log) == [
        after - before for before, after in zip((0, *AHEAD), AHEAD, strict=False)
    ]
    assert log.count('"bind_up"') == BINDS
    assert "bind_lost" not in log
