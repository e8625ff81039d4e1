"""The submit object: one digest for equal objects however read, a useful word on each wrong one."""

from __future__ import annotations

import json

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smppd.api.fields import (
    META_BYTES_MAX,
    VALID_FOR_MAX,
    OddSubmit,
    Quote,
    Submit,
    digest_object,
    digest_submit,
    find_meta_fault,
    is_ref,
    read_odd_submit,
)
from smppd.api.protocol import AppProtocol, read_odd_line

_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | _TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXT, inner, max_size=3),
    max_leaves=6,
)
_REF = st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=12)
_SUBMITS = st.fixed_dictionaries(
    {"type": st.just("submit"), "ref": _REF},
    optional={
        "to": _TEXT,
        "from": _TEXT,
        "text": _TEXT,
        "class": st.sampled_from(("otp", "transactional", "promotional")),
        "encoding": st.sampled_from(("auto", "gsm7", "ucs2", "latin1")),
        "data": _TEXT,
        "udh": _TEXT,
        "data_coding": st.integers(0, 255),
        "send_at": st.integers(0, 2**53),
        "valid_for": st.integers(1, VALID_FOR_MAX),
        "carrier": _TEXT.filter(bool) | st.lists(_TEXT, min_size=1, max_size=3),
        "max_cost": st.sampled_from(("0", "1.0", "0.021", "123456789.123456")),
        "flash": st.booleans(),
        "tlv": st.dictionaries(_TEXT, _TEXT, max_size=3),
        "tag": _TEXT,
        "meta": st.dictionaries(_TEXT, _JSON, max_size=4),
        "receipt": st.booleans(),
    },
)


def read_typed(line: str) -> Submit:
    (request,) = AppProtocol().receive_data(line.encode() + b"\n")
    assert isinstance(request, Submit)
    return request


def digest_line(line: str) -> bytes:
    return digest_submit(read_typed(line))


def reverse_keys(value: object) -> object:
    if isinstance(value, dict):
        return {key: reverse_keys(value[key]) for key in reversed(value)}
    if isinstance(value, list):
        return [reverse_keys(element) for element in value]
    return value


@settings(deadline=None)
@given(_SUBMITS)
def test_digest_does_not_count_key_order_spacing_or_escapes(submit: dict[str, object]) -> None:
    compact = json.dumps(submit, separators=(",", ":"), ensure_ascii=False)
    spaced = json.dumps(reverse_keys(submit), separators=(" , ", "\t: "), ensure_ascii=True)
    assert digest_line(compact) == digest_line(spaced)


@settings(deadline=None)
@given(_SUBMITS)
def test_both_readings_give_the_same_object_the_same_digest(submit: dict[str, object]) -> None:
    line = json.dumps(submit)
    odd = read_odd_line(line.encode(), "")
    assert isinstance(odd, OddSubmit)
    assert odd.digest == digest_line(line)


@settings(deadline=None)
@given(_SUBMITS, _SUBMITS)
def test_digests_differ_exactly_where_objects_differ(
    one: dict[str, object], other: dict[str, object]
) -> None:
    same = json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)
    assert (digest_line(json.dumps(one)) == digest_line(json.dumps(other))) == same


def test_digest_tells_a_default_spelled_out_from_one_left_out() -> None:
    spelled = digest_line('{"type":"submit","ref":"a","class":"transactional"}')
    assert spelled != digest_line('{"type":"submit","ref":"a"}')


def test_digest_does_not_count_the_type_key_position() -> None:
    first = digest_line('{"type":"submit","ref":"a","to":"1"}')
    assert first == digest_line('{"to":"1","ref":"a","type":"submit"}')


def test_fields_stand_in_the_order_of_their_names_as_the_digest_needs() -> None:
    for struct in (Submit, Quote):
        names = struct.__struct_encode_fields__
        assert list(names) == sorted(names)


