"""The keys of a receipt's text, found wherever they stand.

SMPP 3.4 appendix B calls the form of the text 'an example', and centres took it at its word:
keys in any order, missing, in two cases; values empty or of several words; octets that are no
text. ``receipt`` reads the form of the appendix with one expression and comes here for all
else; both give the same reading of a body that both can read.

1. A value ends where the next key begins, so an empty value swallows nothing.
2. Once stat was seen, what stands under text is the user's and no key is looked for in it: a
   user can write 'stat:DELIVRD'. Before that, text ends at the first key not yet seen.
3. Of a key that comes twice the first counts, but the last id: some centres put a number of
   their own first ('ID:149994-11658328384691 STAT:Delivered id:28d2e34e', a Java example).
4. Nothing here fails, and no time grows with the square of a body's length.

It knows no TLVs and no dates, nor what a field means; but for the words of stat, which it has
to tell from others.
"""

from __future__ import annotations

import re
from typing import Final

import msgspec

from smppd.smpp import constants
from smppd.smpp.message_id import MESSAGE_ID_OCTETS_MAX

STATES_BY_STAT: Final = {
    "SCHEDULED": constants.MESSAGE_STATE_SCHEDULED,
    "ENROUTE": constants.MESSAGE_STATE_ENROUTE,
    "BUFFRED": constants.MESSAGE_STATE_ENROUTE,
    "BUFFERD": constants.MESSAGE_STATE_ENROUTE,
    "BUFFERED": constants.MESSAGE_STATE_ENROUTE,
    "DELIVRD": constants.MESSAGE_STATE_DELIVERED,
    "DELIVERD": constants.MESSAGE_STATE_DELIVERED,
    "DELIVERED": constants.MESSAGE_STATE_DELIVERED,
    "DLV": constants.MESSAGE_STATE_DELIVERED,
    "0": constants.MESSAGE_STATE_DELIVERED,
    "EXPIRED": constants.MESSAGE_STATE_EXPIRED,
    "DELETED": constants.MESSAGE_STATE_DELETED,
    "UNDELIV": constants.MESSAGE_STATE_UNDELIVERABLE,
    "UNDELIVERABLE": constants.MESSAGE_STATE_UNDELIVERABLE,
    "UNDELIVERED": constants.MESSAGE_STATE_UNDELIVERABLE,
    "FAILED": constants.MESSAGE_STATE_UNDELIVERABLE,
    "ACCEPTD": constants.MESSAGE_STATE_ACCEPTED,
    "ACCEPTED": constants.MESSAGE_STATE_ACCEPTED,
    "ACKED": constants.MESSAGE_STATE_ACCEPTED,
    "UNKNOWN": constants.MESSAGE_STATE_UNKNOWN,
    "REJECTD": constants.MESSAGE_STATE_REJECTED,
    "REJECTED": constants.MESSAGE_STATE_REJECTED,
    "DND_REJECTED": constants.MESSAGE_STATE_REJECTED,
    "SKIPPED": constants.MESSAGE_STATE_SKIPPED,
}
"""Words seen as stat, and the message_state they mean; other words have none."""

_STAT_CHARACTERS_MAX: Final = 32
"""How far a stat word is looked for behind its key; the longest known one has 13 letters."""

# Octets that pad a value, and those that pad a whole body.
_PADDING: Final = " \t\r\n\0"
_BODY_PADDING: Final = " \0"

_BYTE_ORDER_MARKS: Final = (b"\xfe\xff", b"\xff\xfe")

# A letter before a key makes it part of a word; a digit does not ('2109151930donedate:').
_KEY: Final = re.compile(
    r"(?<![A-Za-z])(id|sub|dlvrd|submit[ _]?date|done[ _]?date|stat|err|text):",
    re.ASCII | re.IGNORECASE,
)
_FIRST_WORD: Final = re.compile(r"[A-Za-z0-9_]+")
_WORD_AND_MORE: Final = re.compile(
    r"[ \t\r\n\0]*([^ \t\r\n\0]+)[ \t\r\n\0]+([^ \t\r\n\0].*)", re.DOTALL
)


