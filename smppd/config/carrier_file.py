"""``carriers/NAME.toml``: one carrier, its password wherever that is kept, and its TLS files.

Password, certificate and key are read here, once, so that a carrier that cannot bind for want of
a file is refused with the whole configuration and never half-way through a reload.
"""

from __future__ import annotations

import os
import re
import ssl
from hashlib import sha256
from pathlib import Path
from typing import Final

import msgspec

from smppd.config.certificate import own_valid_until
from smppd.config.model import BreakerConfig, CarrierConfig, TlsConfig
from smppd.config.source import Key, Source, show_key
from smppd.config.submits import read_addresses, read_tlvs
from smppd.config.tables import read_struct, read_table
from smppd.config.values import Wrong
from smppd.config.verdicts import read_verdicts

CARRIERS_DIRECTORY = "carriers"

_CARRIER_NAME = re.compile(r"[a-z0-9_-]{1,32}")
_CREDENTIAL_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@-]{0,127}")
"""What systemd takes as a credential's name, near enough (systemd.exec(5)): a file's name."""

PASSWORD_KEYS: Final = ("password", "password_file", "password_credential")
"""Where a password may be kept: one of them."""

_TABLES: Final = ("tls", "breaker", "addresses", "tlvs", "status")
"""Keys that are tables, each read by its own function."""

_OWN_KEYS: Final = {*CarrierConfig.__struct_fields__, *PASSWORD_KEYS}
"""Keys of the carrier itself: below a table TOML takes them for keys of that."""

# SMPP 3.3 has no optional parameters (TLVs) and no data_sm: both came with 3.4.
_NOT_IN_33: Final = (
    ("long_message", ("sar", "payload"), 'write "udh8" or "udh16"'),
    ("submit_command", ("data_sm",), 'write "submit_sm"'),
)

_GSM7_ONLY: Final = ("national_languages", "packed")
"""Keys that say how GSM-7 is written, where data_coding 0 means GSM-7."""


def carrier_name(source: Source) -> str:
    """The file's name is the carrier's."""
    return Path(source.name).stem


def read_carrier(
    source: Source, directory: Path, credentials: Path | None, *, is_trial: bool
) -> CarrierConfig | None:
    """The carrier, its problems noted. ``credentials`` is systemd's directory of them; in a trial
    without one a ``password_credential`` is taken to be there, and the password is ""."""
    name = carrier_name(source)
    if not _CARRIER_NAME.fullmatch(name):
        source.note((), f"{name!r} is not a carrier's name", "name it with 1 to 32 of a-z 0-9 _ -")
    if source.broken:
        return None
    table = dict(source.table)
    password = _read_password(source, directory, credentials, is_trial=is_trial)
    given: dict[str, object] = {"name": name}
    if password is None:
        given["password"] = ""
    else:
        table["password"] = password
    if "tls" in table:
        given["tls"] = _read_tls(source, directory, table["tls"])
    if "breaker" in table:
        given["breaker"] = _read_breaker(source, table["breaker"])
    if "addresses" in table:
        given["addresses"] = read_addresses(source, _drop_lost_of_rows(source, "addresses", table))
    if "tlvs" in table:
        given["tlvs"] = read_tlvs(source, _drop_lost_of_rows(source, "tlvs", table))
    if "status" in table:
        given["status"] = read_verdicts(source, _drop_lost_of_rows(source, "status", table))
    carrier = read_struct(CarrierConfig, source, (), table, given, (*PASSWORD_KEYS, *_TABLES))
    if carrier is not None:
        _check_together(source, carrier)
    return carrier


def _check_together(source: Source, carrier: CarrierConfig) -> None:
    """What each key may say alone, and not beside another."""
    if carrier.reconnect_min > carrier.reconnect_max:
        source.note(
            ("reconnect_min",),
            f"{carrier.reconnect_min:g} is above reconnect_max, {carrier.reconnect_max:g}",
            "write a reconnect_min of at most reconnect_max",
        )
    if carrier.outbind is not None and carrier.tls is not None:
        source.note(
            ("outbind",),
            "stands beside [tls], which is for connections that we make",
            "keep one of the two",
        )
    if carrier.tlvs and carrier.interface_version == "3.3":
        source.note(("tlvs",), 'needs interface_version "3.4"', "take the table away")
    for key in _GSM7_ONLY if carrier.default_alphabet != "gsm7" else ():
        if getattr(carrier, key):
            wrong = f'needs default_alphabet "gsm7", and it is "{carrier.default_alphabet}"'
            source.note((key,), wrong, "keep one of the two")
    for key, values, remedy in _NOT_IN_33 if carrier.interface_version == "3.3" else ():
        if (value := getattr(carrier, key)) in values:
            wrong = f'"{value}" needs interface_version "3.4"'
            source.note((key,), wrong, remedy)


def _read_password(
    source: Source, directory: Path, credentials: Path | None, *, is_trial: bool
) -> object | None:
    """What ``password`` says, or the file or credential holds; None when none of them will do."""
    given = [key for key in PASSWORD_KEYS if key in source.table]
    if not given:
        remedy = "add 'password', 'password_file' or 'password_credential'"
        source.note(("password",), "is missing", remedy)
        return None
    for key in given[1:]:
        source.note((key,), f"stands beside {given[0]!r}", "keep one of the two")
    if len(given) > 1:
        return None
    key, value = given[0], source.table[given[0]]
    if key == "password":
        return value
    if key == "password_file":
        found = _read_password_file(directory, value)
    else:
        found = _read_credential(credentials, value, is_trial=is_trial)
    if isinstance(found, Wrong):
        source.note_wrong((key,), found)
        return None
    return found