def test_digest_does_not_count_the_order_of_tlvs() -> None:
    line = '{"type":"submit","ref":"a","tlv":{%s}}'
    one, other = '"0x1400":"0a"', '"0x1401":"0b"'
    assert digest_line(line % f"{one},{other}") == digest_line(line % f"{other},{one}")


def test_digest_keeps_numbers_in_meta_as_spelled() -> None:
    one = digest_line('{"type":"submit","ref":"a","meta":{"n":1e999}}')
    assert one != digest_line('{"type":"submit","ref":"a","meta":{"n":2e999}}')


def test_digest_of_a_meta_beyond_its_bound_ignores_spacing_too() -> None:
    line = '{"type":"submit","ref":"a","meta":{"n":"%s"%s}}'
    spaced = digest_line(line % ("x" * 1000, " " * 100))
    assert spaced == digest_line(line % ("x" * 1000, ""))


def test_digest_never_raises_for_the_deepest_meta_there_can_be() -> None:
    depth = (META_BYTES_MAX - len('{"a":}')) // 2
    meta = '{"a":' + "[" * depth + "]" * depth + "}"
    assert len(digest_line(f'{{"type":"submit","ref":"a","meta":{meta}}}')) == 16


@pytest.mark.parametrize("ref", ["a", "x" * 64, "Ünïcödé ß", "注文-1", "a b"])
def test_ref_of_printable_characters_is_one(ref: str) -> None:
    assert is_ref(ref)


@pytest.mark.parametrize("ref", ["", "x" * 65, "a\n", "a\0", "\ud800", None, 7, ["a"], "\u200b"])
def test_ref_that_is_none_is_told_apart(ref: object) -> None:
    assert not is_ref(ref)


def test_meta_may_have_exactly_its_bound_of_bytes() -> None:
    fitting = b'{"k":"' + b"x" * (META_BYTES_MAX - 8) + b'"}'
    assert find_meta_fault(msgspec.Raw(fitting)) is None
    assert "1025 bytes" in str(find_meta_fault(msgspec.Raw(fitting + b" ")))


@pytest.mark.parametrize("meta", [b"null", b"[]", b'"{}"', b"7"])
def test_meta_must_be_an_object(meta: bytes) -> None:
    assert find_meta_fault(msgspec.Raw(meta)) == "'meta' must be an object"


SECONDS = "a whole number of seconds from 1 to 38102400 (63 weeks), like 300"
TIME = "a time in milliseconds since the Unix epoch, like 1795292101000"
CARRIER = 'a carrier\'s name, like "alpha", or a list of 1 to 16'
MONEY = 'a decimal string with at most 6 decimals, like "0.25"'
TLVS = 'an object of at most 32 tags and hex values, like {"0x1400": "0a"}'


