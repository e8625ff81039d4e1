"""When a carrier fails what it is given, new messages go to the next offer: pure, one a carrier.

It is told what became of segments and answers whether a new message may begin. It holds no clock
and knows neither messages nor routes; what is closed, open and half-open is Nygard's ("Release
It!", 2007, the circuit breaker).

closed
    All may begin. Errors and successes of the last ``window`` seconds are counted, and where these
    are fewer than ``minimum``, older ones too, up to WINDOWS_MAX windows: who never answers a small
    window has few outcomes a minute. Once ``minimum`` are there and the share of errors is
    ``share`` or more, it opens.
open
    None may begin, until the cool-down is over. What was begun goes on, and what becomes of it
    changes nothing: it was given before.
half-open
    One message may begin, the probe. Answered, and be it with a refusal of that message, it closes
    the breaker; an error opens it for twice the time, up to COOL_DOWN_MAX. A probe of which nothing
    is heard for a cool-down is forgotten, and the next one may begin.

An error is what another carrier might do better and more of the same will not: a passing fault, a
refusal that is not about the message (``count_errors``), a segment never answered. Throttling is
none, the pace sees to that (``smpp/throughput.py``).
"""

from __future__ import annotations

from collections import deque
from typing import Final, Literal

import msgspec

from smppd.smpp import constants
from smppd.store.changes import Answered, Change, Doubted, Verdict

BreakerState = Literal["closed", "open", "half_open"]

SLICES: Final = 10
"""The window slides by a tenth of itself."""

WINDOWS_MAX: Final = 10
"""How far it looks back for enough outcomes: at most a hundred pairs of counts."""

COOL_DOWN_MAX: Final = 600.0
"""Seconds; a cool-down doubles up to this, so that a carrier that is well again is found within
ten minutes, or within its own cool-down where that is longer."""

REPEAT_SECONDS: Final = 5.0
"""The answers to what was on the wire when a carrier asked for a pause come within so long."""

CHANGES_MAX: Final = 32
"""Changes of state kept until somebody logs them, once a second: it takes a cool-down and an
answer to make two."""

ERRORS: Final = frozenset({Verdict.RETRY, Verdict.REROUTE})
"""Verdicts that speak against the carrier; a new bind and a pause are asked for as RETRY."""

ABOUT_ADDRESSES: Final = frozenset(
    {
        constants.ESME_RINVSRCADR,
        constants.ESME_RINVDSTADR,
        constants.ESME_RINVSRCTON,
        constants.ESME_RINVSRCNPI,
        constants.ESME_RINVDSTTON,
        constants.ESME_RINVDSTNPI,
    }
)
"""Refusals that another carrier may not share and that are no sign of illness: a list of bad
numbers must not take a carrier out of service."""


def count_errors(changes: list[Change]) -> int:
    """How many segments among the changes of one read failed in a way that is the carrier's."""
    errors = 0
    for change in changes:
        if isinstance(change, Answered):
            is_error = change.verdict in ERRORS and change.command_status not in ABOUT_ADDRESSES
            errors += is_error
        elif isinstance(change, Doubted):
            errors += len(change.tags)
    return errors


class BreakerChange(msgspec.Struct, frozen=True):
    """One change of state; ``seconds`` is how long it is open, 0 where it is not."""

    state: BreakerState
    reason: str = ""
    seconds: float = 0.0


class BreakerStatistics(msgspec.Struct, frozen=True):
    """``outcomes`` and ``errors`` of the window, ``opened`` since the start; ``reason`` is why it
    is open, and ``until`` (monotonic seconds) until when."""

    state: BreakerState
    outcomes: int
    errors: int
    opened: int
    reason: str
    until: float


class _Slice(msgspec.Struct):
    """What came in one tenth of the window."""

    number: int
    outcomes: int
    errors: int


