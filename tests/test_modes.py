"""Who on this host can read, write or stand in for what is ours: modes, owners, names."""

from __future__ import annotations

import os
import socket
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from smppd import terminal
from smppd.config import ConfigWarning, check
from smppd.errors import StoreError
from smppd.simulator.ledger import Ledger
from smppd.smpp.pdu import SubmitSm
from smppd.smpp.signals import SubmitReceived
from tests.config.house import CARRIER, write_config
from tests.config.pem import CERTIFICATE, KEY
from tests.house import House
from tests.processes import Site, ask, environment

OTHERS = stat.S_IRWXO
WRITERS = stat.S_IWGRP | stat.S_IWOTH
NOBODY = 65534


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def needs_root() -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can hand a directory to somebody else")


@pytest.fixture
def open_directory() -> Iterator[Path]:
    """A directory that every user of this host can enter."""
    with tempfile.TemporaryDirectory() as name:
        path = Path(name).resolve()
        path.chmod(0o755)
        if not all(parent.stat().st_mode & stat.S_IXOTH for parent in path.parents):
            pytest.skip("the directory of temporary files is closed to others on this host")
        yield path


# -- what the daemon makes ------------------------------------------------------------------------

RUN = "import os, sys; os.umask({umask}); from smppd.cli import app; app(sys.argv[1:])"


@pytest.mark.parametrize("umask", [0o000, 0o077])
def test_daemon_makes_the_same_whatever_umask_it_was_started_with(
    tmp_path: Path, umask: int
) -> None:
    with Site(tmp_path, daemon={"metrics": f"unix:{tmp_path}/run/metrics.sock"}) as site:
        code = RUN.format(umask=umask)
        daemon = site.start("-c", code, "run", "--config", str(tmp_path), log="daemon.log")
        daemon.wait_for_output('"event":"ready"')
        assert mode_of(site.state) == 0o700
        files = [path for path in site.state.rglob("*") if path.is_file()]
        assert len(files) >= 3
        assert {path.name: mode_of(path) for path in files} == {path.name: 0o600 for path in files}
        assert not mode_of(site.socket.parent) & WRITERS
        assert mode_of(site.socket) == 0o666
        assert ask(site.socket, {"type": "ping", "token": 1})["type"] == "pong"
        assert daemon.stop() == 0, daemon.tail()


def test_ledger_of_the_simulator_is_its_users_alone(tmp_path: Path) -> None:
    ledger = Ledger("alpha", tmp_path / "ledger.jsonl")
    ledger.write([SubmitReceived(1, SubmitSm("491701234567", b"secret"))], [None], 0.0)
    assert mode_of(tmp_path / "ledger.jsonl") == 0o600


# -- the state directory --------------------------------------------------------------------------


def test_state_that_others_can_write_is_refused(tmp_path: Path) -> None:
    House(tmp_path / "state").close()
    (tmp_path / "state").chmod(0o777)
    with pytest.raises(StoreError, match="every user of this host can write the state"):
        House(tmp_path / "state")
    (tmp_path / "state").chmod(0o755)
    House(tmp_path / "state").close()


def test_state_of_somebody_else_is_refused_and_no_link_of_theirs_is_followed(
    tmp_path: Path,
) -> None:
    """As root, a lock file that is a link would have cut off any file of the system."""
    needs_root()
    precious = tmp_path / "precious"
    precious.write_text("all of it", encoding="utf-8")
    state = tmp_path / "state"
    state.mkdir(mode=0o700)
    (state / "smppd.lock").symlink_to(precious)
    os.chown(state, NOBODY, NOBODY)
    with pytest.raises(StoreError, match=f"belongs to uid {NOBODY}"):
        House(state)
    assert precious.read_text(encoding="utf-8") == "all of it"


def test_state_may_be_a_link_to_a_directory_of_ours(tmp_path: Path) -> None:
    """systemd's DynamicUser= makes one: /var/lib/smppd leads to /var/lib/private/smppd."""
    (tmp_path / "private").mkdir(mode=0o700)
    (tmp_path / "state").symlink_to(tmp_path / "private")
    House(tmp_path / "state").close()
    assert (tmp_path / "private" / "data.mdb").is_file()


def test_start_on_a_state_that_others_can_write_says_what_to_do(tmp_path: Path) -> None:
    with Site(tmp_path) as site:
        site.state.mkdir()
        site.state.chmod(0o777)
        daemon = site.start("-m", "smppd", "run", "--config", str(tmp_path), log="daemon.log")
        assert daemon.wait() not in (0, terminal.FAILED), daemon.tail()
        assert f"chmod 0700 {site.state}" in daemon.output()
        assert "Traceback" not in daemon.output()


# -- the socket's name ----------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["file", "link", "directory"])
def test_what_is_no_socket_is_never_removed_from_the_sockets_place(
    tmp_path: Path, kind: str
) -> None:
    precious = tmp_path / "precious"
    precious.write_text("all of it", encoding="utf-8")
    with Site(tmp_path) as site:
        site.socket.parent.mkdir()
        if kind == "file":
            site.socket.write_text("mine", encoding="utf-8")
        elif kind == "link":
            site.socket.symlink_to(precious)
        else:
            site.socket.mkdir()
        daemon = site.start("-m", "smppd", "run", "--config", str(tmp_path), log="daemon.log")
        assert daemon.wait() == terminal.FAILED
        assert "is no socket and is in the socket's place" in daemon.output()
        assert os.path.lexists(site.socket)
    assert precious.read_text(encoding="utf-8") == "all of it"


