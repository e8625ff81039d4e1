"""TLS to a carrier: whom we believe, and what an operator reads when we do not."""

from __future__ import annotations

import datetime
import hashlib
import socket
import ssl
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest
import trio
import trio.testing
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from smppd.config.certificate import fingerprints, own_valid_until, public_key_info, valid_until
from smppd.config.model import TlsConfig
from smppd.smpp import constants
from smppd.smpp.pdu import DeliverSm
from smppd.smpp.session import Timers
from smppd.traffic.carrier import BindKeeper
from smppd.traffic.tls import (
    Tls,
    TlsFault,
    build_tls,
    describe_break,
    start_tls,
)
from tests.traffic.centre import Centre, keep, open_centre, until
from tests.traffic.line import Smsc

Clock = trio.testing.MockClock

NAME = "smsc.example.net"
LONG_AGO = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
CA = trustme.CA()
CARRIER = CA.issue_cert(NAME, "127.0.0.1")
EXPIRED = CA.issue_cert(NAME, not_before=LONG_AGO, not_after=LONG_AGO.replace(year=2021))
EARLY = CA.issue_cert(NAME, not_before=LONG_AGO.replace(year=2099))
OURS = CA.issue_cert("smppd@example.net")
DER = ssl.PEM_cert_to_DER_cert(CARRIER.cert_chain_pems[0].bytes().decode())
KEY = (
    x509.load_der_x509_certificate(DER)
    .public_key()
    .public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
)
CERTIFICATE_PIN = hashlib.sha256(DER).hexdigest()
KEY_PIN = hashlib.sha256(KEY).hexdigest()


def server_context(certificate: trustme.LeafCert = CARRIER) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    return context


def tls_of(directory: Path, **fields: object) -> Tls:
    """As a carrier's ``[tls]`` says; its ``ca`` is ours unless it says so."""
    CA.cert_pem.write_to_path(directory / "ca.pem")
    config = TlsConfig(**{"ca": directory / "ca.pem", **fields})  # type: ignore[arg-type]
    return build_tls(config, NAME)


def serve(end: socket.socket, context: ssl.SSLContext) -> None:
    """A carrier as they are: OpenSSL on a blocking socket, which says why it refuses."""
    end.settimeout(20.0)
    try:
        context.wrap_socket(end, server_side=True).close()
    except OSError:
        end.close()


async def shake_hands(tls: Tls, context: ssl.SSLContext) -> str:
    """Nothing, or why there is no TLS, or why it broke at the first read."""
    ours, theirs = socket.socketpair()
    stream = trio.SocketStream(trio.socket.from_stdlib_socket(ours))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.to_thread.run_sync, serve, theirs, context)
        secured = await start_tls(stream, tls)
        if isinstance(secured, TlsFault):
            return secured.reason
        try:
            assert await secured.receive_some() == b""
        except trio.BrokenResourceError as error:
            return describe_break(error)
        finally:
            await trio.aclose_forcefully(secured)
    return ""


# --- whom we believe ---


async def test_the_chain_and_the_name_are_enough(tmp_path: Path, autojump_clock: Clock) -> None:
    assert await shake_hands(tls_of(tmp_path), server_context()) == ""


async def test_an_address_is_a_name_where_the_certificate_has_it(
    tmp_path: Path, autojump_clock: Clock
) -> None:
    tls = tls_of(tmp_path, server_name="127.0.0.1")
    assert await shake_hands(tls, server_context()) == ""


@pytest.mark.parametrize("pins", [(CERTIFICATE_PIN,), (KEY_PIN,), ("0" * 64, KEY_PIN)])
async def test_a_pin_is_of_the_certificate_or_of_its_key(
    pins: tuple[str, ...], tmp_path: Path, autojump_clock: Clock
) -> None:
    assert await shake_hands(tls_of(tmp_path, pin_sha256=pins), server_context()) == ""


