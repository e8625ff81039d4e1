"""TLS to a carrier: whom we believe, and in plain words why not.

The chain and the name are always checked, and pins only add to that: a carrier that signs its own
certificate is believed by giving that certificate as ``ca``. What cannot be had safely is not
had: a fault ends the attempt, and nothing is ever sent in the clear instead.

A pin is the SHA-256, in lower-case hex, of the whole certificate (DER, as ``openssl x509
-fingerprint -sha256``) or of its SubjectPublicKeyInfo, which survives a renewal with the same key
(RFC 7469 s2.4, which writes it in base64).
"""

from __future__ import annotations

import ssl
from typing import Final

import msgspec
import trio

from smppd.config.certificate import fingerprints
from smppd.config.model import TlsConfig

MINIMUM_VERSIONS: Final = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}

UNKNOWN_AUTHORITY: Final = (
    "its certificate is signed by an authority that is not known here (key: tls.ca)"
)

# OpenSSL's X509_V_ERR_*, as far as an operator meets them; the others go by OpenSSL's own words.
VERIFY_REASONS: Final = {
    9: "its certificate is not valid yet (is the clock right?)",
    10: "its certificate has expired",
    18: UNKNOWN_AUTHORITY,
    19: UNKNOWN_AUTHORITY,
    20: UNKNOWN_AUTHORITY,
    21: UNKNOWN_AUTHORITY,
    23: "its certificate was revoked",
}
WRONG_NAME_CODES: Final = frozenset({62, 64})  # of a host, of an address

# OpenSSL's reasons for what goes wrong in the handshake, and the alerts a peer sends.
HANDSHAKE_REASONS: Final = {
    "WRONG_VERSION_NUMBER": "it does not speak TLS on this port",
    "RECORD_LAYER_FAILURE": "it does not speak TLS on this port",
    "UNSUPPORTED_PROTOCOL": "it speaks no version of TLS we allow (key: tls.minimum)",
    "TLSV1_ALERT_PROTOCOL_VERSION": "it speaks no version of TLS we allow (key: tls.minimum)",
    "NO_SHARED_CIPHER": "no cipher in common",
    "SSLV3_ALERT_HANDSHAKE_FAILURE": "it refused the handshake: no cipher in common, or it wants"
    " a certificate of ours (key: tls.cert)",
    "TLSV13_ALERT_CERTIFICATE_REQUIRED": "it wants a certificate of ours (key: tls.cert)",
    "TLSV1_ALERT_UNKNOWN_CA": "it does not know who signed our certificate (key: tls.cert)",
    "SSLV3_ALERT_BAD_CERTIFICATE": "it refused our certificate (key: tls.cert)",
    "SSLV3_ALERT_CERTIFICATE_UNKNOWN": "it refused our certificate (key: tls.cert)",
    "SSLV3_ALERT_CERTIFICATE_EXPIRED": "our certificate has expired (key: tls.cert)",
    "SSLV3_ALERT_CERTIFICATE_REVOKED": "our certificate was revoked (key: tls.cert)",
    "TLSV1_ALERT_ACCESS_DENIED": "it refused our certificate (key: tls.cert)",
}

NO_TLS_OF_THIS_STREAM: Final = "octets came that are no TLS of this connection"

# The same reasons behind the handshake: there it is not the port that is wrong.
STREAM_REASONS: Final = dict.fromkeys(
    (
        "WRONG_VERSION_NUMBER",
        "RECORD_LAYER_FAILURE",
        "BAD_RECORD_TYPE",
        "DECRYPTION_FAILED_OR_BAD_RECORD_MAC",
    ),
    NO_TLS_OF_THIS_STREAM,
)


class TlsFault(msgspec.Struct, frozen=True):
    """Why there is no TLS, for the operator."""

    reason: str


class Tls(msgspec.Struct, frozen=True):
    """How a carrier is spoken to: ``context`` is a fault where our own files cannot be used."""

    context: ssl.SSLContext | TlsFault
    server_name: str
    pins: tuple[str, ...] = ()


def build_tls(config: TlsConfig, host: str) -> Tls:
    """What ``[tls]`` of a carrier says; the name expected is ``server_name``, else ``host``."""
    return Tls(build_context(config), config.server_name or host, config.pin_sha256)


def build_context(config: TlsConfig) -> ssl.SSLContext | TlsFault:
    """Reads the files. A fault, not an exception: it is the carrier's links that cannot be made."""
    try:
        context = ssl.create_default_context(cafile=config.ca)
        if config.cert is not None:
            context.load_cert_chain(config.cert, config.key, password=_refuse_password)
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        return TlsFault(f"ca, cert or key cannot be used: {_words_of(error)}")
    context.minimum_version = MINIMUM_VERSIONS[config.minimum]
    if config.ca is not None:
        # So that ``ca`` may be the carrier's own certificate, or the authority just above it.
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    # Carriers' certificates seldom keep RFC 5280 to the letter, and Python 3.13 would want it.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    return context


async def start_tls(
    stream: trio.abc.Stream, tls: Tls
) -> trio.SSLStream[trio.abc.Stream] | TlsFault:
    """The handshake, the name and the pins. Unless all is well ``stream`` is closed."""
    is_well = False
    try:
        secured = await _shake_hands(stream, tls)
        is_well = not isinstance(secured, TlsFault)
        return secured
    finally:
        if not is_well:
            await trio.aclose_forcefully(stream)


async def _shake_hands(
    stream: trio.abc.Stream, tls: Tls
) -> trio.SSLStream[trio.abc.Stream] | TlsFault:
    if isinstance(tls.context, TlsFault):
        return tls.context
    secure: trio.SSLStream[trio.abc.Stream] = trio.SSLStream(
        stream, tls.context, server_hostname=tls.server_name, https_compatible=True
    )
    try:
        await secure.do_handshake()
    except (trio.BrokenResourceError, ssl.CertificateError) as error:
        return TlsFault(describe_break(error, tls.server_name))
    certificate = secure.getpeercert(binary_form=True) or b""
    if tls.pins and not fingerprints(certificate) & frozenset(tls.pins):
        return TlsFault("its certificate is none of the pinned ones (key: tls.pin_sha256)")
    return secure


def certificate_end(stream: trio.SSLStream[trio.abc.Stream]) -> int:
    """When the peer's certificate expires, Unix seconds."""
    return int(ssl.cert_time_to_seconds(str(stream.getpeercert()["notAfter"])))


def describe_break(error: BaseException, server_name: str = "") -> str:
    """Why a stream broke: in our words where TLS was the reason, else in the system's. In the
    handshake with the ``server_name`` that was asked for, behind it without."""
    cause = error.__cause__ or error
    if isinstance(cause, ssl.SSLCertVerificationError):
        if cause.verify_code in WRONG_NAME_CODES:
            return f"its certificate is not for {server_name} (key: tls.server_name)"
        return VERIFY_REASONS.get(cause.verify_code, cause.verify_message)
    if isinstance(cause, ssl.SSLEOFError | ssl.SSLZeroReturnError):
        return "it closed the stream inside TLS"
    if isinstance(cause, ssl.SSLError):
        reasons = HANDSHAKE_REASONS if server_name else HANDSHAKE_REASONS | STREAM_REASONS
        return reasons.get(cause.reason or "", _words_of(cause))
    return str(cause)


def _refuse_password() -> str:
    """For a key that is encrypted: nobody is there to be asked."""
    return ""


def _words_of(error: OSError | ValueError) -> str:
    if isinstance(error, ssl.SSLError):
        return (error.reason or str(error)).replace("_", " ").lower()
    return str(error)
