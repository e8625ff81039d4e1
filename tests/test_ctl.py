"""smppctl: its arguments and lines by themselves, then against a real daemon and its simulator."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from typer.testing import CliRunner

from smppd import ctl, terminal
from smppd.client import JsonObject
from smppd.ctl import show
from tests.processes import SMPPCTL, Site, environment, running_site

SENT: JsonObject = {
    "type": "event",
    "seq": 41,
    "event": "sent",
    "id": "0199f30000000001",
    "ref": "o-1001",
    "accepted_at": 1_795_292_101_002,
    "at": 1_795_292_101_123,
    "carrier": "alpha",
    "segments": 2,
    "cost": "0.0420",
    "currency": "USD",
    "receipt": True,
    "tag": None,
    "meta": None,
}
INBOUND: JsonObject = {
    "type": "event",
    "seq": 42,
    "event": "inbound",
    "id": "0199f30000000002",
    "ref": None,
    "accepted_at": 1_795_292_101_002,
    "at": 1_795_292_101_002,
    "carrier": "alpha",
    "segments": 1,
    "from": "8613800138000",
    "to": "12345",
    "text": "STOP\x1b[2J",
    "tag": None,
    "meta": None,
}


def invoke(*arguments: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(ctl.app, list(arguments))
    return result.exit_code, result.stdout, result.stderr


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with running_site(tmp_path_factory.mktemp("ctl")) as found:
        yield found


# -- lines and arguments ----------------------------------------------------------------------


def test_event_for_people_is_one_line_of_what_it_carries() -> None:
    line = show.describe_event(SENT)
    assert "41  sent         0199f30000000001  o-1001  2 segments  0.0420 USD" in line
    assert line.endswith("carrier=alpha  receipt=true")


def test_inbound_event_shows_no_whole_number(capsys: pytest.CaptureFixture[str]) -> None:
    show.show_events([INBOUND], reveal=False, as_json=False)
    shown = capsys.readouterr().out
    assert "from=8613****8000  to=****5" in shown


def test_inbound_event_shows_whole_numbers_to_who_asks(capsys: pytest.CaptureFixture[str]) -> None:
    show.show_events([INBOUND], reveal=True, as_json=True)
    assert json.loads(capsys.readouterr().out) == INBOUND


def test_text_from_a_stranger_does_not_act_on_the_terminal() -> None:
    assert "text=STOP[2J" in show.describe_event(INBOUND)


def test_json_is_ascii(capsys: pytest.CaptureFixture[str]) -> None:
    show.show_events([INBOUND | {"text": "\u202e\u009b2J"}], reveal=False, as_json=True)
    shown = capsys.readouterr().out
    assert shown.isascii()
    assert json.loads(shown)["text"] == "\u202e\u009b2J"


@pytest.mark.parametrize(
    ("event", "last"),
    [
        ({"event": "sent", "receipt": True}, False),
        ({"event": "sent", "receipt": False}, True),
        ({"event": "uncertain", "resend": True}, False),
        ({"event": "uncertain", "resend": False}, True),
        ({"event": "delivered"}, True),
        ({"event": "failed"}, True),
        ({"event": "expired"}, True),
        ({"event": "unconfirmed"}, True),
    ],
)
def test_last_event_of_a_message_is_known(event: JsonObject, last: bool) -> None:
    assert show.is_last(event) is last


@pytest.mark.parametrize(
    ("milliseconds", "shown"),
    [(0, "0 s"), (59_999, "59 s"), (61_000, "1 min"), (7_200_000, "2 h"), (-1, "0 s")],
)
def test_duration_is_shown_in_its_largest_unit(milliseconds: int, shown: str) -> None:
    assert show.show_duration(milliseconds) == shown


def test_config_and_socket_together_are_refused() -> None:
    assert invoke("--config", "a", "--socket", "b", "status")[0] == terminal.USAGE


def test_unknown_command_is_refused_with_the_nearest() -> None:
    code, _, shown = invoke("statsu")
    assert code == terminal.USAGE
    assert "status" in shown


def test_class_that_is_none_is_refused() -> None:
    code, _, shown = invoke("send", "--to", "+49", "--text", "x", "--class", "slow")
    assert code == terminal.USAGE
    assert "promotional" in shown


def test_text_of_octets_that_are_no_characters_is_exit_2() -> None:
    code, _, shown = invoke("--socket", "s", "send", "--to", "+49", "--text", "gr\udcfc\udcdfe")
    assert code == terminal.USAGE
    assert "--text" in shown


def test_stdin_that_is_no_text_is_exit_2() -> None:
    arguments = ["--socket", "s", "send", "--to", "+49", "--text", "-"]
    result = CliRunner().invoke(ctl.app, arguments, input=b"gr\xfc\xdfe")
    assert result.exit_code == terminal.USAGE
    assert "stdin is no text" in result.stderr


@pytest.mark.parametrize("seq", ["-1", "9223372036854775808", "last"])
def test_seq_that_no_event_can_have_is_exit_2(seq: str) -> None:
    code, _, shown = invoke("--socket", "s", "tail", "--after", seq)
    assert code == terminal.USAGE
    assert "--after" in shown


def test_directory_without_configuration_is_exit_78(tmp_path: Path) -> None:
    code, _, shown = invoke("--config", str(tmp_path), "status")
    assert code == terminal.BAD_CONFIG
    assert "smppd.toml: cannot be read" in shown


def test_carriers_passwords_need_not_be_readable(tmp_path: Path) -> None:
    (tmp_path / "smppd.toml").write_text("")
    (tmp_path / "carriers").mkdir()
    (tmp_path / "carriers" / "alpha.toml").write_text('password_file = "/nowhere"')
    assert invoke("--config", str(tmp_path), "status")[0] == terminal.UNREACHABLE


def test_daemon_that_is_not_there_is_exit_69_with_what_to_do(tmp_path: Path) -> None:
    code, out, shown = invoke("--socket", str(tmp_path / "s"), "status")
    assert code == terminal.UNREACHABLE
    assert out == ""
    assert re.search(r"cannot be reached\n  why: .*No such file.*\n  do:  start it", shown)


def test_socket_that_nobody_listens_on_any_more_is_exit_69(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(tmp_path / "s"))
    assert invoke("--socket", str(tmp_path / "s"), "status")[0] == terminal.UNREACHABLE


@contextmanager
def answering(path: Path, line: bytes) -> Iterator[None]:
    """A socket whose first visitor reads ``line`` and is left."""

    def serve() -> None:
        with listener.accept()[0] as visitor:
            visitor.sendall(line)
            visitor.shutdown(socket.SHUT_WR)
            visitor.recv(65_536)

    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield
        thread.join(timeout=10)


def test_user_who_is_no_app_is_exit_77_with_what_to_do(tmp_path: Path) -> None:
    line = b'{"type":"error","code":"not_allowed","reason":"neither your uid nor your groups"}\n'
    with answering(tmp_path / "s", line):
        code, _, shown = invoke("--socket", str(tmp_path / "s"), "status")
    assert code == terminal.NOT_PERMITTED
    assert "not_allowed" in shown
    assert "[apps]" in shown


def test_one_who_speaks_no_smppd_is_exit_1(tmp_path: Path) -> None:
    with answering(tmp_path / "s", b"HTTP/1.1 400 Bad Request\r\n"):
        code, _, shown = invoke("--socket", str(tmp_path / "s"), "status")
    assert code == terminal.FAILED
    assert "not the protocol" in shown


def test_peer_that_leaves_without_an_answer_is_exit_69(tmp_path: Path) -> None:
    with answering(tmp_path / "s", b""):
        assert invoke("--socket", str(tmp_path / "s"), "status")[0] == terminal.UNREACHABLE


# -- against a real daemon --------------------------------------------------------------------


def send(site: Site, *more: str, to: str = "+4915123456789") -> tuple[int, str, str]:
    done = site.smppctl("send", "--to", to, "--from", "ACME", "--text", "Hallo", *more)
    return done.returncode, done.stdout, done.stderr


def test_send_says_accepted_and_the_id(site: Site) -> None:
    code, out, _ = send(site, "--ref", "plain-1")
    assert code == terminal.OK
    assert re.fullmatch(r"accepted  id [0-9a-f]{16}  ref plain-1  1 segment gsm7\n", out)


def test_send_with_json_prints_the_answer(site: Site) -> None:
    code, out, _ = send(site, "--json", "--ref", "json-1")
    answer = json.loads(out)
    assert code == terminal.OK
    assert (answer["type"], answer["ref"]) == ("accepted", "json-1")


def test_send_and_wait_shows_every_event_until_delivered(site: Site) -> None:
    code, out, _ = send(site, "--wait", "--json")
    kinds = [json.loads(line).get("event") for line in out.splitlines()]
    assert code == terminal.OK
    assert kinds == [None, "sent", "delivered"]


def test_send_without_receipt_ends_waiting_at_sent(site: Site) -> None:
    code, out, _ = send(site, "--wait", "--json", "--no-receipt")
    assert code == terminal.OK
    assert [json.loads(line).get("event") for line in out.splitlines()] == [None, "sent"]


def test_send_of_a_known_ref_finds_its_end_again(site: Site) -> None:
    send(site, "--wait", "--ref", "again-1")
    code, out, shown = send(site, "--wait", "--ref", "again-1")
    assert code == terminal.OK
    assert "accepted before" in out
    assert "delivered" in shown


def test_send_of_a_known_ref_without_receipt_finds_its_end_again(site: Site) -> None:
    send(site, "--wait", "--no-receipt", "--ref", "again-2")
    code, _, shown = send(site, "--wait", "--no-receipt", "--ref", "again-2")
    assert code == terminal.OK
    assert "sent; its events were told before" in shown


def test_rejected_send_is_exit_1_and_says_why_and_what_to_do(site: Site) -> None:
    code, out, shown = send(site, to="12345")
    assert (code, out) == (terminal.FAILED, "")
    assert "rejected: invalid_destination" in shown
    assert "  do:  write it as +CC" in shown


def test_text_may_come_from_stdin(site: Site) -> None:
    done = site.smppctl(
        "send", "--to", "+4915123456789", "--from", "A", "--text", "-", "--json", stdin="你好\n"
    )
    assert json.loads(done.stdout)["encoding"] == "ucs2"


def test_options_of_a_message_reach_the_daemon(site: Site) -> None:
    code, out, shown = send(
        site, "--class", "otp", "--encoding", "ucs2", "--tag", "t", "--wait", "--json"
    )
    answer, *events = map(json.loads, out.splitlines())
    assert (code, answer["encoding"]) == (terminal.OK, "ucs2"), shown
    assert {event["tag"] for event in events} == {"t"}


def test_status_shows_a_line_per_bind_between_tabs(site: Site) -> None:
    done = site.smppctl("status")
    header, alpha = done.stdout.splitlines()[-2:]
    assert done.returncode == terminal.OK
    assert header.split("\t")[:4] == ["carrier", "healthy", "bind", "state"]
    assert alpha.split("\t")[:4] == ["alpha", "yes", "0", "bound"]


def test_status_with_json_is_the_daemons_answer(site: Site) -> None:
    found = json.loads(site.smppctl("status", "--json").stdout)
    assert found["type"] == "status"
    assert found["carriers"][0]["name"] == "alpha"


def test_status_is_asked_for_as_the_app_that_is_named(site: Site) -> None:
    assert site.smppctl("--app", "default", "status").returncode == terminal.OK
    assert site.smppctl("--app", "nobody", "status").returncode == terminal.USAGE


def test_tail_shows_kept_events_and_then_those_that_come(site: Site) -> None:
    follower = site.start_smppctl(
        "tail", "--json", "--after", "0", "--kind", "delivered", log="tail.log"
    )
    _, out, _ = send(site, "--wait", "--json")
    message_id = json.loads(out.splitlines()[0])["id"]
    follower.wait_for_output(message_id)
    kinds = {json.loads(line)["event"] for line in follower.output().splitlines()}
    follower.kill()
    assert kinds == {"delivered"}


def test_tail_without_after_begins_with_what_comes(site: Site) -> None:
    send(site, "--wait", "--ref", "tail-old")
    follower = site.start_smppctl("tail", log="tail-new.log")
    follower.wait_until(lambda: site.status()["subscriptions"] == 1, "subscribed", 10)
    send(site, "--wait", "--ref", "tail-new")
    follower.wait_for_output("tail-new")
    follower.kill()
    assert "tail-old" not in follower.output()


def test_taken_events_do_not_come_again(site: Site) -> None:
    send(site, "--wait", "--ref", "take-1")
    first = site.start_smppctl("tail", "--take", log="take-1.log")
    first.wait_for_output("take-1")
    first.kill()
    send(site, "--wait", "--ref", "take-2")
    second = site.start_smppctl("tail", "--take", log="take-2.log")
    second.wait_for_output("take-2")
    second.kill()
    assert "take-1" not in second.output()


def test_tail_into_a_closed_pipe_ends_without_a_traceback(site: Site) -> None:
    send(site, "--wait")
    tail = [sys.executable, *SMPPCTL, "--config", str(site.directory), "tail", "--after", "0"]
    with subprocess.Popen(
        tail, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as follower:
        assert follower.stdout is not None
        follower.stdout.readline()
        follower.stdout.close()
        send(site, "--wait")
        assert follower.stderr is not None
        assert "Traceback" not in follower.stderr.read()


def test_tail_ends_on_ctrl_c_without_a_traceback(site: Site) -> None:
    follower = site.start_smppctl("tail", "--after", "0", log="tail-c.log")
    follower.wait_for_output("sent")
    follower.send_signal(signal.SIGINT)
    assert follower.wait() == -signal.SIGINT
    assert "Traceback" not in follower.output()


def test_tail_of_an_unknown_kind_is_exit_1_with_the_kinds(site: Site) -> None:
    done = site.smppctl("tail", "--kind", "dilivered")
    assert done.returncode == terminal.FAILED
    assert "delivered" in done.stderr


def test_app_that_is_not_configured_is_exit_2(site: Site) -> None:
    done = site.smppctl("--app", "nobody", "send", "--to", "+49151", "--text", "x")
    assert done.returncode == terminal.USAGE
    assert "--app" in done.stderr
