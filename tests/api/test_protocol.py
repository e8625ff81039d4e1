"""Bytes to requests and answers to bytes: every line answered once, in order, whatever is in it."""

from __future__ import annotations

import json

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import UNSET, Raw

from smppd.api.answers import (
    AcceptedAnswer,
    Answer,
    ErrorAnswer,
    PongAnswer,
    RejectedAnswer,
    wrap_answer,
)
from smppd.api.fields import OddQuote, OddSubmit, Submit
from smppd.api.protocol import ERRORS_IN_A_ROW_MAX, LINE_BYTES_MAX, AppProtocol
from smppd.api.requests import (
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
    Query,
    Reload,
    Request,
    Resolve,
    Resume,
    Routes,
    Status,
    Subscribe,
    Taken,
    Trace,
)

PING = b'{"type":"ping"}\n'
SUBMIT = b'{"type":"submit","ref":"a","to":"+8613800138000","text":"hi"}\n'


def receive_one(line: bytes) -> Request:
    (request,) = AppProtocol().receive_data(line + b"\n")
    return request


def receive_bad(line: bytes) -> str:
    request = receive_one(line)
    assert isinstance(request, BadLine)
    assert request.reason.encode()
    return request.code


def test_every_request_of_the_contract_is_read() -> None:
    data = (
        b'{"type":"hello","app":"shop"}\n{"type":"subscribe","after":7,"kinds":["sent"]}\n'
        b'{"type":"taken","seq":8}\n{"type":"query","ref":"a"}\n{"type":"ping","token":[1]}\n'
        b'{"type":"cancel","tag":"spring"}\n{"type":"status"}\n{"type":"carriers"}\n'
        b'{"type":"routes"}\n{"type":"explain","to":"+49","class":"otp","carrier":["a","b"]}\n'
        b'{"type":"trace","id":"0f"}\n{"type":"find","since":1,"limit":5}\n{"type":"doubtful"}\n'
        b'{"type":"resolve","id":"0f","action":"drop"}\n{"type":"reload"}\n'
        b'{"type":"pause","carrier":"a"}\n{"type":"resume","carrier":"a"}\n'
        b'{"type":"drain"}\n{"type":"drain","carrier":"a"}\n'
    )
    assert AppProtocol().receive_data(data) == [
        Hello("shop"),
        Subscribe(7, ["sent"]),
        Taken(8),
        Query(ref="a"),
        Ping(Raw(b"[1]")),
        Cancel(tag="spring"),
        Status(),
        Carriers(),
        Routes(),
        Explain("+49", message_class="otp", carrier=["a", "b"]),
        Trace(id="0f"),
        Find(since=1, limit=5),
        Doubtful(),
        Resolve("0f", "drop"),
        Reload(),
        Pause("a"),
        Resume("a"),
        Drain(),
        Drain("a"),
    ]


def test_submit_keeps_what_was_sent_and_nothing_else() -> None:
    request = receive_one(
        b'{"type":"submit","ref":"a","from":"ACME","class":"otp","meta":{"k": 1}}'
    )
    assert isinstance(request, Submit)
    assert (request.ref, request.sender, request.message_class) == ("a", "ACME", "otp")
    assert request.meta is not UNSET
    assert bytes(request.meta) == b'{"k": 1}'
    assert (request.to, request.text, request.receipt) == (UNSET, UNSET, UNSET)


@settings(deadline=None)
@given(st.data())
def test_requests_do_not_depend_on_how_the_bytes_were_cut(data: st.DataObject) -> None:
    lines = data.draw(
        st.lists(st.sampled_from((PING, SUBMIT, b"\n", b"nonsense\n", b'"\xff"\n')), max_size=8)
    )
    stream = b"".join(lines) + b'{"type":'
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=6)))
    whole, pieces = AppProtocol(), AppProtocol()
    found: list[Request] = []
    for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        found += pieces.receive_data(stream[start:end])
    assert found == whole.receive_data(stream)
    assert len(found) == len(lines)


