"""Pings only while the committer commits, and a status only when it has changed."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
import trio
import trio.testing

from smppd.daemon.heartbeat import LOOKS, STATUS_SECONDS, Pulse, feed_watchdog, tell_status
from smppd.systemd import Notifier
from smppd.traffic.commit import CommitterStatistics


class Committer:
    """As much of the committer as its pulse is felt by."""

    def __init__(self) -> None:
        self.commits = 0
        self.wakes = 0

    def statistics(self) -> CommitterStatistics:
        return CommitterStatistics(self.commits, 0, 0)

    def wake(self) -> None:
        self.wakes += 1


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as bound:
        bound.bind(str(tmp_path / "notify"))
        bound.setblocking(False)
        yield bound


@pytest.fixture
def notifier(manager: socket.socket) -> Iterator[Notifier]:
    own = Notifier(manager.getsockname())
    yield own
    own.close()


def heard(manager: socket.socket) -> list[bytes]:
    said = []
    while True:
        try:
            said.append(manager.recv(4096))
        except BlockingIOError:
            return said


def test_pulse_is_felt_when_there_was_a_commit_since_the_last_look() -> None:
    committer = Committer()
    pulse = Pulse(committer)
    assert pulse.is_alive()
    assert not pulse.is_alive()
    committer.commits += 1
    assert pulse.is_alive()


def test_each_look_asks_an_idle_committer_for_a_commit() -> None:
    committer = Committer()
    Pulse(committer).is_alive()
    assert committer.wakes == 1


async def test_watchdog_is_fed_in_time(
    notifier: Notifier, manager: socket.socket, autojump_clock: trio.testing.MockClock
) -> None:
    with trio.move_on_after(20):
        await feed_watchdog(notifier, 20, lambda: True)
    assert heard(manager) == [b"WATCHDOG=1"] * LOOKS


async def test_watchdog_is_not_fed_by_a_loop_whose_committer_stands_still(
    notifier: Notifier, manager: socket.socket, autojump_clock: trio.testing.MockClock
) -> None:
    with trio.move_on_after(60):
        await feed_watchdog(notifier, 20, lambda: False)
    assert heard(manager) == []


async def test_status_is_told_once_until_it_changes(
    notifier: Notifier, manager: socket.socket, autojump_clock: trio.testing.MockClock
) -> None:
    statuses = ["0/2 carriers up", "0/2 carriers up", "1/2 carriers up"]
    with trio.move_on_after(2.5 * STATUS_SECONDS):
        await tell_status(notifier, lambda: statuses.pop(0))
    assert heard(manager) == [b"STATUS=0/2 carriers up", b"STATUS=1/2 carriers up"]
