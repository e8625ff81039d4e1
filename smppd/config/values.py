"""Values that TOML writes as text: durations, sizes, addresses, pins, users, zones, senders.

Each reader takes what TOML gave and returns the value, or a ``Wrong`` that says what is wrong and
what to write instead. Users and groups are looked up here, once, so that the daemon compares
numbers only. The files and keys the values came from are not known here.
"""

from __future__ import annotations

import grp
import os
import pwd
import re
from collections.abc import Callable
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from smppd.routing.msisdn import is_known_region
from smppd.routing.sender import BadSender, read_sender
from smppd.text.national import LANGUAGES

SOCKET_PATH_BYTES_MAX = 107
"""Bytes of a Unix socket's path: sun_path holds 108 with its NUL (unix(7))."""

ID_MAX = 2**32 - 2
"""The highest uid or gid; 2**32 - 1 means "none" to the kernel (chown(2))."""

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_DURATION = re.compile(r"([0-9]{1,9})([smhdw])")
_DURATION_SECONDS_MAX = 10 * 365 * _SECONDS["d"]
"""Ten years: beyond it a figure is a slip, and no law on retention asks for more."""

_BYTES = {"KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40}
_SIZE = re.compile(r"([0-9]{1,9}) ?(KiB|MiB|GiB|TiB)")
_SIZE_BYTES_MIN = 2**20
_SIZE_BYTES_MAX = 2**46
"""64 TiB: half of what a 47-bit address space can map."""


_ADDRESS = re.compile(r"(\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9_.-]{1,253}):([0-9]{1,5})")
"""``host:port``; an IPv6 address stands in brackets (RFC 3986 s3.2.2)."""

_UNIX = "unix:"
_PIN = re.compile(r"[0-9a-f]{64}")
_PINS_MAX = 16
"""Certificates of one carrier: the one in force and a few to come."""


class Wrong(msgspec.Struct, frozen=True):
    """A value that is refused: what is wrong with it, and what to write instead."""

    wrong: str
    remedy: str


class MetricsAddress(msgspec.Struct, frozen=True):
    """Where metrics are served over TCP; ``host`` is without brackets."""

    host: str
    port: int


def read_duration(value: object) -> int | Wrong:
    """Seconds of a text such as ``"14d"``."""
    found = _DURATION.fullmatch(value) if isinstance(value, str) else None
    seconds = int(found[1]) * _SECONDS[found[2]] if found else 0
    if not 1 <= seconds <= _DURATION_SECONDS_MAX:
        return Wrong(
            f"{value!r} is not a time between one second and ten years",
            'write a number and s, m, h, d or w, such as "14d"',
        )
    return seconds


def read_size(value: object) -> int | Wrong:
    """Bytes of a text such as ``"64GiB"``."""
    found = _SIZE.fullmatch(value) if isinstance(value, str) else None
    size = int(found[1]) * _BYTES[found[2]] if found else 0
    if not _SIZE_BYTES_MIN <= size <= _SIZE_BYTES_MAX:
        return Wrong(
            f"{value!r} is not a size between 1MiB and 64TiB",
            'write a number and KiB, MiB, GiB or TiB, such as "64GiB"',
        )
    return size


def read_users(value: object) -> tuple[int, ...] | Wrong:
    """uids of user names or numbers, one or a list."""
    return _read_ids(value, "user", lambda name: pwd.getpwnam(name).pw_uid)


def read_groups(value: object) -> tuple[int, ...] | Wrong:
    """gids of group names or numbers, one or a list."""
    return _read_ids(value, "group", lambda name: grp.getgrnam(name).gr_gid)


def _read_ids(value: object, kind: str, look_up: Callable[[str], int]) -> tuple[int, ...] | Wrong:
    found = []
    for item in value if isinstance(value, list) else [value]:
        if isinstance(item, int) and not isinstance(item, bool) and 0 <= item <= ID_MAX:
            found.append(item)
            continue
        if not isinstance(item, str):
            return Wrong(
                f"{item!r} is not a {kind}",
                f"write the {kind}'s name or number, or a list of them",
            )
        try:
            found.append(look_up(item))
        except (KeyError, ValueError):
            return Wrong(
                f"there is no {kind} {item!r} on this host",
                f"create the {kind}, correct the name or write its number",
            )
    return tuple(dict.fromkeys(found))


def read_sender_text(value: object) -> str | Wrong:
    """A sender that ``from`` would accept, kept as written."""
    if not isinstance(value, str):
        return Wrong(f"{value!r} is not a text", 'write the sender in quotes, such as "ACME"')
    sender = read_sender(value)
    if isinstance(sender, BadSender):
        wrong, _, remedy = sender.reason.rpartition("; ")
        return Wrong(wrong, remedy)
    return value


def read_region(value: object) -> str | Wrong:
    """An ISO 3166-1 region that has phone numbers."""
    if not isinstance(value, str) or not is_known_region(value):
        return Wrong(
            f"{value!r} is not a region",
            'write the two upper-case letters of ISO 3166-1, such as "DE"',
        )
    return value


def read_timezone(value: object) -> str | Wrong:
    """An IANA time zone name this host has the rules of."""
    if isinstance(value, str) and value:
        try:
            return ZoneInfo(value).key
        except (ZoneInfoNotFoundError, ValueError, OSError):
            pass
    return Wrong(
        f"{value!r} is not a time zone known here",
        'write an IANA name, such as "Europe/Berlin"',
    )


def read_path(value: object) -> Path | Wrong:
    """A path, as yet relative to the configuration directory."""
    if not isinstance(value, str) or not value or "\0" in value:
        return Wrong(f"{value!r} is not a path", "write a path in quotes")
    return Path(value)


def read_metrics(value: object) -> MetricsAddress | Path | Wrong:
    """``host:port`` as an address, ``unix:PATH`` as a path (as yet relative)."""
    if isinstance(value, str) and value.startswith(_UNIX):
        return read_path(value.removeprefix(_UNIX))
    if (found := _split_address(value)) is None:
        return Wrong(
            f"{value!r} is no place to serve metrics at",
            'write "127.0.0.1:9464", or "unix:" and a path',
        )
    return found


def read_listen_address(value: object) -> str | Wrong:
    """``host:port``, kept as written."""
    if _split_address(value) is None:
        return Wrong(
            f"{value!r} is not an address to listen on",
            'write host:port in quotes, such as "0.0.0.0:2775" or "[::]:2775"',
        )
    return str(value)


def _split_address(value: object) -> MetricsAddress | None:
    found = _ADDRESS.fullmatch(value) if isinstance(value, str) else None
    if found is None or not 1 <= int(found[2]) <= 65_535:
        return None
    return MetricsAddress(found[1].strip("[]"), int(found[2]))


def read_pins(value: object) -> tuple[str, ...] | Wrong:
    """SHA-256 digests in hex, one or a list; colons and capitals as openssl writes them."""
    pins = []
    items = value if isinstance(value, list) else [value]
    if not 1 <= len(items) <= _PINS_MAX:
        return Wrong(f"{len(items)} pins", f"write 1 to {_PINS_MAX} of them, or leave the key out")
    for item in items:
        digits = item.replace(":", "").lower() if isinstance(item, str) else ""
        if not _PIN.fullmatch(digits):
            return Wrong(
                f"{item!r} is not a SHA-256 digest",
                "write the 64 hex digits of: openssl x509 -noout -fingerprint -sha256 -in cert.pem",
            )
        pins.append(digits)
    return tuple(dict.fromkeys(pins))


def read_languages(value: object) -> tuple[str, ...] | Wrong:
    """ISO 639-1 names of languages that have national shift tables, one or a list."""
    items = value if isinstance(value, list) else [value]
    for item in items:
        if not isinstance(item, str) or item not in LANGUAGES:
            known = ", ".join(LANGUAGES)
            return Wrong(f"{item!r} has no national shift tables", f"write some of {known}")
    return tuple(dict.fromkeys(items))


def check_socket_path(path: Path) -> Wrong | None:
    """What is wrong with an absolute path as the name of a Unix socket."""
    length = len(os.fsencode(path))
    if length <= SOCKET_PATH_BYTES_MAX:
        return None
    return Wrong(
        f"the socket's path has {length} bytes, the kernel takes {SOCKET_PATH_BYTES_MAX}",
        "write a shorter, absolute path",
    )