@settings(deadline=None, max_examples=300)
@given(st.binary(max_size=80))
def test_any_line_at_all_brings_one_request(line: bytes) -> None:
    requests = AppProtocol().receive_data(line.replace(b"\n", b"") + b"\n")
    assert len(requests) == 1


@settings(deadline=None, max_examples=300)
@given(st.text(alphabet='{}[]",:\\du8d0truefalsnNaIity-+.e1 submit', max_size=60))
def test_any_fragment_of_json_brings_one_request(line: str) -> None:
    assert len(AppProtocol().receive_data(line.encode() + b"\n")) == 1


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"   ",
        b"{",
        b"nonsense",
        b'{"type":"ping"} {"type":"ping"}',
        b'{"type":"ping","token":NaN}',
        b'{"type":"submit","ref":"a","meta":{"n":Infinity}}',
        b'{"type":"ping","token":"a\tb"}',
        b"\xef\xbb\xbf" + PING[:-1],
        b'{"type":"ping"}\0',
    ],
)
def test_what_is_no_json_is_bad_json(line: bytes) -> None:
    assert receive_bad(line) == "bad_json"


@pytest.mark.parametrize(
    "line",
    [
        b"\xff",
        b'{"type":"ping","token":"\xc3"}',
        b'{"type":"ping","token":"\xed\xa0\x80"}',
        b'{"type":"submit","ref":"a","meta":{"\xff":1}}',
        b'{"type":"submit","ref":"a","text":"\xff"}',
        b'{"type":"nobody","x":"\xff"}',
        b'{"\xff"',
    ],
)
def test_what_is_not_utf8_is_bad_utf8(line: bytes) -> None:
    assert receive_bad(line) == "bad_utf8"


@pytest.mark.parametrize(
    "line",
    [
        b"null",
        b"7",
        b"[]",
        b'"ping"',
        b"{}",
        b'{"type":7}',
        b'{"type":"nobody"}',
        b'{"type":"\\ud800"}',
        b'{"type":"hello","apps":"shop"}',
        b'{"type":"hello","app":7}',
        b'{"type":"hello","app":"\\ud800"}',
        b'{"type":"query","ref":"\\ud800"}',
        b'{"type":"taken"}',
        b'{"type":"taken","seq":-1}',
        b'{"type":"taken","seq":9223372036854775808}',
        b'{"type":"taken","seq":1' + b"0" * 5000 + b"}",
        b'{"type":"taken","seq":true}',
        b'{"type":"subscribe","after":"7"}',
        b'{"type":"subscribe","kinds":"sent"}',
        b'{"type":"submit"}',
        b'{"type":"submit","ref":7}',
        b'{"type":"submit","ref":"\\ud800"}',
        b'{"type":"submit","ref":"","x":1}',
        b'{"x":' + b"[" * 30_000 + b"]" * 30_000 + b"}",
        b"[" * 32_000 + b"]" * 32_000,
    ],
)
def test_json_that_is_no_request_is_bad_request(line: bytes) -> None:
    assert receive_bad(line) == "bad_request"


A_CARRIER = 'a carrier\'s name, like "alpha"'
A_LIMIT = "a whole number from 1 to 1000, like 100"


@pytest.mark.parametrize(
    ("verb", "fields", "reason"),
    [
        ("pause", "", f"'carrier' is missing: {A_CARRIER}"),
        ("pause", ',"carrier":7', f"'carrier' must be {A_CARRIER}"),
        ("drain", ',"carrier":null', f"'carrier' must be {A_CARRIER}"),
        ("resolve", ',"id":"0f"', "'action' is missing: one of resend, drop"),
        ("resolve", ',"id":"0f","action":"go"', "'action' must be one of resend, drop"),
        ("find", ',"limit":1001', f"'limit' must be {A_LIMIT}"),
        ("find", ',"limit":1.0', f"'limit' must be {A_LIMIT}"),
        ("find", ',"tags":"a"', "unknown field 'tags'; did you mean 'tag'?"),
        ("trace", ',"id":7', "'id' must be a string"),
        ("explain", "", "'to' is missing: a string"),
        ("cancel", ',"id":["a"]', "'id' must be a string"),
        ("subscribe", ',"kinds":"sent"', "'kinds' must be a list of strings"),
        ("ping", ',"token":1,"x":2', "unknown field 'x'; leave it out"),
    ],
)
def test_wrong_request_is_told_what_to_write(verb: str, fields: str, reason: str) -> None:
    line = f'{{"type":"{verb}"{fields}}}'
    assert receive_one(line.encode()) == BadLine("bad_request", f"{verb}: {reason}")


