"""The submit object, field by field: what a wrong one is told, and what makes two the same.

It knows the contract's field table and nothing of apps, numbers or routes: what is wrong here is
wrong for everybody. Two readings of one submit meet in this file, the fast one (a typed
``Submit``) and the slow one (a dict, when the typed decoder refused the line); their digests are
equal for equal objects, which is what makes a resubmission a duplicate and not a conflict.
"""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from hashlib import blake2b
from typing import Final, Literal, TypeGuard

import msgspec
from msgspec import UNSET, Raw, UnsetType

REF_CHARACTERS_MAX: Final = 64
TAG_CHARACTERS_MAX: Final = 64
META_BYTES_MAX: Final = 1024
"""Of the object as sent, spacing included: the bytes an app can count itself."""
DIGEST_BYTES: Final = 16
"""128 bits: two contents of one ref never meet by chance."""

CLASSES: Final = ("otp", "transactional", "promotional")
ENCODINGS: Final = ("auto", "gsm7", "ucs2")

JsonValue = (
    str | int | float | bool | Raw | list["JsonValue"] | dict[str, "JsonValue"] | None
)  # a number with a fraction or an exponent is kept as spelled: Raw
JsonObject = dict[str, JsonValue]


class Submit(
    msgspec.Struct,
    tag_field="type",
    tag="submit",
    forbid_unknown_fields=True,
    kw_only=True,
    frozen=True,
    gc=False,
):
    """A submit as this release serves it; a field left out is UNSET, never its default.

    The fields stand in the order of their names, so that encoding one *is* its canonical form.
    """

    message_class: Literal["otp", "transactional", "promotional"] | UnsetType = msgspec.field(
        name="class", default=UNSET
    )
    encoding: Literal["auto", "gsm7", "ucs2"] | UnsetType = UNSET
    sender: str | UnsetType = msgspec.field(name="from", default=UNSET)
    meta: Raw | UnsetType = UNSET
    receipt: bool | UnsetType = UNSET
    ref: str
    tag: str | UnsetType = UNSET
    text: str | UnsetType = UNSET
    to: str | UnsetType = UNSET


class OddSubmit(msgspec.Struct, frozen=True, gc=False):
    """A submit with a readable ``ref`` that can't be accepted: ``code`` and ``reason`` say why.

    It has a digest because its ref is looked up before it is judged.
    """

    ref: str
    digest: bytes
    code: str
    reason: str


# The contract's table, in its order: what each field must be.
SUBMIT_FIELDS: Final[Mapping[str, str]] = {
    "ref": "a string",
    "to": "a string",
    "from": "a string",
    "text": "a string",
    "data": "base64",
    "udh": "base64",
    "data_coding": "an integer",
    "class": "one of " + ", ".join(CLASSES),
    "encoding": "one of " + ", ".join(ENCODINGS),
    "tag": "a string",
    "meta": "an object",
    "send_at": "a time",
    "valid_for": "seconds",
    "carrier": "a string or a list",
    "max_cost": "a decimal string",
    "receipt": "true or false",
    "flash": "true or false",
    "tlv": "an object",
}
UNSERVED_FIELDS: Final = frozenset(
    ("data", "udh", "data_coding", "send_at", "valid_for", "carrier", "max_cost", "flash", "tlv")
)
CHOICES: Final[Mapping[str, tuple[str, ...]]] = {"class": CLASSES, "encoding": ENCODINGS}
TYPES: Final[Mapping[str, type]] = {"meta": dict, "receipt": bool}
"""What is not listed here is a string."""

_TYPE_HEAD: Final = b'{"type":"submit",'
_encode_struct = msgspec.json.Encoder().encode
_encode_sorted = msgspec.json.Encoder(order="sorted").encode
# Numbers stay as spelled (Raw): 1e999 has no float, and 0.10 is not ours to round.
_decode_meta = msgspec.json.Decoder(dict[str, object], float_hook=Raw).decode


def is_ref(value: object) -> TypeGuard[str]:
    """Whether ``value`` can be an app's name for a message: 1-64 printable characters."""
    return isinstance(value, str) and 0 < len(value) <= REF_CHARACTERS_MAX and value.isprintable()


def find_meta_fault(meta: Raw) -> str | None:
    """What is wrong with a ``meta`` as sent, for a person; None when nothing is."""
    raw = memoryview(meta)
    if bytes(raw[:1]) != b"{":
        return "'meta' must be an object"
    if len(raw) > META_BYTES_MAX:
        return f"'meta' has {len(raw)} bytes; at most {META_BYTES_MAX} are carried"
    return None


def digest_submit(submit: Submit) -> bytes:
    """The digest of a typed submit: sixteen octets over its canonical form.

    A ``meta`` that cannot be accepted may go in as sent: nothing is ever bound to that digest.
    """
    if submit.meta is not UNSET:
        submit = msgspec.structs.replace(submit, meta=_canonicalise(submit.meta))
    return blake2b(_encode_struct(submit), digest_size=DIGEST_BYTES).digest()


def _canonicalise(meta: Raw) -> Raw:
    try:
        return Raw(_encode_sorted(_decode_meta(meta)))
    except (msgspec.DecodeError, RecursionError):  # no object, or far deeper than can be accepted
        return meta


def digest_object(fields: JsonObject) -> bytes | None:
    """``digest_submit`` for the generic reading; None when it holds half a surrogate pair."""
    content = {name: value for name, value in fields.items() if name != "type"}
    try:
        canonical = _encode_sorted(content)
    except UnicodeEncodeError:
        return None
    return blake2b(_TYPE_HEAD + canonical[1:], digest_size=DIGEST_BYTES).digest()


def read_odd_submit(ref: str, fields: JsonObject, line: bytes) -> OddSubmit:
    """The refusal of a submit that the typed decoder would not read; ``line`` is as sent."""
    digest = digest_object(fields)
    for name, value in fields.items():
        if name != "type" and (reason := _find_field_fault(name, value)) is not None:
            break
    else:
        if digest is not None:
            reason = "a field stands twice in this line, or is nested too deep"
        elif _has_surrogate(fields.get("text")):
            reason = "'text' holds half of a \\u surrogate pair, which is no character"
            return OddSubmit(ref, _digest_line(line), "not_encodable", reason)
        else:
            reason = "half of a \\u surrogate pair, which is no character"
    return OddSubmit(ref, digest or _digest_line(line), "bad_field", reason)


def _digest_line(line: bytes) -> bytes:
    """A digest no acceptable submit has, as those begin with another octet."""
    return blake2b(b"\0" + line, digest_size=DIGEST_BYTES).digest()


def _has_surrogate(value: JsonValue) -> bool:
    return isinstance(value, str) and any("\ud800" <= character <= "\udfff" for character in value)


def _find_field_fault(name: str, value: JsonValue) -> str | None:
    if name not in SUBMIT_FIELDS:
        served = [field for field in SUBMIT_FIELDS if field not in UNSERVED_FIELDS]
        near = get_close_matches(name[:REF_CHARACTERS_MAX], served, n=1)
        advice = f"did you mean '{near[0]}'?" if near else "leave it out"
        return f"unknown field {name[:REF_CHARACTERS_MAX]!r}; {advice}"
    if name in UNSERVED_FIELDS:
        return f"'{name}' is not served by this release of smppd; leave it out"
    if name == "encoding" and value == "latin1":
        return "'encoding' latin1 is not served by this release of smppd; use auto"
    if not isinstance(value, TYPES.get(name, str)) or (
        name in CHOICES and value not in CHOICES[name]
    ):
        return f"'{name}' must be {SUBMIT_FIELDS[name]}"
    return None
