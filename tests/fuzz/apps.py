"""What an app's socket takes: lines, cut anywhere, of a peer with or without rights; and what a
client of ours takes from a daemon that is none."""

from __future__ import annotations

import functools
from contextlib import suppress
from typing import Final

import msgspec
from msgspec import UNSET

from smppd.api.answers import Answer, ErrorAnswer
from smppd.api.conversation import Conversation
from smppd.api.intake import Intake
from smppd.api.peers import Rights
from smppd.api.protocol import ANSWER_BYTES_MAX, LINE_BYTES_MAX, AppProtocol
from smppd.api.replies import Pending, TakenLine, conclude
from smppd.api.requests import Request
from smppd.client.errors import DaemonUnreachable
from smppd.client.exchange import Exchange
from smppd.client.lines import ask_one
from smppd.config import AppConfig
from smppd.errors import SmppdError
from smppd.store.changes import (
    Accepted,
    Cancel,
    Cancelled,
    Change,
    NewMessage,
    Propose,
    Rejection,
    Result,
    Take,
    TakenResult,
)
from tests.api.house import WALL_MS, make_intake
from tests.fuzz.feed import Feed, cut

RIGHTS: Final = (
    Rights(("default",), False),
    Rights(("shop", "bank"), True),
    Rights(("shop",), False),
    Rights(("gone",), False),
)
APPS: Final = {
    "shop": AppConfig(default_region="DE", default_sender="ACME"),
    "bank": AppConfig(admin=True),
    "default": AppConfig(inbound=True),
}
SUBMITS_AT_ONCE: Final = 7


@functools.cache
def intake() -> Intake:
    """Reading a number plan takes longer than a hundred inputs."""
    return make_intake(APPS)


def fuzz_lines(data: bytes) -> None:
    """However the octets are cut the requests are the same, each line is answered once and in
    order, no answer is longer than may be, and what waits is never more than one line."""
    feed = Feed(data)
    rights, sizes = feed.pick(RIGHTS), feed.chunk()
    lines = feed.rest()
    whole = AppProtocol().receive_data(lines)
    protocol = AppProtocol()
    requests: list[Request] = []
    for piece in cut(lines, sizes):
        requests += protocol.receive_data(piece)
        assert len(protocol._partial) < LINE_BYTES_MAX, "a line that is too long is kept"
    assert requests == whole, "the cuts made a difference"
    ended = lines.count(b"\n")
    assert ended <= len(requests) <= ended + 1, "a line is a request, no more and no less"
    _converse(Conversation(intake(), rights), requests)


def _converse(conversation: Conversation, requests: list[Request]) -> None:
    protocol = AppProtocol()
    answered = 0
    while requests and not protocol.closed:
        left = protocol.errors_left
        admission = conversation.admit(requests, WALL_MS, SUBMITS_AT_ONCE, left)
        assert 0 < admission.consumed <= len(requests), "no line is passed over, nor two at once"
        assert admission.consumed == len(admission.replies)
        results = [_result_of(change) for change in admission.changes]
        answers = conclude(admission.replies, results)
        silent = sum(isinstance(reply, TakenLine) for reply in admission.replies)
        assert len(answers) == len(admission.replies) - silent, "a line is answered once"
        _check_answers(protocol, [one for one in answers if not isinstance(one, Pending)], answered)
        answered += admission.consumed
        requests = requests[admission.consumed :]


def _check_answers(protocol: AppProtocol, answers: list[Answer], before: int) -> None:
    numbers = [one.line for one in answers if isinstance(one, ErrorAnswer)]
    known = [number for number in numbers if number is not UNSET and number is not None]
    assert all(number > before for number in known), "an error names the line it is about"
    encoded = protocol.encode_answers(answers)
    for line in encoded.splitlines(keepends=True):
        assert line.endswith(b"\n")
        assert len(line) <= ANSWER_BYTES_MAX
        assert isinstance(msgspec.json.decode(line), dict)


def _result_of(change: Change) -> Result:
    """What a store says that has no objection."""
    if isinstance(change, Propose):
        message = change.message
        if isinstance(message, Rejection):
            return message
        assert isinstance(message, NewMessage)
        assert 0 < message.segments < 256, "more than a UDH can count"
        assert message.expires_at > 0
        return Accepted("0" * 16, message.segments, message.encoding, False)
    if isinstance(change, Take):
        return TakenResult(change.seq < 100, 99)
    assert isinstance(change, Cancel), change
    return Cancelled(1, 0, 0, 0, True)


VERBS: Final = ("ping", "submit", "status", "subscribe", "hello", "find")


def fuzz_client(data: bytes) -> None:
    """Whatever answers on the socket, an app's client knows only the library's own errors."""
    feed = Feed(data)
    exchange = Exchange("shop" if feed.byte() & 1 else None)
    exchange.begin()
    if feed.byte() & 1:
        exchange.subscribe(0, ())
    asked = [ask_one({"type": feed.pick(VERBS), "ref": "r"}) for _ in range(feed.byte() % 4)]
    for one in asked:
        exchange.ask(one)
    exchange.data_to_send(0.0)
    sizes = feed.chunk()
    for piece in cut(feed.rest(), sizes):
        if not exchange.is_connected:
            break
        exchange.receive_data(piece)
        exchange.data_to_send(0.0)
        with suppress(SmppdError):  # EventsLost, or an event that is none
            if exchange.has_events:
                exchange.take_events(10)
    exchange.end(DaemonUnreachable("the end of the input"))
    assert all(one.is_settled for one in asked), "somebody waits for ever"
