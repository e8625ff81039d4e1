"""kill -9 at one exact moment of one message's life, and what must come of it.

Each test has one message, or a few, and is killed between two steps that must not be torn apart
unnoticed. What a receipt may settle only after a patience of a minute is waited for by a daemon
whose clock is ahead.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

from smppd.client import DaemonUnreachable, connect
from smppd.simulator import Behaviour
from smppd.store.records import Message
from tests.crash.account import settle_accounts
from tests.crash.killed import Left, count_doubts
from tests.crash.rig import PHONE, Rig
from tests.ledgers import JsonObject
from tests.processes import Table
from tests.tools import require_tool

ONE: Final = 1
SILENT: Final = Behaviour(response_delay=3600.0)
RECEIPT_LATER: Final = Behaviour(receipt_delay=0.1)
"""So that no read has both the response and the receipt."""

PROMPT: Final = Behaviour()
WITHHELD: Final = Behaviour(lose_response_rate=1.0)
"""The carrier takes it, and its answer is never given; the receipt comes."""

PATIENCE_OVER: Final = "+90s"
"""Ahead of the clock: docs/protocol.md, Doubt, has a receipt wait 60 s for a response."""

STOP: Final[dict[str, Table]] = {
    "otp": {"uncertain": "stop"},
    "transactional": {"uncertain": "stop"},
}

BEFORE_RECOVERED: Final = ("start.opened", "store.decided", "store.written")
AFTER_RECOVERED: Final = ("start.recovered", "start.listening", "commit.before", "commit.after")
"""The points of a start, in order; nothing but the start reaches them while nobody can bind, and
what has been recovered is not written again."""

STARTS_KILLED: Final = 20

GRANTED_MAX: Final = 16
"""Of a window of 20, for messages that are no one-time codes: those keep four."""


def make_one(number: int) -> JsonObject:
    """A short message with nothing special about it."""
    to = f"+49170{number:07}"
    return {"ref": f"o-{number}", "to": to, "from": "4477", "text": f"Order {number}."}


def make_otp(number: int) -> JsonObject:
    return {**make_one(number), "class": "otp"}


def make_rig(directory: Path, behaviour: Behaviour = PROMPT, **settings: object) -> Rig:
    """A rig of one message on its way, on one bind."""
    own: dict[str, object] = {
        "carriers": {"alpha": {"window": 20}},
        "messages_max": ONE,
        "make": make_one,
        **settings,
    }
    return Rig(directory, behaviour, **own)  # type: ignore[arg-type]


def told(rig: Rig, ref: str = "o-0") -> list[str]:
    """The events of one message, in order."""
    names = {True: "uncertain, will resend", False: "uncertain, will not"}
    return [
        names[event["resend"]] if event["event"] == "uncertain" else event["event"]
        for event in rig.app.events
        if event["ref"] == ref
    ]


def submitted(rig: Rig, ref: str = "o-0") -> int:
    """How often a carrier was given that message."""
    to = rig.app.submits[ref]["to"][1:]
    return sum(submit.part.to == to for submit in rig.wire.submits)


def message_in(left: Left, ref: str = "o-0") -> Message:
    """The store's one record of that message."""
    (message,) = left.of_ref(ref)
    return message


async def wait_told(rig: Rig, name: str) -> None:
    """Returns once the app was told of an event of that name."""
    while name not in told(rig):
        await rig.expect("event", 1).wait()


async def wait_events(rig: Rig, count: int) -> None:
    """Returns once the app was told of so many."""
    while len(rig.app.events) < count:
        await rig.expect("event", 1).wait()


async def end_well(rig: Rig) -> Left:
    """To the end; all ledgers agree. The store as it was left."""
    await rig.finish()
    account, wrong = await settle_accounts(rig)
    assert not wrong, wrong
    return account.left


def ahead() -> dict[str, str]:
    """The environment of a daemon to which the patience is over; the monotonic clock is true."""
    require_tool("faketime", "faketime")
    (library,) = Path("/usr/lib").glob("*/faketime/libfaketime.so.1")
    return {
        "LD_PRELOAD": str(library),
        "FAKETIME": PATIENCE_OVER,
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }


# --- accepting ---