def test_socket_somebody_else_listens_on_is_left_to_them(tmp_path: Path) -> None:
    with Site(tmp_path) as site, socket.socket(socket.AF_UNIX) as theirs:
        site.socket.parent.mkdir()
        theirs.bind(str(site.socket))
        theirs.listen()
        daemon = site.start("-m", "smppd", "run", "--config", str(tmp_path), log="daemon.log")
        assert daemon.wait() == terminal.FAILED
        assert "another process listens on this socket" in daemon.output()


# -- what check warns of --------------------------------------------------------------------------


def warnings_with(directory: Path, words: str) -> list[ConfigWarning]:
    return [warning for warning in check(directory) if words in warning.text]


def test_files_that_others_can_write_are_warned_of_one_by_one(open_directory: Path) -> None:
    write_config(open_directory)
    assert not warnings_with(open_directory, "can write")
    files = ("smppd.toml", "routing.toml", "carriers/alpha.toml")
    for name in files:
        (open_directory / name).chmod(0o666)
    (open_directory / "carriers").chmod(0o777)
    found = warnings_with(open_directory, "and so decide what is sent where")
    assert [warning.remedy for warning in found] == [
        f"chmod o-w {open_directory / name}" for name in (*files, "carriers")
    ]


@pytest.mark.parametrize(("mode", "words"), [(0o755, "look into"), (0o777, "will not start")])
def test_state_directory_that_is_open_is_warned_of(
    open_directory: Path, mode: int, words: str
) -> None:
    write_config(open_directory)
    state = open_directory / "state"
    state.mkdir(mode=0o700)
    assert not warnings_with(open_directory, str(state))
    state.chmod(mode)
    (warning,) = warnings_with(open_directory, str(state))
    assert words in warning.text
    assert warning.remedy == f"chmod 0700 {state}"


def test_socket_where_anybody_can_put_one_is_warned_of(open_directory: Path) -> None:
    place = open_directory / "tmp"
    place.mkdir()
    place.chmod(0o1777)
    write_config(open_directory, f'[daemon]\nsocket = "{place}/smppd.sock"\n')
    (warning,) = warnings_with(open_directory, "put a socket of theirs")
    assert warning.key == "daemon.socket"


def test_private_key_that_others_can_read_is_warned_of(open_directory: Path) -> None:
    write_config(open_directory, carrier=f'{CARRIER}[tls]\ncert = "c.pem"\nkey = "k.pem"\n')
    (open_directory / "c.pem").write_text(CERTIFICATE)
    (open_directory / "k.pem").write_text(KEY)
    (open_directory / "k.pem").chmod(0o600)
    assert not warnings_with(open_directory, "private key")
    (open_directory / "k.pem").chmod(0o644)
    (warning,) = warnings_with(open_directory, "private key")
    assert (warning.key, warning.remedy) == ("tls.key", f"chmod o= {open_directory / 'k.pem'}")


def test_credential_that_others_can_read_is_warned_of(open_directory: Path) -> None:
    carrier = CARRIER.replace('password = "secret"', 'password_credential = "alpha"')
    write_config(open_directory, carrier=carrier)
    (open_directory / "credentials").mkdir(mode=0o755)
    secret = open_directory / "credentials" / "alpha"
    secret.write_text("secret", encoding="utf-8")
    secret.chmod(0o600)
    assert not warnings_with(open_directory, str(secret))
    secret.chmod(0o644)
    (warning,) = warnings_with(open_directory, str(secret))
    assert warning.remedy == f"chmod 0600 {secret}"


# -- who may not ----------------------------------------------------------------------------------

ASK = """
import contextlib, os, socket, sys
os.setgroups([])
os.setgid({nobody})
os.setuid({nobody})
client = socket.socket(socket.AF_UNIX)
client.connect(sys.argv[1])
with contextlib.suppress(OSError):  # it has gone already: nobody waits for our line
    client.sendall(sys.argv[2].encode() + b"\\n")
    client.shutdown(socket.SHUT_WR)
with client.makefile() as answers:
    print(answers.read(), end="")
"""


def ask_as_nobody(path: Path, line: str) -> str:
    """Everything the daemon tells uid 65534 before it closes."""
    return subprocess.run(
        [sys.executable, "-c", ASK.format(nobody=NOBODY), str(path), line],
        env=environment(), capture_output=True, text=True, check=True, timeout=20,
    ).stdout  # fmt: skip


def test_stranger_is_refused_unread_and_told_of_in_the_log(open_directory: Path) -> None:
    """What it writes is not even parsed."""
    needs_root()
    with Site(open_directory, apps={"shop": {"uid": 4242}}) as site:
        daemon = site.start_daemon()
        answered = ask_as_nobody(site.socket, "no JSON at all")
        assert '"code":"not_allowed"' in answered
        assert answered.count("\n") == 1
        daemon.wait_for_output(f'"event":"peer_refused","uid":{NOBODY}')
        assert daemon.stop() == 0


def test_app_may_submit_and_not_operate(open_directory: Path) -> None:
    needs_root()
    with Site(open_directory, apps={"shop": {"uid": NOBODY}}) as site:
        daemon = site.start_daemon()
        verbs = ("status", "carriers", "reload", "find", "doubtful")
        answered = ask_as_nobody(
            site.socket, "\n".join(f'{{"type":"{verb}"}}' for verb in (*verbs, "ping"))
        )
        assert answered.count('"code":"not_allowed"') == len(verbs), answered
        assert '"type":"pong"' in answered
        assert daemon.stop() == 0
