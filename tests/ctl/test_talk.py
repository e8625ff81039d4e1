"""What smppctl says where the conversation fails: arguments, configuration, socket, peer."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from smppd import terminal
from tests.ctl.house import call


def test_config_and_socket_together_are_refused() -> None:
    assert call("--config", "a", "--socket", "b", "status").code == terminal.USAGE


def test_unknown_command_is_refused_with_the_nearest() -> None:
    said = call("statsu")
    assert said.code == terminal.USAGE
    assert "status" in said.err


def test_octets_that_are_no_characters_are_exit_2_for_any_verb(tmp_path: Path) -> None:
    with answering(tmp_path / "s", b""):
        said = call("--socket", str(tmp_path / "s"), "pause", "gr\udcfcn")
    assert said.code == terminal.USAGE
    assert "no characters in your locale" in said.err


def test_directory_without_configuration_is_exit_78(tmp_path: Path) -> None:
    said = call("--config", str(tmp_path), "status")
    assert said.code == terminal.BAD_CONFIG
    assert "smppd.toml: cannot be read" in said.err


def test_no_configuration_at_all_is_exit_78_with_what_to_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(terminal, "SYSTEM_DIRECTORY", tmp_path / "etc")
    said = call("status")
    assert (said.code, said.out) == (terminal.BAD_CONFIG, "")
    assert said.err == (
        "there is no configuration\n"
        f"  why: no smppd.toml here and none in {tmp_path}/etc\n"
        "  do:  name the directory with --config, or the socket with --socket\n"
    )


@pytest.mark.parametrize("command", [("status",), ("routes", "test")])
def test_option_after_the_command_is_refused_with_where_it_goes(command: tuple[str, ...]) -> None:
    said = call(*command, "--app", "shop")
    assert said.code == terminal.USAGE
    assert "No such option: --app; it goes before the command: " in said.err
    assert said.err.endswith(f" --app NAME {' '.join(command)}\n")


def test_carriers_passwords_need_not_be_readable(tmp_path: Path) -> None:
    (tmp_path / "smppd.toml").write_text("")
    (tmp_path / "carriers").mkdir()
    (tmp_path / "carriers" / "alpha.toml").write_text('password_file = "/nowhere"')
    assert call("--config", str(tmp_path), "status").code == terminal.UNREACHABLE


def test_daemon_that_is_not_there_is_exit_69_with_what_to_do(tmp_path: Path) -> None:
    said = call("--socket", str(tmp_path / "s"), "status")
    assert (said.code, said.out) == (terminal.UNREACHABLE, "")
    assert re.search(r"cannot be reached\n  why: .*No such file.*\n  do:  start it", said.err)


def test_socket_that_nobody_listens_on_any_more_is_exit_69(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(tmp_path / "s"))
    assert call("--socket", str(tmp_path / "s"), "status").code == terminal.UNREACHABLE


@contextmanager
def answering(path: Path, line: bytes) -> Iterator[None]:
    """A socket whose first visitor reads ``line`` and is left."""

    def serve() -> None:
        with listener.accept()[0] as visitor, suppress(ConnectionError):
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


# By the code of an error: the exit code, and words of what to do.
REFUSALS = [
    ("not_allowed", "neither your uid nor your groups", terminal.NOT_PERMITTED, "[apps]"),
    ("unknown_message", "no message has this name", terminal.NOT_FOUND, "smppctl find"),
    ("bad_request", "there is no carrier 'x'; did you mean 'y'?", terminal.USAGE, "mean 'y'?"),
    ("bad_request", "trace by 'ref' needs 'app'", terminal.USAGE, "--app"),
    (
        "hello_required",
        "say hello first, with 'app' one of a, b",
        terminal.USAGE,
        "smppctl --app NAME",
    ),
    ("busy", "too many connections", terminal.FAILED, "try again"),
    ("of_tomorrow", "whatever", terminal.FAILED, "the daemon's log"),
]


@pytest.mark.parametrize(("error", "reason", "code", "remedy"), REFUSALS)
def test_refusal_has_an_exit_code_and_what_to_do(
    error: str, reason: str, code: int, remedy: str, tmp_path: Path
) -> None:
    line = f'{{"type":"error","code":"{error}","reason":"{reason}"}}\n'
    with answering(tmp_path / "s", line.encode()):
        said = call("--socket", str(tmp_path / "s"), "status")
    assert said.code == code
    assert f"the daemon refused: {error}" in said.err
    assert remedy in said.err


def test_one_who_speaks_no_smppd_is_exit_1(tmp_path: Path) -> None:
    with answering(tmp_path / "s", b"HTTP/1.1 400 Bad Request\r\n"):
        said = call("--socket", str(tmp_path / "s"), "status")
    assert said.code == terminal.FAILED
    assert "not the protocol" in said.err


def test_peer_that_leaves_without_an_answer_is_exit_69(tmp_path: Path) -> None:
    with answering(tmp_path / "s", b""):
        assert call("--socket", str(tmp_path / "s"), "status").code == terminal.UNREACHABLE
