"""Judging one submit: the message it becomes, or the contract's code for why it becomes none."""

from __future__ import annotations

import json

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Raw

from smppd.api.answers import QuotedAnswer
from smppd.api.fields import OddSubmit, Quote, Submit
from smppd.api.intake import DRAINING_RETRY_SECONDS, Intake, flatten
from smppd.api.protocol import AppProtocol
from smppd.config import AppConfig
from smppd.routing.table import Route, RoutingTable
from smppd.store.changes import Extras, NewMessage, Rejection
from smppd.text.segment import PLAIN_FORM, Form
from tests.api.house import make_intake

NOW = 1_795_292_101_002
SUBMIT = Submit(ref="o-1", to="+86 138-0013.8000", text="hi", sender="ACME")

FUZZED = make_intake()


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


# -- what few submits ask for ---------------------------------------------------------------------


@pytest.fixture(scope="module")
def market() -> Intake:
    """Three carriers to +86: ``cheap`` wants 16-bit references, ``old`` takes no TLVs."""
    intake = make_intake()
    routes = [
        Route("86", "dear", "0.0300"),
        Route("86", "cheap", "0.0100"),
        Route("86", "old", "0.0200"),
    ]
    intake.table = RoutingTable(routes, "USD")
    intake.forms = {
        "cheap": Form("udh16"),
        "old": PLAIN_FORM,
        "dear": Form("payload"),
        "idle": PLAIN_FORM,
    }
    intake.has_tlvs = lambda carrier: carrier != "old"
    return intake


def test_plain_submit_is_planned_in_the_form_of_its_first_offer(market: Intake) -> None:
    text = "x" * (152 * 2 + 1)
    message = accept(market, text=text)
    assert (message.segments, message.units, message.form) == (3, 0, Form("udh16"))
    pinned = accept(market, text=text, carrier="old")
    assert (pinned.segments, pinned.units, pinned.form) == (2, 0, None)


def test_plain_text_too_long_for_the_first_carrier_alone_is_planned_for_the_next() -> None:
    intake = make_intake()
    intake.table = RoutingTable([Route("86", "a", "0.01"), Route("86", "b", "0.02")], "USD")
    intake.forms = {"a": Form(default_alphabet="ascii"), "b": PLAIN_FORM}
    text = "é" * 17_300  # 259 segments of UCS-2 where there is no é, 114 in GSM-7
    message = accept(intake, text=text)
    assert (message.segments, message.encoding, message.form) == (114, "gsm7", None)
    assert quote(intake, text=text) == QuotedAnswer("USD", 114, "gsm7", "b", "2.28")
    intake.forms = dict.fromkeys("ab", Form(default_alphabet="ascii"))
    assert refuse(intake, text=text).code == "too_long"


def test_payload_is_one_submit_of_many_segments(market: Intake) -> None:
    message = accept(market, text="x" * 400, carrier=["dear"])
    assert (message.segments, message.units, message.form) == (1, 3, Form("payload"))


def test_pins_bounds_and_tlvs_choose_the_form(market: Intake) -> None:
    text = "x" * 200
    assert accept(market, text=text, carrier=["old", "dear"]).form is None
    assert accept(market, text=text, tlv={"0x1400": "00"}).form == Form("udh16")
    both = accept(market, text=text, carrier=["old", "dear"], tlv={"0x1400": "00"})
    assert both.form == Form("payload")
    assert both.extras == Extras(carriers=("old", "dear"), tlvs={0x1400: b"\0"})


def test_wanted_encoding_is_kept_for_another_carriers_form(market: Intake) -> None:
    assert accept(market).extras is None
    assert accept(market, encoding="auto").extras is None
    assert accept(market, encoding="ucs2").extras == Extras(wanted="ucs2")
    latin = accept(market, encoding="latin1", text="né")
    assert (latin.encoding, latin.extras) == ("latin1", Extras(wanted="latin1"))


def test_flash_is_planned_as_gsm7_whatever_the_carriers_alphabet() -> None:
    intake = make_intake()
    intake.forms = {"alpha": Form(default_alphabet="ascii")}
    assert accept(intake, text="é").encoding == "ucs2"
    assert accept(intake, text="é", flash=True).encoding == "gsm7"


