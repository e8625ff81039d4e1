"""What a fairness run comes to: who was due what of each carrier, and who had it.

Numbers in, numbers and sentences out. The fair share of a stream is by the daemon's own promise
(docs/operations.md): one-time codes first; the other classes by their weights, a class that has
less than its part leaves the rest to the other; within a class the apps alike, by the same rule.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import msgspec

from bench.centre import SinkLedger
from bench.fair_app import SLICE_SECONDS, AppResult, Sample, Stream, StreamResult
from bench.report import Host

WEIGHTS: Final[Mapping[str, float]] = {"transactional": 4, "promotional": 1}
"""The daemon's defaults, and those of the run."""

SLICES_A_SECOND: Final = round(1 / SLICE_SECONDS)

FILLING: Final = ("fill", "crowd")
"""Phases in which what is to wait is submitted. They are shown, and judged by nothing: what a
flood of submits costs the others is a matter of reads and commits, and not of turns."""

RATIO_MAX: Final = 2.0
"""One-time codes under pressure against idle, p99 to ``sent``."""

USE_MIN: Final = 0.98
"""A carrier is kept full from here on: a tick at each end of a phase may be lost."""

SHARE_MIN: Final = 0.95
"""A stream has its share from here on: what is on its way at both ends of a phase may differ."""


class FairSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What was asked for: submits a second of each carrier, the window of each one's bind,
    messages that wait, and the seconds of a phase."""

    paces: dict[str, float]
    window: int
    waiting: int
    seconds: float


class Ordered(msgspec.Struct, frozen=True):
    """A stream, whose it is, and where it goes."""

    app: str
    carrier: str
    stream: Stream


class Schedule(msgspec.Struct, frozen=True):
    """Seconds in which the daemon's loop had a core, and in which it was ready and had none: the
    machine's part in its latencies (proc_pid_schedstat(5))."""

    ran: float
    waited: float

    def since(self, earlier: Schedule) -> Schedule:
        """What has come to it."""
        return Schedule(self.ran - earlier.ran, self.waited - earlier.waited)


class Phase(msgspec.Struct, frozen=True, kw_only=True):
    """One part of the run: from and to (monotonic seconds), what was submitted in it, what waited
    from before, and what the watchers saw. ``lags_ms`` are a do-nothing loop's."""

    name: str
    start: float
    end: float
    ordered: list[Ordered]
    waiting: list[str]
    lags_ms: list[float]
    daemon: Schedule
    private_peak: int
    queued: int

    def slices(self) -> range:
        """Those that lie wholly in it."""
        return range(math.ceil(self.start / SLICE_SECONDS), math.floor(self.end / SLICE_SECONDS))


class Ending(msgspec.Struct, frozen=True):
    """The ledgers: of apps and SMSCs, and what the daemon has waiting yet."""

    apps: list[AppResult]
    sinks: list[SinkLedger]
    queued: int


class Share(msgspec.Struct, frozen=True):
    """A stream in a phase: messages a second submitted (None: more than can go), due to it, and
    sent; ``pause`` is the longest time in which none was (seconds)."""

    phase: str
    carrier: str
    stream: str
    offered: float | None
    fair: float
    got: float
    share: float
    pause: float


class Use(msgspec.Struct, frozen=True):
    """A carrier in a phase: its pace, messages a second, and the share of the pace that is."""

    phase: str
    carrier: str
    pace: float
    got: float
    use: float


class Codes(msgspec.Struct, frozen=True):
    """One-time codes in a phase, milliseconds from their submit; ``ratio`` is the p99 to ``sent``
    against that of the idle phase."""

    phase: str
    carrier: str
    count: int
    accepted_p50: float
    accepted_p99: float
    sent_p50: float
    sent_p99: float
    sent_max: float
    ratio: float


class PhaseCost(msgspec.Struct, frozen=True):
    """What a phase cost, and the machine's part: the share of the time in which the daemon wanted
    a core and had none, and how late a loop was that does nothing (milliseconds)."""

    phase: str
    seconds: float
    cpu_per_thousand: float
    daemon_share: float
    waited_share: float
    private_peak: int
    queued: int
    lag_p50: float
    lag_p99: float
    lag_max: float


class FairReport(msgspec.Struct, frozen=True, kw_only=True):
    """Everything, as ``--json`` prints it. ``faults`` are where ledgers differ, ``misses`` where
    it was not fair."""

    settings: FairSettings
    host: Host
    shares: list[Share]
    uses: list[Use]
    codes: list[Codes]
    costs: list[PhaseCost]
    faults: list[str]
    misses: list[str]
    series: dict[str, list[tuple[float, float]]]


