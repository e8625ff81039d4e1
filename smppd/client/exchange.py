"""What an app and the daemon still owe each other, over any number of connections and without one.

Both faces drive it: ``begin`` when a connection is open, ``data_to_send`` and ``receive_data``
while it lasts, ``lose`` when it has ended, and ``begin`` again. It reads no clock and opens
nothing; ``now`` is any clock that only goes forward, in seconds.

Numbered invariants:

1. Whatever connection it takes: what was asked goes out in the order of asking, behind the
   ``hello``, and each asker gets its own answers.
2. After a lost connection only REPEATED requests are asked again: submits, which their ``ref``
   makes the same message, and those that only read. A ``cancel`` may be too late to repeat, and a
   ``drain`` would end the next daemon too: their askers learn that nobody knows.
3. An event is given once, in order of ``seq``, and none is left out in silence: what the daemon no
   longer keeps comes as EventsLost at its place.
4. Memory: with EVENTS_KEPT_MAX events not taken from here the daemon is told to send none, and
   told to go on once half are gone. They wait on its disk, and answers are read all the while.
"""

from __future__ import annotations

import math
from collections import deque
from functools import partial
from typing import Final, Literal, TypeAlias

import msgspec

from smppd.client.errors import DaemonUnreachable, EventsLost, ProtocolError
from smppd.client.lines import Asked, Lines, ask_one, encode
from smppd.client.shapes import Event, JsonObject
from smppd.errors import SmppdError

REPEATED: Final = frozenset({"submit", "query", "quote", "ping", "status"})
"""Requests that do the same when they are asked a second time, in any later order."""

EVENTS_KEPT_MAX: Final = 10_000
"""Events in memory that nobody has taken: some 10 MB of JSON objects."""

TAKEN_SECONDS: Final = 0.1
"""Between two ``taken`` that nothing else takes along: each may cost the daemon a commit, and what
it saves is a tenth of a second of events told twice after a crash."""

RETRY_SECONDS_MIN: Final = 0.05
RETRY_SECONDS_MAX: Final = 1.0
"""From a lost connection to the next try, doubled each time: the socket is on this host, so a try
costs microseconds, and a daemon that is started again takes a second or two."""

PASSING: Final = frozenset({"busy", "too_many_errors"})
"""Errors that end a connection and say nothing against the next one."""

SEQ_MAX: Final = 2**63 - 1
"""Above any event: to subscribe there is to learn the latest."""

After: TypeAlias = int | Literal["latest"] | None
"""Where events begin: after a ``seq``, with what comes from now on, or where this reader or the
app was: after the last event given here, at first after the last one taken."""


class Statistics(msgspec.Struct, frozen=True):
    """Counts since the client was made. ``repeated`` are requests asked again after a loss."""

    connections: int
    repeated: int
    events: int


def retry_delay(failures: int, chance: float) -> float:
    """Seconds to wait after ``failures`` tries (1 at least); ``chance``, from 0 to 1, spreads many
    apps that lost the same daemon."""
    longest = min(RETRY_SECONDS_MAX, RETRY_SECONDS_MIN * 2.0 ** min(failures - 1, 16))
    return longest * (0.5 + chance / 2)


