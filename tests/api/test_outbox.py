"""Events on their way: from where, of which kinds, and not before they may be told."""

from __future__ import annotations

import json
from pathlib import Path

import trio
import trio.testing

from smppd.api.outbox import Bell, Outbox, Subscription
from smppd.store.changes import Take
from tests.api.house import House, make_inbound, open_rooms


def subscribe(house: House, after: int = 0, kinds: frozenset[str] | None = None) -> Subscription:
    return Subscription(house.store, "default", after, kinds, Bell())


def seqs_of(lines: bytes | None) -> list[int]:
    assert lines is not None
    return [json.loads(line)["seq"] for line in lines.splitlines()]


async def test_subscription_goes_on_where_it_was(tmp_path: Path) -> None:
    async with open_rooms(tmp_path) as house:
        subscription = subscribe(house)
        assert subscription.take_nowait(None) is None
        await house.commit(make_inbound("one"), make_inbound("two"))
        assert seqs_of(subscription.take_nowait(None)) == [1, 2]
        assert subscription.take_nowait(None) is None
        await house.commit(make_inbound("three"))
        assert seqs_of(subscription.take_nowait(None)) == [3]


async def test_subscription_starts_above_after_and_at_what_is_kept(tmp_path: Path) -> None:
    async with open_rooms(tmp_path) as house:
        await house.commit(*(make_inbound(str(number)) for number in range(5)))
        await house.commit(Take("default", 2))
        assert seqs_of(subscribe(house, after=3).take_nowait(None)) == [4, 5]
        assert seqs_of(subscribe(house, after=0).take_nowait(None)) == [3, 4, 5]


async def test_batch_above_the_limit_is_held_back_until_it_is_lifted(tmp_path: Path) -> None:
    async with open_rooms(tmp_path) as house:
        subscription = subscribe(house)
        await house.commit(make_inbound(), make_inbound())
        assert subscription.take_nowait(1) is None
        await house.commit(make_inbound())
        assert seqs_of(subscription.take_nowait(2)) == [1, 2]
        assert seqs_of(subscription.take_nowait(None)) == [3]


async def test_kinds_not_asked_for_are_left_out_and_counted_as_read(tmp_path: Path) -> None:
    async with open_rooms(tmp_path) as house:
        await house.commit(make_inbound(), make_inbound())
        wanted = subscribe(house, kinds=frozenset(("inbound", "sent")))
        assert seqs_of(wanted.take_nowait(None)) == [1, 2]
        unwanted = subscribe(house, kinds=frozenset(("sent",)))
        assert unwanted.take_nowait(None) == b""
        assert unwanted.take_nowait(None) is None


async def test_outbox_rings_for_the_subscriptions_of_an_app(tmp_path: Path) -> None:
    async with open_rooms(tmp_path) as house:
        subscription = subscribe(house)
        house.outbox.add(subscription)
        await house.commit(make_inbound())
        with trio.fail_after(1):
            await subscription.bell.wait_rung()


async def test_outbox_forgets_what_was_discarded(tmp_path: Path) -> None:
    async with open_rooms(tmp_path) as house:
        one, other = subscribe(house), subscribe(house)
        outbox = Outbox()
        outbox.add(one)
        outbox.add(other)
        assert outbox.subscriptions == 2
        outbox.discard(one)
        outbox.discard(other)
        outbox.discard(other)
        assert outbox.subscriptions == 0
        outbox.wake(["default", "nobody"])


async def test_ring_before_the_wait_is_not_lost_and_counts_once(
    autojump_clock: trio.testing.MockClock,
) -> None:
    bell = Bell()
    bell.ring()
    bell.ring()
    await bell.wait_rung()
    with trio.move_on_after(5) as scope:
        await bell.wait_rung()
    assert scope.cancelled_caught


async def test_ring_wakes_the_task_that_waits() -> None:
    bell = Bell()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(bell.wait_rung)
        await trio.testing.wait_all_tasks_blocked()
        bell.ring()
