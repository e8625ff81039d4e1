"""What nobody could read: kept as it came, bounded for each carrier, aged and forgotten."""

from __future__ import annotations

from pathlib import Path

import pytest

from smppd.smpp.constants import DELIVER_SM
from smppd.store import evidence, keys
from smppd.store.changes import Dropped, DropQuarantined, Forget, Quarantined
from smppd.store.quarantine import PDU_OCTETS_MAX
from smppd.store.records import QuarantinedPdu, encode_record
from smppd.store.retention import RetentionPeriods
from smppd.store.rows import UNREADABLE, read_row
from smppd.store.verify import verify
from tests.house import House, Open
from tests.smpp.pair import raw

PDU = raw(DELIVER_SM, 7, body=b"no NUL in sight")
TO = "491701234567"


@pytest.fixture
def house(open_house: Open) -> House:
    return open_house()


def put(house: House, *pdus: bytes, carrier: str = "alpha") -> None:
    house.commit([Quarantined(carrier, 1, "no NUL", pdu, house.now) for pdu in pdus])


def ids_of(house: House, carrier: str | None = None) -> list[str]:
    return [one.id for one in house.store.quarantined(carrier=carrier, rows_max=1_000)]


def test_row_shows_what_came_and_why(house: House) -> None:
    put(house, PDU)
    (listed,) = house.store.quarantined(rows_max=10)
    assert (listed.carrier, listed.bind, listed.command) == ("alpha", 1, "deliver_sm")
    assert (listed.reason, listed.octets, listed.at, listed.pdu) == (
        "no NUL", len(PDU), house.now, "",
    )  # fmt: skip
    (shown,) = house.store.quarantined(number=int(listed.id, 16))
    assert bytes.fromhex(shown.pdu) == PDU


def test_list_is_newest_first_of_one_carrier_or_all(house: House) -> None:
    put(house, PDU)
    put(house, PDU, carrier="beta")
    put(house, PDU)
    all_ids = ids_of(house)
    assert all_ids == sorted(all_ids, reverse=True)
    assert ids_of(house, "alpha") == [all_ids[0], all_ids[2]]
    assert [one.id for one in house.store.quarantined(rows_max=2)] == all_ids[:2]


def test_long_pdu_is_cut_and_says_how_long_it_was(house: House) -> None:
    put(house, raw(DELIVER_SM, 1, body=b"z" * 60_000))
    (listed,) = house.store.quarantined(rows_max=1)
    (shown,) = house.store.quarantined(number=int(listed.id, 16))
    assert (shown.octets, len(shown.pdu) // 2) == (60_016, PDU_OCTETS_MAX)


def test_octets_without_a_header_have_no_command(house: House) -> None:
    put(house, b"HTTP/1.1")
    assert [one.command for one in house.store.quarantined()] == [""]


def test_carrier_that_sends_rubbish_pushes_out_its_own_oldest_only(house: House) -> None:
    put(house, PDU, carrier="beta")
    for _ in range(3):
        put(house, *[PDU] * evidence.ROWS_MAX)
    assert len(ids_of(house, "alpha")) == evidence.ROWS_MAX
    assert len(ids_of(house, "beta")) == 1
    assert house.store.statistics().quarantine == evidence.ROWS_MAX + 1
    assert rows_on_disk(house) == evidence.ROWS_MAX + 1


def rows_on_disk(house: House) -> int:
    with house.store._reading():
        return len([*house.store._env.tables["quarantine"].keys_from(b"")])


def test_restart_finds_all_of_it_and_goes_on_counting(open_house: Open) -> None:
    house = open_house()
    put(house, *[PDU] * (evidence.ROWS_MAX - 1))
    before = ids_of(house)
    house.close()
    house = open_house()
    assert ids_of(house) == before
    put(house, PDU, PDU)
    assert len(ids_of(house)) == evidence.ROWS_MAX
    assert rows_on_disk(house) == evidence.ROWS_MAX


def test_what_is_dropped_is_gone_and_counted_once(house: House) -> None:
    put(house, PDU, PDU)
    numbers = [int(one, 16) for one in ids_of(house)]
    assert house.commit([DropQuarantined(numbers[:1])]) == [Dropped(1)]
    assert house.commit([DropQuarantined(numbers)]) == [Dropped(1)]
    assert ids_of(house) == []
    assert rows_on_disk(house) == 0
    assert house.store.quarantined(number=numbers[0]) == []


def test_what_is_old_ages_out_by_its_own_period(open_house: Open) -> None:
    house = open_house(periods=RetentionPeriods(quarantine=3_600))
    put(house, PDU)
    house.pass_time(3_000)
    put(house, PDU)
    house.commit([])
    assert len(ids_of(house)) == 2
    house.pass_time(1_000)
    house.commit([])
    assert len(ids_of(house)) == 1
    assert rows_on_disk(house) == 1


@pytest.mark.parametrize("spelled", ["+" + TO, "0" + TO[2:], TO])
def test_number_is_found_and_forgotten_however_it_is_spelled(house: House, spelled: str) -> None:
    put(house, PDU + spelled.encode() + b"\0", PDU + spelled.encode("utf-16-be"), PDU)
    found = house.store.know("quarantine", TO).found
    assert len(found) == 2
    (record,) = {house.store.show_known("quarantine", one).kind for one in found}  # type: ignore[union-attr]
    assert record == "quarantined"
    (forgotten,) = house.commit([Forget(TO, quarantined=[one.id for one in found])])
    assert forgotten.quarantined == 2  # type: ignore[union-attr]
    assert len(ids_of(house)) == 1


def test_short_number_is_found_as_a_field_only(house: House) -> None:
    put(house, b"\x01\x01555\0", b"15555\0", b"call 555 now")
    assert len(house.store.know("quarantine", "555").found) == 1


def test_store_with_evidence_verifies_and_a_row_under_anothers_key_does_not(
    open_house: Open, tmp_path: Path
) -> None:
    house = open_house()
    put(house, PDU)
    house.close()
    assert verify(tmp_path / "state").findings == []
    row = encode_record(QuarantinedPdu(5, "alpha", 0, "no NUL", PDU, len(PDU), 1))
    read_row("quarantine", evidence.make_key("alpha", 5), row)
    for key in (evidence.make_key("alpha", 6), evidence.make_key("beta", 5), b"", b"x" * 9):
        with pytest.raises(UNREADABLE):
            read_row("quarantine", key, row)


def test_key_tells_carrier_and_id_even_where_the_id_has_a_nul() -> None:
    for number in (0, 1, 0x0041_0000_0000_0000, keys.first_id_at(1_795_292_101_000)):
        assert evidence.read_key(evidence.make_key("a-1", number)) == ("a-1", number)
