"""Every field of a MeshConfig: what it means, and whether it has effect.

The descriptions in the CustomResourceDefinition and docs/meshconfig.md are made from this table, by
`make tables`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from enum import Enum
from typing import NamedTuple

from towpath.model.codes import Code
from towpath.sources.decode.findings import Findings, show
from towpath.sources.decode.schema import Schema


class How(Enum):
    """How a field is judged that has no defaults of its own."""

    USED = "used"
    SECTION = "its fields are judged"
    WITH_ITS_SECTION = "it means nothing without its section"


class Field(NamedTuple):
    """A field below `spec`, in lists without their indices.

    `support` says that it has effect, or which values ask for nothing: they are what Open Service
    Mesh and osm-edge set by themselves. Absent, null, "" and empty never ask for anything.
    """

    path: str
    about: str
    support: How | tuple[object, ...] | re.Pattern[str]

    @property
    def has_effect(self) -> bool:
        return self.support in (How.USED, How.SECTION)


USED, SECTION, WITH_ITS_SECTION = How.USED, How.SECTION, How.WITH_ITS_SECTION
IMAGES = re.compile(r"(?:docker\.io/)?(?:envoyproxy|flomesh|openservicemesh)/.*")
MODULES = re.compile(r"modules/.*")

FIELDS = (
    Field("clusterSet", "What this cluster is called among others.", SECTION),
    Field("clusterSet.properties", "Names and their values.", ()),
    Field("clusterSet.properties.name", "Name of the property.", WITH_ITS_SECTION),
    Field("clusterSet.properties.value", "Its value.", WITH_ITS_SECTION),
    Field("sidecar", "The sidecars of the mesh.", SECTION),
    Field("sidecar.enablePrivilegedInitContainer", "Run the init container privileged.", USED),
    Field("sidecar.logLevel", "How much sidecars log.", USED),
    Field(
        "sidecar.maxDataPlaneConnections",
        "Maximum number of streams; 0 means unlimited.",
        (0,),
    ),
    Field(
        "sidecar.configResyncInterval",
        "How often the configuration is sent again, such as 90s.",
        ("", "0s", "90s"),
    ),
    Field(
        "sidecar.sidecarTimeout", "Seconds after which a Pipy sidecar gives a connection up.", USED
    ),
    Field("sidecar.sidecarClass", "Which kind of sidecar pods get.", ("", "envoy", "pipy")),
    Field("sidecar.sidecarImage", "Image of the sidecar.", USED),
    Field("sidecar.sidecarWindowsImage", "Image of the sidecar on Windows.", IMAGES),
    Field("sidecar.envoyImage", "Image of the sidecar, as older manifests name it.", USED),
    Field(
        "sidecar.envoyWindowsImage",
        "Image of the sidecar on Windows, as older manifests name it.",
        IMAGES,
    ),
    Field("sidecar.initContainerImage", "Image of the init container.", USED),
    Field("sidecar.sidecarDrivers", "Settings for each kind of sidecar.", SECTION),
    Field(
        "sidecar.sidecarDrivers.sidecarName", "Kind of sidecar that is meant.", ("pipy", "envoy")
    ),
    Field("sidecar.sidecarDrivers.sidecarImage", "Its image.", IMAGES),
    Field("sidecar.sidecarDrivers.sidecarWindowsImage", "Its image on Windows.", IMAGES),
    Field("sidecar.sidecarDrivers.initContainerImage", "Its init container's image.", IMAGES),
    Field(
        "sidecar.sidecarDrivers.proxyServerPort",
        "Port that it gets its configuration from.",
        (6060, 15128),
    ),
    Field(
        "sidecar.sidecarDrivers.sidecarDisabledMTLS",
        "It speaks to the control plane without TLS.",
        (False,),
    ),
    Field("sidecar.sidecarDisabledMTLS", "Sidecars speak to each other without TLS.", (False,)),
    Field("sidecar.resources", "What a sidecar's container may use.", SECTION),
    Field("sidecar.resources.limits", "Limits of cpu, memory and ephemeral-storage.", USED),
    Field("sidecar.resources.requests", "Requests of the same.", USED),
    Field("sidecar.resources.claims", "Claims on resources.", ()),
    Field(
        "sidecar.tlsMinProtocolVersion",
        "Oldest TLS between sidecars: TLSv1_2 (the default) or TLSv1_3.",
        USED,
    ),
    Field(
        "sidecar.tlsMaxProtocolVersion",
        "Newest TLS between sidecars: TLSv1_3 (the default) or TLSv1_2.",
        USED,
    ),
    Field(
        "sidecar.cipherSuites",
        "Ciphers of TLS 1.2 between sidecars, the best first; Envoy's own if none is said.",
        USED,
    ),
    Field(
        "sidecar.ecdhCurves",
        "Curves of TLS between sidecars, the best first; Envoy's own if none is said.",
        USED,
    ),
    Field(
        "sidecar.localProxyMode",
        "Where a sidecar reaches its own application: Localhost (the default), or PodIP.",
        USED,
    ),
    Field("sidecar.localDNSProxy", "A DNS server in the sidecar.", SECTION),
    Field("sidecar.localDNSProxy.enable", "Run it.", (False,)),
    Field(
        "sidecar.localDNSProxy.primaryUpstreamDNSServerIPAddr", "Whom it asks.", WITH_ITS_SECTION
    ),
    Field(
        "sidecar.localDNSProxy.secondaryUpstreamDNSServerIPAddr",
        "Whom it asks next.",
        WITH_ITS_SECTION,
    ),
    Field("repoServer", "Where Pipy sidecars get their configuration.", SECTION),
    Field("repoServer.ipaddr", "Address of the server.", ("", "127.0.0.1")),
    Field("repoServer.codebase", "Prefix of its paths.", ("",)),
    Field("traffic", "What happens to traffic.", SECTION),
    Field(
        "traffic.interceptionMode",
        "How connections reach the sidecar: iptables, or none where a CNI plugin redirects them.",
        USED,
    ),
    Field("traffic.enableEgress", "Everything that no policy governs may leave the mesh.", USED),
    Field("traffic.outboundIPRangeExclusionList", "IPv4 ranges that pass by the sidecar.", USED),
    Field(
        "traffic.outboundIPRangeInclusionList",
        "The only IPv4 ranges that go through the sidecar.",
        USED,
    ),
    Field("traffic.outboundPortExclusionList", "Ports outside that pass by the sidecar.", USED),
    Field("traffic.inboundPortExclusionList", "Own ports that pass by the sidecar.", USED),
    Field(
        "traffic.networkInterfaceExclusionList",
        "Network interfaces that pass by the sidecar.",
        USED,
    ),
    Field(
        "traffic.enablePermissiveTrafficPolicyMode",
        "Every service of the mesh may be reached from everywhere in it.",
        USED,
    ),
    Field(
        "traffic.mtls",
        "Mutual TLS of marked pods: permissive (the default) lets in plaintext too, strict nothing "
        "else, disabled has nobody call them by it; a namespace's annotation "
        "openservicemesh.io/mtls comes first.",
        USED,
    ),
    Field(
        "traffic.http1PerRequestLoadBalancing",
        "Choose an endpoint for each request of HTTP/1.",
        USED,
    ),
    Field(
        "traffic.http2PerRequestLoadBalancing",
        "Choose an endpoint for each request of HTTP/2.",
        USED,
    ),
    Field(
        "traffic.inboundExternalAuthorization",
        "A server that is asked about requests that come in.",
        USED,
    ),
    Field("traffic.inboundExternalAuthorization.enable", "Ask it.", USED),
    Field("traffic.inboundExternalAuthorization.address", "Its address.", USED),
    Field("traffic.inboundExternalAuthorization.port", "Its port.", USED),
    Field(
        "traffic.inboundExternalAuthorization.statPrefix", "What its statistics begin with.", USED
    ),
    Field(
        "traffic.inboundExternalAuthorization.timeout", "How long it may take, such as 1s.", USED
    ),
    Field(
        "traffic.inboundExternalAuthorization.failureModeAllow",
        "Let requests in while it does not answer.",
        USED,
    ),
    Field("observability", "What can be seen of the mesh.", SECTION),
    Field("observability.osmLogLevel", "How much the control plane logs.", ("", "info", "error")),
    Field("observability.enableDebugServer", "Serve pages for debugging.", (False,)),
    Field(
        "observability.observeEgress",
        "What sidecars do for those who want to know what leaves the mesh: names reads the names "
        "that clients give while passthrough is on, reports also tells the control plane of each "
        "connection and request, and of what TrafficTargets refuse or would refuse; "
        "disabled is the default. A namespace's annotation "
        "openservicemesh.io/observe-egress comes first.",
        USED,
    ),
    Field("observability.tracing", "Where traces go.", SECTION),
    Field("observability.tracing.enable", "Send traces.", (False,)),
    Field("observability.tracing.port", "Port of the collector.", WITH_ITS_SECTION),
    Field("observability.tracing.address", "Address of the collector.", WITH_ITS_SECTION),
    Field("observability.tracing.endpoint", "Path at the collector.", WITH_ITS_SECTION),
    Field(
        "observability.tracing.sampledFraction",
        "Which part is traced, such as 0.5.",
        WITH_ITS_SECTION,
    ),
    Field("observability.remoteLogging", "Where Pipy sidecars log to.", SECTION),
    Field("observability.remoteLogging.enable", "Send logs.", (False,)),
    Field("observability.remoteLogging.level", "How much.", WITH_ITS_SECTION),
    Field("observability.remoteLogging.port", "Port of the server.", WITH_ITS_SECTION),
    Field("observability.remoteLogging.address", "Address of the server.", WITH_ITS_SECTION),
    Field("observability.remoteLogging.endpoint", "Path at the server.", WITH_ITS_SECTION),
    Field(
        "observability.remoteLogging.authorization",
        "Header that the server asks for.",
        WITH_ITS_SECTION,
    ),
    Field(
        "observability.remoteLogging.sampledFraction",
        "Which part is logged, such as 0.5.",
        WITH_ITS_SECTION,
    ),
    Field("certificate", "Certificates inside the mesh.", SECTION),
    Field(
        "certificate.serviceCertValidityDuration",
        "How long a service account's certificate is valid, 10m to 720h; 24h if it is not said.",
        USED,
    ),
    Field(
        "certificate.certKeyBitSize",
        "Length of RSA keys, in bits; keys are on the curve P-256.",
        (0, 2048),
    ),
    Field("certificate.ingressGateway", "The certificate of the gateway at the mesh's edge.", ()),
    Field("certificate.ingressGateway.subjectAltNames", "Names in it.", WITH_ITS_SECTION),
    Field("certificate.ingressGateway.validityDuration", "How long it is valid.", WITH_ITS_SECTION),
    Field("certificate.ingressGateway.secret", "The Secret that holds it.", WITH_ITS_SECTION),
    Field("certificate.ingressGateway.secret.name", "Name of the Secret.", WITH_ITS_SECTION),
    Field("certificate.ingressGateway.secret.namespace", "Its namespace.", WITH_ITS_SECTION),
    Field("featureFlags", "Parts of the mesh that can be switched.", SECTION),
    Field("featureFlags.enableWASMStats", "Count requests by workload.", (True, False)),
    Field("featureFlags.enableEgressPolicy", "Egress policies have effect.", USED),
    Field("featureFlags.enableSnapshotCacheMode", "Serve sidecars from a cache.", (False,)),
    Field(
        "featureFlags.enableAsyncProxyServiceMapping",
        "Map sidecars to services in the background.",
        (False,),
    ),
    Field(
        "featureFlags.enableIngressBackendPolicy",
        "IngressBackend policies have effect.",
        USED,
    ),
    Field(
        "featureFlags.enableAccessControlPolicy",
        "AccessControl policies have effect.",
        (True, False),
    ),
    Field("featureFlags.enableAccessCertPolicy", "AccessCert policies have effect.", (False,)),
    Field(
        "featureFlags.enableEnvoyActiveHealthChecks",
        "Sidecars check each other's health, by its older name.",
        (False,),
    ),
    Field(
        "featureFlags.enableSidecarActiveHealthChecks",
        "Sidecars check each other's health.",
        (False,),
    ),
    Field("featureFlags.enableRetryPolicy", "Retry policies have effect.", USED),
    Field("featureFlags.enablePluginPolicy", "Plugins have effect.", (False,)),
    Field("featureFlags.enableMulticlusterMode", "Join services of several clusters.", (False,)),
    Field("featureFlags.enableMeshRootCertificate", "MeshRootCertificates have effect.", (False,)),
    Field("pluginChains", "The order of modules in Pipy sidecars.", SECTION),
    Field("pluginChains.inbound-tcp", "Modules of this chain.", SECTION),
    Field("pluginChains.inbound-tcp.plugin", "Name of the module.", MODULES),
    Field("pluginChains.inbound-tcp.priority", "The highest comes first.", WITH_ITS_SECTION),
    Field("pluginChains.inbound-tcp.disable", "Leave the module out.", (False,)),
    Field("pluginChains.inbound-http", "Modules of this chain.", SECTION),
    Field("pluginChains.inbound-http.plugin", "Name of the module.", MODULES),
    Field("pluginChains.inbound-http.priority", "The highest comes first.", WITH_ITS_SECTION),
    Field("pluginChains.inbound-http.disable", "Leave the module out.", (False,)),
    Field("pluginChains.outbound-tcp", "Modules of this chain.", SECTION),
    Field("pluginChains.outbound-tcp.plugin", "Name of the module.", MODULES),
    Field("pluginChains.outbound-tcp.priority", "The highest comes first.", WITH_ITS_SECTION),
    Field("pluginChains.outbound-tcp.disable", "Leave the module out.", (False,)),
    Field("pluginChains.outbound-http", "Modules of this chain.", SECTION),
    Field("pluginChains.outbound-http.plugin", "Name of the module.", MODULES),
    Field("pluginChains.outbound-http.priority", "The highest comes first.", WITH_ITS_SECTION),
    Field("pluginChains.outbound-http.disable", "Leave the module out.", (False,)),
)

_BY_PATH = {field.path: field for field in FIELDS}


def schema() -> Schema:
    """The same fields, as names of mappings in mappings."""
    return _below("")


def _below(prefix: str) -> Schema:
    names = [f.path[len(prefix) :] for f in FIELDS if f.path.startswith(prefix)]
    heads = {name.partition(".")[0] for name in names if "." in name}
    plain = frozenset(name for name in names if "." not in name and name not in heads)
    return Schema(plain, {head: _below(f"{prefix}{head}.") for head in sorted(heads)})


def report_unsupported(spec: Mapping[str, object], findings: Findings) -> None:
    """Say of each field that asks for something and has no effect that it has none."""
    for path, field, value in _given(spec, "", "spec"):
        if isinstance(field.support, How) or value in (None, "", [], {}) or _default(field, value):
            continue
        findings.add(
            Code.UNSUPPORTED_FIELD, path, f"is {show(value)}, which has no effect in Towpath"
        )


def _given(
    mapping: Mapping[str, object], prefix: str, at: str
) -> Iterator[tuple[str, Field, object]]:
    """The fields that are there, each with the path at which it stands, and its value."""
    for name, value in mapping.items():
        field = _BY_PATH.get(f"{prefix}{name}")
        if field is None:
            continue
        here = f"{at}.{name}"
        yield here, field, value
        if field.support is not How.SECTION:
            continue
        items = enumerate(value) if isinstance(value, list) else ((None, value),)
        for index, item in items:
            if isinstance(item, dict):
                inner = here if index is None else f"{here}[{index}]"
                yield from _given(item, f"{field.path}.", inner)


def _default(field: Field, value: object) -> bool:
    if isinstance(field.support, re.Pattern):
        return isinstance(value, str) and field.support.fullmatch(value) is not None
    defaults = field.support if isinstance(field.support, tuple) else ()
    return any(type(value) is type(one) and value == one for one in defaults)
