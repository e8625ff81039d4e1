"""A daemon on a damaged store: it refuses, says where, changes nothing; and what is salvaged runs.

Real processes on a real directory; the damage is done while nobody runs.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from smppd.store.layout import DATA_FILE, FORMAT_FILE
from smppd.terminal import BAD_CONFIG, DAMAGED, FAILED, OK
from tests.processes import START_SECONDS_MAX, Site, ask, environment
from tests.store.damage import leaf_of, leaves_of, zero_pages

MESSAGES = 40


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """A site whose daemon has accepted messages, which no carrier takes, and has stopped."""
    site = Site(tmp_path / "site")
    with site:
        daemon = site.start_daemon()
        for number in range(MESSAGES):
            submit(site, f"r{number}")
        assert daemon.stop() == OK
    return site


def submit(site: Site, ref: str) -> None:
    line = {"type": "submit", "ref": ref, "to": "+491701234567", "from": "ACME", "text": "x" * 100}
    assert ask(site.socket, line)["type"] == "accepted"


def query(site: Site, ref: str) -> str:
    return str(ask(site.socket, {"type": "query", "ref": ref})["type"])


def queued(site: Site) -> object:
    store = site.status()["store"]
    assert isinstance(store, dict), store
    return store["queued"]


def smppd(site: Site, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "smppd", *arguments],
        cwd=site.directory,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=START_SECONDS_MAX,
        check=False,
    )


def hashed(site: Site) -> bytes:
    return hashlib.sha256((site.state / DATA_FILE).read_bytes()).digest()


def refusal(site: Site) -> str:
    """What a daemon says that does not start for its store."""
    with site:
        config = ("--config", str(site.directory))
        daemon = site.start("-m", "smppd", "run", *config, log="daemon.log")
        assert daemon.wait() == DAMAGED, daemon.tail()
        return daemon.output()


def test_daemon_on_a_damaged_store_says_where_and_leaves_it_as_it_is(site: Site) -> None:
    page = leaf_of(site.state, "messages")
    zero_pages(site.state, page)
    before = hashed(site)
    said = refusal(site)
    assert '"store_damaged"' in said
    assert f"data.mdb is damaged: table messages, page {page}: " in said
    assert "smppd salvage --to" in said
    assert "Traceback" not in said
    assert hashed(site) == before


@pytest.mark.parametrize("octets", [0, 4096, 3 * 4096])
def test_daemon_on_a_store_that_was_cut_off_does_not_start_empty(site: Site, octets: int) -> None:
    os.truncate(site.state / DATA_FILE, octets)
    assert "data.mdb is damaged" in refusal(site)
    assert (site.state / DATA_FILE).stat().st_size == octets


def test_daemon_whose_store_is_gone_does_not_start_empty(site: Site) -> None:
    (site.state / DATA_FILE).unlink()
    assert f"{FORMAT_FILE} says that a store was there" in refusal(site)
    assert not (site.state / DATA_FILE).exists()


def test_what_is_salvaged_goes_on_under_a_daemon(site: Site, tmp_path: Path) -> None:
    pages = leaves_of(site.state, "messages")
    zero_pages(site.state, pages[1])
    found = smppd(site, "verify")
    assert found.returncode == DAMAGED, found.stderr
    assert f"damaged: table messages, page {pages[1]}: says that it is page 0" in found.stderr
    saved = smppd(site, "salvage", "--to", str(tmp_path / "new"), "--json")
    assert saved.returncode == FAILED, saved.stderr
    lost = {one["ref"] for one in json.loads(saved.stdout)["lost"]}
    assert 0 < len(lost) < MESSAGES // 2
    site.state.rename(tmp_path / "damaged")
    (tmp_path / "new").rename(site.state)
    assert smppd(site, "verify").returncode == OK
    with site:
        simulator = site.start_simulator()
        daemon = site.start_daemon()
        answers = {f"r{number}": query(site, f"r{number}") for number in range(MESSAGES)}
        assert {ref for ref, answer in answers.items() if answer == "error"} == lost
        daemon.wait_until(lambda: queued(site) == 0, "sent", START_SECONDS_MAX)
        assert daemon.stop() == OK
        assert simulator.stop() == OK


def test_sound_store_is_verified_and_salvaged_without_loss(site: Site, tmp_path: Path) -> None:
    found = smppd(site, "verify", "--json")
    assert (found.returncode, found.stderr) == (OK, "")
    told = json.loads(found.stdout)
    assert (told["ok"], told["problems"], told["checksums"]) == (True, [], True)
    assert {"table": "messages", "rows": MESSAGES, "pages": 3} in [
        {**one, "pages": 3} for one in told["tables"]
    ]
    saved = smppd(site, "salvage", "--state", str(site.state), "--to", str(tmp_path / "new"))
    assert saved.returncode == OK, saved.stderr
    assert f"messages\t{MESSAGES}\t0\t0" in saved.stdout


def test_verify_leaves_a_running_daemon_alone(site: Site) -> None:
    with site:
        daemon = site.start_daemon()
        found = smppd(site, "verify")
        assert found.returncode == BAD_CONFIG
        assert f"a smppd runs on {site.state} (pid {daemon.pid}); stop it first" in found.stderr
        assert query(site, "r0") == "message"
        assert daemon.stop() == OK
