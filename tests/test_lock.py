"""The lock files: what is installed is what was looked at, wherever it is fetched from."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
LOCKS = ("requirements.lock", "requirements-dev.lock")

PIN = re.compile(r"^([a-z0-9][a-z0-9.-]*)==([^ ;\\]+)", re.MULTILINE)
HASH = re.compile(r"^ +--hash=sha256:[0-9a-f]{64}(?: \\)?$")
NAME = re.compile(r"[A-Za-z0-9._-]+")


def read(lock: str) -> str:
    return (ROOT / lock).read_text(encoding="utf-8")


def pins(lock: str) -> dict[str, str]:
    """The version of every package, by its name."""
    return dict(PIN.findall(read(lock)))


def wanted(*, dev: bool) -> set[str]:
    """What pyproject.toml asks for, by normalised name (PEP 503)."""
    project = tomllib.loads(read("pyproject.toml"))["project"]
    lines = [*project["dependencies"], *(project["optional-dependencies"]["dev"] if dev else ())]
    return {re.sub(r"[-_.]+", "-", NAME.match(line)[0]).lower() for line in lines}  # type: ignore[index]


@pytest.mark.parametrize("lock", LOCKS)
def test_every_package_is_pinned_and_has_its_hashes(lock: str) -> None:
    lines = [line for line in read(lock).splitlines() if not line.lstrip().startswith("#")]
    begun = [at for at, line in enumerate(lines) if line and not line.startswith(" ")]
    assert len(begun) == len(pins(lock)), "a line that pins nothing"
    for at in begun:
        assert HASH.fullmatch(lines[at + 1]), lines[at]
    others = [line for at, line in enumerate(lines) if line and at not in begun]
    assert all(HASH.fullmatch(line) for line in others)


@pytest.mark.parametrize("lock", LOCKS)
def test_lock_names_no_place_to_fetch_from(lock: str) -> None:
    """Whoever installs chooses the registry; the hashes make it the same."""
    text = read(lock)
    assert "://" not in text
    assert not re.search(r"--(index-url|extra-index-url|find-links|trusted-host)", text)
    assert " @ " not in text


def test_locks_have_all_that_the_project_asks_for() -> None:
    assert wanted(dev=False) <= pins("requirements.lock").keys()
    assert wanted(dev=True) <= pins("requirements-dev.lock").keys()


def test_server_gets_what_was_tested_and_nothing_of_the_tests() -> None:
    own, tested = pins("requirements.lock"), pins("requirements-dev.lock")
    assert own.items() <= tested.items()
    assert not own.keys() & (wanted(dev=True) - wanted(dev=False))
