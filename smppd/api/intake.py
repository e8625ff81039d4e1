"""What a submit comes to: a message to be kept, or the reason why there can be none.

Pure: ``now_ms`` is an argument, nothing here waits, reads a disk or knows who asks. Intake only
*proposes*. Duplicates, conflicts and a full backlog are the store's verdicts, in commit order,
so a submit that must be rejected becomes a change too: its ``ref`` is looked up first.

A message is planned for the first carrier it may go to: what that one takes for it is what the
app is told. The plain submit has one way through ``judge``; what pins, bounds and forms make of
the offers is ``placing``'s.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from msgspec import UNSET, Raw, structs

from smppd.api.answers import QuotedAnswer, view_replaced
from smppd.api.extras import NO_EXTRAS, find_end, has_extras, read_extras
from smppd.api.fields import TAG_CHARACTERS_MAX, Content, find_meta_fault
from smppd.api.placing import no_route, place, plan_content
from smppd.config import AppConfig, ClassConfig
from smppd.routing.msisdn import NumberPlan
from smppd.routing.sender import BadSender, read_sender
from smppd.routing.table import RoutingTable
from smppd.store.changes import NewMessage, Rejection
from smppd.text import segment
from smppd.text.segment import PLAIN_FORM, Form, NotEncodable, Plan
from smppd.text.smart import Smart, Smartened, smarten

DRAINING_RETRY_SECONDS: Final = 30
"""What ``draining`` advises: a restart has drained and is back within drain_timeout's default."""


NO_FORMS: Final[Mapping[str, Form]] = {}


def _always(_carrier: str) -> bool:
    return True


