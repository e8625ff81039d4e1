"""An app's log on disk: numbered, trimmed, swept, read from anywhere."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from smppd.store.environment import Environment
from smppd.store.eventlog import EventBounds, EventLog

HOUR = 3_600_000


class Log:
    """An ``EventLog`` whose every step is a transaction."""

    def __init__(self, directory: Path) -> None:
        self.environment = Environment(directory, 1 << 24)
        tables = self.environment.tables
        self.log = EventLog(tables["events"], tables["meta"])
        self.environment.begin(write=False)
        self.log.load()
        self.environment.abort()

    def append(self, count: int, *, app: str = "shop", at: int = 0) -> None:
        self.environment.begin(write=True)
        for _ in range(count):
            self.log.append(app, b'{"seq":%d}\n' % self.log.draw_seq(app))
        self.log.flush(at)
        self.environment.commit()

    def take(self, seq: int, *, app: str = "shop") -> bool:
        self.environment.begin(write=True)
        ok = self.log.take(app, seq)
        self.environment.commit()
        return ok

    def sweep(self, before: int, rows_max: int = 100) -> None:
        self.environment.begin(write=True)
        self.log.sweep(before, rows_max)
        self.environment.commit()

    def read(self, after: int, *, app: str = "shop", bytes_max: int = 1 << 20) -> list[int]:
        self.environment.begin(write=False)
        batch = self.log.read(app, after, bytes_max)
        self.environment.abort()
        if batch is None:
            return []
        seqs = [int(line[7:-1]) for line in batch.lines.splitlines()]
        assert (batch.first, batch.last) == (seqs[0], seqs[-1])
        return seqs


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Log]:
    log = Log(tmp_path)
    yield log
    log.environment.close()


def test_reader_gets_what_comes_after_its_seq_from_the_middle_of_a_row(log: Log) -> None:
    log.append(200)
    assert log.read(0) == list(range(1, 201))
    assert log.read(70) == list(range(71, 201))
    assert log.read(200) == []


def test_reader_gets_whole_rows_up_to_its_bytes(log: Log) -> None:
    log.append(200)
    assert log.read(0, bytes_max=1) == list(range(1, 65))
    assert log.read(64, bytes_max=1) == list(range(65, 129))


def test_apps_with_a_common_beginning_have_logs_of_their_own(log: Log) -> None:
    log.append(3, app="shop")
    log.append(2, app="shop2")
    assert log.read(0, app="shop") == [1, 2, 3]
    assert log.read(0, app="shop2") == [1, 2]


def test_taken_events_are_no_longer_read(log: Log) -> None:
    log.append(10)
    assert log.take(4)
    assert log.read(0) == [5, 6, 7, 8, 9, 10]
    assert log.log.bounds("shop") == EventBounds(5, 10, 4)


def test_empty_log_is_older_than_its_next_event(log: Log) -> None:
    assert log.log.bounds("shop") == EventBounds(1, 0, 0)
    log.append(2)
    log.take(2)
    assert log.log.bounds("shop") == EventBounds(3, 2, 2)


def test_sweep_deletes_what_is_taken_and_what_is_old(log: Log) -> None:
    log.append(64, at=0)
    log.append(64, at=HOUR)
    log.append(64, at=2 * HOUR)
    log.take(64)
    log.sweep(before=HOUR + 1)
    assert log.read(0) == list(range(129, 193))
    assert log.log.bounds("shop") == EventBounds(129, 192, 64)


def test_sweep_deletes_no_more_rows_than_it_may(log: Log) -> None:
    log.append(640)
    log.take(640)
    log.sweep(before=0, rows_max=3)
    log.environment.begin(write=False)
    left = log.environment.tables["events"].count()
    log.environment.abort()
    assert left == 7


def test_cursor_survives_a_restart(tmp_path: Path, log: Log) -> None:
    log.append(10)
    log.take(6)
    log.environment.close()
    again = Log(tmp_path)
    assert again.log.bounds("shop") == EventBounds(7, 10, 6)
    assert again.read(0) == [7, 8, 9, 10]
    again.environment.close()
