"""Resources as people are shown them: of a secret all but what must stay one."""

from __future__ import annotations

from envoy.config.core.v3.base_pb2 import DataSource
from envoy.extensions.transport_sockets.tls.v3.common_pb2 import TlsCertificate
from envoy.extensions.transport_sockets.tls.v3.secret_pb2 import Secret
from google.protobuf.any_pb2 import Any as AnyMessage

from towpath.encode.pack import pack, unpack
from towpath.model.snapshot import Resource
from towpath.model.types import SECRET

REDACTED = DataSource(inline_string="[redacted]")
"""What stands in the place of a private key."""


def shown(resource: Resource) -> AnyMessage:
    """What a resource carries; a secret's name, certificates and whom it trusts, and nothing else
    that it may have.
    """
    packed = unpack(resource)
    if resource.type_url != SECRET:
        return packed
    secret = Secret()
    packed.Unpack(secret)
    public = Secret(name=secret.name)
    if secret.HasField("tls_certificate"):
        chain = secret.tls_certificate.certificate_chain
        public.tls_certificate.CopyFrom(
            TlsCertificate(certificate_chain=chain, private_key=REDACTED)
        )
    elif secret.HasField("validation_context"):
        public.validation_context.CopyFrom(secret.validation_context)
    return pack(public)
