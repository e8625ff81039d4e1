"""``docs/simulator.md`` says what the code does: every key with its default, every recipe valid."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest

from smppd.simulator import Behaviour, SubmitRecord, load_profile
from smppd.simulator.messages import MESSAGES_MAX
from smppd.simulator.phones import CATCH_UP_MAX
from smppd.simulator.profile import Alert, Inbound, Profile, Reply, When
from smppd.smpp.constants import STATUS_NAMES
from tests.processes import toml

DOCUMENT = Path(__file__).parent.parent.parent / "docs" / "simulator.md"
TEXT = DOCUMENT.read_text(encoding="utf-8")

SECTIONS: dict[str, type[msgspec.Struct]] = {
    "Keys": Behaviour,
    "`[[phase]]`": When,
    "`[[inbound]]`": Inbound,
    "`[[reply]]`": Reply,
    "`[[alert]]`": Alert,
}


def rows_of(section: str) -> dict[str, str]:
    """The default of each key, as the section's table of four columns has it."""
    body = TEXT.split(f"\n## {section}\n")[1].split("\n## ")[0]
    cells = [line.split(" | ") for line in body.splitlines() if line.startswith("| `")]
    return {row[0].strip("| `"): row[2].strip("`") for row in cells if len(row) == 4}


def default_of(field: msgspec.structs.FieldInfo) -> str:
    if field.default is msgspec.NODEFAULT:
        return "required"
    if field.name.endswith("_status"):
        return toml(STATUS_NAMES[field.default])
    if field.default in (None, (), b""):
        return "none"
    if isinstance(field.default, float):
        return f"{field.default:g}"
    return toml(field.default)


@pytest.mark.parametrize("section", SECTIONS)
def test_every_key_is_documented_with_its_default(section: str) -> None:
    fields = msgspec.structs.fields(SECTIONS[section])
    assert rows_of(section) == {field.encode_name: default_of(field) for field in fields}


def test_every_recipe_is_a_profile(tmp_path: Path) -> None:
    recipes = re.findall(r"```toml\n(.*?)```", TEXT, re.DOTALL)
    assert len(recipes) >= 5
    for recipe in recipes:
        path = tmp_path / "recipe.toml"
        path.write_text(recipe, encoding="utf-8")
        assert load_profile(path) != Profile()


def test_bounds_that_are_named_are_the_ones_in_force() -> None:
    assert f"the last {MESSAGES_MAX:,} submits" in TEXT
    assert f"{CATCH_UP_MAX:,} of a table" in TEXT
    for name in sorted(Behaviour.FIXED):
        assert f"`{name}`" in TEXT.split("## `[[phase]]`")[1].split("\n\n")[0]


def test_every_field_of_a_record_is_named() -> None:
    ledger = TEXT.split("\n## The ledger\n")[1].split("\n## ")[0]
    assert set(SubmitRecord.__struct_fields__) <= set(re.findall(r"`([a-z_]+)`", ledger))
