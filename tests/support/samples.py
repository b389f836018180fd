"""What a metric says, as a scrape would show it."""

from __future__ import annotations

from towpath.telemetry.metrics import Metrics


def sample(metrics: Metrics, name: str, **labels: str) -> float:
    """The sample of that name and these labels; one that does not exist fails the test."""
    value = metrics.registry.get_sample_value(name, labels)
    assert value is not None, f"no sample {name}{labels}"
    return value
