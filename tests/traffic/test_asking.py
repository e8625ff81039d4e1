"""query_sm and cancel_sm over a link, beside its traffic."""

from __future__ import annotations

from pathlib import Path

import trio
import trio.testing

from smppd.smpp.constants import (
    CANCEL_SM,
    ESME_RCANCELFAIL,
    ESME_ROK,
    GENERIC_NACK,
    MESSAGE_STATE_DELIVERED,
)
from smppd.smpp.session import CancelAnswer, QueryAnswer
from smppd.smpp.signals import CancelAnswered, CancelReceived, QueryAnswered, QueryReceived
from smppd.smpp.sundry import CancelSm, QuerySm
from smppd.traffic.asking import Answer
from tests.smpp.pair import raw
from tests.traffic.line import TIMERS, Line, Tie, open_line

Clock = trio.testing.MockClock
PATIENCE = 60.0


class Asked:
    """What came of asking in a task of its own."""

    def __init__(self) -> None:
        self.answers: list[Answer | None] = []
        self.done = trio.Event()

    async def run(self, tie: Tie, *pdus: QuerySm | CancelSm) -> None:
        self.answers = await tie.link.ask(pdus, PATIENCE)
        self.done.set()


async def take(tie: Tie, kind: type) -> list[QueryReceived | CancelReceived]:
    await tie.smsc.read_until(lambda: any(isinstance(one, kind) for one in tie.smsc.received))
    found = [one for one in tie.smsc.received if isinstance(one, QueryReceived | CancelReceived)]
    tie.smsc.received = [one for one in tie.smsc.received if one not in found]
    return found


async def test_question_is_answered_with_what_the_centre_says(
    tmp_path: Path, autojump_clock: Clock
) -> None:
    asked = Asked()
    async with open_line(tmp_path) as line, trio.open_nursery() as nursery:
        tie = await line.bind()
        nursery.start_soon(asked.run, tie, QuerySm("m1", 5, 0, "ACME"))
        (question,) = await take(tie, QueryReceived)
        assert question.pdu == QuerySm("m1", 5, 0, "ACME")
        number, state = question.sequence_number, MESSAGE_STATE_DELIVERED
        tie.smsc.session.answer_query([QueryAnswer(number, ESME_ROK, "m1", "", state, 9)])
        await tie.smsc.flush()
        await asked.done.wait()
        (answer,) = asked.answers
    assert isinstance(answer, QueryAnswered)
    assert (answer.message_id, answer.message_state, answer.error_code) == ("m1", 2, 9)


async def test_cancels_are_answered_one_by_one(tmp_path: Path, autojump_clock: Clock) -> None:
    asked = Asked()
    async with open_line(tmp_path) as line, trio.open_nursery() as nursery:
        tie = await line.bind()
        nursery.start_soon(asked.run, tie, CancelSm("m1"), CancelSm("m2"))
        first, second = await take(tie, CancelReceived)
        answers = [
            CancelAnswer(second.sequence_number, ESME_RCANCELFAIL),
            CancelAnswer(first.sequence_number, ESME_ROK),
        ]
        tie.smsc.session.answer_cancel(answers)
        await tie.smsc.flush()
        await asked.done.wait()
    statuses = [one.command_status for one in asked.answers if isinstance(one, CancelAnswered)]
    assert statuses == [ESME_ROK, ESME_RCANCELFAIL]


async def test_centre_that_does_not_speak_it_nacks_and_the_bind_lives(
    tmp_path: Path, autojump_clock: Clock
) -> None:
    asked = Asked()
    async with open_line(tmp_path) as line, trio.open_nursery() as nursery:
        tie = await line.bind()
        nursery.start_soon(asked.run, tie, CancelSm("m1"))
        (question,) = await take(tie, CancelReceived)
        await tie.smsc.stream.send_all(raw(GENERIC_NACK, question.sequence_number, 3))
        await asked.done.wait()
        await line.submit("r1")
        assert len(await tie.smsc.take_submits(1)) == 1
    assert [one.command_status for one in asked.answers if one is not None] == [3]


