"""A look at what goes over a carrier's links, for an operator and for a while: pure.

Links hand over what they read and write, above TLS; it becomes a pcap file that somebody takes away
in pieces. One that is not taken away is dropped beyond TAP_OCTETS_MAX, and a tap that nobody asks
for ends by itself, so a forgotten one costs nothing. Without one a link looks once a read and once
a write whether there is any.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final

from smppd.smpp.capture import CapturedLink, file_header

TAP_OCTETS_MAX: Final = 8 * 1024 * 1024
"""What waits to be taken: a second of all a daemon can send and receive, and more."""

IDLE_SECONDS_MAX: Final = 10.0
"""A tap that was not asked for so long has nobody who wants it."""

ASKED_SECONDS_MAX: Final = 2.0
"""Who wants a tap asks every second: one that was not asked for longer may be taken over."""

TAP_SECONDS_MAX: Final = 3_660.0
"""A tap is for a look: one that runs on fills somebody's disk. An hour, and a minute in which who
has looked for all of it takes what is left."""


class Tap:
    """``redact`` hides what must not be seen of a PDU. ``now`` is monotonic seconds, ``at`` Unix
    milliseconds."""

    def __init__(self, name: str, redact: Callable[[bytes], bytes], now: float) -> None:
        self.name = name
        self._redact = redact
        self._links: dict[int, CapturedLink] = {}
        self._connections = 0
        self._records: deque[bytes] = deque([file_header()])
        self._octets = 0
        self._ends_at = now + TAP_SECONDS_MAX
        self._asked_at = now
        self.dropped = 0
        self.wake: Callable[[], None] = lambda: None

    def is_over(self, now: float) -> bool:
        """Whether nobody wants it any more."""
        return now >= self._ends_at or now >= self._asked_at + IDLE_SECONDS_MAX

    def is_wanted(self, now: float) -> bool:
        """Whether somebody asks for it just now."""
        return not self.is_over(now) and now < self._asked_at + ASKED_SECONDS_MAX

    def received(self, bind: int, octets: bytes, at: int, unfinished: bytes) -> None:
        """One read of a bind's link, which had read ``unfinished`` of a PDU before."""
        link = self._links.get(bind) or self._begin(bind, at, unfinished)
        self._keep(link.received(octets, at * 1000))

    def sent(self, bind: int, octets: bytes, at: int, unfinished: bytes) -> None:
        """One write, of whole PDUs."""
        link = self._links.get(bind) or self._begin(bind, at, unfinished)
        self._keep(link.sent(octets, at * 1000))

    def ended(self, bind: int, at: int) -> None:
        """The link has ended; another one of the bind is another connection."""
        link = self._links.pop(bind, None)
        if link is not None:
            self._keep(link.end(at * 1000))

    def take(self, octets_max: int, now: float) -> bytes:
        """Some of what has come, whole records, and at least one where there is any."""
        self._asked_at = now
        records: list[bytes] = []
        size = 0
        while self._records and (not records or size + len(self._records[0]) <= octets_max):
            record = self._records.popleft()
            records.append(record)
            size += len(record)
        self._octets -= size
        return b"".join(records)

    def has_records(self) -> bool:
        """Whether there is something to take."""
        return bool(self._records)

    def _begin(self, bind: int, at: int, unfinished: bytes) -> CapturedLink:
        link = self._links[bind] = CapturedLink(self._connections, self._redact)
        self._connections += 1
        self._keep(link.begin(at * 1000) + link.received(unfinished, at * 1000))
        return link

    def _keep(self, records: bytes) -> None:
        if not records:
            return
        if self._octets + len(records) > TAP_OCTETS_MAX:
            self.dropped += len(records)
            return
        self._records.append(records)
        self._octets += len(records)
        self.wake()
