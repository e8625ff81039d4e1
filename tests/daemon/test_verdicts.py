"""What a carrier means by a command_status, on a real daemon: in force at a reload, and shown."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.processes import ALPHA, START_SECONDS_MAX, Child, Site, ask, toml

BOTH = (
    {"prefix": "", "carrier": "alpha", "cost": "0.0100"},
    {"prefix": "", "carrier": "beta", "cost": "0.0200"},
)
NUMBER = "0x00000401"

Answer = dict[str, Any]


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with Site(tmp_path, carriers={"alpha": {}, "beta": {}}, routes=BOTH) as found:
        profile = tmp_path / "profile.toml"
        profile.write_text("refuse_rate = 1\nrefuse_status = 0x401\n")
        found.start_simulator("--profile", f"alpha={profile}")
        yield found


def send(site: Site, daemon: Child, ref: str) -> Answer:
    """The message as ``query`` shows it once it has gone, or failed."""
    line = {"type": "submit", "ref": ref, "to": "+8613800138000", "from": "ACME", "text": "hello"}
    assert ask(site.socket, line)["type"] == "accepted"

    def query() -> Answer:
        found: Answer = ask(site.socket, {"type": "query", "ref": ref})
        return found

    daemon.wait_until(lambda: query()["state"] != "queued", f"{ref} settled", START_SECONDS_MAX)
    return query()


def alpha(site: Site) -> Answer:
    answer: Answer = ask(site.socket, {"type": "carriers"})
    found: Answer = answer["carriers"][0]
    return found


def answers_of(site: Site, ref: str) -> list[tuple[str, str | None]]:
    """The command_status of each step that has one, and its meaning."""
    trace: Answer = ask(site.socket, {"type": "trace", "ref": ref, "app": "default"})
    return [
        (step["command_status"], step.get("meaning"))
        for step in trace["steps"]
        if "command_status" in step
    ]


def test_a_new_verdict_is_in_force_at_a_reload_without_a_new_bind_and_its_meaning_is_told(
    site: Site,
) -> None:
    daemon = site.start_daemon()
    site.wait_bound(daemon)
    since = alpha(site)["binds"][0]["since"]

    assert send(site, daemon, "m-1")["carrier"] == "beta"
    assert answers_of(site, "m-1") == [(NUMBER, None), ("0x00000000", None)]
    assert alpha(site)["statuses"] == {NUMBER: 1}
    assert alpha(site)["meanings"][NUMBER].startswith("the carrier's own: credit")

    keys = {**ALPHA, "port": site.ports["alpha"]}
    text = "".join(f"{key} = {toml(value)}\n" for key, value in keys.items())
    text += '[status."0x401"]\nverdict = "refuse"\nmeaning = "taken for spam"\n'
    (site.directory / "carriers/alpha.toml").write_text(text, encoding="utf-8")
    reloaded: Answer = ask(site.socket, {"type": "reload"})
    (change,) = reloaded["changes"]
    assert change["detail"] == "status 0x401 none -> refuse (taken for spam)"

    failed = send(site, daemon, "m-2")
    assert (failed["state"], failed["failure"]) == ("failed", "rejected_by_carrier")
    assert failed["status"] == NUMBER
    assert answers_of(site, "m-2") == [(NUMBER, "taken for spam")]
    assert alpha(site)["meanings"] == {NUMBER: "taken for spam"}
    assert alpha(site)["binds"][0]["since"] == since
