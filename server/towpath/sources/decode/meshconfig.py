"""MeshConfig: the switches that Towpath uses, and the names of all the others it may hold.

Whatever is absent or wrong means off: a mistake never opens anything.
"""

from __future__ import annotations

from collections.abc import Mapping

from towpath.model.codes import Code
from towpath.model.identity import MODES, MtlsMode, TlsParameters
from towpath.model.meshconfig import (
    LONGEST_VALIDITY_S,
    MESH_CONFIG_NAME,
    SHORTEST_VALIDITY_S,
    MeshConfig,
)
from towpath.model.observation import OBSERVATIONS, EgressObservation
from towpath.sources.decode import durations
from towpath.sources.decode.fields import Reader, report_unknown
from towpath.sources.decode.findings import Findings, show
from towpath.sources.decode.injection import sidecar_defaults
from towpath.sources.decode.meshconfig_table import report_unsupported
from towpath.sources.decode.modes import seems_strict
from towpath.sources.decode.switches import (
    AUTHORIZATION,
    EGRESS,
    EGRESS_POLICY,
    MTLS,
    PERMISSIVE,
    SCHEMA,
    TLS_MINIMUM,
    Doubts,
    asks_elsewhere,
    doubts,
)
from towpath.sources.decode.tls import TLS13, VERSIONS, seems_newest, tls_parameters

LOG_LEVELS = ("trace", "debug", "info", "warning", "warn", "error", "critical", "off")

DEFAULT_TIMEOUT_S = 60

DEFAULT_VALIDITY_S = 86_400

_FLAG = "true or false"
_ALLOWED = {
    PERMISSIVE: (f"spec.traffic.{PERMISSIVE}", _FLAG),
    EGRESS: (f"spec.traffic.{EGRESS}", _FLAG),
    EGRESS_POLICY: (f"spec.featureFlags.{EGRESS_POLICY}", _FLAG),
    AUTHORIZATION: (f"spec.traffic.{AUTHORIZATION}", "a mapping"),
    MTLS: (f"spec.traffic.{MTLS}", ", ".join(map(show, MODES))),
    TLS_MINIMUM: (f"spec.sidecar.{TLS_MINIMUM}", ", ".join(map(show, VERSIONS))),
}
"""Where each switch stands, and what is allowed there."""


def mesh_config(raw: Mapping[str, object], findings: Findings) -> MeshConfig | None:
    """The mesh-wide switches; None unless it is the one MeshConfig that counts."""
    if findings.ref.name != MESH_CONFIG_NAME:
        findings.unused("metadata.name", findings.ref.name, allowed=f'"{MESH_CONFIG_NAME}"')
        return None
    report_unknown(raw, SCHEMA, findings)
    unclear = _Unclear(doubts(raw, full=findings.full), findings)
    top = Reader(raw, "", findings)
    spec = top.section("spec")
    traffic, sidecar = spec.section("traffic"), spec.section("sidecar")
    flags = spec.section("featureFlags")
    policies = flags.flag(EGRESS_POLICY)
    value = MeshConfig(
        namespace=findings.ref.namespace,
        name=findings.ref.name,
        enable_egress=_passes(traffic, flags, unclear),
        enable_egress_policy=policies,
        enable_retry_policy=flags.flag("enableRetryPolicy"),
        enable_ingress_backend_policy=flags.flag("enableIngressBackendPolicy"),
        permissive=traffic.flag(PERMISSIVE) and not unclear.closes(PERMISSIVE, "false is used"),
        external_authorization=_asks_elsewhere(traffic, unclear),
        mtls=_mtls(traffic, unclear),
        observe_egress=EgressObservation(
            spec.section("observability").choice(
                "observeEgress", OBSERVATIONS, default=EgressObservation.DISABLED
            )
        ),
        tls=tls_parameters(sidecar, findings, newest=_newest(sidecar, unclear)),
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


def closed_mesh_config(raw: Mapping[str, object], findings: Findings) -> MeshConfig | None:
    """One of which nothing can be read: nothing is open, and what can be strict is."""
    if findings.ref.name != MESH_CONFIG_NAME:
        return None
    return MeshConfig(
        namespace=findings.ref.namespace,
        name=findings.ref.name,
        mtls=MtlsMode.STRICT,
        tls=TlsParameters(minimum=TLS13),
        stamp=Reader(raw, "", Findings(findings.ref, findings.source)).stamp(),
    )


class _Unclear:
    """The switches in *doubts*, of which *findings* are told where it makes a difference."""

    def __init__(self, doubts: Doubts, findings: Findings) -> None:
        self._doubts = doubts
        self._findings = findings

    def closes(self, switch: str, effect: str) -> bool:
        """True if the switch is in doubt, which is then said, with what comes of it."""
        at = self._doubts.get(switch)
        if at is None:
            return False
        if not self._findings.full:
            path, allowed = _ALLOWED[switch]
            message = f"may be meant for {path}; allowed there: {allowed}; {effect}"
            self._findings.add(Code.UNKNOWN_FIELD, at, message)
        return True


def _passes(traffic: Reader, flags: Reader, unclear: _Unclear) -> bool:
    """Whether passthrough is on: it is off where policies may be meant to be on and are not."""
    effect = f"{EGRESS} false is used"
    if not traffic.flag(EGRESS) or unclear.closes(EGRESS, effect):
        return False
    policies = flags.value(EGRESS_POLICY)
    return policies is True or (
        isinstance(policies, bool | None) and not unclear.closes(EGRESS_POLICY, effect)
    )


def _mtls(traffic: Reader, unclear: _Unclear) -> MtlsMode:
    default = MtlsMode.STRICT if seems_strict(traffic.value(MTLS)) else MtlsMode.PERMISSIVE
    mode = MtlsMode(traffic.choice(MTLS, MODES, default=default))
    if mode is not MtlsMode.STRICT and unclear.closes(MTLS, '"strict" is used'):
        return MtlsMode.STRICT
    return mode


def _newest(sidecar: Reader, unclear: _Unclear) -> bool:
    """True if what is not read as the oldest version of TLS may be meant to say 1.3."""
    if seems_newest(sidecar.value(TLS_MINIMUM)):
        return False
    return unclear.closes(TLS_MINIMUM, f"{show(TLS13)} is used")


def _asks_elsewhere(traffic: Reader, unclear: _Unclear) -> bool:
    """True if requests may have been meant to be authorized by somebody else: a mistake in that
    never leaves them unasked.
    """
    traffic.section(AUTHORIZATION).flag("enable")
    return asks_elsewhere(traffic.value(AUTHORIZATION)) or unclear.closes(
        AUTHORIZATION, "nothing is let in"
    )


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