def test_request_there_is_not_is_told_the_nearest() -> None:
    found = receive_one(b'{"type":"pauze","carrier":"a"}')
    assert found == BadLine("bad_request", "there is no request 'pauze'; did you mean 'pause'?")
    assert receive_one(b'{"type":"zzz"}') == BadLine("bad_request", "there is no request 'zzz'")


def test_wrong_quote_is_told_like_a_submit() -> None:
    quote = receive_one(b'{"type":"quote","text":"hi","valid_for":"1h"}')
    assert isinstance(quote, OddQuote)
    assert (quote.code, quote.reason[:18]) == ("bad_field", "'valid_for' must b")
    assert isinstance(receive_one(b'{"type":"quote","text":"\\ud800"}'), OddQuote)


def test_brackets_that_never_close_are_bad_json() -> None:
    assert receive_bad(b"[" * 65_000) == "bad_json"
    assert receive_bad(b'{"type":"submit","ref":"a","meta":' + b"[" * 60_000) == "bad_json"


def test_quotes_that_never_close_cost_no_more_than_their_line() -> None:
    assert receive_bad(b'[[[["' + b'\\"[' * 21_000) == "bad_json"
    assert receive_bad(b'{"a":' + b'"[' * 32_000) == "bad_json"


def test_submit_nested_too_deep_is_answered_under_its_ref() -> None:
    deep = b"[" * 30_000 + b"]" * 30_000
    request = receive_one(b'{"type":"submit","ref":"a","meta":{"a":' + deep + b'},"to":"\\"["}')
    assert isinstance(request, OddSubmit)
    assert (request.ref, request.code) == ("a", "bad_field")


def test_deep_token_of_a_ping_comes_back_or_is_refused_but_never_raises() -> None:
    receive_one(b'{"type":"ping","token":' + b"[" * 30_000 + b"]" * 30_000 + b"}")


def test_submit_with_a_wrong_field_is_answered_under_its_ref() -> None:
    request = receive_one(b'{"type":"submit","ref":"a","to":7}')
    assert isinstance(request, OddSubmit)
    assert request.ref == "a"


def test_of_a_key_that_stands_twice_the_last_counts() -> None:
    request = receive_one(b'{"type":"submit","ref":"a","ref":"b"}')
    assert isinstance(request, Submit)
    assert request.ref == "b"
    odd = receive_one(b'{"type":"ping","type":"submit","ref":"b"}')
    assert isinstance(odd, OddSubmit)


def test_carriage_return_before_the_newline_is_space() -> None:
    assert receive_one(b'{"type":"ping"}\r') == Ping()


def pad_ping(size: int) -> bytes:
    return b'{"type":"ping","token":"' + b"x" * (size - 27) + b'"}\n'


def test_line_of_exactly_the_bound_is_read() -> None:
    line = pad_ping(LINE_BYTES_MAX)
    assert len(line) == LINE_BYTES_MAX
    assert isinstance(AppProtocol().receive_data(line)[0], Ping)


def test_line_one_octet_too_long_costs_only_itself() -> None:
    requests = AppProtocol().receive_data(PING + pad_ping(LINE_BYTES_MAX + 1) + PING)
    assert requests[0] == requests[2] == Ping()
    assert isinstance(requests[1], BadLine)
    assert requests[1].code == "line_too_long"


