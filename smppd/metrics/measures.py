"""Every metric there is: name, kind, labels, meaning, and where its values come from.

One row a metric; ``docs/metrics.md`` is held equal to this table. Names follow Prometheus's rules
(https://prometheus.io/docs/practices/naming/): base units, the unit last, ``_total`` on counters.
Labels are only what a configuration can hold (carriers, binds, apps) or what is bounded here: no
message ids and no numbers. Beside the table stand the process's own metrics (``process_*``).
"""

from __future__ import annotations

import itertools
import platform
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Final, Literal, NamedTuple

import msgspec
from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
    SummaryMetricFamily,
)
from prometheus_client.registry import Collector

from smppd.api.views import BindView, CarrierView, StatusView
from smppd.metrics import lag, passes
from smppd.metrics.lag import LoopLag
from smppd.metrics.passes import PassCounts

PART_SAMPLES_MAX: Final = 200
"""Of one part of the page: a millisecond."""

HEAD_LINES: Final = 2
"""``# HELP`` and ``# TYPE``."""

BIND_STATES: Final = ("connecting", "binding", "bound", "asleep", "refused", "down")
"""Of ``BindView.state``; exactly one of them is 1."""

MODES: Final = ("running", "paused", "drained")
"""Of ``CarrierView.mode``; exactly one of them is 1."""


class Measures(msgspec.Struct, frozen=True):
    """What is shown: ``status`` as its control verb answers it; ``lines`` read from apps since
    start; ``events_waiting`` by app: events it has not taken; whether the last reload succeeded;
    the loop's passes by the clock and in CPU time."""

    status: StatusView
    lines: int
    events_waiting: dict[str, int]
    is_reload_good: bool
    loop_lag: LoopLag
    passes: PassCounts
    passes_cpu: PassCounts


Kind = Literal["gauge", "counter", "summary", "histogram"]


class Sample(NamedTuple):
    """A value, and its labels' values in the order of the row."""

    labels: tuple[str, ...]
    value: float


class Row(NamedTuple):
    """One metric. A summary has two samples, count and sum; a histogram has its buckets, cumulated
    and labelled with their bounds, and then its sum."""

    name: str
    kind: Kind
    labels: tuple[str, ...]
    meaning: str
    samples: Callable[[Measures], Iterator[Sample]]


def _one(read: Callable[[Measures], float]) -> Callable[[Measures], Iterator[Sample]]:
    """A metric without labels."""
    return lambda measures: iter((Sample((), read(measures)),))


def _each_carrier(read: Callable[[CarrierView], float]) -> Callable[[Measures], Iterator[Sample]]:
    return lambda measures: (
        Sample((carrier.name,), read(carrier)) for carrier in measures.status.carriers
    )


def _each_bind(read: Callable[[BindView], float]) -> Callable[[Measures], Iterator[Sample]]:
    return lambda measures: (
        Sample((carrier.name, str(bind.bind)), read(bind))
        for carrier in measures.status.carriers
        for bind in carrier.binds
    )


def _build_info(measures: Measures) -> Iterator[Sample]:
    yield Sample((measures.status.version, platform.python_version()), 1)


def _receipt_outcomes(measures: Measures) -> Iterator[Sample]:
    store = measures.status.store
    yield Sample(("matched",), store.receipts_matched)
    yield Sample(("unmatched",), store.receipts_unmatched)
    yield Sample(("without_effect",), store.receipts_without_effect)
    yield Sample(("contradictory",), store.receipts_contradictory)
    yield Sample(("unreadable",), store.receipts_unreadable)


def _events_waiting(measures: Measures) -> Iterator[Sample]:
    return (Sample((app,), count) for app, count in measures.events_waiting.items())


def _events(measures: Measures) -> Iterator[Sample]:
    return (Sample((event,), count) for event, count in measures.status.store.told.items())


def _modes(measures: Measures) -> Iterator[Sample]:
    for carrier in measures.status.carriers:
        for mode in MODES:
            yield Sample((carrier.name, mode), carrier.mode == mode)