async def test_question_nobody_answers_puts_nothing_in_doubt(
    tmp_path: Path, autojump_clock: Clock
) -> None:
    asked = Asked()
    async with open_line(tmp_path) as line, trio.open_nursery() as nursery:
        tie = await line.bind()
        nursery.start_soon(asked.run, tie, QuerySm("m1"))
        await asked.done.wait()
        assert trio.current_time() >= TIMERS.response_timer
        await line.submit("r1")
        await tie.smsc.answer(await tie.smsc.take_submits(1))
        assert await line.wait_told(1) == [("r1", "sent")]
    assert asked.answers == [None]


async def test_link_that_ends_leaves_no_one_waiting(tmp_path: Path, autojump_clock: Clock) -> None:
    asked, late = Asked(), Asked()
    async with open_line(tmp_path) as line, trio.open_nursery() as nursery:
        tie = await line.bind()
        nursery.start_soon(asked.run, tie, QuerySm("m1"))
        await take(tie, QueryReceived)
        await tie.smsc.stream.aclose()
        await tie.wait_end()
        await late.run(tie, QuerySm("m2"))
        await asked.done.wait()
        assert trio.current_time() < PATIENCE
    assert asked.answers == late.answers == [None]
    assert line.house.told() == []


async def test_question_that_cannot_be_written_is_told_so_and_sends_nothing(
    tmp_path: Path, autojump_clock: Clock
) -> None:
    asked = Asked()
    async with open_line(tmp_path) as line:
        tie = await line.bind()
        await asked.run(tie, QuerySm("m\u00e4rz"))
        assert asked.answers == [None]
        assert not tie.has_ended


async def test_questions_wait_for_room_beside_a_full_window(
    tmp_path: Path, autojump_clock: Clock
) -> None:
    asked = Asked()
    async with open_line(tmp_path, window=2) as line, trio.open_nursery() as nursery:
        tie = await line.bind()
        await fill_window(line, tie)
        nursery.start_soon(asked.run, tie, CancelSm("m1"))
        await trio.testing.wait_all_tasks_blocked()
        submits = await tie.smsc.take_submits(2)
        assert not tie.smsc.received
        await tie.smsc.answer(submits)
        (question,) = await take(tie, CancelReceived)
        assert trio.current_time() < 1, "it was asked when a timer ran out, not when there was room"
        await tie.smsc.stream.send_all(raw(CANCEL_SM | 0x80000000, question.sequence_number))
        await asked.done.wait()
    assert [one.command_status for one in asked.answers if one is not None] == [ESME_ROK]


async def test_questions_nobody_answers_leave_most_of_the_window_to_messages(
    tmp_path: Path, autojump_clock: Clock
) -> None:
    asked = Asked()
    async with open_line(tmp_path) as line, trio.open_nursery() as nursery:
        tie = await line.bind()
        nursery.start_soon(asked.run, tie, *[QuerySm(f"m{number}") for number in range(20)])
        assert len(await take(tie, QueryReceived)) == 2
        await line.submit("r1")
        await tie.smsc.answer(await tie.smsc.take_submits(1))
        assert trio.current_time() < 1
        nursery.cancel_scope.cancel()


async def test_every_question_of_many_is_asked(tmp_path: Path, autojump_clock: Clock) -> None:
    asked = Asked()
    async with open_line(tmp_path) as line, trio.open_nursery() as nursery:
        tie = await line.bind()
        nursery.start_soon(asked.run, tie, *[CancelSm(f"m{number}") for number in range(5)])
        while not asked.done.is_set():
            numbers = [one.sequence_number for one in await take(tie, CancelReceived)]
            tie.smsc.session.answer_cancel([CancelAnswer(one, ESME_ROK) for one in numbers])
            await tie.smsc.flush()
            await trio.testing.wait_all_tasks_blocked()
    assert [one.command_status for one in asked.answers if one is not None] == [ESME_ROK] * 5
    assert trio.current_time() < 1


async def fill_window(line: Line, tie: Tie) -> None:
    await line.submit("r1", "r2")
    await trio.testing.wait_all_tasks_blocked()
