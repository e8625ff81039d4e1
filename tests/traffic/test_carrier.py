"""A bind that is kept up: over real TCP, on a clock that moves only when a test says so."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import trio
import trio.testing
from structlog.testing import capture_logs

from smppd.smpp import constants
from smppd.smpp.pdu import DeliverSm
from smppd.smpp.session import Timers
from smppd.traffic.carrier import STEADY_SECONDS, BindKeeper
from tests.traffic.centre import (
    NAME,
    WAIT_MAX,
    WAIT_MIN,
    WAIT_REFUSED,
    Centre,
    keep,
    open_centre,
    until,
)

Clock = trio.testing.MockClock


# --- backing off ---


async def test_wait_doubles_up_to_its_bound_and_is_jittered(
    tmp_path: Path, autojump_clock: Clock
) -> None:
    async with open_centre(tmp_path, autojump_clock) as centre, trio.open_nursery() as nursery:
        keeper = keep(centre)
        await centre.close()
        nursery.start_soon(keeper.run)
        for attempt, seconds in enumerate([1.0, 2.0, 4.0, 4.0], 1):
            await until(lambda: keeper.status.reconnects == attempt)  # noqa: B023
            assert keeper.status.state == "down"
            assert keeper.status.reason == "cannot connect: Connection refused"
            await centre.check_wait(keeper, seconds)
        nursery.cancel_scope.cancel()


async def test_centre_that_hangs_up_instead_of_answering_the_bind_is_told_so(
    tmp_path: Path, autojump_clock: Clock
) -> None:
    async with open_centre(tmp_path, autojump_clock) as centre, trio.open_nursery() as nursery:
        keeper = keep(centre)
        nursery.start_soon(keeper.run)
        smsc = await centre.accept()
        assert await smsc.stream.receive_some()
        await smsc.stream.aclose()
        await until(lambda: keeper.status.state == "down")
        told = "the SMSC closed the stream and did not answer the bind"
        assert keeper.status.reason == told
        nursery.cancel_scope.cancel()


async def test_binds_that_are_lost_at_once_are_no_reason_to_hurry(
    tmp_path: Path, autojump_clock: Clock
) -> None:
    async with open_centre(tmp_path, autojump_clock) as centre, trio.open_nursery() as nursery:
        keeper = keep(centre)
        nursery.start_soon(keeper.run)
        for seconds in (1.0, 2.0, 4.0):
            smsc = await centre.accept_bound(keeper)
            await smsc.stream.aclose()
            await until(lambda: keeper.status.state == "down")
            assert keeper.status.reason == "the SMSC closed the stream"
            await centre.check_wait(keeper, seconds)
        nursery.cancel_scope.cancel()


async def test_bind_that_lived_begins_again_with_the_shortest_wait(
    tmp_path: Path, autojump_clock: Clock
) -> None:
    async with open_centre(tmp_path, autojump_clock) as centre, trio.open_nursery() as nursery:
        keeper = keep(centre)
        nursery.start_soon(keeper.run)
        for seconds in (1.0, 2.0):
            smsc = await centre.accept_bound(keeper)
            await smsc.stream.aclose()
            await until(lambda: keeper.status.state == "down")
            await centre.check_wait(keeper, seconds)
        smsc = await centre.accept_bound(keeper)
        autojump_clock.jump(STEADY_SECONDS)
        await smsc.stream.aclose()
        await until(lambda: keeper.status.state == "down")
        await centre.check_wait(keeper, 1.0)
        await centre.accept_bound(keeper)
        nursery.cancel_scope.cancel()


async def test_refused_credentials_wait_long_and_a_refusal_for_now_does_not(
    tmp_path: Path, autojump_clock: Clock
) -> None:
    async with open_centre(tmp_path, autojump_clock) as centre, trio.open_nursery() as nursery:
        keeper = keep(centre)
        nursery.start_soon(keeper.run)
        for status, seconds in (
            (constants.ESME_RALYBND, WAIT_MAX / 2),
            (constants.ESME_RINVPASWD, WAIT_REFUSED),
            (constants.ESME_RINVSYSID, WAIT_REFUSED),
        ):
            smsc = await centre.accept()
            await smsc.refuse_bind(status)
            await until(lambda: keeper.status.state == "refused")
            assert constants.status_name(status) in keeper.status.reason
            await centre.check_wait(keeper, seconds)
        await centre.accept_bound(keeper)
        nursery.cancel_scope.cancel()


async def test_smsc_that_answers_no_bind_is_given_up_in_time(
    tmp_path: Path, autojump_clock: Clock
) -> None:
    timers = Timers(session_init_timer=10.0)
    async with open_centre(tmp_path, autojump_clock) as centre, trio.open_nursery() as nursery:
        keeper = keep(centre, timers=timers)
        nursery.start_soon(keeper.run)
        await centre.accept()
        await until(lambda: keeper.status.state == "binding")
        await trio.testing.wait_all_tasks_blocked()
        autojump_clock.jump(10.0)
        await until(lambda: keeper.status.state == "down")
        assert keeper.status.reason == "the bind was not answered within session_init_timer"
        nursery.cancel_scope.cancel()


async def test_attempts_without_end_leave_no_task_and_no_descriptor_behind(
    tmp_path: Path, autojump_clock: Clock
) -> None:
    timers = Timers(session_init_timer=10.0)
    async with open_centre(tmp_path, autojump_clock) as centre, trio.open_nursery() as nursery:
        keeper = keep(centre, timers=timers)
        nursery.start_soon(keeper.run)
        seen = []
        for _attempt in range(20):
            smsc = await centre.accept()
            await until(lambda: keeper.status.state == "binding")
            await trio.testing.wait_all_tasks_blocked()
            tasks = trio.lowlevel.current_statistics().tasks_living
            seen.append((tasks, len(os.listdir("/proc/self/fd"))))
            autojump_clock.jump(10.0)
            await until(lambda: keeper.status.state == "down")
            await smsc.stream.aclose()
            await trio.testing.wait_all_tasks_blocked()
            autojump_clock.jump(WAIT_MAX)
        assert set(seen) == {seen[0]}
        assert keeper.status.reconnects == 20
        nursery.cancel_scope.cancel()


class Directory(trio.abc.HostnameResolver):
    """The carrier's name: known only from a moment on, and by another address each time."""

    def __init__(self) -> None:
        self.addresses: list[str] = []

    async def getaddrinfo(  # type: ignore[no-untyped-def]
        self, host, port, family=0, type=0, proto=0, flags=0
    ):
        await trio.lowlevel.checkpoint()
        if host != NAME.encode() or not self.addresses:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        where = (self.addresses.pop(0), port)
        return [(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", where)]

    async def getnameinfo(  # type: ignore[no-untyped-def]
        self, sockaddr, flags
    ):
        raise AssertionError("nobody asks for names")


async def test_name_that_fails_is_asked_again_and_a_new_address_is_dialled(
    tmp_path: Path, autojump_clock: Clock
) -> None:
    directory = Directory()
    trio.socket.set_custom_hostname_resolver(directory)
    async with open_centre(tmp_path, autojump_clock) as centre, trio.open_nursery() as nursery:
        keeper = keep(centre, host=NAME)
        nursery.start_soon(keeper.run)
        await until(lambda: keeper.status.state == "down")
        assert keeper.status.reason == "cannot connect: Name or service not known"
        directory.addresses = ["127.0.0.2", "127.0.0.1"]  # at the first nobody listens (any more)
        await centre.check_wait(keeper, WAIT_MIN)
        await until(lambda: "refused" in keeper.status.reason)
        await centre.check_wait(keeper, 2 * WAIT_MIN)
        await centre.accept_bound(keeper)
        nursery.cancel_scope.cancel()


async def test_operator_is_told_of_every_change_of_a_bind(
    tmp_path: Path, autojump_clock: Clock
) -> None:
    with capture_logs() as logs:
        async with open_centre(tmp_path, autojump_clock) as centre, trio.open_nursery() as nursery:
            keeper = keep(centre)
            nursery.start_soon(keeper.run)
            smsc = await centre.accept_bound(keeper)
            await smsc.stream.aclose()
            await until(lambda: keeper.status.state == "down")
            nursery.cancel_scope.cancel()
    assert [line["event"] for line in logs] == ["bind_up", "bind_lost"]
    assert logs[1]["carrier"] == "alpha"
    assert logs[1]["reason"] == "the SMSC closed the stream"


# --- asleep ---


def make_drowsy() -> Timers:
    return Timers(
        session_init_timer=1e6, enquire_link_timer=0.0, response_timer=1e6, inactivity_timer=60.0
    )


async def fall_asleep(centre: Centre, keeper: BindKeeper) -> None:
    """Bound, inactive, unbound."""
    smsc = await centre.accept_bound(keeper)
    await trio.testing.wait_all_tasks_blocked()
    centre.clock.jump(60.0)
    await smsc.wait_unbind()
    await smsc.stream.aclose()
    await until(lambda: keeper.status.state == "asleep")


async def test_inactive_bind_sleeps_is_healthy_and_wakes_for_work(
    tmp_path: Path, autojump_clock: Clock
) -> None:
    async with open_centre(tmp_path, autojump_clock) as centre, trio.open_nursery() as nursery:
        keeper = keep(centre, timers=make_drowsy())
        nursery.start_soon(keeper.run)
        await fall_asleep(centre, keeper)
        line = centre.line
        assert line.house.states["alpha"].is_healthy()
        centre.clock.jump(3_600.0)
        await trio.testing.wait_all_tasks_blocked()
        assert keeper.status.state == "asleep"
        await line.submit("r0", receipt=False)
        smsc = await centre.accept_bound(keeper)
        await smsc.answer(await smsc.take_submits(1))
        assert await line.wait_told(1) == [("r0", "sent")]
        nursery.cancel_scope.cancel()


async def test_sleeper_that_cannot_bind_again_is_unhealthy_and_backs_off(
    tmp_path: Path, autojump_clock: Clock
) -> None:
    async with open_centre(tmp_path, autojump_clock) as centre, trio.open_nursery() as nursery:
        keeper = keep(centre, timers=make_drowsy())
        nursery.start_soon(keeper.run)
        await fall_asleep(centre, keeper)
        await centre.close()
        line = centre.line
        await line.submit("r0")
        await until(lambda: keeper.status.state == "down")
        assert not line.house.states["alpha"].is_healthy()
        await line.submit("r1")
        await centre.check_wait(keeper, 1.0)
        await until(lambda: keeper.status.reconnects == 2)
        await line.submit("r2")
        await centre.check_wait(keeper, 2.0)
        nursery.cancel_scope.cancel()


async def test_work_that_comes_while_a_sleeper_binds_does_not_shorten_its_wait(
    tmp_path: Path, autojump_clock: Clock
) -> None:
    async with open_centre(tmp_path, autojump_clock) as centre, trio.open_nursery() as nursery:
        keeper = keep(centre, timers=make_drowsy())
        nursery.start_soon(keeper.run)
        await fall_asleep(centre, keeper)
        await centre.line.submit("r0")
        smsc = await centre.accept()
        await until(lambda: keeper.status.state == "binding")
        await centre.line.submit("r1")
        await smsc.refuse_bind(constants.ESME_RALYBND)
        await until(lambda: keeper.status.state == "refused")
        await centre.check_wait(keeper, WAIT_MAX / 2)
        nursery.cancel_scope.cancel()


async def test_work_of_a_sleeper_that_cannot_bind_goes_to_the_next_offer(
    tmp_path: Path, autojump_clock: Clock
) -> None:
    async with open_centre(tmp_path, autojump_clock) as centre, trio.open_nursery() as nursery:
        keeper = keep(centre, timers=make_drowsy())
        nursery.start_soon(keeper.run)
        await fall_asleep(centre, keeper)
        beta = await centre.line.bind(carrier="beta")
        await centre.close()
        await centre.line.submit("r0")
        assert len(await beta.smsc.take_submits(1)) == 1
        nursery.cancel_scope.cancel()


async def test_a_receiver_never_sleeps_and_binds_as_what_it_is(
    tmp_path: Path, autojump_clock: Clock
) -> None:
    async with open_centre(tmp_path, autojump_clock) as centre, trio.open_nursery() as nursery:
        centre.line.house.slot("alpha", 0).kind = "receiver"
        keeper = keep(centre, timers=make_drowsy())
        nursery.start_soon(keeper.run)
        smsc = await centre.accept()
        assert (await smsc.accept_bind()).kind == "receiver"
        await until(lambda: keeper.status.state == "bound")
        await trio.testing.wait_all_tasks_blocked()
        autojump_clock.jump(3_600.0)
        await trio.testing.wait_all_tasks_blocked()
        assert keeper.status.state == "bound"
        nursery.cancel_scope.cancel()


# --- draining ---


async def test_drain_unbinds_in_order_and_keeps_the_bind_down(
    tmp_path: Path, autojump_clock: Clock
) -> None:
    async with open_centre(tmp_path, autojump_clock) as centre, trio.open_nursery() as nursery:
        keeper = keep(centre)
        nursery.start_soon(keeper.run)
        smsc = await centre.accept_bound(keeper)
        keeper.drain()
        await smsc.wait_unbind()
        await keeper.ended.wait()
        assert (keeper.status.state, keeper.status.reason) == ("down", "drained")


async def test_drain_ends_a_wait_and_a_sleep(tmp_path: Path, autojump_clock: Clock) -> None:
    async with open_centre(tmp_path, autojump_clock, binds=2) as centre:
        async with trio.open_nursery() as nursery:
            sleeper = keep(centre, timers=make_drowsy())
            nursery.start_soon(sleeper.run)
            await fall_asleep(centre, sleeper)
            await centre.close()
            waiter = keep(centre, bind=1)
            nursery.start_soon(waiter.run)
            await until(lambda: waiter.status.state == "down")
            sleeper.drain()
            waiter.drain()
        assert sleeper.ended.is_set()
        assert waiter.ended.is_set()


# --- two binds ---


async def test_receipt_on_the_other_bind_is_matched(tmp_path: Path, autojump_clock: Clock) -> None:
    async with (
        open_centre(tmp_path, autojump_clock, binds=2) as centre,
        trio.open_nursery() as nursery,
    ):
        keepers = [keep(centre, bind=0), keep(centre, bind=1)]
        nursery.start_soon(keepers[0].run)
        first = await centre.accept_bound(keepers[0])
        line = centre.line
        await line.submit("r0")
        submits = await first.take_submits(1)
        nursery.start_soon(keepers[1].run)
        second = await centre.accept_bound(keepers[1])
        body = f"id:m{submits[0].sequence_number} stat:DELIVRD err:000".encode()
        receipt = DeliverSm(
            "ACME", body, source_addr="491701234567", esm_class=constants.ESM_TYPE_RECEIPT
        )
        await second.deliver(receipt)
        assert await second.wait_acknowledged(1) == [0]
        assert line.house.told() == [], "its submit_sm was not answered yet"
        await first.answer(submits)
        assert await line.wait_told(2) == [("r0", "sent"), ("r0", "delivered")]
        nursery.cancel_scope.cancel()


async def test_lost_bind_leaves_its_work_to_the_other(
    tmp_path: Path, autojump_clock: Clock
) -> None:
    async with (
        open_centre(tmp_path, autojump_clock, binds=2) as centre,
        trio.open_nursery() as nursery,
    ):
        keepers = [keep(centre, bind=0), keep(centre, bind=1)]
        nursery.start_soon(keepers[0].run)
        first = await centre.accept_bound(keepers[0])
        line = centre.line
        await line.submit("r0", receipt=False)
        await first.take_submits(1)
        nursery.start_soon(keepers[1].run)
        second = await centre.accept_bound(keepers[1])
        await first.stream.aclose()
        await second.answer(await second.take_submits(1))
        assert await line.wait_told(2) == [("r0", "uncertain"), ("r0", "sent")]
        assert line.house.events()[1]["maybe_duplicate"] is True
        nursery.cancel_scope.cancel()
