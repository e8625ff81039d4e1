"""What is allowed and hardly meant: the warnings of ``smppd check``, each with what to do.

One function a warning, over a configuration that has no problem. Nothing here stops a daemon; a
warning that is wrong for someone is a line more, so each is given only where it costs messages,
money or a secret.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from ipaddress import ip_address
from pathlib import Path
from typing import Final

import msgspec

from smppd.config.certificate import ends_soon
from smppd.config.inbound_rules import find_unreached
from smppd.config.model import CarrierConfig, Config, ConfigWarning
from smppd.config.modes import (
    can_others_read,
    warn_of_modes,
    warn_of_readable_credential,
    warn_of_readable_key,
)
from smppd.config.source import Key, Source, show_key
from smppd.routing.inbound import InboundRule
from smppd.routing.sheet import find_longest
from smppd.turns import in_turns

WARNINGS_MAX: Final = 100
"""Listed; a sheet that fits none of its carrier's routes makes one a route."""

ANSWER_SECONDS: Final = (0.1, 1.0)
"""From submit_sm to its response, at a near carrier and at a far or busy one."""


class Files(msgspec.Struct, frozen=True):
    """The files of a configuration: ``carriers`` by name, ``examples`` those that set no key."""

    daemon: Source
    routing: Source
    carriers: dict[str, Source]
    examples: frozenset[str]


def find_warnings(
    config: Config, files: Files, credentials: Path | None, now: float | None = None
) -> list[ConfigWarning]:
    """Every warning, in the order of the files; at most WARNINGS_MAX, then how many more.

    Without ``now`` (Unix seconds) none of what ends at some time.
    """
    found = [
        *_warn_of_inbound(config, files),
        *_warn_of_inbound_rules(config, files),
        *_warn_of_shadowed_prefixes(config, files),
        *_warn_of_missing_prices(config, files),
        *warn_of_modes(config, files.daemon, [files.routing, *files.carriers.values()]),
    ]
    for name, carrier in config.carriers.items():
        source = files.carriers[name]
        for warn in _CARRIER_WARNINGS:
            found += warn(carrier, source)
        found += _warn_of_unused_carrier(carrier, source, config)
        found += _warn_of_unread_credential(source, credentials)
        found += _warn_of_own_certificate(carrier, source, now)
    if (more := len(found) - WARNINGS_MAX) > 0:
        del found[WARNINGS_MAX:]
        text = "1 more warning" if more == 1 else f"{more} more warnings"
        found.append(ConfigWarning("", "", None, text, "see to these first"))
    return found


def _warning(source: Source, key: Key, text: str, remedy: str) -> ConfigWarning:
    return ConfigWarning(source.name, show_key(key), source.line_of(key), text, remedy)


# -- the whole --------------------------------------------------------------------------------


def _warn_of_inbound(config: Config, files: Files) -> Iterator[ConfigWarning]:
    rules = config.routing.inbound
    takes_all = any(rule.covers(InboundRule(())) for rule in rules)
    if config.apps and not takes_all and not any(app.inbound for app in config.apps.values()):
        whose = " that no [[inbound]] rule fits" if rules else ""
        text = f"no app has inbound = true: messages from phones{whose} are stored, told to nobody"
        yield _warning(files.daemon, ("apps",), text, "write inbound = true in one of them")


def _warn_of_inbound_rules(config: Config, files: Files) -> Iterator[ConfigWarning]:
    """Rules that have no effect: an earlier one takes all of theirs, or nobody is told."""
    rules = config.routing.inbound
    for index, first in find_unreached(rules):
        text = f"is never reached: inbound[{first + 1}] takes all of its messages"
        yield _warning(files.routing, ("inbound", index), text, "put it before that one")
    for index, rule in enumerate(rules):
        for name in rule.apps:
            if name in config.apps and not config.apps[name].events:
                text = f"app {name} has events = false, and is told of nothing"
                remedy = "take events = false away, or name another app"
                yield _warning(files.routing, ("inbound", index), text, remedy)


def _warn_of_shadowed_prefixes(config: Config, files: Files) -> Iterator[ConfigWarning]:
    """A prefix all of whose numbers begin with a longer one that there is too."""
    routes = config.routing.routes
    if config.routing.fallback:
        return  # A shorter prefix is failover then, and used.
    covered = _find_covered({route.prefix for route in routes})
    failover = {
        route.prefix[:end] for route in routes if route.fallback for end in range(len(route.prefix))
    }
    for index, route in enumerate(routes):
        if route.prefix in covered - failover:
            text = f'prefix "{route.prefix}" is never used: longer ones take all of its numbers'
            remedy = "take the route away, or write fallback = true for the longer ones"
            yield _warning(files.routing, ("route", index, "prefix"), text, remedy)


