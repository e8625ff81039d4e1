"""Every metric is shown, rightly named, and stands in docs/metrics.md; and the reverse."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families

import smppd
from smppd.metrics.measures import (
    BIND_STATES,
    HEAD_LINES,
    METRICS,
    MODES,
    PART_SAMPLES_MAX,
    Measures,
    render,
)
from smppd.store.changes import CarrierMode
from tests.metrics.house import carrier_view, measures_of

DOCUMENT = Path(smppd.__file__).parent.parent / "docs" / "metrics.md"

ROW = re.compile(r"^\| `(smppd_\w+)` \| (\w+) \| (.*?) \| (.*?) \|$", re.MULTILINE)

ALPHA = carrier_view(
    "alpha", statuses={"ESME_ROK": 40, "ESME_RTHROTTLED": 3, "0x00001234": 1, "0x1": 1}, pace=50.0
)
BETA = carrier_view('be"ta\n', statuses={}, pace=None)


def families(measures: Measures) -> dict[str, Metric]:
    text = b"".join(render(measures)).decode()
    return {family.name: family for family in text_string_to_metric_families(text)}


def samples(name: str, measures: Measures) -> dict[tuple[str, ...], float]:
    """The metric's values by their labels' values, in the order of its row."""
    found = families(measures)[name.removesuffix("_total")]
    labels = next(row.labels for row in METRICS if row.name == name)
    return {
        tuple(sample.labels[label] for label in labels): sample.value for sample in found.samples
    }


def test_page_of_many_carriers_is_made_in_parts_and_is_one_page() -> None:
    count = PART_SAMPLES_MAX // 2
    names = [f"c{number}" for number in range(count)]
    many = measures_of(*[carrier_view(name, statuses={}, pace=1.0) for name in names])
    *parts, _process = render(many)
    assert max(part.count(b"\n") for part in parts) == PART_SAMPLES_MAX + HEAD_LINES
    assert len(parts) > len(METRICS)
    heads = [line for line in b"".join(parts).split(b"\n") if line.startswith(b"# HELP")]
    assert len(heads) == len(METRICS)
    states = samples("smppd_bind_state", many)
    assert len(states) == count * 2 * len(BIND_STATES)
    assert {carrier for carrier, _, _ in states} == set(names)


def test_every_metric_of_the_table_is_shown_with_its_kind_and_labels() -> None:
    shown = families(measures_of(ALPHA))
    for row in METRICS:
        family = shown[row.name.removesuffix("_total")]
        assert family.type == row.kind, row
        labels = {frozenset(sample.labels) - {"le"} for sample in family.samples}
        assert labels == {frozenset(row.labels)}, row


def test_nothing_is_shown_that_is_not_in_the_table_but_the_process() -> None:
    known = {row.name.removesuffix("_total") for row in METRICS}
    others = families(measures_of(ALPHA)).keys() - known
    assert {name.partition("_")[0] for name in others} == {"process"}


def test_document_has_every_metric_and_no_other() -> None:
    documented = [
        (name, kind, tuple(re.findall(r"`(\w+)`", labels)), meaning)
        for name, kind, labels, meaning in ROW.findall(DOCUMENT.read_text(encoding="utf-8"))
    ]
    assert documented == [(row.name, row.kind, row.labels, row.meaning) for row in METRICS]


def test_counters_and_only_they_end_in_total() -> None:
    assert [row for row in METRICS if (row.kind == "counter") != row.name.endswith("_total")] == []


def test_statuses_that_smpp_does_not_name_are_one() -> None:
    shown = samples("smppd_submit_status_total", measures_of(ALPHA))
    assert shown == {
        ("alpha", "ESME_ROK"): 40,
        ("alpha", "ESME_RTHROTTLED"): 3,
        ("alpha", "other"): 2,
    }


def test_submits_are_counted_by_result() -> None:
    assert samples("smppd_submit_total", measures_of(ALPHA)) == {
        ("alpha", "taken"): 40,
        ("alpha", "throttled"): 3,
        ("alpha", "refused"): 2,
        ("alpha", "doubted"): 1,
    }


def test_bind_is_in_one_state_and_carrier_in_one_mode() -> None:
    states = samples("smppd_bind_state", measures_of(ALPHA))
    assert [key for key, value in states.items() if value] == [
        ("alpha", "0", "bound"),
        ("alpha", "1", "down"),
    ]
    modes = samples("smppd_carrier_mode", measures_of(ALPHA))
    assert [key for key, value in modes.items() if value] == [("alpha", "paused")]


def test_states_and_modes_are_all_there_are() -> None:
    source = (Path(smppd.__file__).parent / "traffic" / "carrier.py").read_text(encoding="utf-8")
    entered = set(re.findall(r'_enter\("(\w+)"', source))
    assert entered | {"connecting"} == set(BIND_STATES)
    assert get_args(CarrierMode) == MODES


def test_pace_without_limit_is_infinite_and_a_strange_name_is_escaped() -> None:
    shown = samples("smppd_throughput_pace", measures_of(ALPHA, BETA))
    assert shown == {("alpha",): 50.0, ('be"ta\n',): float("inf")}


def test_lag_is_cumulated() -> None:
    found = families(measures_of())["smppd_loop_lag_seconds"].samples
    buckets = {sample.labels["le"]: sample.value for sample in found if "le" in sample.labels}
    assert (buckets["0.001"], buckets["0.0025"], buckets["10.0"], buckets["+Inf"]) == (0, 1, 1, 2)
    total = next(sample.value for sample in found if sample.name.endswith("_sum"))
    assert total == 30.002


def test_passes_are_shown_by_the_clock_and_in_cpu_time() -> None:
    shown = families(measures_of())
    wall = {one.labels.get("le"): one.value for one in shown["smppd_loop_pass_seconds"].samples}
    assert (wall["0.001"], wall["0.5"], wall["1.0"], wall["+Inf"]) == (5, 5, 7, 8)
    cpu = {one.name: one.value for one in shown["smppd_loop_pass_cpu_seconds"].samples}
    assert cpu["smppd_loop_pass_cpu_seconds_count"] == 8
    assert cpu["smppd_loop_pass_cpu_seconds_sum"] == 0.5
    assert samples("smppd_loop_pass_max_seconds", measures_of()) == {(): 1.25}
    assert samples("smppd_loop_pass_cpu_max_seconds", measures_of()) == {(): 0.0015}


def test_commits_have_count_and_sum() -> None:
    found = families(measures_of())["smppd_commit_seconds"].samples
    assert {sample.name: sample.value for sample in found} == {
        "smppd_commit_seconds_count": 11,
        "smppd_commit_seconds_sum": 0.25,
    }


def test_daemon_that_drains_is_not_ready() -> None:
    assert samples("smppd_ready", measures_of(draining=True)) == {(): 0}
