"""``[[inbound]]``: what may stand in a rule, what is wrong with one, and what it is in vain for."""

from __future__ import annotations

from pathlib import Path

import pytest

from smppd.config import ConfigChange, check, compare, load
from smppd.config.inbound_rules import RULES_MAX
from smppd.routing.inbound import InboundRule
from tests.config.house import ROUTING, only_problem, only_warning, write_config

APPS = "[apps.shop]\nuid = 1\ninbound = true\n[apps.crm]\nuid = 2\n"
MUTE = "[apps.shop]\nuid = 1\ninbound = true\n[apps.crm]\nuid = 2\nevents = false\n"


def rule(app: str = "shop", **conditions: str) -> str:
    said = "".join(f'{name} = "{value}"\n' for name, value in conditions.items())
    return f'[[inbound]]\napp = "{app}"\n{said}'


def write_rules(directory: Path, *rules: str, apps: str = APPS) -> Path:
    return write_config(directory, apps, ROUTING + "".join(rules))


def test_rules_are_read_in_the_order_of_the_file(tmp_path: Path) -> None:
    conditions = {"keyword": "Stop!", "prefix": "49", "carrier": "alpha"}
    several = '[[inbound]]\napps = ["crm", "shop", "crm"]\n'
    write_rules(tmp_path, rule(destination="+4915112345678", **conditions), several)

    assert load(tmp_path).routing.inbound == [
        InboundRule(("shop",), "4915112345678", "stop", "49", "alpha"),
        InboundRule(("crm", "shop")),
    ]


def test_without_apps_the_app_is_default(tmp_path: Path) -> None:
    write_rules(tmp_path, rule("default", keyword="x"), apps="")

    assert load(tmp_path).routing.inbound == [InboundRule(("default",), keyword="x")]


@pytest.mark.parametrize(
    ("text", "key", "said"),
    [
        (rule("shpo"), "app", "did you mean 'shop'?"),
        ('[[inbound]]\napps = ["shop", "xyz"]\n', "apps", "known are: crm, shop"),
        ('[[inbound]]\napps = ["shop", 7]\n', "apps", "there is no app 7"),
        ('[[inbound]]\napps = []\n', "apps", "names no app"),
        ('[[inbound]]\nkeyword = "x"\n', "app", "is missing"),
        ('[[inbound]]\napp = "shop"\napps = ["crm"]\n', "apps", "stands beside 'app'"),
        (rule(destinaton="1"), "destinaton", "did you mean 'destination'?"),
        ('[[inbound]]\napp = "shop"\ndestination = 12345\n', "destination", 'string "12345"'),
        (rule(destination=""), "destination", "is not a number or short code"),
        (rule(destination="+"), "destination", "is not a number or short code"),
        (rule(destination="00"), "destination", "is not a number or short code"),
        (rule(prefix="+49"), "prefix", 'such as "49"'),
        (rule(prefix="049"), "prefix", 'such as "49"'),
        (rule(keyword="stop it"), "keyword", "is not a keyword"),
        (rule(keyword="!"), "keyword", "is not a keyword"),
        ('[[inbound]]\napp = "shop"\nkeyword = 7\n', "keyword", "is not a keyword"),
        (rule(carrier="alhpa"), "carrier", "did you mean 'alpha'?"),
        (rule(carrier="x"), "carrier", "create carriers/x.toml"),
        ('[[inbound]]\napp = "shop"\ncarrier = ["alpha"]\n', "carrier", "has no file"),
    ],
)  # fmt: skip
def test_wrong_rule_is_named_with_what_to_write(
    tmp_path: Path, text: str, key: str, said: str
) -> None:
    problem = only_problem(write_rules(tmp_path, rule("crm", keyword="a"), text))

    assert problem.key == f"inbound[2].{key}"
    assert said in str(problem)


def test_file_of_comments_alone_is_told_from_one_that_is_not_there(tmp_path: Path) -> None:
    directory = write_rules(tmp_path, rule(carrier="example"))
    (directory / "carriers" / "example.toml").write_text("# host = ...\n", encoding="utf-8")

    assert "sets no key, so it is no carrier" in str(only_problem(directory))


def test_what_is_no_list_of_rules_is_named(tmp_path: Path) -> None:
    problem = only_problem(write_rules(tmp_path, '[inbound]\napp = "shop"\n'))

    assert "write [[inbound]] with two brackets" in str(problem)


def test_rules_without_end_are_refused(tmp_path: Path) -> None:
    rules = [rule(keyword=f"k{number}") for number in range(RULES_MAX + 1)]

    assert f"{RULES_MAX} is the most" in str(only_problem(write_rules(tmp_path, *rules)))


# -- warnings ---


def test_rule_that_an_earlier_one_takes_all_from_is_named(tmp_path: Path) -> None:
    first = rule(destination="12345")
    write_rules(tmp_path, first, rule("crm", destination="12345", keyword="x"), rule("crm"))

    warning = only_warning(tmp_path)

    assert (warning.key, warning.line) == ("inbound[2]", 9)
    assert warning.text == "is never reached: inbound[1] takes all of its messages"


def test_rule_for_an_app_that_keeps_no_events_is_named(tmp_path: Path) -> None:
    warning = only_warning(write_rules(tmp_path, rule("crm", keyword="x"), apps=MUTE))

    assert warning.key == "inbound[1]"
    assert "crm has events = false" in warning.text


def test_messages_that_no_rule_fits_are_nobodys_without_an_inbound_app(tmp_path: Path) -> None:
    apps = "[apps.shop]\nuid = 1\n"
    warning = only_warning(write_rules(tmp_path, rule(keyword="x"), apps=apps))

    assert "that no [[inbound]] rule fits are stored, told to nobody" in warning.text


def test_rule_that_takes_all_is_enough(tmp_path: Path) -> None:
    apps = "[apps.shop]\nuid = 1\n"

    assert check(write_rules(tmp_path, rule(keyword="x"), rule(), apps=apps)) == []


# -- a reload ---


def test_changed_rules_are_told_by_their_conditions(tmp_path: Path) -> None:
    old = load(write_rules(tmp_path, rule(keyword="a"), rule(keyword="b"), rule(keyword="c")))
    rules = (rule(keyword="c"), rule("crm", keyword="b"), rule("crm"))
    (tmp_path / "routing.toml").write_text(ROUTING + "".join(rules), encoding="utf-8")

    assert compare(old, load(tmp_path)) == [
        ConfigChange("inbound", "keyword a", "removed", "to shop"),
        ConfigChange("inbound", "keyword b", "changed", "to shop -> to crm"),
        ConfigChange("inbound", "all", "added", "to crm"),
        ConfigChange(
            "inbound", "order", "changed",
            "rules stand in another order: the first that fits counts",
        ),
    ]  # fmt: skip
