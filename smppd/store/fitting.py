"""How a kept message fits a carrier's form: planned anew for whoever takes it.

A message is planned for the first carrier it may go to; another one may want long messages told
in another way, or read data_coding 0 otherwise, and then it takes other submit_sm's.
"""

from __future__ import annotations

from smppd.store.records import Message, Segment
from smppd.text import segment
from smppd.text.segment import PLAIN_FORM, Form, NotEncodable, Plan, TooLong


def plan_message(message: Message, form: Form) -> Plan | NotEncodable | TooLong:
    """What the message takes in ``form``; exactly what intake would have made of it."""
    extras = message.extras
    if extras is None:
        return segment.plan(message.text, "auto", form)
    if extras.data is not None:
        return segment.plan_data(extras.data, extras.udh, form)
    return segment.plan(message.text, extras.wanted, form.for_flash() if extras.flash else form)


def needs_tlvs(message: Message) -> bool:
    """Whether its submit_sm's carry optional parameters, which SMPP 3.3 has not."""
    if message.extras is not None and message.extras.tlvs:
        return True
    is_sar = message.form is not None and message.form.long_message == "sar"
    return message.units > 0 or (is_sar and len(message.parts) > 1)


def fit_message(message: Message, form: Form | None) -> bool:
    """Plans a message of which nothing was taken for ``form`` (None: the plain one); False, and
    nothing changed, where it cannot be written so."""
    if form == message.form:
        return True
    plan = plan_message(message, form or PLAIN_FORM)
    if not isinstance(plan, Plan):
        return False
    message.form = form
    message.encoding = plan.encoding
    message.units = plan.segments if plan.segments != plan.submits else 0
    if plan.submits != len(message.parts):
        # Only a restored store has one in doubt that no carrier is known of (``restore``).
        doubted = any(part.doubted for part in message.parts)
        message.parts = tuple(Segment(doubted=doubted) for _ in range(plan.submits))
    return True
