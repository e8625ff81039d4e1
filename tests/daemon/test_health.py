"""Failover's beginning and end are lines of the log, one each."""

from __future__ import annotations

import pytest
import structlog
import trio
import trio.testing
from structlog.testing import LogCapture

from smppd.daemon.health import LOOK_SECONDS, log_health


async def test_changes_are_logged_once_and_a_start_without_binds_is_none(
    autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    capture = LogCapture()
    monkeypatch.setattr(
        "smppd.daemon.health.log", structlog.wrap_logger(None, processors=[capture])
    )
    looks = [
        {"alpha": False},
        {"alpha": True},
        {"alpha": True, "beta": False},
        {"alpha": False, "beta": True},
        {"beta": True},
    ]
    with trio.move_on_after((len(looks) - 0.5) * LOOK_SECONDS):
        await log_health(lambda: looks.pop(0))
    assert [(line["event"], line["carrier"]) for line in capture.entries] == [
        ("carrier_healthy", "alpha"),
        ("carrier_unhealthy", "alpha"),
        ("carrier_healthy", "beta"),
    ]
