"""pause, resume, drain, resolve and reload against a real daemon."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from smppd import terminal
from smppd.client import JsonObject
from tests.ctl.house import DOUBT_TO, Desk
from tests.processes import ALPHA, START_SECONDS_MAX, Table, toml


@pytest.fixture
def beta(desk: Desk) -> Iterator[str]:
    """A carrier to try things on; it is bound and runs again afterwards."""
    yield "beta"
    write_carrier(desk, "beta", {})
    assert desk.call("reload", "--wait").code == terminal.OK
    desk.call("resume", "beta")
    desk.daemon.wait_until(lambda: carrier(desk, "beta")["healthy"], "beta up", START_SECONDS_MAX)


def carrier(desk: Desk, name: str) -> JsonObject:
    found = desk.call_json("carriers")["carriers"]
    (one,) = [one for one in found if one["name"] == name]
    assert isinstance(one, dict)
    return one


def write_carrier(desk: Desk, name: str, keys: Table) -> None:
    table = {**ALPHA, "port": desk.site.ports[name], **keys}
    text = "".join(f"{key} = {toml(value)}\n" for key, value in table.items())
    (desk.site.directory / "carriers" / f"{name}.toml").write_text(text)


# -- pause, resume, drain ---------------------------------------------------------------------


def test_pause_and_resume_say_what_is_and_what_was(desk: Desk, beta: str) -> None:
    assert desk.call("pause", beta).out == "beta: paused (was running)\n"
    assert desk.call("pause", beta).out == "beta: paused already\n"
    assert desk.call_json("resume", beta) == {
        "type": "mode",
        "carrier": "beta",
        "mode": "running",
        "was": "paused",
    }


def test_mistyped_carrier_is_exit_2_with_the_nearest(desk: Desk) -> None:
    for verb in ("pause", "resume", "drain"):
        said = desk.call(verb, "bata")
        assert said.code == terminal.USAGE
        assert "did you mean 'beta'?" in said.err


def test_drain_of_a_carrier_that_waits_returns_when_its_binds_have_ended(
    desk: Desk, beta: str
) -> None:
    said = desk.call("drain", beta, "--wait")
    found = carrier(desk, beta)
    assert (said.code, said.out) == (terminal.OK, "beta: drained (was running)\n")
    assert (found["mode"], found["settling"]) == ("drained", False)
    assert {bind["state"] for bind in found["binds"]} == {"down"}


# -- reload -----------------------------------------------------------------------------------


def test_reload_says_every_change_and_waits_until_the_carrier_has_settled(
    desk: Desk, beta: str
) -> None:
    write_carrier(desk, beta, {"window": 7})
    said = desk.call("reload", "--wait")
    assert said.code == terminal.OK
    assert said.out.splitlines()[0] == "reloaded: 1 change"
    assert said.out.splitlines()[2].startswith("carrier\tbeta\tchanged\twindow 50 -> 7")
    found = carrier(desk, beta)
    assert (found["settling"], found["binds"][0]["window"]) == (False, 7)


def test_reload_of_a_broken_configuration_is_exit_78_and_changes_nothing(
    desk: Desk, beta: str
) -> None:
    write_carrier(desk, beta, {"window": "wide"})
    said = desk.call("reload", "--wait")
    assert (said.code, said.out) == (terminal.BAD_CONFIG, "")
    assert "carriers/beta.toml:" in said.err
    assert "refused: 1 problem; the old configuration stays in force" in said.err
    assert desk.call_json("reload")["ok"] is False
    assert desk.call("reload", "--json").code == terminal.BAD_CONFIG


# -- resolve ----------------------------------------------------------------------------------


def test_doubtful_messages_are_listed_and_may_be_sent_once_more(desk: Desk) -> None:
    message_id = desk.send_into_doubt("doubt-1")
    said = desk.call("resolve")
    assert said.code == terminal.OK
    assert message_id in said.out
    assert DOUBT_TO not in said.out
    assert message_id in [one["id"] for one in desk.call_json("resolve", "--reveal")["messages"]]
    resolved = desk.call("resolve", message_id, "--resend")
    assert resolved.out == f"{message_id}: will be sent once more; now queued\n"
    trace = desk.call_json("trace", message_id)
    assert "resolved" in [step["step"] for step in trace["steps"]]


def test_resolve_of_what_is_not_in_doubt_is_exit_1(desk: Desk) -> None:
    message_id = desk.send("sure-1", "--wait")
    said = desk.call("resolve", message_id, "--drop")
    assert said.code == terminal.FAILED
    assert "nothing was done" in said.err


def test_resolve_of_what_there_is_not_is_exit_4(desk: Desk) -> None:
    assert desk.call("resolve", "0199f30000000001", "--drop").code == terminal.NOT_FOUND


@pytest.mark.parametrize(
    "arguments",
    [("--drop",), ("0199f30000000001",), ("0199f30000000001", "--drop", "--resend")],
)
def test_resolve_wants_an_id_and_one_word(desk: Desk, arguments: tuple[str, ...]) -> None:
    assert desk.call("resolve", *arguments).code == terminal.USAGE