def test_data_needs_no_text(market: Intake) -> None:
    message = accept(market, text=msgspec.UNSET, data="AAEC", udh="AgBA")
    assert (message.text, message.encoding, message.segments) == ("", "binary", 1)
    assert message.extras == Extras(data=b"\0\1\2", udh=b"\2\0\x40", data_coding=4)
    assert accept(market, text=msgspec.UNSET, data="").segments == 1


def test_validity_is_the_submits_own_and_counts_from_send_at(market: Intake) -> None:
    assert accept(market, valid_for=60).expires_at == NOW + 60_000
    assert accept(market, valid_for=60).extras is None
    later = accept(market, send_at=NOW + 5_000, valid_for=60)
    assert (later.expires_at, later.accepted_at) == (NOW + 65_000, NOW)
    assert later.extras == Extras(send_at=NOW + 5_000)
    by_class = accept(market, send_at=NOW + 5_000, message_class="otp")
    assert by_class.expires_at == NOW + 305_000
    late = accept(market, send_at=NOW - 59_999, valid_for=60)
    assert late.expires_at == NOW + 1


@pytest.mark.parametrize(
    ("fields", "code", "word"),
    [
        ({"carrier": "nobody"}, "unknown_carrier", "cheap, dear, idle, old"),
        ({"carrier": ["cheap", "nobody"]}, "unknown_carrier", "'nobody'"),
        ({"carrier": "nobody", "to": "+4915123456789"}, "unknown_carrier", "'nobody'"),
        ({"carrier": "idle"}, "no_route", "cheap, old, dear"),
        ({"max_cost": "0.0099"}, "cost_over_max", "at least 0.0100"),
        ({"max_cost": "0.01", "text": "x" * 161}, "cost_over_max", "at least 0.0200"),
        ({"max_cost": "0.02", "carrier": "dear"}, "cost_over_max", "dear takes 0.0300"),
        ({"tlv": {"0x1400": ""}, "carrier": "old"}, "no_route", "leave 'tlv' out"),
        ({"send_at": NOW - 60_000, "valid_for": 60}, "expired", "later 'send_at'"),
        ({"send_at": 1}, "expired", "later 'send_at'"),
        ({"send_at": NOW * 1000}, "bad_field", "milliseconds"),
        ({"text": "注", "encoding": "latin1"}, "not_encodable", ""),
        ({"text": msgspec.UNSET, "data": "AA" * 40_000}, "too_long", ""),
        ({"text": msgspec.UNSET, "data": "", "udh": "BQA="}, "not_encodable", ""),
        ({"text": msgspec.UNSET, "encoding": "gsm7"}, "bad_field", "write 'text', or 'data'"),
        ({"flash": True, "encoding": "latin1"}, "bad_field", "'flash'"),
        ({"to": "+4915123456789", "max_cost": "1"}, "no_route", "[[route]]"),
        ({"to": "+4915123456789", "flash": True, "text": "x" * 40_000}, "too_long", ""),
    ],
)
def test_rich_submit_is_rejected_with_its_code(
    market: Intake, fields: dict[str, object], code: str, word: str
) -> None:
    rejection = refuse(market, None, **fields)
    assert (rejection.code, rejection.retry_after) == (code, None)
    assert word in rejection.reason
    assert len(rejection.reason) < 1000


_ANY = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=8)
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=4,
)


@settings(deadline=None, max_examples=300)
@given(st.dictionaries(st.sampled_from(Submit.__struct_encode_fields__), _ANY, max_size=4))
def test_submit_with_anything_in_any_field_is_judged_or_told_why_not(
    fields: dict[str, object],
) -> None:
    sound = {"to": "+8613800138000", "text": "hi", "from": "ACME"}
    line = json.dumps({"type": "submit"} | sound | fields | {"ref": "a"})
    (request,) = AppProtocol().receive_data(line.encode() + b"\n")
    if isinstance(request, Submit):
        verdict = FUZZED.judge(request, AppConfig(), NOW)
        assert isinstance(verdict, NewMessage) or verdict.reason
        assert FUZZED.quote(request, AppConfig(), NOW).currency == "USD"
    else:
        assert isinstance(request, OddSubmit)
        assert (request.code, request.ref) in (("bad_field", "a"), ("not_encodable", "a"))
        assert request.reason.encode()


