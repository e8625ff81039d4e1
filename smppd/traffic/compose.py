"""The submit_sm of a segment: the message as its carrier gets it, pure."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from smppd.smpp import constants
from smppd.smpp.pdu import SubmitSm, relative_time
from smppd.store.changes import EncodingName
from smppd.store.records import Message
from smppd.text.segment import data_coding_of, split

HALF_SENT_VALIDITY_SECONDS: Final = 3_600
"""validity_period of the rest of a message whose own has ended with a part of it sent: it must be
given time to arrive, or what was sent was in vain."""


def build_submit(message: Message, index: int, now_ms: int) -> SubmitSm:
    """The submit_sm of one segment, as its carrier gets it."""
    parts = message.parts
    encoding = message.encoding
    if len(parts) == 1:
        short_message = split(message.text, encoding, 0)[0]
        esm_class = constants.ESM_MODE_DEFAULT
    else:
        short_message = _split_kept(message.text, encoding, message.reference)[index]
        esm_class = constants.ESM_UDHI
    seconds = max(message.expires_at - now_ms, 0) // 1000
    if message.expires_at <= now_ms:
        seconds = HALF_SENT_VALIDITY_SECONDS
    asked = index >= len(parts) - message.receipts
    return SubmitSm(
        source_addr_ton=message.addr_ton,
        source_addr_npi=message.addr_npi,
        source_addr=message.addr,
        dest_addr_ton=constants.TON_INTERNATIONAL,
        dest_addr_npi=constants.NPI_ISDN,
        destination_addr=message.to,
        esm_class=esm_class,
        validity_period=_validity_period(max(seconds, 1)),
        registered_delivery=1 if asked else 0,
        data_coding=data_coding_of(encoding),
        short_message=short_message,
    )


@lru_cache(maxsize=256)
def _split_kept(text: str, encoding: EncodingName, reference: int) -> list[bytes]:
    """The segments of a long message, kept while they go out one window after another."""
    return split(text, encoding, reference)


@lru_cache(maxsize=1024)
def _validity_period(seconds: int) -> str:
    return relative_time(seconds)
