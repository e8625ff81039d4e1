"""The configuration directory of a simulated daemon, and what a reload may make of it."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, TypeAlias

from tests.simulation.natures import Nature
from tests.simulation.phones import BANK_NUMBER, INBOUND_TIMEOUT

Table: TypeAlias = dict[str, Any]

CARRIERS: Final = ("alpha", "beta", "gamma")

DAEMON: Final[Table] = {
    "daemon": {
        "drain_timeout": 10.0,
        "map_size": "1MiB",
        "reserve": "1MiB",
    },
    "retention": {"events": "90d", "messages": "90d", "refs": "60d", "unmatched": "4d"},
    "apps": {
        "shop": {"uid": 1001, "strict_numbers": False, "inbound": True},
        "bank": {"uid": 1002, "strict_numbers": False},
    },
}

INBOUND: Final = [{"destination": BANK_NUMBER, "app": "bank"}]

BROKEN: Final = (
    'currency = "USD"\n[[route]]\nprefix = "49"\ncarrier = "nobody"\n',
    'currency = "USD"\n[[route]\n',
    'currency = "USD"\n[[route]]\nprefix = "49"\ncarrier = "alpha"\ncost = "-1"\n',
)
"""routing.toml as an operator must not have it."""


class Setup:
    """``carriers`` by name, and ``routes``; ``write`` puts them where a daemon reads them."""

    def __init__(
        self, directory: Path, chance: random.Random, natures: Mapping[str, Nature]
    ) -> None:
        self.directory = directory
        self._natures = natures
        self._chance = chance
        self.carriers = {name: self._draw_carrier(name) for name in CARRIERS}
        self.routes = self._draw_routes(list(CARRIERS))
        (directory / "carriers").mkdir(parents=True)
        self.write()

    def write(self, routing: str = "") -> None:
        """All files; ``routing`` in place of the right routing.toml."""
        (self.directory / "smppd.toml").write_text(to_toml(DAEMON))
        for name in CARRIERS:
            path = self.directory / "carriers" / f"{name}.toml"
            if name in self.carriers:
                path.write_text(to_toml(self.carriers[name]))
            else:
                path.unlink(missing_ok=True)
        table = {"currency": "USD", "inbound": INBOUND, "route": self.routes}
        (self.directory / "routing.toml").write_text(routing or to_toml(table))

    def change(self) -> str:
        """Something else in force at the next reload; what it was."""
        what = self._chance.choice(["routes", "tune", "rebind", "remove", "add"])
        name = self._chance.choice(CARRIERS)
        if what == "routes":
            self.routes = self._draw_routes(list(self.carriers))
        elif what == "remove" and name in self.carriers and len(self.carriers) > 1:
            del self.carriers[name]
            self.routes = self._draw_routes(list(self.carriers))
        elif what == "add" and name not in self.carriers:
            self.carriers[name] = self._draw_carrier(name)
            self.routes = self._draw_routes(list(self.carriers))
        elif name in self.carriers:
            if what == "tune":
                self.carriers[name]["throughput"] = self._draw_throughput()
            else:
                self.carriers[name] = self._draw_carrier(name)
        self.write()
        return what

    def complete(self) -> None:
        """Every carrier, and every number to each of them: so all can come to its end."""
        for name in CARRIERS:
            self.carriers.setdefault(name, self._draw_carrier(name))
            self.carriers[name]["throughput"] = 0.0
        self.routes = [
            {"prefix": "", "carrier": name, "cost": f"0.0{number}"}
            for number, name in enumerate(CARRIERS, 1)
        ]
        self.write()

    def _draw_throughput(self) -> float:
        return self._chance.choice([0.0, 0.0, 5.0, 20.0, 100.0])

    def _draw_carrier(self, name: str) -> Table:
        chance = self._chance
        return {
            "host": name,
            "port": 2775,
            "system_id": "smppd",
            "password": "secret",
            "bind": chance.choice(["transceiver", "transceiver", "pair"]),
            "binds": chance.choice([1, 1, 2, 3]),
            "window": chance.choice([1, 2, 5, 10, 20]),
            "throughput": self._draw_throughput(),
            "long_message": chance.choice(["udh8", "udh8", "payload"]),
            "receipts": chance.choice(["each", "each", "last"]),
            "receipt_timeout": chance.choice([120, 600]),
            "session_init_timer": 5.0,
            "enquire_link_timer": chance.choice([5.0, 20.0]),
            "response_timer": chance.choice([3.0, 10.0]),
            "inactivity_timer": chance.choice([0.0, 0.0, 0.0, 15.0]),
            "reconnect_min": 0.5,
            "reconnect_max": 8.0,
            "reconnect_refused": 20.0,
            "refusals_max": chance.choice([2, 10]),
            "inbound_timeout": INBOUND_TIMEOUT,
            **({"uncertain": chance.choice(["resend", "stop"])} if chance.random() < 0.3 else {}),
            **self._natures[name].config,
        }

    def _draw_routes(self, names: list[str]) -> list[Table]:
        chance = self._chance
        prefixes = [prefix for prefix in ("49", "44", "1", "86") if chance.random() < 0.7]
        routes = []
        for prefix in ["", *prefixes]:
            offered = chance.sample(names, chance.randint(1, len(names)))
            routes += [
                {"prefix": prefix, "carrier": name, "cost": f"0.0{chance.randint(1, 9)}"}
                for name in offered
            ]
        return routes


def to_toml(table: Table) -> str:
    """Tables of values, tables and lists of tables: what the configuration is made of."""
    lines: list[str] = []
    _write(lines, table, ())
    return "\n".join(lines) + "\n"


def _write(lines: list[str], table: Table, path: tuple[str, ...]) -> None:
    inner: list[tuple[str, Any]] = []
    for key, value in table.items():
        if isinstance(value, dict) or (
            value and isinstance(value, list) and isinstance(value[0], dict)
        ):
            inner.append((key, value))
        else:
            lines.append(f"{_key(key)} = {json.dumps(value)}")
    for key, value in inner:
        name = ".".join(map(_key, (*path, key)))
        for one in value if isinstance(value, list) else [value]:
            lines.append(f"[[{name}]]" if isinstance(value, list) else f"[{name}]")
            _write(lines, one, (*path, key))


def _key(name: str) -> str:
    return name if name.replace("_", "").isalpha() else json.dumps(name)