def test_expired_comes_after_what_nothing_can_mend_and_before_draining() -> None:
    intake = make_intake()
    intake.draining = True
    assert refuse(intake, send_at=1, to="+4915123456789").code == "no_route"
    assert refuse(intake, send_at=1).code == "expired"
    assert refuse(intake, send_at=NOW + 1).code == "draining"


def test_max_cost_may_be_just_the_cost(market: Intake) -> None:
    assert accept(market, max_cost="0.01").extras == Extras(max_cost="0.01")


# -- quote ----------------------------------------------------------------------------------------


def quote(intake: Intake, **fields: object) -> QuotedAnswer:
    asked = Quote(to="+8613800138000", text="hi", sender="ACME")
    return intake.quote(msgspec.structs.replace(asked, **fields), AppConfig(), NOW)


def test_quote_says_what_the_message_takes_in_all(market: Intake) -> None:
    assert quote(market, text="x" * 200) == QuotedAnswer("USD", 2, "gsm7", "cheap", "0.0200")
    assert quote(market, text="x" * 200, carrier="dear").cost == "0.0600"
    assert quote(market, text=msgspec.UNSET, data="AAEC").encoding == "binary"


def test_quote_is_by_the_first_healthy_carrier_and_where_none_is_by_the_first() -> None:
    intake = make_intake()
    intake.table = RoutingTable([Route("86", "a", "0.01"), Route("86", "b", "0.02")], "USD")
    intake.forms = {"a": PLAIN_FORM, "b": Form(default_alphabet="ascii")}
    intake.healthy_of = lambda carrier: carrier == "b"
    assert quote(intake, text="é") == QuotedAnswer("USD", 1, "ucs2", "b", "0.02")
    assert quote(intake, carrier="a").carrier == "a"
    intake.healthy_of = lambda carrier: False
    assert quote(intake, text="é") == QuotedAnswer("USD", 1, "gsm7", "a", "0.01")


@pytest.mark.parametrize(
    ("fields", "code", "known"),
    [
        ({"text": msgspec.UNSET}, "bad_field", (None, None, None, None)),
        ({"valid_for": 60, "tlv": {"x": ""}}, "bad_field", (None, None, None, None)),
        ({"to": msgspec.UNSET}, "bad_field", (1, "gsm7", None, None)),
        ({"sender": "!"}, "invalid_sender", (1, "gsm7", "cheap", "0.0100")),
        ({"to": "12345"}, "invalid_destination", (1, "gsm7", None, None)),
        ({"to": "+4915123456789", "text": "注"}, "no_route", (1, "ucs2", None, None)),
        ({"text": "注", "encoding": "gsm7"}, "not_encodable", (None, None, None, None)),
        ({"carrier": "nobody"}, "unknown_carrier", (1, "gsm7", None, None)),
        ({"max_cost": "0.001"}, "cost_over_max", (1, "gsm7", None, None)),
        ({"send_at": 1}, "expired", (1, "gsm7", "cheap", "0.0100")),
    ],
)
def test_quote_says_what_is_in_the_way_and_what_is_known(
    market: Intake, fields: dict[str, object], code: str, known: tuple[object, ...]
) -> None:
    quoted = quote(market, **fields)
    assert (quoted.blocked_by, quoted.currency) == (code, "USD")
    assert (quoted.segments, quoted.encoding, quoted.carrier, quoted.cost) == known
    assert quoted.reason


def test_quote_needs_no_ref_and_is_blocked_while_draining() -> None:
    intake = make_intake()
    intake.draining = True
    quoted = quote(intake)
    assert (quoted.blocked_by, quoted.carrier) == ("draining", "alpha")


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
