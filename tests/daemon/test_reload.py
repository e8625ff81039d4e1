"""Reload on a real daemon, with traffic running: whole or not at all, and nothing is lost."""

from __future__ import annotations

import os
import signal
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from smppd.demo.stage import free_ports
from tests.processes import ALPHA, START_SECONDS_MAX, Child, Site, ask, toml

TO = "+8613800138000"
BETA_ONLY = ({"prefix": "", "carrier": "beta", "cost": "0.0200"},)
BOTH = (
    {"prefix": "", "carrier": "alpha", "cost": "0.0100"},
    {"prefix": "", "carrier": "beta", "cost": "0.0200"},
)

Answer = dict[str, Any]


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with Site(tmp_path, carriers={"alpha": {}, "beta": {}}, routes=BOTH) as found:
        found.start_simulator()
        yield found


def write(site: Site, name: str, table: dict[str, object]) -> None:
    text = "".join(f"{key} = {toml(value)}\n" for key, value in table.items())
    (site.directory / name).write_text(text, encoding="utf-8")


def write_routes(site: Site, routes: object) -> None:
    write(site, "routing.toml", {"currency": "USD", "route": routes})


def write_carrier(site: Site, name: str, **keys: object) -> None:
    write(site, f"carriers/{name}.toml", {**ALPHA, "port": site.ports[name], **keys})


def reload(site: Site) -> Answer:
    return ask(site.socket, {"type": "reload"})


def submit(site: Site, ref: str, **fields: object) -> Answer:
    line = {"type": "submit", "ref": ref, "to": TO, "from": "ACME", "text": "hello", **fields}
    return ask(site.socket, line)


def query(site: Site, ref: str) -> Answer:
    return ask(site.socket, {"type": "query", "ref": ref})


def carriers(site: Site) -> dict[str, Answer]:
    answer: Answer = ask(site.socket, {"type": "carriers"})
    return {carrier["name"]: carrier for carrier in answer["carriers"]}


def wait_for(daemon: Child, site: Site, ref: str, state: str) -> Answer:
    daemon.wait_until(
        lambda: query(site, ref)["state"] == state, f"{ref} {state}", START_SECONDS_MAX
    )
    return query(site, ref)


def wait_healthy(daemon: Child, site: Site, *names: str) -> None:
    def are_healthy() -> bool:
        found = carriers(site)
        return all(name in found and found[name]["healthy"] for name in names)

    daemon.wait_until(are_healthy, f"{names} healthy", START_SECONDS_MAX)


def test_reload_of_nothing_new_changes_nothing(site: Site) -> None:
    daemon = site.start_daemon()
    site.wait_bound(daemon)
    before = carriers(site)["alpha"]["binds"][0]["since"]
    answer = reload(site)
    assert (answer["ok"], answer["changes"], answer["problems"]) == (True, [], [])
    assert carriers(site)["alpha"]["binds"][0]["since"] == before


def test_reload_tells_a_warning_once_and_status_always(site: Site) -> None:
    daemon = site.start_daemon()
    site.wait_bound(daemon)
    write_carrier(site, "beta", throughput=10_000)
    (told,) = reload(site)["warnings"]
    assert "out of reach" in told
    assert reload(site)["warnings"] == []
    assert site.status()["warnings"] == [told]


def test_reload_moves_a_prefix_to_another_carrier_and_says_so(site: Site) -> None:
    daemon = site.start_daemon()
    site.wait_bound(daemon)
    assert wait_for_sent(daemon, site, "before") == "alpha"
    write_routes(site, BETA_ONLY)
    changes = reload(site)["changes"]
    assert [(one["what"], one["how"]) for one in changes] == [("route", "removed")]
    assert wait_for_sent(daemon, site, "after") == "beta"


def wait_for_sent(daemon: Child, site: Site, ref: str) -> str:
    assert submit(site, ref)["type"] == "accepted"
    return str(wait_for(daemon, site, ref, "delivered")["carrier"])


