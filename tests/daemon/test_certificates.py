"""Certificates that will end are told of in time: the carriers' and ours, and daily."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import trio
import trio.testing
from structlog.testing import capture_logs

from smppd.config import CarrierConfig, TlsConfig
from smppd.daemon.certificates import CertificateEnd, list_ends, watch_certificates
from smppd.traffic.carrier import BindStatus

DAY: Final = 86_400
START: Final = 1_800_000_000


def carrier(tls: TlsConfig | None) -> CarrierConfig:
    return CarrierConfig(
        name="alpha", host="h", port=1, system_id="smppd", password="secret", tls=tls
    )


def bind(index: int, until: int) -> BindStatus:
    return BindStatus(index, "bound", 0, 0, certificate_until=until)


def test_what_ends_is_ours_and_what_the_binds_were_shown() -> None:
    ours = TlsConfig(cert=Path("ours.pem"), cert_until=START)
    assert [*list_ends(carrier(ours), [bind(0, 0), bind(1, START + 1)])] == [
        CertificateEnd("alpha", None, START),
        CertificateEnd("alpha", 1, START + 1),
    ]
    assert [*list_ends(carrier(None), [bind(0, 0)])] == []


async def test_each_is_told_once_a_day_from_two_weeks_before(
    autojump_clock: trio.testing.MockClock,
) -> None:
    ends = [
        CertificateEnd("alpha", 0, START + 15 * DAY),
        CertificateEnd("beta", None, START + DAY),
    ]
    with capture_logs() as logs:
        with trio.move_on_after(2.5 * DAY):
            await watch_certificates(
                lambda: ends, lambda: round((START + trio.current_time()) * 1000)
            )
    told = [(line["event"], line["carrier"], line.get("bind"), line["days"]) for line in logs]
    assert told == [
        ("own_certificate_expires", "beta", None, 1),
        ("own_certificate_expires", "beta", None, 0),
        ("certificate_expires", "alpha", 0, 13),
        ("own_certificate_expires", "beta", None, -1),
    ]
