"""Whether two addresses are one: carriers write a number with +, with 00 or bare."""

from __future__ import annotations

from typing import Final

from smppd.routing.inbound import bare

bare_digits: Final = bare
"""An address for comparing."""


def is_same_address(to: str | None, source: str) -> bool:
    """Whether a message's destination and a receipt's source are one phone."""
    return to is not None and bare_digits(to) == bare_digits(source)
