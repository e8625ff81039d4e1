"""Ledgers that differ are named, whoever of the three is wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from bench.centre import SinkLedger
from bench.ledgers import Ledgers, StoreLedger, add_sinks, find_faults, read_store
from bench.load import LoadResult
from bench.pipeline import Pipeline
from bench.processes import RunFailed
from bench.submits import number_of

CLIENT = LoadResult(
    accepted=100,
    rejected=0,
    errors=0,
    sent=100,
    delivered=100,
    other_finals=0,
    doubles=0,
    seconds=10.0,
    cpu_seconds=1.0,
    accepted_ms=[1.0, 2.0],
    final_ms=[1.0, 2.0],
)
SINK = SinkLedger(
    accepted=200,
    receipts_sent=200,
    receipts_acked=200,
    receipts_refused=0,
    refused=0,
    destinations={"2": 100},
    lost=[],
)
STORE = StoreLedger({"delivered": 100}, taken=200, receipted=200, undelivered=[], findings=[])
LEDGERS = Ledgers(CLIENT, SINK, STORE)

LOST = number_of(3)
LOSSY = Ledgers(
    msgspec.structs.replace(CLIENT, delivered=99, undelivered=[3]),
    msgspec.structs.replace(SINK, receipts_sent=198, receipts_acked=198, lost=[LOST]),
    StoreLedger({"delivered": 99, "sent": 1}, 200, 198, [LOST], []),
)


def change(ledgers: Ledgers, who: str, **changed: Any) -> Ledgers:
    """The three, with some figures of one of them changed."""
    one = msgspec.structs.replace(getattr(ledgers, who), **changed)
    return msgspec.structs.replace(ledgers, **{who: one})


def test_equal_ledgers_have_no_fault() -> None:
    assert find_faults(LEDGERS, 100, 2) == []
    assert find_faults(LOSSY, 100, 2) == []


@pytest.mark.parametrize(
    ("who", "changed", "fault"),
    [
        ("client", {"accepted": 99}, "accepted by the daemon: 99, not 100"),
        ("client", {"rejected": 1}, "rejected by the daemon: 1, not 0"),
        ("client", {"errors": 1}, "answered error: 1, not 0"),
        ("client", {"sent": 99}, "told as sent: 99, not 100"),
        ("client", {"delivered": 99}, "told as delivered: 99, not 100"),
        ("client", {"other_finals": 1}, "told as ended otherwise: 1, not 0"),
        ("client", {"doubles": 1}, "told twice: 1, not 0"),
        ("sink", {"accepted": 201}, "segments accepted by the SMSC: 201, not 200"),
        ("sink", {"refused": 1}, "segments refused by the SMSC: 1, not 0"),
        ("sink", {"receipts_acked": 199}, "receipts acknowledged at the SMSC: 199, not 200"),
        ("sink", {"receipts_refused": 1}, "receipts refused at the SMSC: 1, not 0"),
        ("store", {"states": {"delivered": 99, "sent": 1}}, "delivered in the store: 99, not 100"),
        ("store", {"taken": 199}, "segments taken, in the store: 199, not 200"),
        ("store", {"receipted": 199}, "segments with a receipt, in the store: 199, not 200"),
        ("store", {"findings": ["in the store: torn"]}, "in the store: torn"),
    ],
)
def test_a_count_that_differs_is_a_fault(who: str, changed: dict[str, Any], fault: str) -> None:
    assert find_faults(change(LEDGERS, who, **changed), 100, 2) == [fault]


def test_a_message_that_is_missing_in_the_store_is_two_faults() -> None:
    assert find_faults(change(LEDGERS, "store", states={"delivered": 99}), 100, 2) == [
        "messages in the store: 99, not 100",
        "delivered in the store: 99, not 100",
    ]


def test_a_loss_and_a_double_do_not_make_up_for_each_other() -> None:
    ledgers = change(LEDGERS, "sink", destinations={"1": 1, "2": 98, "3": 1})
    assert find_faults(ledgers, 100, 2) == [
        "destinations with 1 segments at the SMSC, not 2: 1",
        "destinations with 3 segments at the SMSC, not 2: 1",
    ]


def test_another_message_undelivered_than_the_one_whose_receipt_was_lost_is_a_fault() -> None:
    found = find_faults(change(LOSSY, "client", undelivered=[4]), 100, 2)
    assert len(found) == 1
    assert found[0].startswith("undelivered for the client or lost by the SMSC, and not both: 2,")
    found = find_faults(change(LOSSY, "store", undelivered=[number_of(4)]), 100, 2)
    assert found[0].startswith("undelivered for the store or lost by the SMSC, and not both: 2,")


def test_what_an_smsc_does_not_say_is_not_compared() -> None:
    assert find_faults(Ledgers(CLIENT, SinkLedger(200), STORE), 100, 2) == []


def test_ledgers_of_several_smscs_are_added() -> None:
    assert add_sinks([SINK]) == SINK
    both = add_sinks([msgspec.structs.replace(SINK, accepted=1), SinkLedger(2)])
    assert (both.accepted, both.receipts_acked) == (3, None)


def test_a_store_is_read_once_nobody_runs_on_it(tmp_path: Path) -> None:
    pipeline = Pipeline(tmp_path / "store", 20)
    for _ in range(3):
        pipeline.step()
    with pytest.raises(RunFailed, match="a smppd runs on"):
        read_store(tmp_path / "store")
    pipeline.close()
    ledger = read_store(tmp_path / "store")
    assert ledger.states == {"delivered": 40, "queued": 20}
    assert (ledger.taken, ledger.receipted, ledger.findings) == (40, 40, [])
    assert sorted(ledger.undelivered) == sorted(number_of(index) for index in range(40, 60))
