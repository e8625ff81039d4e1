"""What is owed over many connections, told by lines alone: no socket, no clock."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

from smppd.client import DaemonUnreachable, EventsLost, ProtocolError
from smppd.client import exchange as exchange_module
from smppd.client.exchange import (
    RETRY_SECONDS_MAX,
    RETRY_SECONDS_MIN,
    SEQ_MAX,
    TAKEN_SECONDS,
    Exchange,
    retry_delay,
)
from smppd.client.lines import Asked, ask_one, encode
from smppd.client.shapes import JsonObject

WELCOME: JsonObject = {"type": "welcome", "app": "default"}
HELLO: JsonObject = {"type": "hello"}


class Daemon:
    """The other end: it reads what the exchange sends, and says what the test says."""

    def __init__(self, exchange: Exchange) -> None:
        self.exchange = exchange
        self.now = 0.0

    def read(self) -> list[JsonObject]:
        """What the exchange has to send, at ``now``."""
        return [json.loads(line) for line in self.exchange.data_to_send(self.now).splitlines()]

    def say(self, *lines: JsonObject) -> None:
        self.exchange.receive_data(b"".join(encode(list(lines))))

    def welcome(self) -> list[JsonObject]:
        """A new connection, as far as the welcome; what comes on it after the hello."""
        self.exchange.begin()
        assert self.read() == [HELLO]
        self.say(WELCOME)
        return self.read()

    def lose(self) -> None:
        self.exchange.lose("closed")


def connected() -> tuple[Exchange, Daemon]:
    exchange = Exchange()
    daemon = Daemon(exchange)
    assert daemon.welcome() == []
    return exchange, daemon


def submit(ref: str) -> JsonObject:
    return {"type": "submit", "ref": ref}


def accepted(ref: str, **more: Any) -> JsonObject:
    return {"type": "accepted", "ref": ref, "id": ref, "segments": 1, "encoding": "gsm7", **more}


def ask(exchange: Exchange, *refs: str) -> Asked:
    asked = Asked("submit", encode([submit(ref) for ref in refs]))
    exchange.ask(asked)
    return asked


def event(seq: int, kind: str = "sent") -> JsonObject:
    return {"type": "event", "seq": seq, "event": kind, "id": "a", "accepted_at": 1, "at": 2}


def subscribed(after: int, oldest: int = 1, latest: int = 0, *, gap: bool = False) -> JsonObject:
    return {
        "type": "subscribed",
        "after": after,
        "oldest": oldest,
        "latest": max(latest, after),
        "gap": gap,
    }


def seqs(exchange: Exchange) -> list[int]:
    found: list[int] = []
    while exchange.has_events:
        found += [event.seq for event in exchange.take_events(2)]
    return found


# --- requests ---


def test_nothing_goes_out_before_the_welcome() -> None:
    exchange = Exchange("shop")
    daemon = Daemon(exchange)
    ask(exchange, "a")
    exchange.begin()
    assert daemon.read() == [{"type": "hello", "app": "shop"}]
    assert daemon.read() == []
    daemon.say(WELCOME)
    assert daemon.read() == [submit("a")]


def test_unanswered_submits_go_out_again_in_their_order_and_only_they() -> None:
    exchange, daemon = connected()
    first, second = ask(exchange, "a", "b", "c"), ask(exchange, "d")
    daemon.read()
    daemon.say(accepted("a"))
    daemon.lose()
    assert daemon.welcome() == [submit("b"), submit("c"), submit("d")]
    daemon.say(accepted("b", duplicate=True), accepted("c"), accepted("d"))
    assert [answer["ref"] for answer in first.result()] == ["a", "b", "c"]
    assert [answer["ref"] for answer in second.result()] == ["d"]
    assert exchange.statistics().repeated == 3
    daemon.lose()
    assert daemon.welcome() == []


def test_what_is_asked_without_a_connection_waits_for_one_behind_what_is_unanswered() -> None:
    exchange, daemon = connected()
    ask(exchange, "a")
    daemon.read()
    daemon.lose()
    ask(exchange, "b")
    assert daemon.welcome() == [submit("a"), submit("b")]


def test_cancel_that_went_unanswered_is_not_repeated_and_its_asker_hears_why() -> None:
    exchange, daemon = connected()
    cancel = ask_one({"type": "cancel", "tag": "spring"})
    exchange.ask(cancel)
    ask(exchange, "a")
    daemon.read()
    daemon.lose()
    with pytest.raises(DaemonUnreachable, match="whether the cancel was done is not known"):
        cancel.result()
    assert daemon.welcome() == [submit("a")]


def test_cancel_that_did_not_go_out_yet_waits_for_the_connection() -> None:
    exchange, daemon = connected()
    daemon.lose()
    exchange.ask(ask_one({"type": "cancel", "id": "a"}))
    assert daemon.welcome() == [{"type": "cancel", "id": "a"}]


def test_abandoned_request_takes_its_own_answer_and_is_not_asked_again() -> None:
    exchange, daemon = connected()
    abandoned, other = ask(exchange, "a"), ask(exchange, "b")
    exchange.abandon(abandoned)
    daemon.say(accepted("a"), accepted("b"))
    assert other.result()[0]["ref"] == "b"
    exchange.abandon(ask(exchange, "c"))
    daemon.lose()
    assert daemon.welcome() == []


def test_refused_hello_is_the_end_for_everybody() -> None:
    exchange = Exchange("nobody")
    asked = ask(exchange, "a")
    exchange.begin()
    exchange.receive_data(b'{"type":"error","line":1,"code":"unknown_app","reason":"no such"}\n')
    assert isinstance(exchange.fault, ProtocolError)
    assert not exchange.is_connected
    with pytest.raises(ProtocolError, match="unknown_app"):
        asked.result()
    with pytest.raises(ProtocolError, match="unknown_app"):
        ask(exchange, "b").result()


@pytest.mark.parametrize("code", ["busy", "too_many_errors"])
def test_passing_refusal_ends_the_connection_and_not_the_exchange(code: str) -> None:
    exchange = Exchange()
    daemon = Daemon(exchange)
    ask(exchange, "a")
    exchange.begin()
    daemon.say({"type": "error", "code": code, "reason": "later"})
    assert not exchange.is_connected
    assert exchange.fault is None
    assert daemon.welcome() == [submit("a")]


def test_answer_of_an_unknown_type_is_ignored() -> None:
    exchange, daemon = connected()
    asked = ask(exchange, "a")
    daemon.say({"type": "notice", "text": "of a later release"}, accepted("a"))
    assert asked.result()[0]["ref"] == "a"


def test_end_tells_everybody_and_is_told_to_whoever_comes_later() -> None:
    exchange, _ = connected()
    asked = ask(exchange, "a")
    exchange.end(DaemonUnreachable("closed by us"))
    for late in (asked, ask(exchange, "b")):
        with pytest.raises(DaemonUnreachable, match="closed by us"):
            late.result()


def test_retry_delay_doubles_up_to_its_bound_and_is_spread_by_chance() -> None:
    assert retry_delay(1, 1.0) == RETRY_SECONDS_MIN
    assert retry_delay(1, 0.0) == RETRY_SECONDS_MIN / 2
    assert retry_delay(3, 1.0) == 4 * RETRY_SECONDS_MIN
    assert retry_delay(1000, 1.0) == RETRY_SECONDS_MAX


# --- events ---


def test_subscription_begins_where_the_app_was_and_goes_on_after_the_last_that_came() -> None:
    exchange, daemon = connected()
    exchange.subscribe(None, ("sent", "delivered"))
    assert daemon.read() == [{"type": "subscribe", "kinds": ["sent", "delivered"]}]
    daemon.say(subscribed(after=4), event(5), event(6))
    daemon.lose()
    resumed = {"type": "subscribe", "after": 6, "kinds": ["sent", "delivered"]}
    assert daemon.welcome() == [resumed]
    daemon.say(subscribed(after=6), event(7))
    assert seqs(exchange) == [5, 6, 7]


def test_subscription_is_made_before_submits_are_repeated() -> None:
    exchange, daemon = connected()
    exchange.subscribe(3, ())
    ask(exchange, "a")
    daemon.lose()
    assert [line["type"] for line in daemon.welcome()] == ["subscribe", "submit"]


def test_event_that_comes_twice_is_given_once() -> None:
    exchange, daemon = connected()
    exchange.subscribe(0, ())
    daemon.say(subscribed(0), event(1), event(1), event(2), event(1), event(3))
    assert seqs(exchange) == [1, 2, 3]


def test_gap_is_raised_once_at_its_place_and_the_rest_follows() -> None:
    exchange, daemon = connected()
    exchange.subscribe(0, ())
    daemon.say(subscribed(0), event(1))
    daemon.lose()
    daemon.welcome()
    daemon.say(subscribed(1, oldest=5, latest=6, gap=True), event(5), event(6))
    assert [found.seq for found in exchange.take_events(10)] == [1]
    with pytest.raises(EventsLost) as caught:
        exchange.take_events(10)
    assert (caught.value.after, caught.value.oldest, caught.value.latest) == (1, 5, 6)
    assert seqs(exchange) == [5, 6]


def test_loop_begun_anew_after_a_gap_goes_on_with_the_oldest() -> None:
    exchange, daemon = connected()
    exchange.subscribe(None, ())
    daemon.say(subscribed(0, oldest=5, latest=6, gap=True))
    with pytest.raises(EventsLost):
        exchange.take_events(1)
    daemon.read()
    exchange.subscribe(None, ())
    assert daemon.read() == [{"type": "subscribe", "after": 4}]


def test_gap_of_a_restored_store_gives_no_event_again() -> None:
    exchange, daemon = connected()
    exchange.subscribe(0, ())
    daemon.say(subscribed(0, latest=3), *map(event, (1, 2, 3)))
    assert seqs(exchange) == [1, 2, 3]
    daemon.lose()
    daemon.welcome()
    # 1 to 4 are in the backup, untaken; what the original told after 4 is not
    daemon.say(subscribed(3, oldest=1, latest=1_000, gap=True))
    with pytest.raises(EventsLost, match=r"after 3 .* restored") as caught:
        exchange.take_events(1)
    assert (caught.value.after, caught.value.oldest, caught.value.latest) == (3, 4, 1_000)
    daemon.lose()
    assert daemon.welcome()[-1] == {"type": "subscribe", "after": 3}
    daemon.say(subscribed(3, oldest=1, latest=1_000, gap=True), event(4), event(1_000))
    with pytest.raises(EventsLost):
        exchange.take_events(1)  # once a connection
    assert seqs(exchange) == [4, 1_000]


def test_gap_of_a_restored_store_is_told_once_however_often_the_reader_pauses(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(exchange_module, "EVENTS_KEPT_MAX", 4)
    exchange, daemon = connected()
    exchange.subscribe(0, ())
    latest = 10**12
    daemon.say(subscribed(0, latest=latest, gap=True))
    with pytest.raises(EventsLost):
        exchange.take_events(1)
    daemon.say(*map(event, (1, 2, 3, 4)))
    assert daemon.read()[-1] == {"type": "subscribe", "after": SEQ_MAX, "kinds": []}
    daemon.say(subscribed(SEQ_MAX, latest=latest))
    assert len(exchange.take_events(4)) == 4
    assert daemon.read() == [{"type": "subscribe", "after": 4}]
    daemon.say(subscribed(4, latest=latest, gap=True), event(latest))
    assert seqs(exchange) == [latest]


def test_log_of_another_daemon_is_told_and_read_from_its_beginning() -> None:
    exchange, daemon = connected()
    exchange.subscribe(100, ())
    exchange.take(100)
    daemon.read()
    answer = {"type": "subscribed", "after": 100, "oldest": 1, "latest": 2, "gap": False}
    daemon.say(answer)
    with pytest.raises(EventsLost, match="its state is another"):
        exchange.take_events(1)
    assert daemon.read() == [{"type": "subscribe", "after": 0}]
    daemon.say(subscribed(0, latest=2), event(1), event(2))
    assert seqs(exchange) == [1, 2]


def test_later_subscription_gets_nothing_of_the_one_before() -> None:
    exchange, daemon = connected()
    first = exchange.subscribe(0, ())
    daemon.say(subscribed(0), event(1))
    second = exchange.subscribe(10, ())
    daemon.say(event(2), subscribed(10, latest=11), event(11))
    assert seqs(exchange) == [11]
    exchange.check_reader(second)
    with pytest.raises(RuntimeError, match="replaced"):
        exchange.check_reader(first)


def test_loop_begun_again_goes_on_after_the_last_event_given() -> None:
    exchange, daemon = connected()
    exchange.subscribe(0, ())
    daemon.say(subscribed(0), event(1), event(2), event(3))
    exchange.take_events(2)
    daemon.read()
    exchange.subscribe(None, ())
    assert daemon.read() == [{"type": "subscribe", "after": 2}]


def test_subscription_from_the_latest_asks_for_it_first_and_again_when_that_was_lost() -> None:
    exchange, daemon = connected()
    exchange.subscribe("latest", ())
    learn = {"type": "subscribe", "after": SEQ_MAX, "kinds": []}
    assert daemon.read() == [learn]
    daemon.lose()
    assert daemon.welcome() == [learn]
    daemon.say({"type": "subscribed", "after": SEQ_MAX, "oldest": 1, "latest": 9, "gap": False})
    assert not exchange.is_subscribed
    assert daemon.read() == [{"type": "subscribe", "after": 9}]
    daemon.say(subscribed(9), event(10))
    assert exchange.is_subscribed
    assert seqs(exchange) == [10]


def test_full_buffer_stops_the_events_until_half_of_it_is_taken(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(exchange_module, "EVENTS_KEPT_MAX", 4)
    exchange, daemon = connected()
    exchange.subscribe(0, ())
    daemon.read()
    daemon.say(subscribed(0), *map(event, range(1, 5)))
    assert daemon.read() == [{"type": "subscribe", "after": SEQ_MAX, "kinds": []}]
    daemon.say(event(5))
    daemon.say({"type": "subscribed", "after": SEQ_MAX, "oldest": 1, "latest": 9, "gap": False})
    exchange.take_events(2)
    assert daemon.read() == []
    exchange.take_events(1)
    assert daemon.read() == [{"type": "subscribe", "after": 5}]
    daemon.say(subscribed(5, latest=9), event(6))
    assert seqs(exchange) == [4, 5, 6]


def test_subscription_that_was_stopped_is_not_begun_by_a_reconnect(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(exchange_module, "EVENTS_KEPT_MAX", 2)
    exchange, daemon = connected()
    exchange.subscribe(0, ())
    daemon.say(subscribed(0), event(1), event(2))
    daemon.lose()
    assert daemon.welcome() == []
    exchange.take_events(2)
    assert daemon.read() == [{"type": "subscribe", "after": 2}]


def test_event_that_is_none_is_a_protocol_error() -> None:
    exchange, daemon = connected()
    exchange.subscribe(0, ())
    daemon.say(subscribed(0), {"type": "event", "seq": 1})
    with pytest.raises(ProtocolError) as caught:
        exchange.take_events(1)
    assert caught.value.code == "bad_event"


# --- taken ---


def test_taken_is_told_at_once_and_then_no_more_often_than_its_pause() -> None:
    exchange, daemon = connected()
    exchange.take(1)
    assert daemon.read() == [{"type": "taken", "seq": 1}]
    exchange.take(2)
    exchange.take(3)
    assert daemon.read() == []
    assert exchange.next_at() == TAKEN_SECONDS
    daemon.now = TAKEN_SECONDS
    assert daemon.read() == [{"type": "taken", "seq": 3}]
    assert exchange.next_at() == math.inf


def test_taken_goes_along_with_whatever_else_goes_and_with_the_last_lines() -> None:
    exchange, daemon = connected()
    exchange.take(1)
    daemon.read()
    exchange.take(2)
    ask(exchange, "a")
    assert daemon.read() == [submit("a"), {"type": "taken", "seq": 2}]
    exchange.take(3)
    assert exchange.data_to_send(0.0, is_last=True) == b'{"type":"taken","seq":3}\n'


def test_taken_is_told_again_on_the_next_connection_behind_the_subscription() -> None:
    exchange, daemon = connected()
    exchange.subscribe(0, ())
    daemon.say(subscribed(0), event(1))
    exchange.take_events(1)
    exchange.take(1)
    daemon.read()
    daemon.lose()
    assert daemon.welcome() == [{"type": "subscribe", "after": 1}]
    daemon.now = 1.0
    daemon.say(subscribed(1, oldest=2, latest=1))
    assert daemon.read() == [{"type": "taken", "seq": 1}]


def test_taken_that_never_was_an_event_is_the_end() -> None:
    exchange, daemon = connected()
    exchange.take(9)
    daemon.read()
    daemon.say({"type": "error", "line": 2, "code": "bad_request", "reason": "above the latest"})
    assert isinstance(exchange.fault, ProtocolError)