async def test_kill_before_the_commit_leaves_nothing_and_the_retry_makes_one_message(
    tmp_path: Path,
) -> None:
    rig = make_rig(tmp_path / "site")
    async with rig.running():
        kill = await rig.run_to("intake.before_commit")
        assert kill.left.messages == {}
        assert rig.app.answers == []
        await rig.start()
        await end_well(rig)
    assert "duplicate" not in rig.app.answers[0]
    assert submitted(rig) == 1
    assert told(rig) == ["sent", "delivered"]


async def test_kill_after_the_commit_answers_the_retry_as_duplicate_of_what_is_sent_once(
    tmp_path: Path,
) -> None:
    rig = make_rig(tmp_path / "site")
    async with rig.running(listening=False):
        kill = await rig.run_to("intake.after_commit")
        assert rig.app.answers == []
        stored = message_in(kill.left)
        accepted = rig.expect("accepted", 1)
        await rig.start()
        await accepted.wait()
        await rig.listen()
        await end_well(rig)
    assert rig.app.answers[0]["duplicate"] is True
    assert rig.app.answers[0]["id"] == f"{stored.id:016x}"
    assert submitted(rig) == 1
    assert told(rig) == ["sent", "delivered"]


async def test_kill_after_accepted_and_before_any_submit_sends_it_once(tmp_path: Path) -> None:
    rig = make_rig(tmp_path / "site")
    async with rig.running(listening=False):
        kill = await rig.run_until("accepted", 1)
        assert message_in(kill.left).ref in rig.app.ids
        assert kill.left.tags() == set()
        await rig.listen()
        await rig.start()
        await end_well(rig)
    assert submitted(rig) == 1
    assert told(rig) == ["sent", "delivered"]


# --- submitting ---


async def test_kill_between_the_grant_and_its_octets_is_uncertain_and_resent_flagged(
    tmp_path: Path,
) -> None:
    rig = make_rig(tmp_path / "site")
    async with rig.running():
        kill = await rig.run_to("submit.taken")
        assert submitted(rig) == 0
        assert len(kill.left.tags()) == len(kill.excess()) == 1
        await rig.start()
        await end_well(rig)
    assert submitted(rig) == 1
    assert told(rig) == ["uncertain, will resend", "sent", "delivered"]
    assert all(event["maybe_duplicate"] for event in rig.app.events[1:])


async def test_kill_while_the_answer_is_withheld_resends_once_and_flagged(tmp_path: Path) -> None:
    rig = make_rig(tmp_path / "site", SILENT)
    async with rig.running():
        kill = await rig.run_until("submit_sm", 1)
        assert kill.truth() == kill.left.tags()
        rig.carrier.behaviour = PROMPT
        await rig.start()
        await end_well(rig)
    assert submitted(rig) == 2
    assert told(rig) == ["uncertain, will resend", "sent", "delivered"]
    assert all(event["maybe_duplicate"] for event in rig.app.events[1:])


async def test_resend_that_ends_in_doubt_again_is_never_resent(tmp_path: Path) -> None:
    rig = make_rig(tmp_path / "site", SILENT)
    async with rig.running():
        for _ in range(2):
            await rig.run_until("submit_sm", 1)
        rig.carrier.behaviour = PROMPT
        await rig.start()
        await end_well(rig)
    assert submitted(rig) == 2
    assert told(rig) == ["uncertain, will resend", "uncertain, will not"]


async def test_kill_while_the_answer_of_an_otp_is_withheld_resends_nothing_where_stop_is_said(
    tmp_path: Path,
) -> None:
    rig = make_rig(tmp_path / "site", SILENT, make=make_otp, classes=STOP)
    async with rig.running():
        await rig.run_until("submit_sm", 1)
        rig.carrier.behaviour = PROMPT
        await rig.start()
        await end_well(rig)
    assert submitted(rig) == 1
    assert told(rig) == ["uncertain, will not"]


async def test_late_receipt_settles_the_doubt_of_a_kill_while_the_answer_is_withheld(
    tmp_path: Path,
) -> None:
    rig = make_rig(tmp_path / "site", WITHHELD, classes=STOP)
    await settle_late(rig, "submit.written")


async def test_kill_before_the_response_is_committed_is_settled_by_its_late_receipt(
    tmp_path: Path,
) -> None:
    rig = make_rig(tmp_path / "site", RECEIPT_LATER, classes=STOP)
    await settle_late(rig, "response.before_commit")


