"""The control verbs on a real daemon: what each says, and what it does to running traffic."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.processes import START_SECONDS_MAX, Child, Site, ask

TO = "+8613800138000"
ROUTES = (
    {"prefix": "", "carrier": "alpha", "cost": "0.0100"},
    {"prefix": "", "carrier": "beta", "cost": "0.0200"},
    {"prefix": "49", "carrier": "beta", "cost": "0.0700"},
)

Answer = dict[str, Any]


class Running:
    """A site with its simulator and a daemon that is bound."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.simulator = site.start_simulator()
        self.daemon: Child = site.start_daemon()
        site.wait_bound(self.daemon)

    def ask(self, verb: str, **fields: object) -> Answer:
        return ask(self.site.socket, {"type": verb, **fields})

    def submit(self, ref: str, **fields: object) -> Answer:
        return self.ask("submit", ref=ref, **{"to": TO, "from": "ACME", "text": "hello", **fields})

    def state(self, ref: str) -> str:
        return str(self.ask("query", ref=ref)["state"])

    def wait_for(self, ref: str, state: str) -> Answer:
        self.daemon.wait_until(
            lambda: self.state(ref) == state, f"{ref} {state}", START_SECONDS_MAX
        )
        return self.ask("query", ref=ref)

    def carrier(self, name: str) -> Answer:
        found: Answer = {one["name"]: one for one in self.ask("carriers")["carriers"]}
        return dict(found[name])

    def told(self, ref: str) -> list[str]:
        """The steps of a message, by name."""
        return [step["step"] for step in self.ask("trace", ref=ref)["steps"]]


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    with Site(tmp_path, carriers={"alpha": {}, "beta": {}}, routes=ROUTES) as site:
        yield Running(site)


# -- explain, routes --------------------------------------------------------------------------


def test_explain_names_the_winner_and_why_the_others_lost(running: Running) -> None:
    found = running.ask("explain", to=TO)
    assert (found["region"], found["number_type"], found["prefix"]) == ("CN", "mobile", "")
    assert (found["chosen"], found["currency"]) == ("alpha", "USD")
    shown = [(offer["carrier"], offer["verdict"], offer["cost"]) for offer in found["offers"]]
    assert shown == [("alpha", "chosen", "0.0100"), ("beta", "next", "0.0200")]


def test_explain_says_that_a_paused_carrier_lost(running: Running) -> None:
    running.ask("pause", carrier="alpha")
    found = running.ask("explain", to=TO)
    assert found["chosen"] == "beta"
    assert found["offers"][0]["reason"] == "it is paused"


def test_explain_counts_the_segments_and_what_they_cost(running: Running) -> None:
    found = running.ask("explain", to=TO, text="я" * 100)
    assert (found["encoding"], found["segments"]) == ("ucs2", 2)
    assert found["offers"][0]["total"] == "0.0200"


def test_explain_shows_what_a_pin_and_a_bound_rule_out(running: Running) -> None:
    pinned = running.ask("explain", to=TO, carrier="beta")
    assert (pinned["chosen"], pinned["offers"][0]["verdict"]) == ("beta", "out")
    bound = running.ask("explain", to=TO, max_cost="0.0050")
    assert (bound["chosen"], bound["blocked_by"]) == (None, "cost_over_max")


def test_explain_of_what_is_no_number_says_what_to_write(running: Running) -> None:
    found = running.ask("explain", to="12345")
    assert (found["blocked_by"], found["offers"]) == ("invalid_destination", [])
    assert "+CC" in found["reason"]


def test_routes_are_shown_as_their_file_has_them(running: Running) -> None:
    found = running.ask("routes")
    assert [route["prefix"] for route in found["routes"]] == ["", "", "49"]
    assert (found["currency"], found["fallback"], found["sheets"]) == ("USD", False, [])


# -- pause, resume, drain ---------------------------------------------------------------------


def test_paused_carrier_gets_nothing_until_it_is_resumed(running: Running) -> None:
    assert running.ask("pause", carrier="beta")["was"] == "running"
    running.submit("m-1", to="+4915112345678")
    running.daemon.wait_until(
        lambda: "held" in running.told("m-1"), "told that it is held", START_SECONDS_MAX
    )
    assert running.state("m-1") == "queued"
    assert running.ask("query", ref="m-1")["held"] == "carrier_paused"
    assert running.ask("resume", carrier="beta")["was"] == "paused"
    running.wait_for("m-1", "delivered")
    assert running.ask("query", ref="m-1")["held"] is None


def test_pause_outlives_the_daemon(running: Running) -> None:
    running.ask("pause", carrier="alpha")
    running.daemon.kill()
    running.daemon = running.site.start_daemon()
    assert running.carrier("alpha")["mode"] == "paused"
    running.submit("m-1")
    assert running.wait_for("m-1", "delivered")["carrier"] == "beta"


def test_what_waits_for_a_paused_carrier_goes_to_the_next_offer(running: Running) -> None:
    running.ask("pause", carrier="alpha")
    running.submit("m-1")
    assert running.wait_for("m-1", "delivered")["carrier"] == "beta"


