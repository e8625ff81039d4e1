"""TLS to a carrier, from ``carriers/alpha.toml`` to what ``status`` says: real processes."""

from __future__ import annotations

from pathlib import Path

import trustme

from tests.processes import START_SECONDS_MAX, Site, Table, ask

CA = trustme.CA()
CARRIER = CA.issue_cert("127.0.0.1")
OURS = CA.issue_cert("smppd@example.net")


def write_files(directory: Path) -> list[str]:
    """Whom the daemon may believe, and the simulator's options for TLS that wants to know us."""
    (directory / "tls").mkdir()
    CA.cert_pem.write_to_path(directory / "tls" / "ca.pem")
    CARRIER.private_key_and_cert_chain_pem.write_to_path(directory / "tls" / "carrier.pem")
    OURS.private_key_and_cert_chain_pem.write_to_path(directory / "tls" / "ours.pem")
    return ["--tls-cert", "tls/carrier.pem", "--tls-client-ca", "tls/ca.pem"]


def test_a_message_is_delivered_over_tls_on_which_both_sides_know_each_other(
    tmp_path: Path,
) -> None:
    options = write_files(tmp_path)
    tls: Table = {"ca": "tls/ca.pem", "cert": "tls/ours.pem", "minimum": "1.3"}
    with Site(tmp_path, carriers={"alpha": {"tls": tls}}) as site:
        site.start_simulator(*options)
        daemon = site.start_daemon()
        site.wait_bound(daemon)
        submit = {"type": "submit", "ref": "r1", "to": "+491701234567", "text": "x", "from": "ACME"}
        assert ask(site.socket, submit)["type"] == "accepted"
        query = {"type": "query", "ref": "r1"}
        daemon.wait_until(
            lambda: "delivered" in str(ask(site.socket, query)), "delivered", START_SECONDS_MAX
        )
        assert daemon.stop() == 0, daemon.tail()


def test_a_carrier_nobody_vouches_for_is_down_and_says_why(tmp_path: Path) -> None:
    options = write_files(tmp_path)
    trustme.CA().cert_pem.write_to_path(tmp_path / "tls" / "ca.pem")
    with Site(tmp_path, carriers={"alpha": {"tls": {"ca": "tls/ca.pem"}}}) as site:
        site.start_simulator(*options[:2])
        daemon = site.start_daemon()
        reason = "no TLS: its certificate is signed by an authority that is not known here"
        daemon.wait_until(
            lambda: reason in str(site.status()["carriers"]), reason, START_SECONDS_MAX
        )
        assert daemon.stop() == 0, daemon.tail()
