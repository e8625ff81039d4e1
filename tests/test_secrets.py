"""What nobody who reads a log, a page, a ticket or an operator's screen may learn: passwords,
messages' words, and whole numbers.

One daemon at log level debug is taken through a day's worth of good and bad luck; then everything
it and the commands around it have said is searched.
"""

from __future__ import annotations

import base64
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from smppd.config import load
from smppd.daemon.build import build_endpoint
from smppd.demo.stage import free_ports
from tests.processes import START_SECONDS_MAX, Child, Site, ask, environment

INLINE = "pW7-kQ2x"
CREDENTIAL = "cR3-dZu9"
REFUSED = "nO5-tIt8"
LONG = "tOo-lOnG-by-far"
PASSWORDS = (INLINE, CREDENTIAL, REFUSED, LONG, "12345678")

CODE = "918273 is your one-time code"
WORDS = "Your parcel waits behind the blue door"
UNSENT = "Nobody may ever read this sentence"
SPOKEN = "words that a phone has said"
OCTETS = b"binary-octets-of-somebody"
META = "meta-of-the-app"
TEXTS = (CODE, WORDS, UNSENT, SPOKEN, OCTETS.decode(), base64.b64encode(OCTETS).decode())

PHONE = "491701234567"
PHONES = (PHONE, "491709876543", "8613800138")
"""To whom we send, who sends to us, and what is no number at all."""

EVENTS = 7
"""Sent and delivered of three messages, and one inbound."""

PROFILE = f"""receipt_delay = 0
[[inbound]]
from = "491709876543"
to = "12345"
text = "{SPOKEN}"
"""

BAD_LINES = (
    f'{{"type":"submit","ref":"b1","to":"+{PHONE}","text":"{UNSENT}"',
    f'{{"type":"submit","ref":"b2","to":"+{PHONE}","text":"{UNSENT}","txet":1}}',
    f'{{"type":"submit","ref":"b3","to":"+{PHONE}99999999","text":"{UNSENT}"}}',
    f'{{"type":"submti","ref":"b4","text":"{UNSENT}"}}',
    f'"{UNSENT}"',
    f'{{"type":"submit","to":"+{PHONE}","text":"{UNSENT}"}}',
)


def test_nothing_that_is_read_by_people_holds_a_password_a_text_or_a_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And what is hidden is there: who asks for it with --reveal is shown it."""
    said: dict[str, str] = {}
    hand_over_credential(tmp_path, monkeypatch)
    port = free_ports(1)[0]
    with listen_as_manager(tmp_path, monkeypatch) as manager, make_site(tmp_path, port) as site:
        daemon = begin(site)
        submit(site)
        daemon.wait_until(lambda: is_delivered(site), "delivered", START_SECONDS_MAX)
        refuse(site)
        ask_all(site, said)
        break_files(site, said)
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as page:
            said["metrics"] = page.read().decode()
        for form in ((), ("--json",)):
            said[f"tail {form}"] = follow(site, *form)
        revealed = follow(site, "--reveal")
        assert PHONES[1] in revealed
        assert SPOKEN in revealed
        exported = site.smppctl("export", f"+{PHONE}").stdout
        assert PHONE in exported, "what is asked for by a number is about that number, and whole"
        forgotten = site.smppctl("forget", f"+{PHONE}", "--yes")
        said["smppctl forget"] = forgotten.stdout + forgotten.stderr
        daemon.send_signal(signal.SIGABRT)
        assert daemon.wait() == -signal.SIGABRT
        said["log"] = daemon.output()
        said["systemd"] = "\n".join(drain(manager))
    assert "Fatal Python error: Aborted" in said["log"]
    assert "STATUS=" in said["systemd"]
    assert "number_exported" in said["log"]
    assert "number_forgotten" in said["log"]
    for name, text in said.items():
        search(name, text)


def search(name: str, text: str) -> None:
    """Fails where ``text``, said by ``name``, holds what nobody may learn."""
    assert text, f"{name} says nothing: what could it hide?"
    found = [secret for secret in (*PASSWORDS, *TEXTS, *PHONES) if secret in text]
    assert not found, f"{name} holds {found}\n{text}"


def test_search_finds_what_is_there() -> None:
    for secret in (INLINE, CODE, PHONE):
        with pytest.raises(AssertionError, match="log holds"):
            search("log", f"event {secret}")


def hand_over_credential(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As LoadCredential= does."""
    credentials = directory / "credentials"
    credentials.mkdir()
    (credentials / "beta").write_text(f"{CREDENTIAL}\n", encoding="utf-8")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(credentials))