async def test_the_carriers_own_certificate_will_do_as_ca(
    tmp_path: Path, autojump_clock: Clock
) -> None:
    CARRIER.cert_chain_pems[0].write_to_path(tmp_path / "leaf.pem")
    tls = tls_of(tmp_path, ca=tmp_path / "leaf.pem")
    assert await shake_hands(tls, server_context()) == ""


async def test_a_certificate_of_ours_is_shown_where_it_is_wanted(
    tmp_path: Path, autojump_clock: Clock
) -> None:
    OURS.private_key_and_cert_chain_pem.write_to_path(tmp_path / "ours.pem")
    context = server_context()
    context.verify_mode = ssl.CERT_REQUIRED
    CA.configure_trust(context)
    tls = tls_of(tmp_path, cert=tmp_path / "ours.pem")
    assert await shake_hands(tls, context) == ""


# --- why not ---


async def test_a_carrier_that_wants_a_certificate_of_ours_says_so(
    tmp_path: Path, autojump_clock: Clock
) -> None:
    context = server_context()
    context.verify_mode = ssl.CERT_REQUIRED
    CA.configure_trust(context)
    reason = await shake_hands(tls_of(tmp_path), context)
    assert reason == "it wants a certificate of ours (key: tls.cert)"


@pytest.mark.parametrize(
    ("certificate", "reason"),
    [(EXPIRED, "its certificate has expired"), (EARLY, "not valid yet")],
)
async def test_a_certificate_out_of_its_time_is_refused(
    certificate: trustme.LeafCert, reason: str, tmp_path: Path, autojump_clock: Clock
) -> None:
    assert reason in await shake_hands(tls_of(tmp_path), server_context(certificate))


async def test_a_certificate_for_another_name_is_refused(
    tmp_path: Path, autojump_clock: Clock
) -> None:
    for name in ("other.example.net", "127.0.0.2"):
        reason = await shake_hands(tls_of(tmp_path, server_name=name), server_context())
        assert reason == f"its certificate is not for {name} (key: tls.server_name)"


async def test_an_authority_nobody_gave_is_refused(tmp_path: Path, autojump_clock: Clock) -> None:
    stranger = trustme.CA().issue_cert(NAME)
    unknown = "its certificate is signed by an authority that is not known here (key: tls.ca)"
    assert await shake_hands(tls_of(tmp_path), server_context(stranger)) == unknown
    assert await shake_hands(tls_of(tmp_path, ca=None), server_context()) == unknown


async def test_a_pin_of_another_certificate_is_refused_whoever_signed(
    tmp_path: Path, autojump_clock: Clock
) -> None:
    tls = tls_of(tmp_path, pin_sha256=(KEY_PIN, CERTIFICATE_PIN))
    reason = await shake_hands(tls, server_context(CA.issue_cert(NAME)))
    assert reason == "its certificate is none of the pinned ones (key: tls.pin_sha256)"


async def test_a_pin_does_not_make_an_unknown_authority_known(
    tmp_path: Path, autojump_clock: Clock
) -> None:
    tls = tls_of(tmp_path, ca=None, pin_sha256=(CERTIFICATE_PIN,))
    assert "authority" in await shake_hands(tls, server_context())


async def test_an_old_version_is_refused(tmp_path: Path, autojump_clock: Clock) -> None:
    context = server_context()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    assert await shake_hands(tls_of(tmp_path), context) == ""
    reason = await shake_hands(tls_of(tmp_path, minimum="1.3"), context)
    assert reason == "it speaks no version of TLS we allow (key: tls.minimum)"


async def test_a_peer_without_tls_is_told_and_gets_no_octet_in_the_clear(
    tmp_path: Path, autojump_clock: Clock
) -> None:
    ours, theirs = trio.testing.memory_stream_pair()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(theirs.send_all, b"\0\0\0\x10\x80\0\0\0\0\0\0\x02\0\0\0\0")
        secured = await start_tls(ours, tls_of(tmp_path))
    assert secured == TlsFault("it does not speak TLS on this port")
    assert bytes(await theirs.receive_some()).startswith(b"\x16\x03")
    assert await theirs.receive_some() == b""


