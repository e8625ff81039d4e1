"""``smppctl backup``, ``export`` and ``forget`` against a running daemon."""

from __future__ import annotations

import json
from pathlib import Path

from tests.ctl.house import Desk
from tests.processes import START_SECONDS_MAX, ask


def wait_ended(desk: Desk, message_id: str) -> None:
    query = {"type": "query", "id": message_id}
    desk.daemon.wait_until(
        lambda: ask(desk.site.socket, query)["state"] == "delivered",
        f"{message_id} delivered",
        START_SECONDS_MAX,
    )


def test_backup_says_where_it_is_and_what_is_in_it(desk: Desk, tmp_path: Path) -> None:
    desk.send("keeping-1")
    said = desk.call("backup", str(tmp_path / "one"))
    assert said.code == 0, said
    assert said.out.startswith(f"{tmp_path / 'one'}: ")
    assert (tmp_path / "one/data.mdb").exists()
    answer = desk.call_json("backup", str(tmp_path / "two"))
    assert (answer["type"], answer["directory"]) == ("backed_up", str(tmp_path / "two"))


def test_backup_where_something_is_already_is_wrong_usage(desk: Desk, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    said = desk.call("backup", str(tmp_path))
    assert said.code == 2
    assert "not an empty directory" in said.err


def test_export_prints_all_of_a_number_as_json_lines(desk: Desk) -> None:
    to = "+4915123450001"
    wait_ended(desk, desk.send("keeping-2", to=to))
    said = desk.call("export", to)
    assert said.code == 0, said
    (record,) = map(json.loads, said.out.splitlines())
    assert (record["kind"], record["message"]["to"]) == ("message", to)
    assert record["message"]["text"] == "Hallo"
    assert desk.call("export", "+4915123450099").code == 4


def test_forget_without_a_terminal_needs_yes(desk: Desk) -> None:
    said = desk.call("forget", "+4915123450002")
    assert said.code == 2
    assert "--yes" in said.err


def test_forget_says_what_went_and_where_it_still_is(desk: Desk) -> None:
    to = "+4915123450003"
    message_id = desk.send("keeping-3", to=to)
    wait_ended(desk, message_id)
    said = desk.call("forget", to, "--yes")
    assert said.code == 0, said
    assert said.out.startswith("forgotten: 1 message, ")
    assert "older backups" in said.err
    assert desk.call("export", to).code == 4
    found = desk.call_json("find", "--limit", "1000")
    (message,) = [one for one in found["messages"] if one["id"] == message_id]
    assert (message["to"], message["forgotten_at"] > 0) == ("", True)
    assert "forgotten from ACME" in desk.call("trace", message_id).out


def test_number_that_nothing_is_known_of_is_told_how_to_be_written(desk: Desk) -> None:
    """A national number is no error, for a carrier may have written it; nor was it forgotten."""
    to = "+4915123450005"
    desk.send("keeping-5", to=to)
    for verb in (("forget", "015123450005", "--yes"), ("export", "015123450005")):
        said = desk.call(*verb)
        assert said.code == 4, said
        assert "+CC" in said.err
    assert desk.call("export", to).code == 0


def test_forget_names_what_is_with_a_carrier_and_fails(desk: Desk) -> None:
    """gamma never answers, so a promised resend is on its way or will be."""
    to = "+447400123777"
    desk.send("keeping-4", to=to)
    said = desk.call("forget", to, "--yes")
    assert said.code == 1
    assert "1 message on the way" in said.err
    assert to not in said.out + said.err
    assert desk.call_json("forget", to, "--yes")["left"] == 1
