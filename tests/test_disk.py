"""A real daemon whose disk runs full, breaks, or is none of its own.

The disk is full on a small tmpfs with a file that takes the rest, or under a limit of file sizes,
which needs no root. Carrier and app live in this process, and their ledgers must agree with the
store's in the end, as after kills (``tests/crash``).
"""

from __future__ import annotations

import errno
import os
import resource
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Final

import pytest
import trio

from smppd.client import connect
from smppd.simulator import Behaviour, serve
from tests.disk import fill, small_disk
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
from tests.processes import START_SECONDS_MAX, Child, Site, ask, is_answering
from tests.tools import require_tool

DISK_OCTETS: Final = 64 * 2**20
BACKLOG: Final = 100
RUN_SECONDS_MAX: Final = 60.0

WIDE: Final = "16MiB"
"""A reserve of which no run here uses up a step."""

LOG_OCTETS: Final = 12 * 2**10
"""A limit of file sizes under which a log goes on, and no commit."""

MARGIN_OCTETS: Final = 512 * 2**10
"""Beyond what is in use, before the reserve is taken away: what a commit may be writing."""

BEHAVIOUR: Final = Behaviour(response_delay=0.01, receipt_delay=0.2)
"""Receipts are still on their way when the disk is full."""

Tighten = Callable[[Child, Site], Callable[[], None]]
"""Leaves the store no more of the disk; what it returns gives it back."""


class PatientApp(App):
    """Keeps what was refused for want of disk, until it is to ``try_again``."""

    def __init__(self, socket: Path) -> None:
        super().__init__(socket, backlog=BACKLOG)
        self.refused: set[str] = set()
        self.moved = trio.Event()

    def _keep_answer(self, ref: str, answer: JsonObject) -> None:
        if answer.get("code") == "storage_full":
            assert answer["retry_after"] == 60
            self.refused.add(ref)
        else:
            super()._keep_answer(ref, answer)

    def _move(self) -> None:
        super()._move()
        self.moved.set()
        self.moved = trio.Event()

    def try_again(self) -> None:
        self._waiting.extend(self.refused)
        self.refused.clear()
        self._move()

    async def wait_until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            await self.moved.wait()


class Stage:
    """A site under load; ``daemon`` is its one daemon."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.carrier = WatchedCarrier("alpha", BEHAVIOUR, lambda kind, count: None)
        self.app = PatientApp(site.socket)
        self.finished = trio.Event()
        self.restarted = trio.Event()

    @asynccontextmanager
    async def running(self, under: list[str] | None = None) -> AsyncIterator[Child]:
        """Carrier, daemon and app; ``under`` is the program that runs the daemon."""
        with trio.fail_after(RUN_SECONDS_MAX):
            async with trio.open_nursery() as nursery:
                place = ("127.0.0.1", self.site.ports["alpha"], self.carrier)
                await nursery.start(serve, [place])
                daemon = self._start(under or [])
                nursery.start_soon(self._live)
                yield daemon
                nursery.cancel_scope.cancel()

    def _start(self, under: list[str]) -> Child:
        words = [*under, sys.executable, "-m", "smppd", "run", "--config", str(self.site.directory)]
        daemon = self.site.start(*words[1:], log="daemon.log", program=words[0])
        daemon.wait_until(lambda: is_answering(self.site.socket), "answering", START_SECONDS_MAX)
        return daemon

    async def _live(self) -> None:
        while not await self.app.carry():
            await self.restarted.wait()
        self.finished.set()

    def store(self) -> dict[str, object]:
        found = self.site.status()["store"]
        assert isinstance(found, dict)
        return found

    async def wait_store(self, daemon: Child, condition: Callable[[], bool], what: str) -> None:
        """Looks at the daemon's status, beside the carrier's life."""
        await trio.to_thread.run_sync(daemon.wait_until, condition, what, RUN_SECONDS_MAX)

    async def wait_free(self, daemon: Child) -> None:
        await self.wait_store(daemon, lambda: not self.store()["full"], "free")

    async def wait_failed(self, daemon: Child, before: int) -> None:
        """One more commit has found no room."""
        await self.wait_store(daemon, lambda: self.failures() > before, "failing")

    def failures(self) -> int:
        """How many commits have found no room."""
        found = self.site.status()["commits"]
        assert isinstance(found, dict)
        return int(found["failures"])

    async def finish(self, daemon: Child) -> None:
        """Every message has its outcome, the ledgers agree, and nothing was sent twice."""
        app, carrier = self.app, self.carrier
        app.finish()
        await self.finished.wait()
        async with connect(self.site.socket) as client:
            store = {ref: await client.query(ref=ref) for ref in app.ids}
        daemon.send_signal(signal.SIGTERM)
        assert await trio.to_thread.run_sync(daemon.wait) == 0, daemon.tail()
        records = carrier.records()
        assert find_lost(app, records) == set()
        assert find_doubled(app, records) <= find_flagged(app.events)
        assert len(find_flagged(app.events)) <= 2 * 20 * (app.reconnects - 1)
        assert find_wrong_stories(app.events) == {}
        assert find_disagreements(app, records, store) == {}


def fill_disk(_daemon: Child, site: Site) -> Callable[[], None]:
    return fill(site.state).unlink


def limit_files(daemon: Child, site: Site) -> Callable[[], None]:
    """No file of the daemon's grows beyond what its store has (EFBIG)."""
    return _limit(daemon, (site.state / "data.mdb").stat().st_size)