@pytest.mark.parametrize("piece", [1, 1000, 40_000, 65_535, 65_536, 200_000])
def test_long_line_in_pieces_is_answered_once_and_read_over(piece: int) -> None:
    protocol = AppProtocol()
    stream = PING + pad_ping(150_000) + PING
    found: list[Request] = []
    for start in range(0, len(stream), piece) if piece > 1 else (0,):
        found += protocol.receive_data(stream[start : start + piece] if piece > 1 else stream)
    codes = [request.code for request in found if isinstance(request, BadLine)]
    assert (len(found), codes) == (3, ["line_too_long"])


def test_long_line_is_not_kept() -> None:
    protocol = AppProtocol()
    assert len(protocol.receive_data(b"x" * 70_000)) == 1
    assert protocol.receive_data(b"x" * 70_000) == []
    assert protocol.receive_data(b"x\n" + PING) == [Ping()]


def test_unfinished_line_waits_for_its_newline() -> None:
    protocol = AppProtocol()
    assert protocol.receive_data(PING[:5]) == []
    assert protocol.receive_data(PING[5:]) == [Ping()]


def decode_answers(data: bytes) -> list[dict[str, object]]:
    assert data.endswith(b"\n")
    return [json.loads(line) for line in data.splitlines()]


def test_answers_are_objects_with_their_type_first() -> None:
    answers: list[Answer] = [
        AcceptedAnswer("a", "0199", 1, "gsm7"),
        AcceptedAnswer("a", "0199", 1, "gsm7", True),
        RejectedAnswer("b", "no_route", "none", retry_after=None),
        RejectedAnswer("c", "backlog_full", "full", None, 60),
        PongAnswer(Raw(b'{"t":1}')),
        PongAnswer(),
        ErrorAnswer("bad_json", "why", 3),
    ]
    assert decode_answers(AppProtocol().encode_answers(answers)) == [
        {"type": "accepted", "ref": "a", "id": "0199", "segments": 1, "encoding": "gsm7"},
        {
            "type": "accepted",
            "ref": "a",
            "id": "0199",
            "segments": 1,
            "encoding": "gsm7",
            "duplicate": True,
        },
        {"type": "rejected", "ref": "b", "code": "no_route", "reason": "none"},
        {
            "type": "rejected",
            "ref": "c",
            "code": "backlog_full",
            "reason": "full",
            "retry_after": 60,
        },
        {"type": "pong", "token": {"t": 1}},
        {"type": "pong"},
        {"type": "error", "code": "bad_json", "reason": "why", "line": 3},
    ]


def test_no_answers_are_no_octets() -> None:
    assert AppProtocol().encode_answers([]) == b""


class _Nothing(msgspec.Struct):
    pass


class _Something(msgspec.Struct):
    version: str


def test_shapes_of_other_rooms_get_their_type() -> None:
    answers: list[Answer] = [
        wrap_answer("status", _Nothing()),
        wrap_answer("status", _Something("1")),
    ]
    assert decode_answers(AppProtocol().encode_answers(answers)) == [
        {"type": "status"},
        {"type": "status", "version": "1"},
    ]


def make_errors(first: int, count: int) -> list[Answer]:
    return [ErrorAnswer("bad_json", "why", line) for line in range(first, first + count)]


def test_hundredth_error_in_a_row_is_answered_and_ends_the_connection() -> None:
    protocol = AppProtocol()
    protocol.encode_answers(make_errors(1, 60))
    assert protocol.errors_left == 40
    late: list[Answer] = [*make_errors(61, 40), PongAnswer()]
    answers = decode_answers(protocol.encode_answers(late))
    assert len(answers) == 41
    assert (answers[-2]["code"], answers[-2]["line"]) == ("bad_json", ERRORS_IN_A_ROW_MAX)
    assert answers[-1]["code"] == "too_many_errors"
    assert protocol.closed


def test_any_other_answer_resets_the_row() -> None:
    protocol = AppProtocol()
    protocol.encode_answers([*make_errors(1, 99), RejectedAnswer("a", "no_route", "none")])
    assert protocol.errors_left == ERRORS_IN_A_ROW_MAX
    protocol.encode_answers(make_errors(101, 99))
    assert not protocol.closed
