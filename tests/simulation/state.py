"""What holds in every store between two commits, whatever happened (``store/life.py``)."""

from __future__ import annotations

from smppd.store import keys, life
from smppd.store.evidence import ROWS_MAX
from smppd.store.ledger import Ledger
from smppd.store.messages import LIVE_MAX
from smppd.store.records import GRANTED, QUEUED, decode_message
from smppd.store.store import Store
from tests.simulation.setup import CARRIERS
from tests.simulation.violations import Violation


def check_state(ledger: Ledger, store: Store) -> None:
    """All of it, from disk; raises Violation. Not inside a transaction."""
    with store._reading():
        tables = store._env.tables
        granted = set()
        for _, packed in tables["grants"].rows_from(b""):
            granted |= {packed[start : start + 10] for start in range(0, len(packed), 10)}
        rows: dict[int, int] = {}
        for key in tables["queue"].keys_from(b""):
            _, number = keys.read_queue_tail(key)
            rows[number] = rows.get(number, 0) + 1
        if doubled := [number for number, count in rows.items() if count > 1]:
            raise Violation("one queue row a message", f"{doubled}")
        seen = set()
        for key, row in tables["messages"].rows_from(b""):
            message = decode_message(row)
            copy = ledger.messages.get_live(keys.read_u64(key))
            if copy is not None and copy != message:
                raise Violation("memory is what the disk says", f"{copy} {message}", message.to)
            for index, part in enumerate(message.parts):
                tag = keys.pack_tag(message.id, index)
                if (part.state == GRANTED) != (tag in granted):
                    raise Violation(
                        "a segment is GRANTED exactly while a grant names it",
                        f"segment {index + 1} of {message.id:016x}: {part}",
                        message.to,
                    )
                if part.state == GRANTED:
                    seen.add(tag)
            if life.is_waiting(message) != (message.id in rows):
                raise Violation(
                    "a message that waits has its row, and no other has",
                    f"{message.id:016x}: {message}",
                    message.to,
                )
            if message.state == QUEUED and message.id in rows:
                _check_row(message.id, rows)
        waiting = sum(1 for key in tables["inbound_parts"].keys_from(b"") if key[-1])
        if waiting != ledger.reassembly.waiting:
            detail = f"{waiting} on disk, {ledger.reassembly.waiting} in memory"
            raise Violation("segments of phones wait in memory as on disk", detail)
        if len(ledger.evidence) > ROWS_MAX * len(CARRIERS):
            raise Violation("the quarantine is bounded", f"{len(ledger.evidence)}")
        if granted - seen:
            raise Violation("every grant names a segment", f"{granted - seen}")
    if len(ledger.messages) > LIVE_MAX:
        raise Violation("live messages are bounded", f"{len(ledger.messages)}")


def _check_row(number: int, rows: dict[int, int]) -> None:
    if rows[number] != 1:
        raise Violation("one queue row a message", f"{number:016x}: {rows[number]}")
