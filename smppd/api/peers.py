"""Who is on the other end of a Unix socket, and for which apps it may speak.

The kernel says who (SO_PEERCRED and SO_PEERGROUPS, unix(7)): the uid and groups the peer had when
it connected, which it cannot forge. ``smppd.toml`` says which app that is. Nothing a client
writes is asked; a line of it can only *choose* among the apps it may be.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Mapping
from typing import Final, Protocol

import msgspec

from smppd.config import AppConfig
from smppd.config.model import DEFAULT_APP

ROOT_UID: Final = 0
SO_PEERGROUPS: Final = 59
"""Linux 4.13, asm-generic/socket.h; the socket module does not name it."""

GROUPS_MAX: Final = 256
"""Supplementary groups read: what getsockopt can return in Python's 1,024 bytes. A peer in more
counts with its primary group alone, which can only take rights away."""

_UCRED: Final = struct.Struct("iII")


class Socket(Protocol):
    """As much of a socket as it takes to ask the kernel."""

    def getsockopt(self, level: int, optname: int, buflen: int, /) -> bytes:
        """getsockopt(2)."""


class Credentials(msgspec.Struct, frozen=True):
    """A peer as the kernel saw it connect; ``groups`` holds the primary and supplementary gids.

    ``pid`` is for people to read: it may be another process's by now.
    """

    uid: int
    groups: frozenset[int]
    pid: int = 0


class Rights(msgspec.Struct, frozen=True):
    """What a peer may do: speak for ``apps``, and, as root or the daemon's uid, operate."""

    apps: tuple[str, ...]
    operator: bool


def read_credentials(connection: Socket) -> Credentials:
    """The kernel's word on the peer of a connected Unix stream socket."""
    pid, uid, gid = _UCRED.unpack(
        connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size)
    )
    try:
        raw = connection.getsockopt(socket.SOL_SOCKET, SO_PEERGROUPS, GROUPS_MAX * 4)
    except OSError:  # ERANGE: more groups; ENOPROTOOPT: an older kernel
        raw = b""
    groups = struct.unpack(f"{len(raw) // 4}I", raw)
    return Credentials(uid, frozenset((gid, *groups)), pid)


class PeerTable:
    """``apps`` by uid and gid. Root and the daemon's own uid may be any of them."""

    def __init__(self, apps: Mapping[str, AppConfig], daemon_uid: int) -> None:
        self._apps = dict(apps)
        self._operators = frozenset((ROOT_UID, daemon_uid))

    def rights_of(self, peer: Credentials) -> Rights | None:
        """What ``peer`` may do here; None: nothing, not even be parsed."""
        if peer.uid in self._operators:
            return Rights(tuple(self._apps), True)
        own = tuple(
            name
            for name, app in self._apps.items()
            if peer.uid in app.uid or not peer.groups.isdisjoint(app.gid)
        )
        return Rights(own, False) if own else None


def find_apps(apps: Mapping[str, AppConfig]) -> Mapping[str, AppConfig]:
    """``[apps]`` as configured; without that table the app ``default``, which has inbound."""
    return apps or {DEFAULT_APP: AppConfig(inbound=True)}
