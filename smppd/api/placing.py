"""Where a message may go, and what it takes there: the offers, seen with one submit's wishes.

For the few submits that pin carriers, bound their cost or bring TLVs, and for ``quote``, which
wants to see the reasons. It knows neither apps nor time; ``intake`` asks it, ``routing.choice``
judges the offers one by one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec
from msgspec import UNSET

from smppd.api.fields import Content
from smppd.routing.choice import Judged, Wish, judge_offers
from smppd.routing.table import RouteSet
from smppd.store.changes import Extras, Rejection
from smppd.text import segment
from smppd.text.segment import PLAIN_FORM, Form, NotEncodable, Plan, TooLong


class Place(msgspec.Struct, frozen=True):
    """The ``offers`` a message may go by, in their order and never none; ``plans`` by carrier."""

    offers: list[Judged]
    plans: dict[str, Plan]

    @property
    def first(self) -> str:
        """The carrier of the first of them."""
        return self.offers[0].offer.carrier


def place(
    digits: str,
    route_set: RouteSet | None,
    content: Content,
    extras: Extras,
    forms: Mapping[str, Form],
    has_tlvs: Callable[[str], bool],
) -> Place | Rejection:
    """The offers of ``route_set`` that ``content`` may go by; or why there is none.

    ``forms`` has every configured carrier, ``has_tlvs`` says who takes optional parameters.
    """
    for name in extras.carriers:
        if name not in forms:
            return _unknown_carrier(name, forms)
    if route_set is None:
        plan = plan_content(content, extras, PLAIN_FORM)
        return no_route(digits) if isinstance(plan, Plan) else refuse_plan(plan)
    plans, faults = _plan_offers(route_set, content, extras, forms)
    if not plans:
        return refuse_plan(faults[0])
    wish = Wish(extras.carriers, extras.max_cost, bool(extras.tlvs))
    offers = [offer for offer in route_set.offers if offer.carrier in plans]
    judged = judge_offers(offers, wish, lambda name: plans[name].segments, has_tlvs)
    left = [one for one in judged if not one.out]
    return Place(left, plans) if left else _refuse_offers(digits, judged, wish)


def _plan_offers(
    route_set: RouteSet, content: Content, extras: Extras, forms: Mapping[str, Form]
) -> tuple[dict[str, Plan], list[NotEncodable | TooLong]]:
    """What the message takes with each carrier, or why it does not fit that carrier's form."""
    by_form: dict[Form, Plan | NotEncodable | TooLong] = {}
    plans: dict[str, Plan] = {}
    faults: list[NotEncodable | TooLong] = []
    for offer in route_set.offers:
        form = forms.get(offer.carrier, PLAIN_FORM)
        if (plan := by_form.get(form)) is None:
            plan = by_form[form] = plan_content(content, extras, form)
        if isinstance(plan, Plan):
            plans[offer.carrier] = plan
        else:
            faults.append(plan)
    return plans, faults


def plan_content(content: Content, extras: Extras, form: Form) -> Plan | NotEncodable | TooLong:
    """What the text or the data takes in ``form``."""
    if extras.data is not None:
        return segment.plan_data(extras.data, extras.udh, form)
    assert content.text is not UNSET, "intake lets none pass that has neither"
    return segment.plan(content.text, extras.wanted, form.for_flash() if extras.flash else form)


def refuse_plan(fault: NotEncodable | TooLong) -> Rejection:
    """In the contract's codes."""
    return Rejection("too_long" if isinstance(fault, TooLong) else "not_encodable", fault.reason)


def no_route(digits: str) -> Rejection:
    """The table has no prefix of the number."""
    return Rejection(
        "no_route",
        f"no carrier takes +{digits}; routing.toml needs a [[route]] with a prefix of it",
    )


def _unknown_carrier(name: str, carriers: Mapping[str, Form]) -> Rejection:
    known = ", ".join(sorted(carriers))
    reason = f"there is no carrier {name[:64]!r}; 'carrier' is one or some of {known}"
    return Rejection("unknown_carrier", reason)


def _refuse_offers(digits: str, judged: list[Judged], wish: Wish) -> Rejection:
    """Why not one of the offers is left, by the wish that comes nearest to being met."""
    over = [one for one in judged if one.out == "over_max_cost"]
    if over:
        cheapest = over[0]
        size = "1 segment" if cheapest.segments == 1 else f"{cheapest.segments} segments"
        return Rejection(
            "cost_over_max",
            f"{cheapest.offer.carrier} takes {cheapest.total} for {size}, "
            f"more than 'max_cost' {wish.max_cost}; write at least {cheapest.total}",
        )
    if any(one.out == "no_tlvs" for one in judged):
        reason = f"no carrier that is left for +{digits} takes TLVs (SMPP 3.3); leave 'tlv' out"
        return Rejection("no_route", reason)
    names = ", ".join(one.offer.carrier for one in judged)
    reason = f"'carrier' leaves none for +{digits}, which goes by {names}; name one of these"
    return Rejection("no_route", reason)
