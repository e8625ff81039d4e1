"""Who is due what of a carrier, who had it, and whether the ledgers agree."""

from __future__ import annotations

import math

import pytest

from bench.centre import SinkLedger
from bench.fair_app import AppResult, Sample, Stream, StreamResult
from bench.fair_report import (
    Ending,
    FairSettings,
    Ordered,
    Phase,
    Schedule,
    fair_shares,
    find_faults,
    make_report,
    share_out,
)
from bench.report import Host

HOST = Host("CPython 3.11", "build", "/python", 2, "Linux", 100.0)
SETTINGS = FairSettings(paces={"fast": 100.0}, window=10, waiting=1000, seconds=10.0)


def ordered(name: str, message_class: str) -> Ordered:
    return Ordered(name, "fast", Stream(name=name, message_class=message_class, digits="00"))


CODES = ordered("codes", "otp")
SHOP = ordered("shop", "transactional")
NEWS = ordered("news", "promotional")
CAMPAIGN = ordered("campaign", "promotional")
ALL = [CODES, SHOP, NEWS, CAMPAIGN]


def test_nobody_is_given_more_than_he_asks_for_and_the_rest_is_shared_by_weight() -> None:
    demands = {"a": 10.0, "b": math.inf, "c": math.inf, "d": 0.0}
    given = share_out(100.0, demands, {"a": 4, "b": 2, "c": 1, "d": 9})
    assert given == {"a": 10.0, "b": pytest.approx(60.0), "c": pytest.approx(30.0)}


def test_codes_are_first_then_lanes_by_weight_then_apps_alike() -> None:
    demands = {"codes": 10.0, "shop": math.inf, "news": 3.0, "campaign": math.inf}
    fair = fair_shares(100.0, demands, ALL)
    assert fair == pytest.approx({"codes": 10.0, "shop": 72.0, "news": 3.0, "campaign": 15.0})


def test_what_a_lane_does_not_want_is_the_others() -> None:
    demands = {"codes": 0.0, "shop": 30.0, "campaign": math.inf}
    assert fair_shares(100.0, demands, ALL) == pytest.approx({"shop": 30.0, "campaign": 70.0})


def phase(name: str, start: float, waiting: list[str]) -> Phase:
    return Phase(
        name=name,
        start=start,
        end=start + 10.0,
        ordered=ALL,
        waiting=waiting,
        lags_ms=[0.1, 0.2],
        daemon=Schedule(1.0, 0.5),
        private_peak=1,
        queued=2,
    )


def stream(name: str, counts: dict[int, int], sent_ms: float = 2.0) -> StreamResult:
    total = sum(counts.values())
    return StreamResult(
        name=name,
        submitted=total,
        accepted=total,
        sent=total,
        finals=total,
        submitted_slices=counts,
        sent_slices=counts,
        samples=[Sample(key / 10, 1.0, sent_ms) for key in counts],
    )


def ending(*streams: StreamResult, queued: int = 0, **counts: object) -> Ending:
    sent = sum(one.sent for one in streams)
    sink = SinkLedger(**{"accepted": sent, "destinations": {"1": sent}, **counts})  # type: ignore[arg-type]
    return Ending([AppResult("app", list(streams), 1.0)], [sink], queued)


def test_report_says_what_was_due_and_what_was_had() -> None:
    streams = (
        stream("codes", dict.fromkeys(range(200), 1)),
        stream("shop", dict.fromkeys(range(100, 200), 6)),
        stream("news", dict.fromkeys(range(100, 200), 1)),
        stream("campaign", dict.fromkeys(range(100, 150), 2)),
    )
    phases = [phase("idle", 0.0, []), phase("contest", 10.0, ["shop", "campaign"])]
    report = make_report(SETTINGS, HOST, phases, ending(*streams))
    had = {one.stream: one for one in report.shares if one.phase == "contest"}
    assert (had["shop"].fair, had["shop"].got) == pytest.approx((72.0, 60.0))
    assert (had["campaign"].got, had["campaign"].pause) == pytest.approx((10.0, 5.0))
    assert [(one.phase, round(one.use, 3)) for one in report.uses] == [("contest", 0.9)]
    assert [miss.split(":")[1].split()[0] for miss in report.misses] == ["fast", "shop"]
    assert report.codes[0].ratio == 1.0
    assert report.faults == []


def test_slow_codes_are_a_miss() -> None:
    quick, slow = stream("codes", {1: 1}), stream("codes", {101: 1}, sent_ms=5.0)
    both = StreamResult("codes", samples=[*quick.samples, *slow.samples])
    phases = [phase("idle", 0.0, []), phase("steady", 10.0, [])]
    streams = [both, *(StreamResult(one.app) for one in (SHOP, NEWS, CAMPAIGN))]
    report = make_report(SETTINGS, HOST, phases, ending(*streams))
    assert report.misses == ["steady: codes to fast: p99 5.0 ms, 2.5 x idle"]


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"accepted": 3}, "shop: accepted: 3, not 4"),
        ({"doubles": 1}, "shop: told twice: 1, not 0"),
        ({"undelivered": 1}, "shop: told as ended otherwise: 1, not 0"),
        ({"finals": 2}, "shop: told as delivered: 2, not 4"),
    ],
)
def test_app_that_was_told_otherwise_is_a_fault(changes: dict[str, int], fault: str) -> None:
    result = stream("shop", {1: 4})
    for name, value in changes.items():
        setattr(result, name, value)
    assert fault in find_faults([result], ending(result))


def test_what_waits_is_counted_and_what_is_missing_is_a_fault() -> None:
    result = stream("shop", {1: 4})
    result.submitted = result.accepted = 9
    assert find_faults([result], ending(result, queued=5)) == []
    assert find_faults([result], ending(result, queued=4)) == [
        "9 accepted, but 4 sent and 4 queued"
    ]


def test_carrier_that_has_more_or_has_one_twice_is_a_fault() -> None:
    result = stream("shop", {1: 4})
    assert find_faults([result], ending(result, accepted=5)) == [
        "4 told as sent, but 5 taken by the SMSCs"
    ]
    assert find_faults([result], ending(result, destinations={"1": 2, "2": 1})) == [
        "sent more than once: [{'2'}] times"
    ]
