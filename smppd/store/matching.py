"""Which segment a receipt speaks of: by id, by a converted id, or, in doubt, by its addresses.

A receipt may come before the submit_sm_resp that names its id (it waits in ``unmatched``), in
another base (the carrier's ``message_id`` rule), or for a submit_sm whose answer was lost
(``doubts``). All meets here, in commit order, so there is no race to lose.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, Final, Literal, cast

from smppd.smpp.receipt import candidate_ids, inverse_candidate_ids
from smppd.store import keys
from smppd.store.addresses import bare_digits, is_same_address
from smppd.store.changes import ReceiptArrived
from smppd.store.environment import Table
from smppd.store.records import (
    DELIVERED,
    DONE,
    GRANTED,
    Message,
    Unmatched,
    decode_unmatched,
    encode_record,
    first_sent_at,
)
from smppd.store.shared_ids import SharedIds

Rule = Literal["same", "hex_to_dec", "dec_to_hex", "auto"]

UNMATCHED_KEYS_MAX: Final = 200_000
"""Keys of unmatched receipts looked at for each response, some 20 MB; of more the oldest are
found no longer, and age out on disk."""


LATELY_MILLISECONDS: Final = 600_000
"""Who has waited longer for a receipt than most do gives way to the newer message with its id."""


class Matching:
    """The receipts' side of the store; mutates only inside a commit. ``find_tag`` gives the tag of
    the segment that has a name of a carrier's (``keys.smsc_key``), while its message is there;
    ``converted`` is told of each receipt that rule ``auto`` matched by another spelling;
    ``awaiting_to`` gives the destination of a segment's message while it waits for its receipt,
    where it was taken since a time (ms)."""

    PATIENCE_MILLISECONDS: ClassVar[int] = 60_000
    """How long a response may still claim a receipt before it may settle a doubt
    (docs/protocol.md, Doubt)."""

    def __init__(
        self,
        unmatched: Table,
        doubts: Table,
        find_tag: Callable[[bytes], bytes | None],
        shared: SharedIds,
        converted: Callable[[ReceiptArrived, bytes], None],
        awaiting_to: Callable[[bytes, int], str | None],
    ) -> None:
        self._unmatched = unmatched
        self._doubts = doubts
        self._find_tag = find_tag
        self._shared = shared
        self._converted_by = converted
        self._awaiting_to = awaiting_to
        self._keys: dict[bytes, None] = {}

    def load(self) -> None:
        """Reads which receipts are waiting for their response."""
        for key in self._unmatched.keys_from(b""):
            self._remember(bytes(key))

    def unmatched_count(self) -> int:
        """Receipts nobody has claimed."""
        return len(self._keys)

    def has_unmatched(self) -> bool:
        """Whether a response needs to look for its receipt at all."""
        return bool(self._keys)

    def find(
        self, arrived: ReceiptArrived, rule: str, to_of: Callable[[bytes], str | None]
    ) -> bytes | None:
        """The tag of the segment this receipt names, or None.

        By ``same`` and ``auto`` the identical id is believed; by ``auto`` another form of it too,
        where it comes from that message's destination and fits one message alone. Where the rule
        states a conversion the converted id is believed, and the identical one only from that
        message's destination, as some carriers convert in the text and not in the TLV. An id that
        several messages share (``shared_ids``) is believed from there only, by any rule, and not
        while another of them to that phone may still get its own.
        """
        states_conversion = rule in ("hex_to_dec", "dec_to_hex")
        identical = self._identical(arrived)
        is_shared = bool(self._shared.shared) and self._is_shared(arrived)
        if identical and not states_conversion and not is_shared:
            return identical[0]
        if is_shared and self._means_several(arrived):
            return None
        converted = self._converted(arrived, rule)
        for tags in (converted, identical):
            fitting = [tag for tag in tags if is_same_address(to_of(tag), arrived.source)]
            if len({tag[:8] for tag in fitting}) == 1:
                if rule == "auto" and tags is converted:
                    self._converted_by(arrived, fitting[0])
                return fitting[0]
        if states_conversion and len(converted) == 1 and not is_shared:
            return converted[0]
        return None

    def keep_unmatched(
        self, arrived: ReceiptArrived, next_id: Callable[[], int], *, has_names: bool = True
    ) -> bytes:
        """Keeps a receipt until a response claims it; its key. A final one is never replaced
        by an intermediate one of the same id. One whose id names nobody has a key of its own."""
        ids = arrived.receipt.ids
        key = keys.smsc_key(arrived.carrier, ids[0] if ids and has_names else f"\0{next_id():x}")
        if key in self._shared.constant:
            key = keys.smsc_key(arrived.carrier, f"\0{next_id():x}")
        kept = self._unmatched.get(key)
        if kept is not None and decode_unmatched(kept).receipt.is_final:
            return key
        row = Unmatched(
            arrived.carrier,
            arrived.receipt,
            arrived.source,
            arrived.destination,
            arrived.done_at or 0,
            arrived.at,
            arrived.is_33,
        )
        self._unmatched.put(key, encode_record(row))
        self._remember(key)
        return key

    def claim(
        self, carrier: str, smsc_id: str, rule: str, to: str, sent_at: int
    ) -> ReceiptArrived | None:
        """The receipt that came before this submit_sm_resp, taken out of ``unmatched``; but not
        before ``sent_at`` (ms): then the id was another message's first."""
        if not smsc_id:
            return None
        states_conversion = rule in ("hex_to_dec", "dec_to_hex")
        for name in [smsc_id, *inverse_candidate_ids(smsc_id, cast(Rule, rule))]:
            key = keys.smsc_key(carrier, name)
            if key not in self._keys:
                continue
            row = self._unmatched.get(key)
            if row is None:
                continue
            arrived = _arrived(decode_unmatched(row))
            is_believed = states_conversion != (name == smsc_id) and key not in self._shared.shared
            is_its = is_believed or is_same_address(to, arrived.source)
            if is_its and arrived.at >= sent_at:
                self.forget_unmatched(key)
                return arrived
        return None

    def settle_doubt(
        self, key: bytes, message: Callable[[int], Message | None], now: int
    ) -> tuple[ReceiptArrived, bytes] | None:
        """After the patience: the one doubtful message this receipt can mean, and its tag.

        Carrier, destination and sender must agree and exactly one message fit. One whose resend
        is on its way is left until that was answered: both submits may bring a receipt.
        """
        row = self._unmatched.get(key)
        if row is None:
            return None
        arrived = _arrived(decode_unmatched(row))
        if now < arrived.at + self.PATIENCE_MILLISECONDS:
            return None
        tags = self._doubtful(arrived, message)
        if len({tag[:8] for tag in tags}) != 1 or _is_granted(tags[0], message):
            return None
        self.forget_unmatched(key)
        return arrived, tags[0]

    def count_doubtful(
        self, arrived: ReceiptArrived, message: Callable[[int], Message | None], but: int
    ) -> int:
        """How many messages in doubt the receipt could mean by its addresses, ``but`` one."""
        tags = self._doubtful(arrived, message)
        return len({tag[:8] for tag in tags} - {keys.pack_u64(but)})

    def read_unmatched(self, key: bytes) -> ReceiptArrived | None:
        """An unmatched receipt; None where it has been claimed or has aged out."""
        row = self._unmatched.get(key)
        return None if row is None else _arrived(decode_unmatched(row))

    def remember_doubt(self, message: Message, tag: bytes) -> None:
        """A segment of the message went unanswered."""
        self._doubts.put(keys.doubt_prefix(message.carrier, message.to) + tag, b"")

    def forget_doubt(self, message: Message, tag: bytes) -> None:
        """The segment's doubt is settled."""
        self._doubts.delete(keys.doubt_prefix(message.carrier, message.to) + tag)

    def forget_unmatched(self, key: bytes) -> None:
        """A receipt was claimed, or has aged out."""
        self._unmatched.delete(key)
        self._keys.pop(key, None)

    def _is_shared(self, arrived: ReceiptArrived) -> bool:
        shared, carrier = self._shared.shared, arrived.carrier
        return any(keys.smsc_key(carrier, name) in shared for name in arrived.receipt.ids)

    def _means_several(self, arrived: ReceiptArrived) -> bool:
        """Whether a message that had one of the ids lately waits for a receipt from this phone."""
        shared, carrier = self._shared.shared, arrived.carrier
        since = arrived.at - LATELY_MILLISECONDS
        formers = (shared.get(keys.smsc_key(carrier, name)) for name in arrived.receipt.ids)
        phones = (self._awaiting_to(former, since) for former in formers if former)
        return any(is_same_address(phone, arrived.source) for phone in phones)

    def _tag_of(self, carrier: str, name: str) -> bytes | None:
        return self._find_tag(keys.smsc_key(carrier, name))

    def _identical(self, arrived: ReceiptArrived) -> list[bytes]:
        find, carrier = self._find_tag, arrived.carrier
        tags = [find(keys.smsc_key(carrier, name)) for name in arrived.receipt.ids]
        return [tag for tag in tags if tag is not None]

    def _converted(self, arrived: ReceiptArrived, rule: str) -> list[bytes]:
        names = [
            name
            for receipt_id in arrived.receipt.ids
            for name in candidate_ids(receipt_id, cast(Rule, rule))
            if name != receipt_id
        ]
        tags = (self._tag_of(arrived.carrier, name) for name in dict.fromkeys(names))
        return list(dict.fromkeys(tag for tag in tags if tag is not None))

    def _doubtful(
        self, arrived: ReceiptArrived, message: Callable[[int], Message | None]
    ) -> list[bytes]:
        prefix = keys.doubt_prefix(arrived.carrier, bare_digits(arrived.source))
        tags = []
        for key in self._doubts.keys_from(prefix):
            if not key.startswith(prefix):
                break
            tag = bytes(key[len(prefix) :])
            number, index = keys.unpack_tag(tag)
            doubtful = message(number)
            if (
                self._doubts.get(bytes(key)) is not None
                and doubtful is not None
                and bare_digits(doubtful.addr) == bare_digits(arrived.destination)
                and doubtful.parts[index].receipt_state == -1
                and not DONE <= doubtful.state <= DELIVERED
                and first_sent_at(doubtful, index) <= arrived.at
            ):
                tags.append(tag)
        return tags

    def _remember(self, key: bytes) -> None:
        self._keys[key] = None
        if len(self._keys) > UNMATCHED_KEYS_MAX:
            del self._keys[next(iter(self._keys))]


def _arrived(row: Unmatched) -> ReceiptArrived:
    return ReceiptArrived(
        row.carrier,
        row.receipt,
        row.source,
        row.destination,
        row.done_at or None,
        row.at,
        row.is_33,
    )


def _is_granted(tag: bytes, message: Callable[[int], Message | None]) -> bool:
    number, index = keys.unpack_tag(tag)
    found = message(number)
    return found is not None and found.parts[index].state == GRANTED