def test_reload_of_a_broken_file_leaves_the_old_configuration_in_force(site: Site) -> None:
    daemon = site.start_daemon()
    site.wait_bound(daemon)
    good = (site.directory / "routing.toml").read_text()
    (site.directory / "routing.toml").write_text(good.replace('"alpha"', '"aplha"'))
    answer = reload(site)
    assert answer["ok"] is False
    assert answer["changes"] == []
    (problem,) = answer["problems"]
    assert problem["file"] == "routing.toml"
    assert "alpha" in problem["remedy"]
    assert wait_for_sent(daemon, site, "m-1") == "alpha"
    (site.directory / "routing.toml").write_text("route = [")
    assert reload(site)["ok"] is False
    (site.directory / "routing.toml").write_text(good)
    assert reload(site)["ok"] is True


BREAKS: Answer = {
    "syntax": ("route = [", "routing.toml", ""),
    "unknown carrier": (
        'route = [{prefix = "", carrier = "aplha", cost = "1"}]',
        "routing.toml",
        "carrier",
    ),
    "overlap": (
        'route = [{prefix = "4", carrier = "beta", cost = "1"}, '
        '{prefix = "4", carrier = "beta", cost = "2"}]',
        "routing.toml",
        "route[2]",
    ),
    "negative price": (
        'route = [{prefix = "", carrier = "beta", cost = "-1"}]',
        "routing.toml",
        "cost",
    ),
}
"""How a routing.toml can be wrong: its second line, and the file and key that are named."""


def test_every_kind_of_broken_routing_is_refused_with_its_place_and_shown_in_the_metrics(
    tmp_path: Path,
) -> None:
    (port,) = free_ports(1)
    metrics = {"metrics": f"127.0.0.1:{port}"}
    with Site(tmp_path, carriers={"alpha": {}, "beta": {}}, routes=BOTH, daemon=metrics) as site:
        site.start_simulator()
        daemon = site.start_daemon()
        site.wait_bound(daemon)
        good = (site.directory / "routing.toml").read_text()
        for kind, (text, file, key) in BREAKS.items():
            (site.directory / "routing.toml").write_text(f'currency = "USD"\n{text}\n')
            answer = reload(site)
            assert answer["ok"] is False, kind
            problem = answer["problems"][0]
            assert problem["file"] == file
            assert problem["line"] == (3 if kind == "syntax" else 2), problem
            assert key in problem["key"], problem
            assert problem["remedy"], problem
            assert "smppd_config_reload_success 0.0" in read_metrics(port)
        assert wait_for_sent(daemon, site, "m-1") == "alpha"
        (site.directory / "routing.toml").write_text(good)
        assert reload(site)["ok"] is True
        assert "smppd_config_reload_success 1.0" in read_metrics(port)


def read_metrics(port: int) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=20) as page:
        text: str = page.read().decode()
    return text


def test_one_bad_carrier_keeps_every_other_change_out(site: Site) -> None:
    daemon = site.start_daemon()
    site.wait_bound(daemon)
    write_routes(site, BETA_ONLY)
    write_carrier(site, "beta", windw=5)
    answer = reload(site)
    assert answer["ok"] is False
    assert "window" in answer["problems"][0]["remedy"]
    assert wait_for_sent(daemon, site, "m-1") == "alpha"


def test_sighup_reloads(site: Site) -> None:
    daemon = site.start_daemon()
    site.wait_bound(daemon)
    write_routes(site, BETA_ONLY)
    daemon.send_signal(signal.SIGHUP)
    daemon.wait_for_output('"reloaded"')
    assert wait_for_sent(daemon, site, "m-1") == "beta"
    (site.directory / "smppd.toml").write_text("[daemon\n")
    daemon.send_signal(signal.SIGHUP)
    daemon.wait_for_output('"reload_refused"')
    assert wait_for_sent(daemon, site, "m-2") == "beta"


def test_a_removed_carrier_hands_what_waits_for_it_to_the_others(site: Site) -> None:
    write_carrier(site, "alpha", port=1)  # nobody listens there
    daemon = site.start_daemon()
    ask(site.socket, {"type": "pause", "carrier": "beta"})
    assert submit(site, "waits")["type"] == "accepted"
    assert submit(site, "pinned", carrier="alpha")["type"] == "accepted"
    assert query(site, "waits")["state"] == "queued"
    write_routes(site, BETA_ONLY)
    (site.directory / "carriers/alpha.toml").unlink()
    assert reload(site)["ok"] is True
    ask(site.socket, {"type": "resume", "carrier": "beta"})
    assert wait_for(daemon, site, "waits", "delivered")["carrier"] == "beta"
    assert wait_for(daemon, site, "pinned", "failed")["failure"] == "no_route_left"
    daemon.wait_until(lambda: list(carriers(site)) == ["beta"], "without alpha", START_SECONDS_MAX)


