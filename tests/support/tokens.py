"""An issuer of pods' tokens, as an API server is one, and tokens that are wrong in one way each."""

from __future__ import annotations

import base64
import json
import tempfile
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from towpath.model.credentials import TokenIssuer

ISSUER = "https://kubernetes.default.svc.cluster.local"
AUDIENCE = "towpath"

Private = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


def new_key(algorithm: str = "ES256") -> Private:
    match algorithm:
        case "RS256":
            return rsa.generate_private_key(public_exponent=65537, key_size=2048)
        case "ES384":
            return ec.generate_private_key(ec.SECP384R1())
        case "ES512":
            return ec.generate_private_key(ec.SECP521R1())
    return ec.generate_private_key(ec.SECP256R1())


class Issuer:
    """Signs with one key at a time; *keys* are those that it publishes, by id."""

    def __init__(self, *, name: str = ISSUER, algorithm: str = "ES256", kid: str = "first") -> None:
        self.name = name
        self.kid = kid
        self.algorithm = algorithm
        self.keys: dict[str, tuple[str, Private]] = {kid: (algorithm, new_key(algorithm))}

    def rotate(self, kid: str, *, algorithm: str = "ES256") -> None:
        """Sign with a new key from now on, and publish the one before too."""
        self.keys[kid] = (algorithm, new_key(algorithm))
        self.kid, self.algorithm = kid, algorithm

    @property
    def published(self) -> TokenIssuer:
        keys = [_jwk(kid, *key) for kid, key in self.keys.items()]
        return TokenIssuer(self.name, json.dumps({"keys": keys}))

    def token(
        self,
        pod: str = "curl",
        *,
        namespace: str = "curl",
        account: str = "curl",
        uid: str = "uid-1",
        expires_in: timedelta = timedelta(hours=1),
        header: Mapping[str, Any] | None = None,
        claims: Mapping[str, Any] | None = None,
    ) -> str:
        """A pod's token; *claims* stand in the place of its own, and None leaves one out."""
        now = datetime.now(UTC)
        its: dict[str, Any] = {
            "iss": self.name,
            "aud": [AUDIENCE],
            "sub": f"system:serviceaccount:{namespace}:{account}",
            "iat": int(now.timestamp()),
            "nbf": int(now.timestamp()),
            "exp": int((now + expires_in).timestamp()),
            "kubernetes.io": binding(pod, namespace=namespace, account=account, uid=uid),
        }
        its |= claims or {}
        its = {name: value for name, value in its.items() if value is not None}
        algorithm, key = self.keys[self.kid]
        return jwt.encode(its, key, algorithm, headers={"kid": self.kid} | dict(header or {}))


def binding(
    pod: str = "curl", *, namespace: str = "curl", account: str = "curl", uid: str = "uid-1"
) -> dict[str, Any]:
    """What a bound token says in its claim `kubernetes.io`."""
    return {
        "namespace": namespace,
        "node": {"name": "node-1", "uid": "node-uid"},
        "pod": {"name": pod, "uid": uid},
        "serviceaccount": {"name": account, "uid": "account-uid"},
    }


def with_header(token: str, header: object) -> str:
    """The same token under another header; its signature stays what it was."""
    _, payload, signature = token.split(".")
    encoded = base64.urlsafe_b64encode(json.dumps(header).encode()).decode().rstrip("=")
    return f"{encoded}.{payload}.{signature}"


def _jwk(kid: str, algorithm: str, key: Private) -> dict[str, Any]:
    kind: Any = jwt.get_algorithm_by_name(algorithm)
    public = kind.to_jwk(key.public_key(), as_dict=True)
    return {**public, "kid": kid, "use": "sig", "alg": algorithm}


def put_token(path: Path, token: str) -> None:
    """Put it where the kubelet would: all files of a volume change with one link."""
    volume = path.parent
    volume.mkdir(exist_ok=True)
    data = Path(tempfile.mkdtemp(prefix="..", dir=volume))
    data.chmod(0o755)
    (data / path.name).write_text(token)
    (data / path.name).chmod(0o644)
    fresh = volume / "..data_tmp"
    fresh.symlink_to(data.name)
    fresh.replace(volume / "..data")
    if not path.is_symlink():
        path.symlink_to(f"..data/{path.name}")
