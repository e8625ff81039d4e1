"""A real daemon under load and under strace: the trace of what it wrote, flushed and told.

The app takes a part of its events on the way, so that the log is trimmed too. Nothing fails: what
is asked is what the disk holds at each moment, not what the daemon does when something breaks.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest
import trio

from smppd.client import connect
from smppd.simulator import Behaviour, serve
from tests.ledgers import App, WatchedCarrier
from tests.power.trace import OPTIONS
from tests.processes import START_SECONDS_MAX, Child, Site, is_answering
from tests.tools import require_tool

MESSAGES: Final = 160
"""Enough for some dozens of commits with everything in them, few enough for a quick replay."""

BACKLOG: Final = 40
TAKEN_AFTER: Final = 60
RUN_SECONDS_MAX: Final = 60.0

CARRIER: Final = {"binds": 2, "window": 12}
DAEMON: Final = {"reserve": "1MiB"}
"""A small reserve, as every image is a file of at least that length."""

BEHAVIOUR: Final = Behaviour(
    response_delay=0.01,
    receipt_delay=0.02,
    refuse_rate=0.01,
    undelivered_rate=0.02,
    double_receipt_rate=0.05,
)


class Recording:
    """One run on the site in ``directory``; ``trace`` is complete when ``run`` returns."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.trace = directory / "trace"
        self._site = Site(directory, carriers={"alpha": CARRIER}, daemon=DAEMON)
        self._app = App(self._site.socket, backlog=BACKLOG, note=self._note)
        self._passed = {"accepted": 0, "event": 0}
        self._is_enough = trio.Event()
        self._may_take = trio.Event()

    async def run(self, *wrapper: str) -> None:
        """Runs to the end of MESSAGES messages; ``wrapper`` is a program that runs the daemon."""
        carrier = WatchedCarrier("alpha", BEHAVIOUR, self._note)
        place = ("127.0.0.1", self._site.ports["alpha"], carrier)
        with self._site, trio.fail_after(RUN_SECONDS_MAX):
            async with trio.open_nursery() as nursery:
                await nursery.start(serve, [place])
                daemon = self._start(*wrapper)
                pid = self._site.status()["pid"]
                assert isinstance(pid, int)
                nursery.start_soon(self._finish_when_enough)
                nursery.start_soon(self._take_some)
                assert await self._app.carry()
                os.kill(pid, signal.SIGTERM)
                assert await trio.to_thread.run_sync(daemon.wait) == 0, daemon.tail()
                nursery.cancel_scope.cancel()

    def _start(self, *wrapper: str) -> Child:
        """The daemon as a child of strace's, and gone when that is gone."""
        site = self._site
        child = site.start(
            *OPTIONS,
            *("-o", str(self.trace), "setpriv", "--pdeathsig", "KILL", *wrapper),
            *(sys.executable, "-m", "smppd", "run", "--config", str(self.directory)),
            log="daemon.log",
            program="strace",
        )
        child.wait_until(lambda: is_answering(site.socket), "answering", START_SECONDS_MAX)
        return child

    async def _finish_when_enough(self) -> None:
        await self._is_enough.wait()
        self._app.finish()

    async def _take_some(self) -> None:
        await self._may_take.wait()
        async with connect(self._site.socket) as client:
            client.take(TAKEN_AFTER // 2)
            await client.ping()

    def _note(self, kind: str, count: int) -> None:
        if kind not in self._passed:
            return
        self._passed[kind] += count
        if self._passed["accepted"] >= MESSAGES:
            self._is_enough.set()
        if self._passed["event"] >= TAKEN_AFTER:
            self._may_take.set()


def require_tracing() -> None:
    """Skips the test where nothing can be traced; a missing strace fails it where CI=true."""
    strace = require_tool("strace", "strace")
    require_tool("setpriv", "util-linux")
    tried = subprocess.run([strace, "-qq", "-o", os.devnull, "true"], capture_output=True)
    if tried.returncode:
        reason = tried.stderr.decode(errors="replace").strip()
        pytest.skip(f"power loss is NOT tested here: tracing is not permitted ({reason})")
