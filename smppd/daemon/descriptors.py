"""How many descriptors this process may have, and how many of them are left for apps.

A process begins with a soft limit of 1,024, made for programs that use select(2), and a hard limit
it may raise that to by itself (getrlimit(2)). We use epoll, so we take all there is. Apps get what
is left after our own and the carriers': an app too many is told ``busy``, while a carrier's bind
that finds no descriptor is an outage.
"""

from __future__ import annotations

import resource
from collections.abc import Iterable
from typing import Final

from smppd.api.server import CONNECTIONS_MAX
from smppd.config import CarrierConfig

DESCRIPTORS_OWN: Final = 40
"""Kept back for ourselves: the store's 2, the log, the loop and its wakeups, listeners and their
reserves, 8 visitors of the metrics, systemd; and in a thread a reload's files or a resolver."""

DESCRIPTORS_PER_BIND: Final = 3
"""Kept back for each bind: its stream, and two attempts that overlap (RFC 8305)."""

CONNECTIONS_MIN: Final = 8
"""Of apps, however few descriptors there are: below, an operator could not even look."""


def raise_descriptor_limit() -> None:
    """Lifts the soft limit to the hard one."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def connections_for(limit: int, binds: int) -> int:
    """Connections of apps there may be at once under a limit of ``limit`` descriptors, beside
    ``binds`` binds of all carriers."""
    left = limit - DESCRIPTORS_OWN - DESCRIPTORS_PER_BIND * binds
    return max(CONNECTIONS_MIN, min(CONNECTIONS_MAX, left))


def count_connections(carriers: Iterable[CarrierConfig]) -> int:
    """The same under the limit in force, beside the binds of ``carriers``."""
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return connections_for(limit, sum(map(_count_binds, carriers)))


def _count_binds(carrier: CarrierConfig) -> int:
    return carrier.binds * (2 if carrier.bind == "pair" else 1)
