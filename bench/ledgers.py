"""Three ledgers of a run, each kept by another process, and where they differ.

The client counts what it was told, the SMSC what it took and sent, and the store is read once the
daemon is gone. They agree to the message, or something was lost, sent twice, or told wrongly.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec

from bench.centre import SinkLedger
from bench.load import LoadResult
from bench.processes import RunFailed
from bench.submits import number_of
from smppd.errors import StoreError
from smppd.store import records
from smppd.store.inspection import Finding, Inspection
from smppd.store.offline import find_roots, opened
from smppd.store.pages import PageFile
from smppd.store.records import Message
from smppd.store.rows import read_row

SHOWN_MAX: Final = 3
"""Destinations named in a fault."""


class StoreLedger(msgspec.Struct, frozen=True):
    """What the store holds: messages by state, their segments that an SMSC took and those a
    receipt has come for, the destinations of what is not delivered, and what is damaged."""

    states: dict[str, int]
    taken: int
    receipted: int
    undelivered: list[str]
    findings: list[str]


class Ledgers(msgspec.Struct, frozen=True):
    """Of one run; ``sink`` is of all carriers' SMSCs together."""

    client: LoadResult
    sink: SinkLedger
    store: StoreLedger


def find_faults(ledgers: Ledgers, messages: int, segments: int) -> list[str]:
    """Where the ledgers of app, carriers and store differ, all of it for one run of ``messages`` of
    ``segments`` each, in which nothing is lost but receipts, and those the SMSC has told.

    Every message is accepted, sent to the SMSC once a segment, and delivered once, or its receipts
    are lost and everybody has it as undelivered.
    """
    client, sink, store = ledgers.client, ledgers.sink, ledgers.store
    delivered = messages - len(sink.lost or [])
    expected = (
        ("accepted by the daemon", client.accepted, messages),
        ("rejected by the daemon", client.rejected, 0),
        ("answered error", client.errors, 0),
        ("told as sent", client.sent, messages),
        ("told as delivered", client.delivered, delivered),
        ("told as ended otherwise", client.other_finals, 0),
        ("told twice", client.doubles, 0),
        ("segments accepted by the SMSC", sink.accepted, messages * segments),
        ("segments refused by the SMSC", sink.refused, 0),
        ("receipts acknowledged at the SMSC", sink.receipts_acked, delivered * segments),
        ("receipts refused at the SMSC", sink.receipts_refused, 0),
        ("messages in the store", sum(store.states.values()), messages),
        ("delivered in the store", store.states.get("delivered", 0), delivered),
        ("segments taken, in the store", store.taken, messages * segments),
        ("segments with a receipt, in the store", store.receipted, delivered * segments),
    )
    faults = [
        f"{what}: {count}, not {wanted}"
        for what, count, wanted in expected
        if count is not None and count != wanted
    ]
    return [*faults, *_compare_destinations(ledgers, segments), *store.findings]


def _compare_destinations(ledgers: Ledgers, segments: int) -> Iterator[str]:
    """Counts that agree may hide a loss and a double, and one loss behind another."""
    for times, count in (ledgers.sink.destinations or {}).items():
        if times != str(segments):
            yield f"destinations with {times} segments at the SMSC, not {segments}: {count}"
    lost = set(ledgers.sink.lost or [])
    told = {number_of(index) for index in ledgers.client.undelivered}
    for who, undelivered in (("client", told), ("store", set(ledgers.store.undelivered))):
        if wrong := sorted(undelivered ^ lost):
            shown = ", ".join(wrong[:SHOWN_MAX])
            yield (
                f"undelivered for the {who} or lost by the SMSC, and not both:"
                f" {len(wrong)}, such as {shown}"
            )


def add_sinks(ledgers: list[SinkLedger]) -> SinkLedger:
    """One ledger of several SMSCs; None for what one of them does not say."""
    if len(ledgers) == 1:
        return ledgers[0]
    parts = [msgspec.structs.asdict(one) for one in ledgers]
    sums = {
        name: None if None in (said := [part[name] for part in parts]) else sum(said)
        for name in ("accepted", "receipts_sent", "receipts_acked", "receipts_refused", "refused")
    }
    return msgspec.convert(sums, SinkLedger)


def read_store(directory: Path) -> StoreLedger:
    """Reads the store in ``directory``, on which no daemon runs any more, page by page."""
    reader = _Reader()
    try:
        with opened(directory) as offline:
            roots = find_roots(offline)
            if roots.meta is None or roots.fault is not None:
                raise RunFailed(f"{offline.path} has no sound root: {roots.fault}")
            pages = min(roots.meta.last_page + 1, offline.octets // roots.meta.page_size)
            file = PageFile(offline.descriptor, roots.meta.page_size, pages)
            Inspection(file, roots.meta, reader.note, reader.look).run()
    except StoreError as error:
        raise RunFailed(f"the store cannot be read: {error}") from error
    return reader.ledger()


class _Reader:
    def __init__(self) -> None:
        self._states: Counter[str] = Counter()
        self._taken = 0
        self._receipted = 0
        self._undelivered: list[str] = []
        self._findings: list[str] = []

    def note(self, finding: Finding) -> None:
        self._findings.append(f"in the store: {finding}")

    def look(self, table: str, key: bytes, value: bytes, page: int) -> None:
        if table == "messages":
            message = read_row(table, key, value)
            assert isinstance(message, Message), "that is what the table holds"
            self._add(message)

    def _add(self, message: Message) -> None:
        self._states[records.STATE_NAMES[message.state]] += 1
        self._taken += records.taken_of(message)
        self._receipted += sum(part.receipt_state >= 0 for part in message.parts)
        if message.state != records.DELIVERED:
            self._undelivered.append(message.to)

    def ledger(self) -> StoreLedger:
        return StoreLedger(
            dict(self._states),
            self._taken,
            self._receipted,
            sorted(self._undelivered),
            self._findings,
        )
