"""What is wrong with a request's fields, in words: from the types the typed decoder goes by.

A type says what is right, its ``description`` says it for a person; there is no second table that
could disagree. It knows no verb and no field.
"""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from types import UnionType
from typing import Annotated, Final, Literal, Union, get_args, get_origin

import msgspec
from msgspec import Raw, UnsetType

JsonValue = (
    str | int | float | bool | Raw | list["JsonValue"] | dict[str, "JsonValue"] | None
)  # a number with a fraction or an exponent is kept as spelled: Raw
JsonObject = dict[str, JsonValue]

NAME_CHARACTERS_SHOWN: Final = 64
"""Of a field nobody knows, in the answer: it may have 65,000."""

WORDS: Final[Mapping[object, str]] = {
    str: "a string",
    int: "a whole number",
    bool: "true or false",
    list[str]: "a list of strings",
    Raw: "anything",
}
"""For a type without a description."""


class Rule(msgspec.Struct, frozen=True):
    """One field: its type, in words, and whether it may be left out."""

    type: object
    words: str
    required: bool


def rules_of(request: type[msgspec.Struct]) -> dict[str, Rule]:
    """The rules of a request's fields, by their names on the wire."""
    return {
        field.encode_name: Rule(field.type, _words_of(field.type), field.required)
        for field in msgspec.structs.fields(request)
    }


def find_fault(fields: JsonObject, rules: Mapping[str, Rule]) -> str | None:
    """What is wrong with the first wrong field, and what to write; None: nothing is."""
    for name, value in fields.items():
        if name == "type":
            continue
        if name not in rules:
            near = get_close_matches(name[:NAME_CHARACTERS_SHOWN], rules, n=1)
            advice = f"did you mean '{near[0]}'?" if near else "leave it out"
            return f"unknown field {name[:NAME_CHARACTERS_SHOWN]!r}; {advice}"
        if not _fits(value, rules[name].type):
            return f"'{name}' must be {rules[name].words}"
    for name, rule in rules.items():
        if rule.required and name not in fields:
            return f"'{name}' is missing: {rule.words}"
    return None


def _fits(value: JsonValue, wanted: object) -> bool:
    if Raw in get_args(wanted):
        return True
    try:
        msgspec.convert(value, wanted)
    except msgspec.ValidationError:
        return False
    except UnicodeEncodeError:  # half a surrogate pair where a choice or a pattern is wanted
        return False
    return True


def _words_of(hint: object) -> str:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated:
        found = [meta.description for meta in arguments[1:] if isinstance(meta, msgspec.Meta)]
        return found[0] if found and found[0] else _words_of(arguments[0])
    if origin is Literal:
        return "one of " + ", ".join(arguments)
    if origin in (Union, UnionType):
        return _words_of(next(one for one in arguments if one is not UnsetType))
    return WORDS[hint]
