"""One connection over a real socket: order, durability, back-pressure, and a clean end."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio
import trio.testing

from smppd.api.connection import CLOSE_SECONDS_MAX, OUTPUT_BYTES_MAX
from smppd.config import AppConfig
from tests.api.house import Client, House, Line, connect, make_inbound, open_house, submit

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
        "error",
    ]
    assert (answers[2]["line"], answers[7]["line"]) == (3, 9)
    assert answers[3]["id"] == answers[1]["id"]
    assert answers[5] == {"type": "status", "version": "test"}
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
        assert (await client.ask(submit("a", valid_for=60)))["code"] == "ref_conflict"
        assert (await client.ask(submit("b", valid_for=60)))["code"] == "bad_field"


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
