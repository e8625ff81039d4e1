"""SIGTERM under load: everything is answered, nothing is in doubt, and the rest goes on later."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Final

import msgspec
import trio

from smppd.client import connect
from smppd.simulator import Behaviour
from tests.crash.account import settle_accounts
from tests.crash.rig import BEHAVIOUR, BINDS, WINDOW, Rig
from tests.ledgers import JsonObject, find_doubled, find_flagged, find_lost
from tests.processes import ask

QUEUED: Final = 10_000
GRANTED_MAX: Final = BINDS * (WINDOW - 4)
"""Four of each window are kept for one-time codes."""

SLOW: Final = Behaviour(response_delay=0.5)
"""Both windows are full, and stay so until it answers."""


def make_short(number: int) -> JsonObject:
    """One segment, so that ten thousand of them are quick to send."""
    to = f"+49170{number:07}"
    submit = {"ref": f"o-{number}", "to": to, "from": "ACME", "text": f"Order {number}."}
    return {**submit, "receipt": False}


async def test_sigterm_under_load_leaves_no_doubt_and_loses_nothing(tmp_path: Path) -> None:
    rig = Rig(tmp_path / "site")
    async with rig.running():
        passed = rig.expect("submit_sm", 500)
        await rig.start()
        await passed.wait()
        assert await rig.stop() == 0
        assert rig.app.open, "the load was over before the signal"
        assert rig.left().tags() == set()
        await rig.start()
        await rig.finish()
        account, wrong = await settle_accounts(rig)
    assert not wrong, wrong
    assert account.flagged == set()
    assert account.doubled == set()


async def test_sigterm_with_ten_thousand_queued_waits_for_the_windows_and_loses_none(
    tmp_path: Path,
) -> None:
    rig = Rig(tmp_path / "site", SLOW, backlog=QUEUED, messages_max=QUEUED, make=make_short)
    async with rig.running():
        accepted = rig.expect("accepted", QUEUED)
        daemon = await rig.start()
        await accepted.wait()
        full = rig.expect("submit_sm", GRANTED_MAX)
        await full.wait()
        rig.signal(signal.SIGTERM)
        daemon.wait_for_output('"draining"')
        line = {"type": "submit", **make_short(QUEUED)}
        refused = ask(rig.site.socket, line)
        assert (refused["type"], refused["code"]) == ("rejected", "draining")
        assert await trio.to_thread.run_sync(daemon.wait) == 0
        await rig.wire.wait_quiet()
        answered = [one for one in rig.wire.submits if one.answered_at]
        assert len(answered) == len(rig.wire.submits) < QUEUED
        left = rig.left()
        assert left.tags() == set()
        assert len(left.messages) == QUEUED
        rig.carrier.behaviour = Behaviour()
        await rig.start()
        await rig.finish()
        async with connect(rig.site.socket) as client:
            store = {f"o-{n}": await client.query(ref=f"o-{n}") for n in range(0, QUEUED, 997)}
        assert await rig.stop() == 0
    records = rig.carrier.records()
    assert len(records) == QUEUED
    assert find_flagged(rig.app.events) == set()
    assert find_doubled(rig.app, records) == set()
    assert find_lost(rig.app, records) == set()
    assert {message["state"] for message in store.values()} == {"sent"}


async def test_second_sigterm_ends_at_once_and_flags_no_more_than_the_windows(
    tmp_path: Path,
) -> None:
    rig = Rig(tmp_path / "site", msgspec.structs.replace(BEHAVIOUR, response_delay=3600.0))
    async with rig.running():
        full = rig.expect("submit_sm", WINDOW)
        daemon = await rig.start()
        await full.wait()
        daemon.send_signal(signal.SIGTERM)
        daemon.wait_for_output('"draining"')
        assert await rig.stop() == 0
        assert "hurrying" in daemon.output()
        rig.carrier.behaviour = BEHAVIOUR
        await rig.start()
        await rig.finish()
        account, wrong = await settle_accounts(rig)
    assert not wrong, wrong
    assert 1 <= len(account.flagged) <= BINDS * WINDOW
