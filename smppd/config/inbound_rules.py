"""``[[inbound]]`` of ``routing.toml``: whose the messages from phones are, rule by rule.

How a rule is compared with a message is ``routing/inbound.py``'s matter; here is what may stand in
one, and which of them is never reached.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from difflib import get_close_matches
from typing import Final

from smppd.config.carrier_names import Carriers, check_carrier
from smppd.config.source import Key, Source
from smppd.config.tables import check_keys
from smppd.config.values import Wrong
from smppd.routing.inbound import InboundRule, bare, first_word

RULES_MAX: Final = 1_000
"""Each message from a phone is held against one after the other: a tenth of a millisecond."""

_CONDITIONS: Final = ("destination", "keyword", "prefix", "carrier")
_KEYS: Final = frozenset({*_CONDITIONS, "app", "apps"})
_PREFIX: Final = re.compile(r"[1-9][0-9]{0,14}")
_DESTINATION: Final = re.compile(r"(?!\+?(?:00)?\Z)[!-~]{1,20}")
"""Something is left of it when numbers are compared: else it would fit all."""


def read_inbound(
    source: Source, tables: Sequence[object], carriers: Carriers, apps: Collection[str]
) -> list[InboundRule]:
    """The rules that are right, in the order of the file; problems are noted. ``carriers`` and
    ``apps`` are those there are."""
    if len(tables) > RULES_MAX:
        wrong = f"are {len(tables)} rules, and {RULES_MAX} is the most"
        source.note(("inbound",), wrong, "say more of them with one prefix or destination")
        return []
    read = (_read_rule(source, index, table, carriers, apps) for index, table in enumerate(tables))
    return [rule for rule in read if rule is not None]


def find_unreached(rules: Sequence[InboundRule]) -> Iterator[tuple[int, int]]:
    """(rule, the earlier one that takes all of its messages), both from 0."""
    for index, rule in enumerate(rules):
        first = next((one for one in range(index) if rules[one].covers(rule)), None)
        if first is not None:
            yield index, first


def describe_rule(rule: InboundRule) -> str:
    """Its conditions, for a person."""
    said = [f"{name} {value}" for name in _CONDITIONS if (value := getattr(rule, name))]
    return ", ".join(said) or "all"


def _read_rule(
    source: Source, index: int, table: object, carriers: Carriers, apps: Collection[str]
) -> InboundRule | None:
    key: Key = ("inbound", index)
    if not isinstance(table, dict):
        source.note(key, "is not a table", "write [[inbound]] with its keys below")
        return None
    check_keys(source, key, table, _KEYS)
    named = _read_apps(source, key, table, apps)
    checked = {
        "destination": _check(
            table, "destination", _DESTINATION, "a number or short code", "12345"
        ),
        "keyword": _check_keyword(table),
        "prefix": _check(table, "prefix", _PREFIX, "the first digits of an E.164 number", "49"),
        "carrier": check_carrier(table["carrier"], carriers) if "carrier" in table else None,
    }
    for name, wrong in checked.items():
        if wrong is not None:
            source.note_wrong((*key, name), wrong)
    if named is None or any(checked.values()):
        return None
    return InboundRule(
        named,
        bare(table.get("destination", "")),
        first_word(table.get("keyword", "")),
        table.get("prefix", ""),
        table.get("carrier", ""),
    )


def _read_apps(
    source: Source, key: Key, table: dict[str, object], apps: Collection[str]
) -> tuple[str, ...] | None:
    given = [name for name in ("app", "apps") if name in table]
    if len(given) != 1:
        wrong = "stands beside 'app'" if given else "is missing"
        source.note((*key, given[-1] if given else "app"), wrong, "name who gets the message, once")
        return None
    value = table[given[0]]
    names = value if given[0] == "apps" and isinstance(value, list) else [value]
    wrong_ones = [one for one in names if not isinstance(one, str) or one not in apps]
    for one in wrong_ones:
        near = get_close_matches(str(one), sorted(apps), 1)
        remedy = f"did you mean {near[0]!r}?" if near else f"known are: {', '.join(sorted(apps))}"
        source.note((*key, given[0]), f"there is no app {one!r}", remedy)
    if not names:
        source.note((*key, given[0]), "names no app", "name one, or take the rule away")
    return None if wrong_ones or not names else tuple(dict.fromkeys(map(str, names)))


def _check(
    table: dict[str, object], name: str, allowed: re.Pattern[str], what: str, example: str
) -> Wrong | None:
    if name not in table:
        return None
    value = table[name]
    if isinstance(value, int) and not isinstance(value, bool):
        return Wrong(f"{value} is a number", f'write it as a string "{value}"')
    if isinstance(value, str) and allowed.fullmatch(value):
        return None
    return Wrong(f"{value!r} is not {what}", f'write it in quotes, such as "{example}"')


def _check_keyword(table: dict[str, object]) -> Wrong | None:
    value = table.get("keyword", "x")
    if isinstance(value, str) and len(value.split()) == 1 and first_word(value):
        return None
    return Wrong(f"{value!r} is not a keyword", 'write one word in quotes, such as "STOP"')
