"""TLS that is not to be trusted, octets that are no SMPP: ``docs/carriers.md``, rows 37 and 38.

The carriers of row 37 are OpenSSL on real sockets, and the daemon is a real process.
"""

from __future__ import annotations

import datetime
import socket
import ssl
import threading
import urllib.request
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import pytest
import trio
import trustme

from smppd.config.model import TlsConfig
from smppd.ctl.times import show_moment
from smppd.demo.stage import free_ports
from smppd.smpp import constants as c
from smppd.smpp.framing import PDU_BYTES_MAX, FrameBuffer, FramingFault
from smppd.smpp.pdu import HEADER, DeliverSm, encode_deliver_sm, encode_submit_sm_resp
from smppd.smpp.signals import DeliverReceived, PduRefused, PeerFault, SubmitAnswered
from smppd.traffic.tls import Tls, TlsFault, build_tls, start_tls
from tests.ctl.house import Desk
from tests.ctl.screen import call_on_terminal
from tests.processes import START_SECONDS_MAX, Site, Table
from tests.smpp.pair import bound_esme, raw, sent_by, submits

NAME: Final = "smsc.example.net"
SOCKET_SECONDS_MAX: Final = 20.0
NOW: Final = datetime.datetime.now(datetime.UTC)
DAY: Final = datetime.timedelta(days=1)

CA: Final = trustme.CA()
STRANGER: Final = trustme.CA()
OURS: Final = CA.issue_cert("smppd@example.net", not_after=NOW + 5.5 * DAY)
GOOD: Final = CA.issue_cert(NAME, not_after=NOW + 3.5 * DAY)


def serving(certificate: trustme.LeafCert) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    return context


def serving_1_1() -> ssl.SSLContext:
    """A server that has heard of nothing later."""
    context = serving(GOOD)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")
    return context


