"""Which carriers there are, for a file that names some: and what is wrong with one it names."""

from __future__ import annotations

from collections.abc import Collection
from difflib import get_close_matches

import msgspec

from smppd.config.model import CarrierConfig
from smppd.config.values import Wrong


class Carriers(msgspec.Struct, frozen=True):
    """The carriers that ``routing.toml`` may name: those with a file (a broken one too), those of
    them that only receive, and the files that set no key."""

    names: Collection[str]
    receivers: Collection[str]
    examples: Collection[str]


def carriers_for(read: dict[str, CarrierConfig | None], examples: Collection[str]) -> Carriers:
    """``read`` holds None for a carrier whose file has problems."""
    receivers = {name for name, one in read.items() if one and one.bind == "receiver"}
    return Carriers(read.keys(), receivers, examples)


def check_carrier(value: object, carriers: Carriers) -> Wrong | None:
    """What is wrong with a carrier that ``routing.toml`` names; None when nothing is."""
    if value is None:
        return Wrong("is missing", "add the name of a carrier")
    if isinstance(value, str) and value in carriers.names:
        return None
    if isinstance(value, str) and value in carriers.examples:
        wrong = f"carriers/{value}.toml sets no key, so it is no carrier"
        return Wrong(wrong, "take the # away before the keys it needs")
    near = get_close_matches(str(value), sorted(carriers.names), 1)
    remedy = f"did you mean {near[0]!r}?" if near else f"create carriers/{value}.toml"
    return Wrong(f"carrier {value!r} has no file carriers/{value}.toml", remedy)
