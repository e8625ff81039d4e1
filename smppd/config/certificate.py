"""What we read of an X.509 certificate ourselves: its key, its fingerprints, and its end.

Only as much DER as that takes (RFC 5280 s4.1, ITU-T X.690): OpenSSL has judged a certificate before
anything of it counts, but it shows Python neither the key nor the dates of a certificate of ours.
What is no certificate has no key and no end, and never raises.
"""

from __future__ import annotations

import hashlib
import re
import ssl
from datetime import UTC, datetime
from typing import Final

import msgspec

CERTIFICATE_DAYS_MIN: Final = 14
"""A certificate that expires sooner is told of: time to ask for another."""

DAY_SECONDS: Final = 86_400

CERTIFICATE_OCTETS_MAX: Final = 64 * 1024
"""What a DER length is believed up to: no certificate in use is a tenth of it."""

_PEM: Final = re.compile(r"-----BEGIN CERTIFICATE-----\s.*?-----END CERTIFICATE-----", re.DOTALL)
_UTC_TIME: Final = 0x17
_CENTURY_TURN: Final = 50
"""RFC 5280 s4.1.2.5.1: the two digits of a UTCTime are of 2000 to 2049 below it."""


def fingerprints(certificate: bytes) -> frozenset[str]:
    """The two SHA-256 a pin may be: of the certificate (DER), and of its public key."""
    key = public_key_info(certificate)
    octets = (certificate, key) if key else (certificate,)
    return frozenset(hashlib.sha256(one).hexdigest() for one in octets)


def public_key_info(certificate: bytes) -> bytes:
    """The SubjectPublicKeyInfo of a certificate, DER as it stands there; empty where it is none.

    RFC 5280 s4.1: the seventh field of tbsCertificate, the sixth where there is no version.
    """
    outer = _read_element(certificate, 0)
    inner = _read_element(certificate, outer.start)
    # serialNumber, signature, issuer, validity, subject
    at = _skip_fields(certificate, inner.start, 5)
    end = _read_element(certificate, at).end
    return certificate[at:end] if at < end <= inner.end <= outer.end <= len(certificate) else b""


def valid_until(certificate: bytes) -> int:
    """When a certificate (DER) expires, Unix seconds; 0 where that cannot be read."""
    outer = _read_element(certificate, 0)
    at = _skip_fields(certificate, _read_element(certificate, outer.start).start, 3)
    begins = _read_element(certificate, _read_element(certificate, at).start)
    ends = _read_element(certificate, begins.end)
    return _read_time(certificate[begins.end : begins.end + 1], certificate[ends.start : ends.end])


def own_valid_until(pem: str) -> int:
    """The same of the first certificate in a PEM file, which is ours; the others vouch for it."""
    found = _PEM.search(pem)
    try:
        return valid_until(ssl.PEM_cert_to_DER_cert(found[0])) if found else 0
    except ValueError:
        return 0


def ends_soon(until: int, now: int) -> int | None:
    """How many whole days it is valid yet (negative: it has ended), where that are few: fewer than
    CERTIFICATE_DAYS_MIN. Both in Unix seconds."""
    days = (until - now) // DAY_SECONDS
    return days if days < CERTIFICATE_DAYS_MIN else None


def _skip_fields(certificate: bytes, at: int, count: int) -> int:
    """Where tbsCertificate goes on after its version, if it has one, and ``count`` fields."""
    if certificate[at : at + 1] == b"\xa0":  # [0] version
        at = _read_element(certificate, at).end
    for _ in range(count):
        at = _read_element(certificate, at).end
    return at


class _Element(msgspec.Struct, frozen=True):
    """Where a DER element's content starts and ends."""

    start: int
    end: int


def _read_element(der: bytes, at: int) -> _Element:
    """The element at ``at``; behind the end, or with a length nobody believes, it is empty."""
    first = int.from_bytes(der[at + 1 : at + 2], "big")
    start = at + 2
    if first < 0x80:
        return _Element(start, start + first)
    start += first & 0x7F
    length = int.from_bytes(der[at + 2 : start][:4], "big")
    return _Element(start, start + min(length, CERTIFICATE_OCTETS_MAX))


def _read_time(kind: bytes, digits: bytes) -> int:
    """RFC 5280 s4.1.2.5: both kinds of time end in Z, and say seconds."""
    text = digits.decode("latin-1")
    if kind == bytes((_UTC_TIME,)):
        text = ("20" if text[:2] < f"{_CENTURY_TURN}" else "19") + text
    try:
        return int(datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC).timestamp())
    except ValueError:
        return 0
