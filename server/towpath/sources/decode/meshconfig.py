"""MeshConfig: the switches that Towpath uses, and the names of all the others it may hold.

Whatever is absent or wrong means off: a mistake never opens anything.
"""

from __future__ import annotations

from collections.abc import Mapping

from towpath.model.meshconfig import MESH_CONFIG_NAME, MeshConfig
from towpath.sources.decode.fields import Known, Reader
from towpath.sources.decode.findings import Findings

LOG_LEVELS = ("trace", "debug", "info", "warning", "warn", "error", "critical", "off")

DEFAULT_TIMEOUT_S = 60

_PLUGIN = Known.of("plugin", "priority", "disable")

KNOWN = Known.of(
    "apiVersion",
    "kind",
    "metadata",
    "status",
    spec=Known.of(
        clusterSet=Known.of(properties=Known.of("name", "value")),
        sidecar=Known.of(
            "enablePrivilegedInitContainer",
            "logLevel",
            "maxDataPlaneConnections",
            "configResyncInterval",
            "sidecarTimeout",
            "sidecarClass",
            "sidecarImage",
            "sidecarWindowsImage",
            "envoyImage",
            "envoyWindowsImage",
            "initContainerImage",
            "tlsMinProtocolVersion",
            "tlsMaxProtocolVersion",
            "cipherSuites",
            "ecdhCurves",
            "localProxyMode",
            sidecarDrivers=Known.of(
                "sidecarName",
                "sidecarImage",
                "sidecarWindowsImage",
                "initContainerImage",
                "proxyServerPort",
                "sidecarDisabledMTLS",
            ),
            resources=Known.of("limits", "requests", "claims"),
            localDNSProxy=Known.of(
                "enable", "primaryUpstreamDNSServerIPAddr", "secondaryUpstreamDNSServerIPAddr"
            ),
        ),
        repoServer=Known.of("ipaddr", "codebase"),
        traffic=Known.of(
            "interceptionMode",
            "enableEgress",
            "outboundIPRangeExclusionList",
            "outboundIPRangeInclusionList",
            "outboundPortExclusionList",
            "inboundPortExclusionList",
            "networkInterfaceExclusionList",
            "enablePermissiveTrafficPolicyMode",
            "http1PerRequestLoadBalancing",
            "http2PerRequestLoadBalancing",
            inboundExternalAuthorization=Known.of(
                "enable", "address", "port", "statPrefix", "timeout", "failureModeAllow"
            ),
        ),
        observability=Known.of(
            "osmLogLevel",
            "enableDebugServer",
            tracing=Known.of("enable", "port", "address", "endpoint", "sampledFraction"),
            remoteLogging=Known.of(
                "enable", "level", "port", "address", "endpoint", "authorization", "sampledFraction"
            ),
        ),
        certificate=Known.of(
            "serviceCertValidityDuration",
            "certKeyBitSize",
            ingressGateway=Known.of(
                "subjectAltNames", "validityDuration", secret=Known.of("name", "namespace")
            ),
        ),
        featureFlags=Known.of(
            "enableWASMStats",
            "enableEgressPolicy",
            "enableSnapshotCacheMode",
            "enableAsyncProxyServiceMapping",
            "enableIngressBackendPolicy",
            "enableAccessControlPolicy",
            "enableAccessCertPolicy",
            "enableEnvoyActiveHealthChecks",
            "enableSidecarActiveHealthChecks",
            "enableRetryPolicy",
            "enablePluginPolicy",
            "enableMulticlusterMode",
            "enableMeshRootCertificate",
        ),
        pluginChains=Known(
            sections={
                "inbound-tcp": _PLUGIN,
                "inbound-http": _PLUGIN,
                "outbound-tcp": _PLUGIN,
                "outbound-http": _PLUGIN,
            }
        ),
    ),
)


def mesh_config(raw: Mapping[str, object], found: Findings) -> MeshConfig | None:
    """The mesh-wide switches; None unless it is the one MeshConfig that counts."""
    if found.ref.name != MESH_CONFIG_NAME:
        found.unused("metadata.name", found.ref.name, allowed=f'"{MESH_CONFIG_NAME}"')
        return None
    top = Reader(raw, "", found)
    top.report_unknown(KNOWN)
    spec = top.section("spec")
    traffic, sidecar = spec.section("traffic"), spec.section("sidecar")
    return MeshConfig(
        namespace=found.ref.namespace,
        name=found.ref.name,
        enable_egress=traffic.flag("enableEgress"),
        enable_egress_policy=spec.section("featureFlags").flag("enableEgressPolicy"),
        permissive=traffic.flag("enablePermissiveTrafficPolicyMode"),
        sidecar_log_level=sidecar.choice("logLevel", LOG_LEVELS, default="error"),
        sidecar_timeout=_timeout(sidecar),
        http1_per_request_load_balancing=traffic.flag("http1PerRequestLoadBalancing"),
        http2_per_request_load_balancing=traffic.flag("http2PerRequestLoadBalancing"),
        stamp=top.stamp(),
    )


def _timeout(sidecar: Reader) -> int:
    """In seconds; 0 stands for the default, as in Open Service Mesh."""
    highest = 2**31 - 1
    found = sidecar.number("sidecarTimeout", lowest=0, highest=highest, default=DEFAULT_TIMEOUT_S)
    return found or DEFAULT_TIMEOUT_S
