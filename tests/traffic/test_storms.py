"""Five minutes of throttling, and a campaign that is due in one second: nothing fails, no message
overtakes another, and no commit is larger than a window."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest
import trio
import trio.testing

from smppd.smpp import constants
from smppd.smpp.signals import SubmitReceived
from smppd.store.changes import Extras
from tests.house import Open, texts
from tests.traffic.line import Line, Smsc, open_line, text_of

Clock = trio.testing.MockClock

PACE: Final = 20.0
CALM_SECONDS: Final = 20.0
RECOVERY_SECONDS: Final = 70.0
MESSAGES: Final = 2_600

CAMPAIGN: Final = 20_000
SCHEDULED_MS: Final = 60_000
WINDOW: Final = 50


class Weather:
    """What an SMSC saw: the texts it took with their times, and the times of those it threw out."""

    def __init__(self, smsc: Smsc, throttled: int, until: float) -> None:
        self._smsc = smsc
        self._throttled = throttled
        self._until = until
        self.taken: list[str] = []
        self.times: list[float] = []
        self.thrown_out: list[float] = []

    async def run(self) -> None:
        """Takes all, but in the storm nothing."""
        while not self._smsc.at_end:
            await self._smsc.read()
            submits = [one for one in self._smsc.received if isinstance(one, SubmitReceived)]
            self._smsc.received.clear()
            now = trio.current_time()
            is_storm = CALM_SECONDS <= now < self._until
            if is_storm:
                self.thrown_out += [now] * len(submits)
            else:
                self.taken += map(text_of, submits)
                self.times += [now] * len(submits)
            await self._smsc.answer(submits, self._throttled if is_storm else 0)

    def count(self, start: float, seconds: float) -> int:
        """Messages it took in these seconds."""
        return sum(start <= time < start + seconds for time in self.times)


async def submit_all(line: Line) -> list[str]:
    """The texts of the messages, in their order."""
    refs = [f"r{number}" for number in range(MESSAGES)]
    fields = {"receipt": False, "valid_for": 100_000}
    proposals = [line.house.propose(ref, text=ref, **fields) for ref in refs]  # type: ignore[arg-type]
    await line.committer.commit(list(proposals))
    return refs


@pytest.mark.parametrize(
    ("throttled", "seconds"), [(constants.ESME_RTHROTTLED, 300.0), (constants.ESME_RMSGQFUL, 60.0)]
)
async def test_storm_of_throttling_fails_nothing_keeps_the_order_and_is_recovered_from(
    tmp_path: Path, autojump_clock: Clock, throttled: int, seconds: float
) -> None:
    end = CALM_SECONDS + seconds
    async with open_line(tmp_path, window=20, throughput=PACE, carriers=("alpha",)) as line:
        refs = await submit_all(line)
        tie = await line.bind()
        weather = Weather(tie.smsc, throttled, end)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(weather.run)
            await trio.sleep_until(end + RECOVERY_SECONDS + CALM_SECONDS)
            nursery.cancel_scope.cancel()
        before = weather.count(5, CALM_SECONDS - 5) / (CALM_SECONDS - 5)
        after = weather.count(end + RECOVERY_SECONDS, CALM_SECONDS) / CALM_SECONDS
        assert before >= 0.95 * PACE
        assert after >= 0.95 * before
        last_minute = [time for time in weather.thrown_out if time >= end - 50]
        assert 1 <= len(last_minute) <= 51, "asked once a second, and not at the old rate"
        assert weather.taken == refs[: len(weather.taken)]
        told = line.house.told()
        assert {event for _, event in told} == {"sent"}
        assert [ref for ref, _ in told] == refs[: len(told)]


def test_campaign_due_in_one_second_goes_by_windows_and_holds_up_no_one_time_code(
    open_house: Open,
) -> None:
    house = open_house(carriers=("alpha",), routes=None, window=WINDOW)
    house.up()
    at = house.now + SCHEDULED_MS
    for start in range(0, CAMPAIGN, 1_000):
        refs = [f"c{number}" for number in range(start, start + 1_000)]
        extras = Extras(send_at=at)
        house.submit(*refs, extras=extras, message_class="promotional", receipt=False)
    assert house.take() == []
    house.now = at
    house.commit([])
    first = house.take()
    assert 0 < len(first) <= WINDOW, "a commit grants a window, however many are due"
    house.submit("code", text="code", message_class="otp", receipt=False)
    assert texts(house.take()) == ["code"]
    house.answer(first)
    taken = len(first)
    while submits := house.take():
        taken += len(submits)
        house.answer(submits)
    assert taken == CAMPAIGN
