"""How each carrier of a configuration is simulated: profiles from files, options over them.

An option is for all carriers or for one, ``CARRIER=VALUE``, and the later one counts. What is
wrong comes back as an exception that names the option: faces print it, this prints nothing.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import TypeVar

import msgspec

from smppd.config import CarrierConfig
from smppd.errors import SmppdError
from smppd.simulator.listen import make_tls_context
from smppd.simulator.profile import Profile, load_profile

T = TypeVar("T")


class BadOption(SmppdError):
    """An option's value that cannot be used; ``option`` is its name, as in ``--refuse-rate``."""

    def __init__(self, option: str, reason: str) -> None:
        super().__init__(reason)
        self.option = option


def read_profiles(
    carriers: Mapping[str, CarrierConfig],
    files: Sequence[str],
    numbers: Mapping[str, Sequence[str] | None],
    seed: int | None,
) -> dict[str, Profile]:
    """A profile for each carrier.

    ``files`` are the values of ``--profile``; ``numbers`` are those of options that are keys of
    the behaviour. ``BadOption`` for a wrong one, ``ConfigError`` for a file with problems.
    """
    read: dict[Path, Profile] = {}
    profiles = dict.fromkeys(carriers, Profile())
    for names, path in _split_paths("profile", carriers, files):
        if path not in read:
            read[path] = load_profile(path)
        profiles |= dict.fromkeys(names, read[path])
    for key, values in numbers.items():
        for value in values or ():
            names, number = _split(key, carriers, value)
            for name in names:
                profiles[name] = _change_number(profiles[name], key, number, value)
    if seed is not None:
        profiles = {name: _change(one, {"seed": seed}) for name, one in profiles.items()}
    return profiles


def read_tls(
    carriers: Mapping[str, CarrierConfig], files: Mapping[str, Sequence[str] | None]
) -> dict[str, ssl.SSLContext]:
    """The context of each carrier that is to listen with TLS.

    ``files`` are the values of ``--tls-cert``, ``--tls-key`` and ``--tls-client-ca``.
    """
    paths: dict[str, dict[str, Path]] = {name: {} for name in carriers}
    for key, values in files.items():
        for names, path in _split_paths(key, carriers, values or ()):
            for name in names:
                paths[name][key] = path
    contexts: dict[tuple[Path | None, ...], ssl.SSLContext] = {}
    found = {}
    for name, carrier in carriers.items():
        own = tuple(paths[name].get(key) for key in ("tls_cert", "tls_key", "tls_client_ca"))
        if own not in contexts and any(own):
            contexts[own] = _make_context(*own)
        if own in contexts:
            found[name] = contexts[own]
        elif carrier.tls:
            raise BadOption("--tls-cert", f"is needed: carrier {name} is configured with tls")
    return found


def _make_context(cert: Path | None, key: Path | None, ca: Path | None) -> ssl.SSLContext:
    if cert is None:
        raise BadOption("--tls-cert", "is needed beside the other --tls options")
    try:
        return make_tls_context(cert, key, ca)
    except OSError as error:
        names = " and ".join(str(path) for path in (cert, key, ca) if path)
        raise BadOption("--tls-cert", f"{names} cannot be used: {error}") from None


def _split_paths(
    key: str, carriers: Mapping[str, T], values: Sequence[str]
) -> list[tuple[list[str], Path]]:
    """Whom each value of an option is for, and its path. ``BadOption`` for an unknown carrier."""
    split = []
    for value in values:
        # A path may hold '=' as well: then it is one, unless a carrier stands before it.
        is_path = value.partition("=")[0] not in carriers and Path(value).exists()
        names, path = (list(carriers), value) if is_path else _split(key, carriers, value)
        split.append((names, Path(path)))
    return split


def _split(key: str, carriers: Mapping[str, T], value: str) -> tuple[list[str], str]:
    carrier, equals, rest = value.partition("=")
    if not equals:
        return list(carriers), value
    if carrier not in carriers:
        near = get_close_matches(carrier, carriers, 1)
        there = "there is only" if len(carriers) == 1 else "there are"
        known = f"did you mean {near[0]!r}?" if near else f"{there} {', '.join(sorted(carriers))}"
        raise BadOption(_option(key), f"there is no carrier {carrier!r}; {known}")
    return [carrier], rest


def _change_number(profile: Profile, key: str, number: str, value: str) -> Profile:
    try:
        return _change(profile, {key: float(number)})
    except ValueError as error:
        raise BadOption(_option(key), f"{value!r}: {error}") from None


def _change(profile: Profile, keys: dict[str, object]) -> Profile:
    behaviour = msgspec.structs.replace(profile.behaviour, **keys)
    return msgspec.structs.replace(profile, behaviour=behaviour)


def _option(key: str) -> str:
    return "--" + key.replace("_", "-")
