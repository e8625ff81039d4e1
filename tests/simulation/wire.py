"""The judge of a carrier's wire: it reads what the daemon writes and is told, PDU by PDU.

It decodes by itself (SMPP 3.4 sections 3 and 4), and shares no line with the codec it judges.
What it knows outlives the daemon: which segment went out on which bind, and what was answered.

Checked at every write: a submit_sm has its grant on disk; a bind has no more unanswered than its
window; no segment goes out again unflagged unless the daemon was told that the last one was
refused; nothing goes out for a message whose cancellation was answered; a carrier's throughput.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

import msgspec

from smppd.smpp.throughput import AHEAD_SECONDS, LATE_SECONDS, Throughput
from tests.simulation.natures import TAKEN_STATUS
from tests.simulation.pdus import (
    DATA_SM,
    DATA_SM_RESP,
    DELIVER_SM,
    DELIVER_SM_RESP,
    GENERIC_NACK,
    SUBMIT_SM,
    SUBMIT_SM_RESP,
    Framer,
    Traffic,
    read_receipt,
    read_traffic,
)
from tests.simulation.rubbish import FIRST_NUMBER, is_taken
from tests.simulation.violations import Violation

if TYPE_CHECKING:
    from tests.simulation.life import Life
    from tests.simulation.world import World

ESME_RMSGQFUL: Final = 0x00000014

SegmentKey = tuple[str, int]
"""A destination, which is one message's alone, and the number of a segment, from 1."""


class Sent(msgspec.Struct):
    """One submit_sm on the wire: when, by which carrier's link, and what the daemon read of its
    answer (-1: nothing)."""

    at: float
    carrier: str
    life: int
    status: int = -1
    message_id: str = ""


class WireBook:
    """Everything that ever went over any carrier's wire; ``delivered`` are the phones of which the
    daemon has read that they have their message."""

    def __init__(self) -> None:
        self.sent: dict[SegmentKey, list[Sent]] = {}
        self.cancelled: set[str] = set()
        self.times: dict[str, deque[float]] = {}
        self.limits: dict[str, float] = {}
        self.submits = 0
        self.receipts_acked: list[tuple[str, str, str]] = []
        self.delivered: set[str] = set()

    def of(self, destination: str) -> dict[SegmentKey, list[Sent]]:
        """What went out of one message."""
        return {key: sent for key, sent in self.sent.items() if key[0] == destination}


