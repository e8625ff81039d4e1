"""One connection over a real socket: order, durability, back-pressure, and a clean end."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import pytest
import trio
import trio.testing

from smppd.api.connection import CLOSE_SECONDS_MAX, OUTPUT_BYTES_MAX
from smppd.api.peers import PeerTable
from smppd.api.requests import Doubtful, Explain, Find, Trace
from smppd.config import AppConfig
from smppd.smpp.receipt import Receipt
from smppd.store.changes import CANCEL_MAX, Answered, ReceiptArrived, Verdict
from tests.api.house import (
    WALL_MS,
    Client,
    House,
    Line,
    connect,
    make_inbound,
    open_house,
    submit,
)
from tests.disk import FullDisk


class PeerTableOfNobody(PeerTable):
    """Nobody is root or the daemon's uid: every peer is only an app's user."""

    def __init__(self, apps: Mapping[str, AppConfig]) -> None:
        super().__init__(apps, daemon_uid=-1)
        self._operators = frozenset()


PING: Line = {"type": "ping"}
LOST = "+85251234567"
"""A destination whose messages fail in the commit that accepts them."""


def types_of(lines: list[Line]) -> list[object]:
    return [line.get("type") for line in lines]


async def receive_to_end(client: Client) -> list[Line]:
    lines = []
    while line := await client.receive():
        lines.append(line)
    return lines


async def send_and_end(house: House, *requests: Line | bytes) -> list[Line]:
    """All that comes back when a client sends, ends its side and reads."""
    async with connect(house) as client:
        await client.send(*requests)
        await client.stream.send_eof()
        return await receive_to_end(client)


# -- order and durability -------------------------------------------------------------------------


async def test_answers_come_in_line_order_whatever_the_lines_are(tmp_path: Path) -> None:
    async with open_house(tmp_path) as house:
        answers = await send_and_end(
            house,
            {"type": "hello"},
            submit("a"),
            b"nonsense",
            {"type": "query", "ref": "a"},
            {"type": "taken", "seq": 0},
            submit("b", to="1"),
            {"type": "status"},
            {"type": "ping", "token": [1, None]},
            {"type": "quote", "to": "+8613800138000", "from": "ACME", "text": "hi"},
            {"type": "cancel", "ref": "a"},
            {"type": "pause"},
        )
    assert types_of(answers) == [
        "welcome",
        "accepted",
        "error",
        "message",
        "rejected",
        "status",
        "pong",
        "quoted",
        "cancelled",
        "error",
    ]
    assert (answers[2]["line"], answers[9]["line"]) == (3, 11)
    assert answers[3]["id"] == answers[1]["id"]
    assert answers[5]["version"] == "test"
    assert answers[6]["token"] == [1, None]


async def test_accepted_message_is_in_the_store(tmp_path: Path) -> None:
    async with open_house(tmp_path) as house, connect(house) as client:
        accepted = await client.ask(submit("a", text="ü" * 80, tag="spring", meta={"k": 1}))
        assert (accepted["segments"], accepted["encoding"]) == (1, "gsm7")
        view = house.store.query("default", message_id=str(accepted["id"]))
        assert view is not None
        assert (view.ref, view.to, view.tag) == ("a", "+8613800138000", "spring")


async def test_same_content_is_a_duplicate_and_other_content_a_conflict(tmp_path: Path) -> None:
    async with open_house(tmp_path) as house, connect(house) as client:
        first = await client.ask(submit("a", meta={"k": 1, "l": 2}))
        spaced = b'{ "meta": {"l":2,"k":1}, "text":"\\u0068i", "from":"ACME",'
        spaced += b' "to":"+8613800138000", "ref":"a", "type":"submit" }'
        assert await client.ask(spaced) == first | {"duplicate": True}
        conflict = await client.ask(submit("a", meta={"k": 1}))
        assert (conflict["code"], conflict["id"]) == ("ref_conflict", first["id"])


async def test_ref_is_looked_up_before_anything_else_is_judged(tmp_path: Path) -> None:
    async with open_house(tmp_path) as house, connect(house) as client:
        first = await client.ask(submit("a"))
        house.intake.draining = True
        assert await client.ask(submit("a")) == first | {"duplicate": True}
        assert (await client.ask(submit("b")))["code"] == "draining"
        assert (await client.ask(submit("a", to="1")))["code"] == "ref_conflict"
        assert (await client.ask(submit("a", valid_for=0)))["code"] == "ref_conflict"
        assert (await client.ask(submit("b", valid_for=0)))["code"] == "bad_field"


async def test_rejected_ref_is_not_bound(tmp_path: Path) -> None:
    async with open_house(tmp_path) as house, connect(house) as client:
        assert (await client.ask(submit("a", to="1")))["type"] == "rejected"
        assert (await client.ask(submit("a")))["type"] == "accepted"


async def test_query_sees_what_stands_before_it_and_not_what_follows(tmp_path: Path) -> None:
    async with open_house(tmp_path) as house:
        ask: Line = {"type": "query", "ref": "a"}
        answers = await send_and_end(house, ask, submit("a"), ask)
    assert types_of(answers) == ["error", "accepted", "message"]
    assert (answers[0]["code"], answers[0]["line"]) == ("unknown_message", 1)


async def test_query_by_an_id_that_is_none_is_unknown_message(tmp_path: Path) -> None:
    async with open_house(tmp_path) as house, connect(house) as client:
        for name in ("", "0" * 16, "-00000000000000f", "+0x_", "\x00", "F" * 16, "x" * 5000):
            answer = await client.ask({"type": "query", "id": name})
            assert answer["code"] == "unknown_message"
        assert (await client.ask({"type": "query", "ref": "x" * 5000}))["type"] == "error"


# -- what few submits ask for ---------------------------------------------------------------------


async def test_everything_a_submit_may_say_is_kept(tmp_path: Path) -> None:
    later = WALL_MS + 3_600_000
    async with open_house(tmp_path) as house, connect(house) as client:
        rich = {"send_at": later, "valid_for": 60, "carrier": ["alpha"], "max_cost": "0.25"}
        extra = {"flash": True, "tlv": {"0x1400": "0a"}, "encoding": "ucs2"}
        accepted = await client.ask(submit("a", **rich, **extra))
        assert (accepted["segments"], accepted["encoding"]) == (1, "ucs2")
        again = b'{"type":"submit","tlv":{"0x1400":"0a"},"flash":true,"encoding":"ucs2",'
        again += b'"max_cost":"0.25","carrier":["alpha"],"valid_for":60,"send_at":%d,' % later
        again += b'"to":"+8613800138000","from":"ACME","text":"hi","ref":"a"}'
        assert await client.ask(again) == accepted | {"duplicate": True}
        seen = await client.ask({"type": "query", "ref": "a"})
        assert (seen["send_at"], seen["expires_at"]) == (later, later + 60_000)
        assert (seen["carriers"], seen["max_cost"], seen["flash"]) == (["alpha"], "0.25", True)


async def test_data_is_a_message_without_text(tmp_path: Path) -> None:
    async with open_house(tmp_path) as house, connect(house) as client:
        binary: Line = {"type": "submit", "ref": "a", "to": "+8613800138000", "from": "ACME"}
        accepted = await client.ask(binary | {"data": "AAEC", "udh": "AgBA", "data_coding": 245})
        assert (accepted["segments"], accepted["encoding"]) == (1, "binary")
        seen = await client.ask({"type": "query", "ref": "a"})
        assert (seen["text"], seen["data"], seen["data_coding"]) == ("", "AAEC", 245)


async def test_full_disk_is_told_with_when_to_come_back(tmp_path: Path) -> None:
    async with open_house(tmp_path) as house, connect(house) as client:
        first = await client.ask(submit("a"))
        with FullDisk():
            full = await client.ask(submit("b"))
            assert (full["code"], full["retry_after"]) == ("storage_full", 60)
            assert await client.ask(submit("a")) == first | {"duplicate": True}


# -- cancel ---------------------------------------------------------------------------------------


async def test_cancel_takes_back_what_was_not_given_to_a_carrier(tmp_path: Path) -> None:
    async with open_house(tmp_path) as house, connect(house) as client:
        await client.ask({"type": "subscribe"})
        accepted = await client.ask(submit("a"))
        by_id: Line = {"type": "cancel", "id": accepted["id"]}
        done: Line = {"type": "cancelled", "id": accepted["id"], "count": 1, "too_late": 0}
        await client.send(by_id)
        lines = sorted(await client.receive_many(2), key=lambda line: str(line["type"]))
        assert lines[0] == done
        assert (lines[1]["event"], lines[1]["ref"]) == ("cancelled", "a")
        assert await client.ask(by_id) == done | {"count": 0}
        assert (await client.ask({"type": "query", "ref": "a"}))["state"] == "cancelled"
        assert (await client.ask(submit("a")))["duplicate"] is True


async def test_cancel_counts_what_is_with_a_carrier_as_too_late_and_final_ones_not_at_all(
    tmp_path: Path,
) -> None:
    by_ref: Line = {"type": "cancel", "ref": "a"}
    async with open_house(tmp_path) as house, connect(house) as client:
        accepted = await client.ask(submit("a"))
        await house.bind()
        late: Line = {"type": "cancelled", "ref": "a", "count": 0, "too_late": 1}
        assert await client.ask(by_ref) == late
        tag = bytes.fromhex(str(accepted["id"])) + b"\0\0"
        await house.commit(Answered("alpha", 0, tag, Verdict.TAKEN, 0, "4711", WALL_MS))
        assert await client.ask(by_ref) == late
        receipt = Receipt(id="4711", stat="DELIVRD", err="000", state=2)
        arrived = ReceiptArrived("alpha", receipt, "8613800138000", "ACME", None, WALL_MS)
        await house.commit(arrived)
        assert (await client.ask({"type": "query", "ref": "a"}))["state"] == "delivered"
        assert await client.ask(by_ref) == late | {"too_late": 0}


async def test_cancel_of_what_is_not_there_is_unknown_message_but_a_tag_is_none(
    tmp_path: Path,
) -> None:
    apps = {"shop": AppConfig(), "bank": AppConfig()}
    async with open_house(tmp_path, apps) as house, connect(house) as shop, connect(house) as bank:
        await shop.ask({"type": "hello", "app": "shop"})
        await bank.ask({"type": "hello", "app": "bank"})
        accepted = await shop.ask(submit("a", tag="spring"))
        for name, value in (("id", accepted["id"]), ("ref", "a"), ("id", "0" * 16), ("ref", "b")):
            answer = await bank.ask({"type": "cancel", name: value})
            assert answer["code"] == "unknown_message"
        none: Line = {"type": "cancelled", "tag": "spring", "count": 0, "too_late": 0}
        assert await bank.ask({"type": "cancel", "tag": "spring"}) == none
        assert (await shop.ask({"type": "query", "ref": "a"}))["state"] == "queued"


async def test_cancel_of_a_tag_goes_on_until_all_of_it_is_done(tmp_path: Path) -> None:
    count = 2 * CANCEL_MAX + 10
    async with open_house(tmp_path) as house, connect(house) as client:
        await client.send(
            *(submit(str(number), tag="spring") for number in range(count)),
            submit("other", tag="autumn"),
            {"type": "cancel", "tag": "spring"},
            submit("after", tag="spring"),
            PING,
        )
        lines = await client.receive_many(count + 4)
        assert types_of(lines[count:]) == ["accepted", "cancelled", "accepted", "pong"]
        assert (lines[count + 1]["count"], lines[count + 1]["too_late"]) == (count, 0)
        for ref in ("other", "after"):
            assert (await client.ask({"type": "query", "ref": ref}))["state"] == "queued"


async def test_cancel_sees_what_stands_before_it_and_not_what_follows(tmp_path: Path) -> None:
    by_ref: Line = {"type": "cancel", "ref": "a"}
    ask: Line = {"type": "query", "ref": "a"}
    async with open_house(tmp_path) as house:
        answers = await send_and_end(house, by_ref, submit("a"), by_ref, ask, by_ref)
    assert types_of(answers) == ["error", "accepted", "cancelled", "message", "cancelled"]
    assert [answers[2]["count"], answers[4]["count"]] == [1, 0]
    assert answers[3]["state"] == "cancelled"


async def test_client_that_vanishes_in_a_line_leaves_what_it_had_said(tmp_path: Path) -> None:
    half = b'{"type":"cancel","tag":"spri'
    async with open_house(tmp_path) as house:
        async with connect(house) as client:
            await client.send(submit("a", tag="spring"), {"type": "cancel", "tag": "none"})
            await client.stream.send_all(half)
        async with connect(house) as client:
            with trio.fail_after(5):
                while (await client.ask({"type": "query", "ref": "a"}))["type"] == "error":
                    await client.ask(PING)
            assert (await client.ask({"type": "query", "ref": "a"}))["state"] == "queued"


# -- control --------------------------------------------------------------------------------------


async def test_control_verbs_and_the_rest_are_answered_in_line_order(tmp_path: Path) -> None:
    async with open_house(tmp_path) as house:
        house.controls.go_on.set()
        answers = await send_and_end(
            house,
            submit("a"),
            {"type": "pause", "carrier": "alpha"},
            submit("b", tag="t"),
            {"type": "find", "to": "+8613800138000"},
            {"type": "cancel", "tag": "t"},
            {"type": "reload"},
            {"type": "carriers"},
            {"type": "resume", "carrier": "alpha"},
            {"type": "routes"},
            {"type": "query", "ref": "b"},
            {"type": "doubtful"},
            {"type": "resolve", "id": "0f", "action": "drop"},
            {"type": "explain", "to": "1"},
            {"type": "trace", "ref": "a"},
            {"type": "drain", "carrier": "beta"},
            {"type": "drain"},
            submit("c"),
        )
    assert types_of(answers) == [
        "accepted",
        "mode",
        "accepted",
        "found",
        "cancelled",
        "reloaded",
        "carriers",
        "mode",
        "routes",
        "message",
        "doubtful",
        *["error"] * 4,
        "mode",
        "rejected",
    ]
    assert answers[1] == {"type": "mode", "carrier": "alpha", "mode": "paused", "was": "running"}
    assert answers[7] == {"type": "mode", "carrier": "alpha", "mode": "running", "was": "paused"}
    assert answers[9]["state"] == "cancelled"
    assert [answer.get("line") for answer in answers[11:15]] == [12, 13, 14, 15]
    assert [answers[13]["code"], answers[16]["code"]] == ["unknown_message", "draining"]
    assert house.controls.asked == [
        Find(to="+8613800138000"),
        Doubtful(),
        Explain("1", app="default"),
        Trace(ref="a", app="default"),
    ]


async def test_verb_that_waits_holds_up_its_own_connection_and_no_other(tmp_path: Path) -> None:
    async with open_house(tmp_path) as house, connect(house) as one, connect(house) as other:
        await one.send({"type": "reload"}, submit("a"))
        assert (await other.ask(submit("b")))["type"] == "accepted"
        assert (await other.ask({"type": "query", "ref": "a"}))["type"] == "error"
        house.controls.go_on.set()
        assert types_of(await one.receive_many(2)) == ["reloaded", "accepted"]


async def test_answers_before_a_verb_that_waits_are_not_held_back(tmp_path: Path) -> None:
    async with open_house(tmp_path) as house, connect(house) as client:
        await client.send(submit("a"), {"type": "reload"})
        assert (await client.receive())["type"] == "accepted"
        house.controls.go_on.set()
        assert (await client.receive())["type"] == "reloaded"


async def test_control_verbs_are_not_for_an_app_without_admin(tmp_path: Path) -> None:
    apps = {"shop": AppConfig(uid=(os.getuid(),)), "desk": AppConfig(admin=True)}
    verbs: list[Line] = [
        {"type": "status"},
        {"type": "pause", "carrier": "alpha"},
        {"type": "drain"},
        {"type": "resolve", "id": "0f", "action": "drop"},
        {"type": "trace", "ref": "a"},
    ]
    async with open_house(tmp_path, apps) as house:
        house.server.peers = PeerTableOfNobody(house.intake.apps)
        answers = await send_and_end(house, *verbs, submit("a"))
        assert [answer["type"] for answer in answers] == [*["error"] * 5, "accepted"]
        assert {answer["code"] for answer in answers[:5]} == {"not_allowed"}
        assert (house.controls.mode, house.intake.draining) == ("running", False)


# -- events ---------------------------------------------------------------------------------------


async def test_accepted_comes_before_the_first_event_of_its_message(tmp_path: Path) -> None:
    async with open_house(tmp_path) as house, connect(house) as client:
        await client.ask({"type": "subscribe"})
        accepted: set[object] = set()
        for batch in range(20):
            await client.send(*(submit(f"{batch}-{n}", to=LOST) for n in range(10)))
            for line in await client.receive_many(20):
                assert line["type"] == "accepted" or line["ref"] in accepted
                accepted.add(line["ref"])
        assert len(accepted) == 200


async def test_events_go_on_while_the_same_connection_submits(tmp_path: Path) -> None:
    async with open_house(tmp_path) as house, connect(house) as client:
        await client.ask({"type": "subscribe"})
        await client.send(*(submit(str(number), to=LOST) for number in range(2000)))
        lines = await client.receive_many(4000)
        first_event = types_of(lines).index("event")
        assert "accepted" in types_of(lines[first_event:])
        assert [line["seq"] for line in lines if line["type"] == "event"] == [*range(1, 2001)]


async def test_subscribed_says_what_is_kept(tmp_path: Path) -> None:
    async with open_house(tmp_path) as house, connect(house) as client:
        empty = await client.ask({"type": "subscribe"})
        assert empty == {"type": "subscribed", "after": 0, "oldest": 1, "latest": 0, "gap": False}
        await house.commit(*(make_inbound() for _ in range(5)))
        await client.receive_many(5)
        await client.send({"type": "taken", "seq": 3})
        resumed = await client.ask({"type": "subscribe"})
        assert resumed == {"type": "subscribed", "after": 3, "oldest": 4, "latest": 5, "gap": False}
        assert [line["seq"] for line in await client.receive_many(2)] == [4, 5]
        past = await client.ask({"type": "subscribe", "after": 1})
        assert past == {"type": "subscribed", "after": 1, "oldest": 4, "latest": 5, "gap": True}
        assert [line["seq"] for line in await client.receive_many(2)] == [4, 5]


async def test_nothing_kept_is_a_gap_only_for_who_has_not_seen_it(tmp_path: Path) -> None:
    async with open_house(tmp_path) as house, connect(house) as client:
        await house.commit(make_inbound(), make_inbound())
        await client.send({"type": "taken", "seq": 2})
        resumed = await client.ask({"type": "subscribe"})
        assert resumed == {"type": "subscribed", "after": 2, "oldest": 3, "latest": 2, "gap": False}
        assert (await client.ask({"type": "subscribe", "after": 1}))["gap"] is True


async def test_second_subscribe_replaces_the_first_from_its_answer_on(tmp_path: Path) -> None:
    async with open_house(tmp_path) as house, connect(house) as client:
        await client.ask({"type": "subscribe"})
        assert (await client.ask({"type": "subscribe", "kinds": ["failed"]}))["after"] == 0
        await house.commit(make_inbound())
        await client.send(submit("a", to=LOST))
        lines = await client.receive_many(2)
        assert types_of(lines) == ["accepted", "event"]
        assert (lines[1]["event"], lines[1]["seq"]) == ("failed", 2)
        assert house.outbox.subscriptions == 1


async def test_taken_is_answered_only_when_it_is_above_the_latest(tmp_path: Path) -> None:
    async with open_house(tmp_path) as house:
        await house.commit(make_inbound(), make_inbound())
        taken: list[Line] = [{"type": "taken", "seq": seq} for seq in (1, 3, 2, 1)]
        answers = await send_and_end(house, *taken, PING)
        assert types_of(answers) == ["error", "pong"]
        assert (answers[0]["code"], answers[0]["line"]) == ("bad_request", 2)
        assert house.store.event_bounds("default").taken == 2


async def test_every_subscribed_connection_gets_every_event(tmp_path: Path) -> None:
    async with open_house(tmp_path) as house, connect(house) as one, connect(house) as other:
        await one.ask({"type": "subscribe"})
        await other.ask({"type": "subscribe"})
        await house.commit(make_inbound())
        assert (await one.receive())["seq"] == (await other.receive())["seq"] == 1


async def test_apps_do_not_see_each_others_messages(tmp_path: Path) -> None:
    apps = {"shop": AppConfig(), "bank": AppConfig()}
    async with open_house(tmp_path, apps) as house, connect(house) as shop, connect(house) as bank:
        await shop.ask({"type": "hello", "app": "shop"})
        await bank.ask({"type": "hello", "app": "bank"})
        accepted = await shop.ask(submit("a"))
        assert (await bank.ask({"type": "query", "id": accepted["id"]}))["type"] == "error"
        assert (await bank.ask(submit("a", text="other")))["type"] == "accepted"


# -- back-pressure --------------------------------------------------------------------------------


async def test_peer_that_does_not_read_is_not_read_and_loses_nothing(tmp_path: Path) -> None:
    token = "x" * 60_000
    count = 4 * OUTPUT_BYTES_MAX // len(token)
    pings: list[Line] = [{"type": "ping", "token": token} for _ in range(count)]
    async with (
        open_house(tmp_path) as house,
        connect(house) as client,
        connect(house) as other,
        trio.open_nursery() as nursery,
    ):
        nursery.start_soon(client.send, *pings)
        await trio.testing.wait_all_tasks_blocked(0.1)
        assert len(nursery.child_tasks) == 1, "the server read on"
        assert (await other.ask(PING))["type"] == "pong"
        assert types_of(await client.receive_many(count)) == ["pong"] * count


async def test_subscriber_that_does_not_read_holds_up_nobody(tmp_path: Path) -> None:
    async with open_house(tmp_path) as house, connect(house) as idle, connect(house) as busy:
        await idle.ask({"type": "subscribe"})
        await busy.ask({"type": "subscribe"})
        text = "x" * 1000
        for _ in range(10):
            await house.commit(*(make_inbound(text) for _ in range(100)))
            await busy.receive_many(100)
        assert [line["seq"] for line in await idle.receive_many(1000)] == [*range(1, 1001)]


async def test_submits_beyond_the_apps_throughput_wait(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    apps = {"shop": AppConfig(throughput=10)}
    async with open_house(tmp_path, apps) as house, connect(house) as one, connect(house) as other:
        start = trio.current_time()
        await one.send(*(submit(f"a{number}") for number in range(20)))
        await other.send(PING, *(submit(f"b{number}") for number in range(20)))
        assert (await other.receive())["type"] == "pong"
        assert trio.current_time() - start < 1
        await one.receive_many(20)
        await other.receive_many(20)
        assert 3.8 < trio.current_time() - start < 4.2


async def test_throughput_that_a_reload_changed_counts_from_then_on(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    apps = {"shop": AppConfig(throughput=1)}
    async with open_house(tmp_path, apps) as house, connect(house) as client:
        await client.ask(submit("first"))
        house.intake.apps = {"shop": AppConfig(throughput=100)}
        start = trio.current_time()
        await client.send(*(submit(str(number)) for number in range(100)))
        await client.receive_many(100)
        assert trio.current_time() - start < 3


# -- the end --------------------------------------------------------------------------------------


async def test_client_that_ends_its_side_gets_every_answer_and_then_the_end(
    tmp_path: Path,
) -> None:
    async with open_house(tmp_path) as house:
        answers = await send_and_end(house, *(submit(str(number)) for number in range(3000)))
    assert [answer["ref"] for answer in answers] == [str(number) for number in range(3000)]
    assert set(types_of(answers)) == {"accepted"}


async def test_subscription_ends_when_the_client_ends_its_side(tmp_path: Path) -> None:
    async with open_house(tmp_path) as house:
        assert types_of(await send_and_end(house, {"type": "subscribe"})) == ["subscribed"]
        assert house.outbox.subscriptions == 0


async def test_client_that_closes_without_reading_is_still_heard(tmp_path: Path) -> None:
    async with open_house(tmp_path) as house:
        async with connect(house) as client:
            await client.send(*(submit(str(number)) for number in range(500)))
        async with connect(house) as client:
            with trio.fail_after(5):
                while (await client.ask({"type": "query", "ref": "499"}))["type"] == "error":
                    await client.ask(PING)


async def test_unfinished_line_at_the_end_is_no_line(tmp_path: Path) -> None:
    async with open_house(tmp_path) as house, connect(house) as client:
        await client.stream.send_all(b'{"type":"ping"}\n{"type":"ping"}')
        await client.stream.send_eof()
        assert types_of(await receive_to_end(client)) == ["pong"]


async def test_hundred_errors_in_a_row_end_the_connection_and_what_follows_is_not_heard(
    tmp_path: Path,
) -> None:
    async with open_house(tmp_path) as house:
        wrong = [b"nonsense"] * 100
        answers = await send_and_end(house, *wrong[1:], PING, *wrong, submit("late"), *wrong)
        assert [answer.get("code") for answer in answers[-2:]] == ["bad_json", "too_many_errors"]
        assert (len(answers), answers[-2]["line"]) == (201, 200)
        assert house.store.query("default", ref="late") is None


async def test_unknown_messages_count_as_errors_in_a_row(tmp_path: Path) -> None:
    async with open_house(tmp_path) as house:
        ask: Line = {"type": "query", "ref": "nobody"}
        answers = await send_and_end(house, *([ask] * 150), submit("late"))
        assert [answer["code"] for answer in answers[-2:]] == ["unknown_message", "too_many_errors"]
        assert len(answers) == 101
        assert house.store.query("default", ref="late") is None


async def test_peer_that_ignores_its_dismissal_is_left_after_a_moment(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async with open_house(tmp_path) as house, connect(house) as client:
        await client.send(*([b"nonsense"] * 100))
        assert (await receive_to_end(client))[-1]["code"] == "too_many_errors"
        await trio.sleep(2)
        with pytest.raises(trio.BrokenResourceError):
            await client.send(PING)


async def test_peer_that_ends_its_side_and_never_reads_is_left_in_time(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async with open_house(tmp_path) as house, connect(house) as client:
        large: Line = {"type": "ping", "token": "x" * 60_000}
        await client.send(*([large] * 12))
        await client.stream.send_eof()
        await trio.sleep(CLOSE_SECONDS_MAX - 1)
        assert house.server.statistics().connections == 1
        await trio.sleep(2)
        assert house.server.statistics().connections == 0


async def test_daemon_that_stops_ends_its_connections(tmp_path: Path) -> None:
    async with open_house(tmp_path) as house:
        stream = await trio.open_unix_socket(house.path)
        client = Client(stream)
        await client.ask({"type": "subscribe"})
    assert await client.receive() == {}
    await stream.aclose()
