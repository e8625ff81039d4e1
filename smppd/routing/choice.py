"""Which offers a message may take: what its app wished for, against each offer in its order.

Pure arithmetic over offers; how many segments a text has at a carrier, and what a carrier can
carry, is asked of the caller. Health is not known here: it changes by the second, this does not.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Literal

import msgspec

from smppd.routing.offers import Offer

Out = Literal["", "not_pinned", "over_max_cost", "no_tlvs"]
"""Why an offer is out; "" where it may be taken."""


class Wish(msgspec.Struct, frozen=True):
    """What a submit asks of its route: one of ``carriers`` (none: any), at most ``max_cost`` for
    the whole message (a decimal string; "": no limit), and whether it has TLVs to be carried."""

    carriers: tuple[str, ...] = ()
    max_cost: str = ""
    needs_tlvs: bool = False


NO_WISH = Wish()
"""Every offer may be taken: most messages."""


class Judged(msgspec.Struct, frozen=True):
    """An offer for one message: its segments there, what they cost in all, and why it is out."""

    offer: Offer
    segments: int
    total: str
    out: Out


def judge_offers(
    offers: Sequence[Offer],
    wish: Wish,
    segments_of: Callable[[str], int],
    has_tlvs: Callable[[str], bool],
) -> list[Judged]:
    """Each of ``offers`` judged, in their order; both callables take a carrier's name.

    Where several reasons hold, the app's own pin is named first, its limit on the cost last: the
    cost of what cannot be taken anyway decides nothing.
    """
    limit = Decimal(wish.max_cost) if wish.max_cost else None
    judged = []
    for offer in offers:
        segments = segments_of(offer.carrier)
        total = Decimal(offer.cost) * segments
        out: Out = ""
        if wish.carriers and offer.carrier not in wish.carriers:
            out = "not_pinned"
        elif wish.needs_tlvs and not has_tlvs(offer.carrier):
            out = "no_tlvs"
        elif limit is not None and total > limit:
            out = "over_max_cost"
        judged.append(Judged(offer, segments, f"{total:f}", out))
    return judged
