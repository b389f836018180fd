"""A throw-away certificate authority, and the files of what it issues."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from towpath.ca import Authority, Pair
from towpath_client import TlsFiles

LIFETIME = timedelta(days=1)
AUTHORITY_LIFETIME = timedelta(days=30)
TRUST_DOMAIN = "cluster.local"


class Certificates:
    """One authority whose certificates are written to *folder*; `ca` is what to trust."""

    def __init__(self, folder: Path, *, name: str = "tests") -> None:
        self.folder = folder
        self.ca = folder / f"{name}-ca.crt"
        self._authority = Authority.create(name, lifetime=AUTHORITY_LIFETIME, clock=_now)
        self.ca.write_bytes(self._authority.pair.certificate)

    def issue(
        self,
        name: str,
        *,
        dns: tuple[str, ...] = (),
        addresses: tuple[str, ...] = (),
        uris: tuple[str, ...] = (),
        lifetime: timedelta = LIFETIME,
    ) -> TlsFiles:
        """Write `<name>.crt` and `<name>.key`, over those that are there."""
        pair = self._authority.issue(
            name, lifetime=lifetime, dns=dns, addresses=addresses, uris=uris
        )
        certificate, key = self.folder / f"{name}.crt", self.folder / f"{name}.key"
        write(pair, certificate, key)
        return TlsFiles(ca=self.ca, certificate=certificate, key=key)

    def issue_odd(
        self,
        name: str,
        *,
        uris: tuple[str, ...] = (),
        signs: bool = False,
        curve: ec.EllipticCurve | None = None,
        valid_in: timedelta = timedelta(0),
    ) -> TlsFiles:
        """Like `issue`, but one that no authority of ours would make: one that *signs* others, on
        another curve, or valid only later.
        """
        authority = self._authority.pair
        issuer = x509.load_pem_x509_certificate(authority.certificate)
        issuer_key = serialization.load_pem_private_key(authority.key, password=None)
        assert isinstance(issuer_key, ec.EllipticCurvePrivateKey)
        key, since = ec.generate_private_key(curve or ec.SECP256R1()), _now() + valid_in
        names = [x509.DNSName("localhost"), *map(x509.UniformResourceIdentifier, uris)]
        certificate = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
            .issuer_name(issuer.subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(since - timedelta(minutes=1))
            .not_valid_after(since + LIFETIME)
            .add_extension(x509.BasicConstraints(ca=signs, path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .sign(issuer_key, hashes.SHA256())
        )
        pem = certificate.public_bytes(serialization.Encoding.PEM)
        form, cipher = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        pair = Pair(pem, key.private_bytes(serialization.Encoding.PEM, form, cipher))
        files = self.folder / f"{name}.crt", self.folder / f"{name}.key"
        write(pair, *files)
        return TlsFiles(self.ca, *files)

    def server(self, name: str = "server", *, addresses: tuple[str, ...] = ()) -> TlsFiles:
        """A server's, for `localhost` and the addresses given beside 127.0.0.1."""
        return self.issue(name, dns=("localhost",), addresses=("127.0.0.1", *addresses))

    def sidecar(self, namespace: str, account: str) -> TlsFiles:
        """One of a service account's sidecars."""
        return self.issue(f"{namespace}.{account}", uris=(spiffe_id(namespace, account),))


def certificate_for(*uris: str) -> Pair:
    """A client's certificate of an authority that nobody keeps."""
    authority = Authority.create("nobody", lifetime=LIFETIME, clock=_now)
    return authority.issue("client", lifetime=LIFETIME, uris=uris)


def spiffe_id(namespace: str, account: str, *, trust_domain: str = TRUST_DOMAIN) -> str:
    return f"spiffe://{trust_domain}/ns/{namespace}/sa/{account}"


def write(pair: Pair, certificate: Path, key: Path) -> None:
    """Replace both files, the key first."""
    for path, data in ((key, pair.key), (certificate, pair.certificate)):
        fresh = path.with_name(f"{path.name}.new")
        fresh.touch(mode=0o600)
        fresh.write_bytes(data)
        fresh.replace(path)


def _now() -> datetime:
    return datetime.now(UTC)
