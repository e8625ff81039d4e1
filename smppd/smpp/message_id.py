"""How the message_id of a submit_sm_resp and the id of its receipt name one message.

Carriers answer in hexadecimal and report in decimal, or the reverse; pad with zeros or lose
them; change case between the two. The id that was stored is never rewritten: an id is an
octet string of up to 64. What is built here is a short list of *other spellings* to look up,
the likeliest first.

``candidate_ids`` goes from a receipt to the responses it may mean, ``inverse_candidate_ids``
from a response to the receipts that may mean it, for a receipt that came first. They agree:

1. Every id of ``inverse_candidate_ids(x)`` has x among its candidates.
2. Every id that has x among its candidates is in ``inverse_candidate_ids(x)``, provided it is
   written in one case, and without zeros in front or padded to one of ALL_WIDTHS. (There is
   no end to the other spellings.)

Numbers are unsigned and unbounded: ids above 2^63 are seen.
"""

from __future__ import annotations

import re
from typing import Final, Literal, TypeAlias

MessageIdRule: TypeAlias = Literal["same", "hex_to_dec", "dec_to_hex", "auto"]

MESSAGE_ID_OCTETS_MAX: Final = 64
"""Octets of a message_id, without its NUL (SMPP 3.4 s4.4.2)."""

HEX_WIDTHS: Final = (8, 10, 16)
"""Digits that hexadecimal ids are padded to: of 32 and 64 bits, and ten as seen at Claro."""

DECIMAL_WIDTHS: Final = (10, 20)
"""Digits that decimal ids are padded to: as appendix B says, and those of 64 bits."""

ZERO_WIDTHS: Final = (6, 8, 10, 16)
"""Digits that a number in either base is padded to when a gateway lost its zeros."""

ALL_WIDTHS: Final = tuple(sorted({*HEX_WIDTHS, *DECIMAL_WIDTHS, *ZERO_WIDTHS}))
"""Every width that the id of a receipt is looked for in."""

_DECIMAL: Final = re.compile(rf"[0-9]{{1,{MESSAGE_ID_OCTETS_MAX}}}")
_HEXADECIMAL: Final = re.compile(rf"[0-9A-Fa-f]{{1,{MESSAGE_ID_OCTETS_MAX}}}")
# A UUID, whose first group can lose a zero too ('0e999f21-...' came back as 'E999F21-...').
_DASHED: Final = re.compile(r"[0-9A-Fa-f]{1,8}(?:-[0-9A-Fa-f]{4,12})+")


def candidate_ids(receipt_id: str, rule: MessageIdRule) -> list[str]:
    """The ids, without repetition, that a submit_sm_resp may have carried for this receipt's.

    ``same``: as it is. ``auto``: as it is, then in other case and zeros, then converted both
    ways. ``hex_to_dec`` (responses hexadecimal, receipts decimal) and ``dec_to_hex``: first
    converted, and as it is only last, because there the same digits mean another message.
    """
    if rule == "same":
        return [receipt_id]
    if rule == "hex_to_dec":
        return _unique([*_hex_from_decimal(receipt_id), receipt_id])
    if rule == "dec_to_hex":
        return _unique([*_decimal_from_hex(receipt_id), receipt_id])
    converted = _hex_from_decimal(receipt_id) + _decimal_from_hex(receipt_id)
    return _unique([receipt_id, *_spellings(receipt_id), *converted])


def inverse_candidate_ids(response_id: str, rule: MessageIdRule) -> list[str]:
    """The ids, without repetition, of receipts that may mean this response's message_id."""
    if rule == "same":
        return [response_id]
    if rule == "hex_to_dec":
        return _unique([*_inverse_hex(response_id), response_id])
    if rule == "dec_to_hex":
        return _unique([*_inverse_decimal(response_id), response_id])
    converted = _inverse_hex(response_id) + _inverse_decimal(response_id)
    return _unique([response_id, *_inverse_spellings(response_id), *converted])


def rule_between(response_id: str, receipt_id: str) -> MessageIdRule:
    """The narrowest rule by which the receipt's id means the response's; ``auto`` where only the
    spelling differs, or nothing joins them."""
    if response_id == receipt_id:
        return "same"
    if response_id in _hex_from_decimal(receipt_id):
        return "hex_to_dec"
    return "dec_to_hex" if response_id in _decimal_from_hex(receipt_id) else "auto"


def _hex_from_decimal(digits: str) -> list[str]:
    return _hex_forms(int(digits)) if _DECIMAL.fullmatch(digits) else []


def _decimal_from_hex(digits: str) -> list[str]:
    return _decimal_forms(int(digits, 16)) if _HEXADECIMAL.fullmatch(digits) else []


def _inverse_hex(digits: str) -> list[str]:
    """Decimal forms of a hexadecimal id, if it is spelt as we would spell it."""
    if not _HEXADECIMAL.fullmatch(digits):
        return []
    number = int(digits, 16)
    return _every_width(str(number)) if digits in _hex_forms(number) else []


def _inverse_decimal(digits: str) -> list[str]:
    """Hexadecimal forms of a decimal id, if it is spelt as we would spell it."""
    if not _DECIMAL.fullmatch(digits):
        return []
    number = int(digits)
    return _both_cases(_every_width(f"{number:x}")) if digits in _decimal_forms(number) else []


def _hex_forms(number: int) -> list[str]:
    lower = f"{number:x}"
    return _both_cases([lower, *_padded(lower, HEX_WIDTHS)])


def _decimal_forms(number: int) -> list[str]:
    plain = str(number)
    return [plain, *_padded(plain, DECIMAL_WIDTHS)]


def _spellings(id_: str) -> list[str]:
    """Other cases of an id; of a number also without zeros, one more, or padded with them."""
    if not id_.isascii():
        return []
    lower = id_.lower()
    if _HEXADECIMAL.fullmatch(id_):
        bare = lower.lstrip("0") or "0"
        return _both_cases([lower, bare, f"0{lower}", *_padded(bare, ZERO_WIDTHS)])
    return _both_cases([lower, f"0{lower}"] if _DASHED.fullmatch(id_) else [lower])


def _inverse_spellings(id_: str) -> list[str]:
    """The ids among whose spellings ``id_`` is: none that is written in two cases at once."""
    lower = id_.lower()
    if id_ not in (lower, id_.upper()) or not id_.isascii():
        return []
    spellings = [lower]
    if _HEXADECIMAL.fullmatch(id_):
        bare = lower.lstrip("0") or "0"
        if bare == lower:
            spellings.append(f"0{bare}")
        if bare == lower or len(lower) in ZERO_WIDTHS:
            spellings += _every_width(bare)
        if len(lower) > 1 and lower.startswith("0"):
            spellings.append(lower[1:])
    elif lower.startswith("0") and _DASHED.fullmatch(lower[1:]):
        spellings.append(lower[1:])
    return _both_cases(spellings)


def _every_width(digits: str) -> list[str]:
    return [digits, *_padded(digits, ALL_WIDTHS)]


def _padded(digits: str, widths: tuple[int, ...]) -> list[str]:
    return [digits.zfill(width) for width in widths if len(digits) < width]


def _both_cases(ids: list[str]) -> list[str]:
    return [*ids, *(id_.upper() for id_ in ids)]


def _unique(ids: list[str]) -> list[str]:
    return list(dict.fromkeys(ids))
