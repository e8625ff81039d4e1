"""Rows 26 and 27 of docs/carriers.md: throttling, and windows."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest
import trio
import trio.testing

from smppd.config.model import CarrierConfig
from smppd.daemon.build import build_state
from smppd.smpp import constants
from smppd.smpp.pdu import DeliverSm
from smppd.smpp.signals import SubmitReceived
from tests.traffic.line import TIMERS, Line, Smsc, open_line, text_of

Clock = trio.testing.MockClock

PACE: Final = 20.0
STORM_SECONDS: Final = 60.0
RECOVERY_SECONDS: Final = 60.0
MESSAGES: Final = 200


class Throttling:
    """An SMSC that answers ``status`` to all until ``until``, then takes them, and sends the
    receipt of each behind its answer."""

    def __init__(self, smsc: Smsc, status: int, until: float) -> None:
        self._smsc = smsc
        self._status = status
        self._until = until
        self.taken: list[tuple[str, float]] = []
        self.refused: list[float] = []

    async def run(self) -> None:
        while not self._smsc.at_end:
            await self._smsc.read()
            submits = [one for one in self._smsc.received if isinstance(one, SubmitReceived)]
            self._smsc.received.clear()
            now = trio.current_time()
            if now < self._until:
                self.refused += [now] * len(submits)
                await self._smsc.answer(submits, self._status)
                continue
            self.taken += [(text_of(one), now) for one in submits]
            await self._smsc.answer(submits)
            if submits:
                await self._smsc.deliver(*map(receipt_of, submits))


def receipt_of(submit: SubmitReceived) -> DeliverSm:
    body = f"id:m{submit.sequence_number} sub:001 dlvrd:001 stat:DELIVRD err:000 text:"
    phone = submit.pdu.destination_addr
    esm_class = constants.ESM_TYPE_RECEIPT
    return DeliverSm("ACME", body.encode(), source_addr=phone, esm_class=esm_class)


async def submit_all(line: Line) -> list[str]:
    refs = [f"r{number}" for number in range(MESSAGES)]
    house = line.house
    await line.committer.commit([house.propose(ref, text=ref, valid_for=9_999) for ref in refs])
    return refs


@pytest.mark.parametrize(
    ("status", "throughput"),
    [(constants.ESME_RTHROTTLED, PACE), (constants.ESME_RMSGQFUL, 0.0)],
)
async def test_b26_throttling_slows_and_fails_nothing(
    tmp_path: Path, autojump_clock: Clock, status: int, throughput: float
) -> None:
    async with open_line(tmp_path, window=10, throughput=throughput, carriers=("alpha",)) as line:
        refs = await submit_all(line)
        tie = await line.bind()
        smsc = Throttling(tie.smsc, status, STORM_SECONDS)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(smsc.run)
            await trio.sleep(STORM_SECONDS + RECOVERY_SECONDS)
            nursery.cancel_scope.cancel()
        assert [text for text, _ in smsc.taken] == refs, "in the order of the lane, none twice"
        late = [at for at in smsc.refused if at >= STORM_SECONDS - 20.0]
        assert 10 <= len(late) <= 21, "asked once a second"
        ends = [event for _, event in line.house.told()]
        assert sorted(set(ends)) == ["delivered", "sent"], "its receipt is matched"
        assert ends.count("delivered") == MESSAGES
        message = line.house.store.query("shop", ref=refs[0])
        assert message is not None
        assert not message.maybe_duplicate


def test_b27_the_window_is_ten_where_the_carrier_says_nothing() -> None:
    config = CarrierConfig(name="alpha", host="h", port=1, system_id="s", password="p")
    assert [slot.window for slot in build_state(config).slots] == [10]


async def test_b27_no_more_than_the_window_is_unanswered(
    tmp_path: Path, autojump_clock: Clock
) -> None:
    async with open_line(tmp_path, window=4, carriers=("alpha",)) as line:
        tie = await line.bind()
        await submit_all(line)
        first = await tie.smsc.take_submits(4)
        await trio.sleep(TIMERS.response_timer - 1.0)
        assert line.house.store.open_grants("alpha", 0) == 4
        await tie.smsc.answer(first[:1])
        assert len(await tie.smsc.take_submits(1)) == 1
        await tie.smsc.answer(first[1:])
        assert len(await tie.smsc.take_submits(3)) == 3


async def test_b27_slots_come_back_where_no_answer_comes(
    tmp_path: Path, autojump_clock: Clock
) -> None:
    async with open_line(tmp_path, window=4, carriers=("alpha",)) as line:
        tie = await line.bind()
        await submit_all(line)
        await tie.smsc.take_submits(4)
        await tie.smsc.wait_unbind()
        end = await tie.wait_end()
        assert end.reason == "a submit_sm was not answered within response_timer"
        assert line.house.store.open_grants("alpha", 0) == 0
        again = await line.bind()
        assert len(await again.smsc.take_submits(4)) == 4
        assert trio.current_time() <= 3 * TIMERS.response_timer


async def test_b27_a_peer_that_reads_nothing_is_left_and_its_slots_come_back(
    tmp_path: Path, autojump_clock: Clock
) -> None:
    async with open_line(tmp_path, window=4, carriers=("alpha",)) as line:
        tie = await line.bind(lockstep=True)
        await submit_all(line)
        end = await tie.wait_end()
        assert "the SMSC read nothing" in end.reason
        assert line.house.store.open_grants("alpha", 0) == 0
