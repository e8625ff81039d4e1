"""Load a configuration directory, and find everything that is wrong with it.

Each file is read by itself; then come the checks that need two of them. A configuration with a
problem is never returned: at start the daemon ends with the list, at reload it keeps the old one.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from decimal import Decimal
from difflib import get_close_matches
from pathlib import Path

import msgspec

from smppd.config.model import (
    DEFAULT_CLASSES,
    AppConfig,
    CarrierConfig,
    ClassConfig,
    Config,
    DaemonConfig,
    RetentionConfig,
    RouteConfig,
    RoutingConfig,
)
from smppd.config.source import Key, Source
from smppd.config.tables import check_keys, read_struct, read_table, read_tables
from smppd.config.values import Wrong, check_socket_path
from smppd.errors import ConfigError, Problem

DAEMON_FILE = "smppd.toml"
ROUTING_FILE = "routing.toml"
CARRIERS_DIRECTORY = "carriers"

_CARRIER_NAME = re.compile(r"[a-z0-9_-]{1,32}")
_APP_NAME = re.compile(r"[A-Za-z0-9_-]{1,32}")
"""What TOML takes as a bare key; the name is part of keys on disk, hence the bound."""

_PREFIX = re.compile(r"(?:[1-9][0-9]{0,14})?")
"""The beginning of an E.164 number (ITU-T E.164 s6.1: 15 digits, never 0 first), or nothing."""

_COST = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,6})?")
"""A segment's cost; rate sheets stop at five or six decimals."""

_ROUTE_KEYS = frozenset({"prefix", "carrier", "cost"})
_ROUTE_LATER = frozenset({"fallback"})


def load(directory: Path) -> Config:
    """The configuration in ``directory``; raises ConfigError with every problem there is.

    Relative paths in the files are relative to ``directory``; users and groups become numbers,
    password files are read.
    """
    directory = Path(os.path.abspath(directory))
    daemon_file = Source(directory, DAEMON_FILE)
    routing_file = Source(directory, ROUTING_FILE)
    carrier_files = [Source(directory, name) for name in _carrier_file_names(directory)]

    daemon = _read_daemon(daemon_file, directory)
    retention = _read_retention(daemon_file)
    classes = _read_classes(daemon_file)
    apps = _read_apps(daemon_file)
    carriers = [_read_carrier(file, directory) for file in carrier_files]
    routing = _read_routing(routing_file, {_carrier_name(file) for file in carrier_files})

    problems = [p for file in (daemon_file, routing_file, *carrier_files) for p in file.problems]
    if not carrier_files:
        problems.append(
            Problem(
                f"{CARRIERS_DIRECTORY}/",
                "",
                "holds no carrier",
                "write one, such as carriers/alpha.toml",
            )
        )
    if problems:
        raise ConfigError(problems)
    assert daemon is not None, "a daemon table without problems is whole"
    assert retention is not None, "a retention table without problems is whole"
    assert routing is not None, "a routing file without problems is whole"
    by_name = {carrier.name: carrier for carrier in carriers if carrier is not None}
    return Config(directory, daemon, retention, classes, apps, by_name, routing)


def load_daemon(directory: Path) -> DaemonConfig:
    """``[daemon]`` alone: for clients, who need the socket and may not read carriers' passwords.

    Raises ConfigError with the problems of that file.
    """
    directory = Path(os.path.abspath(directory))
    source = Source(directory, DAEMON_FILE)
    daemon = _read_daemon(source, directory)
    if daemon is None or source.problems:
        raise ConfigError(source.problems)
    return daemon


def _read_daemon(source: Source, directory: Path) -> DaemonConfig | None:
    known = {"daemon", "retention", "classes", "apps"}
    check_keys(source, (), source.table, known)
    table = read_table(source, ("daemon",), source.table.get("daemon", {}))
    daemon = read_struct(DaemonConfig, source, ("daemon",), table)
    if daemon is None:
        return None
    socket = Path(os.path.abspath(directory / daemon.socket))
    state = Path(os.path.abspath(directory / daemon.state))
    if wrong := check_socket_path(socket):
        source.note_wrong(("daemon", "socket"), wrong)
    return msgspec.structs.replace(daemon, socket=socket, state=state)


