"""What people are shown of a resource: never a private key."""

from __future__ import annotations

from typing import Any

from envoy.config.core.v3.base_pb2 import DataSource
from envoy.extensions.transport_sockets.tls.v3.common_pb2 import (
    CertificateValidationContext,
    TlsCertificate,
    TlsSessionTicketKeys,
)
from envoy.extensions.transport_sockets.tls.v3.secret_pb2 import GenericSecret, Secret
from google.protobuf.json_format import MessageToDict

from towpath.encode.endpoints import load_assignment
from towpath.encode.pack import resource, unpack
from towpath.encode.shown import shown
from towpath.model.plan import Endpoint

KEY = DataSource(inline_string="the key")


def _shown(secret: Secret) -> dict[str, Any]:
    public = Secret()
    assert shown(resource(secret.name, secret)).Unpack(public)
    return dict(MessageToDict(public))


def test_of_a_certificate_the_chain_is_shown_and_not_the_key() -> None:
    chain = DataSource(inline_string="the chain")
    secret = Secret(
        name="one", tls_certificate=TlsCertificate(certificate_chain=chain, private_key=KEY)
    )

    expected = {
        "certificateChain": {"inlineString": "the chain"},
        "privateKey": {"inlineString": "[redacted]"},
    }
    assert {"name": "one", "tlsCertificate": expected} == _shown(secret)


def test_what_is_nowhere_said_to_be_public_is_left_out() -> None:
    hidden = (
        Secret(
            name="one",
            tls_certificate=TlsCertificate(
                private_key=KEY, pkcs12=KEY, password=KEY, ocsp_staple=KEY
            ),
        ),
        Secret(name="one", generic_secret=GenericSecret(secret=KEY)),
        Secret(name="one", session_ticket_keys=TlsSessionTicketKeys(keys=[KEY])),
    )

    assert ["the key" in str(_shown(secret)) for secret in hidden] == [False] * 3


def test_whom_a_secret_trusts_is_shown() -> None:
    context = CertificateValidationContext(trusted_ca=DataSource(inline_string="the root"))
    secret = Secret(name="one", validation_context=context)

    expected = {"trustedCa": {"inlineString": "the root"}}
    assert {"name": "one", "validationContext": expected} == _shown(secret)


def test_every_other_resource_is_shown_as_it_is() -> None:
    endpoints = load_assignment("web", (Endpoint("10.1.0.1", 80),))

    assert unpack(endpoints) == shown(endpoints)
