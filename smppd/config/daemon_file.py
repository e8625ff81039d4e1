"""``smppd.toml``: the daemon itself, how long things are kept, message classes and apps."""

from __future__ import annotations

import os
import re
from pathlib import Path

import msgspec

from smppd.config.model import (
    DEFAULT_CLASSES,
    AppConfig,
    ClassConfig,
    DaemonConfig,
    RetentionConfig,
)
from smppd.config.source import Source
from smppd.config.tables import check_keys, read_struct, read_table, read_tables
from smppd.config.values import check_socket_path

DAEMON_FILE = "smppd.toml"

_APP_NAME = re.compile(r"[A-Za-z0-9_-]{1,32}")
"""What TOML takes as a bare key; the name is part of keys on disk, hence the bound."""


def read_daemon(source: Source, directory: Path) -> DaemonConfig | None:
    """``[daemon]`` with absolute paths, and what is wrong with the names of tables."""
    check_keys(source, (), source.table, {"daemon", "retention", "classes", "apps"})
    table = read_table(source, ("daemon",), source.table.get("daemon", {}))
    daemon = read_struct(DaemonConfig, source, ("daemon",), table)
    if daemon is None:
        return None
    socket = Path(os.path.abspath(directory / daemon.socket))
    state = Path(os.path.abspath(directory / daemon.state))
    metrics = daemon.metrics
    if isinstance(metrics, Path):
        metrics = Path(os.path.abspath(directory / metrics))
    for key, path in (("socket", socket), ("metrics", metrics)):
        if isinstance(path, Path) and (wrong := check_socket_path(path)):
            source.note_wrong(("daemon", key), wrong)
    if metrics == socket:
        source.note(("daemon", "metrics"), "is the socket of the apps", "give it its own path")
    return msgspec.structs.replace(daemon, socket=socket, state=state, metrics=metrics)


def read_retention(source: Source) -> RetentionConfig | None:
    """``[retention]``."""
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


def read_classes(source: Source) -> dict[str, ClassConfig]:
    """All classes there are; what a table leaves out keeps its default."""
    tables = read_tables(source, ("classes",), source.table.get("classes", {}))
    check_keys(source, ("classes",), tables, DEFAULT_CLASSES)
    if "weight" in tables.get("otp", {}):
        key = ("classes", "otp", "weight")
        source.note(key, "one-time codes have no weight: they always go first", "remove it")
    classes = dict(DEFAULT_CLASSES)
    for name in DEFAULT_CLASSES.keys() & tables.keys():
        default = msgspec.structs.asdict(DEFAULT_CLASSES[name])
        found = read_struct(ClassConfig, source, ("classes", name), default | tables[name])
        classes[name] = found or classes[name]
    return classes


def read_apps(source: Source) -> dict[str, AppConfig]:
    """``[apps.NAME]``, by name."""
    apps = {}
    for name, table in read_tables(source, ("apps",), source.table.get("apps", {})).items():
        key = ("apps", name)
        if not _APP_NAME.fullmatch(name):
            source.note(key, f"{name!r} is not an app's name", "write 1 to 32 of A-Z a-z 0-9 _ -")
        if (app := read_struct(AppConfig, source, key, table)) is not None:
            apps[name] = app
    return apps