class Intake:
    """What every connection's submits are judged by. The attributes may be exchanged at reload.

    ``forms`` has every configured carrier, and how it wants user data; ``has_tlvs`` says whether
    a carrier takes optional parameters, ``healthy_of`` whether it has a bind that works now.
    """

    def __init__(
        self,
        server: str,
        apps: Mapping[str, AppConfig],
        classes: Mapping[str, ClassConfig],
        table: RoutingTable,
        numbers: NumberPlan,
        *,
        forms: Mapping[str, Form] = NO_FORMS,
        has_tlvs: Callable[[str], bool] = _always,
        healthy_of: Callable[[str], bool] = _always,
    ) -> None:
        self.server = server
        self.apps = apps
        self.classes = classes
        self.table = table
        self.numbers = numbers
        self.forms = forms
        self.has_tlvs = has_tlvs
        self.healthy_of = healthy_of
        self.draining = False

    @property
    def forms(self) -> Mapping[str, Form]:
        """By carrier; all that are configured."""
        return self._forms

    @forms.setter
    def forms(self, forms: Mapping[str, Form]) -> None:
        self._forms = forms
        # The store takes None for the plain form, and nearly all are plain.
        self._unusual = {name: form for name, form in forms.items() if form != PLAIN_FORM}

    def judge(self, submit: Content, app: AppConfig, now_ms: int) -> NewMessage | Rejection:
        """The message ``app`` asks for, accepted at ``now_ms``; or why there can be none.

        What no retry can mend comes first, ``draining`` last.
        """
        is_smart = app.smart_encoding if submit.smart_encoding is UNSET else submit.smart_encoding
        if is_smart and submit.data is UNSET:
            return self._judge_smart(submit, app, now_ms)
        to, text, extras = submit.to, submit.text, None
        if is_rich := has_extras(submit):
            read = read_extras(submit, now_ms)
            if isinstance(read, str):
                return Rejection("bad_field", read)
            extras = None if read == NO_EXTRAS else read
        if text is UNSET and extras is not None and extras.data is not None:
            text = ""
        if to is UNSET or text is UNSET:
            return _refuse_missing("to" if to is UNSET else "text")
        if (reason := _find_fault(submit)) is not None:
            return Rejection("bad_field", reason)
        address = submit.sender if submit.sender is not UNSET else app.default_sender
        if address is None:
            return Rejection(
                "invalid_sender",
                "'from' is missing, and the app has no default_sender; write 'from' (a name, a "
                "short code or a number), or default_sender below [apps] in smppd.toml",
            )
        sender = read_sender(address)
        if isinstance(sender, BadSender):
            return Rejection("invalid_sender", sender.reason)
        digits = self.numbers.judge(to, app.default_region, app.strict_numbers)
        if not isinstance(digits, str):
            return Rejection("invalid_destination", digits.reason)
        route_set = self.table.route_set_for(digits)
        form, plan = None, None
        if extras is None:
            if self._unusual and route_set is not None:
                form = self._unusual.get(route_set.offers[0].carrier)
            plan = segment.plan(text, "auto", form or PLAIN_FORM)
        if not isinstance(plan, Plan):  # wishes; or too long for the first carrier, perhaps alone
            wishes = extras or NO_EXTRAS
            found = place(digits, route_set, submit, wishes, self.forms, self.has_tlvs)
            if isinstance(found, Rejection):
                return found
            form, plan = self._unusual.get(found.first), found.plans[found.first]
        if route_set is None:
            return no_route(digits)
        message_class = "transactional" if submit.message_class is UNSET else submit.message_class
        rules = self.classes[message_class]
        expires_at = now_ms + rules.valid_for * 1000
        if is_rich:
            expires_at = find_end(submit, now_ms, rules.valid_for)
            if expires_at <= now_ms:
                return _refuse_expired(submit, expires_at, now_ms)
        if self.draining:
            return Rejection(
                "draining", "smppd is stopping; submit it again soon", DRAINING_RETRY_SECONDS
            )
        return NewMessage(
            digits,
            sender.addr_ton,
            sender.addr_npi,
            sender.addr,
            text,
            message_class,
            plan.encoding,
            plan.submits,
            True if submit.receipt is UNSET else submit.receipt,
            None if submit.tag is UNSET else submit.tag,
            None if submit.meta is UNSET else flatten(submit.meta),
            now_ms,
            expires_at,
            rules.uncertain,
            route_set.key,
            0 if plan.segments == plan.submits else plan.segments,
            extras,
            form,
        )

    def quote(self, quote: Content, app: AppConfig, now_ms: int) -> QuotedAnswer:
        """What ``quote`` would take if it were submitted now, by the first healthy carrier it may
        go to, and what would stand against it. What is not known is None."""
        verdict = self.judge(quote, app, now_ms)
        view = None
        if app.smart_encoding if quote.smart_encoding is UNSET else quote.smart_encoding:
            view = self._view_smart(quote, app, now_ms)
        view = view or self._view_place(quote, app, now_ms)
        if isinstance(verdict, Rejection):
            return structs.replace(view, blocked_by=verdict.code, reason=verdict.reason)
        return view

    def _judge_smart(self, submit: Content, app: AppConfig, now_ms: int) -> NewMessage | Rejection:
        """The verdict on ``submit`` as smart encoding writes it, where that helps."""
        plain = structs.replace(submit, smart_encoding=False)
        if (smart := self._smarten(submit, app)) is None:
            return self.judge(plain, app, now_ms)
        verdict = self.judge(structs.replace(plain, text=smart.text), app, now_ms)
        if isinstance(verdict, Rejection):
            unchanged = self.judge(plain, app, now_ms)  # may be shorter, and cost less
            return verdict if isinstance(unchanged, Rejection) else unchanged
        before = _segments_without(submit, verdict.form)
        after = verdict.units or verdict.segments
        if verdict.encoding != "gsm7" or after > before:
            return self.judge(plain, app, now_ms)
        extras = structs.replace(
            verdict.extras or NO_EXTRAS, smart=Smart(smart.replaced, before - after)
        )
        return structs.replace(verdict, extras=extras)

    def _view_smart(self, quote: Content, app: AppConfig, now_ms: int) -> QuotedAnswer | None:
        """The quote as smart encoding writes it; None where that does not help."""
        if (smart := self._smarten(quote, app)) is None:
            return None
        view = self._view_place(structs.replace(quote, text=smart.text), app, now_ms)
        before = _segments_without(quote, self._unusual.get(view.carrier or ""))
        if view.encoding != "gsm7" or view.segments is None or view.segments > before:
            return None
        return structs.replace(
            view, replaced=view_replaced(smart.replaced), segments_saved=before - view.segments
        )

    def _smarten(self, submit: Content, app: AppConfig) -> Smartened | None:
        """The text as it could go to the first carrier; None: as it is."""
        if submit.text is UNSET:
            return None
        form = PLAIN_FORM
        if submit.to is not UNSET:
            digits = self.numbers.judge(submit.to, app.default_region, app.strict_numbers)
            found = self.table.route_set_for(digits) if isinstance(digits, str) else None
            if found is not None:
                form = self.forms.get(found.offers[0].carrier, PLAIN_FORM)
        return smarten(submit.text, form.languages)

    def _view_place(self, quote: Content, app: AppConfig, now_ms: int) -> QuotedAnswer:
        unknown = QuotedAnswer(self.table.currency)
        extras = read_extras(quote, now_ms)
        if isinstance(extras, str) or (quote.text is UNSET and extras.data is None):
            return unknown
        plan = plan_content(quote, extras, PLAIN_FORM)
        known = unknown
        if isinstance(plan, Plan):
            known = QuotedAnswer(self.table.currency, plan.segments, plan.encoding)
        if quote.to is UNSET:
            return known
        digits = self.numbers.judge(quote.to, app.default_region, app.strict_numbers)
        if not isinstance(digits, str):
            return known
        route_set = self.table.route_set_for(digits)
        found = place(digits, route_set, quote, extras, self.forms, self.has_tlvs)
        if isinstance(found, Rejection):
            return known
        offers = found.offers
        best = next((one for one in offers if self.healthy_of(one.offer.carrier)), offers[0])
        carrier = best.offer.carrier
        encoding = found.plans[carrier].encoding
        return QuotedAnswer(self.table.currency, best.segments, encoding, carrier, best.total)


def _segments_without(submit: Content, form: Form | None) -> int:
    """How many segments the text takes as the app wrote it."""
    assert submit.text is not UNSET, "only a text is smartened"
    form = form or PLAIN_FORM
    plan = segment.plan(submit.text, "auto", form.for_flash() if submit.flash is True else form)
    return 0 if isinstance(plan, NotEncodable) else plan.segments


def flatten(raw: Raw) -> bytes:
    """JSON as sent, but without CR, where a reader with universal newlines would break the line."""
    return bytes(raw).replace(b"\r", b" ")


def _refuse_missing(name: str) -> Rejection:
    remedy = ": write 'text', or 'data' for binary user data" if name == "text" else ""
    return Rejection("bad_field", f"'{name}' is missing{remedy}")


def _refuse_expired(submit: Content, expires_at: int, now_ms: int) -> Rejection:
    return Rejection(
        "expired",
        f"'send_at' {submit.send_at} makes it valid until {expires_at}, and it is {now_ms} now; "
        "write a later 'send_at' or a longer 'valid_for'",
    )


def _find_fault(submit: Content) -> str | None:
    if submit.tag is not UNSET and len(submit.tag) > TAG_CHARACTERS_MAX:
        return f"'tag' has {len(submit.tag)} characters; at most {TAG_CHARACTERS_MAX}"
    if submit.meta is not UNSET:
        return find_meta_fault(submit.meta)
    return None
