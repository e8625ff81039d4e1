"""What became of the demo's messages: their stories, the table per carrier, and the surprises."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from math import ceil
from statistics import median
from typing import Final

import msgspec

from smppd.client import JsonObject
from smppd.demo.plan import Planned
from smppd.terminal import count_of, print_table

NO_CARRIER: Final = "(none)"
"""The row of messages that no carrier took."""

CARRIERS_TITLE: Final = "What the carriers did (times: median / 99th percentile)"

COLUMNS: Final = (
    "carrier",
    "accepted",
    "refused",
    "sent",
    "delivered",
    "failed",
    "ms to sent",
    "to delivered",
    "cost USD",
)


class Story(msgspec.Struct):
    """One accepted message's events, in order."""

    events: list[JsonObject] = msgspec.field(default_factory=list)

    def add(self, event: JsonObject) -> bool:
        """Whether this was the first event that ends the story."""
        was_told = self.is_told
        self.events.append(event)
        return self.is_told and not was_told

    @property
    def is_told(self) -> bool:
        """Whether an event was the last, by docs/protocol.md, *Events*."""
        return any(
            event["event"] not in ("sent", "uncertain")
            or (event["event"] == "sent" and not event["receipt"])
            for event in self.events
        )

    def milliseconds_to(self, kind: str) -> int | None:
        """From ``accepted`` to the first event of ``kind``; None: there was none."""
        moments = (e["at"] - e["accepted_at"] for e in self.events if e["event"] == kind)
        return next(moments, None)


class Outcome(msgspec.Struct):
    """One submit's answer, and its message's story where it was accepted."""

    answer: JsonObject
    story: Story = msgspec.field(default_factory=Story)

    @property
    def id(self) -> str:
        """The accepted message's id."""
        found: str = self.answer["id"]
        return found

    @property
    def shown(self) -> str:
        """``rejected no_route``, ``duplicate``, ``delivered``, ``failed CODE`` ..."""
        if self.answer["type"] != "accepted":
            return f"{self.answer['type']} {self.answer['code']}"
        if self.answer.get("duplicate"):
            return "duplicate"
        last = self.story.events[-1]
        flag = " maybe_duplicate" if last.get("maybe_duplicate") else ""
        return f"{last['event']} {last['code']}{flag}" if "code" in last else last["event"] + flag

    @property
    def carrier(self) -> str:
        """Who took it in the end."""
        found: str = self.story.events[-1].get("carrier", NO_CARRIER)
        return found


def find_surprises(plan: list[Planned], outcomes: list[Outcome]) -> list[str]:
    """Every outcome that is not the planned one, in words."""
    found = []
    for planned, outcome in zip(plan, outcomes, strict=True):
        ref = planned.submit["ref"]
        if outcome.shown != planned.expected:
            found.append(f"{ref}: {outcome.shown}, planned was {planned.expected}")
        if outcome.answer.get("segments", 0) != planned.segments:
            found.append(
                f"{ref}: {count_of(outcome.answer.get('segments', 0), 'segment')}, "
                f"planned were {planned.segments}"
            )
    return found


def find_differences(outcomes: list[Outcome], counts: dict[str, JsonObject]) -> list[str]:
    """Where the segments the app was told of are not those the carriers took."""
    told: Counter[str] = Counter()
    for outcome in outcomes:
        if outcome.story.events:
            last = outcome.story.events[-1]
            taken: int = last.get("segments_taken") or last.get("segments", 0)
            told[outcome.carrier] += taken
    return [
        f"{name}: took {seen['accepted']} segments, the app was told of {told[name]}"
        for name, seen in counts.items()
        if seen["accepted"] != told[name]
    ]


def show_report(
    plan: list[Planned], outcomes: list[Outcome], counts: dict[str, JsonObject]
) -> None:
    """Three tables: per kind of message, per carrier, and what was rejected, with its reason."""
    print_table(
        "What was sent", ("messages", "kind", "segments", "outcome"), _kind_rows(plan, outcomes)
    )
    told = [outcome for outcome in outcomes if outcome.story.events]
    print_table(CARRIERS_TITLE, COLUMNS, _carrier_rows(told, counts))
    rejected = [
        [planned.kind, outcome.answer["code"], outcome.answer["reason"]]
        for planned, outcome in zip(plan, outcomes, strict=True)
        if outcome.answer["type"] != "accepted"
    ]
    print_table("What was rejected", ("kind", "code", "reason"), rejected)


def _kind_rows(plan: list[Planned], outcomes: list[Outcome]) -> list[list[str]]:
    counts = Counter(
        (planned.kind, planned.segments, outcome.shown)
        for planned, outcome in zip(plan, outcomes, strict=True)
    )
    return [[str(n), kind, str(parts or "-"), shown] for (kind, parts, shown), n in counts.items()]


def _carrier_rows(told: list[Outcome], counts: dict[str, JsonObject]) -> list[list[str]]:
    """A row a carrier, in order of their names."""
    rows = []
    for name in sorted({outcome.carrier for outcome in told} | set(counts)):
        own = [outcome for outcome in told if outcome.carrier == name]
        sent = _milliseconds(own, "sent")
        delivered = _milliseconds(own, "delivered")
        failed = sum(outcome.shown.startswith("failed") for outcome in own)
        cost = sum((Decimal(o.story.events[-1].get("cost", "0")) for o in own), Decimal(0))
        seen = counts.get(name)
        refused = str(seen["refused"]) if seen else "-"
        ends = map(str, (len(sent), len(delivered), failed))
        times = [_show_times(sent), _show_times(delivered)]
        rows.append([name, str(len(own)), refused, *ends, *times, str(cost)])
    return rows


def _milliseconds(outcomes: list[Outcome], kind: str) -> list[int]:
    found = (outcome.story.milliseconds_to(kind) for outcome in outcomes)
    return [milliseconds for milliseconds in found if milliseconds is not None]


def _show_times(milliseconds: list[int]) -> str:
    """Median and 99th percentile (nearest rank)."""
    if not milliseconds:
        return "-"
    high = sorted(milliseconds)[ceil(len(milliseconds) * 0.99) - 1]
    return f"{median(milliseconds):.0f} / {high}"