def test_drained_carrier_unbinds_and_comes_back_when_resumed(running: Running) -> None:
    assert running.ask("drain", carrier="alpha")["mode"] == "drained"
    running.daemon.wait_until(
        lambda: running.carrier("alpha")["binds"][0]["reason"] == "drained",
        "unbound",
        START_SECONDS_MAX,
    )
    assert running.carrier("alpha")["binds"][0]["state"] == "down"
    running.submit("m-1")
    assert running.wait_for("m-1", "delivered")["carrier"] == "beta"
    running.ask("resume", carrier="alpha")
    running.daemon.wait_until(
        lambda: running.carrier("alpha")["healthy"], "healthy", START_SECONDS_MAX
    )
    running.submit("m-2")
    assert running.wait_for("m-2", "delivered")["carrier"] == "alpha"


def test_drain_of_the_daemon_is_answered_and_ends_it_in_order(running: Running) -> None:
    running.submit("m-1")
    running.wait_for("m-1", "delivered")
    assert running.ask("drain") == {
        "type": "mode",
        "carrier": None,
        "mode": "draining",
        "was": "running",
    }
    assert running.daemon.wait() == 0


def test_a_second_drain_of_the_daemon_does_not_cut_the_first_short(tmp_path: Path) -> None:
    (tmp_path / "mute.toml").write_text("lose_response_rate = 1\n")
    patient = {"drain_timeout": 3_600}
    with Site(tmp_path, carriers={"alpha": {"response_timer": 3_600}}, daemon=patient) as site:
        site.start_simulator("--profile", "mute.toml")
        daemon = site.start_daemon()
        site.wait_bound(daemon)
        line = {"type": "submit", "ref": "m-1", "to": TO, "from": "ACME", "text": "hello"}
        assert ask(site.socket, line)["type"] == "accepted"
        daemon.wait_for_output("bind_up")
        assert ask(site.socket, {"type": "drain"})["was"] == "running"
        daemon.wait_for_output("draining")
        assert ask(site.socket, {"type": "drain"})["was"] == "draining"
        assert site.status()["draining"] is True
        assert "hurrying" not in daemon.output()
        assert daemon.stop() == 0


def test_lines_behind_a_drain_find_the_daemon_draining(tmp_path: Path) -> None:
    (tmp_path / "mute.toml").write_text("lose_response_rate = 1\n")
    patient = {"drain_timeout": 3_600}
    with Site(tmp_path, carriers={"alpha": {"response_timer": 3_600}}, daemon=patient) as site:
        site.start_simulator("--profile", "mute.toml")
        daemon = site.start_daemon()
        site.wait_bound(daemon)
        line = {"type": "submit", "ref": "m-1", "to": TO, "from": "ACME", "text": "hello"}
        assert ask(site.socket, line)["type"] == "accepted"
        drain: Answer = {"type": "drain"}
        first, second, late = ask_all(site.socket, drain, drain, {**line, "ref": "m-2"})
        assert (first["was"], second["was"]) == ("running", "draining")
        assert (late["type"], late["code"]) == ("rejected", "draining")
        daemon.wait_for_output("draining")
        assert site.status()["draining"] is True
        assert "hurrying" not in daemon.output()
        assert daemon.stop() == 0


