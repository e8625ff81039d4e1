"""Load a configuration directory, and find everything that is wrong with it.

Each file is read by itself (``daemon_file``, ``carrier_file``, ``routing_file``); routes are
checked against the carriers there are. A configuration with a problem is never returned: at start
the daemon ends with the list, at reload it keeps the old one.
"""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from smppd.config.carrier_file import CARRIERS_DIRECTORY, carrier_name, read_carrier
from smppd.config.carrier_names import Carriers, carriers_for
from smppd.config.check import Files, find_warnings
from smppd.config.daemon_file import (
    DAEMON_FILE,
    read_apps,
    read_classes,
    read_daemon,
    read_retention,
)
from smppd.config.model import (
    DEFAULT_APP,
    CarrierConfig,
    Config,
    ConfigWarning,
    DaemonConfig,
    RoutingConfig,
)
from smppd.config.routing_file import ROUTING_FILE, read_routing
from smppd.config.source import Source
from smppd.config.verdicts import StatusConfig, read_verdicts
from smppd.errors import ConfigError, Problem


def load(
    directory: Path,
    credentials: Path | None = None,
    *,
    is_trial: bool = False,
    now: float | None = None,
) -> Config:
    """The configuration in ``directory``; raises ConfigError with every problem there is.

    Relative paths in the files are relative to ``directory``; users and groups become numbers,
    passwords and rate sheets are read. ``credentials`` is systemd's directory of them
    ($CREDENTIALS_DIRECTORY), None where there is none. In a trial nothing will be bound: without
    ``credentials`` a password kept there is a warning then, no problem, and "", so that an operator
    can check what only the service can read. ``now`` (Unix seconds): also warned is of what ends
    soon. 200,000 prices take part of a second: a caller with a
    loop to serve calls this in a thread.
    """
    directory = Path(os.path.abspath(directory))
    config, files = _load(directory, credentials, is_trial=is_trial)
    warnings = find_warnings(config, files, credentials, now)
    return msgspec.structs.replace(config, warnings=warnings)


def check(
    directory: Path, credentials: Path | None = None, *, now: float | None = None
) -> list[ConfigWarning]:
    """The warnings of a trial; raises ConfigError with every problem there is."""
    return load(directory, credentials, is_trial=True, now=now).warnings


def load_daemon(directory: Path) -> DaemonConfig:
    """``[daemon]`` alone: for clients, who need the socket and may not read carriers' passwords.

    Raises ConfigError with the problems of that file.
    """
    directory = Path(os.path.abspath(directory))
    source = Source(directory, DAEMON_FILE)
    daemon = read_daemon(source, directory)
    if daemon is None or source.problems:
        raise ConfigError(source.problems)
    return daemon


def load_routing(directory: Path, file: Path | None = None) -> RoutingConfig:
    """The routes and sheets of ``directory``, or those of ``file`` as if it were its routing.toml.

    Of the carriers only who there is counts, so no password need be readable. Raises ConfigError
    with every problem of that file and its sheets.
    """
    directory = Path(os.path.abspath(directory))
    files = _open_files(directory)
    source = files.routing if file is None else Source(Path(), str(file))
    receivers = {
        name for name, one in files.carriers.items() if one.table.get("bind") == "receiver"
    }
    carriers = Carriers(files.carriers.keys(), receivers, files.examples)
    routing = read_routing(source, directory, carriers, _names_of_apps(files))
    if routing is None or source.problems:
        raise ConfigError(source.problems)
    return routing


def load_carrier_names(directory: Path) -> list[str]:
    """The carriers that have a file, right or wrong; a file that sets no key is none."""
    return list(_open_files(directory).carriers)


def load_verdicts(directory: Path, carrier: str | None) -> dict[str, dict[int, StatusConfig]]:
    """What carriers have written under ``[status]``, by their names; nothing else of them is read.

    Of ``carrier`` alone, where it is given: raises ConfigError then with the problems of that table
    and the file. Without, what cannot be read is left out.
    """
    found = {}
    for name, source in _open_files(directory).carriers.items():
        if carrier is not None and carrier != name:
            continue
        statuses = read_verdicts(source, source.table.get("status", {}))
        if source.problems and carrier is not None:
            raise ConfigError(source.problems)
        if not source.problems:
            found[name] = statuses
    return found