class Exchange:
    """See the module. ``fault`` is why nothing can be asked any more. ``is_ready``: welcome on the
    present connection; ``is_subscribed``: and it is known where the events go on.
    """

    def __init__(self, app: str | None = None) -> None:
        self._app = app
        self._lines: Lines | None = None
        self._unanswered: deque[Asked] = deque()
        self._events: deque[JsonObject | EventsLost] = deque()
        self._kinds: tuple[str, ...] = ()
        self._subscription = 0  # numbers them; 0 is none
        self._is_fresh = False  # nothing of the present subscription can have come yet
        self._is_paused = False
        self._is_from_latest = False  # and the position is not known yet
        self._is_restored_told = False  # over the present connection
        self._position: int | None = None
        self._given: int | None = None
        self._taken = 0
        self._taken_sent = 0
        self._taken_at = -math.inf
        self._connections = self._repeated = self._events_given = 0
        self.is_ready = False
        self.is_subscribed = False
        self.fault: SmppdError | None = None

    def statistics(self) -> Statistics:
        """What has happened so far."""
        return Statistics(self._connections, self._repeated, self._events_given)

    # -- connections ----------------------------------------------------------------------------

    def begin(self) -> None:
        """A connection is open: the ``hello`` is the first line on it."""
        self._lines = Lines()
        hello = {"type": "hello"} if self._app is None else {"type": "hello", "app": self._app}
        self._lines.ask(ask_one(hello, self._heed_welcome))

    def lose(self, reason: str) -> None:
        """The connection has ended: what may not be asked again fails, the rest waits."""
        self._lines = None
        self.is_ready = False
        lost = [asked for asked in self._unanswered if _is_lost(asked)]
        self._unanswered = deque(asked for asked in self._unanswered if not _is_lost(asked))
        for asked in lost:
            told = f"{reason}; whether the {asked.verb} was done is not known"
            asked.fail(DaemonUnreachable(told))

    def end(self, fault: SmppdError) -> None:
        """Nothing can be asked any more, for this reason."""
        self.fault = self.fault or fault
        self._lines = None
        self.is_ready = False
        while self._unanswered:
            self._unanswered.popleft().fail(self.fault)

    def data_to_send(self, now: float, *, is_last: bool = False) -> bytes:
        """What is to be written now; ``is_last``: without regard to TAKEN_SECONDS."""
        if self._lines is None:
            return b""
        if self._must_take and (is_last or self._lines.has_output or now >= self.next_at()):
            self._lines.put(encode([{"type": "taken", "seq": self._taken}]))
            self._taken_sent = self._taken
            self._taken_at = now
        return self._lines.data_to_send()

    def next_at(self) -> float:
        """When ``data_to_send`` will have something by itself; ``math.inf``: never."""
        return self._taken_at + TAKEN_SECONDS if self._must_take else math.inf

    def has_output(self, now: float) -> bool:
        """Whether ``data_to_send`` has something now."""
        has_lines = self._lines is not None and self._lines.has_output
        return has_lines or self.next_at() <= now

    def receive_data(self, data: bytes | bytearray) -> None:
        """Reads what came; sets ``fault`` or loses the connection where it cannot go on."""
        assert self._lines is not None, "data came over a connection that was lost"
        lines = self._lines
        try:
            lines.receive_data(data)
        except ProtocolError as error:
            self._heed_fault(error)
        if lines is self._lines:
            self._keep_events()

    @property
    def is_connected(self) -> bool:
        """Between ``begin`` and the end of that connection."""
        return self._lines is not None

    # -- requests -------------------------------------------------------------------------------

    def ask(self, asked: Asked) -> None:
        """Asks now, or as soon as there is a connection."""
        if self.fault is not None:
            asked.fail(self.fault)
            return
        wake = asked.settle

        def settle(asked: Asked) -> None:
            if asked.fault is None:
                self._forget(asked)
            wake(asked)

        asked.settle = settle
        self._unanswered.append(asked)
        if self.is_ready and self._lines is not None:
            self._lines.ask(asked)

    def abandon(self, asked: Asked) -> None:
        """Nobody waits for it any more: it is not asked again, and its answers go nowhere."""
        asked.settle = lambda _: None
        self._forget(asked)

    def _forget(self, asked: Asked) -> None:
        if self._unanswered and self._unanswered[0] is asked:
            self._unanswered.popleft()
        elif asked in self._unanswered:
            self._unanswered.remove(asked)

    # -- events ---------------------------------------------------------------------------------

    @property
    def has_events(self) -> bool:
        """Whether ``take_events`` has something to give or to raise."""
        return bool(self._events)

    def check_reader(self, subscription: int) -> None:
        """Raises where whoever reads for ``subscription`` will get no event any more."""
        if subscription != self._subscription:
            raise RuntimeError("a later loop over events has replaced this one")
        if self.fault is not None and not self._events:
            raise self.fault

    def subscribe(self, after: After, kinds: tuple[str, ...]) -> int:
        """Events of these ``kinds`` (none: all), and none of an earlier subscription; returns its
        number.
        """
        self._subscription += 1
        self._is_from_latest = after == "latest"
        self._position = self._given if after is None else after if after != "latest" else None
        self._kinds = kinds
        self._events.clear()
        self._is_fresh = True
        self._is_paused = False
        self.is_subscribed = False
        if self.is_ready:
            self._put_subscribe()
        return self._subscription

    def take_events(self, count_max: int) -> list[Event]:
        """The oldest events here, at least one; raises EventsLost, once, where some are gone."""
        if isinstance(lost := self._events[0], EventsLost):
            self._events.popleft()
            self._given = lost.oldest - 1
            raise lost
        lines: list[JsonObject] = []
        while self._events and len(lines) < count_max:
            line = self._events[0]
            if isinstance(line, EventsLost):
                break
            lines.append(line)
            self._events.popleft()
        try:
            events = msgspec.convert(lines, list[Event])
        except msgspec.ValidationError as error:
            fault = ProtocolError("bad_event", f"an event is not the protocol's: {error}")
            self.end(fault)
            raise fault from None
        self._given = events[-1].seq
        self._events_given += len(events)
        if self._is_paused and len(self._events) <= EVENTS_KEPT_MAX // 2:
            self._is_paused = False
            if self.is_ready:
                self._put_subscribe()
        return events

    def take(self, seq: int) -> None:
        """Events up to ``seq`` are done with; the daemon is told soon."""
        self._taken = max(self._taken, seq)

    @property
    def _must_take(self) -> bool:
        # Not before ``subscribed``: it may say that the log is another, and has no such seq.
        is_known = self.is_subscribed or not self._subscription
        return self.is_ready and is_known and self._taken > self._taken_sent

    def _put_subscribe(self) -> None:
        """Asks for what is wanted now: events from the position on, or none."""
        assert self._lines is not None, "subscribed without a connection"
        line: JsonObject = {"type": "subscribe"}
        is_idle = self._is_paused or self._is_from_latest
        if is_idle:
            line |= {"after": SEQ_MAX, "kinds": []}
        else:
            line |= {} if self._position is None else {"after": self._position}
            line |= {"kinds": list(self._kinds)} if self._kinds else {}
        heed = partial(self._heed_subscribed, self._subscription, is_idle)
        self._lines.ask(ask_one(line, heed))

    def _keep_events(self) -> None:
        """Moves what came to what is kept, each event once."""
        assert self._lines is not None, "events without a connection"
        came = self._lines.events
        if self._subscription and not self._is_fresh:
            for event in came:
                seq = event.get("seq", 0)
                if self._position is None or seq > self._position:
                    self._events.append(event)
                    self._position = seq
        came.clear()
        if len(self._events) >= EVENTS_KEPT_MAX and not self._is_paused and self.is_ready:
            self._is_paused = True
            self._put_subscribe()

    # -- what the answers to our own requests mean ----------------------------------------------

    def _heed_welcome(self, asked: Asked) -> None:
        (answer,) = asked.answers
        if answer["type"] == "error":
            raise ProtocolError(str(answer.get("code")), str(answer.get("reason")))
        self.is_ready = True
        self._connections += 1
        self._taken_sent = 0
        self._is_restored_told = False
        self.is_subscribed = self._is_paused
        if self._subscription and not self._is_paused:
            self._put_subscribe()
        assert self._lines is not None, "welcome came over a connection"
        for waiting in list(self._unanswered):
            self._repeated += len(waiting.lines) - len(waiting.answers) if waiting.was_sent else 0
            self._lines.ask(waiting)

    def _heed_subscribed(self, subscription: int, is_idle: bool, asked: Asked) -> None:
        if asked.fault is not None or self._lines is None:
            return
        bounds = _read_bounds(asked.only_result())
        if subscription != self._subscription:
            return
        if self._is_from_latest:
            self._is_from_latest = False
            self._position = bounds.latest
            self._put_subscribe()
            return
        self.is_subscribed = True
        if self._is_fresh:
            self._lines.events.clear()  # of the subscription before
            self._is_fresh = False
        self._keep_events()
        if not is_idle:
            self._heed_bounds(bounds.after, bounds.oldest, bounds.latest, bounds.gap)

    def _heed_bounds(self, after: int, oldest: int, latest: int, gap: bool) -> None:
        """Which events there are, seen from the position."""
        position = after if self._position is None else self._position
        is_other_log = latest < position
        is_restored = gap and oldest <= position + 1  # what is gone comes after some that are kept
        if is_other_log or (gap and not (is_restored and self._is_restored_told)):
            oldest = oldest if is_other_log else max(oldest, position + 1)
            self._events.append(EventsLost(position, oldest, latest))
            position = oldest - 1
            self._is_restored_told = is_restored
        self._position = position
        if is_other_log:
            self._taken = 0
            self._put_subscribe()

    def _heed_fault(self, error: ProtocolError) -> None:
        if error.code in PASSING:
            self.lose(str(error))
        else:
            self.end(error)


class _Bounds(msgspec.Struct, frozen=True):
    """Of ``subscribed``: from where on, and which events there are."""

    after: int
    oldest: int
    latest: int
    gap: bool


def _read_bounds(answer: JsonObject) -> _Bounds:
    try:
        return msgspec.convert(answer, _Bounds)
    except msgspec.ValidationError as error:
        raise ProtocolError("bad_json", f"'subscribed' is not the protocol's: {error}") from None


def _is_lost(asked: Asked) -> bool:
    return asked.was_sent and asked.verb not in REPEATED