def ask_all(path: Path, *lines: Answer) -> list[Answer]:
    """Lines in one write, and the answer to each."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(START_SECONDS_MAX)
        connection.connect(str(path))
        connection.sendall(b"".join(json.dumps(line).encode() + b"\n" for line in lines))
        with connection.makefile("rb") as answers:
            return [json.loads(answers.readline()) for _ in lines]


def test_mistyped_carrier_is_answered_with_the_nearest(running: Running) -> None:
    for verb in ("pause", "resume", "drain"):
        answer = running.ask(verb, carrier="alhpa")
        assert answer["code"] == "bad_request"
        assert "did you mean 'alpha'" in answer["reason"]


# -- trace, find, cancel ----------------------------------------------------------------------


def test_trace_tells_the_whole_life_and_no_text(running: Running) -> None:
    secret = "your code is 493021"
    running.submit("m-1", text=secret)
    running.wait_for("m-1", "delivered")
    found = running.ask("trace", ref="m-1")
    steps = {step["step"]: step for step in found["steps"]}
    assert list(steps) == ["accepted", "granted", "taken", "receipt", "delivered"]
    taken = steps["taken"]
    assert (taken["carrier"], taken["segment"], taken["bind"]) == ("alpha", 1, 0)
    assert taken["command_status"] == "0x00000000"
    assert taken["sequence_number"] > 0
    assert steps["receipt"]["message_id"] == taken["message_id"]
    assert "stat:DELIVRD" in steps["receipt"]["detail"]
    assert found["message"]["text"] == ""
    assert "493021" not in str(found)
    assert [step["at"] for step in found["steps"]] == sorted(step["at"] for step in found["steps"])


def test_trace_of_what_is_not_there_says_so(running: Running) -> None:
    assert running.ask("trace", ref="nobody")["code"] == "unknown_message"
    assert running.ask("trace", id="0" * 16)["code"] == "unknown_message"


def test_find_goes_by_number_tag_state_and_time(running: Running) -> None:
    before = time.time_ns() // 1_000_000
    running.submit("m-1", tag="spring")
    running.submit("m-2", to="+4915112345678")
    running.wait_for("m-1", "delivered")
    running.wait_for("m-2", "delivered")

    def found(**wanted: object) -> list[str]:
        return [message["ref"] for message in running.ask("find", **wanted)["messages"]]

    assert found() == ["m-2", "m-1"]
    assert found(to="+49 151 12345678") == ["m-2"]
    assert found(tag="spring") == ["m-1"]
    assert found(state="delivered", limit=1) == ["m-2"]
    assert found(until=before - 1) == []
    assert found(state="failed") == []
    assert "delivered" in running.ask("find", state="delievered")["reason"]


def test_find_goes_on_before_a_message_though_many_are_of_one_millisecond(
    running: Running,
) -> None:
    refs = [f"m-{number}" for number in range(50)]
    lines = [
        {"type": "submit", "ref": ref, "to": TO, "from": "ACME", "text": "hello", "tag": "spring"}
        for ref in refs
    ]
    assert {one["type"] for one in ask_all(running.site.socket, *lines)} == {"accepted"}

    def find_all(**wanted: object) -> list[str]:
        page = running.ask("find", limit=15, **wanted)
        found = page["messages"]
        while page["more"]:
            page = running.ask("find", limit=15, before=found[-1]["id"], **wanted)
            found += page["messages"]
        return [one["ref"] for one in found]

    assert find_all() == refs[::-1]
    assert find_all(tag="spring", app="default") == refs[::-1]
    assert "'before'" in running.ask("find", before="m-1")["reason"]


def test_cancelled_message_is_never_submitted(running: Running) -> None:
    far = (time.time_ns() // 1_000_000) + 3_600_000
    running.submit("m-1", send_at=far)
    running.submit("m-2", send_at=far, tag="spring")
    running.submit("m-3", send_at=far, tag="spring")
    running.submit("m-4")
    running.wait_for("m-4", "delivered")
    assert running.ask("cancel", ref="m-1")["count"] == 1
    assert running.ask("cancel", tag="spring")["count"] == 2
    assert running.ask("cancel", ref="m-4") == {
        "type": "cancelled",
        "ref": "m-4",
        "count": 0,
        "too_late": 0,
    }
    assert running.ask("cancel", ref="nobody")["code"] == "unknown_message"
    assert running.ask("cancel", tag="nothing")["count"] == 0
    assert {running.state(ref) for ref in ("m-1", "m-2", "m-3")} == {"cancelled"}
    assert running.carrier("alpha")["taken"] == 1


def test_scheduled_message_goes_when_its_time_has_come(running: Running) -> None:
    soon = (time.time_ns() // 1_000_000) + 1_000
    running.submit("m-1", send_at=soon)
    assert running.state("m-1") == "queued"
    message = running.wait_for("m-1", "delivered")
    taken = next(s for s in running.ask("trace", ref="m-1")["steps"] if s["step"] == "taken")
    assert taken["at"] >= soon
    assert message["send_at"] == soon


def test_pin_and_bound_decide_who_takes_it(running: Running) -> None:
    running.submit("m-1", carrier="beta")
    assert running.wait_for("m-1", "delivered")["carrier"] == "beta"
    assert running.submit("m-2", carrier=["nobody"])["code"] == "unknown_carrier"
    assert running.submit("m-3", max_cost="0.0099")["code"] == "cost_over_max"


# -- doubt ------------------------------------------------------------------------------------


def test_doubtful_message_is_listed_and_resolved(tmp_path: Path) -> None:
    with Site(tmp_path, carriers={"alpha": {"response_timer": 0.5}}) as site:
        site.start_simulator("--response-delay", "30").wait_for_output("ready")
        daemon = site.start_daemon()
        site.wait_bound(daemon)
        line = {"ref": "m-1", "to": TO, "from": "ACME", "text": "x", "class": "promotional"}
        accepted: Answer = ask(site.socket, {"type": "submit", **line})

        def doubtful() -> list[Answer]:
            found: Answer = ask(site.socket, {"type": "doubtful"})
            return list(found["messages"])

        daemon.wait_until(lambda: bool(doubtful()), "in doubt", START_SECONDS_MAX)
        assert [message["ref"] for message in doubtful()] == ["m-1"]
        resolve = {"type": "resolve", "id": accepted["id"]}
        assert ask(site.socket, {**resolve, "action": "resend"})["state"] == "queued"
        assert ask(site.socket, {**resolve, "action": "drop"})["type"] == "resolved"
        unknown = ask(site.socket, {"type": "resolve", "id": "0" * 16, "action": "drop"})
        assert unknown["code"] == "unknown_message"