def explain(fields: str) -> OddSubmit:
    odd = read_odd_line(b'{"type":"submit","ref":"a",' + fields.encode() + b"}", "")
    assert isinstance(odd, OddSubmit)
    return odd


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ('"encodign":"auto"', "unknown field 'encodign'; did you mean 'encoding'?"),
        ('"zzz":1', "unknown field 'zzz'; leave it out"),
        ('"valid_for":0', f"'valid_for' must be {SECONDS}"),
        ('"valid_for":38102401', f"'valid_for' must be {SECONDS}"),
        ('"valid_for":"60"', f"'valid_for' must be {SECONDS}"),
        ('"valid_for":60.0', f"'valid_for' must be {SECONDS}"),
        ('"valid_for":6e1', f"'valid_for' must be {SECONDS}"),
        ('"valid_for":true', f"'valid_for' must be {SECONDS}"),
        ('"valid_for":null', f"'valid_for' must be {SECONDS}"),
        ('"valid_for":1' + "0" * 5000, f"'valid_for' must be {SECONDS}"),
        ('"send_at":"2027-01-01"', f"'send_at' must be {TIME}"),
        ('"send_at":-1', f"'send_at' must be {TIME}"),
        ('"send_at":9007199254740993', f"'send_at' must be {TIME}"),
        ('"send_at":[]', f"'send_at' must be {TIME}"),
        ('"data":7', "'data' must be a string of base64, like \"aGVsbG8=\""),
        ('"udh":[5,0,3]', "'udh' must be a string of base64, like \"aGVsbG8=\""),
        ('"data_coding":"4"', "'data_coding' must be a whole number from 0 to 255, like 4"),
        ('"data_coding":256', "'data_coding' must be a whole number from 0 to 255, like 4"),
        ('"carrier":7', f"'carrier' must be {CARRIER}"),
        ('"carrier":""', f"'carrier' must be {CARRIER}"),
        ('"carrier":[]', f"'carrier' must be {CARRIER}"),
        ('"carrier":[1]', f"'carrier' must be {CARRIER}"),
        ('"carrier":{"a":1}', f"'carrier' must be {CARRIER}"),
        ('"carrier":[' + ",".join(['"a"'] * 17) + "]", f"'carrier' must be {CARRIER}"),
        ('"max_cost":0.02', f"'max_cost' must be {MONEY}"),
        ('"max_cost":1', f"'max_cost' must be {MONEY}"),
        ('"max_cost":"0,02"', f"'max_cost' must be {MONEY}"),
        ('"max_cost":"-1"', f"'max_cost' must be {MONEY}"),
        ('"max_cost":"1e3"', f"'max_cost' must be {MONEY}"),
        ('"max_cost":"NaN"', f"'max_cost' must be {MONEY}"),
        ('"max_cost":"0.1234567"', f"'max_cost' must be {MONEY}"),
        ('"max_cost":"1\\n"', f"'max_cost' must be {MONEY}"),
        ('"max_cost":"٣"', f"'max_cost' must be {MONEY}"),
        ('"max_cost":"\\ud800"', f"'max_cost' must be {MONEY}"),
        ('"flash":1', "'flash' must be true or false"),
        ('"flash":"true"', "'flash' must be true or false"),
        ('"tlv":[]', f"'tlv' must be {TLVS}"),
        ('"tlv":{"0x1400":1}', f"'tlv' must be {TLVS}"),
        ('"tlv":{' + ",".join(f'"{n}":""' for n in range(33)) + "}", f"'tlv' must be {TLVS}"),
        ('"encoding":"utf8"', "'encoding' must be one of auto, gsm7, ucs2, latin1"),
        ('"class":"OTP"', "'class' must be one of otp, transactional, promotional"),
        ('"class":["otp"]', "'class' must be one of otp, transactional, promotional"),
        ('"to":4912345', "'to' must be a string"),
        ('"tag":null', "'tag' must be a string"),
        ('"receipt":1', "'receipt' must be true or false"),
        ('"meta":[]', "'meta' must be an object"),
        ('"to":1,"to":"+1"', "a field stands twice in this line, or is nested too deep"),
    ],
)
def test_odd_submit_is_told_what_is_wrong(fields: str, reason: str) -> None:
    odd = explain(fields)
    assert (odd.code, odd.reason) == ("bad_field", reason)


def test_half_a_surrogate_pair_in_the_text_is_not_encodable() -> None:
    assert explain('"text":"\\ud83d"').code == "not_encodable"


@pytest.mark.parametrize("fields", ['"tag":"\\ud83d"', '"meta":{"a":"\\udc00"}', '"\\ud800":1'])
def test_half_a_surrogate_pair_elsewhere_is_a_bad_field(fields: str) -> None:
    odd = explain(fields)
    assert odd.code == "bad_field"
    assert odd.reason.encode()


def test_unreadable_object_has_a_digest_of_its_own() -> None:
    one = read_odd_submit("a", {"ref": "a", "text": "\ud800"}, b"one")
    other = read_odd_submit("a", {"ref": "a", "text": "\ud801"}, b"other")
    assert digest_object({"text": "\ud800"}) is None
    assert len({one.digest, other.digest}) == 2
