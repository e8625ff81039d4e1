"""What a carrier's breaker does to the messages: they go to the next offer, or they wait, and one
at a time finds out whether the carrier is well again. On a real store, over real sessions."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import trio
import trio.testing
from hypothesis import example, given, settings
from hypothesis import strategies as st

from smppd.routing.table import Route
from smppd.smpp import constants
from smppd.smpp.signals import SubmitReceived
from smppd.store.changes import Verdict
from smppd.traffic.breaker import Breaker
from tests.house import House, Open, texts
from tests.traffic.line import Line, Smsc, open_line, text_of

Clock = trio.testing.MockClock

COOL_DOWN = 30.0
MESSAGES = 200
WINDOW = 24
"""Four of it are kept for one-time codes: 20 segments are on the wire at once."""


class Moody:
    """An SMSC that answers every submit with ``command_status``, and keeps what it saw."""

    def __init__(self, smsc: Smsc, command_status: int = 0) -> None:
        self.command_status = command_status
        self.taken: list[str] = []
        self.failed: list[float] = []
        self._smsc = smsc

    async def run(self) -> None:
        while not self._smsc.at_end:
            await self._smsc.read()
            submits = [one for one in self._smsc.received if isinstance(one, SubmitReceived)]
            self._smsc.received.clear()
            if self.command_status:
                self.failed += [trio.current_time()] * len(submits)
            else:
                self.taken += map(text_of, submits)
            await self._smsc.answer(submits, self.command_status)


def arm(line: Line, *carriers: str) -> None:
    """Breakers with the defaults of a configuration."""
    for name in carriers:
        line.house.states[name].breaker = Breaker(0.5, 60.0, 20, COOL_DOWN)


async def bind_moody(line: Line, nursery: trio.Nursery, carrier: str, status: int = 0) -> Moody:
    tie = await line.bind(carrier=carrier)
    moody = Moody(tie.smsc, status)
    nursery.start_soon(moody.run)
    return moody


async def submit_many(line: Line, first: int, count: int) -> list[str]:
    refs = [f"r{number}" for number in range(first, first + count)]
    house = line.house
    proposals = [house.propose(ref, text=ref, valid_for=100_000, receipt=False) for ref in refs]
    await line.committer.commit(list(proposals))
    return refs


async def test_the_next_offer_gets_what_a_failing_carrier_would_have(
    tmp_path: Path, autojump_clock: Clock
) -> None:
    async with open_line(tmp_path, window=WINDOW) as line, trio.open_nursery() as nursery:
        arm(line, "alpha", "beta")
        alpha = await bind_moody(line, nursery, "alpha", constants.ESME_RSYSERR)
        beta = await bind_moody(line, nursery, "beta")
        refs = await submit_many(line, 0, MESSAGES)
        await trio.sleep(COOL_DOWN - 1.0)
        assert len(alpha.failed) == 20
        assert sorted(beta.taken) == sorted(refs)
        assert not line.house.states["alpha"].is_healthy()
        assert "20 of the last 20 segments failed" in line.house.states["alpha"].explain_health()
        nursery.cancel_scope.cancel()


async def test_one_message_finds_out_that_the_carrier_is_well_again(
    tmp_path: Path, autojump_clock: Clock
) -> None:
    async with open_line(tmp_path, window=WINDOW) as line, trio.open_nursery() as nursery:
        arm(line, "alpha", "beta")
        alpha = await bind_moody(line, nursery, "alpha", constants.ESME_RSYSERR)
        beta = await bind_moody(line, nursery, "beta")
        await submit_many(line, 0, MESSAGES)
        await trio.sleep(COOL_DOWN + 1.0)
        await submit_many(line, MESSAGES, 100)
        await trio.sleep(1.0)
        assert len(alpha.failed) == 21
        assert len(beta.taken) == MESSAGES + 100
        alpha.command_status = 0
        await trio.sleep(2 * COOL_DOWN)
        await submit_many(line, 1_000, 50)
        await trio.sleep(1.0)
        # The first was the probe: what came with it had gone to beta before its answer was there.
        assert alpha.taken[0] == "r1000"
        await submit_many(line, 2_000, 50)
        await trio.sleep(1.0)
        assert alpha.taken[-50:] == [f"r{number}" for number in range(2_000, 2_050)]
        assert line.house.states["alpha"].breaker.state == "closed"
        nursery.cancel_scope.cancel()


async def test_without_another_offer_messages_wait_and_none_fails(
    tmp_path: Path, autojump_clock: Clock
) -> None:
    async with (
        open_line(tmp_path, window=WINDOW, carriers=("alpha",)) as line,
        trio.open_nursery() as nursery,
    ):
        arm(line, "alpha")
        alpha = await bind_moody(line, nursery, "alpha", constants.ESME_RSYSERR)
        refs = await submit_many(line, 0, MESSAGES)
        await trio.sleep(150.0)
        # A window, and a probe after 30 s and another after 60 s more.
        assert len(alpha.failed) == 22
        alpha.command_status = 0
        await trio.sleep(200.0)
        assert sorted(alpha.taken) == sorted(refs)
        assert {event for _, event in line.house.told()} == {"sent"}
        nursery.cancel_scope.cancel()


async def test_a_carrier_that_answers_nothing_loses_its_messages_to_the_next_offer(
    tmp_path: Path, autojump_clock: Clock
) -> None:
    async with open_line(tmp_path, window=WINDOW) as line, trio.open_nursery() as nursery:
        arm(line, "alpha", "beta")
        tie = await line.bind(carrier="alpha")
        beta = await bind_moody(line, nursery, "beta")
        await submit_many(line, 0, MESSAGES)
        await tie.smsc.take_submits(20)
        await tie.smsc.read_to_end()
        await tie.wait_end()
        alpha = line.house.states["alpha"]
        assert alpha.breaker.state == "open"
        back = await line.bind(carrier="alpha")
        assert not alpha.is_healthy()
        assert not back.smsc.received
        await trio.sleep(1.0)
        assert len(beta.taken) == MESSAGES - 20
        nursery.cancel_scope.cancel()


async def test_a_carrier_that_throttles_all_is_slowed_and_not_left(
    tmp_path: Path, autojump_clock: Clock
) -> None:
    async with open_line(tmp_path, window=WINDOW) as line, trio.open_nursery() as nursery:
        arm(line, "alpha", "beta")
        alpha = await bind_moody(line, nursery, "alpha", constants.ESME_RTHROTTLED)
        await bind_moody(line, nursery, "beta")
        await submit_many(line, 0, 50)
        await trio.sleep(60.0)
        assert len(alpha.failed) > 50
        assert line.house.states["alpha"].breaker.state == "closed"
        nursery.cancel_scope.cancel()


async def test_a_list_of_bad_numbers_takes_no_carrier_out_of_service(
    tmp_path: Path, autojump_clock: Clock
) -> None:
    async with (
        open_line(tmp_path, window=WINDOW, carriers=("alpha",)) as line,
        trio.open_nursery() as nursery,
    ):
        arm(line, "alpha")
        alpha = await bind_moody(line, nursery, "alpha", constants.ESME_RINVDSTADR)
        await submit_many(line, 0, 100)
        await trio.sleep(1.0)
        assert len(alpha.failed) == 100
        assert line.house.states["alpha"].is_healthy()
        nursery.cancel_scope.cancel()


def test_a_pause_moves_what_waits_and_lets_what_was_begun_go_on(open_house: Open) -> None:
    house = open_house(window=1, routes=None)
    house.up("alpha")
    house.submit("r1", text="x" * 200, segments=2, to="491701234567")
    first = house.take("alpha")
    house.submit("r2")
    house.states["alpha"].breaker.trip(house.now / 1000, 60.0, "its ESME_RSYSERR asks for it")
    house.up("beta")
    house.answer(first)
    assert len(house.take("alpha")) == 1
    assert texts(house.take("beta")) == ["hi"]


def test_a_paused_carrier_is_tried_when_its_time_is_over(open_house: Open) -> None:
    house = open_house(carriers=("alpha",))
    house.up("alpha")
    house.states["alpha"].breaker.trip(house.now / 1000, 60.0, "a pause")
    house.submit("r1", "r2", "r3")
    assert house.take("alpha") == []
    assert house.dispatch.next_at()[0] == pytest.approx(house.now / 1000 + 60.0)
    house.pass_time(60.0)
    probe = house.take("alpha")
    assert len(probe) == 1
    house.pass_time(1.0)
    assert house.take("alpha") == []
    house.states["alpha"].breaker.note(1, 0, house.now / 1000)
    house.answer(probe)
    assert len(house.take("alpha")) == 2


def test_a_probe_that_was_never_answered_is_followed_by_another(open_house: Open) -> None:
    house = open_house(carriers=("alpha",))
    house.up("alpha")
    breaker = house.states["alpha"].breaker = Breaker(0.5, 60.0, 20, COOL_DOWN)
    breaker.trip(house.now / 1000, 10.0, "a pause")
    house.submit("r1", "r2")
    house.pass_time(10.0)
    assert len(house.take("alpha")) == 1
    house.pass_time(COOL_DOWN)
    assert len(house.take("alpha")) == 1


def test_a_refusal_that_others_may_not_share_moves_one_message_and_no_more(
    open_house: Open,
) -> None:
    house = open_house()
    house.up("alpha")
    house.up("beta")
    house.submit("r1")
    house.answer(house.take("alpha"), verdict=Verdict.REROUTE, status=constants.ESME_RSUBMITFAIL)
    assert len(house.take("beta")) == 1
    assert house.states["alpha"].is_healthy()


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["up", "down", "stall", "sleep", "pause", "run", "trip", "pass"]),
        st.sampled_from(["alpha", "beta", "gamma"]),
    ),
    max_size=40,
)


@settings(max_examples=30, deadline=None)
@given(STEPS)
@example([("sleep", "alpha"), ("down", "alpha")])
@example([("up", "alpha"), ("down", "alpha")])
def test_every_group_waits_at_its_first_healthy_offer(steps: list[tuple[str, str]]) -> None:
    """Whatever binds, operators and breakers do: of one carrier only its own groups are moved."""
    routes = [
        Route(prefix, carrier, "0.01")
        for prefix, carriers in (("49", "alpha beta gamma"), ("44", "gamma alpha"), ("1", "beta"))
        for carrier in carriers.split()
    ]
    with TemporaryDirectory() as directory:
        house = House(Path(directory), carriers=("alpha", "beta", "gamma"), routes=routes)
        for number in ("491701234567", "447700900123", "12025550123"):
            house.submit(number, to=number)
        for step, carrier in steps:
            take_step(house, step, carrier)
            groups = house.dispatch._places._groups.values()
            assert groups
            for group in groups:
                offered = [house.states[offer.carrier] for offer in group.offers]
                assert group.home is next((one for one in offered if one.is_healthy()), None)
        house.close()


def take_step(house: House, step: str, carrier: str) -> None:
    slot, now = house.slot(carrier), house.now / 1000
    if step == "up":
        house.up(carrier)
    elif step == "down":
        house.down(carrier)
    elif step == "stall":
        house.dispatch.bind_stalled(slot)
    elif step == "sleep":
        house.dispatch.bind_down(slot)
        house.dispatch.bind_asleep(slot, lambda: None)
    elif step in ("pause", "run"):
        house.set_mode(carrier, "paused" if step == "pause" else "running")
    elif step == "trip":
        house.states[carrier].breaker.trip(now, 10.0, "a pause")
        house.commit([])
    else:
        house.pass_time(7.0)