def _read_password_file(directory: Path, value: object) -> str | Wrong:
    if not isinstance(value, str) or not value or "\0" in value:
        return Wrong(f"{value!r} is not a path", "write the path of a file that holds the password")
    try:
        return _read_secret(directory / value)
    except OSError as error:
        return Wrong(
            f"{value!r} cannot be read: {error.strerror}",
            "create the file or make it readable to smppd",
        )


def _read_credential(credentials: Path | None, value: object, *, is_trial: bool) -> str | Wrong:
    if not isinstance(value, str) or not _CREDENTIAL_NAME.fullmatch(value):
        return Wrong(f"{value!r} is not a credential's name", 'write a name, such as "alpha"')
    remedy = f"add LoadCredential={value}:PATH to smppd's unit"
    if credentials is None:
        if is_trial:
            return ""
        return Wrong("there is no $CREDENTIALS_DIRECTORY: systemd started no service here", remedy)
    try:
        return _read_secret(credentials / value)
    except OSError as error:
        return Wrong(f"credential {value!r} cannot be read: {error.strerror}", remedy)


def _read_secret(path: Path) -> str:
    """What the file holds without its line end; a character that is no ASCII is refused later."""
    return path.read_bytes().decode("latin-1").rstrip("\r\n")


def _read_breaker(source: Source, value: object) -> BreakerConfig:
    table = _drop_lost(source, ("breaker",), read_table(source, ("breaker",), value), BreakerConfig)
    return read_struct(BreakerConfig, source, ("breaker",), table) or BreakerConfig()


def _read_tls(source: Source, directory: Path, value: object) -> TlsConfig | None:
    key: Key = ("tls",)
    table = _drop_lost(source, key, read_table(source, key, value), TlsConfig)
    tls = read_struct(TlsConfig, source, key, table, {"files_digest": "", "cert_until": 0})
    if tls is None:
        return None
    files = {
        name: Path(os.path.abspath(directory / path))
        for name in ("ca", "cert", "key")
        if isinstance(path := getattr(tls, name), Path)
    }
    if tls.key is not None and tls.cert is None:
        source.note((*key, "cert"), "is missing beside 'key'", "add the certificate's file")
        return tls
    digest = sha256()
    for name, path in files.items():
        try:
            digest.update(sha256(path.read_bytes()).digest())
        except OSError as error:
            wrong = f"'{path}' cannot be read: {error.strerror}"
            source.note((*key, name), wrong, "create the file or make it readable to smppd")
            return tls
    for name, wrong in _check_tls_files(files).items():
        source.note((*key, name), wrong, "write the path of a PEM file")
    return msgspec.structs.replace(
        tls,
        files_digest=digest.hexdigest() if files else "",
        cert_until=_read_end(files.get("cert")),
        **files,
    )


def _drop_lost(
    source: Source,
    key: Key,
    table: dict[str, object],
    kind: type[msgspec.Struct] | None = None,
) -> dict[str, object]:
    """The same without the carrier's own keys, which TOML takes for keys of the table above.
    ``kind`` has the keys that belong there, also where a carrier has one of that name."""
    there = () if kind is None else kind.__struct_fields__
    lost = [name for name in table if name in _OWN_KEYS and name not in there]
    for name in lost:
        wrong = f"is a key of the carrier, not of [{show_key(key)}]"
        source.note((*key, name), wrong, f"move it above [{show_key(key)}]")
    return {name: value for name, value in table.items() if name not in lost}


def _drop_lost_of_rows(source: Source, key: str, table: dict[str, object]) -> object:
    """What stands at ``key``, and in each row of it, without what belongs above it."""
    value = table[key]
    if not isinstance(value, dict):
        return value
    rows = _drop_lost(source, (key,), value)
    return {
        name: _drop_lost(source, (key, name), row) if isinstance(row, dict) else row
        for name, row in rows.items()
    }


def _read_end(path: Path | None) -> int:
    """When our certificate expires, Unix seconds; 0 where there is none, or it cannot be read."""
    try:
        return 0 if path is None else own_valid_until(path.read_text("latin-1"))
    except OSError:
        return 0


def _check_tls_files(files: dict[str, Path]) -> dict[str, str]:
    """What OpenSSL says against the files, by key."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    wrong = {}
    if "ca" in files:
        try:
            context.load_verify_locations(files["ca"])
        except ssl.SSLError as error:
            wrong["ca"] = f"'{files['ca']}' holds no certificate: {error.reason or 'not PEM'}"
    if "cert" in files:
        try:
            # The empty password keeps OpenSSL from asking for one on the terminal.
            context.load_cert_chain(files["cert"], files.get("key"), password="")
        except ssl.SSLError as error:
            reason = error.reason or "not PEM, or the key is encrypted"
            wrong["cert"] = f"'{files['cert']}' and its key cannot be used: {reason}"
    return wrong
