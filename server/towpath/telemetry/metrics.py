"""Every metric, declared once; labels have few, bounded values (never a sidecar's name)."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import product

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    PlatformCollector,
    ProcessCollector,
)

from towpath.model.codes import Code
from towpath.model.credentials import TokenFault
from towpath.model.names import ClientKind, Kind
from towpath.model.types import SHORT_NAMES
from towpath.telemetry.plain import PlainCounter, PlainHistogram

_FAST = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

TYPES = (*SHORT_NAMES.values(), "other")
AUDIENCES = ("sidecars", "people", "anyone", "nobody")
REFUSALS = (
    "no-rule",
    "transport",
    "local",
    "no-account",
    "not-listed",
    "other-account",
    "other-pod",
    "other-uid",
    "expired",
)
LIMITS = (
    "fields",
    "first-request",
    "name-length",
    "names",
    "opening-budget",
    "read-wait",
    "request-rate",
)
MESSAGES = ("read", "shed")
VERDICTS = ("allow", "deny", "would deny", "unused")
RESULTS = ("written", "failed")
RELOADS = ("ok", "failed")
STREAM_STATES = ("waiting-for-pod", "rejecting", "unanswered", "accepted")
STREAM_ERRORS = (
    "INVALID_ARGUMENT",
    "NOT_FOUND",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "UNAUTHENTICATED",
    "UNAVAILABLE",
)
PHASES = ("make", "break")
ANSWERS = ("answered", "expired")
CONNECTIONS = ("let-in", "waiting")
STATUS_KINDS = ("Egress", "UpstreamTrafficSetting", "Event")
STATUS_RESULTS = ("written", "already_there", "failed")
INJECTIONS = ("injected", "skipped", "refused", "unavailable", "malformed")


class TypeCounts:
    """The samples of one resource type, by its short *name*; looked up once, for they are written
    with each message.
    """

    __slots__ = ("acks", "bytes", "nacks", "name", "resources", "responses")

    def __init__(self, metrics: Metrics, name: str) -> None:
        self.name = name
        self.responses = metrics.responses.labels(name)
        self.bytes = metrics.bytes.labels(name)
        self.resources = metrics.resources.labels(name)
        self.acks = metrics.acks.labels(name)
        self.nacks = metrics.nacks.labels(name)


class Metrics:
    """The metrics of one control plane, in a registry of its own."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)
        GCCollector(registry=registry)
        self.sidecars = Gauge(
            "towpath_connected_sidecars", "Open streams.", ["kind"], registry=registry
        )
        self.stream_states = Gauge(
            "towpath_sidecar_streams",
            "Open streams by state: without a pod, with a rejection, with a response that is not "
            "answered, or with all accepted.",
            ["state"],
            registry=registry,
        )
        self.responses = PlainCounter(
            "towpath_xds_responses", "Responses sent.", "type", TYPES, registry=registry
        )
        self.acks = PlainCounter(
            "towpath_xds_acks",
            "Responses that a sidecar accepted (ACK).",
            "type",
            TYPES,
            registry=registry,
        )
        self.nacks = PlainCounter(
            "towpath_xds_nacks",
            "Responses that a sidecar rejected (NACK).",
            "type",
            TYPES,
            registry=registry,
        )
        self.bytes = PlainCounter(
            "towpath_xds_sent_bytes",
            "Bytes of the responses sent.",
            "type",
            TYPES,
            registry=registry,
        )
        self.resources = PlainCounter(
            "towpath_xds_sent_resources",
            "Resources in the responses sent.",
            "type",
            TYPES,
            registry=registry,
        )
        self.of_type = {type_url: TypeCounts(self, name) for type_url, name in SHORT_NAMES.items()}
        """By type URL, what is counted with each response and each answer."""
        self.wait_seconds = Histogram(
            "towpath_xds_wait_seconds",
            "Waits for a sidecar's answer: to use new clusters (make), to remove old ones (break).",
            ["phase", "result"],
            buckets=_FAST,
            registry=registry,
        )
        self.canary_seconds = Histogram(
            "towpath_canary_wait_seconds",
            "How long new content was held back from sidecars other than the canaries.",
            buckets=_FAST,
            registry=registry,
        )
        self.limited = Counter(
            "towpath_xds_limited_streams",
            "Streams closed because they exceeded a limit.",
            ["limit"],
            registry=registry,
        )
        self.refused = Counter(
            "towpath_xds_refused_streams",
            "Streams closed with an error status.",
            ["status"],
            registry=registry,
        )
        self.connections = Gauge(
            "towpath_connections",
            "Connections to the ADS port, by whether a call on them has been admitted.",
            ["state"],
            registry=registry,
        )
        self.connections_ended = Counter(
            "towpath_connections_ended",
            "Connections closed because of what the peer did or failed to do.",
            ["port", "reason"],
            registry=registry,
        )
        self.access_refused = Counter(
            "towpath_access_refused",
            "Calls and streams denied with PERMISSION_DENIED, by the audience of the method "
            "and the reason.",
            ["audience", "reason"],
            registry=registry,
        )
        self.injections = Counter(
            "towpath_injections",
            "Pods that an API server asked to inject, by outcome.",
            ["result"],
            registry=registry,
        )
        self.injection_seconds = Histogram(
            "towpath_injection_seconds",
            "Time from a request to inject a pod until its answer.",
            buckets=_FAST,
            registry=registry,
        )
        self.report_streams = Gauge(
            "towpath_report_streams", "Open streams of sidecars' reports.", registry=registry
        )
        self.report_messages = PlainCounter(
            "towpath_report_messages",
            "Messages with reports of sidecars: read, or shed for lack of time.",
            "result",
            MESSAGES,
            registry=registry,
        )
        self.reports = PlainCounter(
            "towpath_reports",
            "Reports of what leaves the mesh or was refused inside it, by what was decided.",
            "verdict",
            VERDICTS,
            registry=registry,
        )
        self.tokens_refused = Counter(
            "towpath_tokens_refused",
            "Calls ended because the pod's token that was shown is absent or not accepted.",
            ["reason"],
            registry=registry,
        )
        self.tls_reloads = Counter(
            "towpath_tls_reloads",
            "Reloads of changed TLS files: in use (ok), or broken and not used (failed).",
            ["result"],
            registry=registry,
        )
        self.tls_expiry = Gauge(
            "towpath_tls_certificate_expiry_seconds",
            "When the server's certificate expires, in seconds since the epoch; 0 without TLS.",
            registry=registry,
        )
        self.authority_reloads = Counter(
            "towpath_authority_reloads",
            "Reloads of a changed authority: in use (ok), or broken and not used (failed).",
            ["result"],
            registry=registry,
        )
        self.authority_expiry = Gauge(
            "towpath_authority_expiry_seconds",
            "When the authority that signs expires, in seconds since the epoch; 0 without one.",
            registry=registry,
        )
        self.leaf_expiry = Gauge(
            "towpath_leaf_expiry_seconds",
            "When the first of the certificates that sidecars are sent expires, in seconds since "
            "the epoch; 0 without an authority.",
            registry=registry,
        )
        self.leaf_validity = Gauge(
            "towpath_leaf_validity_seconds",
            "How long the certificates that sidecars are sent are valid; they are renewed when "
            "half of it is over.",
            registry=registry,
        )
        self.push_seconds = PlainHistogram(
            "towpath_xds_push_seconds",
            "Time from a change in a source until the response is written.",
            buckets=_FAST,
            registry=registry,
        )
        self.ack_seconds = PlainHistogram(
            "towpath_xds_ack_seconds",
            "Time from a written response to its acknowledgement.",
            buckets=_FAST,
            registry=registry,
        )
        self.compute_seconds = Histogram(
            "towpath_compute_seconds",
            "Time to compute and publish what one debounced change affects.",
            buckets=_FAST,
            registry=registry,
        )
        self.loop_lag_seconds = Histogram(
            "towpath_event_loop_lag_seconds",
            "How late the event loop was, looked at ten times a second; nothing is served "
            "meanwhile.",
            buckets=_FAST,
            registry=registry,
        )
        self.longest_loop_lag = Gauge(
            "towpath_event_loop_longest_lag_seconds",
            "The longest lag of the event loop since the start.",
            registry=registry,
        )
        self.objects = Gauge(
            "towpath_objects", "Objects of the mesh in memory.", ["kind"], registry=registry
        )
        self.problems = Gauge(
            "towpath_problems",
            "Problems with the input.",
            ["code", "reason", "severity"],
            registry=registry,
        )
        self.source_stale_seconds = Gauge(
            "towpath_source_stale_seconds",
            "How long the source has been unreadable; 0 while it is readable.",
            registry=registry,
        )
        self.source_lists = Counter(
            "towpath_source_lists",
            "Full lists of a kind that an API server sent.",
            ["kind"],
            registry=registry,
        )
        self.checkpoint_kinds = Gauge(
            "towpath_checkpoint_kinds",
            "Kinds that are served from the checkpoint of an earlier run.",
            registry=registry,
        )
        self.checkpoint_age = Gauge(
            "towpath_checkpoint_age_seconds",
            "Time since the API server last confirmed the content of the checkpoint; 0 "
            "without one.",
            registry=registry,
        )
        self.checkpoint_writes = Counter(
            "towpath_checkpoint_writes",
            "Attempts to write the checkpoint.",
            ["result"],
            registry=registry,
        )
        self.status_writer = Gauge(
            "towpath_status_writer",
            "1 if this replica writes status to the cluster, 0 if it is on standby.",
            ["lease"],
            registry=registry,
        )
        self.status_writes = Counter(
            "towpath_status_writes",
            "Statuses and Events by result: written, already_there, failed.",
            ["kind", "result"],
            registry=registry,
        )
        self.task_failures = Counter(
            "towpath_task_failures",
            "Unexpected failures of tasks; each is logged, and the task is restarted.",
            ["task"],
            registry=registry,
        )
        self.info = Gauge(
            "towpath_build_info",
            "Always 1; the version is a label.",
            ["version"],
            registry=registry,
        )
        self._begin()

    def _begin(self) -> None:
        """Give each metric with labels its samples, of 0.

        It has none before it counts, and a rate is between two samples: who watches would never see
        the first burst, nor tell nothing from not known.
        """
        _begin(self.sidecars, ClientKind)
        _begin(self.stream_states, STREAM_STATES)
        _begin(self.wait_seconds, product(PHASES, ANSWERS))
        _begin(self.refused, STREAM_ERRORS)
        _begin(self.connections, CONNECTIONS)
        _begin(self.objects, Kind)
        _begin(self.problems, ((code, code.reason, code.severity) for code in Code))
        _begin(self.source_lists, Kind)
        _begin(self.status_writes, product(STATUS_KINDS, STATUS_RESULTS))
        _begin(self.limited, LIMITS)
        _begin(self.access_refused, product(AUDIENCES, REFUSALS))
        _begin(self.tokens_refused, TokenFault)
        _begin(self.tls_reloads, RELOADS)
        _begin(self.injections, INJECTIONS)
        _begin(self.authority_reloads, RELOADS)
        _begin(self.checkpoint_writes, RESULTS)


def _begin(metric: Counter | Gauge | Histogram, labels: Iterable[str | tuple[str, ...]]) -> None:
    """Give the metric samples, of 0, for these values of its labels."""
    for values in labels:
        metric.labels(*((values,) if isinstance(values, str) else values))