def listen_as_manager(directory: Path, monkeypatch: pytest.MonkeyPatch) -> socket.socket:
    """The service manager's end of NOTIFY_SOCKET."""
    manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    manager.bind(str(directory / "notify"))
    monkeypatch.setenv("NOTIFY_SOCKET", str(directory / "notify"))
    return manager


def begin(site: Site) -> Child:
    """A daemon that tells all, two carriers that take it and one that does not."""
    site.start_simulator("--profile", "alpha=profile.toml", "--tls-cert", "alpha=carrier.pem")
    gamma = site.directory / "carriers" / "gamma.toml"
    gamma.write_text(replaced(gamma.read_text(encoding="utf-8"), f'"{REFUSED}"'), encoding="utf-8")
    daemon = site.start_daemon("--log-level", "debug")
    daemon.wait_for_output("bind_refused")
    return daemon


SHOWING = (
    ("status",),
    ("carriers", "--json"),
    ("routes", "test", f"+{PHONE}"),
    ("explain", f"+{PHONE}", "--json"),
    ("trace", "otp"),
    ("trace", "data", "--json"),
    ("find", f"+{PHONE}"),
    ("find", f"+{PHONE}", "--json"),
    ("quote", "--to", f"+{PHONE}99999999", "--text", UNSENT, "--from", "ACME"),
)


def ask_all(site: Site, said: dict[str, str]) -> None:
    """The verbs that show something, for people or as JSON."""
    for arguments in SHOWING:
        done = site.smppctl(*arguments)
        said[f"smppctl {arguments[0]} {arguments[-1][:6]}"] = done.stdout + done.stderr


def follow(site: Site, *form: str) -> str:
    """What ``tail`` shows of all seven events."""
    child = site.start_smppctl("tail", "--after", "0", *form, log="tail.log")
    child.wait_until(lambda: child.output().count("\n") == EVENTS, "at the end", START_SECONDS_MAX)
    child.kill()
    return child.output()


def break_files(site: Site, said: dict[str, str]) -> None:
    """A reload of passwords that are none, and what ``check`` says of them."""
    carrier = site.directory / "carriers" / "alpha.toml"
    right = carrier.read_text(encoding="utf-8")
    for password in (f'"{LONG}"', "12345678", f'"{INLINE}'):
        carrier.write_text(replaced(right, password), encoding="utf-8")
        done = site.smppctl("reload")
        assert done.returncode == 78, done
        said[f"reload of {password[:3]}"] = done.stdout + done.stderr
        said[f"check of {password[:3]}"] = run_smppd(site, "check", "--json")
    carrier.write_text(right, encoding="utf-8")
    said["check"] = run_smppd(site, "check")
    said["systemd-dropin"] = run_smppd(site, "systemd-dropin")


def run_smppd(site: Site, *arguments: str) -> str:
    """Everything ``smppd ARGUMENTS`` prints."""
    done = subprocess.run(
        [sys.executable, "-m", "smppd", *arguments, "--config", str(site.directory)],
        cwd=site.directory, env=environment(), capture_output=True, text=True, check=False,
    )  # fmt: skip
    return done.stdout + done.stderr


