"""What systemd and a service say to one another: notify, watchdog, sockets, credentials, drop-in.

Plain sockets and environment variables, as sd_notify(3), sd_watchdog_enabled(3),
sd_listen_fds(3) and systemd.exec(5) describe them; no library of systemd's is needed. Without
systemd nothing here does anything. It knows no event loop and reads no environment by itself:
``environ`` and the process id are arguments. When to say what is the daemon's matter.
"""

from __future__ import annotations

import ipaddress
import os
import socket
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec

LISTEN_FD_FIRST: Final = 3
"""sd_listen_fds(3): passed descriptors are numbered from here on."""

SEND_SECONDS_MAX: Final = 1.0
"""For a change of state while the service manager's queue is full: it matters more than a moment
of the loop. What is repeated or for people is not waited for at all."""

DIGITS_MAX: Final = 20
"""Of 2**64 - 1: the environment has no longer numbers of systemd's."""

_NAMELESS: Final = "unknown"
"""sd_listen_fds_with_names(3): the name of a socket that has none."""


class Environment(msgspec.Struct, frozen=True):
    """What the service manager gave us; empty where there is none. ``watchdog`` in seconds,
    ``sockets`` are listening descriptors by name."""

    notify_socket: str | None = None
    watchdog: float | None = None
    sockets: dict[str, list[int]] = {}
    credentials: Path | None = None


def read_environment(environ: Mapping[str, str], pid: int) -> Environment:
    """All of it, for the start of a service; to be called once, as it takes the sockets over."""
    return Environment(
        environ.get("NOTIFY_SOCKET"),
        watchdog_seconds(environ, pid),
        passed_sockets(environ, pid),
        credentials_directory(environ),
    )


class Notifier:
    """Tells the service manager at ``address`` (``$NOTIFY_SOCKET``; None: there is none) how we
    are, one datagram a call. Never raises: a service manager that is gone or busy is no fault of
    ours; what a call returns is whether it was told."""

    def __init__(self, address: str | None) -> None:
        self._address = _to_socket_address(address)
        self._socket: socket.socket | None = None
        if self._address is not None:
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)

    def ready(self, status: str = "") -> bool:
        """Started, or done with reloading."""
        return self._send(_with_status("READY=1", status), SEND_SECONDS_MAX)

    def starting(self, seconds: float) -> bool:
        """The start goes on and takes up to ``seconds`` more, whatever ``TimeoutStartSec=`` is."""
        return self._send(f"EXTEND_TIMEOUT_USEC={round(seconds * 1_000_000)}", 0)

    def reloading(self, monotonic_usec: int, status: str = "") -> bool:
        """A reload begins; ``monotonic_usec`` is CLOCK_MONOTONIC now. ``ready`` ends it.

        Both in one datagram: a newer systemd (Type=notify-reload) takes them only together.
        """
        state = f"RELOADING=1\nMONOTONIC_USEC={monotonic_usec}"
        return self._send(_with_status(state, status), SEND_SECONDS_MAX)

    def stopping(self, seconds: float, status: str = "") -> bool:
        """The end has begun, and takes up to ``seconds``: where the unit allows less
        (``TimeoutStopSec=``) it is not killed before."""
        state = f"STOPPING=1\nEXTEND_TIMEOUT_USEC={round(seconds * 1_000_000)}"
        return self._send(_with_status(state, status), SEND_SECONDS_MAX)

    def status(self, text: str) -> bool:
        """One line for people, shown by ``systemctl status``."""
        return self._send(_with_status("", text), 0)

    def watchdog(self) -> bool:
        """We are alive. One that is lost is followed by another."""
        return self._send("WATCHDOG=1", 0)

    def close(self) -> None:
        """Says nothing any more."""
        if self._socket is not None:
            self._socket.close()
        self._socket = None

    def _send(self, state: str, seconds: float) -> bool:
        if self._socket is None or self._address is None:
            return False
        self._socket.settimeout(seconds)
        with suppress(OSError):  # TimeoutError and BlockingIOError among them
            self._socket.sendto(state.encode(errors="replace"), self._address)
            return True
        return False