class _FoundKey(msgspec.Struct, frozen=True, gc=False):
    """A key in a body: its field, where it starts, and where its value does."""

    name: str
    start: int
    end: int


def latin_text(body: bytes) -> str:
    """The body with one character an octet, or the UCS-2 it really is; padding cut off.

    No Latin-1 receipt has NUL for its first and third octet; a UCS-2 one always does.
    """
    if len(body) >= 4 and body[0] == 0 == body[2] and body[1] and body[3]:
        text = str(body[: len(body) & ~1], "utf-16-be", "replace")
    else:
        text = str(body, "latin-1")
    return text.rstrip(_BODY_PADDING)


def any_text(body: bytes) -> str:
    """``latin_text``, or the UCS-2 of those who write it with the least octet first or with a byte
    order mark, though it has neither: what is asked last."""
    if body[1:4:2] == b"\0\0" and body[0] and body[2]:
        return str(body[: len(body) & ~1], "utf-16-le", "replace").rstrip(_BODY_PADDING)
    if body[:2] in _BYTE_ORDER_MARKS:
        return str(body[: len(body) & ~1], "utf-16", "replace").rstrip(_BODY_PADDING)
    return latin_text(body)


def state_of(stat: str | None) -> int | None:
    """The message_state of a stat value by its first word, which may start a sentence."""
    match = _FIRST_WORD.match(stat or "")
    return STATES_BY_STAT.get(match[0].upper()) if match else None


def find_fields(text: str) -> dict[str, str]:
    """The fields of a body of any form: a subset of id, sub, dlvrd, submit_date, done_date,
    stat, err and text, as written."""
    keys = [_FoundKey(_field_name(m[1]), m.start(), m.end()) for m in _KEY.finditer(text)]
    found: dict[str, str] = {}
    at = 0
    while at < len(keys):
        key = keys[at]
        following = _after_text(text, keys, at, found) if key.name == "text" else at + 1
        end = keys[following].start if following < len(keys) else len(text)
        if key.name == "err" and "stat" in found:
            match = _WORD_AND_MORE.fullmatch(text, key.end, end)
            if match:
                found.setdefault("err", match[1])
                found.setdefault("text", text[_unkeyed_text(match.start(2), keys[following:]) :])
                break
        _take_field(key.name, text[key.end : end], found)
        at = following
    return found


def _field_name(key: str) -> str:
    """The name of a key as written: a date's loses what stands there for the space."""
    key = key.lower()
    return key[:-4].rstrip(" _") + "_date" if key.endswith("date") else key


def _after_text(text: str, keys: list[_FoundKey], at: int, found: dict[str, str]) -> int:
    """The index of the key that ends the text whose key is at ``at``; their number if none.

    Only where stat is still to come, with a word we know, is any key looked for in the text.
    """
    later = range(at + 1, len(keys))
    if "stat" not in found:
        stats = (keys[i].end for i in later if keys[i].name == "stat")
        if any(_is_stat(text[end : end + _STAT_CHARACTERS_MAX]) for end in stats):
            return next(i for i in later if keys[i].name not in found and keys[i].name != "text")
    return len(keys)


def _is_stat(value: str) -> bool:
    return state_of(value.lstrip(_PADDING)) is not None


def _unkeyed_text(start: int, later: list[_FoundKey]) -> int:
    """Where text starts when words follow err and stat was seen: there, or behind its key."""
    return next((key.end for key in later if key.name == "text"), start)


def _take_field(name: str, value: str, found: dict[str, str]) -> None:
    if name == "text":
        found.setdefault(name, value)
        return
    value = value.strip(_PADDING)
    if name == "id":
        if 0 < len(value) <= MESSAGE_ID_OCTETS_MAX and max(value) <= "\xff":
            found[name] = value
        return
    head, _, word = value.rpartition(" ")
    if head and "stat" not in found and word[:1].isalpha() and _is_stat(word):
        found["stat"] = word  # stat stands there without its key
        value = head.rstrip(_PADDING)
    found.setdefault(name, value)
