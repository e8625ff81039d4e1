"""docs/security.md names a test for every claim: they exist, and so do the targets it names."""

from __future__ import annotations

import re
from pathlib import Path

from tests.fuzz.targets import TARGETS

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
NAMED = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", TEXT)


def test_every_test_that_is_named_exists() -> None:
    assert len(NAMED) > 20
    lost = [
        f"{path}::{name}"
        for path, name in NAMED
        if not (ROOT / path).is_file()
        or (name and f"def {name}(" not in (ROOT / path).read_text(encoding="utf-8"))
    ]
    assert lost == []


def test_every_target_is_named() -> None:
    lost = [name for name in TARGETS if f"`{name}`" not in TEXT]
    assert lost == []


def test_files_and_verbs_it_shows_are_there() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"`?make (\w+)", TEXT):
        assert f"\n{target}:" in makefile, target
    for lock in re.findall(r"`(requirements[\w-]*\.lock)`", TEXT):
        assert (ROOT / lock).is_file(), lock