def load_credential_names(directory: Path) -> dict[str, str]:
    """By carrier, the ``password_credential`` of those that have one; for a configuration that
    ``load`` takes."""
    carriers = _open_files(Path(os.path.abspath(directory))).carriers
    found = {name: source.table.get("password_credential") for name, source in carriers.items()}
    return {name: value for name, value in found.items() if isinstance(value, str)}


def _load(directory: Path, credentials: Path | None, *, is_trial: bool) -> tuple[Config, Files]:
    files = _open_files(directory)
    daemon = read_daemon(files.daemon, directory)
    retention = read_retention(files.daemon)
    classes = read_classes(files.daemon)
    apps = read_apps(files.daemon)
    read: dict[str, CarrierConfig | None] = {
        name: read_carrier(source, directory, credentials, is_trial=is_trial)
        for name, source in files.carriers.items()
    }
    _check_outbinds(files, read)
    carriers = carriers_for(read, files.examples)
    routing = read_routing(files.routing, directory, carriers, _names_of_apps(files))

    if problems := _problems_of(files):
        raise ConfigError(problems)
    assert daemon is not None, "a daemon table without problems is whole"
    assert retention is not None, "a retention table without problems is whole"
    assert routing is not None, "a routing file without problems is whole"
    by_name = {name: carrier for name, carrier in read.items() if carrier is not None}
    return Config(directory, daemon, retention, classes, apps, by_name, routing), files


def _open_files(directory: Path) -> Files:
    """All files. Hidden ones (an editor's) are left alone; one of nothing but comments is an
    example, or a carrier switched off."""
    sources = [
        Source(directory, f"{CARRIERS_DIRECTORY}/{path.name}")
        for path in _list_carriers(directory / CARRIERS_DIRECTORY)
        if not path.name.startswith(".")
    ]
    return Files(
        daemon=Source(directory, DAEMON_FILE),
        routing=Source(directory, ROUTING_FILE),
        carriers={carrier_name(file): file for file in sources if not file.is_all_comment},
        examples=frozenset(carrier_name(file) for file in sources if file.is_all_comment),
    )


def _names_of_apps(files: Files) -> list[str]:
    """Those there are, right or wrong."""
    table = files.daemon.table.get("apps")
    return list(table) if isinstance(table, dict) and table else [DEFAULT_APP]


def _check_outbinds(files: Files, read: dict[str, CarrierConfig | None]) -> None:
    """One listener a carrier: nothing on a stream says whose it is before the first PDU."""
    seen: dict[str, str] = {}
    for name, carrier in read.items():
        if carrier is None or carrier.outbind is None:
            continue
        first = seen.setdefault(carrier.outbind, name)
        if first != name:
            wrong = f"carrier {first!r} waits on {carrier.outbind} too"
            files.carriers[name].note(("outbind",), wrong, "give each its own port")


def _problems_of(files: Files) -> list[Problem]:
    sources = (files.daemon, files.routing, *files.carriers.values())
    problems = [problem for source in sources for problem in source.problems]
    if not files.carriers:
        problems.append(_why_no_carrier(files.daemon.path.parent / CARRIERS_DIRECTORY))
    return problems


def _list_carriers(carriers: Path) -> list[Path]:
    """Their files; none where that cannot be told, which is then a problem of its own."""
    try:
        return sorted(carriers.glob("*.toml"))
    except OSError:
        return []


def _why_no_carrier(carriers: Path) -> Problem:
    wrong, remedy = "holds no carrier", "write one, such as carriers/alpha.toml"
    try:
        os.listdir(carriers)
    except FileNotFoundError:
        pass  # As if it were empty.
    except OSError as error:
        wrong = f"cannot be read: {error.strerror}"
        remedy = f"let it be a directory that smppd may read: {carriers}"
    return Problem(f"{CARRIERS_DIRECTORY}/", "", wrong, remedy)
