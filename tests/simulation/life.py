"""One daemon from its start to its end, however it ends, on a store that outlives it.

``kill`` is what kill -9 is: from that moment nothing it does reaches anybody. Its connections are
closed by the kernel, so what it had written still arrives; its transaction is gone; its tasks are
unwound, which nobody sees.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final

import trio

from smppd import faults
from smppd.api.peers import Credentials
from smppd.config import load
from smppd.daemon.service import Daemon
from smppd.errors import SmppdError, StorageFull
from smppd.store import keys
from smppd.store.environment import DiskError
from smppd.store.ledger import Ledger
from smppd.store.store import Store
from smppd.store.view import MessageView
from smppd.systemd import Environment
from tests.simulation.lines import LineJudge
from tests.simulation.net import Connection, Judge, Stream
from tests.simulation.outside import Listener, SimulatedOutside
from tests.simulation.state import check_state
from tests.simulation.violations import Violation
from tests.simulation.wire import SegmentKey, WireJudge

if TYPE_CHECKING:
    from tests.simulation.world import World

CHANGE_SECONDS: Final = 60.0
"""After a reload or a start, until binds and grants of before it are gone."""

GRANT_SECONDS_MAX: Final = 240.0
"""Longer than two response_timers, and than a full disk ever holds up a commit here."""

_TAG_OCTETS: Final = 10


class Reporting:
    """A judge whose verdict is told at once, while all there is to see can be seen."""

    def __init__(self, world: World, judge: Judge) -> None:
        self._world = world
        self._judge = judge

    def wrote(self, data: bytes) -> None:
        """As the judge."""
        try:
            self._judge.wrote(data)
        except Violation as violation:
            self._world.fail(violation)
            raise

    def read(self, data: bytes) -> None:
        """As the judge."""
        try:
            self._judge.read(data)
        except Violation as violation:
            self._world.fail(violation)
            raise


class Killed(BaseException):
    """The process is no more; only its stack is left to unwind."""


class Life:
    """``number`` counts from 1. ``ended`` says how it ended: ``killed``, ``stopped`` or an
    error's words."""

    def __init__(self, world: World, number: int) -> None:
        self.world = world
        self.number = number
        self.listener: Listener | None = None
        self.peers: dict[object, Credentials] = {}
        self.is_dead = False
        self.is_serving = False
        self.ended = ""
        self._has_disk_failed = False
        self.gone = trio.Event()
        self.tell, self.signals = trio.open_memory_channel[int](8)
        self._connections: list[Connection] = []
        self._daemon: Daemon | None = None
        self._scope = trio.CancelScope()
        self._opened = 0
        self._granted_since: dict[bytes, float] = {}

    async def run(self) -> None:
        """Until its end. Raises what is a bug; what a judge has found, the world knows."""
        faults.arm(self._reach)
        try:
            with self._scope:
                await self._run()
        except BaseException as error:
            if not self._is_expected(error):
                raise
        finally:
            faults.arm(None)
            self.is_serving = False
            self.ended = "killed" if self.is_dead else self.ended or "stopped"
            self._close()
            self.gone.set()

    async def _run(self) -> None:
        config = load(self.world.directory)
        outside = SimulatedOutside(self, self.world.chance(f"outside {self.number}"))
        daemon = self._daemon = Daemon(config, Environment(), outside)
        try:
            await daemon.run(self._note_ready)
        finally:
            self._note_doubt()
            daemon.close()

    def kill(self) -> None:
        """kill -9, now. At a fault point the caller raises ``Killed``; others just go on."""
        if self.is_dead:
            return
        self.is_dead = True
        self._note_doubt()
        self._close()
        if self._daemon is not None:
            self._daemon.close()
        self._scope.cancel()

    def signal(self, number: int) -> None:
        """As kill(1)."""
        with suppress(trio.WouldBlock):
            self.tell.send_nowait(number)

    # -- connections ---

    async def dial(self, host: str, port: int) -> Stream:
        """The daemon connects to a carrier."""
        carrier = self.world.carriers[host]
        await carrier.wait_connected()
        self._opened += 1
        connection = self.world.connect(f"{host}.{self.number}.{self._opened}", "carrier")
        connection.near.judge = Reporting(self.world, WireJudge(self.world, self, host))
        self._connections.append(connection)
        carrier.accept(connection)
        return connection.near

    def connect_app(self, name: str, uid: int) -> Stream:
        """An app connects to the daemon; OSError where it does not listen."""
        if self.listener is None or self.is_dead:
            raise ConnectionRefusedError("nobody listens")
        connection = self.world.connect(name, "app")
        connection.near.judge = Reporting(self.world, LineJudge(self))
        self.peers[connection.near] = Credentials(uid, frozenset((uid,)))
        self.listener.offer(connection.near)
        self._connections.append(connection)
        return connection.far

    def open_connections(self, kind: str) -> list[Connection]:
        """Those that are open now, to break one of them."""
        self._connections = [one for one in self._connections if one.is_open]
        is_app = kind == "app"
        return [one for one in self._connections if one.name.startswith("app") == is_app]

    def _close(self) -> None:
        if self.listener is not None:
            self.listener.close()
        if not self.is_dead and not self.ended.startswith("error"):
            leaked = [one.name for one in self._connections if not one.near.is_closed]
            if leaked and self.world.violation is None:
                self.world.fail(Violation("an ended daemon has no open connection", str(leaked)))
        for connection in self._connections:
            connection.near.close()

    # -- what the judges ask ---

    def grants_on_disk(self, carrier: str) -> set[SegmentKey]:
        """Segments of open grants of the carrier ("": all), as the last commit left them."""
        ledger = self._ledger()
        found = set()
        with self._reading_disk():
            prefix = carrier.encode() + b"\0" if carrier else b""
            for key, packed in self._store()._env.tables["grants"].rows_from(prefix):
                if not key.startswith(prefix):
                    break
                for start in range(0, len(packed), _TAG_OCTETS):
                    number, index = keys.unpack_tag(packed[start : start + _TAG_OCTETS])
                    message = ledger.messages.peek(number)
                    assert message is not None, "a grant names a message"
                    found.add((message.to.removeprefix("+"), index + 1))
        return found

    @contextmanager
    def _reading_disk(self) -> Iterator[None]:
        """The last commit, also from within the next one."""
        env = self._store()._env
        writing, env._transaction = env._transaction, None
        env.begin(write=False)
        try:
            yield
        finally:
            env.abort()
            env._transaction = writing

    def _note_doubt(self) -> None:
        """What is granted on disk when a daemon dies may have been sent."""
        if self._daemon is not None and not self._store()._env._is_closed:
            self.world.doubtable |= {to for to, _ in self.grants_on_disk("")}

    def not_on_disk(self, ids: list[int]) -> list[int]:
        """Those of the messages that no commit has written."""
        with self._store()._reading():
            messages = self._store()._env.tables["messages"]
            return [number for number in ids if messages.get(keys.pack_u64(number)) is None]

    def is_flagged(self, destination: str) -> bool:
        """Whether the message to ``destination`` carries ``maybe_duplicate``."""
        view = self._find(destination)
        return view is not None and view.maybe_duplicate

    def _find(self, destination: str) -> MessageView | None:
        app, ref = self.world.ref_of(destination)
        return self._store().query(app, ref=ref)

    def window_of(self, carrier: str) -> int:
        """Of one bind, as the daemon has it in force."""
        assert self._daemon is not None, "a daemon that writes is there"
        upkeep = self._daemon._fleet.upkeeps.get(carrier)
        return 0 if upkeep is None else max(slot.window for slot in upkeep.state.slots)

    def window_total(self, carrier: str) -> int:
        """Of all binds."""
        assert self._daemon is not None, "a daemon that writes is there"
        upkeep = self._daemon._fleet.upkeeps.get(carrier)
        return 0 if upkeep is None else sum(slot.window for slot in upkeep.state.slots)

    def throughput_of(self, carrier: str) -> float:
        """As configured, 0 for no limit."""
        assert self._daemon is not None, "a daemon that writes is there"
        upkeep = self._daemon._fleet.upkeeps.get(carrier)
        return 0.0 if upkeep is None else upkeep.config.throughput

    def trace(self, destination: str) -> object:
        """All the store knows of a message."""
        if self._daemon is None or self.is_dead:
            return None
        app, ref = self.world.ref_of(destination)
        try:
            return self._store().trace(app=app, ref=ref)
        except (SmppdError, AssertionError) as error:
            return f"not to be read: {error!r}"

    def _store(self) -> Store:
        assert self._daemon is not None, "a daemon that writes is there"
        return self._daemon._store

    def _ledger(self) -> Ledger:
        return self._store()._ledger

    # -- fault points ---

    def _reach(self, name: str) -> None:
        if self.is_dead:
            raise Killed
        world = self.world
        world.points[name] += 1
        if name == "commit.after":
            world.digest.add("commit")
            world.step += 1
            if world.step % world.check_every == 0:
                self._check()
        elif name == "start.recovered":
            self._check()
        what = world.faults.at_point(name)
        if what == "kill":
            self.kill()
            raise Killed
        if what == "io_error":
            self._has_disk_failed = True
            if not world.faults.is_disk_full:  # else it may be taken for full, and go on
                self.ended = "error: the disk failed"
            self._note_doubt()
            raise DiskError(os.strerror(errno.EIO))
        if what == "no_room" and name == "store.written":
            raise DiskError(os.strerror(errno.ENOSPC))
        if what == "no_room":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def _check(self) -> None:
        try:
            check_state(self._ledger(), self._store())
            if self.is_serving:
                self._check_windows()
                self._check_grants()
        except Violation as violation:
            self.world.fail(violation)
            raise

    def _check_windows(self) -> None:
        """A bind is granted no more than its window; a former one may have been wider."""
        world = self.world
        if self._daemon is None or world.changes_since(world.now() - CHANGE_SECONDS):
            return
        for name, carrier in self._daemon._dispatch.carriers.items():
            for slot in carrier.slots:
                count = self._store().open_grants(name, slot.index)
                if count > slot.window:
                    detail = f"{name} {slot.index}: {count} of {slot.window}"
                    raise Violation("no bind is granted more than its window", detail)

    def _check_grants(self) -> None:
        """A grant is answered, doubted or given back in time, and not by the next start alone."""
        now, earlier = self.world.now(), self._granted_since
        doubts = self._ledger().grants.as_doubts(0)
        self._granted_since = {tag: earlier.get(tag, now) for one in doubts for tag in one.tags}
        for tag, since in self._granted_since.items():
            if now - since > GRANT_SECONDS_MAX:
                number, index = keys.unpack_tag(tag)
                detail = f"segment {index + 1} of {number:016x}, since {since:.1f} s"
                raise Violation("no grant stays open", detail)

    def _note_ready(self) -> None:
        self.is_serving = True
        self.world.note_serving()

    def _is_expected(self, error: BaseException) -> bool:
        """A daemon that was killed may raise what it likes, and one whose disk failed must end;
        what a judge has found, the world knows."""
        violation = find_leaf(error, Violation)
        if isinstance(violation, Violation):
            self.world.fail(violation)
            return True
        if self.is_dead:
            return find_leaf(error, trio.Cancelled) is None
        if self._has_disk_failed:
            self.ended = "error: the disk failed"
        elif self.world.faults.is_disk_full and find_leaf(error, StorageFull) is not None:
            self.ended = "error: the disk was full"
        return self.ended.startswith("error") and find_leaf(error, SmppdError) is not None


def find_leaf(error: BaseException, kind: type[BaseException]) -> BaseException | None:
    """The first error of ``kind`` in a group of groups."""
    if isinstance(error, kind):
        return error
    if isinstance(error, BaseExceptionGroup):
        for one in error.exceptions:
            if (found := find_leaf(one, kind)) is not None:
                return found
    return None
