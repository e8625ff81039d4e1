"""What runs come to: their spread, their faults by number, and who set the pace."""

from __future__ import annotations

import msgspec
import pytest

from bench.centre import SinkLedger
from bench.ledgers import StoreLedger
from bench.load import LoadResult
from bench.processes import CommitCounts
from bench.report import Host, Run, Settings, Spread, find_pace, make_report

SETTINGS = Settings(messages=100, segments=2)
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
    sink=SinkLedger(200),
    store=StoreLedger({"delivered": 100}, 200, 200, [], []),
    daemon_cpu=5.0,
    daemon_waited=0.0,
    sink_cpu=1.0,
    private_end=1,
    private_peak=2,
    commits=CommitCounts(3, 300, 150),
)
HOST = Host("CPython 3.11.2", "build", "/usr/bin/python3", 2, "Linux", 100.0)


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
    assert find_pace(SETTINGS, run, cores=2).startswith(said)


def test_a_daemon_that_others_kept_from_a_core_is_not_blamed() -> None:
    run = msgspec.structs.replace(RUN, daemon_cpu=4.0, daemon_waited=5.5)
    said = find_pace(SETTINGS, run, cores=2)
    assert said.startswith("the daemon set the pace, and had to wait for a core: daemon 40%")
    assert said.endswith("(others had the daemon's core for 55% of the time)")


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"rate": 10.5}, "--rate set the pace:"),
        ({"rate": 12.0}, "nobody was busy"),
        ({"throughput": 10.0, "carriers": 2}, "--throughput set the pace:"),
        ({"throughput": 15.0, "carriers": 2}, "nobody was busy"),
    ],
)
def test_a_pace_that_was_asked_for_and_reached_is_named(asked: dict[str, float], said: str) -> None:
    settings = msgspec.structs.replace(SETTINGS, **asked)
    run = msgspec.structs.replace(RUN, daemon_cpu=1.0)
    assert find_pace(settings, run, cores=2).startswith(said)


def test_a_report_has_the_spread_over_the_runs_and_their_faults_by_number() -> None:
    slow = msgspec.structs.replace(RUN, load=msgspec.structs.replace(LOAD, seconds=20.0, doubles=1))
    report = make_report(SETTINGS, HOST, [RUN, slow])
    assert report.rate == Spread(5.0, 7.5, 10.0)
    assert report.cpu_seconds_per_thousand == Spread(50.0, 50.0, 50.0)
    assert report.faults == ["run 2: told twice: 1, not 0"]
