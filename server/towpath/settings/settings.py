"""Settings: a name, a default, a unit and a sentence for each; the command line is made of these.

Each is also read from the environment: `ads_address` is `--ads-address` and
`TOWPATH_ADS_ADDRESS`.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import Field, dataclass, field
from pathlib import Path
from typing import Any

_TRUST_DOMAIN = re.compile(r"[a-z0-9._-]+")
LONGEST_AGE_S = 30 * 86_400
SOCKET_PATH_BYTES = 107
"""The longest path that a unix socket can have."""


class SettingsError(Exception):
    """A setting has a value that is not allowed, or settings contradict each other."""


def _setting(*, default: Any, text: str, unit: str = "") -> Any:
    return field(default=default, metadata={"help": text, "unit": unit})


def setting_help(declared: Field[Any]) -> str:
    """The sentence for `--help`, with the unit."""
    unit = declared.metadata["unit"]
    return f"{declared.metadata['help']}" + (f" In {unit}." if unit else "")


_SECONDS = (
    "settle_quiet",
    "settle_max",
    "unknown_pod_wait",
    "answer_wait",
    "canary_wait",
    "quarantine_expiry",
    "read_wait",
    "first_request_wait",
    "opening_budget",
    "max_connection_age",
    "keepalive_time",
    "keepalive_timeout",
    "shutdown_grace",
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """What `towpath serve` can be told."""

    manifests: Path | None = _setting(
        default=None,
        text="Folder of manifests (*.yaml, *.yml, *.json); a server follows its changes.",
    )
    kubeconfig: Path | None = _setting(
        default=None,
        text="Kubeconfig of the cluster to serve; without it and --manifests, the cluster that "
        "the server runs in.",
    )
    context: str = _setting(
        default="", text="Context of the kubeconfig; without it, the current one."
    )
    checkpoint: Path | None = _setting(
        default=None,
        text="File that keeps the last known state of the cluster, for a start while its API is "
        "unavailable.",
    )
    checkpoint_max_age: float = _setting(
        default=86_400.0,
        text="Refuse a checkpoint whose content the API server last confirmed longer ago than "
        "this.",
        unit="seconds",
    )
    mesh_name: str = _setting(
        default="osm",
        text="Namespaces whose label openservicemesh.io/monitored-by has this value are served.",
    )
    osm_namespace: str = _setting(
        default="osm-system",
        text="Namespace of the control plane, where the MeshConfig osm-mesh-config lives.",
    )
    cross_namespace_egress: str = _setting(
        default="allow",
        text="allow or deny: whether an Egress may select service accounts of other namespaces.",
    )
    outside_endpoints: str = _setting(
        default="deny",
        text="allow or deny: whether the EndpointSlices of a Service without a selector may "
        "contain addresses that are not pods, and so lead out of the mesh.",
    )
    ads_address: str = _setting(
        default="127.0.0.1:15128", text="Where sidecars subscribe (gRPC): HOST:PORT, or unix:/PATH."
    )
    http_address: str = _setting(
        default="127.0.0.1:9091",
        text="Where health, metrics and version are served (HTTP): HOST:PORT.",
    )
    plaintext: bool = _setting(
        default=False,
        text="Allow an --ads-address that is not loopback although the connection is plaintext.",
    )
    tls_cert: Path | None = _setting(
        default=None,
        text="Certificate chain of the ADS port (PEM); TLS needs --tls-key and --tls-client-ca "
        "too. The three files are read again when they change.",
    )
    tls_key: Path | None = _setting(
        default=None, text="Private key of --tls-cert (PEM, not encrypted)."
    )
    tls_client_ca: Path | None = _setting(
        default=None,
        text="Authorities that issue clients' certificates (PEM): every client must have one.",
    )
    tls_trust_domain: str = _setting(
        default="cluster.local",
        text="Trust domain of sidecars' SPIFFE ids: spiffe://DOMAIN/ns/NAMESPACE/sa/ACCOUNT.",
    )
    inspector_identities: str = _setting(
        default="",
        text="SPIFFE ids, comma-separated: who may call the Inspector, CSDS and reflection by TLS.",
    )
    local_socket: Path | None = _setting(
        default=None,
        text="Unix socket, for its owner only, of the Inspector, CSDS, reflection and health.",
    )
    write_status: bool = _setting(
        default=True,
        text="Write conditions, Events and the first MeshConfig to the cluster (one replica "
        "does, elected by a Lease).",
    )
    settle_quiet: float = _setting(
        default=0.02,
        text="Debounce: after an immediate first push, wait until no change has come for this "
        "long.",
        unit="seconds",
    )
    settle_max: float = _setting(
        default=0.5,
        text="Debounce: push after this long even if changes keep coming.",
        unit="seconds",
    )
    unknown_pod_wait: float = _setting(
        default=30.0,
        text="How long a stream waits for its pod to appear before it ends with NOT_FOUND.",
        unit="seconds",
    )
    answer_wait: float = _setting(
        default=2.0,
        text="How long a change waits for a sidecar's ACK: routes until their new clusters "
        "are there, the removal of clusters until no route uses them. A change that "
        "takes access away never waits.",
        unit="seconds",
    )
    max_names: int = _setting(
        default=20_000,
        text="How many names of one type a stream may subscribe to; a stream that exceeds this "
        "is closed.",
    )
    canaries: int = _setting(
        default=2,
        text="How many sidecars, each of a different service account, receive new content first.",
    )
    canary_wait: float = _setting(
        default=1.0,
        text="How long the other sidecars wait at most for the first ACK of a canary.",
        unit="seconds",
    )
    quarantine_expiry: float = _setting(
        default=3600.0,
        text="How long rejected content stays quarantined; a change of the content ends it "
        "at once.",
        unit="seconds",
    )
    max_name_length: int = _setting(
        default=512, text="How many characters a resource name may have."
    )
    max_streams: int = _setting(default=20_000, text="How many streams may be open in total.")
    max_streams_per_peer: int = _setting(
        default=2_000, text="How many streams may be open from one address."
    )
    max_connections: int = _setting(
        default=10_000,
        text="How many connections to the ADS port may be open, at most a quarter of them "
        "without a call; fewer if the process may have fewer file descriptors.",
    )
    max_connections_per_peer: int = _setting(
        default=1_000, text="How many connections may be open from one address."
    )
    first_request_wait: float = _setting(
        default=10.0,
        text="How long a connection may take for its handshake and for its first call, and a "
        "stream for its first request.",
        unit="seconds",
    )
    max_request_rate: float = _setting(
        default=200.0,
        text="How many requests per second a stream may send; a burst may be ten times as many.",
    )
    read_wait: float = _setting(
        default=30.0,
        text="Close a stream whose client has not read a response for this long.",
        unit="seconds",
    )
    opening_budget: float = _setting(
        default=60.0,
        text="How much computing time the streams that one service account opens may use at "
        "once; 0.1 s is refilled per second.",
        unit="seconds",
    )
    max_message_mib: int = _setting(
        default=8,
        text="How large a request may be, in MiB: a reconnecting client lists every resource it "
        "holds.",
    )
    max_connection_age: float = _setting(
        default=1800.0,
        text="Close a connection after this long, a tenth more or less at random, so that "
        "sidecars spread over replicas. 0 is never.",
        unit="seconds",
    )
    keepalive_time: float = _setting(
        default=30.0,
        text="Ping a connection that has been silent for this long. 0 is never.",
        unit="seconds",
    )
    keepalive_timeout: float = _setting(
        default=10.0,
        text="Close a connection that has not answered a ping for this long. 0 disables pings.",
        unit="seconds",
    )
    shutdown_grace: float = _setting(
        default=2.0,
        text="How long open streams may take to finish when the server stops.",
        unit="seconds",
    )
    log_level: str = _setting(default="info", text="debug, info, warning or error.")
    log_format: str = _setting(default="text", text="text or json.")

    def __post_init__(self) -> None:
        _one_of("log_level", self.log_level, ("debug", "info", "warning", "error"))
        if self.manifests is not None and self.kubeconfig is not None:
            raise SettingsError(
                f"{_flag('manifests')} and {_flag('kubeconfig')}: give one of them, not both"
            )
        if self.manifests is not None and self.checkpoint is not None:
            raise SettingsError(
                f"{_flag('manifests')} and {_flag('checkpoint')}: a folder needs no checkpoint"
            )
        if self.checkpoint is not None and not self.checkpoint.absolute().parent.is_dir():
            raise SettingsError(
                f"{_flag('checkpoint')} is {self.checkpoint}, but there is no such folder: "
                "give a file in a folder that exists"
            )
        _one_of("cross_namespace_egress", self.cross_namespace_egress, ("allow", "deny"))
        _one_of("outside_endpoints", self.outside_endpoints, ("allow", "deny"))
        _one_of("log_format", self.log_format, ("text", "json"))
        for name in _SECONDS:
            value = getattr(self, name)
            if not 0 <= value <= 3600:
                raise SettingsError(f"{_flag(name)} is {value}: allowed is 0 to 3600 seconds")
        if not 1 <= self.max_names <= 1_000_000:
            raise SettingsError(
                f"{_flag('max_names')} is {self.max_names}: allowed is 1 to 1,000,000"
            )
        self._check_counts()
        _port("http_address", self.http_address)
        if not self.ads_address.startswith("unix:"):
            _port("ads_address", self.ads_address)
        self._check_access()

    def _check_counts(self) -> None:
        if not 1 <= self.checkpoint_max_age <= LONGEST_AGE_S:
            text = f"{_flag('checkpoint_max_age')} is {self.checkpoint_max_age}"
            raise SettingsError(f"{text}: allowed is 1 to {LONGEST_AGE_S} seconds, 30 days")
        for name in (
            "max_name_length",
            "max_streams",
            "max_streams_per_peer",
            "max_connections",
            "max_connections_per_peer",
        ):
            if not 1 <= getattr(self, name) <= 10_000_000:
                text = f"{_flag(name)} is {getattr(self, name)}"
                raise SettingsError(f"{text}: allowed is 1 to 10000000")
        if not 1 <= self.max_request_rate <= 100_000:
            text = f"{_flag('max_request_rate')} is {self.max_request_rate}"
            raise SettingsError(f"{text}: allowed is 1 to 100000 per second")
        if not 1 <= self.max_message_mib <= 1024:
            text = f"{_flag('max_message_mib')} is {self.max_message_mib}"
            raise SettingsError(f"{text}: allowed is 1 to 1024 MiB")
        if not 1 <= self.canaries <= 100:
            raise SettingsError(f"{_flag('canaries')} is {self.canaries}: allowed is 1 to 100")

    @property
    def tls(self) -> bool:
        """True if the ADS port speaks TLS."""
        return self.tls_cert is not None

    @property
    def people(self) -> frozenset[str]:
        """The identities of `inspector_identities`."""
        return frozenset(filter(None, map(str.strip, self.inspector_identities.split(","))))

    def _check_access(self) -> None:
        """The settings that say who may connect, and as whom."""
        files = [getattr(self, name) is None for name in ("tls_cert", "tls_key", "tls_client_ca")]
        if any(files) and not all(files):
            raise SettingsError("give --tls-cert, --tls-key and --tls-client-ca together, or none")
        if self.tls and (self.plaintext or self.ads_address.startswith("unix:")):
            other = "--plaintext" if self.plaintext else f"--ads-address {self.ads_address}"
            raise SettingsError(f"--tls-cert and {other}: give one of them, not both")
        tcp = not self.ads_address.startswith("unix:")
        if tcp and not self.tls and not self.plaintext and not _loopback(self.ads_address):
            raise SettingsError(
                f"{_flag('ads_address')} is {self.ads_address}, which is not loopback, and the "
                "connection is plaintext: anyone who reaches it could read every sidecar's "
                "configuration. Use a loopback address, set --tls-cert, --tls-key and "
                "--tls-client-ca, or allow it with --plaintext"
            )
        if not _TRUST_DOMAIN.fullmatch(self.tls_trust_domain):
            raise SettingsError(
                f"{_flag('tls_trust_domain')} is {self.tls_trust_domain!r}: allowed are lower-case "
                "letters, digits, '.', '-' and '_'"
            )
        for identity in sorted(self.people):
            if not identity.startswith("spiffe://"):
                raise SettingsError(
                    f"{_flag('inspector_identities')} has {identity!r}, which is not a SPIFFE id "
                    "(spiffe://…)"
                )
        if len(str(self.local_socket).encode()) > SOCKET_PATH_BYTES:
            raise SettingsError(
                f"{_flag('local_socket')} is longer than {SOCKET_PATH_BYTES} bytes, which is all "
                "that the path of a unix socket can have"
            )


def split_address(address: str) -> tuple[str, int]:
    """HOST:PORT (the host may be in brackets) as its two parts; ValueError if it is not that."""
    host, colon, port = address.rpartition(":")
    if not (host and colon and port.isdecimal() and int(port) <= 65535):
        raise ValueError(f"{address!r} is not HOST:PORT with a port of 0 to 65535")
    return host.strip("[]"), int(port)


def _loopback(address: str) -> bool:
    host, _ = split_address(address)
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _port(name: str, address: str) -> None:
    try:
        split_address(address)
    except ValueError as error:
        raise SettingsError(f"{_flag(name)}: {error}") from error


def _one_of(name: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise SettingsError(f"{_flag(name)} is {value!r}: allowed is one of {', '.join(allowed)}")


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")
