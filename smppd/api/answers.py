"""What a peer is answered: one frozen struct an answer, its fields named as on the wire.

The shapes that other rooms own (a message, the control verbs' views) become answers by being
given their ``type``. Events are no answers: the store writes their lines.
"""

from __future__ import annotations

from typing import Final

import msgspec
from msgspec import UNSET, Raw, UnsetType

from smppd.text.smart import Replacement

_encode: Final = msgspec.json.Encoder().encode


class _Answer(msgspec.Struct, tag_field="type", omit_defaults=True, frozen=True, gc=False):
    """What all answer structs have in common."""


class WelcomeAnswer(_Answer, frozen=True, tag="welcome"):
    """To ``hello``: who the peer is here, and what to expect of us."""

    app: str
    server: str
    version: int
    line_bytes_max: int
    answer_bytes_max: int


class ReplacedView(msgspec.Struct, frozen=True):
    """One character that smart encoding replaced, ``count`` times in this text."""

    character: str
    by: str
    count: int


class AcceptedAnswer(_Answer, frozen=True, tag="accepted"):
    """To ``submit``: the message is on disk. With ``replaced`` and ``segments_saved`` where smart
    encoding changed its text."""

    ref: str
    id: str
    segments: int
    encoding: str
    duplicate: bool = False
    replaced: tuple[ReplacedView, ...] | UnsetType = UNSET
    segments_saved: int | UnsetType = UNSET


class RejectedAnswer(_Answer, frozen=True, tag="rejected"):
    """To ``submit``: nothing was accepted. ``id``: the first one's at ``ref_conflict``."""

    ref: str
    code: str
    reason: str
    id: str | None = None
    retry_after: int | None = None


class SubscribedAnswer(_Answer, frozen=True, tag="subscribed"):
    """To ``subscribe``. With nothing kept, ``oldest`` is ``latest`` + 1: the next event to be."""

    after: int
    oldest: int
    latest: int
    gap: bool


class PongAnswer(_Answer, frozen=True, tag="pong"):
    """To ``ping``."""

    token: Raw | UnsetType = UNSET


class CancelledAnswer(_Answer, frozen=True, tag="cancelled"):
    """To ``cancel``: how many will now never be submitted, and for how many it was too late.
    Of ``id``, ``ref`` and ``tag`` it has the one that was asked with."""

    count: int
    too_late: int
    id: str | UnsetType = UNSET
    ref: str | UnsetType = UNSET
    tag: str | UnsetType = UNSET


class QuotedAnswer(_Answer, frozen=True, tag="quoted", omit_defaults=False):
    """To ``quote``. ``cost`` is the whole message's; ``blocked_by`` the code a submit would be
    rejected with, ``reason`` its reason. None: not known, or nothing. ``replaced`` and
    ``segments_saved`` are there only where smart encoding would change the text."""

    currency: str
    segments: int | None = None
    encoding: str | None = None
    carrier: str | None = None
    cost: str | None = None
    blocked_by: str | None = None
    reason: str | None = None
    replaced: tuple[ReplacedView, ...] | UnsetType = UNSET
    segments_saved: int | UnsetType = UNSET


class ErrorAnswer(_Answer, frozen=True, tag="error"):
    """To a wrong line, number ``line`` of this connection; without one it is about the peer."""

    code: str
    reason: str
    line: int | UnsetType = UNSET
    ref: str | UnsetType = UNSET


Answer = (
    WelcomeAnswer
    | AcceptedAnswer
    | RejectedAnswer
    | SubscribedAnswer
    | CancelledAnswer
    | QuotedAnswer
    | PongAnswer
    | ErrorAnswer
    | Raw  # one object already encoded: a message, or a control verb's view
)


def view_replaced(replaced: tuple[Replacement, ...]) -> tuple[ReplacedView, ...]:
    """What smart encoding replaced, as the protocol shows it."""
    return tuple(ReplacedView(one.character, one.by, one.count) for one in replaced)


def wrap_answer(name: str, content: msgspec.Struct) -> Raw:
    """``content`` as an answer of ``type`` ``name``, for shapes that other rooms own."""
    body = _encode(content)
    head = b'{"type":"' + name.encode() + b'"'
    return Raw(head + b"}" if body == b"{}" else head + b"," + body[1:])
