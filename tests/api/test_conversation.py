"""Requests in line order: who may say what, what is committed together, and what is answered."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET, Raw

from smppd.api.answers import (
    AcceptedAnswer,
    CancelledAnswer,
    ErrorAnswer,
    PongAnswer,
    QuotedAnswer,
    RejectedAnswer,
    WelcomeAnswer,
)
from smppd.api.conversation import Admission, Conversation
from smppd.api.fields import OddQuote, OddSubmit, Quote, Submit
from smppd.api.peers import Rights
from smppd.api.protocol import LINE_BYTES_MAX
from smppd.api.replies import CancelLine, Read, TakenLine, conclude, continue_cancel
from smppd.api.requests import (
    AskCarrier,
    BadLine,
    Cancel,
    Carriers,
    Doubtful,
    Drain,
    Explain,
    Find,
    Hello,
    Pause,
    Ping,
    Quarantine,
    QuarantineDrop,
    Query,
    Reload,
    Request,
    Resolve,
    Resume,
    Routes,
    Status,
    Subscribe,
    Taken,
    Tap,
    Trace,
)
from smppd.config import AppConfig
from smppd.store.changes import (
    Accepted,
    Cancelled,
    NewMessage,
    Propose,
    RefConflict,
    Rejection,
    Take,
    TakenResult,
    UnknownMessage,
)
from smppd.store.changes import Cancel as ChangeCancel
from tests.api.house import WALL_MS, make_intake

ODD = OddSubmit("odd", b"\1" * 16, "bad_field", "why")
MANY = 1_000_000

APPS = {"shop": AppConfig(), "bank": AppConfig(admin=True)}


CONTROLS = (
    Status(),
    Carriers(),
    Routes(),
    Explain("+49"),
    Trace(id="0f"),
    Find(),
    Doubtful(),
    Resolve("0f", "drop"),
    Reload(),
    Pause("a"),
    Resume("a"),
    Drain(),
    AskCarrier("0f", "query"),
    Tap("a"),
    Quarantine(),
    QuarantineDrop(id="0f"),
)
WAITERS = (
    Find(),
    Resolve("0f", "drop"),
    Reload(),
    Pause("a"),
    Resume("a"),
    Drain(),
    AskCarrier("0f", "cancel"),
    Tap("a"),
    QuarantineDrop(id="0f"),
)


def make_submit(ref: str = "o-1") -> Submit:
    return Submit(ref=ref, to="+8613800138000", text="hi", sender="ACME")


KINDS: dict[str, Request] = {
    "submit": make_submit(),
    "odd": ODD,
    "ping": Ping(),
    "taken": Taken(1),
    "query": Query(ref="a"),
    "bad": BadLine("bad_json", "why"),
    "cancel": Cancel(ref="a"),
    "cancel_tag": Cancel(tag="a"),
    "quote": Quote(text="hi"),
    "status": Status(),
    "reload": Reload(),
}


def make_conversation(
    *apps: str, operator: bool = False, configured: Mapping[str, AppConfig] | None = None
) -> Conversation:
    return Conversation(make_intake(configured or APPS), Rights(apps, operator))


def admit(conversation: Conversation, *requests: Request) -> Admission:
    return conversation.admit(list(requests), WALL_MS, MANY, 100)


def reply_to(conversation: Conversation, request: Request) -> object:
    (reply,) = admit(conversation, request).replies
    return reply


def code_of(reply: object) -> str:
    assert isinstance(reply, ErrorAnswer), repr(reply)
    return reply.code


# -- hello ----------------------------------------------------------------------------------------


def test_peer_with_one_app_needs_no_hello_and_may_say_it() -> None:
    conversation = make_conversation("shop")
    assert isinstance(reply_to(conversation, make_submit()), Propose)
    welcome = reply_to(make_conversation("shop"), Hello())
    assert isinstance(welcome, WelcomeAnswer)
    assert (welcome.app, welcome.version, welcome.server) == ("shop", 1, "smppd/test")
    assert (welcome.line_bytes_max, welcome.answer_bytes_max) == (LINE_BYTES_MAX, 16_777_216)


def test_peer_that_may_be_several_must_say_which_before_all_but_ping_and_control() -> None:
    conversation = make_conversation("shop", "bank", operator=True)
    requests: list[Request] = [make_submit(), ODD, Taken(1), Query(ref="a"), Subscribe()]
    replies = admit(conversation, *requests, Ping(), Status()).replies
    assert [code_of(reply) for reply in replies[:5]] == ["hello_required"] * 5
    assert [getattr(reply, "ref", None) for reply in replies[:5]] == ["o-1", "odd", *[UNSET] * 3]
    assert isinstance(replies[5], PongAnswer)
    assert isinstance(replies[6], Read)


def test_hello_required_of_a_submit_without_a_sound_ref_carries_none() -> None:
    reply = reply_to(make_conversation("shop", "bank"), make_submit("x" * 65))
    assert isinstance(reply, ErrorAnswer)
    assert (reply.code, reply.ref) == ("hello_required", UNSET)


def test_after_hello_the_peer_speaks_for_that_app() -> None:
    conversation = make_conversation("shop", "bank")
    assert isinstance(reply_to(conversation, Hello("bank")), WelcomeAnswer)
    proposed = reply_to(conversation, make_submit())
    assert isinstance(proposed, Propose)
    assert proposed.app == "bank"


def test_hello_without_app_is_not_enough_where_the_peer_may_be_several() -> None:
    assert code_of(reply_to(make_conversation("shop", "bank"), Hello())) == "bad_request"


def test_hello_for_an_app_nobody_has_is_unknown_app() -> None:
    assert code_of(reply_to(make_conversation("shop"), Hello("nobody"))) == "unknown_app"


def test_hello_for_somebody_elses_app_is_not_allowed() -> None:
    assert code_of(reply_to(make_conversation("shop"), Hello("bank"))) == "not_allowed"


def test_refused_hello_leaves_the_peer_speaking_for_nobody_until_it_names_its_own() -> None:
    conversation = make_conversation("shop")
    reply_to(conversation, Hello("bank"))
    assert code_of(reply_to(conversation, make_submit())) == "hello_required"
    assert isinstance(reply_to(conversation, Hello("shop")), WelcomeAnswer)
    assert isinstance(reply_to(conversation, make_submit()), Propose)


@pytest.mark.parametrize("before", [Hello(), make_submit(), Subscribe()])
def test_hello_comes_once_and_before_submit_and_subscribe(before: Request) -> None:
    conversation = make_conversation("shop")
    reply_to(conversation, before)
    assert code_of(reply_to(conversation, Hello())) == "bad_request"


def test_hello_may_come_after_ping_taken_and_query() -> None:
    conversation = make_conversation("shop")
    admit(conversation, Ping(), Taken(0))
    admit(conversation, Query(ref="a"))
    assert isinstance(reply_to(conversation, Hello()), WelcomeAnswer)


# -- control --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("apps", "operator", "code"),
    [
        (("shop",), False, "not_allowed"),
        (("bank",), False, None),
        (("shop", "bank"), True, None),
        (("shop", "bank"), False, "hello_required"),
    ],
)
def test_control_verbs_are_for_operators_and_admin_apps(
    apps: tuple[str, ...], operator: bool, code: str | None
) -> None:
    conversation = make_conversation(*apps, operator=operator)
    for verb in CONTROLS:
        reply = reply_to(conversation, verb)
        assert isinstance(reply, Read) if code is None else code_of(reply) == code


def test_trace_by_ref_is_of_the_connections_app_unless_it_names_one() -> None:
    operator = make_conversation("shop", "bank", operator=True)
    assert code_of(reply_to(operator, Trace(ref="a"))) == "bad_request"
    assert reply_to(operator, Trace(ref="a", app="bank")) == Read(2, Trace(ref="a", app="bank"))
    assert reply_to(operator, Trace(id="0f")) == Read(3, Trace(id="0f"))
    bank = make_conversation("bank")
    assert reply_to(bank, Trace(ref="a")) == Read(1, Trace(ref="a", app="bank"))
    assert reply_to(bank, Trace(id="0f")) == Read(2, Trace(id="0f"))


@pytest.mark.parametrize("trace", [Trace(), Trace("0f", "a"), Trace(app="bank")])
def test_trace_is_by_id_or_by_ref_and_not_by_both(trace: Trace) -> None:
    assert code_of(reply_to(make_conversation("bank"), trace)) == "bad_request"


def test_explain_goes_by_the_connections_app_unless_it_names_one() -> None:
    bank = make_conversation("bank")
    assert reply_to(bank, Explain("+49")) == Read(1, Explain("+49", app="bank"))
    assert reply_to(bank, Explain("+49", app="shop")) == Read(2, Explain("+49", app="shop"))
    operator = make_conversation("shop", "bank", operator=True)
    assert reply_to(operator, Explain("+49")) == Read(1, Explain("+49"))


# -- cancel and quote -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cancel", "change"),
    [
        (Cancel(id="0" * 16), ChangeCancel("shop", message_id="0" * 16)),
        (Cancel(ref="a"), ChangeCancel("shop", ref="a")),
        (Cancel(tag="spring"), ChangeCancel("shop", tag="spring")),
    ],
)
def test_cancel_is_a_change_of_the_app(cancel: Cancel, change: ChangeCancel) -> None:
    admission = admit(make_conversation("shop"), cancel)
    assert (admission.changes, admission.replies) == ([change], [CancelLine(1, change)])


@pytest.mark.parametrize(
    "cancel",
    [Cancel(), Cancel(id="0" * 16, ref="a"), Cancel("0" * 16, "a", "b"), Cancel(tag="a", ref="b")],
)
def test_cancel_is_by_one_of_id_ref_and_tag(cancel: Cancel) -> None:
    assert code_of(reply_to(make_conversation("shop"), cancel)) == "bad_request"


@pytest.mark.parametrize("name", ["", "0" * 15, "F" * 16, "x" * 5000, "0" * 16 + "\n"])
def test_cancel_of_what_can_be_no_id_or_ref_is_unknown_message(name: str) -> None:
    conversation = make_conversation("shop")
    assert code_of(reply_to(conversation, Cancel(id=name))) == "unknown_message"
    assert code_of(reply_to(conversation, Cancel(ref=name + "\0"))) == "unknown_message"


def test_cancel_of_a_tag_no_message_can_have_cancels_none() -> None:
    reply = reply_to(make_conversation("shop"), Cancel(tag="x" * 65))
    assert reply == CancelledAnswer(0, 0, tag="x" * 65)


def test_cancel_and_quote_need_a_hello_where_the_peer_may_be_several() -> None:
    conversation = make_conversation("shop", "bank", operator=True)
    for request in (Cancel(ref="a"), Quote(text="hi"), OddQuote("bad_field", "why")):
        assert code_of(reply_to(conversation, request)) == "hello_required"


def test_cancel_goes_on_until_the_store_says_it_is_done() -> None:
    change = ChangeCancel("shop", tag="spring")
    (rest,) = conclude([CancelLine(3, change)], [Cancelled(500, 2, 77, 99, False)])
    assert rest == CancelLine(3, ChangeCancel("shop", tag="spring", after=77, upto=99), 500, 2)
    assert isinstance(rest, CancelLine)
    done = continue_cancel(rest, Cancelled(20, 1, 99, 99, True))
    assert done == CancelledAnswer(520, 3, tag="spring")


def test_cancelled_names_the_field_it_was_asked_with() -> None:
    by_id = CancelLine(1, ChangeCancel("shop", message_id="0" * 16))
    by_ref = CancelLine(2, ChangeCancel("shop", ref="a"))
    done = Cancelled(1, 0, 0, 0, True)
    assert conclude([by_id, by_ref], [done, done]) == [
        CancelledAnswer(1, 0, id="0" * 16),
        CancelledAnswer(1, 0, ref="a"),
    ]
    assert [code_of(fault) for fault in conclude([by_id], [UnknownMessage()])] == [
        "unknown_message"
    ]


def test_quote_is_answered_at_once_and_changes_nothing() -> None:
    admission = admit(make_conversation("shop"), Quote(to="+8613800138000", text="hi", sender="A"))
    (quoted,) = admission.replies
    assert isinstance(quoted, QuotedAnswer)
    assert (quoted.carrier, quoted.cost, quoted.blocked_by) == ("alpha", "0.0210", None)
    assert admission.changes == []


def test_wrong_quote_is_quoted_with_what_is_in_its_way() -> None:
    quoted = reply_to(make_conversation("shop"), OddQuote("bad_field", "why"))
    assert quoted == QuotedAnswer("USD", blocked_by="bad_field", reason="why")


# -- a reload -------------------------------------------------------------------------------------


def test_what_an_app_may_do_is_looked_up_at_each_use() -> None:
    intake = make_intake(APPS)
    conversation = Conversation(intake, Rights(("shop",), False))
    assert code_of(reply_to(conversation, Status())) == "not_allowed"
    intake.apps = {"shop": AppConfig(admin=True, default_sender="12345")}
    assert isinstance(reply_to(conversation, Status()), Read)
    proposed = reply_to(conversation, Submit(ref="a", to="+8613800138000", text="hi"))
    assert isinstance(proposed, Propose)
    assert isinstance(proposed.message, NewMessage)


def test_app_that_was_taken_out_is_told_so_and_submits_nothing() -> None:
    intake = make_intake(APPS)
    conversation = Conversation(intake, Rights(("shop",), False))
    intake.apps = {"bank": AppConfig()}
    refused = reply_to(conversation, make_submit())
    assert isinstance(refused, ErrorAnswer)
    assert (refused.code, refused.ref) == ("hello_required", "o-1")
    assert "no longer in smppd.toml" in refused.reason


# -- what is asked --------------------------------------------------------------------------------


def test_submit_without_a_sound_ref_is_a_bad_request_with_its_line() -> None:
    conversation = make_conversation("shop")
    replies = admit(conversation, Ping(), make_submit("")).replies
    error = replies[1]
    assert isinstance(error, ErrorAnswer)
    assert (error.code, error.line, error.ref) == ("bad_request", 2, UNSET)


def test_submit_that_must_be_rejected_is_proposed_too() -> None:
    replies = admit(make_conversation("shop"), ODD, Submit(ref="a")).replies
    assert replies[0] == Propose("shop", "odd", ODD.digest, Rejection("bad_field", "why"))
    assert isinstance(replies[1], Propose)
    assert isinstance(replies[1].message, Rejection)


def test_sound_submit_is_proposed_as_a_message() -> None:
    (change,) = admit(make_conversation("shop"), make_submit()).changes
    assert isinstance(change, Propose)
    assert isinstance(change.message, NewMessage)
    assert (len(change.digest), change.message.accepted_at) == (16, WALL_MS)


def test_ping_brings_its_token_back() -> None:
    pong = reply_to(make_conversation("shop"), Ping(Raw(b'{"a":\r1}')))
    assert isinstance(pong, PongAnswer)
    assert pong.token is not UNSET
    assert bytes(pong.token) == b'{"a": 1}'


@pytest.mark.parametrize("query", [Query(), Query("0" * 16, "a")])
def test_query_is_by_id_or_by_ref_and_not_by_both(query: Query) -> None:
    assert code_of(reply_to(make_conversation("shop"), query)) == "bad_request"


def test_subscribe_to_an_event_there_is_not_is_a_bad_request() -> None:
    conversation = make_conversation("shop")
    assert code_of(reply_to(conversation, Subscribe(kinds=["sent", "sended"]))) == "bad_request"
    assert isinstance(reply_to(conversation, Subscribe(kinds=["sent", "inbound"])), Read)


def test_bad_line_keeps_its_code_and_gets_its_number() -> None:
    conversation = make_conversation("shop")
    admit(conversation, Ping(), Ping())
    assert reply_to(conversation, BadLine("bad_json", "why")) == ErrorAnswer("bad_json", "why", 3)


# -- what goes together ---------------------------------------------------------------------------


def test_changes_and_then_reads_go_together() -> None:
    requests: list[Request] = [make_submit(), Ping(), Taken(1), Query(ref="a"), Subscribe(), Ping()]
    admission = admit(make_conversation("shop"), *requests)
    assert (admission.consumed, len(admission.changes), admission.submits) == (6, 2, 1)


@pytest.mark.parametrize("last", [Cancel(tag="a"), *WAITERS])
def test_what_takes_more_than_one_commit_ends_its_batch(last: Request) -> None:
    admission = admit(make_conversation("bank"), make_submit(), last, Ping())
    assert (admission.consumed, admission.submits) == (2, 1)


def test_cancels_by_name_go_with_the_submits_before_and_after_them() -> None:
    requests: list[Request] = [make_submit("a"), Cancel(ref="a"), make_submit("b"), Ping()]
    admission = admit(make_conversation("shop"), *requests)
    assert (admission.consumed, len(admission.changes)) == (4, 3)


@pytest.mark.parametrize("change", [make_submit(), ODD, Taken(1), Cancel(ref="a")])
def test_change_after_a_read_waits_for_the_next_batch(change: Request) -> None:
    conversation = make_conversation("shop")
    admission = admit(conversation, Query(ref="a"), Ping(), change, Ping())
    assert (admission.consumed, admission.changes) == (2, [])
    assert conversation.line == 2


def test_no_more_submits_than_allowed_are_admitted() -> None:
    conversation = make_conversation("shop")
    requests: list[Request] = [Ping(), make_submit("a"), ODD, make_submit("b"), Ping()]
    admission = conversation.admit(requests, WALL_MS, 2, 100)
    assert (admission.consumed, admission.submits) == (3, 2)
    rest = conversation.admit(requests[3:], WALL_MS, 0, 100)
    assert (rest.consumed, rest.submits, conversation.line) == (0, 0, 3)


def test_what_follows_a_hello_waits_for_the_next_batch() -> None:
    assert admit(make_conversation("shop"), Hello(), make_submit()).consumed == 1


def test_batch_ends_where_the_errors_in_a_row_may_reach_their_limit() -> None:
    conversation = make_conversation("shop")
    bad = BadLine("bad_json", "why")
    admission = conversation.admit([bad, bad, Query(ref="a"), bad, make_submit()], WALL_MS, MANY, 4)
    assert (admission.consumed, admission.changes) == (4, [])


@given(
    st.lists(st.sampled_from(tuple(KINDS)), max_size=40),
    st.integers(1, 5),
    st.integers(1, 5),
)
def test_batches_leave_nothing_out_and_keep_the_order(
    kinds: list[str], submits_max: int, errors_max: int
) -> None:
    whole = make_conversation("bank")
    pieces = make_conversation("bank")
    requests = [KINDS[kind] for kind in kinds]
    expected = [reply_to(whole, request) for request in requests]
    found: list[object] = []
    while requests:
        admission = pieces.admit(requests, WALL_MS, submits_max, errors_max)
        assert 0 < admission.consumed == len(admission.replies)
        found += admission.replies
        requests = requests[admission.consumed :]
    assert found == expected


# -- what is answered -----------------------------------------------------------------------------


def test_results_of_the_commit_become_answers_in_line_order() -> None:
    rejection = Rejection("storage_full", "full", 60)
    proposals = [Propose("shop", ref, b"", rejection) for ref in ("a", "b", "c", "d")]
    pong = PongAnswer()
    answers = conclude(
        [proposals[0], pong, *proposals[1:]],
        [
            Accepted("01", 2, "ucs2", False),
            Accepted("02", 1, "gsm7", True),
            RefConflict("03"),
            rejection,
        ],
    )
    assert answers[:3] == [
        AcceptedAnswer("a", "01", 2, "ucs2"),
        pong,
        AcceptedAnswer("b", "02", 1, "gsm7", True),
    ]
    conflict, full = answers[3:]
    assert isinstance(conflict, RejectedAnswer)
    assert (conflict.code, conflict.ref, conflict.id) == ("ref_conflict", "c", "03")
    assert full == RejectedAnswer("d", "storage_full", "full", None, 60)


def test_taken_is_answered_only_where_it_was_above_the_latest() -> None:
    taken = [TakenLine(1, Take("shop", 7)), TakenLine(2, Take("shop", 9))]
    answers = conclude(list(taken), [TakenResult(True, 8), TakenResult(False, 8)])
    assert [code_of(answer) for answer in answers] == ["bad_request"]
    assert isinstance(answers[0], ErrorAnswer)
    assert answers[0].line == 2


def test_reads_are_left_to_be_read_in_their_place() -> None:
    read = Read(1, Query(ref="a"))
    assert conclude([read, PongAnswer()], []) == [read, PongAnswer()]
