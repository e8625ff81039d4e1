"""Why a number goes where it goes: every offer, and why it won or lost.

The same judges as a submit's (``intake``, ``placing``, ``choice``), asked one offer at a time, so
that what an operator is told is what a message would meet. Nothing is stored or sent.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from msgspec import UNSET

from smppd.api.extras import read_extras
from smppd.api.fields import Submit
from smppd.api.intake import Intake
from smppd.api.placing import plan_content
from smppd.api.requests import Explain
from smppd.api.views import ExplainedView, OfferView
from smppd.config import AppConfig
from smppd.routing.choice import Judged, Wish, judge_offers
from smppd.routing.msisdn import describe_number
from smppd.routing.offers import Offer
from smppd.routing.table import Considered
from smppd.store.changes import Extras, NewMessage, Rejection
from smppd.text.segment import PLAIN_FORM, Plan
from smppd.traffic.roster import CarrierState

EXAMPLE_TEXT = "."
"""What is explained where no text was given: one segment anywhere."""

EXAMPLE_SENDER = "smppd"
"""Who it is from where neither the question nor the app says: a route does not go by senders."""

_OUT = {
    "not_pinned": "'carrier' does not name it",
    "no_tlvs": "it speaks SMPP 3.3, which has no TLVs",
    "over_max_cost": "dearer than 'max_cost'",
}


def explain(
    intake: Intake,
    asked: Explain,
    app: AppConfig,
    carriers: Mapping[str, CarrierState],
    now_ms: int,
) -> ExplainedView:
    """What would become of a submit like ``asked`` from ``app`` at ``now_ms``."""
    content = _content_of(asked, app)
    verdict = intake.judge(content, app, now_ms)
    extras = read_extras(content, now_ms)
    digits = intake.numbers.judge(asked.to, app.default_region, app.strict_numbers)
    if not isinstance(digits, str) or isinstance(extras, str):
        return _explain_nothing(intake, asked.to, verdict)
    match = intake.table.match(digits)
    offers = _view_offers(intake, match.considered, content, extras, carriers)
    facts = describe_number(digits)
    plan = plan_content(content, extras, PLAIN_FORM)
    blocked = verdict if isinstance(verdict, Rejection) else None
    chosen = next((offer.carrier for offer in offers if offer.verdict == "chosen"), None)
    return ExplainedView(
        to="+" + digits,
        region=facts.region,
        number_type=facts.kind,
        prefix=match.prefix,
        encoding=_encoding_of(verdict, plan),
        segments=_segments_of(verdict, plan),
        currency=intake.table.currency,
        chosen=None if blocked is not None else chosen,
        offers=offers,
        blocked_by=None if blocked is None else blocked.code,
        reason=None if blocked is None else blocked.reason,
    )


def _content_of(asked: Explain, app: AppConfig) -> Submit:
    sender = asked.sender
    if sender is UNSET and app.default_sender is None:
        sender = EXAMPLE_SENDER
    return Submit(
        ref="explain",
        to=asked.to,
        sender=sender,
        text=EXAMPLE_TEXT if asked.text is UNSET else asked.text,
        message_class=asked.message_class,
        carrier=asked.carrier,
        max_cost=asked.max_cost,
    )


def _explain_nothing(intake: Intake, to: str, verdict: NewMessage | Rejection) -> ExplainedView:
    """What cannot be read has no offers; the reason says what to write."""
    assert isinstance(verdict, Rejection), "what cannot be read was accepted"
    return ExplainedView(
        to, None, None, None, "", 0, intake.table.currency, None, [], verdict.code, verdict.reason
    )


def _view_offers(
    intake: Intake,
    considered: list[Considered],
    content: Submit,
    extras: Extras,
    carriers: Mapping[str, CarrierState],
) -> list[OfferView]:
    views: list[OfferView] = []
    has_chosen = False
    for one in considered:
        view = _judge_one(intake, one, content, extras, carriers)
        if view.verdict == "next" and view.healthy and not has_chosen:
            has_chosen = True
            view = msgspec.structs.replace(
                view, verdict="chosen", reason="the cheapest that is healthy"
            )
        elif view.verdict == "next" and view.healthy:
            view = msgspec.structs.replace(view, reason="tried if those before it will not do")
        views.append(view)
    return views


def _judge_one(
    intake: Intake,
    one: Considered,
    content: Submit,
    extras: Extras,
    carriers: Mapping[str, CarrierState],
) -> OfferView:
    state = carriers.get(one.carrier)
    healthy = state is not None and state.is_healthy()

    def view(verdict: str, reason: str, judged: Judged | None = None) -> OfferView:
        segments = None if judged is None else judged.segments
        total = None if judged is None else judged.total
        return OfferView(
            one.carrier, one.prefix, one.cost, segments, total, healthy, verdict, reason
        )

    if one.cost is None:
        return view("out", one.reason)
    plan = plan_content(content, extras, intake.forms.get(one.carrier, PLAIN_FORM))
    if not isinstance(plan, Plan):
        return view("out", plan.reason)
    wish = Wish(extras.carriers, extras.max_cost, bool(extras.tlvs))
    offer = Offer(one.carrier, one.cost)
    (judged,) = judge_offers([offer], wish, lambda _: plan.segments, intake.has_tlvs)
    if judged.out:
        return view("out", _OUT[judged.out], judged)
    return view("next", "" if state is None else state.explain_health(), judged)


def _encoding_of(verdict: NewMessage | Rejection, plan: object) -> str:
    if isinstance(verdict, NewMessage):
        return verdict.encoding
    return plan.encoding if isinstance(plan, Plan) else ""


def _segments_of(verdict: NewMessage | Rejection, plan: object) -> int:
    if isinstance(verdict, NewMessage):
        return verdict.units or verdict.segments
    return plan.segments if isinstance(plan, Plan) else 0
