"""What phones answer on a real daemon: joined, to the app whose rule fits, with its thread."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from smppd.config import load
from smppd.daemon.build import build_profile
from tests.config.house import CARRIER, write_config
from tests.processes import ROUTES, STOP_SECONDS_MAX, Site

Event = dict[str, Any]

PHONE = "+491701234567"
LONG = "HELP " + "me with this order, please. " * 8
PROFILE = f"""
[[reply]]
contains = "long"
text = "{LONG}"
[[reply]]
contains = "short"
text = "thanks"
"""
RULE = '[[inbound]]\nkeyword = "help"\ndestination = "12345"\napp = "crm"\n'


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    apps = {"shop": {"uid": os.getuid(), "inbound": True}, "crm": {"uid": os.getuid() + 1}}
    with Site(tmp_path, apps=apps) as found:
        set_rule(found, RULE)
        (tmp_path / "phones.toml").write_text(PROFILE, encoding="utf-8")
        found.start_simulator("--profile", str(tmp_path / "phones.toml"))
        yield found


def set_rule(site: Site, rule: str) -> None:
    site.write_routes(ROUTES)
    with (site.directory / "routing.toml").open("a", encoding="utf-8") as routing:
        routing.write(rule)


def submit(site: Site, ref: str, text: str) -> str:
    line = {"type": "submit", "ref": ref, "to": PHONE, "from": "12345", "text": text, "tag": "t"}
    return str(say(site, "shop", line)["id"])


def say(site: Site, app: str, line: Event) -> Event:
    """One request as an app; its answer."""
    return talk(site, app, line, 1)[0]


def talk(site: Site, app: str, line: Event, count: int) -> list[Event]:
    """A request as an app, and ``count`` lines of what it brings."""
    hello = {"type": "hello", "app": app}
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(STOP_SECONDS_MAX)
        connection.connect(str(site.socket))
        connection.sendall(msgspec.json.encode(hello) + b"\n" + msgspec.json.encode(line) + b"\n")
        with connection.makefile("rb") as answers:
            lines = [answers.readline() for _ in range(count + 1)]
    return [msgspec.json.decode(one) for one in lines[1:]]


def next_inbound(site: Site, app: str, after: int) -> Event:
    line = {"type": "subscribe", "after": after, "kinds": ["inbound"]}
    subscribed, event = talk(site, app, line, 2)
    assert subscribed["type"] == "subscribed"
    return event


def test_carrier_says_how_long_segments_wait(tmp_path: Path) -> None:
    carrier = CARRIER + "inbound_timeout = 1.5\n"
    config = load(write_config(tmp_path, carrier=carrier))
    assert build_profile(config.carriers["alpha"]).inbound_timeout == 1_500


def test_reply_is_joined_and_goes_where_its_rule_says_until_a_reload_says_otherwise(
    site: Site,
) -> None:
    daemon = site.start_daemon()
    site.wait_bound(daemon)
    submit(site, "a", "a long answer?")
    told = next_inbound(site, "crm", 0)
    assert (told["text"], told["segments"], told["complete"]) == (LONG, 2, True)
    assert (told["from"], told["to"], told["ref"]) == (PHONE[1:], "12345", None)
    assert "reply_to" not in told
    set_rule(site, RULE.replace("help", "sos"))
    changes = reload(site)
    assert [(one["what"], one["name"], one["how"]) for one in changes] == [
        ("inbound", "destination 12345, keyword help", "removed"),
        ("inbound", "destination 12345, keyword sos", "added"),
    ]
    first = submit(site, "b", "a long answer?")
    told = next_inbound(site, "shop", 0)
    assert told["text"] == LONG
    assert told["reply_to"] == {"id": first, "ref": "b", "tag": "t"}
    second = submit(site, "c", "a short answer?")
    assert daemon.stop() == 0, daemon.tail()
    site.start_daemon()
    told = next_inbound(site, "shop", int(told["seq"]))
    assert (told["text"], told["reply_to"]["id"]) == ("thanks", second)


def reload(site: Site) -> list[Event]:
    changes = say(site, "shop", {"type": "reload"})["changes"]
    assert isinstance(changes, list)
    return changes
