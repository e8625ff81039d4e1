"""status, carriers, routes, explain, trace and find against a real daemon."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from smppd import terminal
from tests.ctl.house import DOUBT_TO, TO, Desk, call
from tests.processes import toml


def test_status_shows_a_line_per_bind_between_tabs(desk: Desk) -> None:
    said = desk.call("status")
    lines = said.out.splitlines()
    header, alpha = lines[-4:-2]
    assert said.code == terminal.OK
    assert header.split("\t")[:4] == ["carrier", "healthy", "bind", "state"]
    assert alpha.split("\t")[:4] == ["alpha", "yes", "0", "bound"]


def test_status_with_json_is_the_daemons_answer(desk: Desk) -> None:
    found = desk.call_json("status")
    assert found["type"] == "status"
    assert [carrier["name"] for carrier in found["carriers"]] == ["alpha", "beta", "gamma"]


def test_status_is_asked_for_as_the_app_that_is_named(desk: Desk) -> None:
    assert desk.call("--app", "default", "status").code == terminal.OK
    assert desk.call("--app", "nobody", "status").code == terminal.USAGE


def test_carriers_are_a_line_each_with_all_that_is_known(desk: Desk) -> None:
    desk.send("carriers-1", "--wait")
    header, alpha, *_ = desk.call("carriers").out.splitlines()
    row = dict(zip(header.split("\t"), alpha.split("\t"), strict=True))
    assert (row["carrier"], row["mode"], row["bound"]) == ("alpha", "running", "1/1")
    assert int(row["taken"]) >= 1
    assert row["address"] == f"127.0.0.1:{desk.site.ports['alpha']}"


def test_routes_are_shown_in_the_order_of_their_file(desk: Desk) -> None:
    assert desk.call("routes").out.splitlines() == [
        "prefix\tcarrier\tcost\tsheet",
        "49\talpha\t0.0100\t-",
        "49\tbeta\t0.0200\t-",
        "44\tgamma\t0.0300\t-",
    ]
    assert desk.call_json("routes")["type"] == "routes"


# -- routes test, explain ---------------------------------------------------------------------


def test_numbers_are_tested_a_line_each_and_masked(desk: Desk) -> None:
    said = desk.call("routes", "test", TO, "+49 30 901820")
    rows = [line.split("\t") for line in said.out.splitlines()]
    assert said.code == terminal.OK
    assert rows[1][:7] == ["+4915****6789", "DE", "mobile", "49", "alpha", "0.0100", "USD"]
    assert rows[1][7] == "beta"
    assert TO not in said.out


def test_number_that_goes_nowhere_is_exit_1_with_the_reason(desk: Desk) -> None:
    said = desk.call("routes", "test", TO, "+33612345678", "12")
    assert said.code == terminal.FAILED
    assert "no_route: " in said.out
    assert "invalid_destination: " in said.out


def test_numbers_with_json_are_an_explained_each(desk: Desk) -> None:
    said = desk.call("routes", "test", TO, DOUBT_TO, "--json", "--reveal")
    found = [json.loads(line) for line in said.out.splitlines()]
    assert [(one["type"], one["to"]) for one in found] == [
        ("explained", TO),
        ("explained", DOUBT_TO),
    ]


def test_explain_says_of_every_offer_why_it_won_or_lost(desk: Desk) -> None:
    said = desk.call("explain", TO, "--max-cost", "0.015")
    first, second, _, alpha, beta = said.out.splitlines()
    assert said.code == terminal.OK
    assert first == "+4915****6789  DE mobile  prefix 49  1 segment gsm7"
    assert second == "goes to alpha for 0.0100 USD"
    assert alpha.split("\t")[-2:] == ["chosen", "the cheapest that is healthy"]
    assert beta.split("\t")[-2:] == ["out", "dearer than 'max_cost'"]


def test_explain_of_what_would_be_rejected_is_exit_1(desk: Desk) -> None:
    said = desk.call("explain", TO, "--max-cost", "0.001")
    assert said.code == terminal.FAILED
    assert "goes nowhere: cost_over_max" in said.out


# -- routes diff ------------------------------------------------------------------------------


@pytest.fixture
def routing(desk: Desk, tmp_path: Path) -> Path:
    """A routing.toml where beta is cheaper, and gamma's prefix gone."""
    routes = [
        {"prefix": "49", "carrier": "alpha", "cost": "0.0100"},
        {"prefix": "49", "carrier": "beta", "cost": "0.0090"},
        {"prefix": "1", "carrier": "beta", "cost": "0.0080"},
    ]
    path = tmp_path / "new.toml"
    path.write_text(f'currency = "USD"\nroute = {toml(routes)}\n')
    return path


def test_diff_names_the_prefixes_that_move_and_the_difference(desk: Desk, routing: Path) -> None:
    said = desk.call("routes", "diff", str(routing))
    assert said.code == terminal.OK
    assert [line.split("\t") for line in said.out.splitlines()[1:]] == [
        ["1", "-", "-", "beta", "0.0080", "-", "USD"],
        ["44", "gamma", "0.0300", "-", "-", "-", "USD"],
        ["49", "alpha", "0.0100", "beta", "0.0090", "-0.0010", "USD"],
    ]