async def settle_late(rig: Rig, fault: str) -> None:
    """The doubt of ``fault`` ends by a receipt with an id that we never stored: it is parked, and
    believed by its addresses once no response can claim it any more."""
    variables = ahead()
    async with rig.running():
        kill = await rig.run_to(fault)
        assert not any(part.smsc_id for part in message_in(kill.left).parts)
        kill = await rig.run_until("deliver_sm_resp", 1)
        (receipt,) = rig.wire.delivers[-1:]
        assert kill.left.unmatched == {receipt.message_id}
        await rig.start(variables=variables)
        await wait_told(rig, "delivered")
        left = await end_well(rig)
    assert submitted(rig) == 1
    assert told(rig) == ["uncertain, will not", "delivered"]
    assert left.unmatched == set()


# --- receipts, and messages from phones ---


async def test_kill_before_a_receipt_is_committed_has_it_sent_again_and_stored_once(
    tmp_path: Path,
) -> None:
    rig = make_rig(tmp_path / "site", RECEIPT_LATER)
    async with rig.running():
        kill = await rig.run_to("receipt.before_commit")
        assert message_in(kill.left).parts[0].receipt_at == 0
        assert [one.answered_at for one in rig.wire.delivers] == [0]
        await rig.start()
        await end_well(rig)
    check_second_delivery(rig)


async def test_kill_before_the_deliver_sm_resp_has_the_receipt_recognised_and_told_once(
    tmp_path: Path,
) -> None:
    rig = make_rig(tmp_path / "site", RECEIPT_LATER)
    async with rig.running():
        kill = await rig.run_to("receipt.after_commit")
        assert message_in(kill.left).parts[0].receipt_at
        assert [one.answered_at for one in rig.wire.delivers] == [0]
        acknowledged = rig.expect("deliver_sm_resp", 1)
        await rig.start()
        await acknowledged.wait()
        await end_well(rig)
    check_second_delivery(rig)


def check_second_delivery(rig: Rig) -> None:
    """The carrier sent one receipt twice, and had it acknowledged the second time."""
    first, second = rig.wire.delivers[:2]
    assert first.message_id == second.message_id
    assert not first.answered_at
    assert second.answered_at
    assert told(rig) == ["sent", "delivered"]
    assert submitted(rig) == 1


async def test_kill_before_a_phones_message_is_committed_has_it_sent_again_and_told_once(
    tmp_path: Path,
) -> None:
    rig = make_rig(tmp_path / "site", messages_max=0)
    async with rig.running():
        rig.ring()
        kill = await rig.run_to("inbound.before_commit")
        assert kill.left.inbound == []
        await rig.start()
        await wait_events(rig, 1)
        await end_well(rig)
    assert [event["text"] for event in rig.app.events] == rig.texts
    assert [event["from"] for event in rig.app.events] == [PHONE]


async def test_kill_before_the_deliver_sm_resp_tells_a_phones_message_again_and_loses_none(
    tmp_path: Path,
) -> None:
    """A deliver_sm from a phone has no id: the second may be the phone's own."""
    rig = make_rig(tmp_path / "site", messages_max=0)
    async with rig.running():
        rig.ring()
        kill = await rig.run_to("inbound.after_commit")
        assert [one.text for one in kill.left.inbound] == rig.texts
        await rig.start()
        while len(rig.app.events) < 2:
            await wait_events(rig, 1)
        await end_well(rig)
    assert [event["text"] for event in rig.app.events] == rig.texts * 2


@pytest.mark.parametrize("fault", ["inbound.before_commit", "inbound.after_commit"])
async def test_kill_amid_the_segments_of_a_phones_message_tells_it_once_and_whole(
    fault: str, tmp_path: Path
) -> None:
    rig = make_rig(tmp_path / "site", messages_max=0)
    text = "There is more to say than goes into one segment, " * 7
    async with rig.running():
        rig.texts.append(text)
        rig.carrier.inbound(PHONE, "4477", text)
        for _ in range(2):
            kill = await rig.run_to(fault)
            assert kill.left.inbound == [] or fault == "inbound.after_commit"
        await rig.start()
        await wait_events(rig, 1)
        rig.ring()  # whatever else there is of the long one is told before
        await wait_events(rig, 2)
        await end_well(rig)
    assert [event["text"] for event in rig.app.events] == rig.texts
    assert [event.get("complete") for event in rig.app.events] == [True, None]


