"""What both faces do alike: typed requests to lines, answers to types, and their bounds.

The verbs' meaning is the contract's; which of them may be repeated is ``exchange``'s.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final, TypeAlias, TypeVar

import msgspec

from smppd.client.errors import EventsLost, ProtocolError
from smppd.client.lines import Asked, encode, fault_of
from smppd.client.shapes import (
    Accepted,
    Event,
    JsonObject,
    Message,
    Rejected,
    Submit,
    sum_up,
)

OPEN_SECONDS_MAX: Final = 5.0
"""For one try to connect: a busy daemon answers within a commit or two."""

ANSWER_SECONDS: Final = 30.0
"""For an answer, the default: a daemon that is started again has long been back by then."""

CONNECT_SECONDS: Final = 5.0
"""For the first connection, the default: time for a daemon that is just starting; a wrong path
shows soon enough."""

CLOSE_SECONDS_MAX: Final = 1.0
"""For the last lines of a client that closes: they need one write."""

SUBMITS_MAX: Final = 500
"""Submits of a batch in one write: some 100 KB, which the daemon commits at once."""

CHUNKS_AHEAD: Final = 2
"""Writes of a batch on their way at once: one is committed while the next is read."""

EVENTS_MAX: Final = 1_000
"""Events in one batch handed out."""

FOLLOW_SECONDS: Final = 1.0
"""Without an event for so long, ``follow`` asks for the message's state: an app may have no
events, or somebody may have taken them."""

OnGap: TypeAlias = Callable[[EventsLost], None]
"""Told of events that are gone, where the loop is not to raise it."""

T = TypeVar("T")


def cut_submits(messages: Sequence[Submit]) -> Iterator[Sequence[Submit]]:
    """Pieces of a batch, one write each."""
    for start in range(0, len(messages), SUBMITS_MAX):
        yield messages[start : start + SUBMITS_MAX]


def ask_submits(messages: Sequence[Submit]) -> Asked:
    """A submit each; ValueError for a text that holds half a surrogate pair."""
    return Asked("submit", encode(messages))


def read_submitted(
    messages: Sequence[Submit], answers: list[JsonObject]
) -> list[Accepted | Rejected]:
    """The answers to ``messages``, in order; an ``error`` is a rejection of that submit alone."""
    return [
        read_answer(answer, Accepted)
        if answer["type"] == "accepted"
        else read_answer({"ref": message.ref, **answer}, Rejected)
        for message, answer in zip(messages, answers, strict=True)
    ]


def read_answer(answer: JsonObject, shape: type[T]) -> T:
    """``answer`` as ``shape``; ProtocolError where it is none."""
    if answer["type"] == "rejected" and shape is not Rejected:
        raise fault_of(answer)
    try:
        return msgspec.convert(answer, shape)
    except msgspec.ValidationError as error:
        reason = f"the daemon's {answer['type']} is not the protocol's: {error}"
        raise ProtocolError("bad_answer", reason) from None


def name_message(verb: str, **names: str | None) -> JsonObject:
    """A request about one message (or one tag) by exactly one of ``names``, else ValueError."""
    given = {name: value for name, value in names.items() if value is not None}
    if len(given) != 1:
        raise ValueError(f"{verb} goes by one of {', '.join(names)}")
    return {"type": verb, **given}


def make_quote(message: Submit) -> JsonObject:
    """The question what ``message`` would be."""
    fields: JsonObject = msgspec.to_builtins(message)
    return {**fields, "type": "quote"}


class Followed:
    """One message that is followed: which of its events are news. ``is_ended`` after the last."""

    def __init__(self, message_id: str) -> None:
        self.id = message_id
        self.is_ended = False
        self._told: Event | None = None

    def heed_event(self, event: Event) -> list[Event]:
        """``event``, unless a summary has told it."""
        told = self._told
        if event.id != self.id or self.is_ended:
            return []
        if told is not None and not told.seq and (told.kind, told.at) == (event.kind, event.at):
            return []
        return self._tell(event)

    def heed_message(self, message: Message) -> list[Event]:
        """What ``query`` knows and no event has told, as a summary."""
        event = sum_up(message)
        told = self._told
        if message.state == "queued" or self.is_ended:
            return []
        if told is not None and (told.kind, told.is_last) == (event.kind, event.is_last):
            return []
        return self._tell(event)

    def _tell(self, event: Event) -> list[Event]:
        self._told = event
        self.is_ended = event.is_last
        return [event]