def _find_covered(prefixes: set[str]) -> set[str]:
    """Every prefix whose ten extensions are in ``prefixes``, or are covered themselves."""
    begun = {prefix[:end] for prefix in prefixes for end in range(len(prefix))}
    covered: set[str] = set()
    for prefix in sorted(begun, key=len, reverse=True):
        digits = "0123456789" if prefix else "123456789"  # No E.164 number begins with 0.
        if all(prefix + digit in prefixes or prefix + digit in covered for digit in digits):
            covered.add(prefix)
    return covered


def _warn_of_missing_prices(config: Config, files: Files) -> Iterator[ConfigWarning]:
    """A route that its carrier's sheet never prices."""
    sheets = {sheet.carrier: sheet for sheet in config.routing.sheets}
    own = {route.prefix for route in config.routing.routes}
    priced = {name: _priced_prefixes(sheet.prices, own) for name, sheet in sheets.items()}
    unpriced = {
        index: route
        for index, route in enumerate(config.routing.routes)
        if route.cost is None and route.prefix not in priced[route.carrier]
    }
    offered = {
        route.prefix for index, route in enumerate(config.routing.routes) if index not in unpriced
    }
    for index, route in unpriced.items():
        sheet = sheets[route.carrier]
        shown = f'"{route.prefix}"'
        text = f"{sheet.file} prices no number of prefix {shown}: no offer from {route.carrier}"
        if route.prefix not in offered:
            text += ", nor from another carrier"
        remedy = "add a price to the sheet, or a cost here"
        yield _warning(files.routing, ("route", index), text, remedy)
    yield from _warn_of_unreached_prices(config, files)
    unused = sheets.keys() - {r.carrier for r in config.routing.routes if r.cost is None}
    for index, sheet in enumerate(config.routing.sheets):
        if sheet.carrier in unused:
            text = f"{sheet.file} prices nothing: no route of {sheet.carrier} is without a cost"
            remedy = "take it away, or the cost of the routes it is for"
            yield _warning(files.routing, ("prices", index), text, remedy)


def _warn_of_unreached_prices(config: Config, files: Files) -> Iterator[ConfigWarning]:
    """Prices of numbers that go to no route of their carrier; one warning a sheet.

    Only where they are the lesser part of it: a sheet of all countries beside routes to a few is
    how carriers send them, and no slip.
    """
    for index, sheet in enumerate(config.routing.sheets):
        routes = [route for route in config.routing.routes if route.carrier == sheet.carrier]
        if all(route.cost is not None for route in routes):
            continue
        missed = _find_unreached(sheet.prices, {route.prefix for route in routes})
        if not missed or 2 * len(missed) > len(sheet.prices):
            continue
        what = "prefix" if len(missed) == 1 else f"{len(missed)} prefixes, such as"
        text = f'{sheet.file} prices {what} "{missed[0]}", but no route of {sheet.carrier} reaches '
        remedy = f'add a [[route]] with prefix = "{missed[0]}", or take the price away'
        key = ("prices", index)
        yield _warning(files.routing, key, text + ("it" if len(missed) == 1 else "them"), remedy)


def _find_unreached(prices: dict[str, str], own: set[str]) -> list[str]:
    """The prefixes of ``prices`` that neither begin with one of ``own`` nor begin one."""
    begun = {prefix[:end] for prefix in own for end in range(len(prefix))}
    lengths = sorted({len(prefix) for prefix in own})
    missed = {
        lead
        for lead in _leads_of(prices, own)
        if lead not in begun and not any(lead[:end] in own for end in lengths)
    }
    digits = max(lengths)
    return [one for one in in_turns(prices) if one[:digits] in missed] if missed else []


def _priced_prefixes(prices: dict[str, str], own: set[str]) -> set[str]:
    """Those of the routes' prefixes ``own`` that have a number which ``prices`` prices."""
    longest = {find_longest(own, lead) for lead in _leads_of(prices, own)}
    below = {prefix for prefix in own if find_longest(prices, prefix) is not None}
    return below | {prefix for prefix in longest if prefix is not None}


def _leads_of(prices: dict[str, str], own: set[str]) -> set[str]:
    """As much of each prefix as the routes' prefixes ``own`` can tell apart: of 200,000 few."""
    digits = max(map(len, own))
    return {prefix[:digits] for prefix in in_turns(prices)}


# -- a carrier by itself ----------------------------------------------------------------------


