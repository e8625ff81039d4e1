"""Replies: what a request is to be answered once its commit is made, and the answer it then gets.

``conversation`` makes them, ``conclude`` turns them into answers with the commit's results, and
``connection`` finishes what is pending still. Pure.
"""

from __future__ import annotations

import re
from typing import Final

import msgspec
from msgspec import UNSET, UnsetType

from smppd.api.answers import (
    AcceptedAnswer,
    Answer,
    CancelledAnswer,
    ErrorAnswer,
    RejectedAnswer,
    view_replaced,
)
from smppd.api.requests import Control, Query, Subscribe
from smppd.store import changes as store
from smppd.store.changes import (
    Accepted,
    Cancelled,
    Propose,
    RefConflict,
    Rejection,
    Result,
    Take,
    TakenResult,
    UnknownMessage,
)
from smppd.text.smart import Smart

_MESSAGE_ID: Final = re.compile(r"[0-9a-f]{16}")


class TakenLine(msgspec.Struct, frozen=True, gc=False):
    """The reply to ``taken`` on ``line``: nothing when the store agrees to ``take``."""

    line: int
    take: Take


class Pending(msgspec.Struct, frozen=True):
    """The reply on ``line`` to what one commit alone does not answer."""

    line: int


class CancelLine(Pending, frozen=True):
    """A cancel, to be answered once ``change`` is made and, of a tag, all that it left.

    ``count`` and ``too_late`` are those of the changes made for this line before.
    """

    change: store.Cancel
    count: int = 0
    too_late: int = 0


class Read(Pending, frozen=True):
    """A request that is answered after the batch's commit: from the store, or by the daemon."""

    request: Query | Subscribe | Control


Reply = Answer | Propose | TakenLine | Pending


def conclude(replies: list[Reply], results: list[Result]) -> list[Answer | Pending]:
    """The answers that ``results`` of a commit bring, in line order; what needs more is left.

    ``results`` has one element per change of the same ``Admission``, in order. A ``CancelLine``
    among the answers has its next change still to be made.
    """
    answers: list[Answer | Pending] = []
    outcomes = iter(results)
    for reply in replies:
        if isinstance(reply, Propose):
            answers.append(_answer_submit(reply.ref, next(outcomes)))
        elif isinstance(reply, CancelLine):
            answers.append(continue_cancel(reply, next(outcomes)))
        elif not isinstance(reply, TakenLine):
            answers.append(reply)
        elif (fault := _find_take_fault(reply, next(outcomes))) is not None:
            answers.append(fault)
    return answers


def continue_cancel(line: CancelLine, result: Result) -> CancelLine | CancelledAnswer | ErrorAnswer:
    """What comes of a cancel after ``result`` of its change: the answer, or the next change."""
    change = line.change
    if isinstance(result, UnknownMessage):
        return refuse_unknown(change.app, "id" if change.ref is None else "ref", line.line)
    assert isinstance(result, Cancelled), f"a Cancel does not answer {result!r}"
    count, too_late = line.count + result.count, line.too_late + result.too_late
    if not result.is_done:
        rest = msgspec.structs.replace(change, after=result.after, upto=result.upto)
        return CancelLine(line.line, rest, count, too_late)
    return CancelledAnswer(
        count, too_late, _or_unset(change.message_id), _or_unset(change.ref), _or_unset(change.tag)
    )


def _or_unset(name: str | None) -> str | UnsetType:
    return UNSET if name is None else name


def _find_take_fault(reply: TakenLine, result: Result) -> ErrorAnswer | None:
    assert isinstance(result, TakenResult), f"a Take does not answer {result!r}"
    if result.ok:
        return None
    reason = f"'seq' {reply.take.seq} is above the latest event, {result.latest}"
    return ErrorAnswer("bad_request", reason, reply.line)


def _answer_submit(ref: str, result: Result) -> AcceptedAnswer | RejectedAnswer:
    if type(result) is Accepted:
        if result.smart is not None:
            return _answer_smart(ref, result, result.smart)
        return AcceptedAnswer(ref, result.id, result.segments, result.encoding, result.duplicate)
    if type(result) is Rejection:
        return RejectedAnswer(ref, result.code, result.reason, None, result.retry_after)
    assert type(result) is RefConflict, f"a Propose does not answer {result!r}"
    reason = "this ref is bound to a message with other content; use another ref"
    return RejectedAnswer(ref, "ref_conflict", reason, result.id)


def _answer_smart(ref: str, result: Accepted, smart: Smart) -> AcceptedAnswer:
    return AcceptedAnswer(
        ref,
        result.id,
        result.segments,
        result.encoding,
        result.duplicate,
        view_replaced(smart.replaced),
        smart.segments_saved,
    )


def is_message_id(text: str) -> bool:
    """Whether ``text`` can be an ``id``: sixteen lower-case hexadecimal digits."""
    return _MESSAGE_ID.fullmatch(text) is not None


def refuse_unknown(app: str | None, name: str, line: int) -> ErrorAnswer:
    """The answer where no message goes by what stood in the field ``name``."""
    whose = "" if app is None else f" of app '{app}'"
    reason = f"no message{whose} has this {name}, or it was deleted by retention"
    return ErrorAnswer("unknown_message", reason, line)
