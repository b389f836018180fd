"""Secrets: what a sidecar shows of itself, and whom it trusts, each under the name that transport
sockets (`tls`) subscribe to.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from envoy.config.core.v3.base_pb2 import DataSource
from envoy.extensions.transport_sockets.tls.v3 import common_pb2 as common
from envoy.extensions.transport_sockets.tls.v3.secret_pb2 import Secret
from envoy.type.matcher.v3.string_pb2 import StringMatcher

from towpath.encode.envoy import names
from towpath.encode.pack import resource, unpack
from towpath.model.identity import Leaf, Roots
from towpath.model.names import Account
from towpath.model.snapshot import Resource
from towpath.pem import certificates


def certificate(leaf: Leaf) -> Resource:
    """The certificate of an account, with its key."""
    pair = common.TlsCertificate(
        certificate_chain=_text(leaf.certificate_chain),
        private_key=_text(leaf.private_key),
    )
    name = names.certificate_of(leaf.account)
    return resource(name, Secret(name=name, tls_certificate=pair))


def trust_of_server(account: Account, roots: Roots) -> Resource:
    """Whom the sidecars of *account* let in: every account of the mesh, and nobody else whom the
    same authority has given a certificate.
    """
    name = names.trust_of_server(account)
    return _validation(name, roots, [StringMatcher(prefix=roots.prefix)])


def trust_of_client(
    namespace: str, service: str, roots: Roots, accounts: Iterable[Account]
) -> Resource:
    """Who may answer for a service: these accounts. Nobody, if there are none: without any name
    Envoy would take every certificate of the authority.
    """
    answering = [roots.name(account) for account in accounts] or [roots.prefix]
    matchers = [StringMatcher(exact=name) for name in answering]
    return _validation(names.trust_of_client(namespace, service), roots, matchers)


def valid_until(secret: Resource) -> datetime | None:
    """When the certificate in it ends; None if it has none, or its bytes are not known."""
    message = Secret()
    unpack(secret).Unpack(message)
    chain = message.tls_certificate.certificate_chain.inline_string
    if not chain:
        return None
    return certificates(chain.encode(), secret.name)[0].not_valid_after_utc


def _validation(name: str, roots: Roots, matchers: Iterable[StringMatcher]) -> Resource:
    uri = common.SubjectAltNameMatcher.URI
    context = common.CertificateValidationContext(
        trusted_ca=_text(roots.certificates),
        match_typed_subject_alt_names=[
            common.SubjectAltNameMatcher(san_type=uri, matcher=matcher) for matcher in matchers
        ],
    )
    return resource(name, Secret(name=name, validation_context=context))


def _text(pem: bytes) -> DataSource:
    return DataSource(inline_string=pem.decode())
