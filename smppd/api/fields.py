"""The submit object, field by field: what each must be, and what makes two submits the same.

It knows the contract's field table and nothing of apps, numbers or routes: what is wrong here is
wrong for everybody. Two readings of one submit meet in this file, the fast one (a typed
``Submit``) and the slow one (a dict, when the typed decoder refused the line); their digests are
equal for equal objects, which is what makes a resubmission a duplicate and not a conflict.

A type here is a field's whole rule where one field alone can be wrong; its ``description`` says
in words what to write. What only two fields together can get wrong is for ``extras``.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Annotated, Final, Literal, TypeGuard

import msgspec
from msgspec import UNSET, Meta, Raw, UnsetType

from smppd.api.faults import JsonObject, JsonValue, Rule, find_fault, rules_of

REF_CHARACTERS_MAX: Final = 64
TAG_CHARACTERS_MAX: Final = 64
META_BYTES_MAX: Final = 1024
"""Of the object as sent, spacing included: the bytes an app can count itself."""
VALID_FOR_MAX: Final = 63 * 7 * 86_400
"""Seconds: 63 weeks, the longest validity there is (3GPP TS 23.040 s9.2.3.12.1)."""
CARRIERS_MAX: Final = 16
"""Carriers one submit may name: more is a routing table, and belongs in one."""
TLVS_MAX: Final = 32
"""Optional parameters of one submit; with their 1,024 octets a PDU stays far below its bound."""
DIGEST_BYTES: Final = 16
"""128 bits: two contents of one ref never meet by chance."""

Class = Literal["otp", "transactional", "promotional"]
WantedEncoding = Literal["auto", "gsm7", "ucs2", "latin1"]
Time = Annotated[
    int,
    Meta(
        ge=0,
        le=2**53,
        description="a time in milliseconds since the Unix epoch, like 1795292101000",
    ),
]
"""Every JSON reader keeps integers whole up to 2**53."""
Base64 = Annotated[str, Meta(description='a string of base64, like "aGVsbG8="')]
DataCoding = Annotated[int, Meta(ge=0, le=255, description="a whole number from 0 to 255, like 4")]
ValidFor = Annotated[
    int,
    Meta(
        ge=1,
        le=VALID_FOR_MAX,
        description=f"a whole number of seconds from 1 to {VALID_FOR_MAX} (63 weeks), like 300",
    ),
]
CarrierName = Annotated[
    str, Meta(min_length=1, description='a carrier\'s name, like "alpha", or a list of 1 to 16')
]
CarrierNames = Annotated[list[str], Meta(min_length=1, max_length=CARRIERS_MAX)]
MaxCost = Annotated[
    str,
    Meta(
        # Python's $ also stands before a last newline.
        pattern=r"^[0-9]{1,9}(\.[0-9]{1,6})?$(?!\n)",
        description='a decimal string with at most 6 decimals, like "0.25"',
    ),
]
Tlvs = Annotated[
    dict[str, str],
    Meta(
        max_length=TLVS_MAX,
        description=f'an object of at most {TLVS_MAX} tags and hex values, like {{"0x1400": "0a"}}',
    ),
]


class Content(
    msgspec.Struct,
    tag_field="type",
    forbid_unknown_fields=True,
    kw_only=True,
    frozen=True,
    gc=False,
):
    """The fields of a submit; one left out is UNSET, never its default.

    They stand in the order of their names, so that encoding a submit *is* its canonical form.
    """

    carrier: CarrierName | CarrierNames | UnsetType = UNSET
    message_class: Class | UnsetType = msgspec.field(name="class", default=UNSET)
    data: Base64 | UnsetType = UNSET
    data_coding: DataCoding | UnsetType = UNSET
    encoding: WantedEncoding | UnsetType = UNSET
    flash: bool | UnsetType = UNSET
    sender: str | UnsetType = msgspec.field(name="from", default=UNSET)
    max_cost: MaxCost | UnsetType = UNSET
    meta: Raw | UnsetType = UNSET
    receipt: bool | UnsetType = UNSET
    ref: str | UnsetType = UNSET
    send_at: Time | UnsetType = UNSET
    smart_encoding: bool | UnsetType = UNSET
    tag: str | UnsetType = UNSET
    text: str | UnsetType = UNSET
    tlv: Tlvs | UnsetType = UNSET
    to: str | UnsetType = UNSET
    udh: Base64 | UnsetType = UNSET
    valid_for: ValidFor | UnsetType = UNSET


class Submit(Content, tag="submit", kw_only=True, frozen=True):
    """An app's wish to have a message sent, under its own name for it."""

    ref: str


class Quote(Content, tag="quote", kw_only=True, frozen=True):
    """The same, only asked: what it would take. ``ref`` may be left out and means nothing."""


class OddSubmit(msgspec.Struct, frozen=True, gc=False):
    """A submit with a readable ``ref`` that can't be accepted: ``code`` and ``reason`` say why.

    It has a digest because its ref is looked up before it is judged.
    """

    ref: str
    digest: bytes
    code: str
    reason: str


class OddQuote(msgspec.Struct, frozen=True, gc=False):
    """A quote of what could not be accepted."""

    code: str
    reason: str


_RULES: Final = rules_of(Submit) | {"meta": Rule(dict, "an object", required=False)}
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
    if submit.tlv is not UNSET:
        submit = msgspec.structs.replace(submit, tlv=dict(sorted(submit.tlv.items())))
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
    code, reason = _find_oddity(fields, is_encodable=digest is not None)
    return OddSubmit(ref, digest or _digest_line(line), code, reason)


def read_odd_quote(fields: JsonObject) -> OddQuote:
    """The same for a quote."""
    return OddQuote(*_find_oddity(fields, is_encodable=digest_object(fields) is not None))


def _find_oddity(fields: JsonObject, *, is_encodable: bool) -> tuple[str, str]:
    """The code and the reason of the first field that is wrong."""
    fault = find_fault(fields, _RULES)
    if fault is not None:
        return "bad_field", fault
    if is_encodable:
        return "bad_field", "a field stands twice in this line, or is nested too deep"
    if _has_surrogate(fields.get("text")):
        return "not_encodable", "'text' holds half of a \\u surrogate pair, which is no character"
    return "bad_field", "half of a \\u surrogate pair, which is no character"


def _digest_line(line: bytes) -> bytes:
    """A digest no acceptable submit has, as those begin with another octet."""
    return blake2b(b"\0" + line, digest_size=DIGEST_BYTES).digest()


def _has_surrogate(value: JsonValue) -> bool:
    return isinstance(value, str) and any("\ud800" <= character <= "\udfff" for character in value)
