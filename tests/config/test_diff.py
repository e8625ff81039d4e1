"""What a reload changes is said a thing a line, and never with a password."""

from __future__ import annotations

from pathlib import Path

import pytest

from smppd.config import Config, ConfigChange, compare, load
from smppd.config.diff import CHANGES_MAX
from tests.config.house import CARRIER, ROUTING, add_carrier, write_config

PRICED = 'currency = "USD"\n[[route]]\nprefix = "49"\ncarrier = "alpha"\n'
SHEET = '[[prices]]\ncarrier = "alpha"\nfile = "alpha.csv"\n'


@pytest.fixture
def old(tmp_path: Path) -> Config:
    return load(write_config(tmp_path))


def changed(directory: Path, name: str, text: str) -> Config:
    (directory / name).write_text(text, encoding="utf-8")
    return load(directory)


def test_same_configuration_has_no_change(old: Config) -> None:
    assert compare(old, load(old.directory)) == []


@pytest.mark.parametrize(
    ("text", "change"),
    [
        ("[daemon]\ndrain_timeout = 5\n", ("daemon", "drain_timeout", "changed", "30 -> 5")),
        (
            '[daemon]\nmetrics = "127.0.0.1:9464"\n',
            ("daemon", "metrics", "needs_restart", "none -> 127.0.0.1:9464"),
        ),
        (
            '[daemon]\nmap_size = "1GiB"\n',
            ("daemon", "map_size", "needs_restart", "68719476736 -> 1073741824"),
        ),
        ('[retention]\nrefs = "1d"\n', ("retention", "", "changed", "refs 604800 -> 86400")),
        (
            "[classes.promotional]\nweight = 2\nvalid_for = 60\n",
            ("class", "promotional", "changed", "valid_for 172800 -> 60, weight 1 -> 2"),
        ),
        ("[apps.shop]\nuid = 1\n", ("app", "shop", "added", "")),
    ],
)
def test_change_of_the_daemon_file_is_named(
    old: Config, text: str, change: tuple[str, str, str, str]
) -> None:
    new = changed(old.directory, "smppd.toml", text)

    assert compare(old, new) == [ConfigChange(*change)]


def test_socket_and_state_need_a_restart(old: Config) -> None:
    new = changed(old.directory, "smppd.toml", '[daemon]\nsocket = "s"\nstate = "t"\n')

    assert [(c.name, c.how) for c in compare(old, new)] == [
        ("socket", "needs_restart"),
        ("state", "needs_restart"),
    ]


def test_changed_carrier_is_named_with_its_keys(old: Config) -> None:
    new = changed(old.directory, "carriers/alpha.toml", CARRIER + 'window = 20\ntimezone = "UTC"\n')

    assert compare(old, new) == [
        ConfigChange("carrier", "alpha", "changed", "window 10 -> 20, timezone none -> UTC")
    ]


def test_changed_password_is_not_shown(old: Config) -> None:
    new = changed(old.directory, "carriers/alpha.toml", CARRIER.replace("secret", "geheim"))

    assert compare(old, new) == [ConfigChange("carrier", "alpha", "changed", "password changed")]


def test_changed_addresses_and_tlvs_are_named_by_their_keys(old: Config) -> None:
    lines = '[addresses]\nplus = true\n[tlvs]\n"0x14AB" = { type = "string", value = "11" }\n'
    new = changed(old.directory, "carriers/alpha.toml", CARRIER + lines)

    assert [c.detail for c in compare(old, new)] == [
        "addresses.plus false -> true, tlvs 0x14ab none -> 3131"
    ]


def test_changed_tls_is_named_by_its_keys(old: Config) -> None:
    before = changed(old.directory, "carriers/alpha.toml", CARRIER + "tls = {}\n")
    after = changed(old.directory, "carriers/alpha.toml", CARRIER + '[tls]\nminimum = "1.3"\n')

    assert [c.detail for c in compare(old, before)] == ["tls none -> set"]
    assert [c.detail for c in compare(before, after)] == ["tls changed (minimum)"]


def test_changed_breaker_is_named_by_its_keys(old: Config) -> None:
    new = changed(old.directory, "carriers/alpha.toml", CARRIER + "[breaker]\nshare = 0.2\n")

    assert [c.detail for c in compare(old, new)] == ["breaker.share 0.5 -> 0.2"]


def test_added_and_removed_carriers_are_named(old: Config) -> None:
    add_carrier(old.directory, "beta")
    new = load(old.directory)

    assert compare(old, new) == [ConfigChange("carrier", "beta", "added", "")]
    assert compare(new, old) == [ConfigChange("carrier", "beta", "removed", "")]


def test_routes_are_named_by_prefix_and_carrier(old: Config) -> None:
    text = ROUTING.replace("0.0210", "0.03") + '[[route]]\nprefix = ""\ncarrier = "alpha"\n'

    new = changed(old.directory, "routing.toml", text + 'cost = "1"\nfallback = true\n')

    assert compare(old, new) == [
        ConfigChange("route", "49 alpha", "changed", "cost 0.0210 -> 0.03"),
        ConfigChange("route", "(default) alpha", "added", "cost 1"),
    ]
    assert [c.how for c in compare(new, old)] == ["removed", "changed"]


def test_currency_and_fallback_are_named(old: Config) -> None:
    text = "fallback = true\n" + ROUTING.replace("USD", "EUR")

    assert compare(old, changed(old.directory, "routing.toml", text)) == [
        ConfigChange("routing", "currency", "changed", "USD -> EUR"),
        ConfigChange("routing", "fallback", "changed", "false -> true"),
    ]


def test_other_order_of_the_routes_is_named(old: Config) -> None:
    head, first = ROUTING.split("\n", 1)
    second = first.replace('"49"', '"44"')
    before = changed(old.directory, "routing.toml", f"{head}\n{first}{second}")

    after = changed(old.directory, "routing.toml", f"{head}\n{second}{first}")

    assert [(c.what, c.name) for c in compare(before, after)] == [("routing", "order")]


def test_sheets_are_compared_by_their_prices(old: Config) -> None:
    (old.directory / "alpha.csv").write_text("prefix,cost\n49,0.07\n44,0.02\n1,0.01\n")
    before = changed(old.directory, "routing.toml", PRICED + SHEET)
    (old.directory / "alpha.csv").write_text("prefix,cost\n49,0.070\n44,0.03\n33,1\n")
    after = load(old.directory)

    assert compare(old, before)[-1] == ConfigChange(
        "sheet", "alpha", "added", "alpha.csv, 3 prices"
    )
    assert compare(old, before)[0].detail == "cost 0.0210 -> by its sheet"
    assert compare(before, after) == [
        ConfigChange("sheet", "alpha", "changed", "1 price added, 1 price removed, 1 price changed")
    ]
    assert compare(before, old)[-1] == ConfigChange("sheet", "alpha", "removed", "alpha.csv")


def test_changes_are_listed_up_to_a_bound(old: Config) -> None:
    routes = [
        f'[[route]]\nprefix = "{number}"\ncarrier = "alpha"\ncost = "1"\n'
        for number in range(1000, 1000 + CHANGES_MAX + 10)
    ]

    new = changed(old.directory, "routing.toml", 'currency = "USD"\n' + "".join(routes))

    assert len(compare(old, new)) == CHANGES_MAX + 1
    assert compare(old, new)[-1].detail == "11 more changes"