def _warn_of_unused_carrier(
    carrier: CarrierConfig, source: Source, config: Config
) -> Iterator[ConfigWarning]:
    routed = any(route.carrier == carrier.name for route in config.routing.routes)
    if not routed and carrier.bind != "receiver":
        text = f"carrier {carrier.name} is bound, but no route names it"
        yield _warning(source, (), text, "add a [[route]], or bind it as receiver only")


def _warn_of_throughput(carrier: CarrierConfig, source: Source) -> Iterator[ConfigWarning]:
    """Little's law: what is unanswered is the rate times the time to the answer."""
    if carrier.bind == "receiver":
        return
    unanswered = carrier.binds * carrier.window
    near, far = (unanswered / seconds for seconds in ANSWER_SECONDS)
    if carrier.throughput <= near:
        return
    needed = math.ceil(carrier.throughput * ANSWER_SECONDS[0])
    text = (
        f"{carrier.throughput:g} a second is out of reach: {_binds(carrier)} x window "
        f"{carrier.window} = {unanswered} unanswered submit_sm, which is {far:g} a second where an "
        f"answer takes {ANSWER_SECONDS[1]:g} s, and {near:g} where it takes {ANSWER_SECONDS[0]:g} s"
    )
    remedy = f"let binds x window be {needed} or more, or write a lower throughput"
    yield _warning(source, ("throughput",), text, remedy)


def _binds(carrier: CarrierConfig) -> str:
    return "1 bind" if carrier.binds == 1 else f"{carrier.binds} binds"


def _warn_of_readable_password(carrier: CarrierConfig, source: Source) -> Iterator[ConfigWarning]:
    if is_this_host(carrier.host):
        return  # The simulator, or a tunnel: what is reached there is this host's own matter.
    if "password" in source.table and can_others_read(source.path):
        remedy = f"chmod o= {source.path}, or use password_credential"
        text = "stands in a file that every user of this host can read"
        yield _warning(source, ("password",), text, remedy)
    value = source.table.get("password_file")
    path = source.path.parent.parent / value if isinstance(value, str) else None
    if path is not None and can_others_read(path):
        text = "every user of this host can read that file"
        yield _warning(source, ("password_file",), text, f"chmod o= {path}")


def _warn_of_receipts(carrier: CarrierConfig, source: Source) -> Iterator[ConfigWarning]:
    if carrier.bind == "transmitter" and carrier.receipts != "none":
        text = "a transmitter gets no receipts, and messages stay without a final state"
        yield _warning(source, ("bind",), text, 'write bind = "pair", or receipts = "none"')


def _warn_of_idle_id_rule(carrier: CarrierConfig, source: Source) -> Iterator[ConfigWarning]:
    if carrier.match_receipts == "address":
        for key in {"message_id", "message_id_33"} & source.table.keys():
            text = 'is of no effect: match_receipts = "address" takes no notice of ids'
            yield _warning(source, (key,), text, "keep one of the two")


def _warn_of_old_transceiver(carrier: CarrierConfig, source: Source) -> Iterator[ConfigWarning]:
    if carrier.interface_version == "3.3" and carrier.bind == "transceiver":
        text = "SMPP 3.3 has no bind_transceiver; few such carriers take one"
        yield _warning(source, ("interface_version",), text, 'write bind = "pair"')


def _warn_of_unread_credential(source: Source, credentials: Path | None) -> Iterator[ConfigWarning]:
    if credentials is None and "password_credential" in source.table:
        text = "was not read: only the service has $CREDENTIALS_DIRECTORY"
        remedy = "nothing to do if LoadCredential= of smppd's unit names it"
        yield _warning(source, ("password_credential",), text, remedy)


def _warn_of_own_certificate(
    carrier: CarrierConfig, source: Source, now: float | None
) -> Iterator[ConfigWarning]:
    """The carrier would refuse it, and all its binds at once."""
    if now is None or carrier.tls is None or not carrier.tls.cert_until:
        return
    days = ends_soon(carrier.tls.cert_until, int(now))
    if days is not None:
        left = f"is valid for {days} days more" if days >= 0 else "has expired"
        text = f"our certificate {left}"
        yield _warning(source, ("tls", "cert"), text, "put a new one into the file, and reload")


_CARRIER_WARNINGS: Final[tuple[Callable[[CarrierConfig, Source], Iterator[ConfigWarning]], ...]] = (
    _warn_of_throughput,
    _warn_of_readable_password,
    warn_of_readable_key,
    warn_of_readable_credential,
    _warn_of_receipts,
    _warn_of_idle_id_rule,
    _warn_of_old_transceiver,
)


def is_this_host(host: str) -> bool:
    """Whether ``host`` is a loopback address, or its name."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
