"""A line a minute for a carrier that did something, with what it did in that minute."""

from __future__ import annotations

import msgspec
import pytest
import structlog
import trio
import trio.testing
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import LogCapture

from smppd.daemon.minute import (
    MINUTE_SECONDS,
    NOTHING,
    STATUSES_MAX,
    Totals,
    name_faults,
    read_totals,
    summarise,
    summarise_carriers,
)
from smppd.traffic.counts import CarrierCounts

counts = st.integers(0, 1_000_000)
plain_counts = st.fixed_dictionaries(
    {name: counts for name in Totals.__struct_fields__ if name != "statuses"}
)
all_counts = st.dictionaries(st.integers(0, 2**32 - 1), counts)


@given(plain_counts, all_counts)
def test_carrier_that_idled_has_nothing_to_say(
    values: dict[str, int], statuses: dict[int, int]
) -> None:
    totals = msgspec.convert({**values, "statuses": statuses}, Totals)
    assert summarise(totals, totals) == NOTHING


@given(plain_counts, plain_counts)
def test_summary_is_what_has_been_added(before: dict[str, int], grown: dict[str, int]) -> None:
    now = {name: count + grown[name] for name, count in before.items()}
    added = summarise(msgspec.convert(before, Totals), msgspec.convert(now, Totals))
    assert added == msgspec.convert(grown, Totals)


def test_statuses_of_the_minute_are_those_that_have_grown() -> None:
    before = Totals(statuses={0: 10, 0x58: 2, 0x0B: 1})
    now = Totals(statuses={0: 15, 0x58: 2, 0x0B: 4, 0x14: 1})
    assert summarise(before, now).statuses == {0: 5, 0x0B: 3, 0x14: 1}


def test_faults_are_named_the_most_frequent_first_and_success_is_none() -> None:
    assert name_faults({0: 100, 0x58: 2, 0x0B: 7, 0x1234: 1}) == {
        "ESME_RINVDSTADR": 7,
        "ESME_RTHROTTLED": 2,
        "0x00001234": 1,
    }
    assert len(name_faults(dict.fromkeys(range(1, 100), 1))) == STATUSES_MAX


def test_totals_do_not_go_on_counting() -> None:
    own = CarrierCounts()
    totals = read_totals(own)
    own.taken += 1
    own.statuses[0] = 1
    assert totals == NOTHING


async def test_line_a_minute_tells_what_was_done_in_it_and_idle_carriers_are_left_out(
    autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    capture = LogCapture()
    monkeypatch.setattr(
        "smppd.daemon.minute.log", structlog.wrap_logger(None, processors=[capture])
    )
    alpha, beta = CarrierCounts(), CarrierCounts()
    alpha.taken = 5
    async with trio.open_nursery() as nursery:
        nursery.start_soon(summarise_carriers, lambda: {"alpha": alpha, "beta": beta})
        await trio.sleep(1.5 * MINUTE_SECONDS)
        alpha.taken += 3
        alpha.refused += 1
        alpha.statuses[0x0B] = 1
        await trio.sleep(2 * MINUTE_SECONDS)
        nursery.cancel_scope.cancel()
    first, second = capture.entries
    assert (first["event"], first["log_level"], first["carrier"]) == (
        "carrier_minute",
        "info",
        "alpha",
    )
    assert (first["taken"], second["taken"], second["refused"]) == (5, 3, 1)
    assert second["faults"] == {"ESME_RINVDSTADR": 1}