class Breaker:
    """See the module. ``now`` is monotonic seconds; a ``share`` of 0 never opens by itself.

    ``is_quiet``: closed, and the grant step has heeded that; ``lets_new``: a message may begin;
    ``awaits_probe``: but one. Attributes, because the grant step reads them at every commit.
    """

    def __init__(
        self,
        share: float = 0.0,
        window: float = 60.0,
        minimum: int = 20,
        cool_down: float = 30.0,
    ) -> None:
        self._slices: deque[_Slice] = deque()
        self._outcomes = 0
        self._width = 0.0
        self.set_rules(share, window, minimum, cool_down)
        self._wait = cool_down
        self._changes: deque[BreakerChange] = deque(maxlen=CHANGES_MAX)
        self._opened = 0
        self._is_changed = False
        self.state: BreakerState = "closed"
        self.is_quiet = True
        self.lets_new = True
        self.awaits_probe = False
        self.reason = ""
        self.until = 0.0

    def set_rules(self, share: float, window: float, minimum: int, cool_down: float) -> None:
        """A reload's rules, from the next outcome on; one that is open stays so until its time.
        What another window has counted cannot be told by this one's slices."""
        self._share = share
        if self._width != window / SLICES:
            self._width = window / SLICES
            self._clear()
        self._minimum = minimum
        self._cool_down = cool_down

    def note(self, successes: int, errors: int, now: float, neutral: int = 0) -> None:
        """What became of segments: ``neutral`` are answers that count for nothing but that there
        was one."""
        if self.state == "closed":
            self._count(successes + errors, errors, now)
            if errors and self._share:
                self._judge(now)
        elif self.state == "half_open" and not self.lets_new:
            if errors:
                self._wait = min(2 * self._wait, max(COOL_DOWN_MAX, self._cool_down))
                self._open(now, self._wait, "the probe failed")
            elif successes or neutral:
                self._close()

    def trip(self, now: float, seconds: float, reason: str) -> None:
        """Opens it whatever was counted: nothing new for so long, and then a probe. The answers to
        one window say the same many times: what is longer by less than REPEAT_SECONDS is no other
        pause."""
        if self.state == "open" and now + seconds <= self.until + REPEAT_SECONDS:
            return
        self._wait = self._cool_down
        self._open(now, seconds, reason)

    def hurry(self, now: float) -> None:
        """The operator says that it was put right: one message is tried now."""
        self.until = min(self.until, now)

    def look(self, now: float) -> bool:
        """Heeds the time; whether anything is different from the last look."""
        if self.state == "open" and now >= self.until:
            self._enter("half_open")
            self._set_probing(is_out=False)
        elif self.state == "half_open" and not self.lets_new and now >= self.until:
            self._set_probing(is_out=False)
        is_changed, self._is_changed = self._is_changed, False
        self.is_quiet = self.state == "closed"
        return is_changed

    def begin_probe(self, now: float) -> None:
        """The one message of a half-open breaker was granted."""
        if self.state == "half_open":
            self.until = now + self._cool_down
            self._set_probing(is_out=True)

    def take_changes(self) -> list[BreakerChange]:
        """The changes since the last call, oldest first."""
        changes = list(self._changes)
        self._changes.clear()
        return changes

    def explain(self) -> str:
        """Why it lets nothing new, for a person; "" where it does."""
        if self.lets_new:
            return ""
        if self.state == "half_open":
            return "its breaker is half-open, and the probe is not answered yet"
        return f"its breaker is open: {self.reason}"

    def statistics(self, now: float) -> BreakerStatistics:
        """The state, and what the window holds."""
        self._forget(now)
        errors = sum(one.errors for one in self._slices)
        return BreakerStatistics(
            self.state, self._outcomes, errors, self._opened, self.reason, self.until
        )

    def _count(self, outcomes: int, errors: int, now: float) -> None:
        number = int(now / self._width)
        slices = self._slices
        self._outcomes += outcomes
        if slices and slices[-1].number == number:
            slices[-1].outcomes += outcomes
            slices[-1].errors += errors
        else:
            slices.append(_Slice(number, outcomes, errors))
            self._forget(now)

    def _judge(self, now: float) -> None:
        """Opens it where the window speaks against the carrier."""
        outcomes = self._outcomes
        errors = sum(one.errors for one in self._slices)
        if outcomes < self._minimum or errors < self._share * outcomes:
            return
        self._wait = self._cool_down
        self._open(now, self._wait, f"{errors} of the last {outcomes} segments failed")

    def _forget(self, now: float) -> None:
        slices, number = self._slices, int(now / self._width)
        while slices and slices[0].number <= number - SLICES:
            is_spare = self._outcomes - slices[0].outcomes >= self._minimum
            if not is_spare and slices[0].number > number - WINDOWS_MAX * SLICES:
                break
            self._outcomes -= slices.popleft().outcomes

    def _clear(self) -> None:
        self._slices.clear()
        self._outcomes = 0

    def _open(self, now: float, seconds: float, reason: str) -> None:
        self.until = now + seconds
        self.reason = reason
        self._opened += 1
        self._clear()
        self._enter("open", reason, seconds)
        self.lets_new = self.awaits_probe = False

    def _close(self) -> None:
        self.reason = ""
        self._clear()
        self._wait = self._cool_down
        self._enter("closed")
        self.lets_new, self.awaits_probe = True, False

    def _enter(self, state: BreakerState, reason: str = "", seconds: float = 0.0) -> None:
        self.state = state
        self._changes.append(BreakerChange(state, reason, seconds))
        self._is_changed = True
        self.is_quiet = False

    def _set_probing(self, *, is_out: bool) -> None:
        self.lets_new = self.awaits_probe = not is_out
        self._is_changed = True
        self.is_quiet = False
