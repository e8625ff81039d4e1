"""A store that was filled is one that a daemon could have left."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.fill import APP, MAP_BYTES, What, fill
from bench.stand import Stand
from smppd.config import load
from smppd.daemon.build import build_rules
from smppd.store.store import Store
from smppd.store.verify import verify

MESSAGES = 40


@pytest.mark.parametrize("id_format", ["hex", "uuid"])
@pytest.mark.parametrize(
    ("what", "state", "queued"),
    [
        (What.queued, "queued", MESSAGES),
        (What.outstanding, "sent", 0),
        (What.delivered, "delivered", 0),
    ],
)
def test_messages_are_what_was_asked_for_and_the_store_is_sound(
    tmp_path: Path, what: What, state: str, queued: int, id_format: str
) -> None:
    stand = Stand(tmp_path / "stand")
    fill(stand.directory, MESSAGES, what, id_format)
    verified = verify(stand.state)
    assert verified.findings == []
    assert {"events": 0, "messages": MESSAGES}.items() <= {
        one.table: one.rows for one in verified.tables
    }.items()
    config = load(stand.directory)
    store = Store(stand.state, build_rules(config, config.carriers), map_size=MAP_BYTES)
    try:
        found = store.find(app=APP).messages
        assert [one.state for one in found] == [state] * MESSAGES
        assert len({one.to for one in found}) == MESSAGES
        assert store.statistics().queued == queued
        assert store.event_bounds(APP).untaken == 0
        message = store.query(APP, ref="filled-00000000")
        assert message is not None
        assert message.state == state
    finally:
        store.close()
