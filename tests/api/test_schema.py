"""The schema file is what the code says, and covers what the contract's words do."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import msgspec
import pytest

from smppd.api.protocol import REQUEST_RULES
from smppd.api.schema import ANSWERS, VIEWS, encode_schema

DOCS = Path(__file__).parents[2] / "docs"
WORDS = (DOCS / "protocol.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def definitions() -> dict[str, Any]:
    found: dict[str, Any] = msgspec.json.decode(encode_schema())["$defs"]
    return found


def test_the_file_is_what_the_code_prints() -> None:
    kept = (DOCS / "protocol.schema.json").read_bytes()
    assert kept == encode_schema(), "run: python -m smppd.api.schema > docs/protocol.schema.json"


def test_every_reference_names_a_definition(definitions: dict[str, Any]) -> None:
    names = set(re.findall(r'"#/\$defs/(\w+)"', encode_schema().decode()))
    assert names <= set(definitions)
    assert set(definitions) - names == {"Request", "Answer"} - names


def test_unknown_fields_are_an_error_in_requests_and_may_come_in_answers(
    definitions: dict[str, Any],
) -> None:
    submit, accepted = definitions["Submit"], definitions["AcceptedAnswer"]
    assert submit["additionalProperties"] is False
    assert submit["required"] == ["type", "ref"]
    assert "additionalProperties" not in accepted


def test_each_way_every_line_has_a_type_of_its_own(definitions: dict[str, Any]) -> None:
    requests = _types_of(definitions["Request"], definitions)
    assert sorted(requests) == sorted(REQUEST_RULES)
    told = [
        name for one in ("Answer", "AppEvent") for name in _types_of(definitions[one], definitions)
    ]
    assert len(told) == len(set(told)) == len(ANSWERS) + len(VIEWS) + 1


def _types_of(schema: Any, definitions: dict[str, Any]) -> list[str]:
    if "$ref" in schema:
        return _types_of(definitions[schema["$ref"].rpartition("/")[2]], definitions)
    if "anyOf" in schema:
        return [name for one in schema["anyOf"] for name in _types_of(one, definitions)]
    if "allOf" in schema:
        return [schema["allOf"][1]["properties"]["type"]["const"]]
    found: list[str] = schema["properties"]["type"]["enum"]
    return found


def test_every_request_and_every_field_of_it_is_in_the_words() -> None:
    for verb, rules in REQUEST_RULES.items():
        assert f"`{verb}`" in WORDS, verb
        for name in rules:
            assert f"`{name}`" in WORDS, f"{verb}: {name}"


def test_every_answer_and_every_field_of_it_is_in_the_words(definitions: dict[str, Any]) -> None:
    missing = [
        f"{title}: {name}"
        for title, definition in definitions.items()
        for name in definition.get("properties", {})
        if not re.search(f'[`"]{name}[`"]', WORDS)
    ]
    assert missing == []