class WireJudge:
    """Of one connection to ``carrier``, made in ``life``."""

    def __init__(self, world: World, life: Life, carrier: str) -> None:
        self._world = world
        self._life = life
        self._carrier = carrier
        self._out = Framer()
        self._back = Framer()
        self._open: dict[int, tuple[SegmentKey, Sent]] = {}
        self._deliveries: dict[int, Traffic] = {}
        self._rubbish: dict[int, str] = {}

    def wrote(self, data: bytes) -> None:
        """The daemon hands this to its kernel."""
        submits = []
        for command, status, sequence, body in self._out.feed(data):
            if command in (SUBMIT_SM, DATA_SM):
                traffic = read_traffic(command, body)
                submits.append((sequence, (traffic.destination, traffic.place[0])))
            elif sequence >= FIRST_NUMBER:
                self._judge_refusal(sequence, command, status)
            elif command in (DELIVER_SM_RESP, DATA_SM_RESP):
                self._note_ack(sequence, status)
        if submits:
            self._judge_submits(submits)

    def read(self, data: bytes) -> None:
        """The daemon has read this."""
        for command, status, sequence, body in self._back.feed(data):
            if sequence >= FIRST_NUMBER:
                self._rubbish[sequence] = self._world.carriers[self._carrier].rubbish[sequence]
            elif command in (SUBMIT_SM_RESP, DATA_SM_RESP) and sequence in self._open:
                _, sent = self._open.pop(sequence)
                sent.status = 0 if status == TAKEN_STATUS else status
                sent.message_id = body.partition(b"\0")[0].decode("ascii", "replace")
            elif command in (DELIVER_SM, DATA_SM):
                self._deliveries[sequence] = traffic = read_traffic(command, body)
                if (read_receipt(traffic) or ("", ""))[1] == "DELIVRD":
                    self._world.book.delivered.add(traffic.source)
                if (key := self._world.phones.find(traffic)) is not None:
                    self._world.phones.note_read(key)

    def _judge_refusal(self, sequence: int, command: int, status: int) -> None:
        """Rubbish is answered once, as the standard says."""
        kind = self._rubbish.pop(sequence, "")
        is_answer = command in (GENERIC_NACK, DELIVER_SM_RESP)
        if not kind or not is_answer or is_taken(kind) == bool(status):
            detail = f"{kind or sequence} was answered 0x{command:08X} 0x{status:08X}"
            raise Violation("rubbish is refused", detail)

    def _note_ack(self, sequence: int, status: int) -> None:
        traffic = self._deliveries.pop(sequence, None)
        if status == ESME_RMSGQFUL and self._world.faults.counts["disk full"]:
            return  # refused for want of room: it comes again
        if status or traffic is None:
            raise Violation(
                "a deliver_sm is taken",
                f"{traffic} was answered 0x{status:08X}",
                "" if traffic is None else traffic.source,
            )
        key = self._world.phones.find(traffic)
        receipt = read_receipt(traffic)
        if key is not None:
            self._world.phones.note_acked(key)
        elif receipt is not None:
            self._world.book.receipts_acked.append((traffic.source, *receipt))

    def _judge_submits(self, submits: list[tuple[int, SegmentKey]]) -> None:
        world, book = self._world, self._world.book
        granted = self._life.grants_on_disk(self._carrier)
        now = world.now()
        for sequence, key in submits:
            if key not in granted:
                raise Violation(
                    "nothing on the wire without a grant on disk",
                    f"segment {key[1]} of {key[0]} went to {self._carrier}",
                    key[0],
                )
            if key[0] in book.cancelled:
                raise Violation("cancelled is never submitted", f"{key} went out", key[0])
            earlier = book.sent.setdefault(key, [])
            self._judge_again(key, earlier)
            sent = Sent(now, self._carrier, self._life.number)
            earlier.append(sent)
            self._open[sequence] = (key, sent)
            world.note_submit(key[0])
        book.submits += len(submits)
        window = self._life.window_of(self._carrier)
        if len(self._open) > window:
            raise Violation(
                "no bind has more unanswered than its window",
                f"{self._carrier}: {len(self._open)} of {window}",
                submits[-1][1][0],
            )
        self._judge_pace(len(submits), now)

    def _judge_again(self, key: SegmentKey, earlier: list[Sent]) -> None:
        """A segment that a carrier may have goes out again only under a flag."""
        if all(sent.status > 0 for sent in earlier):
            return
        if any(sent.status == 0 and sent.life == self._life.number for sent in earlier):
            raise Violation("what a carrier took is not sent again", f"{key}: {earlier}", key[0])
        if not self._life.is_flagged(key[0]):
            raise Violation("nothing is sent twice unflagged", f"{key}: {earlier}", key[0])

    def _judge_pace(self, count: int, now: float) -> None:
        limit = self._life.throughput_of(self._carrier)
        times = self._world.book.times.setdefault(self._carrier, deque())
        if not limit or limit != self._world.book.limits.get(self._carrier):
            times.clear()  # what went out under another limit is not this one's
            self._world.book.limits[self._carrier] = limit
            return
        times.extend([now] * count)
        while times and times[0] < now - 10.0:
            times.popleft()
        # In 10 s: the limit, a burst (smpp/throughput.py), and as much again for every change of
        # the limit and start of the daemon meanwhile.
        starts = self._world.changes_since(now - 10.0)
        kept = Throughput(limit, keeps=True).kept
        burst = max(1.0 + kept + limit * LATE_SECONDS, limit * AHEAD_SECONDS)
        allowed = limit * 10.0 + (1 + starts) * burst + 1
        if len(times) > allowed + starts * self._life.window_total(self._carrier):
            raise Violation(
                "no carrier gets more than its throughput",
                f"{self._carrier}: {len(times)} in 10 s at {limit} a second",
            )
