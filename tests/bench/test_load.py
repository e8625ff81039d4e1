"""The client of a throughput run: what it submits, and that it counts what comes back."""

from __future__ import annotations

import json
import socket

import pytest

from bench.load import Client, Load, LoadResult, make_lines, make_text
from smppd.api.fields import Submit
from smppd.api.protocol import AppProtocol
from smppd.routing.msisdn import NumberPlan
from smppd.text import segment


def read_submits(count: int, segments: int = 1) -> list[Submit]:
    requests = AppProtocol().receive_data(make_lines(0, count, make_text(segments)))
    return [request for request in requests if isinstance(request, Submit)]


def run_client(*lines: dict[str, object]) -> LoadResult:
    """What a client of two messages makes of these lines, after which the daemon is gone."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(b"".join(json.dumps(line).encode() + b"\n" for line in lines))
        theirs.shutdown(socket.SHUT_WR)
        ours.setblocking(False)
        return Client(ours, Load("", messages=2, client_window=2)).run()


def test_every_submit_has_a_ref_a_destination_and_a_text_of_its_own() -> None:
    submits = read_submits(1_000)
    for values in zip(*((one.ref, one.to, one.text) for one in submits), strict=True):
        assert len(set(values)) == 1_000


def test_every_destination_is_a_valid_number() -> None:
    plan = NumberPlan()
    judged = [plan.judge(str(one.to), None, True) for one in read_submits(1_000)]
    assert judged == [str(one.to)[1:] for one in read_submits(1_000)]


@pytest.mark.parametrize("segments", [1, 2, 3, 10, 255])
def test_a_text_needs_as_many_segments_of_gsm_7_as_were_asked_for(segments: int) -> None:
    (submit,) = read_submits(1, segments)
    assert segment.plan(str(submit.text), "auto") == segment.Plan("gsm7", segments, segments)


def test_a_client_counts_answers_and_finals_and_ends_when_all_are_final() -> None:
    result = run_client(
        {"type": "accepted", "ref": "00000000"},
        {"type": "accepted", "ref": "00000001"},
        {"type": "event", "event": "sent", "ref": "00000000", "seq": 1},
        {"type": "event", "event": "sent", "ref": "00000001", "seq": 2},
        {"type": "event", "event": "delivered", "ref": "00000000", "seq": 3},
        {"type": "event", "event": "delivered", "ref": "00000000", "seq": 4},
        {"type": "event", "event": "failed", "ref": "00000001", "seq": 5},
    )
    assert (result.accepted, result.rejected, result.errors) == (2, 0, 0)
    assert (result.sent, result.delivered, result.other_finals, result.doubles) == (2, 2, 1, 1)
    assert len(result.accepted_ms) == len(result.final_ms) == 2


def test_a_client_gives_up_when_the_daemon_is_gone() -> None:
    result = run_client({"type": "accepted", "ref": "00000000"})
    assert (result.accepted, result.delivered) == (1, 0)
