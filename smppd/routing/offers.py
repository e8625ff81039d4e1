"""The words of a routing table: a route as written, an offer as tried, and a list of offers.

Leaves that every other file of the room shares; what is done with them stands there.
"""

from __future__ import annotations

from typing import Final

import msgspec

ROUTE_SET_KEY_BYTES: Final = 8
"""Short keys for the queue: among a million route sets two collide once in 37 million tables."""


class Route(msgspec.Struct, frozen=True, gc=False):
    """One line of the table: ``carrier`` takes E.164 ``prefix`` (no ``+``) at ``cost`` a segment.

    ``cost`` is a decimal string in the table's currency, or None where the carrier's sheet says;
    ``prefix`` "" is the default route. ``fallback`` counts for its prefix: the next shorter
    prefix's offers come after this one's.
    """

    prefix: str
    carrier: str
    cost: str | None
    fallback: bool = False


class Offer(msgspec.Struct, frozen=True, gc=False):
    """A carrier and what it takes for a segment: a decimal string, as the operator wrote it."""

    carrier: str
    cost: str


class RouteSet(msgspec.Struct, frozen=True):
    """One distinct ordered list of offers; ``key`` names it on disk."""

    key: bytes
    offers: tuple[Offer, ...]
