"""Metrics from the first scrape on."""

from __future__ import annotations

import re
from pathlib import Path

import towpath
from towpath.telemetry.metrics import LIMITS, REFUSALS, STREAM_ERRORS, Metrics

ROOT = Path(towpath.__file__).parent
REFUSED = re.compile(r'return "([a-z-]+)", (?:f?"|text\b)|count_refusal\([\w.]+, "([a-z-]+)"\)')
LIMITED = re.compile(r'LimitExceeded\(\s*"([a-z-]+)"')


def literals(pattern: re.Pattern[str], *folders: str) -> set[str]:
    texts = (path.read_text() for folder in folders for path in (ROOT / folder).rglob("*.py"))
    return {"".join(found.groups(default="")) for text in texts for found in pattern.finditer(text)}


def test_each_refusal_and_each_limit_has_a_sample_from_the_start() -> None:
    assert literals(REFUSED, "access", "xds") == set(REFUSALS)
    assert literals(LIMITED, "access", "xds") <= set(LIMITS)
    sample = Metrics().registry.get_sample_value
    for reason in REFUSALS:
        labels = {"audience": "sidecars", "reason": reason}
        assert 0 == sample("towpath_access_refused_total", labels)
    for limit in LIMITS:
        assert 0 == sample("towpath_xds_limited_streams_total", {"limit": limit})


def test_every_metric_has_samples_from_the_start() -> None:
    empty = {family.name for family in Metrics().registry.collect() if not family.samples}

    # The parts that have them say at their start what their labels are.
    assert {
        "towpath_build_info",
        "towpath_connections_ended",
        "towpath_status_writer",
        "towpath_task_failures",
    } == empty


def test_each_status_that_ends_a_stream_has_a_sample_from_the_start() -> None:
    statuses = literals(re.compile(r"StatusCode\.([A-Z_]+)"), "xds")

    assert statuses <= set(STREAM_ERRORS)
    sample = Metrics().registry.get_sample_value
    assert all(
        0 == sample("towpath_xds_refused_streams_total", {"status": status}) for status in statuses
    )
