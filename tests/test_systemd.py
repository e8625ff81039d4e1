"""What we say to systemd, on real datagram sockets, and what it says to us."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from smppd import systemd
from smppd.systemd import DropinCarrier, Notifier


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[socket.socket]:
    """The service manager's end of NOTIFY_SOCKET."""
    own = f"smppd-test-{os.getpid()}"
    address = str(tmp_path / "notify") if request.param == "path" else f"\0{own}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as bound:
        bound.bind(address)
        bound.setblocking(False)
        yield bound


@pytest.fixture
def notifier(manager: socket.socket) -> Iterator[Notifier]:
    own = Notifier(notify_socket(manager))
    yield own
    own.close()


def notify_socket(manager: socket.socket) -> str:
    """As the environment spells the address."""
    address = manager.getsockname()
    return address if isinstance(address, str) else "@" + address[1:].decode()


def test_ready_is_one_datagram_with_its_status(notifier: Notifier, manager: socket.socket) -> None:
    assert notifier.ready("3/5 carriers up")
    assert manager.recv(4096) == b"READY=1\nSTATUS=3/5 carriers up"


def test_reloading_and_its_time_are_one_datagram(
    notifier: Notifier, manager: socket.socket
) -> None:
    assert notifier.reloading(1_234_567)
    assert manager.recv(4096) == b"RELOADING=1\nMONOTONIC_USEC=1234567"


def test_stopping_status_and_watchdog_are_a_datagram_each(
    notifier: Notifier, manager: socket.socket
) -> None:
    assert notifier.stopping(45, "draining")
    assert notifier.status("2/5 carriers up")
    assert notifier.watchdog()
    said = [manager.recv(4096) for _ in range(3)]
    assert said == [
        b"STOPPING=1\nEXTEND_TIMEOUT_USEC=45000000\nSTATUS=draining",
        b"STATUS=2/5 carriers up",
        b"WATCHDOG=1",
    ]


def test_line_break_in_a_status_says_nothing_else(
    notifier: Notifier, manager: socket.socket
) -> None:
    notifier.status("down: bad\nMAINPID=1\r\n")
    assert manager.recv(4096) == b"STATUS=down: bad MAINPID=1"


def test_manager_that_is_gone_is_not_told_and_nothing_is_raised(
    notifier: Notifier, manager: socket.socket
) -> None:
    manager.close()
    assert not notifier.ready()
    assert not notifier.watchdog()


def test_manager_that_does_not_read_holds_up_no_watchdog(
    notifier: Notifier, manager: socket.socket
) -> None:
    told = [notifier.watchdog() for _ in range(5000)]
    assert told[0]
    assert not told[-1]


@pytest.mark.parametrize("address", [None, "", "@", "/", "relative", "vsock:2:1234"])
def test_address_that_is_none_of_ours_is_told_nothing(address: str | None) -> None:
    notifier = Notifier(address)
    assert not notifier.ready("up")
    notifier.close()


def test_closed_notifier_is_silent(notifier: Notifier) -> None:
    notifier.close()
    assert not notifier.status("up")


@pytest.mark.parametrize(
    ("environ", "seconds"),
    [
        ({"WATCHDOG_USEC": "20000000"}, 20.0),
        ({"WATCHDOG_USEC": "20000000", "WATCHDOG_PID": "7"}, 20.0),
        ({"WATCHDOG_USEC": "20000000", "WATCHDOG_PID": "8"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({}, None),
    ],
)
def test_watchdog_is_ours_or_nobodys(environ: dict[str, str], seconds: float | None) -> None:
    assert systemd.watchdog_seconds(environ, 7) == seconds


@pytest.mark.parametrize(
    "environ",
    [{}, {"LISTEN_FDS": "1"}, {"LISTEN_FDS": "1", "LISTEN_PID": "8"}, {"LISTEN_PID": "7"}],
)
def test_sockets_of_others_are_left_alone(environ: dict[str, str]) -> None:
    assert systemd.passed_sockets(environ, 7) == {}


def test_passed_sockets_are_found_by_name_and_not_inherited_further(tmp_path: Path) -> None:
    script = """
import os
from smppd import systemd
own = {**os.environ, "LISTEN_PID": str(os.getpid())}
print(systemd.passed_sockets(own, os.getpid()), os.get_inheritable(3))
"""
    arguments = ["sh", "-c", 'exec "$@" 3</dev/null 4</dev/null 5</dev/null', "sh"]
    environ = {**os.environ, "LISTEN_FDS": "3", "LISTEN_FDNAMES": "submit::submit"}
    said = subprocess.check_output([*arguments, sys.executable, "-c", script], env=environ)
    assert said.decode().strip() == "{'submit': [3, 5], 'unknown': [4]} False"


def test_credentials_are_where_the_environment_says() -> None:
    assert systemd.credentials_directory({"CREDENTIALS_DIRECTORY": "/run/c"}) == Path("/run/c")
    assert systemd.credentials_directory({}) is None


def test_dropin_allows_each_carriers_address_and_gives_its_credential() -> None:
    carriers = [
        DropinCarrier("alpha", "192.0.2.7", "alpha-password"),
        DropinCarrier("beta", "[2001:db8::1]", None),
        DropinCarrier("gamma", "smsc.example.net", "g"),
        DropinCarrier("delta", None, None),
    ]
    text = systemd.render_dropin(carriers, Path("/etc/smppd/100%"))
    assert [line for line in text.splitlines() if not line.startswith("#")] == [
        "[Service]",
        "IPAddressAllow=192.0.2.7",
        "LoadCredential=alpha-password:/etc/smppd/100%%/alpha-password",
        "IPAddressAllow=2001:db8::1",
        "IPAddressAllow=any",
        "LoadCredential=g:/etc/smppd/100%%/g",
        "IPAddressAllow=any",
    ]
    assert "# gamma: smsc.example.net is a name" in text


def test_environment_without_a_service_manager_is_empty() -> None:
    assert systemd.read_environment({}, 7) == systemd.Environment()
