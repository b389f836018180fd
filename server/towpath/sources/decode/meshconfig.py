"""MeshConfig: the switches that Towpath uses, and the names of all the others it may hold.

Whatever is absent or wrong means off: a mistake never opens anything.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping

from towpath.model.identity import MODES, MtlsMode
from towpath.model.meshconfig import (
    LONGEST_VALIDITY_S,
    MESH_CONFIG_NAME,
    SHORTEST_VALIDITY_S,
    MeshConfig,
)
from towpath.model.observation import OBSERVATIONS, EgressObservation
from towpath.sources.decode import durations
from towpath.sources.decode.fields import Reader, report_unknown
from towpath.sources.decode.findings import Findings
from towpath.sources.decode.injection import sidecar_defaults
from towpath.sources.decode.meshconfig_table import report_unsupported, schema
from towpath.sources.decode.modes import seems_strict
from towpath.sources.decode.schema import Schema, shortened
from towpath.sources.decode.tls import tls_parameters

LOG_LEVELS = ("trace", "debug", "info", "warning", "warn", "error", "critical", "off")

DEFAULT_TIMEOUT_S = 60

DEFAULT_VALIDITY_S = 86_400

_PERMISSIVE = "enablePermissiveTrafficPolicyMode"
_PASSTHROUGH = frozenset({"enableEgress", "enableEgressPolicy", "featureFlags"})
"""Where one of these may have been misspelt, passthrough is off."""

_AUTHORIZATION = "inboundExternalAuthorization"
SCHEMA = Schema.of_object(schema())
_EXTERNAL = SCHEMA.sections["spec"].sections["traffic"].sections[_AUTHORIZATION]


def mesh_config(raw: Mapping[str, object], findings: Findings) -> MeshConfig | None:
    """The mesh-wide switches; None unless it is the one MeshConfig that counts."""
    if findings.ref.name != MESH_CONFIG_NAME:
        findings.unused("metadata.name", findings.ref.name, allowed=f'"{MESH_CONFIG_NAME}"')
        return None
    unclear = _unclear(report_unknown(raw, SCHEMA, findings), findings)
    top = Reader(raw, "", findings)
    spec = top.section("spec")
    traffic, sidecar = spec.section("traffic"), spec.section("sidecar")
    flags = spec.section("featureFlags")
    policies = flags.value("enableEgressPolicy")
    if not isinstance(policies, bool | None) or not isinstance(
        spec.value("featureFlags"), dict | None
    ):
        unclear |= {"enableEgressPolicy"}
    # Policies that were meant to be on must not leave everything to passthrough.
    passes = not unclear & _PASSTHROUGH
    value = MeshConfig(
        namespace=findings.ref.namespace,
        name=findings.ref.name,
        enable_egress=traffic.flag("enableEgress") and passes,
        enable_egress_policy=flags.flag("enableEgressPolicy"),
        enable_retry_policy=flags.flag("enableRetryPolicy"),
        enable_ingress_backend_policy=flags.flag("enableIngressBackendPolicy"),
        permissive=traffic.flag(_PERMISSIVE) and _PERMISSIVE not in unclear,
        external_authorization=_asks_elsewhere(traffic) or _AUTHORIZATION in unclear,
        mtls=_mtls(traffic),
        observe_egress=EgressObservation(
            spec.section("observability").choice(
                "observeEgress", OBSERVATIONS, default=EgressObservation.DISABLED
            )
        ),
        tls=tls_parameters(sidecar, findings),
        sidecar_log_level=sidecar.choice("logLevel", LOG_LEVELS, default="error"),
        sidecar_timeout=_timeout(sidecar),
        http1_per_request_load_balancing=traffic.flag("http1PerRequestLoadBalancing"),
        http2_per_request_load_balancing=traffic.flag("http2PerRequestLoadBalancing"),
        injection=sidecar_defaults(sidecar, traffic, findings),
        certificate_validity=_validity(spec.section("certificate"), findings),
        stamp=top.stamp(),
    )
    given = raw.get("spec")
    report_unsupported(given if isinstance(given, dict) else {}, findings)
    return value


def _mtls(traffic: Reader) -> MtlsMode:
    unclear = MtlsMode.STRICT if seems_strict(traffic.value("mtls")) else MtlsMode.PERMISSIVE
    return MtlsMode(traffic.choice("mtls", MODES, default=unclear))


def _unclear(unknown: tuple[str, ...], findings: Findings) -> set[str]:
    """The switches that fields which are not known may have been meant for, wherever they stand."""
    if findings.full:
        return {_PERMISSIVE, _AUTHORIZATION, *_PASSTHROUGH}
    names = (_PERMISSIVE, _AUTHORIZATION, *sorted(_PASSTHROUGH))
    switches = {name.lower(): name for name in names}
    return {
        switches[near]
        for name in unknown
        for near in difflib.get_close_matches(shortened(name).lower(), switches, n=4, cutoff=0.75)
    }


def _asks_elsewhere(traffic: Reader) -> bool:
    """True if requests may have been meant to be authorized by somebody else: a mistake in that
    never leaves them unasked.
    """
    value = traffic.value(_AUTHORIZATION)
    section = traffic.section(_AUTHORIZATION)
    section.flag("enable")
    if not isinstance(value, dict):
        return value is not None
    enable = section.value("enable")
    return enable is not False and (enable is not None or not value.keys() <= _EXTERNAL.names)


def _timeout(sidecar: Reader) -> int:
    """In seconds; 0 stands for the default, as in Open Service Mesh."""
    highest = 2**31 - 1
    seconds = sidecar.number("sidecarTimeout", lowest=0, highest=highest, default=DEFAULT_TIMEOUT_S)
    return seconds or DEFAULT_TIMEOUT_S


def _validity(certificate: Reader, findings: Findings) -> int:
    """In whole seconds."""
    name = "serviceCertValidityDuration"
    value = certificate.value(name)
    seconds = durations.seconds(value)
    if seconds is not None and SHORTEST_VALIDITY_S <= seconds <= LONGEST_VALIDITY_S:
        return int(seconds)
    if value not in (None, ""):
        allowed, effect = "a duration from 10m to 720h (30 days), such as 24h", "24h is used"
        findings.invalid(certificate.path(name), value, allowed=allowed, effect=effect)
    return DEFAULT_VALIDITY_S