def test_an_added_carrier_is_bound_and_used(tmp_path: Path) -> None:
    with Site(tmp_path, carriers={"alpha": {}, "beta": {}}) as site:
        beta = (site.directory / "carriers/beta.toml").read_text()
        site.start_simulator()
        (site.directory / "carriers/beta.toml").unlink()
        daemon = site.start_daemon()
        site.wait_bound(daemon)
        assert list(carriers(site)) == ["alpha"]
        (site.directory / "carriers/beta.toml").write_text(beta)
        write_routes(site, BETA_ONLY)
        assert reload(site)["ok"] is True
        wait_healthy(daemon, site, "beta")
        assert wait_for_sent(daemon, site, "m-1") == "beta"


def test_a_changed_carrier_gets_new_binds_and_only_it(site: Site) -> None:
    daemon = site.start_daemon()
    site.wait_bound(daemon)
    beta_since = carriers(site)["beta"]["binds"][0]["since"]
    write_carrier(site, "alpha", binds=3, window=7)
    (change,) = reload(site)["changes"]
    assert (change["what"], change["name"], change["how"]) == ("carrier", "alpha", "changed")
    assert "window" in change["detail"]

    def are_three_up() -> bool:
        binds = carriers(site)["alpha"]["binds"]
        return [(bind["state"], bind["window"]) for bind in binds] == [("bound", 7)] * 3

    daemon.wait_until(are_three_up, "three binds", START_SECONDS_MAX)
    assert carriers(site)["beta"]["binds"][0]["since"] == beta_since
    assert wait_for_sent(daemon, site, "m-1") == "alpha"


def test_a_new_throughput_is_taken_over_without_a_new_bind(site: Site) -> None:
    daemon = site.start_daemon()
    site.wait_bound(daemon)
    since = carriers(site)["alpha"]["binds"][0]["since"]
    write_carrier(site, "alpha", throughput=25)
    assert reload(site)["ok"] is True
    alpha = carriers(site)["alpha"]
    assert (alpha["throughput"], alpha["pace"]) == (25, 25)
    assert alpha["binds"][0]["since"] == since


def test_apps_are_exchanged_and_the_socket_is_not(site: Site) -> None:
    daemon = site.start_daemon()
    site.wait_bound(daemon)
    own = {
        "daemon": {"map_size": "1GiB", "socket": "run/other.sock"},
        "apps": {"shop": {"uid": os.getuid(), "default_sender": "SHOP"}},
    }
    write(site, "smppd.toml", own)
    changes = {(one["what"], one["how"]) for one in reload(site)["changes"]}
    assert ("daemon", "needs_restart") in changes
    assert ("app", "added") in changes
    line = {"type": "submit", "ref": "m-1", "to": TO, "text": "hello"}
    refused = ask(site.socket, line)
    assert (refused["type"], refused.get("code")) == ("accepted", None)


def test_traffic_goes_on_through_reloads_that_replace_its_binds(site: Site) -> None:
    """Every message of a stream has one submit_sm the carrier took, whatever is reloaded."""
    daemon = site.start_daemon()
    site.wait_bound(daemon)
    refs = []
    for turn in range(4):
        for number in range(50):
            refs.append(f"m-{turn}-{number}")
            assert submit(site, refs[-1])["type"] == "accepted"
        write_carrier(site, "alpha", window=20 + turn)
        assert reload(site)["ok"] is True
    for ref in refs:
        message = wait_for(daemon, site, ref, "delivered")
        assert not message["maybe_duplicate"], message
    store: Answer = ask(site.socket, {"type": "status"})["store"]  # type: ignore[assignment]
    assert store["told"] == {"sent": 200, "delivered": 200}
    assert daemon.stop() == 0