@pytest.mark.parametrize("key", ["ca", "cert"])
async def test_files_that_cannot_be_used_are_a_fault_of_every_link(
    key: str, tmp_path: Path, autojump_clock: Clock
) -> None:
    (tmp_path / "bad.pem").write_text("no certificate")
    for path in (tmp_path / "bad.pem", tmp_path / "missing.pem"):
        reason = await shake_hands(tls_of(tmp_path, **{key: path}), server_context())
        assert reason.startswith("ca, cert or key cannot be used: ")


def test_a_stream_that_broke_without_tls_is_told_in_the_systems_words() -> None:
    error = trio.BrokenResourceError()
    error.__cause__ = ConnectionResetError(104, "Connection reset by peer")
    assert describe_break(error) == "[Errno 104] Connection reset by peer"


# --- DER ---


def test_the_key_is_where_openssl_finds_it() -> None:
    assert public_key_info(DER) == KEY
    assert fingerprints(DER) == {CERTIFICATE_PIN, KEY_PIN}


@settings(deadline=None)
@given(st.binary(max_size=80) | st.integers(0, len(DER) - 1).map(lambda length: DER[:length]))
def test_what_is_no_certificate_has_no_key_and_never_raises(octets: bytes) -> None:
    assert public_key_info(octets) in (b"", octets[-len(public_key_info(octets)) :])
    assert hashlib.sha256(octets).hexdigest() in fingerprints(octets)


def test_the_end_is_where_openssl_finds_it() -> None:
    for pem in (CARRIER.cert_chain_pems[0], EXPIRED.cert_chain_pems[0]):
        der = ssl.PEM_cert_to_DER_cert(pem.bytes().decode())
        end = int(x509.load_der_x509_certificate(der).not_valid_after_utc.timestamp())
        assert valid_until(der) == end
        assert own_valid_until("a key, and then\n" + pem.bytes().decode()) == end


@settings(deadline=None)
@given(st.binary(max_size=80) | st.integers(0, len(DER) - 1).map(lambda length: DER[:length]))
def test_what_is_no_certificate_has_no_end_that_anybody_could_read(octets: bytes) -> None:
    assert valid_until(octets) in (0, valid_until(DER))
    assert own_valid_until(octets.decode("latin-1")) == 0


# --- a bind over it ---


async def accept_secure(centre: Centre, context: ssl.SSLContext) -> Smsc:
    """The next connection, its handshake done by whoever reads first."""
    plain = await centre.accept()
    return Smsc(trio.SSLStream(plain.stream, context, server_side=True, https_compatible=True))


async def test_messages_and_receipts_go_over_tls_and_the_end_is_in_order(
    tmp_path: Path, autojump_clock: Clock
) -> None:
    async with open_centre(tmp_path, autojump_clock) as centre, trio.open_nursery() as nursery:
        keeper = keep(centre, tls=tls_of(tmp_path))
        nursery.start_soon(keeper.run)
        smsc = await accept_secure(centre, server_context())
        await smsc.accept_bind()
        await until(lambda: keeper.status.state == "bound")
        line = centre.line
        await line.submit("r0")
        (submit,) = await smsc.take_submits(1)
        await smsc.answer([submit])
        body = f"id:m{submit.sequence_number} stat:DELIVRD err:000".encode()
        receipt = DeliverSm("ACME", body, esm_class=constants.ESM_TYPE_RECEIPT)
        await smsc.deliver(receipt)
        assert await smsc.wait_acknowledged(1) == [0]
        assert line.house.told() == [("r0", "sent"), ("r0", "delivered")]
        keeper.drain()
        await smsc.wait_unbind()
        await keeper.ended.wait()


