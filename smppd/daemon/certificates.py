"""Certificates that will end, the carriers' and ours: a line a day each, from two weeks before.

A bind lives for months, so what was told when it was made is not enough.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Final

import msgspec
import structlog
import trio

from smppd.config import CarrierConfig
from smppd.config.certificate import DAY_SECONDS, ends_soon
from smppd.traffic.carrier import BindStatus

LOOK_SECONDS: Final = float(DAY_SECONDS)
"""Between two looks."""

log = structlog.get_logger("smppd.carrier")


class CertificateEnd(msgspec.Struct, frozen=True):
    """When one expires (Unix seconds); ``bind`` is the one it was shown on, None: it is ours."""

    carrier: str
    bind: int | None
    until: int


def list_ends(config: CarrierConfig, binds: Iterable[BindStatus]) -> Iterator[CertificateEnd]:
    """Of one carrier: ours, and what its binds were shown."""
    if config.tls is not None and config.tls.cert_until:
        yield CertificateEnd(config.name, None, config.tls.cert_until)
    for bind in binds:
        if bind.certificate_until:
            yield CertificateEnd(config.name, bind.bind, bind.certificate_until)


async def watch_certificates(
    read_ends: Callable[[], Iterable[CertificateEnd]], read_wall_clock: Callable[[], int]
) -> None:
    """Looks at once and then daily, until cancelled; the clock gives Unix milliseconds."""
    while True:
        for end in read_ends():
            days = ends_soon(end.until, read_wall_clock() // 1000)
            if days is not None:
                _log_end(end, days)
        await trio.sleep(LOOK_SECONDS)


def _log_end(end: CertificateEnd, days: int) -> None:
    if end.bind is None:
        log.warning("own_certificate_expires", carrier=end.carrier, days=days)
    else:
        log.warning("certificate_expires", carrier=end.carrier, bind=end.bind, days=days)