def watchdog_seconds(environ: Mapping[str, str], pid: int) -> float | None:
    """How long we may be silent before we are killed; None: nobody watches (us)."""
    if environ.get("WATCHDOG_PID", str(pid)) != str(pid):
        return None
    usec = _read_count(environ.get("WATCHDOG_USEC", ""))
    return usec / 1_000_000 if usec else None


def passed_sockets(environ: Mapping[str, str], pid: int) -> dict[str, list[int]]:
    """The descriptors we were started with, by their names (``FileDescriptorName=``).

    They are ours from now on: they were made close-on-exec, and nobody else closes them.
    """
    count = _read_count(environ.get("LISTEN_FDS", ""))
    if environ.get("LISTEN_PID") != str(pid):
        return {}
    names = environ.get("LISTEN_FDNAMES", "").split(":")
    found: dict[str, list[int]] = {}
    for index in range(count):
        name = names[index] if index < len(names) and names[index] else _NAMELESS
        os.set_inheritable(LISTEN_FD_FIRST + index, False)
        found.setdefault(name, []).append(LISTEN_FD_FIRST + index)
    return found


def _read_count(text: str) -> int:
    """A number as systemd writes it; 0 where it is none, or longer than one of 64 bits."""
    return int(text) if text.isdecimal() and len(text) <= DIGITS_MAX else 0


def credentials_directory(environ: Mapping[str, str]) -> Path | None:
    """Where ``LoadCredential=`` puts the credentials, a file each; None: there are none."""
    directory = environ.get("CREDENTIALS_DIRECTORY")
    return Path(directory) if directory else None


def _to_socket_address(address: str | None) -> str | None:
    """``/run/…`` as it is, ``@…`` in the abstract namespace; others (vsock) are not for us."""
    if not address or address[0] not in "/@" or len(address) < 2:
        return None
    return "\0" + address[1:] if address[0] == "@" else address


def _with_status(state: str, status: str) -> str:
    """``state`` and the text in one datagram. A line break in it would begin another variable."""
    if not status:
        return state
    text = " ".join(status.split())
    return f"{state}\nSTATUS={text}" if state else f"STATUS={text}"


class DropinCarrier(msgspec.Struct, frozen=True):
    """What a unit must know of a carrier. ``host`` None: it calls us, from wherever; ``credential``
    None: its password is kept elsewhere."""

    name: str
    host: str | None
    credential: str | None


def render_dropin(carriers: Sequence[DropinCarrier], credentials: Path) -> str:
    """The part of smppd.service that follows from the carriers: whom it may talk to, and what it
    is given of ``credentials``, root's directory with a file a credential.

    Where an address is not known for good, all are allowed: a name that moved must not be a
    carrier that is down.
    """
    lines = [
        "# By `smppd systemd-dropin`. When a carrier has another host or credential, write",
        "# it anew, then: systemctl daemon-reload && systemctl restart smppd",
        "[Service]",
    ]
    for carrier in carriers:
        address = None if carrier.host is None else _to_address(carrier.host)
        if address is not None:
            lines += [f"# {carrier.name}", f"IPAddressAllow={address}"]
        elif carrier.host is None:
            lines += [f"# {carrier.name} calls us (outbind), from wherever", "IPAddressAllow=any"]
        else:
            why = f"{carrier.host} is a name, whose addresses may change"
            lines += [f"# {carrier.name}: {why}", "IPAddressAllow=any"]
        if carrier.credential is not None:
            path = str(credentials / carrier.credential).replace("%", "%%")
            lines.append(f"LoadCredential={carrier.credential}:{path}")
    return "\n".join((*lines, ""))


def _to_address(host: str) -> str | None:
    """The host as an address without a zone; None for a name."""
    try:
        return str(ipaddress.ip_address(host.strip("[]").partition("%")[0]))
    except ValueError:
        return None
