"""What the benches submit: valid, all different, and as many segments as were asked for."""

from __future__ import annotations

import pytest

from bench.submits import (
    NUMBERS,
    Encoding,
    index_of,
    is_lost,
    make_lines,
    make_text,
    number_of,
)
from smppd.api.fields import Submit
from smppd.api.protocol import AppProtocol
from smppd.routing.msisdn import NumberPlan
from smppd.text import segment


def read_submits(count: int, segments: int = 1, encoding: Encoding = "gsm7") -> list[Submit]:
    requests = AppProtocol().receive_data(make_lines(0, count, make_text(segments, encoding)))
    return [request for request in requests if isinstance(request, Submit)]


def test_every_submit_has_a_ref_a_destination_and_a_text_of_its_own() -> None:
    submits = read_submits(1_000)
    for values in zip(*((one.ref, one.to, one.text) for one in submits), strict=True):
        assert len(set(values)) == 1_000


def test_every_destination_is_a_valid_number() -> None:
    plan = NumberPlan()
    judged = [plan.judge(str(one.to), None, True) for one in read_submits(1_000)]
    assert judged == [str(one.to)[1:] for one in read_submits(1_000)]


@pytest.mark.parametrize("index", [0, 1, 2, 49_999, NUMBERS - 1])
def test_a_message_is_known_by_its_destination(index: int) -> None:
    assert index_of(number_of(index)[4:]) == index


@pytest.mark.parametrize("segments", [1, 2, 3, 10, 255])
@pytest.mark.parametrize(
    ("encoding", "expected"), [("gsm7", "gsm7"), ("gsm7-extended", "gsm7"), ("ucs2", "ucs2")]
)
def test_a_text_needs_as_many_segments_of_its_encoding_as_were_asked_for(
    encoding: Encoding, expected: segment.Encoding, segments: int
) -> None:
    (submit,) = read_submits(1, segments, encoding)
    text = str(submit.text)
    assert segment.plan(text, "auto") == segment.Plan(expected, segments, segments)
    assert any(letter in text for letter in "{}€") == (encoding == "gsm7-extended")


def test_as_large_a_share_is_lost_as_was_asked_for() -> None:
    lost = sum(is_lost(number_of(index), 0.1) for index in range(10_000))
    assert lost == 1_000
    assert not any(is_lost(number_of(index), 0.0) for index in range(10_000))
    assert all(is_lost(number_of(index).encode(), 1.0) for index in range(10_000))
