"""Ledgers that differ are named, and so is whoever set the pace."""

from __future__ import annotations

import msgspec
import pytest

from bench.load import LoadResult
from bench.processes import CommitCounts
from bench.report import Host, Run, Settings, Spread, find_faults, find_pace, make_report

SETTINGS = Settings(
    messages=100,
    segments=2,
    carriers=1,
    binds=1,
    window=10,
    client_window=50,
    receipt_delay=0.0,
    id_format="hex",
    sink="",
)
LOAD = LoadResult(
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
RUN = Run(
    load=LOAD,
    sink_accepted=200,
    daemon_cpu=5.0,
    sink_cpu=1.0,
    private_end=1,
    private_peak=2,
    commits=CommitCounts(3, 300, 150),
)
HOST = Host("CPython 3.11.2", "build", "/usr/bin/python3", 2, "Linux", 100.0)


def test_equal_ledgers_have_no_fault() -> None:
    assert find_faults(SETTINGS, RUN) == []


@pytest.mark.parametrize(
    ("changed", "fault"),
    [
        ({"accepted": 99}, "accepted by the daemon: 99, not 100"),
        ({"rejected": 1}, "rejected by the daemon: 1, not 0"),
        ({"errors": 1}, "answered error: 1, not 0"),
        ({"sent": 99}, "told as sent: 99, not 100"),
        ({"delivered": 99}, "told as delivered: 99, not 100"),
        ({"other_finals": 1}, "told as ended otherwise: 1, not 0"),
        ({"doubles": 1}, "told twice: 1, not 0"),
    ],
)
def test_a_count_of_the_client_that_differs_is_a_fault(changed: dict[str, int], fault: str) -> None:
    load = msgspec.structs.replace(LOAD, **changed)
    assert find_faults(SETTINGS, msgspec.structs.replace(RUN, load=load)) == [fault]


def test_a_segment_the_smsc_accepted_twice_is_a_fault() -> None:
    run = msgspec.structs.replace(RUN, sink_accepted=201)
    assert find_faults(SETTINGS, run) == ["segments accepted by the SMSC: 201, not 200"]


@pytest.mark.parametrize(
    ("daemon", "sink", "client", "said"),
    [
        (9.5, 9.5, 1.0, "the daemon set the pace:"),
        (6.0, 9.5, 1.0, "the SMSC was the bottleneck"),
        (6.0, 1.0, 9.5, "the client was the bottleneck"),
        (8.0, 6.0, 5.0, "the cores were the bottleneck"),
        (8.0, 2.0, 1.0, "the daemon set the pace, some of it in waiting"),
        (1.0, 1.0, 1.0, "nobody was busy"),
    ],
)
def test_the_process_that_set_the_pace_is_named(
    daemon: float, sink: float, client: float, said: str
) -> None:
    load = msgspec.structs.replace(LOAD, cpu_seconds=client)
    run = msgspec.structs.replace(RUN, load=load, daemon_cpu=daemon, sink_cpu=sink)
    assert find_pace(run, cores=2).startswith(said)


def test_a_report_has_the_spread_over_the_runs_and_their_faults_by_number() -> None:
    slow = msgspec.structs.replace(RUN, load=msgspec.structs.replace(LOAD, seconds=20.0, doubles=1))
    report = make_report(SETTINGS, HOST, [RUN, slow])
    assert report.rate == Spread(5.0, 7.5, 10.0)
    assert report.cpu_seconds_per_thousand == Spread(50.0, 50.0, 50.0)
    assert report.faults == ["run 2: told twice: 1, not 0"]