def _certificate_ends(measures: Measures) -> Iterator[Sample]:
    """Of carriers that have shown one."""
    for carrier in measures.status.carriers:
        if carrier.certificate_until is not None:
            yield Sample((carrier.name,), carrier.certificate_until / 1000)


def _submits(measures: Measures) -> Iterator[Sample]:
    for carrier in measures.status.carriers:
        yield Sample((carrier.name, "taken"), carrier.taken)
        yield Sample((carrier.name, "throttled"), carrier.throttled)
        yield Sample((carrier.name, "refused"), carrier.refused)
        yield Sample((carrier.name, "doubted"), carrier.doubted)


def _statuses(measures: Measures) -> Iterator[Sample]:
    """Those the specification names; a carrier's own could be four billion."""
    for carrier in measures.status.carriers:
        counts: dict[str, int] = {}
        for name, count in carrier.statuses.items():
            label = name if name.startswith("ESME_") else "other"
            counts[label] = counts.get(label, 0) + count
        for label, count in counts.items():
            yield Sample((carrier.name, label), count)


def _bind_states(measures: Measures) -> Iterator[Sample]:
    for carrier in measures.status.carriers:
        for bind, state in itertools.product(carrier.binds, BIND_STATES):
            yield Sample((carrier.name, str(bind.bind), state), bind.state == state)


def _commits(measures: Measures) -> Iterator[Sample]:
    yield Sample((), measures.status.commits.commits)
    yield Sample((), measures.status.commits.seconds)


def _histogram(
    bounds: Sequence[float], read: Callable[[Measures], LoopLag | PassCounts]
) -> Callable[[Measures], Iterator[Sample]]:
    names = [*map(str, bounds), "+Inf"]

    def samples(measures: Measures) -> Iterator[Sample]:
        found = read(measures)
        for name, count in zip(names, itertools.accumulate(found.counts), strict=True):
            yield Sample((name,), count)
        yield Sample((), found.seconds)

    return samples


