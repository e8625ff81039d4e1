"""Which of the peers this machine has: skipped aloud where one is missing, never in CI."""

from __future__ import annotations

import functools
import importlib.util
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Final, Literal, TypeAlias

import msgspec
import pytest

HERE: Final = Path(__file__).parent
NODE_MODULES: Final = HERE / "node_modules"

PeerName: TypeAlias = Literal[
    "npm's smpp", "sms-segments-calculator", "Net::SMPP", "smpp34", "smppy", "tshark"
]


class Need(msgspec.Struct, frozen=True):
    """Whether a peer is here, and what brings it."""

    is_here: Callable[[], bool]
    remedy: str


@functools.cache
def has_perl_module(name: str) -> bool:
    """Whether perl is here and loads ``name``."""
    perl = shutil.which("perl")
    command = [perl or "", f"-M{name}", "-e1"]
    return perl is not None and subprocess.run(command, capture_output=True).returncode == 0


def _has_npm(package: str) -> bool:
    return shutil.which("node") is not None and (NODE_MODULES / package).is_dir()


def _has_python(package: str) -> bool:
    return importlib.util.find_spec(package) is not None


_BY_NPM: Final = "install nodejs and npm, then run make test"
_BY_PIP: Final = "run make test, which installs requirements-dev.lock"

NEEDS: Final[dict[PeerName, Need]] = {
    "npm's smpp": Need(lambda: _has_npm("smpp"), _BY_NPM),
    "sms-segments-calculator": Need(lambda: _has_npm("sms-segments-calculator"), _BY_NPM),
    "Net::SMPP": Need(lambda: has_perl_module("Net::SMPP"), "install libnet-smpp-perl"),
    "smpp34": Need(lambda: _has_python("smpp34"), _BY_PIP),
    "smppy": Need(lambda: _has_python("smppy"), _BY_PIP),
    "tshark": Need(lambda: shutil.which("tshark") is not None, "install tshark"),
}


def require(name: PeerName) -> None:
    """Skips the test where the peer is missing; fails it where CI=true."""
    if NEEDS[name].is_here():
        return
    missing = f"{name} is missing: {NEEDS[name].remedy}"
    if os.environ.get("CI") == "true":
        pytest.fail(missing)
    pytest.skip(missing)


def find_missing() -> dict[PeerName, str]:
    """The peers that are not here, each with its remedy."""
    return {name: need.remedy for name, need in NEEDS.items() if not need.is_here()}
