"""What an operator asks a carrier over one link: query_sm and cancel_sm, and who waits for it.

Beside the traffic: a question takes a place of the window when one is free, few at a time, is told
when it is answered, and is told as unanswered when it is overdue or the link ends. Nothing here is
stored.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Final

import trio

from smppd.errors import LocalProtocolError
from smppd.smpp.asks import AskPdu, encode_ask
from smppd.smpp.requests import Ask
from smppd.smpp.signals import AskUnanswered, CancelAnswered, QueryAnswered, Signal

ASKED_MAX: Final = 4
"""Questions of a link unanswered at once, and no more than a fifth of its window: a carrier that
answers none of them must not hold up the messages."""

Answer = QueryAnswered | CancelAnswered


class _Question:
    """The tag of one ask, and its answer once it has come."""

    __slots__ = ("answer", "done", "pdu")

    def __init__(self, pdu: AskPdu) -> None:
        self.pdu = pdu
        self.answer: Answer | None = None
        self.done = trio.Event()


class Questions:
    """Those of one link; ``has_any`` where one waits to be sent."""

    def __init__(self) -> None:
        self._queued: deque[_Question] = deque()
        self._sent: set[_Question] = set()
        self._ended = False

    @property
    def has_any(self) -> bool:
        """Whether one waits to be sent."""
        return bool(self._queued)

    def put(self, pdus: Sequence[AskPdu]) -> list[_Question]:
        """To be sent when there is room; what cannot be written is unanswered at once."""
        questions = [_Question(pdu) for pdu in pdus]
        for question in questions:
            if self._ended or not _is_askable(question.pdu):
                question.done.set()
            else:
                self._queued.append(question)
        return questions

    def take(self, room: int, window: int) -> list[Ask]:
        """Some of them for the session, at most ``room``, which it has of its ``window``."""
        most = max(min(window // 5, ASKED_MAX), 1) - len(self._sent)
        taken = [self._queued.popleft() for _ in range(min(room, most, len(self._queued)))]
        self._sent.update(taken)
        return [Ask(question, question.pdu) for question in taken]

    def hear(self, signal: Signal) -> None:
        """What the session says of a question; other signals say nothing."""
        if isinstance(signal, QueryAnswered | CancelAnswered):
            self._finish(signal.tag, signal)
        elif isinstance(signal, AskUnanswered):
            for tag in signal.tags:
                self._finish(tag, None)

    def end(self) -> None:
        """The link has ended: nothing is answered any more."""
        self._ended = True
        for question in (*self._queued, *self._sent):
            question.done.set()
        self._queued.clear()
        self._sent.clear()

    def drop(self, questions: Sequence[_Question]) -> None:
        """Nobody waits for these any more; those that were not sent never are."""
        for question in questions:
            if question in self._queued:
                self._queued.remove(question)

    def _finish(self, tag: object, answer: Answer | None) -> None:
        assert isinstance(tag, _Question), f"no question of ours has the tag {tag!r}"
        tag.answer = answer
        tag.done.set()
        self._sent.discard(tag)


async def wait_answers(
    questions: Questions, pdus: Sequence[AskPdu], seconds_max: float
) -> list[Answer | None]:
    """The answers in order; None where none came within ``seconds_max``, or none can."""
    put = questions.put(pdus)
    with trio.move_on_after(seconds_max):
        for question in put:
            await question.done.wait()
    questions.drop(put)
    return [question.answer for question in put]


def _is_askable(pdu: AskPdu) -> bool:
    """Whether its fields can be written: a carrier's own id may be longer than it may be sent."""
    try:
        encode_ask(pdu, 1)
    except LocalProtocolError:
        return False
    return True
