"""The examples as they stand, against a real daemon that is killed with -9 while they run.

The carrier lives in this process and outlives every daemon: its ledger is the truth the examples
are held to. Kills wait for a state that stays: the carrier answers no more, so the window is full
and nothing moves until somebody dies. ``lost`` is a message without an outcome, or that no carrier
saw; ``doubled`` one a carrier was given twice: allowed only where it is flagged.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Final

import trio

from smppd.client import Accepted, Message, Submit, open_client
from smppd.simulator import Behaviour, SimulatedCarrier, serve
from tests.processes import Child, Site

EXAMPLES: Final = Path(__file__).parent.parent / "examples"

WINDOW: Final = 20
ROOM: Final = WINDOW - WINDOW // 5
"""What goes out unanswered: a fifth of the window is kept for codes, of which there are none."""

ANSWERED: Final = 60
"""Submits the carrier answers on each link until it hangs."""

HANGING: Final = Behaviour(hang_after=ANSWERED)
MUTE: Final = Behaviour(response_delay=3600.0)
PLAIN: Final = Behaviour()

SECONDS_MAX: Final = 60.0
"""For anything waited for, and for a whole test twice that; on slow cores with other work."""


class Stage:
    """A site whose one carrier is here; ``daemon`` is the present one."""

    def __init__(self, directory: Path, behaviour: Behaviour) -> None:
        self.site = Site(
            directory,
            carriers={"alpha": {"window": WINDOW, "reconnect_min": 0.1, "reconnect_max": 0.2}},
        )
        self.carrier = SimulatedCarrier("alpha", "smppd", "secret", behaviour, ledger=True)
        self.daemon = self.site.start_daemon()

    def start(self, name: str, *arguments: str) -> Child:
        """One of the examples, its output in NAME.log."""
        socket = ("--socket", str(self.site.socket))
        return self.site.start(str(EXAMPLES / name), *socket, *arguments, log=f"{name}.log")

    def restart(self) -> None:
        """kill -9, and another daemon on the same state."""
        self.daemon.kill()
        self.daemon = self.site.start_daemon()

    async def wait(self, child: Child, condition: Callable[[], bool], what: str) -> None:
        """Returns once ``condition`` holds, with ``child`` alive; the carrier works meanwhile."""
        await trio.to_thread.run_sync(child.wait_until, condition, what, SECONDS_MAX)

    async def wait_submits(self, child: Child, count: int) -> None:
        """Returns once the carrier was given so many submit_sm."""

        def is_reached() -> bool:
            return self.carrier.statistics().submits >= count

        await self.wait(child, is_reached, f"at {count} submits")

    def count_submits(self) -> Counter[str]:
        """How many submit_sm the carrier was given for each number."""
        return Counter("+" + record.destination for record in self.carrier.records())


@asynccontextmanager
async def staged(directory: Path, behaviour: Behaviour) -> AsyncIterator[Stage]:
    with trio.fail_after(2 * SECONDS_MAX):
        stage = Stage(directory, behaviour)
        with stage.site:
            async with trio.open_nursery() as nursery:
                port = stage.site.ports["alpha"]
                await nursery.start(serve, [("127.0.0.1", port, stage.carrier)])
                yield stage
                nursery.cancel_scope.cancel()


def phone(number: int) -> str:
    return f"+49151{12_000_000 + number}"


async def query_all(socket: Path, refs: list[str]) -> dict[str, Message]:
    async with open_client(socket) as client:
        return {ref: await client.query(ref=ref) for ref in refs}


async def test_order_notification_tells_every_outcome_over_two_kills(tmp_path: Path) -> None:
    orders = {f"order-{number}-shipped": phone(number) for number in range(200)}
    lines = [f"{number},{phone(number)}\n" for number in range(200)]
    (tmp_path / "orders.csv").write_text("".join(lines) + "bad,12345\n", encoding="utf-8")
    async with staged(tmp_path, HANGING) as stage:
        job = stage.start("order_notification.py", "--orders", str(tmp_path / "orders.csv"))
        await stage.wait_submits(job, ANSWERED + ROOM)
        stage.restart()
        await stage.wait_submits(job, 2 * (ANSWERED + ROOM))
        stage.carrier.behaviour = PLAIN
        stage.restart()
        code = await trio.to_thread.run_sync(job.wait, SECONDS_MAX)
    assert code == 0, job.tail()
    told = [line.split(" ", 1) for line in job.output().splitlines()]
    outcomes = {ref: outcome for ref, outcome in told if not outcome.startswith("rejected")}
    doubled = {to for to, count in stage.count_submits().items() if count > 1}
    flagged = {orders[ref] for ref, outcome in outcomes.items() if "maybe twice" in outcome}
    assert len(told) == len(orders) + 1, "each order once"
    assert outcomes.keys() == orders.keys()
    assert set(stage.count_submits()) == set(orders.values()), "lost"
    assert doubled, "the kills were in the middle"
    assert doubled - flagged == set(), "doubled unflagged"
    assert {outcome.split()[0] for outcome in outcomes.values()} <= {"delivered", "uncertain"}


async def test_order_notification_started_again_tells_the_same_and_sends_nothing(
    tmp_path: Path,
) -> None:
    (tmp_path / "orders.csv").write_text(f"1,{phone(1)}\n2,{phone(2)}\n", encoding="utf-8")
    async with staged(tmp_path, PLAIN) as stage:
        outputs = []
        for _ in range(2):
            job = stage.start("order_notification.py", "--orders", str(tmp_path / "orders.csv"))
            assert await trio.to_thread.run_sync(job.wait, SECONDS_MAX) == 0, job.tail()
            outputs.append(job.output())
            stage.restart()
    assert outputs == ["order-1-shipped delivered\norder-2-shipped delivered\n"] * 2
    assert stage.count_submits() == {phone(1): 1, phone(2): 1}


async def test_two_way_reply_answers_everybody_once_over_kills_of_both(tmp_path: Path) -> None:
    phones = [phone(number) for number in range(60)]
    async with staged(tmp_path, MUTE) as stage:
        service = stage.start("two_way_reply.py")
        for number in phones:
            stage.carrier.inbound(number[1:], "12345", "status 1001")
        await stage.wait_submits(service, ROOM)
        stage.restart()  # what is in doubt is sent again, and again not answered
        await stage.wait_submits(service, 2 * ROOM)
        service.kill()
        earlier = service.output()
        stage.carrier.behaviour = PLAIN
        stage.restart()
        service = stage.start("two_way_reply.py")
        await stage.wait(service, lambda: len(stage.count_submits()) == len(phones), "done")
        texts = {record.text for record in stage.carrier.records()}
        lines = (earlier + service.output()).splitlines()
        messages = await query_all(stage.site.socket, sorted({line.split()[0] for line in lines}))
    assert texts == {"Your order 1001 has shipped and arrives tomorrow."}
    submits = stage.count_submits()
    assert sorted(submits) == sorted(phones), "lost"
    assert sorted(message.to for message in messages.values()) == sorted(phones), "one reply each"
    doubled = {to for to, count in submits.items() if count > 1}
    flagged = {message.to for message in messages.values() if message.maybe_duplicate}
    assert doubled, "the kills were in the middle"
    assert doubled - flagged == set(), "doubled unflagged"


async def test_durable_consumer_keeps_every_event_once_over_kills_of_both(tmp_path: Path) -> None:
    database = tmp_path / "outcomes.sqlite"
    messages = [
        Submit(ref=f"m-{number}", to=phone(number), sender="ACME", text="x")
        for number in range(200)
    ]

    def is_written(refs: int) -> bool:
        with closing(sqlite3.connect(database, timeout=SECONDS_MAX)) as connection:
            ended = "SELECT count(DISTINCT ref) FROM events WHERE kind IN ('delivered','uncertain')"
            (count,) = connection.execute(ended).fetchone()
        return bool(count >= refs)

    def start() -> Child:
        consumer = stage.start("durable_consumer.py", "--database", str(database))
        consumer.wait_for_output("going on after")
        return consumer

    async with staged(tmp_path, HANGING) as stage:
        consumer = start()
        async with open_client(stage.site.socket) as client:
            answers = await client.submit_many(messages)
        assert all(isinstance(answer, Accepted) for answer in answers)
        await stage.wait_submits(consumer, ANSWERED + ROOM)
        stage.restart()  # the consumer lives, and goes on
        await stage.wait_submits(consumer, 2 * (ANSWERED + ROOM))
        consumer.kill()
        consumer = start()
        await stage.wait(consumer, lambda: is_written(ANSWERED), "going on")
        consumer.kill()
        stage.carrier.behaviour = PLAIN
        stage.restart()
        consumer = start()
        await stage.wait(consumer, lambda: is_written(len(messages)), "at the end")
    with closing(sqlite3.connect(database)) as connection:
        events = connection.execute("SELECT seq, kind, ref, maybe_duplicate FROM events").fetchall()
    seqs = sorted(event[0] for event in events)
    ended = Counter(ref for _, kind, ref, _ in events if kind == "delivered")
    flagged = {ref for _, _, ref, flag in events if flag}
    doubled = {to for to, count in stage.count_submits().items() if count > 1}
    assert seqs == list(range(1, len(seqs) + 1)), "events lost"
    assert {ref for _, _, ref, _ in events} == {message.ref for message in messages}, "lost"
    assert set(ended.values()) == {1}
    assert doubled, "the kills were in the middle"
    assert doubled <= {message.to for message in messages if message.ref in flagged}