def _read_retention(source: Source) -> RetentionConfig | None:
    table = read_table(source, ("retention",), source.table.get("retention", {}))
    retention = read_struct(RetentionConfig, source, ("retention",), table)
    if retention is not None and retention.refs > retention.messages:
        # A ref points at its message: without it, the same ref would be sent a second time.
        source.note(
            ("retention", "messages"),
            "messages would be deleted while their refs are still bound",
            "make it at least as long as refs",
        )
    return retention


def _read_classes(source: Source) -> dict[str, ClassConfig]:
    """All classes there are; what a table leaves out keeps its default."""
    tables = read_tables(source, ("classes",), source.table.get("classes", {}))
    check_keys(source, ("classes",), tables, DEFAULT_CLASSES)
    classes = dict(DEFAULT_CLASSES)
    for name in DEFAULT_CLASSES.keys() & tables.keys():
        key = ("classes", name)
        default = msgspec.structs.asdict(DEFAULT_CLASSES[name])
        found = read_struct(ClassConfig, source, key, default | tables[name])
        classes[name] = found or classes[name]
    return classes


def _read_apps(source: Source) -> dict[str, AppConfig]:
    apps = {}
    for name, table in read_tables(source, ("apps",), source.table.get("apps", {})).items():
        key = ("apps", name)
        if not _APP_NAME.fullmatch(name):
            source.note(key, f"{name!r} is not an app's name", "write 1 to 32 of A-Z a-z 0-9 _ -")
        if (app := read_struct(AppConfig, source, key, table)) is not None:
            apps[name] = app
    return apps


def _carrier_file_names(directory: Path) -> Iterator[str]:
    """Names of the carriers' files in order; hidden ones (an editor's) are left alone."""
    for path in sorted((directory / CARRIERS_DIRECTORY).glob("*.toml")):
        if not path.name.startswith("."):
            yield f"{CARRIERS_DIRECTORY}/{path.name}"


def _carrier_name(source: Source) -> str:
    return Path(source.name).stem


def _read_carrier(source: Source, directory: Path) -> CarrierConfig | None:
    name = _carrier_name(source)
    if not _CARRIER_NAME.fullmatch(name):
        source.note((), f"{name!r} is not a carrier's name", "name it with 1 to 32 of a-z 0-9 _ -")
    if source.broken:
        return None
    table = dict(source.table)
    password = _read_password(source, table, directory)
    if password is not None:
        table["password"] = password
    given: dict[str, object] = {"name": name}
    if password is None:
        given["password"] = ""
    others = ("password", "password_file")
    carrier = read_struct(CarrierConfig, source, (), table, given, others)
    if carrier is not None and carrier.reconnect_min > carrier.reconnect_max:
        source.note(
            ("reconnect_min",),
            f"{carrier.reconnect_min:g} is above reconnect_max, {carrier.reconnect_max:g}",
            "write a reconnect_min of at most reconnect_max",
        )
    return carrier


def _read_password(source: Source, table: dict[str, object], directory: Path) -> object | None:
    """What ``password`` says, or the first line of ``password_file``; None when neither will do."""
    if "password" in table and "password_file" in table:
        source.note(("password_file",), "stands beside 'password'", "keep one of the two")
        return None
    if "password" in table:
        return table["password"]
    if "password_file" not in table:
        if "password_credential" not in table:
            source.note(("password",), "is missing", "add 'password' or 'password_file'")
        return None
    value = table["password_file"]
    found = _read_password_file(directory, value)
    if isinstance(found, Wrong):
        source.note_wrong(("password_file",), found)
        return None
    return found


