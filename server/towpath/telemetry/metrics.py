"""Every metric, declared once; labels have few, bounded values (never a sidecar's name)."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from towpath.model.types import SHORT_NAMES

_FAST = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

TYPES = (*SHORT_NAMES.values(), "other")
AUDIENCES = ("sidecars", "people", "anyone", "nobody")
REFUSALS = ("no-rule", "transport", "local", "no-account", "not-listed", "other-account", "expired")
RESULTS = ("written", "failed")
RELOADS = ("ok", "failed")


class Limit(StrEnum):
    """A limit of what clients may ask for: the label of those that passed it."""

    FIELDS = "fields"
    FIRST_REQUEST = "first-request"
    NAME_LENGTH = "name-length"
    NAMES = "names"
    OPENING_BUDGET = "opening-budget"
    READ_WAIT = "read-wait"
    REQUEST_RATE = "request-rate"
    SILENT_STREAMS = "silent-streams"
    SILENT_STREAMS_PER_PEER = "silent-streams-per-peer"
    STREAMS = "streams"
    STREAMS_PER_PEER = "streams-per-peer"


class Metrics:
    """The metrics of one control plane, in a registry of its own."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        self.sidecars = Gauge(
            "towpath_connected_sidecars", "Open streams.", ["kind"], registry=registry
        )
        self.responses = Counter(
            "towpath_xds_responses", "Responses sent.", ["type"], registry=registry
        )
        self.acks = Counter(
            "towpath_xds_acks", "Responses that a sidecar accepted.", ["type"], registry=registry
        )
        self.nacks = Counter(
            "towpath_xds_nacks", "Responses that a sidecar rejected.", ["type"], registry=registry
        )
        self.bytes = Counter(
            "towpath_xds_sent_bytes", "Bytes of the responses sent.", ["type"], registry=registry
        )
        self.resources = Counter(
            "towpath_xds_sent_resources",
            "Resources in the responses sent.",
            ["type"],
            registry=registry,
        )
        self.wait_seconds = Histogram(
            "towpath_xds_wait_seconds",
            "Waits for a sidecar's answer: to use new clusters (make), to remove old ones (break).",
            ["phase", "result"],
            buckets=_FAST,
            registry=registry,
        )
        self.canary_seconds = Histogram(
            "towpath_canary_wait_seconds",
            "For how long new content was kept from other sidecars than the canaries.",
            buckets=_FAST,
            registry=registry,
        )
        self.limited = Counter(
            "towpath_xds_limited_streams",
            "Streams ended because they passed a limit.",
            ["limit"],
            registry=registry,
        )
        self.refused = Counter(
            "towpath_xds_refused_streams",
            "Streams ended with an error status.",
            ["status"],
            registry=registry,
        )
        self.connections = Gauge(
            "towpath_connections",
            "Connections to the ADS port, by whether a call on them has been let in.",
            ["state"],
            registry=registry,
        )
        self.connections_ended = Counter(
            "towpath_connections_ended",
            "Connections ended for what their other end did, or did not do.",
            ["port", "reason"],
            registry=registry,
        )
        self.access_refused = Counter(
            "towpath_access_refused",
            "Calls and streams refused with PERMISSION_DENIED, by whom the method is for, and why.",
            ["audience", "reason"],
            registry=registry,
        )
        self.tls_reloads = Counter(
            "towpath_tls_reloads",
            "Changed TLS files: taken into use (ok), or broken and not used (failed).",
            ["result"],
            registry=registry,
        )
        self.tls_expiry = Gauge(
            "towpath_tls_certificate_expiry_seconds",
            "When the server's certificate expires, in seconds since the epoch; 0 without TLS.",
            registry=registry,
        )
        self.push_seconds = Histogram(
            "towpath_xds_push_seconds",
            "From a change in a source to the response written.",
            buckets=_FAST,
            registry=registry,
        )
        self.ack_seconds = Histogram(
            "towpath_xds_ack_seconds",
            "From a response written to its acknowledgement.",
            buckets=_FAST,
            registry=registry,
        )
        self.compute_seconds = Histogram(
            "towpath_compute_seconds",
            "Building and publishing what one settled change touches.",
            buckets=_FAST,
            registry=registry,
        )
        self.objects = Gauge("towpath_objects", "Objects held.", ["kind"], registry=registry)
        self.problems = Gauge(
            "towpath_problems", "Problems with the input.", ["reason"], registry=registry
        )
        self.source_stale_seconds = Gauge(
            "towpath_source_stale_seconds",
            "For how long the source has not been readable; 0 while it is.",
            registry=registry,
        )
        self.source_lists = Counter(
            "towpath_source_lists",
            "Times that an API server told all objects of a kind.",
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
            "For how long nobody has confirmed what the checkpoint holds; 0 without one.",
            registry=registry,
        )
        self.checkpoint_writes = Counter(
            "towpath_checkpoint_writes",
            "Times that the checkpoint was to be written.",
            ["result"],
            registry=registry,
        )
        self.status_writer = Gauge(
            "towpath_status_writer",
            "1 if this replica writes status to the cluster, 0 if it stands by.",
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
            "Failures that nobody foresaw; each is logged, and the task starts again.",
            ["task"],
            registry=registry,
        )
        # A counter has no samples before it counts, and a rate is between two samples: who watches
        # would never see the first burst.
        _begin(self.responses, TYPES)
        _begin(self.acks, TYPES)
        _begin(self.nacks, TYPES)
        _begin(self.limited, Limit)
        _begin(self.access_refused, ((a, r) for a in AUDIENCES for r in REFUSALS))
        _begin(self.tls_reloads, RELOADS)
        _begin(self.checkpoint_writes, RESULTS)
        self.info = Gauge(
            "towpath_build_info",
            "Always 1; the version is a label.",
            ["version"],
            registry=registry,
        )


def _begin(counter: Counter, labels: Iterable[str | tuple[str, ...]]) -> None:
    """Give the counter samples, of 0, for these values of its labels."""
    for values in labels:
        counter.labels(*((values,) if isinstance(values, str) else values))
