"""Traces of changes as OpenTelemetry has them, sent by OTLP over HTTP in JSON.

The extra `tracing` has the libraries; nothing imports this file unless an endpoint is set. (The
exporters in protobuf bring files that xds-protos has in another version.)
"""

from __future__ import annotations

import time
from collections import OrderedDict

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.json.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.trace import StatusCode

from towpath import __version__
from towpath.telemetry.traces import Push, Traces

MOST_CHANGES = 64
"""Of how many changes, the latest, answers are still put to their trace."""
MOST_PUSHES = 100
"""How many responses of one change have spans of their own: of a mesh of thousands, a sample."""
SEND_S = 5.0
"""How long a collector may take to answer."""
DELAY_MS = 1_000
"""How long spans are gathered before they are sent."""


class _Change:
    """The trace of one change; *left* is how many pushes may still be added to it."""

    __slots__ = ("compute", "context", "left", "root")

    def __init__(self, root: trace.Span, compute: trace.Span, context: Context) -> None:
        self.root = root
        self.compute = compute
        self.context = context
        self.left = MOST_PUSHES


class OtlpTraces(Traces):
    """Sends traces to *exporter*, from a thread of its own."""

    on = True

    def __init__(self, exporter: SpanExporter) -> None:
        resource = Resource.create({"service.name": "towpath", "service.version": __version__})
        self._provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        self._provider.add_span_processor(
            BatchSpanProcessor(exporter, schedule_delay_millis=DELAY_MS)
        )
        self._tracer = self._provider.get_tracer("towpath", __version__)
        self._changes: OrderedDict[float, _Change] = OrderedDict()
        self._epoch = time.time() - time.monotonic()

    def computing(self, changed_at: float, begun: float) -> None:
        root = self._tracer.start_span("change", context=Context(), start_time=self._ns(changed_at))
        context = trace.set_span_in_context(root, Context())
        self._span("wait", context, changed_at).end(self._ns(begun))
        compute = self._span("compute", context, begun)
        self._changes[changed_at] = _Change(root, compute, context)
        while len(self._changes) > MOST_CHANGES:
            self._changes.popitem(last=False)

    def computed(self, changed_at: float, ended: float) -> None:
        change = self._changes.get(changed_at)
        if change is not None:
            change.compute.end(self._ns(ended))
            change.root.end(self._ns(ended))

    def pushed(self, push: Push, *, begun: float, ended: float, size: int) -> bool:
        change = self._changes.get(push.changed_at)
        if change is None or change.left <= 0:
            return False
        change.left -= 1
        span = self._of(push, "push", change.context, begun)
        span.set_attribute("towpath.bytes", size)
        span.end(self._ns(ended))
        return True

    def answered(self, push: Push, *, written: float, at: float, fault: str) -> None:
        change = self._changes.get(push.changed_at)
        if change is None:
            return
        span = self._of(push, "answer", change.context, written)
        if fault:
            span.set_status(StatusCode.ERROR, fault)
        span.end(self._ns(at))

    def close(self) -> None:
        self._provider.shutdown()

    def _of(self, push: Push, name: str, context: Context, start: float) -> trace.Span:
        span = self._span(name, context, start)
        span.set_attribute("towpath.node", push.node)
        span.set_attribute("towpath.type", push.type)
        span.set_attribute("towpath.version", push.version)
        return span

    def _span(self, name: str, context: Context, start: float) -> trace.Span:
        return self._tracer.start_span(name, context=context, start_time=self._ns(start))

    def _ns(self, at: float) -> int:
        """A time of the monotonic clock as nanoseconds since the epoch."""
        return int((at + self._epoch) * 1e9)


def otlp_traces(endpoint: str) -> OtlpTraces:
    """Traces that are sent to a collector; *endpoint* is its URL without a path."""
    url = f"{endpoint.rstrip('/')}/v1/traces"
    return OtlpTraces(OTLPSpanExporter(endpoint=url, timeout=SEND_S))
