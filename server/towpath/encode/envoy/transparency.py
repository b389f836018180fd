"""HTTP as it came: what Envoy would change, cut or refuse by its defaults, and need not.

docs/envoy-defaults.md lists every default and says what is decided about it.
"""

from __future__ import annotations

from envoy.config.common.mutation_rules.v3.mutation_rules_pb2 import HeaderMutation
from envoy.config.core.v3.base_pb2 import HeaderValue, HeaderValueOption
from envoy.config.core.v3.extension_pb2 import TypedExtensionConfig
from envoy.config.core.v3.protocol_pb2 import (
    Http1ProtocolOptions,
    Http2ProtocolOptions,
    HttpProtocolOptions,
)
from envoy.extensions.filters.http.header_mutation.v3 import header_mutation_pb2 as late
from envoy.extensions.http.early_header_mutation.header_mutation.v3 import (
    header_mutation_pb2 as early,
)
from envoy.extensions.http.header_formatters.preserve_case.v3 import preserve_case_pb2 as case

from towpath.encode.pack import pack, seconds

LARGEST_HEADERS_KIB = 8192
"""What Envoy allows at most."""
MOST_HEADERS = 100_000
MOST_STREAMS = 2**31 - 1
HOST_NOT_GIVEN = "host-not-given.invalid"
"""The host of an HTTP/1.0 request without one, which Envoy cannot send on without."""

_PROTO = "x-forwarded-proto"
_KEPT_PROTO = "x-towpath-forwarded-proto"


def common_options(*, upstream: bool = False) -> HttpProtocolOptions:
    """No end to an idle connection of a client's; headers as many and as long as can be."""
    options = HttpProtocolOptions(max_headers_count={"value": MOST_HEADERS})
    if upstream:
        options.max_response_headers_kb.value = LARGEST_HEADERS_KIB
    else:
        options.idle_timeout.CopyFrom(seconds(0))
    return options


def downstream_http1() -> Http1ProtocolOptions:
    """HTTP/1 as clients speak it, with methods that Envoy does not know."""
    options = upstream_http1()
    options.accept_http_10 = True
    options.default_host_for_http_10 = HOST_NOT_GIVEN
    options.allow_custom_methods = True
    return options


def upstream_http1() -> Http1ProtocolOptions:
    """Trailers, and names of headers in the letter case in which they came."""
    formatter = TypedExtensionConfig(
        name="preserve_case",
        typed_config=pack(case.PreserveCaseFormatterConfig(forward_reason_phrase=True)),
    )
    return Http1ProtocolOptions(
        enable_trailers=True,
        header_key_format=Http1ProtocolOptions.HeaderKeyFormat(stateful_formatter=formatter),
    )


def http2() -> Http2ProtocolOptions:
    """HTTP/2 with as many streams at a time as a connection can have, tunnels among them."""
    return Http2ProtocolOptions(allow_connect=True, max_concurrent_streams={"value": MOST_STREAMS})


def keep_forwarded_proto() -> TypedExtensionConfig:
    """Note the client's x-forwarded-proto before Envoy sets its own."""
    return TypedExtensionConfig(
        name="keep_forwarded_proto",
        typed_config=pack(early.HeaderMutation(mutations=_moved(_PROTO, _KEPT_PROTO))),
    )


def restore_forwarded_proto() -> late.HeaderMutation:
    """What the client sent in place of Envoy's own; none if it sent none."""
    mutations = [*_moved(_KEPT_PROTO, _PROTO), HeaderMutation(remove=_KEPT_PROTO)]
    return late.HeaderMutation(mutations=late.Mutations(request_mutations=mutations))


def _moved(source: str, to: str) -> list[HeaderMutation]:
    """*to* has the value of *source*, or is not there if that has none."""
    append = HeaderValueOption(
        header=HeaderValue(key=to, value=f"%REQ({source})%"), keep_empty_value=False
    )
    return [HeaderMutation(remove=to), HeaderMutation(append=append)]
