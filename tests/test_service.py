"""The daemon as a service: what systemd is told, what it hands over, and what the outside sees.

A real process each, with real sockets where systemd's would be.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import signal
import socket
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from smppd.demo.stage import free_ports
from tests.processes import START_SECONDS_MAX, STOP_SECONDS_MAX, Child, Site, ask, is_answering
from tests.tools import require_tool

ENV = shutil.which("env") or "/usr/bin/env"
SH = "/bin/sh"

RUN = (sys.executable, "-m", "smppd", "run", "--config")


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with Site(tmp_path) as own:
        yield own


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[socket.socket]:
    """The service manager's end of NOTIFY_SOCKET."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as bound:
        bound.bind(str(tmp_path / "notify"))
        bound.settimeout(START_SECONDS_MAX)
        yield bound


def start_service(site: Site, manager: socket.socket, **environ: str) -> Child:
    """A daemon that is ready, says its notify socket."""
    own = [f"{name}={value}" for name, value in environ.items()]
    notify = f"NOTIFY_SOCKET={manager.getsockname()}"
    child = site.start(*own, notify, *RUN, str(site.directory), log="daemon.log", program=ENV)
    hear(manager, b"READY=1")
    return child


def hear(manager: socket.socket, wanted: bytes) -> bytes:
    """The next datagram that begins so; TimeoutError when there is none."""
    while True:
        said = manager.recv(4096)
        if said.startswith(wanted):
            return said


def heard(manager: socket.socket) -> list[bytes]:
    """What has been said and not heard yet."""
    manager.setblocking(False)
    said = []
    with suppress(BlockingIOError):
        while True:
            said.append(manager.recv(4096))
    manager.settimeout(START_SECONDS_MAX)
    return said


def test_life_of_a_service_is_told_from_ready_to_stopping(
    site: Site, manager: socket.socket
) -> None:
    daemon = start_service(site, manager)
    assert is_answering(site.socket)
    assert hear(manager, b"STATUS=") == b"STATUS=0/1 carriers up, 0 messages queued"
    simulator = site.start_simulator()
    assert hear(manager, b"STATUS=1/1 carriers up")
    before = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    daemon.send_signal(signal.SIGHUP)
    reloading = hear(manager, b"RELOADING=1")
    found = re.fullmatch(rb"RELOADING=1\nMONOTONIC_USEC=([0-9]+)", reloading)
    assert found is not None, reloading
    assert before <= int(found[1]) <= time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    assert hear(manager, b"READY=1")
    daemon.send_signal(signal.SIGTERM)
    assert hear(manager, b"STOPPING=1")
    assert daemon.wait() == 0, daemon.tail()
    assert simulator.stop() == 0


def test_watchdog_is_fed_while_the_daemon_lives(site: Site, manager: socket.socket) -> None:
    daemon = start_service(site, manager, WATCHDOG_USEC="400000")
    for _ in range(5):
        hear(manager, b"WATCHDOG=1")
    assert daemon.stop() == 0, daemon.tail()


def test_watchdogs_abort_leaves_a_traceback(site: Site, manager: socket.socket) -> None:
    daemon = start_service(site, manager)
    daemon.send_signal(signal.SIGABRT)
    assert daemon.wait() == -signal.SIGABRT
    assert "Fatal Python error: Aborted" in daemon.output()


def test_watchdog_of_another_process_is_not_fed(site: Site, manager: socket.socket) -> None:
    daemon = start_service(site, manager, WATCHDOG_USEC="400000", WATCHDOG_PID="1")
    assert daemon.stop() == 0
    assert b"WATCHDOG=1" not in heard(manager)


def test_socket_of_systemd_is_listened_on_and_outlives_the_daemon(site: Site) -> None:
    path = site.directory / "passed.sock"
    child = activate_daemon(site, str(path))
    child.wait_until(path.exists, "listening", START_SECONDS_MAX)
    assert ask(path, {"type": "ping", "token": 7}) == {"type": "pong", "token": 7}
    assert not site.socket.exists()
    assert child.stop() == 0, child.tail()
    assert path.exists()


def test_socket_of_the_network_is_refused(site: Site) -> None:
    (port,) = free_ports(1)
    child = activate_daemon(site, f"127.0.0.1:{port}")
    child.wait_for_output("Listening on")
    with socket.create_connection(("127.0.0.1", port)):
        assert child.wait(START_SECONDS_MAX) == 1
    assert "no listening Unix stream socket" in child.output()


def activate_daemon(site: Site, address: str) -> Child:
    """systemd-socket-activate, which becomes the daemon at the first connect."""
    activate = require_tool("systemd-socket-activate")
    own = (f"--listen={address}", "--fdname=smppd", "--setenv=PYTHONPATH", *RUN)
    return site.start(*own, str(site.directory), log="daemon.log", program=activate)


def test_daemon_whose_log_nobody_reads_goes_on_and_ends(site: Site) -> None:
    pipe = site.directory / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    writer = os.open(pipe, os.O_WRONLY)
    size = fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
    os.write(writer, b"x" * size)
    os.close(writer)
    try:
        command = f'exec "$@" >{pipe}'
        arguments = ("-c", command, SH, *RUN, str(site.directory))
        daemon = site.start(*arguments, log="daemon.log", program=SH)
        daemon.wait_until(lambda: is_answering(site.socket), "answering", START_SECONDS_MAX)
        site.start_simulator()
        site.wait_bound(daemon)
        sent = site.smppctl("send", "--to", "+8613800138000", "--from", "ACME", "--text", "x")
        assert sent.returncode == 0, sent.stderr
        assert daemon.stop() == 0
    finally:
        os.close(reader)


def test_metrics_are_served_where_the_configuration_says(tmp_path: Path) -> None:
    (port,) = free_ports(1)
    with Site(tmp_path, daemon={"metrics": f"127.0.0.1:{port}"}) as site:
        site.start_simulator()
        daemon = site.start_daemon()
        site.wait_bound(daemon)
        url = f"http://127.0.0.1:{port}"
        with urllib.request.urlopen(f"{url}/metrics", timeout=STOP_SECONDS_MAX) as answer:
            text = answer.read().decode()
        assert 'smppd_carrier_healthy{carrier="alpha"} 1.0' in text
        assert "process_resident_memory_bytes" in text
        with urllib.request.urlopen(f"{url}/healthz", timeout=STOP_SECONDS_MAX) as answer:
            assert answer.status == 200
        assert daemon.stop() == 0, daemon.tail()
