"""A TOML table becomes a struct, key by key, so that one wrong value hides no other.

Driven by the struct itself: its fields are the keys, their ``Meta`` the rules (``model`` says
how to read them). What a key means to another key or another file is not known here.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from difflib import get_close_matches
from functools import cache
from typing import Annotated, Literal, TypeVar, get_args, get_origin

import msgspec
from msgspec import NODEFAULT, Meta
from msgspec.structs import FieldInfo

from smppd.config.source import Key, Source
from smppd.config.values import Wrong

S = TypeVar("S", bound=msgspec.Struct)

_VALUE_CHARACTERS_MAX = 60
"""Characters of a wrong value repeated in a problem."""

_SECRET_KEYS = frozenset({"password"})
"""Keys whose value is never repeated."""


def read_struct(
    kind: type[S],
    source: Source,
    key: Key,
    table: Mapping[str, object],
    given: Mapping[str, object] | None = None,
    other_keys: Collection[str] = (),
) -> S | None:
    """A ``kind`` from ``table``, which stands at ``key`` of ``source``; problems are noted there.

    ``given`` holds fields that are no keys of this table (or were read already), ``other_keys``
    names keys that the caller reads. None where a field without default is missing or wrong.
    """
    given = given or {}
    fields = [field for field in _fields_of(kind) if field.name not in given]
    known = {field.encode_name for field in fields} | set(other_keys)
    check_keys(source, key, table, known)
    values = dict(given)
    whole = True
    for field in fields:
        required = field.default is NODEFAULT and field.default_factory is NODEFAULT
        name = field.encode_name  # "for" and "from" cannot be attributes
        if name not in table:
            if required:
                whole = False
                _note_missing(source, (*key, name), _rule_of(field.type))
            continue
        shown = "…" if name in _SECRET_KEYS else _show(table[name])
        value = read_value(field.type, table[name], shown)
        if isinstance(value, Wrong):
            whole = whole and not required
            source.note_wrong((*key, name), value)
        else:
            values[field.name] = value
    return kind(**values) if whole else None


@cache
def _fields_of(kind: type[msgspec.Struct]) -> tuple[FieldInfo, ...]:
    """msgspec evaluates the annotations each time: half a second of three hundred carriers."""
    return msgspec.structs.fields(kind)


def check_keys(
    source: Source,
    key: Key,
    table: Mapping[str, object],
    known: Collection[str],
) -> None:
    """Note every key of ``table`` that this release does not serve, with the nearest it does."""
    for name in table:
        if name in known:
            continue
        near = get_close_matches(name, sorted(known), 1)
        remedy = f"did you mean {near[0]!r}?" if near else f"known here: {', '.join(sorted(known))}"
        source.note((*key, name), f"unknown key {name!r}", remedy)


def read_tables(source: Source, key: Key, value: object) -> dict[str, dict[str, object]]:
    """The tables inside the table at ``key``, by name; what is no table is noted and left out."""
    tables = {}
    for name, table in read_table(source, key, value).items():
        if isinstance(table, dict):
            tables[name] = table
        else:
            source.note((*key, name), "is not a table", f"write [{'.'.join(map(str, key))}.NAME]")
    return tables


def read_table(source: Source, key: Key, value: object) -> dict[str, object]:
    """The table at ``key``; empty, and noted, where something else stands there."""
    if isinstance(value, dict):
        return value
    source.note(key, "is not a table", f"write [{'.'.join(map(str, key))}] on a line of its own")
    return {}


def read_value(kind: object, value: object, shown: str) -> object:
    """``value`` as the annotated type ``kind``, or a ``Wrong`` in which it is ``shown``."""
    rule = _rule_of(kind)
    extra = (rule.extra if rule else None) or {}
    if "read" in extra:
        return extra["read"](value)
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError:
        near = get_close_matches(str(value), _words_of(kind), 1)
        remedy = f'did you mean "{near[0]}"?' if near else _remedy(rule)
        return Wrong(f"{shown} is not {_description(kind)}", remedy)


def _rule_of(kind: object) -> Meta | None:
    """The ``Meta`` of an annotated type, of an optional one too."""
    if get_origin(kind) is Annotated:
        return next((item for item in get_args(kind) if isinstance(item, Meta)), None)
    return next((rule for part in get_args(kind) if (rule := _rule_of(part))), None)


def _words_of(kind: object) -> list[str]:
    """The words that ``kind`` allows, of an optional or annotated one too."""
    if get_origin(kind) is Literal:
        return [word for word in get_args(kind) if isinstance(word, str)]
    return [word for part in get_args(kind) for word in _words_of(part)]


def _note_missing(source: Source, key: Key, rule: Meta | None) -> None:
    example = f", such as {key[-1]} = {_show(rule.examples[0])}" if rule and rule.examples else ""
    source.note(key, "is missing", f"add it{example}")


def _description(kind: object) -> str:
    rule = _rule_of(kind)
    assert rule is not None, f"a key of type {kind} has no Meta"
    assert rule.description is not None, f"a key of type {kind} is not described"
    return rule.description


def _remedy(rule: Meta | None) -> str:
    return (
        f"write for example {_show(rule.examples[0])}" if rule and rule.examples else "correct it"
    )


def _show(value: object) -> str:
    """``value`` as TOML would write it, near enough, and not too long."""
    shown = json.dumps(value, default=str, ensure_ascii=False)
    return shown if len(shown) <= _VALUE_CHARACTERS_MAX else shown[:_VALUE_CHARACTERS_MAX] + "…"
