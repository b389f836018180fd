"""MeshConfig: the mesh-wide switches, each off unless it is set."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass

from towpath.model.identity import TLS_DEFAULTS, MtlsMode, TlsParameters
from towpath.model.injection import SidecarDefaults
from towpath.model.names import Kind, Stamp
from towpath.model.observation import EgressObservation

MESH_CONFIG_NAME = "osm-mesh-config"

SHORTEST_VALIDITY_S, LONGEST_VALIDITY_S = 600, 30 * 86_400
"""How long a service account's certificate may be valid, in seconds."""


@dataclass(frozen=True, slots=True)
class MeshConfig:
    """What Towpath uses of the object `osm-mesh-config` in the control plane's namespace.

    The defaults are what holds when the object, or a field of it, is absent or invalid;
    `external_authorization` is true if somebody else should be asked about what comes in;
    `sidecar_timeout` and `certificate_validity` are in seconds.
    """

    namespace: str = ""
    name: str = MESH_CONFIG_NAME
    enable_egress: bool = False
    enable_egress_policy: bool = False
    enable_retry_policy: bool = False
    enable_ingress_backend_policy: bool = False
    permissive: bool = False
    external_authorization: bool = False
    mtls: MtlsMode = MtlsMode.PERMISSIVE
    observe_egress: EgressObservation = EgressObservation.DISABLED
    tls: TlsParameters = TLS_DEFAULTS
    sidecar_log_level: str = "error"
    sidecar_timeout: int = 60
    http1_per_request_load_balancing: bool = False
    http2_per_request_load_balancing: bool = False
    injection: SidecarDefaults = SidecarDefaults()
    certificate_validity: int = 86_400
    stamp: Stamp = Stamp()

    kind = Kind.MESH_CONFIG

    def groups(self) -> tuple[Hashable, ...]:
        return ()


SWITCHES = {
    "enable_egress": "spec.traffic.enableEgress",
    "enable_egress_policy": "spec.featureFlags.enableEgressPolicy",
    "enable_retry_policy": "spec.featureFlags.enableRetryPolicy",
    "enable_ingress_backend_policy": "spec.featureFlags.enableIngressBackendPolicy",
    "permissive": "spec.traffic.enablePermissiveTrafficPolicyMode",
    "external_authorization": "spec.traffic.inboundExternalAuthorization",
    "mtls": "spec.traffic.mtls",
    "observe_egress": "spec.observability.observeEgress",
    "sidecar_log_level": "spec.sidecar.logLevel",
    "sidecar_timeout": "spec.sidecar.sidecarTimeout",
    "http1_per_request_load_balancing": "spec.traffic.http1PerRequestLoadBalancing",
    "http2_per_request_load_balancing": "spec.traffic.http2PerRequestLoadBalancing",
    "certificate_validity": "spec.certificate.serviceCertValidityDuration",
}
"""Where in the object each attribute is said, as people know it."""
