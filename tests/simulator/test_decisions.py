"""Chance: the same seed is the same run, and no knob shifts another."""

from __future__ import annotations

import msgspec
import pytest
import trio.testing

from smppd.simulator import Behaviour, Profile, SubmitRecord
from smppd.simulator.decisions import Decisions
from smppd.simulator.delay import Lognormal
from smppd.smpp.signals import DeliverReceived
from tests.simulator.esme import bound, carrier_of, submit, submits

FLAKY = Behaviour(
    first_id=0x1000,
    response_delay=Lognormal(0.05, 0.8),
    receipt_delay=Lognormal(0.5, 0.8),
    refuse_rate=0.2,
    throttle_rate=0.2,
    lose_response_rate=0.1,
    lose_receipt_rate=0.2,
    double_receipt_rate=0.2,
    enroute_rate=0.3,
    undelivered_rate=0.2,
    expired_rate=0.2,
    id_format="uuid",
)
COUNT = 60


async def run(behaviour: Behaviour) -> tuple[list[SubmitRecord], list[tuple[float, bytes]]]:
    """The ledger, and when each delivery came."""
    alpha = carrier_of(Profile(behaviour))
    begin = trio.current_time()
    async with bound(alpha) as client:
        for number in range(0, COUNT, 10):
            await client.submit(*(submit(number + more) for more in range(10)))
            await client.until_quiet()
        await client.until_quiet()
        await trio.sleep(60)
        await client.until_quiet()
    deliveries = [
        (round(time - begin, 6), signal.pdu.short_message)
        for time, signal in zip(client.times[1:], client.signals, strict=True)
        if isinstance(signal, DeliverReceived)
    ]
    return alpha.records(), deliveries


async def test_same_seed_and_submits_are_the_same_ledger(
    autojump_clock: trio.testing.MockClock,
) -> None:
    first = await run(FLAKY)
    assert await run(FLAKY) == first
    other = await run(msgspec.structs.replace(FLAKY, seed=1))
    assert other[0] != first[0]
    assert {record.command_status for record in first[0]} == {0, 0x45, 0x58}


def outcomes(behaviour: Behaviour) -> list[str]:
    decisions = Decisions(7, "alpha", 1)
    return [outcome.stat.decode() for outcome in decisions.outcomes(behaviour, 200)]


@pytest.mark.parametrize(
    "knob",
    ["refuse_rate", "throttle_rate", "lose_receipt_rate", "double_receipt_rate", "enroute_rate"],
)
async def test_knob_changes_nothing_but_its_own(
    autojump_clock: trio.testing.MockClock, knob: str
) -> None:
    base = Behaviour(first_id=1, undelivered_rate=0.5)
    stats = []
    for behaviour in (base, msgspec.structs.replace(base, **{knob: 0.5})):
        async with bound(carrier_of(Profile(behaviour))) as client:
            await client.submit(*submits(40))
            await client.until_quiet()
        numbers = [pdu.source_addr for pdu in client.delivered()]
        pairs = zip(numbers, client.receipts(), strict=True)
        stats.append({number: one.stat for number, one in pairs if one.stat != "ENROUTE"})
    before, after = stats
    assert len(before) == 40
    assert len(after) >= 10
    assert after.items() <= before.items()


def test_one_outcome_does_not_shift_the_other() -> None:
    expired = outcomes(Behaviour(expired_rate=0.5))
    both = outcomes(Behaviour(expired_rate=0.5, undelivered_rate=0.5))
    assert {"DELIVRD", "EXPIRED"} == set(expired)
    assert all(one in ("UNDELIV", other) for one, other in zip(both, expired, strict=True))


def test_carriers_of_one_seed_draw_differently() -> None:
    alpha, beta = Decisions(1, "alpha", 1), Decisions(1, "beta", 1)
    assert alpha.strikes("refuse", 0.5, 64) != beta.strikes("refuse", 0.5, 64)
