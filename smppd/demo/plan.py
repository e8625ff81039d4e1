"""What the demo sends, over which carriers, and what must become of each message.

Everything that could go either way is arranged so that it cannot: the carrier that refuses by
chance is given single segments only, and each of its numbers has a second carrier; the one that
refuses all is alone in one country. So every outcome is known before anything runs.
"""

from __future__ import annotations

from typing import Final

import msgspec

from smppd.client import JsonObject

CARRIERS: Final = {
    "alpha": "binds = 2\nwindow = 20\n",
    "beta": "window = 20\n",
    "gamma": "window = 10\n[breaker]\nshare = 0\n",
}
"""Each carrier's own keys: alpha takes everything, beta refuses some, gamma refuses all. Its
breaker is off, or what it alone could take would wait for it to be well again."""

REFUSE_RATES: Final = {"beta": 0.3, "gamma": 1.0}
"""The share of submit_sm a carrier answers with an error."""

ROUTES: Final = (
    ("86", "beta", "0.0195"),
    ("86", "alpha", "0.0210"),
    ("44", "beta", "0.0380"),
    ("44", "alpha", "0.0400"),
    ("52", "gamma", "0.0400"),
    ("52", "alpha", "0.0440"),
    ("49", "alpha", "0.0690"),
    ("1", "alpha", "0.0079"),
    ("34", "gamma", "0.0650"),
)
"""(prefix, carrier, cost): no default route, and Spain is gamma's alone."""

FOUR_SEGMENTS: Final = (
    "Dear customer, your train leaves at 09:12 from platform 7 and not at 08:55 from platform 3. "
    "Your seats stay the same. We are sorry for the change and for its short notice. " * 3
)
"""Between 459 and 612 characters of GSM-7."""


class Planned(msgspec.Struct, frozen=True):
    """One submit, and its outcome as ``Outcome.shown`` will put it; ``kind`` is for people."""

    kind: str
    submit: JsonObject
    expected: str
    segments: int = 1


def plan_messages() -> list[Planned]:
    """Some hundred messages in the order they are sent."""
    return _plan_traffic() + _plan_oddities()


def _plan_traffic() -> list[Planned]:
    return [
        *_repeat(160, "GSM-7", "+861380013{:04}", "Your parcel {} has shipped"),
        *_repeat(60, "Chinese", "+861391234{:04}", "您的订单{}已发货，请注意查收。"),
        *_repeat(40, "emoji", "+44740012{:04}", "Table {} is booked 🎉🥂 See you!"),
        *_repeat(40, "GSM-7 extension", "+49151234{:05}", "Invoice {}: 12,50 € [paid]"),
        *_repeat(30, "four segments", "+49151235{:05}", FOUR_SEGMENTS, segments=4),
        *_repeat(20, "two segments of emoji", "+1202555{:04}", "🚆 {} " + "🎈" * 40, segments=2),
        *_repeat(20, "failover, one-time code", "+5255123{:05}", "Your code is 48{}1", lane="otp"),
        *_repeat(
            5,
            "refused by every carrier",
            "+3461234{:04}",
            "Hola {}",
            expected="failed rejected_by_carrier",
        ),
    ]


def _repeat(
    count: int,
    kind: str,
    to: str,
    text: str,
    *,
    segments: int = 1,
    lane: str = "transactional",
    expected: str = "delivered",
) -> list[Planned]:
    """``count`` messages of one kind; ``{}`` in ``to`` and ``text`` is their number."""
    return [
        Planned(
            kind,
            {
                "ref": f"{kind.replace(' ', '-')}-{number}",
                "to": to.format(number),
                "from": "ACME",
                "text": text.format(number),
                "class": lane,
            },
            expected,
            segments,
        )
        for number in range(count)
    ]


def _plan_oddities() -> list[Planned]:
    """One of each thing that an app may get wrong, or ask for."""
    first = {"ref": "twice", "to": "+4915123456789", "from": "ACME", "text": "Only once"}
    return [
        Planned("no receipt wanted", {**first, "ref": "quiet", "receipt": False}, "sent"),
        Planned("a ref", first, "delivered"),
        Planned("the same ref once more", first, "duplicate"),
        Planned("the ref of another text", {**first, "text": "Twice"}, "rejected ref_conflict", 0),
        _reject("bad number", "invalid_destination", to="12345"),
        _reject("number without a route", "no_route", to="+81 90 1234 5678"),
        _reject("sender too long", "invalid_sender", sender="ACME Railways Ltd"),
        _reject("emoji as GSM-7", "not_encodable", text="🎉", encoding="gsm7"),
        _reject("over 255 segments", "too_long", text="long " * 8_000),
        _reject("slip in a field", "bad_field", clas="otp"),
    ]


def _reject(kind: str, code: str, sender: str = "ACME", **fields: str | int) -> Planned:
    """A submit to Germany that is right but for ``fields``, and is rejected with ``code``."""
    submit = {"ref": kind, "to": "+49 151 23456789", "from": sender, "text": "Hi"}
    return Planned(kind, submit | fields, f"rejected {code}", 0)