def take_reserve(_daemon: Child, site: Site) -> Callable[[], None]:
    """The disk is full, and the reserve was none: as on disks that need room to overwrite."""
    start = used(site) + MARGIN_OCTETS
    hole = ["--punch-hole", "--offset", str(start), "--length", str(DISK_OCTETS)]
    subprocess.run(["fallocate", *hole, str(site.state / "data.mdb")], check=True)
    return fill(site.state).unlink


def forbid_reserve(daemon: Child, site: Site) -> Callable[[], None]:
    """The same, and needs no root."""
    return _limit(daemon, used(site) + MARGIN_OCTETS)


def used(site: Site) -> int:
    """How far the daemon says that its data file is in use."""
    found = site.status()["store"]
    assert isinstance(found, dict)
    return int(found["octets"])


def _limit(daemon: Child, octets: int) -> Callable[[], None]:
    _, most = resource.prlimit(daemon.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(daemon.pid, resource.RLIMIT_FSIZE, (octets, most))

    def loosen() -> None:
        resource.prlimit(daemon.pid, resource.RLIMIT_FSIZE, (most, most))

    return loosen


@contextmanager
def site_on(directory: Path, tighten: Tighten, reserve: str = "1MiB") -> Iterator[Site]:
    """With a disk of its own, where that is to be filled."""
    with ExitStack() as stack:
        if tighten in (fill_disk, take_reserve):
            stack.enter_context(small_disk(directory / "state", DISK_OCTETS))
        carriers = {"alpha": {"binds": 2, "window": 20}}
        yield stack.enter_context(
            Site(directory, carriers=carriers, daemon={"reserve": reserve, "drain_timeout": 1})
        )


# -- full ---


@pytest.mark.parametrize("tighten", [fill_disk, limit_files])
async def test_what_was_sent_has_its_outcomes_recorded_while_submits_find_the_disk_full(
    tmp_path: Path, tighten: Tighten
) -> None:
    with site_on(tmp_path, tighten) as site:
        stage = Stage(site)
        app = stage.app
        async with stage.running() as daemon:
            await app.wait_until(lambda: len(app.events) > 100)
            loosen = tighten(daemon, site)
            await app.wait_until(lambda: app.open == app.refused != set())
            found = stage.store()
            assert (found["full"], found["low"]) == (True, False)
            seen = len(app.events)
            known = next(iter(app.ids))
            again = ask(site.socket, {"type": "submit", **app.submits[known]})
            assert (again["type"], again.get("duplicate")) == ("accepted", True)
            await trio.to_thread.run_sync(daemon.wait_for_output, '"storage_full"')
            assert "warning: the disk is full" in site.smppctl("status").stderr
            loosen()
            await trio.to_thread.run_sync(daemon.wait_for_output, '"storage_free"')
            app.try_again()
            await app.wait_until(lambda: len(app.events) > seen + 100)
            await stage.finish(daemon)
            assert daemon.output().count('"storage_full"') == 1


@pytest.mark.parametrize(("tighten", "times"), [(take_reserve, 1), (forbid_reserve, 2)])
async def test_outcomes_wait_for_a_disk_that_has_no_room_at_all_and_none_is_lost(
    tmp_path: Path, tighten: Tighten, times: int
) -> None:
    """LMDB itself meets the full disk here: commits fail under load, and are tried again."""
    with site_on(tmp_path, tighten, WIDE) as site:
        stage = Stage(site)
        app = stage.app
        async with stage.running() as daemon:
            for _ in range(times):
                seen = len(app.events)
                await app.wait_until(lambda: len(app.events) > seen + 100)  # noqa: B023
                failures = stage.failures()
                loosen = tighten(daemon, site)
                await stage.wait_failed(daemon, failures)
                loosen()
                await stage.wait_free(daemon)
                app.try_again()
            await stage.finish(daemon)


async def test_full_disk_at_the_end_ends_with_doubt_and_not_with_a_hang(tmp_path: Path) -> None:
    with site_on(tmp_path, forbid_reserve, WIDE) as site:
        stage = Stage(site)
        app = stage.app
        async with stage.running() as daemon:
            await app.wait_until(lambda: len(app.events) > 100)
            _limit(daemon, LOG_OCTETS)
            await stage.wait_failed(daemon, 0)
            daemon.send_signal(signal.SIGTERM)
            assert await trio.to_thread.run_sync(daemon.wait) == 74, daemon.tail()
            assert "no room for a commit" in daemon.output()
            again = site.start_daemon()
            app.refused.clear()  # a careful app submits again whatever was not accepted
            stage.restarted.set()
            await stage.finish(again)


# -- broken ---


@pytest.mark.parametrize("call", ["sync/fdatasync", "rw/pwrite"])
async def test_write_that_fails_once_ends_the_daemon_and_the_next_start_goes_on(
    tmp_path: Path, call: str
) -> None:
    fiu_run, fiu_ctrl = require_tool("fiu-run", "fiu-utils"), require_tool("fiu-ctrl", "fiu-utils")
    prefix = str(tmp_path / "fiu")
    with site_on(tmp_path / "site", forbid_reserve) as site:
        stage = Stage(site)
        app = stage.app
        async with stage.running([fiu_run, "-x", "-f", prefix]) as daemon:
            await app.wait_until(lambda: len(app.events) > 100)
            command = f"enable name=posix/io/{call},failinfo={errno.EIO},onetime"
            subprocess.run([fiu_ctrl, "-f", prefix, "-c", command, str(daemon.pid)], check=True)
            assert await trio.to_thread.run_sync(daemon.wait) == 74, daemon.tail()
            assert "the store cannot be written" in daemon.output()
            verify = site.start("-m", "smppd", "verify", "--state", str(site.state), log="verify")
            assert verify.wait() == 0, verify.tail()
            again = site.start_daemon()
            stage.restarted.set()
            await stage.finish(again)


async def test_fsync_that_failed_is_not_tried_again_on_the_same_handle(tmp_path: Path) -> None:
    """The kernel may say it once, and then have forgotten what it did not write."""
    strace, trace = require_tool("strace", "strace"), tmp_path / "trace"
    inject = ["-e", "trace=fdatasync,fsync", "-e", "inject=fdatasync:error=EIO:when=40"]
    with site_on(tmp_path / "site", forbid_reserve) as site:
        stage = Stage(site)
        async with stage.running([strace, "-f", "-y", "-o", str(trace), *inject]) as daemon:
            assert await trio.to_thread.run_sync(daemon.wait) == 74, daemon.tail()
            after = trace.read_text().partition("(INJECTED)")[2]
            assert after
            assert "data.mdb" not in after
            again = site.start_daemon()
            stage.restarted.set()
            await stage.app.wait_until(lambda: len(stage.app.events) > 100)
            await stage.finish(again)


# -- a small map ---


async def test_map_of_the_least_size_grows_under_load(tmp_path: Path) -> None:
    with Site(tmp_path, daemon={"map_size": "1MiB"}) as site:
        stage = Stage(site)
        async with stage.running() as daemon:
            await stage.wait_store(
                daemon, lambda: stage.store()["map_octets"] == 4 * 2**20, "grown"
            )
            await stage.finish(daemon)


# -- not ours ---


def refused(site: Site, code: int, *program: str) -> str:
    """What a start says that ends with ``code``."""
    words = [*program, sys.executable, "-m", "smppd", "run", "--config", str(site.directory)]
    child = site.start(*words[1:], log="refused.log", program=words[0])
    assert child.wait() == code, child.tail()
    assert "Traceback" not in child.output()
    return child.output()


def test_second_daemon_on_one_state_is_told_who_has_it(tmp_path: Path) -> None:
    with Site(tmp_path) as site:
        first = site.start_daemon()
        said = refused(site, 78)
        assert f"in use by another smppd (pid {first.pid})" in said
        assert is_answering(site.socket)
        assert first.stop() == 0


def test_file_in_place_of_the_state_is_refused(tmp_path: Path) -> None:
    with Site(tmp_path) as site:
        site.state.write_text("")
        assert "is no directory; set [daemon] state to one" in refused(site, 78)


def test_read_only_state_is_refused(tmp_path: Path) -> None:
    with small_disk(tmp_path / "state", DISK_OCTETS), Site(tmp_path) as site:
        assert site.start_daemon().stop() == 0
        subprocess.run(["mount", "-o", "remount,ro", str(site.state)], check=True)
        assert "is on a read-only file system; mount it for writing" in refused(site, 78)


def test_state_of_another_user_is_not_permitted(tmp_path: Path) -> None:
    if os.geteuid():
        pytest.skip("only root can make another user's directory: NOT tested here")
    with Site(tmp_path) as site:
        site.state.mkdir(mode=0o700)
        os.chown(site.state, 65534, 65534)
        setpriv = require_tool("setpriv", "util-linux")
        said = refused(site, 77, setpriv, "--bounding-set=-dac_override,-dac_read_search")
        assert f"{site.state}" in said
        assert "permission denied to uid 0" in said


def test_state_on_a_network_file_system_is_refused(tmp_path: Path) -> None:
    """The kernel's table is another one for this process: its file system is called NFS there."""
    unshare = require_tool("unshare", "util-linux")
    table = tmp_path / "mountinfo"
    script = (
        f"awk '{{ sub(/ - [^ ]+ [^ ]+/, \" - nfs4 host:/export\"); print }}' /proc/self/mountinfo "
        f'> {table} && mount --bind {table} /proc/$$/mountinfo && exec "$@"'
    )
    probe = subprocess.run([unshare, "-m", "true"], capture_output=True, text=True, check=False)
    if probe.returncode:
        pytest.skip(f"no namespace to be had: {probe.stderr.strip()}: NOT tested here")
    with Site(tmp_path / "site") as site:
        said = refused(site, 78, unshare, "-m", "sh", "-c", script, "sh")
        assert "is on a network file system (nfs4, host:/export mounted on /" in said
        assert "set [daemon] state to a directory on a local disk" in said
        assert not (site.state / "data.mdb").exists()