def share_out(
    capacity: float, demands: Mapping[str, float], weights: Mapping[str, float]
) -> dict[str, float]:
    """``capacity`` divided by weight, nobody given more than he asks for: what he leaves is the
    others' (max-min fairness, Bertsekas and Gallager, Data Networks, s6.5.2)."""
    given: dict[str, float] = {}
    left = {name: demand for name, demand in demands.items() if demand > 0}
    while left:
        each = capacity / sum(weights[name] for name in left)
        content = {name: demand for name, demand in left.items() if demand <= each * weights[name]}
        if not content:
            return given | {name: each * weights[name] for name in left}
        given |= content
        capacity -= sum(content.values())
        left = {name: demand for name, demand in left.items() if name not in content}
    return given


def fair_shares(
    pace: float, demands: Mapping[str, float], ordered: Sequence[Ordered]
) -> dict[str, float]:
    """What each stream of one carrier is due, by name; the streams of an app and class are one."""
    by_class: dict[str, dict[str, float]] = {}
    for one in ordered:
        lane = by_class.setdefault(one.stream.message_class, {})
        lane[one.stream.name] = demands.get(one.stream.name, 0.0)
    codes = by_class.pop("otp", {})
    fair = share_out(pace, codes, dict.fromkeys(codes, 1.0))
    lanes = {name: sum(lane.values()) for name, lane in by_class.items()}
    parts = share_out(pace - sum(fair.values()), lanes, WEIGHTS)
    for name, lane in by_class.items():
        fair |= share_out(parts.get(name, 0.0), lane, dict.fromkeys(lane, 1.0))
    return fair


def make_report(
    settings: FairSettings,
    host: Host,
    phases: Sequence[Phase],
    ending: Ending,
) -> FairReport:
    """Judges the phases but ``fill`` by what was due."""
    streams = {stream.name: stream for app in ending.apps for stream in app.streams}
    measured = [phase for phase in phases if phase.name not in FILLING]
    shares = [share for phase in measured for share in _shares(settings, phase, streams)]
    uses = [use for phase in measured for use in _uses(settings, phase, shares)]
    codes = [code for phase in phases for code in _codes(phase, streams, phases[0])]
    return FairReport(
        settings=settings,
        host=host,
        shares=shares,
        uses=uses,
        codes=codes,
        costs=[_cost(phase, streams.values()) for phase in phases],
        faults=find_faults(streams.values(), ending),
        misses=find_misses(shares, uses, codes),
        series=_series(phases, streams),
    )


def find_faults(streams: Iterable[StreamResult], ending: Ending) -> list[str]:
    """Where the ledgers of apps, daemon and carriers differ: every message was accepted, and was
    sent and told so once or waits; every one told is one that a carrier has, once."""
    accepted = sent = 0
    faults = []
    for stream in streams:
        accepted += stream.accepted
        sent += stream.sent
        expected = (
            ("accepted", stream.accepted, stream.submitted),
            ("told twice", stream.doubles, 0),
            ("told as ended otherwise", stream.undelivered, 0),
            ("told as delivered", stream.finals, stream.sent),
        )
        faults += [
            f"{stream.name}: {what}: {count}, not {wanted}"
            for what, count, wanted in expected
            if count != wanted
        ]
    if accepted != sent + ending.queued:
        faults.append(f"{accepted} accepted, but {sent} sent and {ending.queued} queued")
    taken = sum(ledger.accepted for ledger in ending.sinks)
    if taken != sent:
        faults.append(f"{sent} told as sent, but {taken} taken by the SMSCs")
    doubles = [set(ledger.destinations or {}) - {"1"} for ledger in ending.sinks]
    if any(doubles):
        faults.append(f"sent more than once: {doubles} times")
    return faults


def find_misses(shares: Sequence[Share], uses: Sequence[Use], codes: Sequence[Codes]) -> list[str]:
    """What was promised and is not so."""
    found = [
        f"{one.phase}: {one.carrier} was used to {one.use:.1%} only"
        for one in uses
        if one.use < USE_MIN
    ]
    found += [
        f"{one.phase}: {one.stream} had {one.got:.2f}/s of {one.fair:.2f}/s"
        for one in shares
        if one.share < SHARE_MIN
    ]
    return found + [
        f"{one.phase}: codes to {one.carrier}: p99 {one.sent_p99:.1f} ms, {one.ratio:.1f} x idle"
        for one in codes
        if one.ratio > RATIO_MAX and one.phase not in FILLING
    ]


