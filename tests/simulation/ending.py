"""After everything was healed and has come to its end: three ledgers, held against each other.

What the apps were told, what went over the wires (the daemon's end and the carriers' own books),
and what the store says when it is asked through the front door.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Final

import trio

from smppd.client import Connection, ProtocolError
from smppd.simulator.join import SubmitRecord
from tests.simulation.apps import App, JsonObject, is_closing
from tests.simulation.natures import TAKEN_STATUS
from tests.simulation.pdus import Traffic
from tests.simulation.phones import TELL_SECONDS_MAX
from tests.simulation.violations import Violation

if TYPE_CHECKING:
    from tests.simulation.world import World

SPEAKING: Final = frozenset({"DELIVRD", "UNDELIV", "EXPIRED", "DELETED", "REJECTD"})
"""Words of a receipt that say something final."""

EVENT_SECONDS_MAX: Final = 30.0
"""From a commit until the app has its events; it may have to connect again for them."""


async def check_app(world: World, app: App, connection: Connection) -> None:
    """Everything one app is owed; ``connection`` has said hello for it."""
    for ref in app.ids:
        message = await _query(app, ref, connection)
        last = app.stories.get(ref, [{"event": ""}])[-1]
        if message["state"] != last["event"]:  # its last event may be on its way
            await trio.sleep(EVENT_SECONDS_MAX)
            message = await _query(app, ref, connection)
        _check_message(world, app, ref, message)
    await _check_replay(app, connection)


async def _query(app: App, ref: str, connection: Connection) -> JsonObject:
    try:
        return await connection.query(ref=ref)
    except ProtocolError as error:
        raise Violation("accepted is kept", f"{ref}: {error}", _to(app, ref)) from None


async def check_inbound(world: World) -> None:
    """What phones wrote and was acknowledged has reached the app that wants it, whole or not."""
    for _ in range(int(TELL_SECONDS_MAX / EVENT_SECONDS_MAX)):
        if world.phones.is_told():
            break
        await trio.sleep(EVENT_SECONDS_MAX)
    world.phones.check()


def check_carriers(world: World) -> None:
    """The carriers' own books: a segment they took twice belongs to a message that is flagged."""
    taken: Counter[tuple[str, int]] = Counter()
    for carrier in world.carriers.values():
        for record in carrier.smsc.records():
            if record.command_status in (None, 0, TAKEN_STATUS):
                taken[(record.destination, place_of(record)[0])] += 1
    for (destination, _), count in taken.items():
        name, ref = world.destinations[destination]
        if count > 1 and not _is_flagged(world.apps[name], ref):
            raise Violation("nothing is taken twice unflagged", f"{ref}: {count}", destination)


def place_of(record: SubmitRecord) -> tuple[int, int]:
    """Which segment a carrier was given, and of how many."""
    tlvs = {int(tag, 16): bytes.fromhex(value) for tag, value in record.tlvs.items()}
    return Traffic("", "", record.esm_class, bytes.fromhex(record.udh), tlvs).place


def check_texts(world: World) -> None:
    """What a carrier took whole reads as it was submitted, by whatever alphabet and header."""
    for carrier in world.carriers.values():
        for message in carrier.smsc.messages() if not carrier.nature.packed else ():
            name, ref = world.destinations[message.destination]
            text = world.apps[name].submits[ref]["text"]
            if message.is_whole and message.text != text:
                detail = f"{ref}: {message.text!r} was {text!r}"
                raise Violation("the phone reads what was submitted", detail, message.destination)


def _check_message(world: World, app: App, ref: str, message: JsonObject) -> None:
    to = _to(app, ref)
    story = app.stories.get(ref, [])
    last = story[-1] if story else None
    if message["id"] != app.ids[ref]:
        raise Violation("a ref has one id", f"{ref}: {message}", to)
    if last is None or not is_closing(last):
        raise Violation("every message comes to its end", f"{ref}: {message}", to)
    if message["state"] != last["event"]:
        raise Violation("the last event is the state", f"{ref}: {last} {message}", to)
    if message["maybe_duplicate"] != any(one.get("maybe_duplicate") for one in story) and (
        story[-1]["event"] in ("sent", "delivered", "failed")
    ):
        raise Violation("a flag is told", f"{ref}: {story} {message}", to)
    sent = world.book.of(to)
    if message["state"] in ("sent", "delivered", "unconfirmed") and not sent:
        raise Violation("sent was on a wire", f"{ref}: {message}", to)
    if message["state"] == "delivered" and to not in world.book.delivered:
        raise Violation("delivered was said by a carrier", f"{ref}: {message}", to)
    _check_doubt(world, app, ref, message)
    _check_receipts(world, to, message)


def _check_doubt(world: World, app: App, ref: str, message: JsonObject) -> None:
    """Doubt has a reason: a submit_sm that was not answered, or a grant at a crash."""
    to = _to(app, ref)
    if not _is_flagged(app, ref):
        return
    unanswered = any(one.status < 0 for sent in world.book.of(to).values() for one in sent)
    if not unanswered and to not in world.doubtable:
        raise Violation("doubt has a reason", f"{ref}: {message} {world.book.of(to)}", to)


def _check_receipts(world: World, to: str, message: JsonObject) -> None:
    """A final receipt that was acknowledged, of an id that the store knows, has counted."""
    parts = message["parts"]
    if len(parts) != 1 or not parts[0]["message_id"]:
        return
    has_name = world.carriers[message["carrier"]].nature.ids == "own"
    if not has_name and len(world.wall.jumps) > 1:
        return  # by the phone and the time alone, which was set
    said = [
        stat
        for source, name, stat in world.book.receipts_acked
        if source == to and name == parts[0]["message_id"] and stat in SPEAKING
    ]
    if said and parts[0]["receipt"] is None and message["state"] != "failed":
        raise Violation("an acknowledged receipt is kept", f"{to}: {said} {message}", to)


async def _check_replay(app: App, connection: Connection) -> None:
    """The event stream from its beginning, where nothing was taken, is what came at first."""
    subscribed = await connection.subscribe(after=0)
    if app.plan.takes:
        return
    if subscribed["gap"]:
        raise Violation("events are kept", f"{app.name}: {subscribed}")
    again: list[dict[str, Any]] = []
    while len(again) < len(app.events):
        again += await connection.wait_events()
    if again[: len(app.events)] != app.events:
        wrong = [pair for pair in zip(again, app.events, strict=False) if pair[0] != pair[1]]
        raise Violation("a replay is the same", f"{app.name}: {wrong[:1]}")


def _is_flagged(app: App, ref: str) -> bool:
    return any(
        event["event"] == "uncertain" or event.get("maybe_duplicate")
        for event in app.stories.get(ref, [])
    )


def _to(app: App, ref: str) -> str:
    to: str = app.submits[ref]["to"]
    return to[1:]
