"""A profile: how a simulated carrier behaves, when it behaves otherwise, and what comes by itself.

Read from TOML with the machinery of the configuration, so that an unknown key is answered with
its file, its line and the nearest key there is. The top of the file is the carrier's behaviour;
``[[phase]]`` changes keys of it for a while, ``[[inbound]]``, ``[[reply]]`` and ``[[alert]]`` are
what phones do. Times are seconds from the carrier's start. What follows from all this, and when,
is for ``timetable`` and ``phones``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final, TypeVar

import msgspec
from msgspec import Meta

from smppd.config.source import Key, Source
from smppd.config.tables import check_keys, read_struct
from smppd.config.values import Wrong
from smppd.errors import ConfigError
from smppd.simulator.behaviour import Behaviour, Rate, Seconds
from smppd.simulator.deliveries import check_inbound

ENTRIES_MAX: Final = 1_000
"""Tables of one kind in a profile: each is looked at whenever something is due."""

TIME_MAX: Final = 366 * 86_400
"""Seconds from the start that a profile may name: a year, for a rehearsal that never ends."""

RATE_MAX: Final = 10_000
"""Messages from phones a second: more than one process delivers."""

_Time = Annotated[
    float,
    Meta(
        ge=0, le=TIME_MAX, description="a number of seconds from 0, at most a year", examples=[60]
    ),
]
_Span = Annotated[
    float,
    Meta(
        gt=0, le=TIME_MAX, description="a number of seconds above 0, at most a year", examples=[30]
    ),
]
_DataCoding = Annotated[
    int,
    Meta(ge=0, le=255, description="a data_coding from 0 to 255", examples=[8]),
]


def read_texts(value: object) -> tuple[str, ...] | Wrong:
    """One text, or a list of which one is drawn each time."""
    texts = value if isinstance(value, list) else [value]
    if texts and all(isinstance(text, str) for text in texts):
        return tuple(texts)
    return Wrong(f"{value!r} is no text", "write a text in quotes, or a list of them")


def read_octets(value: object) -> bytes | Wrong:
    """Octets in hexadecimal."""
    try:
        return bytes.fromhex(value) if isinstance(value, str) else Wrong("", "")
    except ValueError:
        return Wrong(f"{value!r} is not hexadecimal", 'write two digits an octet, such as "01ff"')


Texts = Annotated[tuple[str, ...], Meta(extra={"read": read_texts})]
_Text = Annotated[str, Meta(description="a text", examples=["STOP"])]


class When(msgspec.Struct, frozen=True, kw_only=True, rename={"lasting": "for"}):
    """``at`` seconds from the start, for ``lasting`` seconds (None: to the end), each ``every``."""

    at: _Time = 0.0
    lasting: _Span | None = None
    every: _Span | None = None


class Phase(msgspec.Struct, frozen=True):
    """A while in which ``changes``, keys of ``Behaviour``, have other values."""

    when: When
    changes: dict[str, object]


class Inbound(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    rename={"lasting": "for", "sources": "from", "texts": "text"},
):
    """Messages that phones send: one at ``at``, one ``every`` so often, or ``rate`` a second.

    ``sources`` and ``texts`` are drawn; ``#`` in a source is any digit. ``data_coding`` None: what
    the text needs.
    """

    at: _Time = 0.0
    lasting: _Span | None = None
    every: Seconds | None = None
    rate: Annotated[
        float,
        Meta(ge=0, le=RATE_MAX, description="a number a second from 0 to 10000", examples=[5]),
    ] = 0.0
    sources: Texts
    to: _Text
    texts: Texts = ()
    data: Annotated[bytes, Meta(extra={"read": read_octets})] = b""
    data_coding: _DataCoding | None = None


class Reply(msgspec.Struct, frozen=True, kw_only=True, rename={"texts": "text"}):
    """What a phone answers to a message it got, if that ``contains`` this, in either case."""

    contains: _Text = ""
    texts: Texts
    delay: Seconds = 0.0
    rate: Rate = 1.0


class Alert(msgspec.Struct, frozen=True, kw_only=True, rename={"source": "from"}):
    """alert_notification: the phone ``source`` can be reached again."""

    at: _Time = 0.0
    every: Seconds | None = None
    source: _Text
    to: _Text
    availability: (
        Annotated[int, Meta(ge=0, le=2, description="0, 1 or 2 (section 5.3.2.30)", examples=[0])]
        | None
    ) = None


class Profile(msgspec.Struct, frozen=True):
    """All a profile says; ``given`` are the keys of the behaviour that stand in the file."""

    behaviour: Behaviour = Behaviour()
    phases: tuple[Phase, ...] = ()
    inbound: tuple[Inbound, ...] = ()
    replies: tuple[Reply, ...] = ()
    alerts: tuple[Alert, ...] = ()
    given: frozenset[str] = frozenset()


TABLES: Final = ("phase", "inbound", "reply", "alert")
"""The lists of tables behind the keys of the behaviour."""

_Entry = TypeVar("_Entry", Reply, Alert)


def load_profile(path: Path) -> Profile:
    """The profile in the file ``path``; ``ConfigError`` with every problem there is."""
    source = Source(Path(), str(path))
    behaviour = read_struct(Behaviour, source, (), source.table, other_keys=TABLES)
    profile = Profile(
        behaviour or Behaviour(),
        tuple(_read_phases(source)),
        tuple(_read_inbound(source)),
        tuple(_read_entries(Reply, source, "reply")),
        tuple(_read_entries(Alert, source, "alert")),
        frozenset(source.table) - set(TABLES),
    )
    if source.problems:
        raise ConfigError(source.problems)
    return profile


def _read_phases(source: Source) -> list[Phase]:
    phases = []
    times = set(_keys_of(When))
    known = times | (set(_keys_of(Behaviour)) - Behaviour.FIXED)
    for key, table in _tables(source, "phase"):
        check_keys(source, key, table, known)
        when = read_struct(When, source, key, _part(table, times))
        changes = _part(table, known - times)
        changed = read_struct(Behaviour, source, key, changes)
        if when is not None and changed is not None:
            _check_when(source, key, when)
            phases.append(Phase(when, {name: getattr(changed, name) for name in changes}))
        if not changes:
            source.note(key, "changes nothing", "add a key of the behaviour, or remove the phase")
    return phases


def _check_when(source: Source, key: Key, when: When) -> None:
    if when.every is None:
        return
    if when.lasting is None:
        source.note((*key, "every"), "stands without 'for'", "add how long it lasts each time")
    elif when.lasting >= when.every:
        source.note((*key, "for"), "is not shorter than 'every'", "write a smaller one")


def _read_inbound(source: Source) -> list[Inbound]:
    entries = []
    for key, table in _tables(source, "inbound"):
        entry = read_struct(Inbound, source, key, table)
        if entry is None:
            continue
        if entry.every is not None and entry.rate:
            source.note((*key, "rate"), "stands beside 'every'", "keep one of the two")
        if ("text" in table) == ("data" in table):
            source.note((*key, "text"), "or 'data' is what is sent", "write one of the two")
        if entry.every == 0:
            source.note((*key, "every"), "is no time at all", "write seconds above 0")
        for wrong in _find_inbound_faults(entry):
            source.note_wrong(key, wrong)
        entries.append(entry)
    return entries


def _find_inbound_faults(entry: Inbound) -> list[Wrong]:
    """Each text and each address that no deliver_sm can carry, once."""
    found = [check_inbound(source, entry.to, "", None) for source in entry.sources]
    found += [check_inbound("1", "1", text, entry.data_coding) for text in entry.texts]
    return [Wrong(reason, "correct it") for reason in dict.fromkeys(found) if reason]


def _read_entries(kind: type[_Entry], source: Source, name: str) -> list[_Entry]:
    read = (read_struct(kind, source, key, table) for key, table in _tables(source, name))
    return [entry for entry in read if entry is not None]


def _tables(source: Source, name: str) -> list[tuple[Key, dict[str, object]]]:
    """The tables ``[[name]]`` with their keys; what is none is noted."""
    tables = source.table.get(name, [])
    if not isinstance(tables, list) or not all(isinstance(one, dict) for one in tables):
        source.note((name,), "is not a list of tables", f"write [[{name}]] with two brackets")
        return []
    if len(tables) > ENTRIES_MAX:
        source.note((name,), f"there are {len(tables)} of them", f"write at most {ENTRIES_MAX}")
    return [((name, index), table) for index, table in enumerate(tables)]


def _keys_of(kind: type[msgspec.Struct]) -> list[str]:
    return [field.encode_name for field in msgspec.structs.fields(kind)]


def _part(table: dict[str, object], keys: set[str]) -> dict[str, object]:
    return {name: value for name, value in table.items() if name in keys}
