from __future__ import annotations

import ssl
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from cryptography import x509

from towpath.cli import main


def _run(folder: Path, *options: str) -> Result:
    return CliRunner().invoke(main, ["demo-certs", str(folder), *options])


def _alternatives(path: Path) -> list[str]:
    certificate = x509.load_pem_x509_certificate(path.read_bytes())
    extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    return [str(one.value) for one in extension.value]


def test_each_file_is_there_and_is_named_in_what_it_prints(tmp_path: Path) -> None:
    said = _run(tmp_path / "new", "--sidecar", "curl/curl", "--person", "jo")

    names = {path.name for path in (tmp_path / "new").iterdir()}
    stems = ("ca", "server", "sidecar.curl.curl", "person.jo")
    assert {f"{stem}.{end}" for stem in stems for end in ("crt", "key")} == names
    assert all(name in said.output for name in names)
    assert "not for production" in said.output


def test_each_certificate_stands_for_what_was_asked(tmp_path: Path) -> None:
    names = ("--server-name", "towpath.osm-system.svc", "--server-name", "10.0.0.1")
    whose = ("--sidecar", "shop/web", "--person", "jo", "--trust-domain", "mesh.test")
    _run(tmp_path, *names, *whose)

    assert ["towpath.osm-system.svc", "10.0.0.1"] == _alternatives(tmp_path / "server.crt")
    assert ["spiffe://mesh.test/ns/shop/sa/web"] == _alternatives(tmp_path / "sidecar.shop.web.crt")
    assert ["spiffe://mesh.test/person/jo"] == _alternatives(tmp_path / "person.jo.crt")


def test_keys_are_for_their_owner_alone(tmp_path: Path) -> None:
    _run(tmp_path, "--sidecar", "curl/curl")

    assert {0o600} == {path.stat().st_mode & 0o777 for path in tmp_path.glob("*.key")}


def test_a_second_run_renews_under_the_same_authority(tmp_path: Path) -> None:
    _run(tmp_path)
    authority, server = ((tmp_path / name).read_bytes() for name in ("ca.crt", "server.crt"))
    _run(tmp_path, "--sidecar", "curl/curl")

    assert (tmp_path / "ca.crt").read_bytes() == authority
    assert (tmp_path / "server.crt").read_bytes() != server
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    for name in ("server", "sidecar.curl.curl"):
        context.load_cert_chain(tmp_path / f"{name}.crt", tmp_path / f"{name}.key")
        x509.load_pem_x509_certificate(
            (tmp_path / f"{name}.crt").read_bytes()
        ).verify_directly_issued_by(x509.load_pem_x509_certificate(authority))


@pytest.mark.parametrize("text", ["curl", "a/b/c", "/curl"])
def test_a_sidecar_is_a_namespace_and_a_service_account(tmp_path: Path, text: str) -> None:
    result = _run(tmp_path / "new", "--sidecar", text)

    assert (2, False) == (result.exit_code, (tmp_path / "new").exists())
    assert "<namespace>/<service account>" in result.output


def test_a_persons_name_is_a_plain_one(tmp_path: Path) -> None:
    result = _run(tmp_path / "new", "--person", "../jo")

    assert (2, False) == (result.exit_code, (tmp_path / "new").exists())
    assert "allowed are letters" in result.output


def test_an_authority_that_is_broken_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "ca.crt").write_text("nonsense")
    (tmp_path / "ca.key").write_text("nonsense")
    result = _run(tmp_path)

    assert (1, "nonsense") == (result.exit_code, (tmp_path / "ca.crt").read_text())
    assert str(tmp_path / "ca.crt") in result.output
