"""The server's TLS files: what is refused at the start, and what is kept when they break later."""

from __future__ import annotations

import contextlib
import re
import shutil
import ssl
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from support.certificates import Certificates
from support.samples import sample
from towpath.access.tls import ServerTls
from towpath.settings import SettingsError
from towpath.telemetry.metrics import Metrics
from towpath_client import TlsFiles

EXPIRY = "towpath_tls_certificate_expiry_seconds"
RELOADS = "towpath_tls_reloads_total"

Break = Callable[[TlsFiles, Certificates], object]


def _server(files: TlsFiles, metrics: Metrics | None = None) -> ServerTls:
    return ServerTls(
        certificate=files.certificate,
        key=files.key,
        client_ca=files.ca,
        metrics=metrics or Metrics(),
        clock=lambda: datetime.now(UTC),
    )


@pytest.fixture
def certificates(tmp_path: Path) -> Certificates:
    return Certificates(tmp_path)


@pytest.fixture
def files(certificates: Certificates) -> TlsFiles:
    return certificates.server()


def _of_another_certificate(files: TlsFiles, certificates: Certificates) -> None:
    files.key.write_bytes(certificates.issue("other").key.read_bytes())


def _encrypted(files: TlsFiles, _: Certificates) -> None:
    key = serialization.load_pem_private_key(files.key.read_bytes(), password=None)
    cipher = serialization.BestAvailableEncryption(b"secret")
    form = serialization.PrivateFormat.PKCS8
    files.key.write_bytes(key.private_bytes(serialization.Encoding.PEM, form, cipher))


def _of_a_kind_that_grpc_has_not(files: TlsFiles, _: Certificates) -> None:
    form, cipher = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    key = ed25519.Ed25519PrivateKey.generate()
    files.key.write_bytes(key.private_bytes(serialization.Encoding.PEM, form, cipher))


def _on_p521(_: TlsFiles, certificates: Certificates) -> None:
    certificates.issue_odd("server", curve=ec.SECP521R1())


def _on_a_curve_that_nobody_knows(files: TlsFiles, _: Certificates) -> None:
    """The last byte of the curve's number is another: one that no standard has."""
    known, other = bytes.fromhex("06082a8648ce3d030107"), bytes.fromhex("06082a8648ce3d03017f")
    der = ssl.PEM_cert_to_DER_cert(files.certificate.read_text())
    assert known in der
    files.certificate.write_text(ssl.DER_cert_to_PEM_cert(der.replace(known, other)))


