"""One connection's lines, however they are cut."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smppd.client import JsonObject, ProtocolError
from smppd.client import lines as lines_module
from smppd.client.lines import Asked, Lines, ask_one, encode

RECEIVED: list[JsonObject] = [
    {"type": "event", "seq": 1},
    {"type": "accepted", "ref": "a"},
    {"type": "notice", "text": "of a later release"},
    {"type": "event", "seq": 2, "text": "€"},
    {"type": "error", "line": 2, "code": "busy", "ref": "b"},
    {"type": "pong"},
    {"type": "event", "seq": 3},
]
OCTETS = b"".join(json.dumps(line, ensure_ascii=False).encode() + b"\n" for line in RECEIVED)


@given(cuts=st.lists(st.integers(0, len(OCTETS))))
def test_lines_cut_anywhere_are_the_same_lines(cuts: list[int]) -> None:
    lines = Lines()
    submits = Asked("submit", encode([{"type": "submit", "ref": ref} for ref in "ab"]))
    ping = ask_one({"type": "ping"})
    lines.ask(submits)
    lines.ask(ping)
    bounds = [0, *sorted(cuts), len(OCTETS)]
    for start, end in pairwise(bounds):
        lines.receive_data(OCTETS[start:end])
    assert [line["seq"] for line in lines.events] == [1, 2, 3]
    assert submits.result() == [RECEIVED[1], RECEIVED[4]]
    assert ping.only_result() == {"type": "pong"}
    assert not lines.is_awaiting


def test_error_about_a_line_before_the_first_asker_is_nobodys_answer() -> None:
    lines = Lines()
    lines.put([b'{"type":"taken","seq":9}\n'])
    asked = ask_one({"type": "ping"})
    lines.ask(asked)
    with pytest.raises(ProtocolError, match="above the latest"):
        lines.receive_data(
            b'{"type":"error","line":1,"code":"bad_request","reason":"above the latest"}\n'
        )
    assert not asked.is_settled


def test_control_verb_is_answered_by_whatever_type_comes() -> None:
    lines = Lines()
    asked = ask_one({"type": "pause", "carrier": "alpha"})
    lines.ask(asked)
    lines.receive_data(b'{"type":"mode","carrier":"alpha","mode":"paused"}\n')
    assert asked.only_result()["mode"] == "paused"


def test_line_longer_than_the_contract_allows_ends_the_connection(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(lines_module, "LINE_BYTES_MAX", 10)
    lines = Lines()
    lines.receive_data(b'{"type":"p')
    with pytest.raises(ProtocolError, match="line_too_long"):
        lines.receive_data(b"ong")
