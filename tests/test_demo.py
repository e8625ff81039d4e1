"""The demo: its judgement by itself, then as a user runs it, processes and all."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from smppd.client import JsonObject
from smppd.config import load
from smppd.demo.plan import Planned, plan_messages
from smppd.demo.report import Outcome, Story, find_differences, find_surprises, show_report
from smppd.demo.stage import StageFailed, free_ports, set_stage, write_configuration
from tests.processes import environment

DEMO_SECONDS_MAX = 90
"""It takes five; a shared core takes its time."""

ACCEPTED: JsonObject = {"type": "accepted", "ref": "a", "id": "1", "segments": 1}
REJECTED: JsonObject = {"type": "rejected", "ref": "a", "code": "no_route", "reason": "none"}


def event(kind: str, **fields: object) -> JsonObject:
    return {"event": kind, "accepted_at": 1000, "at": 1005, **fields}


def outcome_of(*events: JsonObject) -> Outcome:
    return Outcome(ACCEPTED, Story(list(events)))


SENT = event("sent", carrier="alpha", cost="0.0200", receipt=True)
DELIVERED = event("delivered", at=1100, carrier="alpha", cost="0.0200")
FAILED = event("failed", code="rejected_by_carrier")


def test_plan_names_every_ref_once_but_the_one_that_is_sent_thrice() -> None:
    refs = [planned.submit["ref"] for planned in plan_messages()]
    assert len(refs) - len(set(refs)) == 2


def test_plan_holds_some_hundred_messages() -> None:
    assert 300 <= len(plan_messages()) <= 900


def test_configuration_of_the_demo_has_no_problem(tmp_path: Path) -> None:
    write_configuration(tmp_path)
    assert sorted(load(tmp_path).carriers) == ["alpha", "beta", "gamma"]


def test_free_ports_are_different_ones() -> None:
    assert len(set(free_ports(5))) == 5


@pytest.mark.parametrize(
    ("outcome", "shown"),
    [
        (Outcome(REJECTED), "rejected no_route"),
        (Outcome(ACCEPTED | {"duplicate": True}), "duplicate"),
        (outcome_of(SENT, DELIVERED), "delivered"),
        (outcome_of(FAILED), "failed rejected_by_carrier"),
        (outcome_of(SENT, DELIVERED | {"maybe_duplicate": True}), "delivered maybe_duplicate"),
    ],
)
def test_outcome_is_shown_in_the_words_of_the_plan(outcome: Outcome, shown: str) -> None:
    assert outcome.shown == shown


def test_planned_outcome_is_no_surprise() -> None:
    plan = [Planned("x", {"ref": "a"}, "delivered")]
    assert find_surprises(plan, [outcome_of(SENT, DELIVERED)]) == []


def test_other_outcome_is_a_surprise() -> None:
    plan = [Planned("x", {"ref": "a"}, "delivered")]
    assert find_surprises(plan, [outcome_of(FAILED)]) == [
        "a: failed rejected_by_carrier, planned was delivered"
    ]


def test_other_number_of_segments_is_a_surprise() -> None:
    plan = [Planned("x", {"ref": "a"}, "delivered", segments=4)]
    assert find_surprises(plan, [outcome_of(SENT, DELIVERED)]) == ["a: 1 segment, planned were 4"]


def test_segments_the_app_was_not_told_of_are_a_difference() -> None:
    outcomes = [outcome_of(SENT, DELIVERED | {"segments": 2})]
    assert find_differences(outcomes, {"alpha": {"accepted": 2}}) == []
    assert find_differences(outcomes, {"alpha": {"accepted": 3}}) == [
        "alpha: took 3 segments, the app was told of 2"
    ]


def test_story_ends_once() -> None:
    story = Story()
    assert [story.add(SENT), story.add(DELIVERED), story.add(DELIVERED)] == [False, True, False]


def test_story_without_a_receipt_ends_with_sent() -> None:
    assert Story().add(SENT | {"receipt": False})


def test_report_has_a_line_per_carrier(capsys: pytest.CaptureFixture[str]) -> None:
    plan = [Planned("x", {"ref": "a"}, "delivered")] * 3
    outcomes = [outcome_of(SENT, DELIVERED), outcome_of(FAILED), Outcome(REJECTED)]
    show_report(plan, outcomes, {"alpha": {"refused": 2}})
    lines = capsys.readouterr().out.splitlines()
    assert "alpha\t1\t2\t1\t1\t0\t5 / 5\t100 / 100\t0.0200" in lines
    assert "(none)\t1\t-\t0\t0\t1\t-\t-\t0" in lines
    assert "x\tno_route\tnone" in lines


def test_process_that_ends_too_early_fails_the_demo_and_shows_its_log(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("smppd.demo.stage.ORDINARY_CARRIER", "port = {port}\n")
    with pytest.raises(StageFailed, match="simulate ended with 78"), set_stage(tmp_path):
        pass
    assert "carriers/alpha.toml: host: is missing" in capsys.readouterr().err


def test_demo_runs_to_the_planned_end_of_every_message() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "smppd", "demo"],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=DEMO_SECONDS_MAX,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"all {len(plan_messages())} outcomes are as planned" in done.stdout
    rows = [line.split("\t") for line in done.stdout.splitlines()]
    carriers = {row[0]: row for row in rows if len(row) == 9}
    assert set(carriers) == {"carrier", "alpha", "beta", "gamma", "(none)"}
    assert int(carriers["beta"][2]) > 0, "nothing was refused, so no failover was shown"
