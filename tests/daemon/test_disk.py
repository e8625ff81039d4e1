"""A full disk's beginning and end are lines of the log, one each."""

from __future__ import annotations

import msgspec
import pytest
import structlog
import trio
import trio.testing
from structlog.testing import LogCapture

from smppd.daemon.disk import LOOK_SECONDS, log_disk
from smppd.store.store import StoreStatistics

SOUND = msgspec.convert(
    dict.fromkeys(StoreStatistics.__struct_fields__, 7)
    | {"told": {}, "full": False, "low": False, "reserve_allocated": True},
    StoreStatistics,
)
FULL = msgspec.structs.replace(SOUND, full=True)
LOW = msgspec.structs.replace(FULL, low=True)


async def log_of(
    looks: list[StoreStatistics], monkeypatch: pytest.MonkeyPatch
) -> list[tuple[str, str]]:
    capture = LogCapture()
    monkeypatch.setattr("smppd.daemon.disk.log", structlog.wrap_logger(None, processors=[capture]))
    with trio.move_on_after((len(looks) - 0.5) * LOOK_SECONDS):
        await log_disk(lambda: looks.pop(0))
    return [(line["event"], line["log_level"]) for line in capture.entries]


async def test_each_change_is_logged_once(
    autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = [SOUND, FULL, FULL, LOW, LOW, FULL, SOUND, SOUND, LOW, SOUND]
    assert await log_of(looks, monkeypatch) == [
        ("storage_full", "error"),
        ("storage_low", "error"),
        ("storage_grants", "info"),
        ("storage_free", "info"),
        ("storage_full", "error"),
        ("storage_low", "error"),
        ("storage_grants", "info"),
        ("storage_free", "info"),
    ]


async def test_disk_that_cannot_keep_a_reserve_is_told_once(
    autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = [msgspec.structs.replace(SOUND, reserve_allocated=False)] * 3
    assert await log_of(looks, monkeypatch) == [("reserve_not_allocated", "warning")]
