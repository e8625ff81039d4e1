"""What a daemon has told and promised, read from the octets on its sockets.

The third ledger of a power cut: neither the app's memory nor the carrier's, but what had left the
daemon by a moment of its trace. ``find_broken`` holds it against a store.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import msgspec

from smppd.api.fields import Submit, digest_submit
from smppd.smpp.constants import DELIVER_SM, DELIVER_SM_RESP, SUBMIT_SM
from smppd.smpp.framing import Frame, FrameBuffer
from smppd.smpp.pdu import DeliverSm, SubmitSm, decode_deliver_sm, decode_submit_sm
from smppd.smpp.receipt import read_receipt
from smppd.store import keys
from smppd.store.changes import Accepted, Propose, Rejection
from smppd.store.store import Store
from smppd.store.view import MessageView, ReceiptView
from tests.power.trace import Moment, Received, Sent

ESM_CLASS_UDHI: Final = 0x40
EVENTS_BYTES_MAX: Final = 1 << 24

_LOST: Final = Rejection("lost", "the ref is not bound")
_read_submit = msgspec.json.Decoder(Submit).decode


class Promise(NamedTuple):
    """One ``accepted``: the ref, what was bound to it, and the id it got."""

    submit: Submit
    digest: bytes
    message_id: str


class Told:
    """``app`` is the one app of the trace."""

    def __init__(self) -> None:
        self.app = ""
        self.promises: dict[str, Promise] = {}
        self.events: list[bytes] = []
        self.taken = 0
        self.receipts: dict[tuple[str, str], None] = {}
        self.segments: dict[tuple[str, int], None] = {}
        self.count = 0
        self._submits: dict[str, Submit] = {}
        self._rests: dict[object, bytes] = {}
        self._frames: dict[object, FrameBuffer] = {}
        self._delivered: dict[tuple[str, int], tuple[str, str]] = {}

    def take(self, moment: Moment) -> None:
        """Octets on a socket; files do not matter here."""
        if not isinstance(moment, Sent | Received):
            return
        key = (moment.peer, isinstance(moment, Sent))
        if key not in self._rests and key not in self._frames:
            if moment.data[:1] == b"{":
                self._rests[key] = b""
            else:
                self._frames[key] = FrameBuffer()
        if key in self._rests:
            *lines, self._rests[key] = (self._rests[key] + moment.data).split(b"\n")
            for line in lines:
                self._take_line(line, is_ours=isinstance(moment, Sent))
        else:
            for frame in self._frames[key].receive(moment.data):
                assert isinstance(frame, Frame), frame
                self._take_pdu(moment, frame)

    def _take_line(self, line: bytes, *, is_ours: bool) -> None:
        kind = msgspec.json.decode(line)
        if kind["type"] == "submit" and not is_ours:
            self._submits[kind["ref"]] = _read_submit(line)
        elif kind["type"] == "taken" and not is_ours:
            self.taken = max(self.taken, kind["seq"])
        elif kind["type"] == "accepted":
            submit = self._submits[kind["ref"]]
            self.promises[kind["ref"]] = Promise(submit, digest_submit(submit), kind["id"])
            self.count += 1
        elif kind["type"] == "event":
            self.events.append(line)
            self.count += 1
        elif kind["type"] == "welcome":
            self.app = kind["app"]

    def _take_pdu(self, moment: Sent | Received, frame: Frame) -> None:
        key = (moment.peer, frame.sequence_number)
        if isinstance(moment, Received) and frame.command_id == DELIVER_SM:
            pdu = decode_deliver_sm(frame.body)
            assert isinstance(pdu, DeliverSm), pdu
            receipt = read_receipt(pdu)
            assert receipt is not None, pdu
            self._delivered[key] = (pdu.source_addr, receipt.ids[0])
        elif isinstance(moment, Sent) and frame.command_id == DELIVER_SM_RESP:
            self.receipts[self._delivered.pop(key)] = None
            self.count += 1
        elif isinstance(moment, Sent) and frame.command_id == SUBMIT_SM:
            submit = decode_submit_sm(frame.body)
            assert isinstance(submit, SubmitSm), submit
            self.segments[submit.destination_addr, _segment_of(submit)] = None
            self.count += 1


def find_broken(store: Store, told: Told) -> list[str]:
    """What was told and does not hold in this store; recovers it, as a start does."""
    now = _now(told)
    broken = _find_lost(store, told, now)
    views = {view.to.lstrip("+"): view for view in _views(store, told)}
    broken += _find_lost_receipts(store, told, views)
    broken += _find_wrong_events(store, told)
    broken += [
        f"{to} segment {index}: was written, and waits again without a doubt"
        for to, index in told.segments
        if to in views and _is_silent(views[to], index)
    ]
    store.commit(list(store.open_tags(now)), None, now)
    broken += [
        f"{view.ref}: was granted, and is no doubt after the start"
        for view in views.values()
        if any(part.state == "granted" for part in view.parts) and not _is_doubtful(store, view)
    ]
    unseen = [to for to, _ in told.segments if to not in views]
    return broken + [f"{to}: was written, and there is no message" for to in unseen]


def _now(told: Told) -> int:
    ids = [int(promise.message_id, 16) for promise in told.promises.values()]
    return keys.time_of_id(max(ids, default=0)) + 1


def _find_lost(store: Store, told: Told, now: int) -> list[str]:
    """Refs that are not bound to what they were accepted for."""
    promises = list(told.promises.items())
    asked = [Propose(told.app, ref, promise.digest, _LOST) for ref, promise in promises]
    answers = store.commit(list(asked), None, now).results
    return [
        f"{ref}: accepted as {promise.message_id}, and now {answer}"
        for (ref, promise), answer in zip(promises, answers, strict=True)
        if not isinstance(answer, Accepted) or answer.id != promise.message_id
    ]


def _views(store: Store, told: Told) -> list[MessageView]:
    """The messages of what was accepted or written: an ``accepted`` may leave after it is sent."""
    found = [store.query(told.app, ref=ref) for ref in told._submits]
    return [view for view in found if view is not None]


def _find_lost_receipts(store: Store, told: Told, views: dict[str, MessageView]) -> list[str]:
    """Receipts that were answered and that no message has; some may still wait for theirs."""
    lost = [
        f"{source}: the receipt of {name} was answered, and is gone"
        for source, name in told.receipts
        if source not in views or name not in _receipt_ids(views[source])
    ]
    return lost if len(lost) > store.statistics().unmatched else []


def _receipt_ids(view: MessageView) -> set[str | None]:
    late: list[ReceiptView] = view.late_receipts
    ids = {part.message_id for part in view.parts if part.receipt is not None}
    return ids | {receipt.message_id for receipt in late}


def _find_wrong_events(store: Store, told: Told) -> list[str]:
    """Events that were told, and are neither taken nor in the log as they were told."""
    bounds = store.event_bounds(told.app)
    if bounds.taken > told.taken:
        return [f"events are taken up to {bounds.taken}, and the app took {told.taken}"]
    if bounds.latest < len(told.events):
        return [f"event {len(told.events)} was told, and {bounds.latest} is the latest"]
    kept: list[bytes] = []
    after = bounds.oldest - 1
    while (batch := store.events_after(told.app, after, EVENTS_BYTES_MAX)) is not None:
        kept += batch.lines.splitlines()
        after = batch.last
    expected = told.events[bounds.oldest - 1 :]
    return [
        f"told {ours!r}, and the log has {theirs!r}"
        for ours, theirs in zip(expected, kept, strict=False)
        if ours != theirs
    ]


def _is_silent(view: MessageView, index: int) -> bool:
    part = view.parts[index]
    if view.state != "queued":
        return False  # it was refused, and the whole message has ended
    return part.state == "waiting" and not part.doubted


def _is_doubtful(store: Store, view: MessageView) -> bool:
    after = store.query(view.app, ref=view.ref)
    assert after is not None, view.ref
    granted = [part.segment for part in view.parts if part.state == "granted"]
    return all(after.parts[segment - 1].doubted for segment in granted)


def _segment_of(submit: SubmitSm) -> int:
    """The segment's index: the last octet of the user data header numbers it from 1."""
    if not submit.esm_class & ESM_CLASS_UDHI:
        return 0
    return submit.short_message[submit.short_message[0]] - 1