# --- events ---


@pytest.mark.parametrize("fault", ["events.before_write", "events.written"])
async def test_app_that_goes_on_after_its_last_seq_reads_every_event_once(
    fault: str, tmp_path: Path
) -> None:
    rig = make_rig(tmp_path / "site", messages_max=50)
    async with rig.running():
        await rig.run_to(f"{fault}:2")
        await rig.start()
        await end_well(rig)
        await rig.start()
        async with connect(rig.site.socket) as client:
            await client.subscribe(after=0)
            replayed: list[JsonObject] = []
            while len(replayed) < len(rig.app.events):
                replayed += await client.wait_events()
        assert await rig.stop() == 0
    assert replayed == rig.app.events
    assert [event["seq"] for event in replayed] == list(range(1, len(replayed) + 1))


# --- starting ---


async def test_twenty_kills_while_starting_change_nothing_twice(tmp_path: Path) -> None:
    rig = make_rig(tmp_path / "site", SILENT, messages_max=60)
    async with rig.running():
        first = await rig.run_until("submit_sm", GRANTED_MAX)
        assert len(first.left.tags()) == GRANTED_MAX
    rig.off()
    rig.app.finish()
    with rig.site:
        kills = [await rig.run_to(point) for point in points_of_starts()]
    recovered = [kill for kill in kills if not kill.left.tags()]
    assert recovered, "no start came to its recovery"
    assert all(kill.left.messages == recovered[0].left.messages for kill in recovered)
    for tag in first.left.tags():
        assert count_doubts(recovered[0].left.messages[tag.message_id], tag.index) == 1
    await go_on(rig)
    assert {submitted(rig, ref) for ref in rig.app.ids} == {1, 2}


def points_of_starts() -> list[str]:
    """The points in their order, so that each start gets a little further, again and again."""
    again = ("start.opened", "store.decided", *AFTER_RECOVERED)
    points = [*BEFORE_RECOVERED, *AFTER_RECOVERED, *again, *again, *again]
    return points[:STARTS_KILLED]


async def go_on(rig: Rig) -> None:
    """The carrier is back, and answers."""
    rig.carrier.behaviour = PROMPT
    async with rig.running():
        await rig.start()
        await end_well(rig)


# --- reloading ---

OLD: Final[tuple[Table, ...]] = ({"prefix": "", "carrier": "alpha", "cost": "0.0100"},)
NEW: Final[tuple[Table, ...]] = ({"prefix": "", "carrier": "beta", "cost": "0.0200"},)


@pytest.mark.parametrize("fault", ["reload.loaded", "reload.swapped"])
async def test_kill_while_reloading_leaves_the_old_or_the_new_configuration_never_a_mix(
    fault: str, tmp_path: Path
) -> None:
    carriers: dict[str, Table] = {"alpha": {"window": 5}, "beta": {"window": 5}}
    slow = Behaviour(response_delay=0.02, receipt_delay=0.02)
    rig = make_rig(tmp_path / "site", slow, carriers=carriers, routes=OLD, messages_max=100)
    async with rig.running():
        rig.expect("submit_sm", 30, lambda: rig.reload(NEW))
        kill = await rig.run_to(fault)
        bound = {(one.carrier, one.cost) for one in kill.left.messages.values()}
        assert bound <= {("", ""), ("alpha", "0.0100"), ("beta", "0.0200")}
        assert ("alpha", "0.0100") in bound
        await rig.start()
        await end_well(rig)
    charged = {
        (event["carrier"], event["cost"]) for event in rig.app.events if event["event"] == "sent"
    }
    assert charged == {("alpha", "0.0100"), ("beta", "0.0200")}


# --- no daemon ---


async def test_app_without_a_daemon_is_told_that_there_is_none(tmp_path: Path) -> None:
    rig = make_rig(tmp_path / "site")
    async with rig.running():
        await rig.run_until("accepted", 1)
        with pytest.raises(DaemonUnreachable):
            async with connect(rig.site.socket):
                pass