# fmt: off
METRICS: Final = (
    Row("smppd_build_info", "gauge", ("version", "python"), "1", _build_info),
    Row("smppd_ready", "gauge", (), "1 while submits are taken, 0 during a drain",
        _one(lambda m: not m.status.draining)),
    Row("smppd_start_timestamp_seconds", "gauge", (), "when the daemon was started",
        _one(lambda m: m.status.started_at / 1000)),
    Row("smppd_config_reload_success", "gauge", (), "0 after a reload that was refused",
        _one(lambda m: m.is_reload_good)),
    Row("smppd_config_timestamp_seconds", "gauge", (), "when the configuration in force was loaded",
        _one(lambda m: m.status.configured_at / 1000)),
    Row("smppd_clients", "gauge", (), "connections of apps and of smppctl",
        _one(lambda m: m.status.connections)),
    Row("smppd_subscribers", "gauge", (), "connections that follow events",
        _one(lambda m: m.status.subscriptions)),
    Row("smppd_ingest_lines_total", "counter", (), "lines read from them",
        _one(lambda m: m.lines)),
    Row("smppd_accepted_total", "counter", (), "messages accepted",
        _one(lambda m: m.status.store.accepted)),
    Row("smppd_duplicates_total", "counter", (), "submits answered with an earlier message's id",
        _one(lambda m: m.status.store.duplicates)),
    Row("smppd_storage_full_total", "counter", (), "submits rejected because the disk is full",
        _one(lambda m: m.status.store.storage_full)),
    Row("smppd_disk_full", "gauge", (),
        "1 while submits are rejected because the disk is full",
        _one(lambda m: m.status.store.full)),
    Row("smppd_disk_low", "gauge", (),
        "1 while nothing is granted either, because the reserve is half gone",
        _one(lambda m: m.status.store.low)),
    Row("smppd_reserve_bytes", "gauge", (), "disk kept for outcomes, as configured",
        _one(lambda m: m.status.store.reserve)),
    Row("smppd_reserve_left_bytes", "gauge", (), "what is there of it",
        _one(lambda m: m.status.store.reserve_left)),
    Row("smppd_store_used_bytes", "gauge", (), "how far the data file is in use",
        _one(lambda m: m.status.store.octets)),
    Row("smppd_store_map_bytes", "gauge", (), "what it may grow to before its map is doubled",
        _one(lambda m: m.status.store.map_octets)),
    Row("smppd_events_total", "counter", ("event",), "what apps were told, by event",
        _events),
    Row("smppd_queue_messages", "gauge", (), "messages that wait for a carrier",
        _one(lambda m: m.status.store.queued)),
    Row("smppd_live_messages", "gauge", (), "messages that are on their way to a carrier",
        _one(lambda m: m.status.store.live)),
    Row("smppd_event_lag_messages", "gauge", ("app",), "events the app has not taken",
        _events_waiting),
    Row("smppd_commit_seconds", "summary", (), "time of a commit", _commits),
    Row("smppd_commit_failures_total", "counter", (), "commits the disk had no room for",
        _one(lambda m: m.status.commits.failures)),
    Row("smppd_commit_changes_total", "counter", (), "changes committed",
        _one(lambda m: m.status.commits.changes)),
    Row("smppd_commit_changes_max", "gauge", (), "the most changes of one commit",
        _one(lambda m: m.status.commits.largest)),
    Row("smppd_carrier_healthy", "gauge", ("carrier",), "1 while a new message may begin there",
        _each_carrier(lambda c: c.healthy)),
    Row("smppd_breaker_open", "gauge", ("carrier",),
        "1 while its breaker lets no new message begin, but for a probe",
        _each_carrier(lambda c: c.breaker.state != "closed")),
    Row("smppd_breaker_opened_total", "counter", ("carrier",), "times its breaker opened",
        _each_carrier(lambda c: c.breaker.opened)),
    Row("smppd_carrier_certificate_expiry_timestamp_seconds", "gauge", ("carrier",),
        "when the certificate that its binds were shown last expires", _certificate_ends),
    Row("smppd_carrier_mode", "gauge", ("carrier", "mode"), "1 for what the operator wants of it",
        _modes),
    Row("smppd_submit_total", "counter", ("carrier", "result"),
        "submit_sm by what became of them: taken, throttled, refused, doubted", _submits),
    Row("smppd_submit_status_total", "counter", ("carrier", "command_status"),
        "answers by command_status; what SMPP does not name is other", _statuses),
    Row("smppd_throughput_limit", "gauge", ("carrier",),
        "submit_sm a second that are configured; 0: no limit",
        _each_carrier(lambda c: c.throughput)),
    Row("smppd_throughput_pace", "gauge", ("carrier",),
        "submit_sm a second it is given now, less after throttling; +Inf: no limit",
        _each_carrier(lambda c: float("inf") if c.pace is None else c.pace)),
    Row("smppd_receipts_total", "counter", ("carrier",), "receipts received",
        _each_carrier(lambda c: c.receipts)),
    Row("smppd_receipt_outcomes_total", "counter", ("outcome",),
        "receipts by what they led to", _receipt_outcomes),
    Row("smppd_receipts_unmatched", "gauge", (), "receipts kept whose message is not known yet",
        _one(lambda m: m.status.store.unmatched)),
    Row("smppd_mo_total", "counter", ("carrier",), "segments from phones, joined or not",
        _each_carrier(lambda c: c.inbound)),
    Row("smppd_mo_segments_waiting", "gauge", (),
        "segments from phones that wait for the others of their message",
        _one(lambda m: m.status.store.inbound_waiting)),
    Row("smppd_mo_segments_repeated_total", "counter", (), "segments from phones that came again",
        _one(lambda m: m.status.store.inbound_repeated)),
    Row("smppd_mo_incomplete_total", "counter", (), "messages from phones told without a segment",
        _one(lambda m: m.status.store.inbound_incomplete)),
    Row("smppd_pdus_refused_total", "counter", ("carrier",),
        "PDUs of it that could not be read or are not spoken here",
        _each_carrier(lambda c: c.pdus_refused)),
    Row("smppd_quarantine_pdus", "gauge", (), "PDUs kept that nobody could read",
        _one(lambda m: m.status.store.quarantine)),
    Row("smppd_bind_state", "gauge", ("carrier", "bind", "state"), "1 for the state it is in",
        _bind_states),
    Row("smppd_bind_state_timestamp_seconds", "gauge", ("carrier", "bind"),
        "since when it is in that state", _each_bind(lambda b: b.since / 1000)),
    Row("smppd_bind_reconnects_total", "counter", ("carrier", "bind"), "times it was bound anew",
        _each_bind(lambda b: b.reconnects)),
    Row("smppd_window_used", "gauge", ("carrier", "bind"), "segments granted and not answered",
        _each_bind(lambda b: b.outstanding)),
    Row("smppd_window_size", "gauge", ("carrier", "bind"), "at most so many",
        _each_bind(lambda b: b.window)),
    Row("smppd_log_dropped_total", "counter", (), "log lines dropped because nobody took them",
        _one(lambda m: m.status.log_dropped)),
    Row("smppd_loop_lag_seconds", "histogram", (), "how late the event loop is",
        _histogram(lag.BUCKETS, lambda m: m.loop_lag)),
    Row("smppd_loop_pass_seconds", "histogram", (), "time between two waits of the loop for I/O",
        _histogram(passes.BUCKETS, lambda m: m.passes)),
    Row("smppd_loop_pass_cpu_seconds", "histogram", (), "our own CPU time in it",
        _histogram(passes.BUCKETS, lambda m: m.passes_cpu)),
    Row("smppd_loop_pass_max_seconds", "gauge", (),
        "the longest since this page was last asked for, 0 below a millisecond",
        _one(lambda m: m.passes.longest)),
    Row("smppd_loop_pass_cpu_max_seconds", "gauge", (), "the longest of our own CPU time likewise",
        _one(lambda m: m.passes_cpu.longest)),
)
# fmt: on