def test_diff_with_json_is_a_move_a_line(desk: Desk, routing: Path) -> None:
    said = desk.call("routes", "diff", str(routing), "--json")
    assert json.loads(said.out.splitlines()[2]) == {
        "type": "move",
        "prefix": "49",
        "old": {"carrier": "alpha", "cost": "0.0100", "currency": "USD"},
        "new": {"carrier": "beta", "cost": "0.0090", "currency": "USD"},
        "difference": "-0.0010",
    }


def test_diff_needs_no_daemon_and_no_password(routing: Path, tmp_path: Path) -> None:
    (tmp_path / "carriers").mkdir()
    for name in ("alpha", "beta"):
        (tmp_path / "carriers" / f"{name}.toml").write_text('password_file = "/nowhere"\n')
    (tmp_path / "routing.toml").write_text(routing.read_text())
    said = call("--config", str(tmp_path), "routes", "diff", str(routing))
    assert said.code == terminal.OK
    assert len(said.out.splitlines()) == 1


def test_diff_of_a_file_with_problems_is_exit_78_with_every_one(desk: Desk, tmp_path: Path) -> None:
    path = tmp_path / "new.toml"
    path.write_text('currency = "USD"\n[[route]]\nprefix = "+49"\ncarrier = "delta"\ncost = 1\n')
    said = desk.call("routes", "diff", str(path))
    assert (said.code, said.out) == (terminal.BAD_CONFIG, "")
    assert f"{path}:3: route[1].prefix" in said.err
    assert "3 problems" in said.err


# -- trace, find ------------------------------------------------------------------------------


def test_trace_is_the_whole_life_by_id_and_by_ref(desk: Desk) -> None:
    message_id = desk.send("trace-1", "--wait")
    by_id, by_ref = desk.call("trace", message_id), desk.call("trace", "trace-1")
    rows = [line.split("\t") for line in by_id.out.splitlines()[4:]]
    steps = {row[2]: row for row in rows}
    assert by_id.code == by_ref.code == terminal.OK
    assert by_id.out == by_ref.out
    assert [row[2] for row in rows] == ["accepted", "granted", "taken", "receipt", "delivered"]
    assert (steps["taken"][4], steps["taken"][6]) == ("alpha/0", "ESME_ROK")
    assert steps["taken"][5].isdigit()
    assert "stat:DELIVRD" in steps["receipt"][8]


def test_trace_shows_no_number_and_no_words_of_the_message(desk: Desk) -> None:
    message_id = desk.send("trace-2", "--wait")
    for arguments in (("trace", message_id), ("trace", message_id, "--json")):
        said = desk.call(*arguments)
        assert TO not in said.out
        assert "Hallo" not in said.out
    assert TO in desk.call("trace", message_id, "--reveal").out


def test_trace_of_a_ref_that_looks_like_an_id_finds_it(desk: Desk) -> None:
    desk.send("00000000000000aa")
    assert desk.call("trace", "00000000000000aa").code == terminal.OK


def test_trace_of_what_there_is_not_is_exit_4(desk: Desk) -> None:
    said = desk.call("trace", "never-was")
    assert said.code == terminal.NOT_FOUND
    assert "smppctl find" in said.err


def test_find_is_by_number_tag_state_and_time_newest_first(desk: Desk) -> None:
    first = desk.send("find-1", "--tag", "found", "--send-at", "1h", to="+4930901820")
    second = desk.send("find-2", "--tag", "found", "--send-at", "1h", to="+4930901820")
    said = desk.call("find", "+49 30 901820", "--tag", "found", "--state", "queued")
    rows = [line.split("\t") for line in said.out.splitlines()]
    assert said.code == terminal.OK
    assert [row[0] for row in rows[1:]] == [second, first]
    assert rows[1][2] == "+493****820"
    assert desk.call("find", "--tag", "found", "--until", "1h").code == terminal.NOT_FOUND


def test_find_that_reaches_its_limit_says_how_to_go_on(desk: Desk) -> None:
    for number in range(3):
        desk.send(f"many-{number}", "--tag", "many", "--send-at", "1h")
    said = desk.call("find", "--tag", "many", "--limit", "2")
    assert len(said.out.splitlines()) == 3
    found = desk.call_json("find", "--tag", "many", "--limit", "2")
    last = found["messages"][-1]["id"]
    assert found["more"] is True
    assert f"go on with --before {last}" in said.err
    assert len(desk.call_json("find", "--tag", "many", "--before", last)["messages"]) == 1


def test_find_of_a_state_that_is_none_is_exit_2_with_the_nearest(desk: Desk) -> None:
    said = desk.call("find", "--state", "deliverd")
    assert said.code == terminal.USAGE
    assert "did you mean 'delivered'?" in said.err


def test_find_of_a_time_that_is_none_is_exit_2(desk: Desk) -> None:
    said = desk.call("find", "--since", "yesterday")
    assert said.code == terminal.USAGE
    assert "--since" in said.err