def _shares(
    settings: FairSettings, phase: Phase, streams: Mapping[str, StreamResult]
) -> Iterable[Share]:
    slices = phase.slices()
    seconds = len(slices) * SLICE_SECONDS
    demands = {
        one.stream.name: _total(streams[one.stream.name].submitted_slices, slices) / seconds
        for one in phase.ordered
    } | dict.fromkeys(phase.waiting, math.inf)
    for carrier, pace in settings.paces.items():
        ordered = [one for one in phase.ordered if one.carrier == carrier]
        fair = fair_shares(pace, demands, ordered)
        for one in ordered:
            name = one.stream.name
            sent = streams[name].sent_slices
            got, due = _total(sent, slices) / seconds, fair.get(name, 0.0)
            share = got / due if due else 1.0
            offered = None if demands[name] == math.inf else demands[name]
            pause = _pause(sent, slices)
            yield Share(phase.name, carrier, name, offered, due, got, share, pause)


def _total(counts: Mapping[int, int], slices: range) -> int:
    return sum(count for key, count in counts.items() if key in slices)


def _pause(counts: Mapping[int, int], slices: range) -> float:
    """The longest run of slices without one, in seconds."""
    longest = run = 0
    for key in slices:
        run = 0 if counts.get(key) else run + 1
        longest = max(longest, run)
    return longest * SLICE_SECONDS


def _uses(settings: FairSettings, phase: Phase, shares: Sequence[Share]) -> Iterable[Use]:
    """Of the carriers for which something waits the whole time."""
    for carrier, pace in settings.paces.items():
        own = [one for one in shares if (one.phase, one.carrier) == (phase.name, carrier)]
        if any(one.offered is None for one in own):
            got = sum(one.got for one in own)
            yield Use(phase.name, carrier, pace, got, got / pace)


def _codes(phase: Phase, streams: Mapping[str, StreamResult], idle: Phase) -> Iterable[Codes]:
    for one in phase.ordered:
        if one.stream.message_class != "otp":
            continue
        samples = streams[one.stream.name].samples
        own, calm = _samples_in(samples, phase), _samples_in(samples, idle)
        if own and calm:
            yield _codes_of(phase.name, one.carrier, own, calm)


def _codes_of(phase: str, carrier: str, own: list[Sample], calm: list[Sample]) -> Codes:
    accepted = sorted(sample.accepted_ms for sample in own)
    sent = sorted(sample.sent_ms for sample in own)
    idle_p99 = percentile(sorted(sample.sent_ms for sample in calm), 99)
    return Codes(
        phase,
        carrier,
        len(own),
        percentile(accepted, 50),
        percentile(accepted, 99),
        percentile(sent, 50),
        percentile(sent, 99),
        sent[-1],
        percentile(sent, 99) / idle_p99,
    )


def _samples_in(samples: Sequence[Sample], phase: Phase) -> list[Sample]:
    return [sample for sample in samples if phase.start <= sample.at < phase.end]


def percentile(ordered: Sequence[float], part: int) -> float:
    """Of what is sorted, and not empty."""
    return ordered[min(len(ordered) * part // 100, len(ordered) - 1)]


def _cost(phase: Phase, streams: Iterable[StreamResult]) -> PhaseCost:
    slices, seconds = phase.slices(), phase.end - phase.start
    counts = [
        _total(stream.submitted_slices if phase.name in FILLING else stream.sent_slices, slices)
        for stream in streams
    ]
    lags = sorted(phase.lags_ms) or [0.0]
    return PhaseCost(
        phase.name,
        seconds,
        phase.daemon.ran / max(sum(counts), 1) * 1000,
        phase.daemon.ran / seconds,
        phase.daemon.waited / seconds,
        phase.private_peak,
        phase.queued,
        percentile(lags, 50),
        percentile(lags, 99),
        lags[-1],
    )


def _series(
    phases: Sequence[Phase], streams: Mapping[str, StreamResult]
) -> dict[str, list[tuple[float, float]]]:
    """Messages a second sent, second by second from the run's start, by stream."""
    first = phases[0].slices().start
    seconds = range((phases[-1].slices().stop - first) // SLICES_A_SECOND)
    return {
        name: [(float(second), _in_second(stream, first, second)) for second in seconds]
        for name, stream in streams.items()
    }


def _in_second(stream: StreamResult, first: int, second: int) -> float:
    start = first + second * SLICES_A_SECOND
    return float(
        sum(stream.sent_slices.get(key, 0) for key in range(start, start + SLICES_A_SECOND))
    )
