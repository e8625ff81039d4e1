"""Three ledgers held against each other: what the app was told, what the carriers saw, the store.

The app's is every ``accepted`` and every event; the carriers' every submit_sm with its answer, and
every deliver_sm with its deliver_sm_resp, read off the octets; the store's is what ``query`` and
``trace`` say after the last start, and what its file says after the end. Where they disagree over
a message, all that anybody knows of it is shown, in order of time.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import Final

import msgspec

from smppd.client import Connection, connect
from tests.crash.killed import Left
from tests.crash.rig import Rig
from tests.crash.wire import Deliver, Submit
from tests.ledgers import App, JsonObject, find_flagged, find_wrong_stories, is_closing

SHOWN_MAX: Final = 3
"""Messages whose whole trace a failure shows."""

SEGMENT_MAX: Final = 160
"""Characters of a text from a phone beyond which it comes in segments."""

SENT: Final = ("sent", "delivered", "failed", "expired", "unconfirmed")


class Totals(msgspec.Struct):
    """What a run came to. ``flagged`` are messages, ``doubtful`` segments granted at a kill, and
    ``excess`` those of them that no carrier had seen."""

    kills: int = 0
    messages: int = 0
    submits: int = 0
    events: int = 0
    receipts: int = 0
    inbound: int = 0
    duplicates_answered: int = 0
    lost: int = 0
    doubled: int = 0
    doubled_unflagged: int = 0
    flagged: int = 0
    doubtful: int = 0
    excess: int = 0
    wrong: int = 0

    def add(self, other: Totals) -> None:
        """Both runs together."""
        for name in self.__struct_fields__:
            setattr(self, name, getattr(self, name) + getattr(other, name))

    def __str__(self) -> str:
        return " ".join(f"{name}={getattr(self, name)}" for name in self.__struct_fields__)


class Account:
    """All ledgers of a finished rig; ``wrong`` says of each ref what does not agree ("": of none
    of them)."""

    def __init__(self, rig: Rig, store: dict[str, JsonObject], left: Left) -> None:
        self.app: App = rig.app
        self.store = store
        self.left = left
        self.rig = rig
        self.flagged = find_flagged(self.app.events)
        self.last = {event["ref"]: event for event in self.app.events}
        self.refs = {submit["to"][1:]: ref for ref, submit in self.app.submits.items()}
        self.submits: defaultdict[str, list[Submit]] = defaultdict(list)
        for submit in rig.wire.submits:
            self.submits[self.refs[submit.part.to]].append(submit)
        self.receipts: defaultdict[str, list[Deliver]] = defaultdict(list)
        for deliver in rig.wire.delivers:
            if deliver.message_id:
                self.receipts[self.refs[deliver.source]].append(deliver)
        self.lost: set[str] = set()
        self.doubled: set[str] = set()
        self.wrong: list[tuple[str, str]] = [*rig.wrong]
        for ref in self.app.ids:
            self._check(ref)
        self.wrong += [
            (ref, f"its events cannot all be true: {story}")
            for ref, story in find_wrong_stories(self.app.events).items()
        ]
        self._check_inbound()
        self.wrong += [("", problem) for problem in rig.verifier.problems()]

    def totals(self) -> Totals:
        """The figures of this run."""
        kills = self.rig.kills
        return Totals(
            kills=len(kills),
            messages=len(self.app.ids),
            submits=len(self.rig.wire.submits),
            events=len(self.app.events),
            receipts=sum(map(len, self.receipts.values())),
            inbound=len(self.rig.texts),
            duplicates_answered=sum("duplicate" in answer for answer in self.app.answers),
            lost=len(self.lost),
            doubled=len(self.doubled),
            doubled_unflagged=len(self.doubled - self.flagged),
            flagged=len(self.flagged),
            doubtful=sum(len(kill.left.tags()) for kill in kills),
            excess=sum(len(kill.excess()) for kill in kills),
            wrong=len(self.wrong),
        )

    def _check(self, ref: str) -> None:
        last, message = self.last.get(ref), self.store[ref]
        if last is None or not is_closing(last):
            self.lost.add(ref)
            return self._say(ref, "accepted, and never heard of again")
        if message["id"] != self.app.ids[ref]:
            self._say(ref, f"the app was told {self.app.ids[ref]}")
        if message["state"] != last["event"]:
            self._say(ref, f"the store says {message['state']}, the app was told {last['event']}")
        if len(self.left.of_ref(ref)) != 1:
            self._say(ref, "the store does not have exactly one message of that ref")
        self._check_submits(ref, last, message)
        self._check_receipts(ref, message)
        return None

    def _check_submits(self, ref: str, last: JsonObject, message: JsonObject) -> None:
        taken = Counter(one.part for one in self.submits[ref] if not one.status)
        seen = {one.part.segment for one in self.submits[ref]}
        if taken and max(taken.values()) > 1:
            self.doubled.add(ref)
            if ref not in self.flagged:
                self._say(ref, "submitted twice in silence")
        if last["event"] == "cancelled" and seen:
            self._say(ref, "cancelled, and yet submitted")
        if self.app.cancels.get(ref, {}).get("count") and last["event"] != "cancelled":
            self._say(ref, "the app was told it is cancelled")
        if last["event"] in ("sent", "delivered") and seen != set(range(message["segments"])):
            self.lost.add(ref)
            self._say(ref, f"{last['event']}, and a carrier saw only the segments {seen}")
        if last["event"] in SENT and not seen:
            self.lost.add(ref)
            self._say(ref, f"{last['event']}, and no carrier ever saw it")
        names = {one.message_id for one in self.submits[ref]} | {None}
        names |= {one.message_id for one in self.receipts[ref]}
        if not {part["message_id"] for part in message["parts"]} <= names:
            self._say(ref, "the store has an id that no carrier gave")

    def _check_receipts(self, ref: str, message: JsonObject) -> None:
        """Each that got its deliver_sm_resp is with its message, or parked until somebody
        claims it."""
        found = {part["message_id"] for part in message["parts"] if part["receipt"]}
        found |= {late["message_id"] for late in message["late_receipts"]}
        for receipt in self.receipts[ref]:
            if receipt.answered_at and receipt.message_id not in found | self.left.unmatched:
                self._say(ref, f"the receipt of {receipt.message_id} was acknowledged and is lost")

    def _check_inbound(self) -> None:
        """Every text from a phone is told once for each time a carrier had to send it at most, and
        at least once; one in segments, which are known again, once and whole."""
        told = Counter(event["text"] for event in self.app.events if event["event"] == "inbound")
        kept = Counter(one.text for one in self.left.inbound)
        sent = Counter(one.text for one in self.rig.wire.delivers if not one.message_id)
        for text in self.rig.texts:
            times_max = sent[text] if len(text) < SEGMENT_MAX else 1
            if not 1 <= told[text] == kept[text] <= times_max:
                problem = f"{text!r}: sent {sent[text]}, kept {kept[text]}, told {told[text]}"
                self.wrong.append(("", problem))
        if others := told.keys() - set(self.rig.texts):
            self.wrong.append(("", f"told, and written by no phone: {sorted(others)}"))

    def _say(self, ref: str, what: str) -> None:
        self.wrong.append((ref, what))


async def settle_accounts(rig: Rig) -> tuple[Account, str]:
    """Ends a finished rig's daemon in order; its account, and what is wrong in words, with the
    whole trace of the first messages it is about: empty when all agree."""
    traces: dict[str, list[JsonObject]] = {}
    async with connect(rig.site.socket) as client:
        store = {ref: await client.query(ref=ref) for ref in rig.app.ids}
        while fresh := await rig.app.catch_up():
            refs = {event["ref"] for event in fresh if event["event"] != "inbound"}
            store |= {ref: await client.query(ref=ref) for ref in refs}
        if rig.wrong:
            traces = await _read_traces(client, [ref for ref, _ in rig.wrong])
        assert await rig.stop() == 0
    account = Account(rig, store, rig.left())
    if not account.wrong:
        return account, ""
    await rig.start()
    async with connect(rig.site.socket) as client:
        traces |= await _read_traces(client, [ref for ref, _ in account.wrong])
    assert await rig.stop() == 0
    lines = [f"{ref or 'the run'}: {what}" for ref, what in account.wrong]
    shown = [show_life(account, ref, steps) for ref, steps in traces.items()]
    return account, "\n".join([str(account.totals()), *lines, *shown])


async def _read_traces(client: Connection, refs: list[str]) -> dict[str, list[JsonObject]]:
    chosen = list(dict.fromkeys(ref for ref in refs if ref))[:SHOWN_MAX]
    answers = {ref: await client.ask({"type": "trace", "ref": ref}) for ref in chosen}
    return {ref: answer["steps"] for ref, answer in answers.items()}


def show_life(account: Account, ref: str, steps: list[JsonObject]) -> str:
    """All that anybody knows of one message, in order of time: ``store`` is its trace, ``app``
    the answers and events it read, and a carrier's name what passed there."""
    told = [one for one in account.app.answers if one["ref"] == ref]
    events = [one for one in account.app.events if one["ref"] == ref]
    rows = [(one["read_at"], "app", _brief(one, "read_at")) for one in told]
    rows += [(one["at"], "app", _brief(one, "at")) for one in events]
    rows += [(one["at"], "store", _brief(one, "at")) for one in steps]
    for submit in account.submits[ref]:
        where = f"{submit.carrier} link {submit.link}"
        rows.append((submit.at, where, f"submit_sm {submit.number} {submit.part}"))
        if submit.answered_at:
            answer = f"submit_sm_resp {submit.number} 0x{submit.status:08X} {submit.message_id}"
            rows.append((submit.answered_at, where, answer))
    for receipt in account.receipts[ref]:
        where = f"{receipt.carrier} link {receipt.link}"
        words = f"{receipt.number} {receipt.message_id} {receipt.stat}"
        rows.append((receipt.at, where, f"deliver_sm {words}"))
        if receipt.answered_at:
            rows.append((receipt.answered_at, where, f"deliver_sm_resp {words}"))
    rows.sort(key=lambda row: row[0])
    start = rows[0][0] if rows else 0
    return "\n".join(
        [f"--- {ref}", *(f"{at - start:+7} ms {who}: {what}" for at, who, what in rows)]
    )


def _brief(line: JsonObject, *left_out: str) -> str:
    shown = {key: value for key, value in line.items() if value not in (None, "", 0)}
    return " ".join(f"{key}={value}" for key, value in shown.items() if key not in left_out)