def _cut_off(path: Path) -> None:
    whole = path.read_bytes()
    path.write_bytes(whole + whole[: len(whole) // 2])


def _chain_of_strangers(files: TlsFiles, certificates: Certificates) -> None:
    other = Certificates(certificates.folder, name="stranger").ca
    files.certificate.write_bytes(files.certificate.read_bytes() + other.read_bytes())


def _authority_of_a_leaf(files: TlsFiles, certificates: Certificates) -> None:
    leaf = certificates.issue("leaf").certificate
    files.ca.write_bytes(files.ca.read_bytes() + leaf.read_bytes())


BROKEN: dict[str, tuple[Break, str]] = {
    "certificate missing": (lambda f, _: f.certificate.unlink(), r"--tls-cert \S+ cannot be read"),
    "key missing": (lambda f, _: f.key.unlink(), r"--tls-key \S+/server.key cannot be read: No"),
    "ca missing": (lambda f, _: f.ca.unlink(), r"--tls-client-ca \S+ cannot be read"),
    "certificate empty": (lambda f, _: f.certificate.write_text(""), "--tls-cert .* no certif"),
    "key no key": (lambda f, _: f.key.write_text("key"), "--tls-key .* holds no private key"),
    "ca no certificate": (lambda f, _: f.ca.write_text("ca"), "--tls-client-ca .* no certif"),
    "key another's": (_of_another_certificate, "--tls-key .* is not the key of --tls-cert"),
    "key encrypted": (_encrypted, "--tls-key .* is encrypted"),
    "key of another kind": (_of_a_kind_that_grpc_has_not, "neither an RSA nor an elliptic-curve"),
    "expired": (
        lambda _, c: c.issue("server", lifetime=timedelta(seconds=-1)),
        "--tls-cert .* expired at 20",
    ),
    "not valid yet": (
        lambda _, c: c.issue_odd("server", valid_in=timedelta(hours=1)),
        "--tls-cert .* is not valid before 20",
    ),
    "curve that gRPC has not": (_on_p521, "--tls-cert .* curve secp521r1: allowed are P-256"),
    "curve that nobody knows": (_on_a_curve_that_nobody_knows, "--tls-cert .* key that cannot"),
    "certificate cut off": (lambda f, _: _cut_off(f.certificate), "--tls-cert .* is cut off"),
    "ca cut off": (lambda f, _: _cut_off(f.ca), "--tls-client-ca .* is cut off"),
    "chain of strangers": (_chain_of_strangers, "--tls-cert .* 1 is not issued by certificate 2"),
    "leaf as authority": (
        _authority_of_a_leaf,
        "--tls-client-ca .* 2 .CN=leaf. is not an authority's",
    ),
}


@pytest.mark.parametrize(("break_", "message"), BROKEN.values(), ids=BROKEN.keys())
def test_a_broken_file_at_the_start_is_a_settings_error_that_names_it(
    certificates: Certificates, files: TlsFiles, break_: Break, message: str
) -> None:
    break_(files, certificates)

    with pytest.raises(SettingsError, match=message):
        _server(files)


@pytest.mark.parametrize(("break_", "message"), BROKEN.values(), ids=BROKEN.keys())
def test_a_broken_file_later_keeps_what_was_good_and_is_told_of_once(
    certificates: Certificates,
    files: TlsFiles,
    break_: Break,
    message: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    metrics = Metrics()
    server = _server(files, metrics)
    break_(files, certificates)
    for _ in range(3):
        server.look()

    assert server._news() is None
    assert [True] == [bool(re.search(message, line)) for line in caplog.messages]
    assert (1, 0) == _reloads(metrics)


def test_new_files_are_handed_to_the_next_connection_once(
    certificates: Certificates, files: TlsFiles
) -> None:
    metrics = Metrics()
    server = _server(files, metrics)
    server.look()
    before = server._news()
    certificates.server()
    server.look()

    assert before is None
    assert server._news() is not None
    assert server._news() is None
    assert (0, 1) == _reloads(metrics)


def test_what_was_not_valid_yet_is_used_once_it_is(
    certificates: Certificates, files: TlsFiles
) -> None:
    metrics, now = Metrics(), [datetime.now(UTC)]
    server = ServerTls(
        certificate=files.certificate,
        key=files.key,
        client_ca=files.ca,
        metrics=metrics,
        clock=lambda: now[0],
    )
    certificates.issue_odd("server", valid_in=timedelta(hours=1))
    server.look()
    before = server._news()
    now[0] += timedelta(hours=1)
    server.look()

    assert before is None
    assert server._news() is not None
    assert (1, 1) == _reloads(metrics)


def test_new_authorities_alone_are_news(files: TlsFiles, tmp_path: Path) -> None:
    server = _server(files)
    both = files.ca.read_bytes() + Certificates(tmp_path, name="second").ca.read_bytes()
    files.ca.write_bytes(both)
    server.look()

    assert server._news() is not None


def test_a_file_that_breaks_again_is_told_of_again(
    files: TlsFiles, caplog: pytest.LogCaptureFixture
) -> None:
    server = _server(files)
    good = files.key.read_bytes()
    for _ in range(2):
        files.key.unlink()
        server.look()
        files.key.write_bytes(good)
        server.look()

    assert 2 == len(caplog.messages)
    assert server._news() is None


def test_the_expiry_is_that_of_the_certificate_in_use(
    certificates: Certificates, files: TlsFiles
) -> None:
    metrics = Metrics()
    server = _server(files, metrics)
    first = sample(metrics, EXPIRY)
    certificates.issue("server", lifetime=timedelta(days=9))
    server.look()
    certificates.issue("server", lifetime=timedelta(seconds=-1))
    server.look()

    assert 1 == round((sample(metrics, EXPIRY) - first) / 86400 / 8)


def test_a_chain_begins_with_the_servers_own_certificate(files: TlsFiles) -> None:
    chain = files.certificate.read_bytes() + files.ca.read_bytes()
    files.certificate.write_bytes(chain)
    _server(files)
    files.certificate.write_bytes(files.ca.read_bytes() + chain)

    with pytest.raises(SettingsError, match="is not the key of"):
        _server(files)


def _reloads(metrics: Metrics) -> tuple[float, float]:
    """How many failed, and how many were taken into use."""
    failed, taken = (sample(metrics, RELOADS, result=result) for result in ("failed", "ok"))
    return failed, taken


def test_an_https_port_shows_the_newest_certificate(tmp_path: Path) -> None:
    """To whoever connects then, as its context follows the files."""
    certificates = Certificates(tmp_path)
    first, second = certificates.issue("first"), certificates.issue("second")
    tls = _server(first)
    context = tls.context()
    assert "first" == _common_name(context, first.ca)
    shutil.copy(second.certificate, first.certificate)
    tls.look()
    assert "first" == _common_name(context, first.ca)
    shutil.copy(second.key, first.key)
    tls.look()
    assert "second" == _common_name(context, first.ca)


def _common_name(context: ssl.SSLContext, trusted: Path) -> str:
    """Of the certificate that a client is shown, without a network."""
    client = ssl.create_default_context(cafile=str(trusted))
    client.check_hostname = False
    to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = (
        client.wrap_bio(to_client, to_server),
        context.wrap_bio(to_server, to_client, server_side=True),
    )
    for _ in range(4):
        for end in ends:
            with contextlib.suppress(ssl.SSLWantReadError):
                end.do_handshake()
    subject = (ends[0].getpeercert() or {})["subject"]
    return dict(pair for rdn in subject for pair in rdn)["commonName"]  # type: ignore[misc]
