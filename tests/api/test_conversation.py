"""Requests in line order: who may say what, what is committed together, and what is answered."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET, Raw

from smppd.api.conversation import Admission, Conversation, Read, TakenLine, conclude
from smppd.api.fields import OddSubmit, Submit
from smppd.api.peers import Rights
from smppd.api.protocol import (
    LINE_BYTES_MAX,
    AcceptedAnswer,
    BadLine,
    ErrorAnswer,
    Hello,
    Ping,
    PongAnswer,
    Query,
    RejectedAnswer,
    Request,
    Status,
    Subscribe,
    Taken,
    Unserved,
    WelcomeAnswer,
)
from smppd.config import AppConfig
from smppd.store.changes import (
    Accepted,
    NewMessage,
    Propose,
    RefConflict,
    Rejection,
    Take,
    TakenResult,
)
from tests.api.house import WALL_MS, make_intake

ODD = OddSubmit("odd", b"\1" * 16, "bad_field", "why")
MANY = 1_000_000

APPS = {"shop": AppConfig(), "bank": AppConfig(admin=True)}


def make_submit(ref: str = "o-1") -> Submit:
    return Submit(ref=ref, to="+8613800138000", text="hi", sender="ACME")


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
        (("bank",), False, "bad_request"),
        (("shop", "bank"), True, "bad_request"),
        (("shop", "bank"), False, "hello_required"),
    ],
)
def test_control_verbs_are_for_operators_and_admin_apps(
    apps: tuple[str, ...], operator: bool, code: str
) -> None:
    conversation = make_conversation(*apps, operator=operator)
    allowed = code == "bad_request"
    assert isinstance(reply_to(conversation, Status()), Read) == allowed
    assert code_of(reply_to(conversation, Unserved("pause", True))) == code


def test_request_of_a_later_release_is_a_bad_request_for_everybody() -> None:
    assert code_of(reply_to(make_conversation("shop"), Unserved("cancel", False))) == "bad_request"


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


@pytest.mark.parametrize("change", [make_submit(), ODD, Taken(1)])
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
    st.lists(st.sampled_from(("submit", "odd", "ping", "taken", "query", "bad")), max_size=40),
    st.integers(1, 5),
    st.integers(1, 5),
)
def test_batches_leave_nothing_out_and_keep_the_order(
    kinds: list[str], submits_max: int, errors_max: int
) -> None:
    made: dict[str, Request] = {
        "submit": make_submit(),
        "odd": ODD,
        "ping": Ping(),
        "taken": Taken(1),
        "query": Query(ref="a"),
        "bad": BadLine("bad_json", "why"),
    }
    whole = make_conversation("shop")
    pieces = make_conversation("shop")
    requests = [made[kind] for kind in kinds]
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