def make_site(directory: Path, port: int) -> Site:
    """alpha speaks TLS, beta's password is a credential, gamma refuses ours."""
    ca = trustme.CA()
    ca.cert_pem.write_to_path(directory / "ca.pem")
    ca.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(
        directory / "carrier.pem"
    )
    (directory / "profile.toml").write_text(PROFILE, encoding="utf-8")
    site = Site(
        directory,
        carriers={
            "alpha": {"password": INLINE, "tls": {"ca": "ca.pem"}},
            "beta": {},
            "gamma": {"password": INLINE},
        },
        daemon={"metrics": f"127.0.0.1:{port}"},
        routes=(
            {"prefix": "", "carrier": "alpha", "cost": "0.0100"},
            {"prefix": "86", "carrier": "beta", "cost": "0.0100"},
            {"prefix": "44", "carrier": "gamma", "cost": "0.0100"},
        ),
    )
    beta = directory / "carriers" / "beta.toml"
    text = beta.read_text(encoding="utf-8").replace('password = "secret"\n', "")
    beta.write_text(f'password_credential = "beta"\n{text}', encoding="utf-8")
    return site


def replaced(text: str, password: str) -> str:
    return re.sub(r"^password = .*$", f"password = {password}", text, flags=re.MULTILINE)


def submit(site: Site) -> None:
    """An OTP, a binary message and one with everything; all are accepted."""
    base = {"type": "submit", "to": f"+{PHONE}", "from": "ACME"}
    for fields in (
        {"ref": "otp", "text": CODE, "class": "otp"},
        {"ref": "words", "text": WORDS, "meta": {"note": META}, "tag": "t"},
        {"ref": "data", "data": base64.b64encode(OCTETS).decode(), "from": "4915112345"},
    ):
        assert ask(site.socket, {**base, **fields})["type"] == "accepted"


def is_delivered(site: Site) -> bool:
    """Whether the phone has what was sent, and we what it sent."""
    queries = [{"type": "query", "ref": ref} for ref in ("otp", "words", "data")]
    states = [ask(site.socket, query)["state"] for query in queries]
    events = ask(site.socket, {"type": "subscribe"})["latest"]
    return states == ["delivered"] * 3 and events == EVENTS


def refuse(site: Site) -> None:
    """Lines that are wrong in every way, on one connection."""
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(START_SECONDS_MAX)
        client.connect(str(site.socket))
        client.sendall("".join(f"{line}\n" for line in BAD_LINES).encode() + b"\xff\n")
        with client.makefile("rb") as answers:
            for _ in range(len(BAD_LINES) + 1):
                answer = answers.readline().decode()
                assert "accepted" not in answer
                assert UNSENT not in answer


def drain(manager: socket.socket) -> Iterator[str]:
    while True:
        try:
            yield manager.recv(65_536).decode()
        except BlockingIOError:
            return


CRASH = f"""
import sys
from pathlib import Path
from smppd import log
from smppd.config import load
log.configure("debug")
sys.excepthook = log.report_crash
def fall(text, number):
    config = load(Path(sys.argv[1]))
    raise RuntimeError(f"a bug of ours met {{config.carriers['alpha']!r}}")
fall({WORDS!r}, {PHONE!r})
"""


def test_crash_tells_where_and_no_values(tmp_path: Path) -> None:
    """A traceback has our own source lines and no variables; a struct shows itself discreetly."""
    with Site(tmp_path, carriers={"alpha": {"password": INLINE}}) as site:
        done = subprocess.run(
            [sys.executable, "-c", CRASH, str(site.directory)],
            env=environment(), capture_output=True, text=True, check=False,
        )  # fmt: skip
        config = load(site.directory)
    told = done.stdout + done.stderr
    assert '"event":"crashed"' in told
    assert "in fall" in told
    assert "CarrierConfig(" in told
    assert INLINE not in told
    assert PHONE not in told
    for shown in (repr(config), str(config), repr(build_endpoint(config.carriers["alpha"]))):
        assert INLINE not in shown


def test_core_dump_would_hold_everything_and_the_unit_forbids_it() -> None:
    unit = Path(__file__).parent.parent / "systemd" / "smppd.service"
    assert "LimitCORE=0" in unit.read_text(encoding="utf-8").splitlines()