async def test_a_certificate_that_ends_soon_is_told_at_every_connect(
    tmp_path: Path, autojump_clock: Clock
) -> None:
    async with open_centre(tmp_path, autojump_clock) as centre, trio.open_nursery() as nursery:
        end = datetime.datetime(2090, 1, 1, tzinfo=datetime.UTC)
        ending = CA.issue_cert(NAME, not_after=end)
        three_days_before = end.timestamp() - 3.5 * 86_400
        autojump_clock.jump(three_days_before - centre.line.wall() / 1000)
        keeper = keep(centre, tls=tls_of(tmp_path))
        with capture_logs() as logs:
            nursery.start_soon(keeper.run)
            smsc = await accept_secure(centre, server_context(ending))
            await smsc.accept_bind()
            await until(lambda: keeper.status.state == "bound")
        (line,) = [line for line in logs if line["event"] == "certificate_expires"]
        assert (line["carrier"], line["days"]) == ("alpha", 3)
        nursery.cancel_scope.cancel()


def has_failed(keeper: BindKeeper, attempt: int) -> bool:
    return keeper.status.reconnects == attempt


async def test_a_fault_is_the_reason_of_the_bind_and_it_is_tried_again(
    tmp_path: Path, autojump_clock: Clock
) -> None:
    async with open_centre(tmp_path, autojump_clock) as centre, trio.open_nursery() as nursery:
        keeper = keep(centre, tls=tls_of(tmp_path))
        nursery.start_soon(keeper.run)
        for attempt, reason, context in (
            (1, "has expired", server_context(EXPIRED)),
            (2, "authority", server_context(trustme.CA().issue_cert(NAME))),
        ):
            smsc = await accept_secure(centre, context)
            with suppress(trio.BrokenResourceError):  # our alert, if it comes before our close
                await smsc.read_to_end()
            await until(partial(has_failed, keeper, attempt))
            assert keeper.status.state == "down"
            assert keeper.status.reason.startswith("no TLS: its certificate")
            assert reason in keeper.status.reason
            await centre.check_wait(keeper, keeper.status.reconnects * 1.0)
        nursery.cancel_scope.cancel()


async def test_a_handshake_that_hangs_is_given_up_in_time(
    tmp_path: Path, autojump_clock: Clock
) -> None:
    timers = Timers(session_init_timer=10.0)
    async with open_centre(tmp_path, autojump_clock) as centre, trio.open_nursery() as nursery:
        keeper = keep(centre, timers=timers, tls=tls_of(tmp_path))
        nursery.start_soon(keeper.run)
        smsc = await centre.accept()
        assert await smsc.stream.receive_some()  # a client hello, and nobody answers
        await trio.testing.wait_all_tasks_blocked()
        autojump_clock.jump(10.0)
        await until(lambda: keeper.status.state == "down")
        assert keeper.status.reason == "cannot connect: no answer within session_init_timer"
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("octets", [b"\x17\x03\x03\x00\x20" + bytes(32), b"HTTP/1.1 502 Bad\r\n"])
async def test_garbage_in_the_middle_of_a_stream_ends_the_link_and_doubts_what_was_open(
    octets: bytes, version: ssl.TLSVersion, tmp_path: Path, autojump_clock: Clock
) -> None:
    context = server_context()
    context.maximum_version = version
    async with open_centre(tmp_path, autojump_clock) as centre, trio.open_nursery() as nursery:
        keeper = keep(centre, tls=tls_of(tmp_path))
        nursery.start_soon(keeper.run)
        smsc = await accept_secure(centre, context)
        await smsc.accept_bind()
        await until(lambda: keeper.status.state == "bound")
        line = centre.line
        await line.submit("r0")
        await smsc.take_submits(1)
        assert isinstance(smsc.stream, trio.SSLStream)
        await smsc.stream.transport_stream.send_all(octets)
        await until(lambda: keeper.status.state == "down")
        assert keeper.status.reason == (
            "the stream broke: octets came that are no TLS of this connection"
        )
        assert line.house.told() == [("r0", "uncertain")]
        await centre.check_wait(keeper, 1.0)
        again = await accept_secure(centre, context)  # over TLS, as ever
        await again.accept_bind()
        await until(lambda: keeper.status.state == "bound")
        nursery.cancel_scope.cancel()