def _read_password_file(directory: Path, value: object) -> str | Wrong:
    if not isinstance(value, str) or not value or "\0" in value:
        return Wrong(f"{value!r} is not a path", "write the path of a file that holds the password")
    try:
        return (directory / value).read_bytes().decode("latin-1").rstrip("\r\n")
    except OSError as error:
        return Wrong(
            f"{value!r} cannot be read: {error.strerror}",
            "create the file or make it readable to smppd",
        )


def _read_routing(source: Source, carriers: set[str]) -> RoutingConfig | None:
    """The routes, each with its own problems and those it has with the ones before it."""
    tables = source.table.get("route", [])
    if not isinstance(tables, list):
        source.note(("route",), "is not a list of tables", "write [[route]] with two brackets")
        tables = []
    elif not tables and not source.broken:
        source.note((), "holds no route", "write at least one [[route]]")
    routes: list[RouteConfig] = []
    seen: dict[tuple[str, str], int] = {}
    for index, table in enumerate(tables):
        route = _read_route(source, ("route", index), table, carriers)
        if route is None:
            continue
        first = seen.setdefault((route.prefix, route.carrier), index)
        if first != index:
            source.note(
                ("route", index),
                f"route {first + 1} has prefix {route.prefix!r} and carrier {route.carrier!r} too",
                "keep one of them",
            )
        routes.append(route)
    if source.broken:
        return None
    return read_struct(RoutingConfig, source, (), source.table, {"routes": routes}, ("route",))


def _read_route(source: Source, key: Key, table: object, carriers: set[str]) -> RouteConfig | None:
    if not isinstance(table, dict):
        source.note(key, "is not a table", "write [[route]] with its keys below")
        return None
    check_keys(source, key, table, _ROUTE_KEYS, _ROUTE_LATER)
    checked = {
        "prefix": _check_prefix(table.get("prefix")),
        "carrier": _check_carrier(table.get("carrier"), carriers),
        "cost": _check_cost(table.get("cost")),
    }
    for name, wrong in checked.items():
        if wrong is not None:
            source.note_wrong((*key, name), wrong)
    if any(checked.values()):
        return None
    return RouteConfig(table["prefix"], table["carrier"], table["cost"])


def _check_prefix(value: object) -> Wrong | None:
    if value is None:
        return Wrong("is missing", 'add it, such as prefix = "49"; "" is the default route')
    if isinstance(value, int) and not isinstance(value, bool):
        return Wrong(f"{value} is a number", f'write it as a string "{value}"')
    if not isinstance(value, str):
        return Wrong(f"{value!r} is not a prefix", 'write E.164 digits in quotes, such as "49"')
    if _PREFIX.fullmatch(value):
        return None
    digits = re.sub(r"[^0-9]", "", value).lstrip("0")[:15]
    return Wrong(
        f"{value!r} is not the beginning of an E.164 number without '+'",
        f'write "{digits}"' if digits else 'write digits such as "49", or "" for the default route',
    )


def _check_carrier(value: object, carriers: set[str]) -> Wrong | None:
    if value is None:
        return Wrong("is missing", "add the name of a carrier")
    if isinstance(value, str) and value in carriers:
        return None
    near = get_close_matches(str(value), sorted(carriers), 1)
    remedy = f"did you mean {near[0]!r}?" if near else f"create carriers/{value}.toml"
    return Wrong(f"carrier {value!r} has no file carriers/{value}.toml", remedy)


def _check_cost(value: object) -> Wrong | None:
    if value is None:
        return Wrong("is missing", 'add it, such as cost = "0.0210"')
    if isinstance(value, int | float) and not isinstance(value, bool):
        plain = f"{Decimal(str(value)):f}"
        example = plain if _COST.fullmatch(plain) else "0.0210"
        return Wrong(f"{value} is a number", f'write it as a string "{example}"')
    if isinstance(value, str) and _COST.fullmatch(value):
        return None
    return Wrong(
        f"{value!r} is not a cost",
        'write a decimal string of 0 or more with at most 6 decimals, such as "0.0210"',
    )
