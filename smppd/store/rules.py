"""What the configuration says about keeping: the store's share of it, exchanged at a reload."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from smppd.routing.inbound import InboundRule
from smppd.store.records import CarrierProfile
from smppd.store.retention import RetentionPeriods


class LedgerRules(msgspec.Struct, frozen=True):
    """Who is told what, and how long it stays.

    ``carriers`` are those configured now; ``eventless_apps`` have ``events = false``; ``reserve``
    are the octets of the disk kept for outcomes, without which nothing new is accepted (0: none).
    Messages from phones are told to the apps of the first rule of ``inbound`` that fits, else to
    ``inbound_apps``.
    """

    carriers: Mapping[str, CarrierProfile]
    currency: str
    eventless_apps: frozenset[str] = frozenset()
    inbound_apps: tuple[str, ...] = ()
    inbound: tuple[InboundRule, ...] = ()
    backlog_max: int = 10_000_000
    periods: RetentionPeriods = RetentionPeriods()
    reserve: int = 0