def render(measures: Measures) -> Iterator[bytes]:
    """The exposition in Prometheus's text format (0.0.4), in parts: 300 carriers have half a
    megabyte of it, and who serves them lets them have their turns between two parts."""
    for row in METRICS:
        yield from _render_row(row, measures)
    registry = CollectorRegistry(auto_describe=False)
    ProcessCollector(registry=registry)
    yield generate_latest(registry)


def _render_row(row: Row, measures: Measures) -> Iterator[bytes]:
    """One metric; its head stands before the first part alone, also where it has no sample."""
    samples = row.samples(measures)
    yield generate_latest(_Family(row, [*islice(samples, PART_SAMPLES_MAX)]))
    while part := [*islice(samples, PART_SAMPLES_MAX)]:
        yield generate_latest(_Family(row, part)).split(b"\n", HEAD_LINES)[HEAD_LINES]


class _Family(Collector):
    """Some samples of one metric, as they were when asked."""

    def __init__(self, row: Row, samples: list[Sample]) -> None:
        self._row = row
        self._samples = samples

    def collect(self) -> list[Metric]:
        return [_family(self._row, self._samples)]


def _family(row: Row, samples: list[Sample]) -> Metric:
    if row.kind == "histogram":
        *buckets, total = samples
        cumulated = [(sample.labels[0], sample.value) for sample in buckets]
        return HistogramMetricFamily(row.name, row.meaning, cumulated, total.value)
    if row.kind == "summary":
        count, total = samples
        return SummaryMetricFamily(row.name, row.meaning, int(count.value), total.value)
    make = CounterMetricFamily if row.kind == "counter" else GaugeMetricFamily
    family = make(row.name, row.meaning, labels=row.labels)
    for labels, value in samples:
        family.add_metric(labels, value)
    return family
