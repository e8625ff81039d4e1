"""What other users of this host could do to files and directories: warnings, each with the chmod.

Modes only, as the kernel would judge a user who is neither owner nor of the group; an access
control list may say otherwise. What makes a daemon refuse to start stands in ``store/claim.py``.
"""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path

from smppd.config.model import CarrierConfig, Config, ConfigWarning
from smppd.config.source import Key, Source, show_key


def can_others(path: Path, right: int) -> bool:
    """Whether a user who is neither owner nor of the group has ``right`` (``stat.S_IROTH``, …) on
    ``path``, by its mode and those of the directories above it."""
    path = path.resolve()
    try:
        reachable = all(parent.stat().st_mode & stat.S_IXOTH for parent in path.parents)
        return reachable and bool(path.stat().st_mode & right)
    except OSError:
        return False


def can_others_read(path: Path) -> bool:
    """Whether they can read it."""
    return can_others(path, stat.S_IROTH)


def can_others_write(path: Path) -> bool:
    """Whether they can write it; of a directory, whether they can put files there."""
    return can_others(path, stat.S_IWOTH)


def warn_of_modes(config: Config, daemon: Source, others: list[Source]) -> Iterator[ConfigWarning]:
    """Of the files themselves, the state directory, and where the socket is."""
    for source in (daemon, *others):
        yield from _warn_of_writable(source, source.path)
    yield from _warn_of_writable(daemon, config.directory)
    yield from _warn_of_writable(daemon, config.directory / "carriers")
    yield from _warn_of_state(config.daemon.state, daemon)
    place = config.daemon.socket.parent
    if can_others_write(place):
        text = f"every user of this host can put a socket of theirs into {place}, where apps look"
        remedy = "write a path in a directory that only smppd can write"
        yield _warning(daemon, ("daemon", "socket"), text, remedy)


def _warn_of_writable(source: Source, path: Path) -> Iterator[ConfigWarning]:
    if can_others_write(path):
        text = f"every user of this host can write {path}, and so decide what is sent where"
        yield _warning(source, (), text, f"chmod o-w {path}")


def _warn_of_state(state: Path, daemon: Source) -> Iterator[ConfigWarning]:
    if can_others_write(state):
        text = f"every user of this host can write {state}: smppd will not start on it"
    elif can_others(state, stat.S_IROTH | stat.S_IXOTH):
        text = f"every user of this host can look into {state}"
    else:
        return
    yield _warning(daemon, ("daemon", "state"), text, f"chmod 0700 {state}")


def warn_of_readable_key(carrier: CarrierConfig, source: Source) -> Iterator[ConfigWarning]:
    """A TLS key is who we are."""
    if carrier.tls is None:
        return
    name = "cert" if carrier.tls.key is None else "key"
    path = carrier.tls.cert if carrier.tls.key is None else carrier.tls.key
    if path is not None and _holds_key(path) and can_others_read(path):
        text = "every user of this host can read the private key in that file"
        yield _warning(source, ("tls", name), text, f"chmod o= {path}")


def warn_of_readable_credential(carrier: CarrierConfig, source: Source) -> Iterator[ConfigWarning]:
    """Where `systemd-dropin` has the service manager take it from, unless told otherwise."""
    name = source.table.get("password_credential")
    path = source.path.parent.parent / "credentials" / str(name)
    if isinstance(name, str) and can_others_read(path):
        text = f"every user of this host can read {path}"
        yield _warning(source, ("password_credential",), text, f"chmod 0600 {path}")


def _holds_key(path: Path) -> bool:
    try:
        return b"PRIVATE KEY-----" in path.read_bytes()
    except OSError:
        return False


def _warning(source: Source, key: Key, text: str, remedy: str) -> ConfigWarning:
    return ConfigWarning(source.name, show_key(key), source.line_of(key), text, remedy)