def test_a_carrier_taken_away_and_put_back_while_it_drains_is_served_again(site: Site) -> None:
    daemon = site.start_daemon()
    site.wait_bound(daemon)
    alpha = site.directory / "carriers/alpha.toml"
    text = alpha.read_text()
    write_routes(site, BETA_ONLY)
    alpha.unlink()
    assert reload(site)["ok"] is True
    alpha.write_text(text)
    write_routes(site, BOTH)
    assert reload(site)["ok"] is True
    wait_healthy(daemon, site, "alpha", "beta")
    assert wait_for_sent(daemon, site, "m-1") == "alpha"


def test_keys_that_need_a_restart_are_named_by_every_reload_until_then(site: Site) -> None:
    daemon = site.start_daemon()
    site.wait_bound(daemon)
    write(site, "smppd.toml", {"daemon": {"map_size": "2GiB", "reserve": "1MiB"}})
    for _ in range(2):
        assert [(one["name"], one["how"]) for one in reload(site)["changes"]] == [
            ("map_size", "needs_restart")
        ]
    write(site, "smppd.toml", {"daemon": {"map_size": "1GiB", "reserve": "1MiB"}})
    assert reload(site)["changes"] == []


def test_a_new_reserve_and_backlog_count_from_the_reload_on(site: Site) -> None:
    daemon = site.start_daemon()
    site.wait_bound(daemon)
    write(site, "smppd.toml", {"daemon": {"map_size": "1GiB", "reserve": "64TiB"}})
    assert reload(site)["ok"] is True
    refused = submit(site, "m-1")
    assert (refused["type"], refused["code"]) == ("rejected", "storage_full")
    assert refused["retry_after"] > 0
    write(site, "smppd.toml", {"daemon": {"map_size": "1GiB"}})
    assert reload(site)["ok"] is True
    assert wait_for_sent(daemon, site, "m-1") == "alpha"


def test_a_throttled_pace_outlasts_the_binds_it_was_learned_on(tmp_path: Path) -> None:
    (tmp_path / "busy.toml").write_text("throttle_rate = 1\n")
    with Site(tmp_path, carriers={"alpha": {"throughput": 200}}) as site:
        site.start_simulator("--profile", "busy.toml")
        daemon = site.start_daemon()
        site.wait_bound(daemon)
        assert submit(site, "m-1")["type"] == "accepted"
        daemon.wait_until(
            lambda: carriers(site)["alpha"]["throttled"] > 0, "throttled", START_SECONDS_MAX
        )
        write_carrier(site, "alpha", throughput=200, window=9)
        assert reload(site)["ok"] is True
        daemon.wait_until(
            lambda: carriers(site)["alpha"]["binds"][0]["window"] == 9, "bound", START_SECONDS_MAX
        )
        assert carriers(site)["alpha"]["pace"] < 200


def test_binds_wind_down_within_the_drain_timeout_of_the_reload(tmp_path: Path) -> None:
    """A carrier that never answers is taken away: its last bind ends as the new file says."""
    (tmp_path / "mute.toml").write_text("lose_response_rate = 1\n")
    patient = {"drain_timeout": 3_600}
    slow = {"response_timer": 3_600}
    with Site(tmp_path, carriers={"alpha": slow, "beta": {}}, routes=BOTH, daemon=patient) as site:
        site.start_simulator("--profile", "alpha=mute.toml")
        daemon = site.start_daemon()
        site.wait_bound(daemon)
        assert submit(site, "m-1")["type"] == "accepted"
        daemon.wait_until(
            lambda: carriers(site)["alpha"]["binds"][0]["outstanding"] == 1,
            "on the wire",
            START_SECONDS_MAX,
        )
        write(site, "smppd.toml", {"daemon": {"map_size": "1GiB", "drain_timeout": 0}})
        write_routes(site, BETA_ONLY)
        (site.directory / "carriers/alpha.toml").unlink()
        assert reload(site)["ok"] is True
        daemon.wait_until(lambda: "alpha" not in carriers(site), "alpha gone", START_SECONDS_MAX)


def test_what_a_message_cost_stays_in_the_currency_it_was_sent_for(site: Site) -> None:
    daemon = site.start_daemon()
    site.wait_bound(daemon)
    wait_for_sent(daemon, site, "before")
    write(site, "routing.toml", {"currency": "EUR", "route": BOTH})
    assert reload(site)["ok"] is True
    wait_for_sent(daemon, site, "after")
    assert query(site, "before")["currency"] == "USD"
    assert query(site, "after")["currency"] == "EUR"
