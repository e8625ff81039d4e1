"""The units in systemd/: understood by systemd, hardened, and in agreement with the code."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

import smppd
from smppd import terminal
from smppd.api.server import BACKLOG_MAX, CONNECTIONS_MAX
from smppd.config import load
from smppd.config.values import check_socket_path
from smppd.daemon.descriptors import connections_for
from smppd.systemd import DropinCarrier, render_dropin
from tests.processes import Site
from tests.tools import require_tool

UNITS = Path(smppd.__file__).parent.parent / "systemd"

EXPOSURE_MAX = 20
"""Tenths, as systemd-analyze counts its threshold: 2.0 is "OK"."""


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(arguments, capture_output=True, text=True, timeout=60, check=False)


def settings(unit: str) -> dict[str, list[str]]:
    """The unit's assignments by name, in the order of the file."""
    found: dict[str, list[str]] = {}
    text = (UNITS / unit).read_text(encoding="utf-8")
    for name, value in re.findall(r"^(\w+)=(.*)$", text, re.MULTILINE):
        found.setdefault(name, []).append(value)
    return found


def installed(directory: Path, dropin: str = "") -> list[str]:
    """The units as files whose programs exist, for systemd to read; with a drop-in."""
    for unit in ("smppd.service", "smppd.socket"):
        text = (UNITS / unit).read_text(encoding="utf-8")
        (directory / unit).write_text(re.sub(r"/usr/bin/smpp\w+", "/bin/true", text))
    if dropin:
        own = directory / "smppd.service.d"
        own.mkdir()
        (own / "carriers.conf").write_text(dropin)
    return [str(directory / unit) for unit in ("smppd.service", "smppd.socket")]


DROPIN = render_dropin(
    [DropinCarrier("alpha", "192.0.2.7", "alpha"), DropinCarrier("beta", "smsc.example", None)],
    Path("/etc/smppd/credentials"),
)


@pytest.mark.parametrize("dropin", ["", DROPIN])
def test_service_is_hardened(tmp_path: Path, dropin: str) -> None:
    analyze = require_tool("systemd-analyze")
    service, _ = installed(tmp_path, dropin)
    arguments = ("security", "--offline=true", f"--threshold={EXPOSURE_MAX}", "--no-pager")
    judged = run(analyze, *arguments, service)
    assert judged.returncode == 0, judged.stdout + judged.stderr
    assert "Overall exposure level for smppd.service" in judged.stdout


@pytest.mark.parametrize("dropin", ["", DROPIN])
def test_systemd_understands_every_line_of_the_units(tmp_path: Path, dropin: str) -> None:
    analyze = require_tool("systemd-analyze")
    verified = run(analyze, "verify", "--man=no", *installed(tmp_path, dropin))
    assert (verified.returncode, verified.stderr) == (0, "")


def test_exit_codes_that_end_the_restarts_are_those_that_another_start_would_end_with() -> None:
    codes = f"{terminal.DAMAGED} {terminal.BAD_CONFIG}"
    assert settings("smppd.service")["RestartPreventExitStatus"] == [codes]


def test_service_has_time_for_a_drain_of_the_default_length(tmp_path: Path) -> None:
    with Site(tmp_path) as site:
        drain = load(site.directory).daemon.drain_timeout
    assert int(settings("smppd.service")["TimeoutStopSec"][0]) >= drain + 15


def test_socket_is_a_path_that_apps_can_use() -> None:
    (path,) = settings("smppd.socket")["ListenStream"]
    assert check_socket_path(Path(path)) is None
    assert settings("smppd.socket")["SocketMode"] == ["0666"]


def test_service_has_descriptors_for_every_app_beside_thousands_of_binds() -> None:
    limit = int(settings("smppd.service")["LimitNOFILE"][0])
    assert connections_for(limit, binds=10_000) == CONNECTIONS_MAX
    assert int(settings("smppd.socket")["Backlog"][0]) == BACKLOG_MAX


def test_dropin_is_printed_from_the_carriers_without_their_passwords(tmp_path: Path) -> None:
    alpha = {"host": "192.0.2.7", "password_credential": "alpha-password"}
    with Site(tmp_path, carriers={"alpha": alpha}) as site:
        file = site.directory / "carriers" / "alpha.toml"
        lines = file.read_text(encoding="utf-8").splitlines(keepends=True)
        file.write_text("".join(line for line in lines if not line.startswith("password =")))
        arguments = ("-m", "smppd", "systemd-dropin", "--config", str(site.directory))
        printed = run(sys.executable, *arguments)
    assert printed.returncode == 0, printed.stderr
    assert printed.stdout.splitlines()[-2:] == [
        "IPAddressAllow=192.0.2.7",
        f"LoadCredential=alpha-password:{tmp_path}/credentials/alpha-password",
    ]


def test_groups_are_named_as_sysusers_takes_them() -> None:
    text = (UNITS / "sysusers.d" / "smppd.conf").read_text(encoding="utf-8")
    lines = [line.split() for line in text.splitlines() if not line.startswith("#")]
    assert [(kind, number) for kind, _, number in lines] == [("g", "-")] * len(lines)
