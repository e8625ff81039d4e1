"""Judging one submit: the message it becomes, or the contract's code for why it becomes none."""

from __future__ import annotations

import msgspec
import pytest
from msgspec import Raw

from smppd.api.fields import Submit
from smppd.api.intake import DRAINING_RETRY_SECONDS, Intake, flatten
from smppd.config import AppConfig
from smppd.routing.table import Route, RoutingTable
from smppd.store.changes import NewMessage, Rejection
from tests.api.house import make_intake

NOW = 1_795_292_101_002
SUBMIT = Submit(ref="o-1", to="+86 138-0013.8000", text="hi", sender="ACME")


@pytest.fixture(scope="module")
def intake() -> Intake:
    return make_intake()


def judge(intake: Intake, app: AppConfig | None = None, **fields: object) -> NewMessage | Rejection:
    submit = msgspec.structs.replace(SUBMIT, **fields)
    return intake.judge(submit, app or AppConfig(), NOW)


def refuse(intake: Intake, app: AppConfig | None = None, **fields: object) -> Rejection:
    verdict = judge(intake, app, **fields)
    assert isinstance(verdict, Rejection)
    assert verdict.reason
    return verdict


def accept(intake: Intake, app: AppConfig | None = None, **fields: object) -> NewMessage:
    verdict = judge(intake, app, **fields)
    assert isinstance(verdict, NewMessage)
    return verdict


def test_submit_of_defaults_becomes_a_message(intake: Intake) -> None:
    route_set = intake.table.route_set_for("8613800138000")
    assert route_set is not None
    assert accept(intake) == NewMessage(
        to="8613800138000",
        addr_ton=5,
        addr_npi=0,
        addr="ACME",
        text="hi",
        message_class="transactional",
        encoding="gsm7",
        segments=1,
        receipt=True,
        tag=None,
        meta=None,
        accepted_at=NOW,
        expires_at=NOW + 86_400_000,
        uncertain="resend",
        route_set=route_set.key,
    )


def test_everything_an_app_may_say_reaches_the_message(intake: Intake) -> None:
    message = accept(
        intake,
        message_class="promotional",
        encoding="ucs2",
        receipt=False,
        tag="spring",
        meta=Raw(b'{"k": 1}'),
        text="x" * 71,
    )
    assert (message.message_class, message.uncertain) == ("promotional", "stop")
    assert message.expires_at == NOW + 172_800_000
    assert (message.encoding, message.segments) == ("ucs2", 2)
    assert (message.receipt, message.tag, message.meta) == (False, "spring", b'{"k": 1}')


def test_app_gives_sender_and_region_where_the_submit_has_none(intake: Intake) -> None:
    app = AppConfig(default_sender="12345", default_region="CN")
    message = accept(intake, app, sender=msgspec.UNSET, to="138 0013 8000")
    assert (message.to, message.addr, message.addr_ton) == ("8613800138000", "12345", 3)


def test_lenient_app_may_send_to_a_possible_number(intake: Intake) -> None:
    unassigned = "+8612000000000"
    assert refuse(intake, to=unassigned).code == "invalid_destination"
    assert accept(intake, AppConfig(strict_numbers=False), to=unassigned).to == unassigned[1:]


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"to": msgspec.UNSET}, "bad_field"),
        ({"text": msgspec.UNSET}, "bad_field"),
        ({"tag": "x" * 65}, "bad_field"),
        ({"meta": Raw(b"[]")}, "bad_field"),
        ({"meta": Raw(b'{"k":"' + b"x" * 1024 + b'"}')}, "bad_field"),
        ({"sender": msgspec.UNSET}, "invalid_sender"),
        ({"sender": "a name too long"}, "invalid_sender"),
        ({"sender": ""}, "invalid_sender"),
        ({"to": "12345"}, "invalid_destination"),
        ({"to": ""}, "invalid_destination"),
        ({"to": "+" + "9" * 60_000}, "invalid_destination"),
        ({"text": "注文", "encoding": "gsm7"}, "not_encodable"),
        ({"text": "x" * 40_000}, "too_long"),
        ({"to": "+4915123456789"}, "no_route"),
    ],
)
def test_wrong_submit_is_rejected_with_its_code(
    intake: Intake, fields: dict[str, object], code: str
) -> None:
    submit = msgspec.structs.replace(SUBMIT, **fields)
    verdict = intake.judge(submit, AppConfig(), NOW)
    assert isinstance(verdict, Rejection)
    assert (verdict.code, verdict.retry_after) == (code, None)
    assert len(verdict.reason) < 1000


def test_what_no_retry_can_mend_is_told_before_what_one_can() -> None:
    intake = make_intake()
    intake.draining = True
    assert refuse(intake, tag="x" * 65, sender="!", to="1").code == "bad_field"
    assert refuse(intake, sender="!", to="1").code == "invalid_sender"
    assert refuse(intake, to="+4915123456789").code == "no_route"
    assert refuse(intake).code == "draining"
    assert refuse(intake).retry_after == DRAINING_RETRY_SECONDS


def test_tag_and_meta_of_exactly_their_bounds_are_kept(intake: Intake) -> None:
    meta = b'{"k":"' + b"x" * 1016 + b'"}'
    message = accept(intake, tag="ü" * 64, meta=Raw(meta))
    assert (message.tag, message.meta) == ("ü" * 64, meta)


def test_routing_table_may_be_exchanged() -> None:
    intake = make_intake()
    before = accept(intake).route_set
    intake.table = RoutingTable([Route("", "beta", "0.01")], "USD")
    assert accept(intake).route_set != before


def test_carried_json_holds_no_carriage_return() -> None:
    assert flatten(Raw(b'{"a":\r1,"b":"\\r"}')) == b'{"a": 1,"b":"\\r"}'
