"""query, cancel --at-carrier, pdu-tap and quarantine against a real daemon."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from smppd import terminal
from smppd.ctl.levers import dump
from tests.ctl.house import RUBBISH, TO, Desk
from tests.processes import START_SECONDS_MAX, ask
from tests.smpp.captured import carried_by, records_of

MASKED = b"+49151xxxxxxxx"


def wait_state(desk: Desk, message_id: str, state: str) -> None:
    query = {"type": "query", "id": message_id}
    desk.daemon.wait_until(
        lambda: ask(desk.site.socket, query)["state"] == state, state, START_SECONDS_MAX
    )


# -- asking -----------------------------------------------------------------------------------


def test_query_shows_what_the_carrier_says_of_every_segment(desk: Desk) -> None:
    message_id = desk.send("lever-1", "--text", "long " * 40)
    wait_state(desk, message_id, "delivered")
    answer = desk.call_json("query", message_id, "--carrier")
    assert (answer["type"], answer["carrier"], answer["state"]) == (
        "carrier_answers", "alpha", "delivered",
    )  # fmt: skip
    shown = [(one["segment"], one["status"], one["message_state"]) for one in answer["segments"]]
    assert shown == [(1, "ESME_ROK", "DELIVERED"), (2, "ESME_ROK", "DELIVERED")]
    assert all(one["final_date"] for one in answer["segments"])


def test_asking_changes_nothing_of_the_message(desk: Desk) -> None:
    message_id = desk.send("lever-2")
    wait_state(desk, message_id, "delivered")
    before = desk.call_json("trace", message_id)
    assert desk.call("query", message_id, "--carrier").code == terminal.OK
    desk.call("cancel", message_id, "--at-carrier")
    assert desk.call_json("trace", message_id) == before


def test_cancel_that_the_carrier_refuses_is_exit_1_and_shown_by_name(desk: Desk) -> None:
    message_id = desk.send("lever-3")
    wait_state(desk, message_id, "delivered")
    said = desk.call("cancel", message_id, "--at-carrier")
    assert said.code == terminal.FAILED
    assert "ESME_RCANCELFAIL" in said.out
    assert "a receipt decides" in said.err


def test_message_no_carrier_has_is_not_asked_about(desk: Desk) -> None:
    message_id = desk.send("lever-4", "--send-at", "1h")
    for words in (("query", message_id, "--carrier"), ("cancel", message_id, "--at-carrier")):
        said = desk.call(*words)
        assert said.code == terminal.USAGE
        assert "no carrier has it" in said.err
    assert desk.call("cancel", message_id).code == terminal.OK


def test_unknown_message_is_exit_4_and_query_needs_to_be_told_whom_to_ask(desk: Desk) -> None:
    assert desk.call("query", "0" * 16, "--carrier").code == terminal.NOT_FOUND
    assert desk.call("query", "0" * 16).code == terminal.USAGE
    assert desk.call("cancel", "--tag", "t", "--at-carrier").code == terminal.USAGE


# -- pdu-tap ----------------------------------------------------------------------------------


def test_tap_writes_a_file_for_its_owner_with_the_traffic_and_no_text(
    desk: Desk, tmp_path: Path
) -> None:
    file = tmp_path / "alpha.pcap"
    tap = desk.site.start_smppctl(
        "pdu-tap", "alpha", "--for", "30s", "--out", str(file), log="tap.log"
    )
    tap.wait_until(lambda: file.exists() and bool(file.read_bytes()), "tapped", START_SECONDS_MAX)
    desk.send("lever-5", "--text", "nobody's business")
    tap.wait_until(lambda: MASKED[1:] in file.read_bytes(), "the receipt", START_SECONDS_MAX)
    assert len(records_of(file.read_bytes())) >= 4
    assert b"business" not in file.read_bytes()
    assert TO.encode()[1:] not in file.read_bytes()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    said = desk.call("pdu-tap", "alpha", "--out", str(tmp_path / "second.pcap"))
    assert said.code == terminal.FAILED
    assert "somebody taps this carrier now" in said.err
    assert not (tmp_path / "second.pcap").exists()
    tap.kill()


def test_tap_ends_by_itself_and_shows_texts_only_when_told(desk: Desk, tmp_path: Path) -> None:
    file = tmp_path / "beta.pcap"
    said = desk.call("pdu-tap", "beta", "--for", "1s", "--out", str(file), "--texts")
    assert said.code == terminal.OK, said
    assert "octets of beta" in said.err
    assert file.read_bytes()[:4] == b"\xd4\xc3\xb2\xa1"


def test_tap_of_a_mistyped_carrier_or_into_a_file_that_is_there_is_exit_2(
    desk: Desk, tmp_path: Path
) -> None:
    said = desk.call("pdu-tap", "alpa", "--out", str(tmp_path / "new.pcap"))
    assert said.code == terminal.USAGE
    assert "did you mean 'alpha'?" in said.err
    (tmp_path / "old.pcap").write_bytes(b"precious")
    assert desk.call("pdu-tap", "gamma", "--out", str(tmp_path / "old.pcap")).code == terminal.USAGE
    assert (tmp_path / "old.pcap").read_bytes() == b"precious"


@pytest.mark.parametrize("duration", ["2h", "0", "0s"])
def test_tap_that_could_not_last_so_long_is_refused(desk: Desk, duration: str) -> None:
    said = desk.call("pdu-tap", "alpha", "--for", duration)
    assert said.code == terminal.USAGE
    assert "write 1s to 1h" in said.err


# -- quarantine -------------------------------------------------------------------------------


@pytest.fixture
def record_id(desk: Desk) -> str:
    (record,) = desk.call_json("quarantine", "list", "--carrier", "alpha")["records"]
    return str(record["id"])


def test_list_says_what_came_when_and_why_without_its_octets(desk: Desk) -> None:
    answer = desk.call_json("quarantine", "list")
    assert (answer["kept"], answer["more"], len(answer["records"])) == (2, False, 2)
    assert "pdu" not in answer["records"][0]
    said = desk.call("quarantine", "list")
    assert said.code == terminal.OK
    assert "deliver_sm" in said.out
    assert "the body ends inside its mandatory fields" in said.out


def test_show_hides_texts_and_numbers_unless_revealed(desk: Desk, record_id: str) -> None:
    hidden = bytes.fromhex(desk.call_json("quarantine", "show", record_id)["pdu"])
    assert len(hidden) == len(RUBBISH)
    assert MASKED in hidden
    assert b"Anna" not in hidden
    shown = desk.call("quarantine", "show", record_id, "--reveal", "--json")
    assert bytes.fromhex(json.loads(shown.out)["pdu"]) == RUBBISH


def test_show_dumps_the_octets_for_people(desk: Desk, record_id: str) -> None:
    said = desk.call("quarantine", "show", record_id)
    assert said.code == terminal.OK
    assert f"000000  {RUBBISH[:16].hex(' ')}" in said.out
    assert said.out.splitlines()[:2] == [f"id       {record_id}", "carrier  alpha"]


def test_export_is_a_capture_with_a_packet_a_pdu(desk: Desk, tmp_path: Path) -> None:
    file = tmp_path / "evidence.pcap"
    assert desk.call("quarantine", "export", str(file), "--reveal").code == terminal.OK
    carried = [carried_by(packet) for packet in records_of(file.read_bytes())]
    assert [one for one in carried if one] == [RUBBISH, RUBBISH]


def test_mistyped_carrier_is_named_and_nothing_is_written(desk: Desk, tmp_path: Path) -> None:
    file = tmp_path / "none.pcap"
    for words in (("list",), ("export", str(file)), ("drop",)):
        said = desk.call("quarantine", *words, "--carrier", "alpa")
        assert said.code == terminal.USAGE, words
        assert "did you mean 'alpha'?" in said.err
    said = desk.call("quarantine", "export", str(file), "--carrier", "gamma")
    assert (said.code, file.exists()) == (terminal.NOT_FOUND, False)


def test_drop_deletes_one_and_says_so_once(desk: Desk) -> None:
    (record,) = desk.call_json("quarantine", "list", "--carrier", "beta")["records"]
    assert desk.call("quarantine", "drop", record["id"]).out == "1 PDU deleted\n"
    assert desk.call("quarantine", "drop", record["id"]).code == terminal.NOT_FOUND
    assert desk.call("quarantine", "show", record["id"]).code == terminal.NOT_FOUND
    assert desk.call("quarantine", "list", "--carrier", "beta").code == terminal.NOT_FOUND
    house = Desk(desk.site, desk.daemon)
    assert house.call("quarantine", "drop").code == terminal.USAGE


def test_dump_is_of_even_columns() -> None:
    assert list(dump(b"0123456789abcdef\0")) == [
        "000000  30 31 32 33 34 35 36 37 38 39 61 62 63 64 65 66  0123456789abcdef",
        "000010  00                                               .",
    ]


def test_export_and_forget_find_the_number_in_what_nobody_could_read(desk: Desk) -> None:
    record = json.loads(desk.call("export", TO).out.splitlines()[-1])
    assert record["kind"] == "quarantined"
    assert bytes.fromhex(record["quarantined"]["pdu"]) == RUBBISH
    said = desk.call("forget", TO, "--yes")
    assert "1 PDU nobody could read" in said.out
    assert desk.call("quarantine", "list").code == terminal.NOT_FOUND
