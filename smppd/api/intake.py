"""What a submit comes to: a message to be kept, or the reason why there can be none.

Pure: ``now_ms`` is an argument, nothing here waits, reads a disk or knows who asks. Intake only
*proposes*. Duplicates, conflicts and a full backlog are the store's verdicts, in commit order,
so a submit that must be rejected becomes a change too: its ``ref`` is looked up first.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from msgspec import UNSET, Raw

from smppd.api.fields import (
    TAG_CHARACTERS_MAX,
    Submit,
    find_meta_fault,
)
from smppd.config import AppConfig, ClassConfig
from smppd.routing.msisdn import NumberPlan
from smppd.routing.sender import BadSender, read_sender
from smppd.routing.table import RoutingTable
from smppd.store.changes import (
    NewMessage,
    Rejection,
)
from smppd.text import segment

DRAINING_RETRY_SECONDS: Final = 30
"""What ``draining`` advises: a restart has drained and is back within drain_timeout's default."""


class Intake:
    """What every connection's submits are judged by. The attributes may be exchanged at reload."""

    def __init__(
        self,
        server: str,
        apps: Mapping[str, AppConfig],
        classes: Mapping[str, ClassConfig],
        table: RoutingTable,
        numbers: NumberPlan,
    ) -> None:
        self.server = server
        self.apps = apps
        self.classes = classes
        self.table = table
        self.numbers = numbers
        self.draining = False

    def judge(self, submit: Submit, app: AppConfig, now_ms: int) -> NewMessage | Rejection:
        """The message ``app`` asks for, accepted at ``now_ms``; or why there can be none.

        What no retry can mend comes first, ``draining`` last.
        """
        to, text = submit.to, submit.text
        if to is UNSET or text is UNSET:
            return Rejection("bad_field", f"'{'to' if to is UNSET else 'text'}' is missing")
        if (reason := _find_extra_fault(submit)) is not None:
            return Rejection("bad_field", reason)
        address = submit.sender if submit.sender is not UNSET else app.default_sender
        if address is None:
            return Rejection(
                "invalid_sender", "'from' is missing, and the app has no default_sender"
            )
        sender = read_sender(address)
        if isinstance(sender, BadSender):
            return Rejection("invalid_sender", sender.reason)
        digits = self.numbers.judge(to, app.default_region, app.strict_numbers)
        if not isinstance(digits, str):
            return Rejection("invalid_destination", digits.reason)
        encoding = submit.encoding if submit.encoding is not UNSET else "auto"
        plan = segment.plan(text, encoding)
        if not isinstance(plan, segment.Plan):
            code = "too_long" if isinstance(plan, segment.TooLong) else "not_encodable"
            return Rejection(code, plan.reason)
        route_set = self.table.route_set_for(digits)
        if route_set is None:
            return Rejection(
                "no_route",
                f"no carrier takes +{digits}; routing.toml needs a [[route]] with a prefix of it",
            )
        if self.draining:
            return Rejection(
                "draining", "smppd is stopping; submit it again soon", DRAINING_RETRY_SECONDS
            )
        message_class = "transactional" if submit.message_class is UNSET else submit.message_class
        rules = self.classes[message_class]
        return NewMessage(
            digits,
            sender.addr_ton,
            sender.addr_npi,
            sender.addr,
            text,
            message_class,
            plan.encoding,
            plan.segments,
            True if submit.receipt is UNSET else submit.receipt,
            None if submit.tag is UNSET else submit.tag,
            None if submit.meta is UNSET else flatten(submit.meta),
            now_ms,
            now_ms + rules.valid_for * 1000,
            rules.uncertain,
            route_set.key,
        )


def flatten(raw: Raw) -> bytes:
    """JSON as sent, but without CR, where a reader with universal newlines would break the line."""
    return bytes(raw).replace(b"\r", b" ")


def _find_extra_fault(submit: Submit) -> str | None:
    if submit.tag is not UNSET and len(submit.tag) > TAG_CHARACTERS_MAX:
        return f"'tag' has {len(submit.tag)} characters; at most {TAG_CHARACTERS_MAX}"
    if submit.meta is not UNSET:
        return find_meta_fault(submit.meta)
    return None
