"""The protocol as a JSON Schema, for programs: ``docs/protocol.schema.json`` is what this prints.

Generated from the very structs that read requests and write answers, so it cannot promise what is
not served; a test holds the file equal. What one field alone cannot get wrong (``text`` or
``data``, one of ``id``, ``ref`` and ``tag``) is in ``docs/protocol.md`` in words.

    python -m smppd.api.schema > docs/protocol.schema.json
"""

from __future__ import annotations

import re
import sys
from typing import Final, TypeAlias, get_args

import msgspec

from smppd.api.answers import Answer
from smppd.api.controls import ANSWER_TYPES
from smppd.api.protocol import PROTOCOL_VERSION
from smppd.api.requests import Served
from smppd.store.events import AppEvent
from smppd.store.view import MessageView

Schema: TypeAlias = dict[str, "Schema | list[Schema] | list[str] | str | int | bool | None"]

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"

REQUESTS: Final[tuple[type, ...]] = get_args(Served)
ANSWERS: Final[tuple[type, ...]] = tuple(one for one in get_args(Answer) if one is not msgspec.Raw)
VIEWS: Final[dict[type[msgspec.Struct], str]] = {MessageView: "message", **ANSWER_TYPES}
"""Shapes of other rooms that become answers by being given their ``type``."""


def build_schema() -> Schema:
    """Every request, answer and event of this version: a peer's line is a ``Request``, ours an
    ``Answer`` or an ``AppEvent``, told apart by ``type``."""
    kinds = (*REQUESTS, *ANSWERS, *VIEWS, AppEvent)
    _, definitions = msgspec.json.schema_components(kinds)
    answers = [_refer(one.__name__) for one in ANSWERS]
    for view, name in VIEWS.items():
        title = f"{name.capitalize()}Answer"
        definitions[title] = _give_type(view.__name__, title, name)
        answers.append(_refer(title))
    definitions["Request"] = {"anyOf": [_refer(one.__name__) for one in REQUESTS]}
    definitions["Answer"] = {"anyOf": answers}
    return {
        "$schema": DIALECT,
        "title": f"The local socket protocol of smppd, version {PROTOCOL_VERSION}",
        "description": "One JSON object a line. The words are in protocol.md.",
        "anyOf": [_refer("Request"), _refer("Answer"), _refer(AppEvent.__name__)],
        "$defs": {name: _tidy(one) for name, one in sorted(definitions.items())},
    }


def encode_schema() -> bytes:
    """The file, with its last newline."""
    return msgspec.json.format(msgspec.json.encode(build_schema()), indent=2) + b"\n"


def _refer(name: str) -> Schema:
    return {"$ref": f"#/$defs/{name}"}


def _give_type(view: str, title: str, name: str) -> Schema:
    typed: Schema = {"properties": {"type": {"const": name}}, "required": ["type"]}
    return {"title": title, "allOf": [_refer(view), typed]}


def _tidy(definition: Schema) -> Schema:
    """Docstrings as one line of plain words."""
    words = definition.get("description")
    if not isinstance(words, str):
        return definition
    return definition | {"description": re.sub(r"\s+", " ", words.replace("``", "`"))}


if __name__ == "__main__":
    sys.stdout.buffer.write(encode_schema())