class Server:
    """A carrier on a port, with TLS by ``context``, or in the clear. It lets everybody bind, and
    keeps the names it was asked for and what reached it without TLS."""

    def __init__(self, context: ssl.SSLContext | None) -> None:
        self._context = context
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.names: list[str | None] = []
        self.heard = b""
        if context is not None:
            context.sni_callback = lambda _stream, name, _context: self.names.append(name)
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        """Nobody is taken any more."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _serve(self) -> None:
        while True:
            try:
                stream, _ = self._listener.accept()
            except OSError:
                return
            stream.settimeout(SOCKET_SECONDS_MAX)
            with stream, suppress(OSError):
                self._take(stream)

    def _take(self, stream: socket.socket) -> None:
        if self._context is None:
            self.heard += stream.recv(65_536)
            stream.sendall(raw(c.GENERIC_NACK, 0, c.ESME_RINVCMDLEN))
            return
        with self._context.wrap_socket(stream, server_side=True) as secure:
            if not (bind := secure.recv(65_536)):
                return
            *_, number = HEADER.unpack(bind[:16])
            secure.sendall(raw(c.BIND_TRANSCEIVER_RESP, number, body=b"centre\0"))
            while secure.recv(65_536):
                pass


@contextmanager
def serve(contexts: dict[str, ssl.SSLContext | None]) -> Iterator[dict[str, Server]]:
    servers = {name: Server(context) for name, context in contexts.items()}
    try:
        yield servers
    finally:
        for server in servers.values():
            server.close()


# --- 37: TLS ---


REASONS: Final = {
    "expired": "no TLS: its certificate has expired",
    "early": "no TLS: its certificate is not valid yet (is the clock right?)",
    "wrong_host": f"no TLS: its certificate is not for {NAME} (key: tls.server_name)",
    "stranger": "no TLS: its certificate is signed by an authority that is not known here (key: "
    "tls.ca)",
    "pinned": "no TLS: its certificate is none of the pinned ones (key: tls.pin_sha256)",
    "old": "no TLS: it speaks no version of TLS we allow (key: tls.minimum)",
    "clear": "no TLS: it does not speak TLS on this port",
}


def test_b37_every_tls_that_is_not_to_be_trusted_is_refused_with_its_reason(tmp_path: Path) -> None:
    """And the one that is, is told our name, gets our certificate, and its end is announced."""
    good = serving(GOOD)
    good.verify_mode = ssl.CERT_REQUIRED
    CA.configure_trust(good)
    contexts = {
        "good": good,
        "expired": serving(CA.issue_cert(NAME, not_after=NOW - DAY, not_before=NOW - 9 * DAY)),
        "early": serving(CA.issue_cert(NAME, not_before=NOW + DAY)),
        "wrong_host": serving(CA.issue_cert("other.example.net")),
        "stranger": serving(STRANGER.issue_cert(NAME)),
        "pinned": serving(CA.issue_cert(NAME)),
        "old": serving_1_1(),
        "clear": None,
    }
    CA.cert_pem.write_to_path(tmp_path / "ca.pem")
    OURS.private_key_and_cert_chain_pem.write_to_path(tmp_path / "ours.pem")
    usual: Table = {"ca": "ca.pem", "server_name": NAME}
    tls = dict.fromkeys(contexts, usual)
    tls["good"] = {**usual, "cert": "ours.pem"}
    tls["pinned"] = {**usual, "pin_sha256": "0" * 64}
    (metrics,) = free_ports(1)
    with serve(contexts) as servers:
        carriers = {
            name: {"port": server.port, "tls": tls[name], "reconnect_max": 1}
            for name, server in servers.items()
        }
        routes = tuple({"prefix": "49", "carrier": name, "cost": "1"} for name in carriers)
        options = {"metrics": f"127.0.0.1:{metrics}"}
        with Site(tmp_path, carriers=carriers, routes=routes, daemon=options) as site:
            daemon = site.start_daemon()
            told = [*REASONS.values(), '"certificate_expires"', '"own_certificate_expires"']
            daemon.wait_until(
                lambda: all(one in daemon.output() for one in told), "refused", START_SECONDS_MAX
            )
            daemon.wait_until(lambda: '"bind_up"' in daemon.output(), "bound", START_SECONDS_MAX)
            _, shown = call_on_terminal(Desk(site, daemon), "carriers")
            assert "our certificate is valid for 5 days more" in str(site.status()["warnings"])
            page = urllib.request.urlopen(f"http://127.0.0.1:{metrics}/metrics").read().decode()
            assert daemon.stop() == 0, daemon.tail()
    lines = {f"{name}: bind 0 down: {reason}" for name, reason in REASONS.items()}
    assert sorted(lines.difference(shown)) == []
    assert servers["good"].names[0] == NAME
    assert servers["clear"].heard.startswith(b"\x16\x03")
    assert b"smppd" not in servers["clear"].heard
    end = (NOW + 3.5 * DAY).replace(microsecond=0)
    assert f"good: TLS certificate valid until {show_moment(int(end.timestamp() * 1000))}" in shown
    expiry = "smppd_carrier_certificate_expiry_timestamp_seconds"
    (told_end,) = [line for line in page.splitlines() if line.startswith(expiry + "{")]
    assert told_end.startswith(f'{expiry}{{carrier="good"}} ')
    assert float(told_end.split()[1]) == end.timestamp()


async def shake_hands(tls: Tls, context: ssl.SSLContext) -> str:
    """Nothing, or why there is no TLS."""
    with serve({"it": context}) as servers:
        stream = await trio.open_tcp_stream("127.0.0.1", servers["it"].port)
        secured = await start_tls(stream, tls)
        if isinstance(secured, TlsFault):
            return secured.reason
        await trio.aclose_forcefully(secured)
        return ""


async def test_b37_tls_1_1_is_refused_by_us_and_not_by_chance(tmp_path: Path) -> None:
    CA.cert_pem.write_to_path(tmp_path / "ca.pem")
    tls = build_tls(TlsConfig(ca=tmp_path / "ca.pem"), NAME)
    reason = await shake_hands(tls, serving_1_1())
    assert reason == "it speaks no version of TLS we allow (key: tls.minimum)"
    assert isinstance(tls.context, ssl.SSLContext)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        tls.context.minimum_version = ssl.TLSVersion.TLSv1_1
    tls.context.set_ciphers("ALL:@SECLEVEL=0")
    assert await shake_hands(tls, serving_1_1()) == ""


async def test_b37_the_name_is_told_in_the_hello_and_is_the_host_unless_said(
    tmp_path: Path,
) -> None:
    CA.cert_pem.write_to_path(tmp_path / "ca.pem")
    names = []
    for config in (TlsConfig(ca=tmp_path / "ca.pem"), TlsConfig(server_name="b.example.net")):
        with serve({"it": serving(GOOD)}) as servers:
            stream = await trio.open_tcp_stream("127.0.0.1", servers["it"].port)
            secured = await start_tls(stream, build_tls(config, NAME))
            if not isinstance(secured, TlsFault):
                await trio.aclose_forcefully(secured)
            names += servers["it"].names
    assert names == [NAME, "b.example.net"]


# --- 38: octets that are no SMPP, or lie ---


@pytest.mark.parametrize(
    ("octets", "protocol"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "HTTP"),
        (b"AMQP\x00\x00\x09\x01", "AMQP"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "SSH"),
        (b"\x15\x03\x03\x00\x02\x02\x16", "TLS"),
    ],
)
def test_b38_another_protocol_is_named(octets: bytes, protocol: str) -> None:
    (fault,) = FrameBuffer().receive(octets)
    assert fault == FramingFault(f"the peer speaks {protocol}, not SMPP", c.ESME_RINVCMDLEN, 0)


def test_b38_a_length_below_a_header_or_beyond_the_limit_closes_and_says_so() -> None:
    for length in (0, 15, PDU_BYTES_MAX + 1, 0xFFFFFFFF):
        session = bound_esme()
        octets = HEADER.pack(length, c.DELIVER_SM, 0, 9) + bytes(64)
        (fault,) = session.receive_data(octets, 0.0)
        assert isinstance(fault, PeerFault)
        assert f"command_length {length}" in fault.reason
        (nack,) = sent_by(session)
        assert (nack.command_id, nack.command_status) == (c.GENERIC_NACK, c.ESME_RINVCMDLEN)
        assert session.closed


def test_b38_the_longest_honest_pdu_is_taken() -> None:
    pdu = DeliverSm("12345", b"", tlvs={c.TLV_MESSAGE_PAYLOAD: bytes(0xFFFF)})
    (received,) = bound_esme().receive_data(encode_deliver_sm(pdu, 9), 0.0)
    assert isinstance(received, DeliverReceived)
    assert received.pdu == pdu


def test_b38_an_sm_length_that_lies_costs_its_own_pdu_alone() -> None:
    """Too long, and too short so that text is left where TLVs should be: both among good ones."""
    good = encode_deliver_sm(DeliverSm("12345", b"STOP"), 7)
    for lie in (5, 2):
        liar = good[:12] + (8).to_bytes(4) + good[16:-5] + bytes((lie,)) + good[-4:]
        session = bound_esme()
        session.submit(submits("a"), 0.0)
        (sent,) = sent_by(session)
        answer = encode_submit_sm_resp(sent.sequence_number, 0, "id")
        signals = session.receive_data(good + liar + answer + good, 0.0)
        kinds = [type(signal) for signal in signals]
        assert kinds == [DeliverReceived, PduRefused, SubmitAnswered, DeliverReceived]
        (refusal,) = sent_by(session)
        assert (refusal.command_id, refusal.sequence_number) == (c.DELIVER_SM_RESP, 8)
        assert refusal.command_status not in (0, c.ESME_RSYSERR)
        assert session.state == "bound"


def test_b38_a_command_nobody_knows_is_answered_and_nothing_else_happens() -> None:
    session = bound_esme()
    (refused,) = session.receive_data(raw(0x00010200, 5, body=b"vendor"), 0.0)
    assert isinstance(refused, PduRefused)
    (nack,) = sent_by(session)
    assert (nack.command_id, nack.command_status, nack.sequence_number) == (
        c.GENERIC_NACK,
        c.ESME_RINVCMDID,
        5,
    )
    assert session.state == "bound"
