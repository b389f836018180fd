"""Each alert fires when it should and never else, by what a server's `/metrics` really says."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from support.alerts.prometheus import ALERTS, Page, expect, page, understood
from support.deploy import monitored_expressions
from towpath.telemetry.metrics import Metrics

pytestmark = pytest.mark.alerts

LEASE = "osm-system/towpath-status"
OF_A_PROBLEM = ("missing-route", "Missing", "error")
OF_A_NOTE = ("egress-off", "NotEnabled", "info")
MINUTE, HOUR, DAY = 60, 3600, 86400


def of_a_folder() -> Metrics:
    """A server that serves a folder without TLS, as it starts."""
    metrics = Metrics()
    metrics.info.labels("0.1.0").set(1)
    return metrics


def of_a_cluster(*, writes: bool = True, expires_in_s: float = 300 * DAY) -> Metrics:
    """A replica with a certificate; promtool's time begins with the epoch."""
    metrics = of_a_folder()
    metrics.status_writer.labels(LEASE).set(writes)
    metrics.tls_expiry.set(expires_in_s)
    metrics.authority_expiry.set(300 * DAY)
    metrics.leaf_validity.set(DAY)
    metrics.leaf_expiry.set(DAY)
    return metrics


def burst(act: Callable[[Metrics], None]) -> tuple[Page, Page]:
    """A replica's page at its start, and after something happened."""
    metrics = of_a_cluster()
    before = page(metrics)
    act(metrics)
    return before, page(metrics)


@pytest.mark.parametrize("make", [of_a_folder, of_a_cluster])
def test_where_nothing_is_wrong_none_fires(tmp_path: Path, make: Callable[[], Metrics]) -> None:
    expect(set(), tmp_path, (page(make()), 2 * HOUR))


def test_a_folder_without_tls_has_every_series_that_its_alerts_read() -> None:
    """So that none is quiet only because nothing is there to compare."""
    names = {series.partition("{")[0] for series in page(of_a_folder())}
    read = {
        name
        for rule in monitored_expressions()["rules.yaml"]
        for name in re.findall(r"towpath_\w+", rule)
    }

    assert {"towpath_status_writer"} == read - names


def test_two_replicas_of_which_one_writes_are_quiet(tmp_path: Path) -> None:
    both = page(of_a_cluster()) | page(of_a_cluster(writes=False), pod="towpath-b")

    expect(set(), tmp_path, (both, 2 * HOUR))


@pytest.mark.parametrize(
    ("alert", "act"),
    [
        ("TowpathSidecarsReject", lambda m: m.nacks.labels("cds").inc(10)),
        (
            "TowpathAuthorityRefused",
            lambda m: m.authority_reloads.labels("failed").inc(),
        ),
        ("TowpathRefusesTokens", lambda m: m.tokens_refused.labels("audience").inc()),
        ("TowpathRefusesCallers", lambda m: m.access_refused.labels("people", "not-listed").inc()),
    ],
)
def test_the_first_burst_fires(tmp_path: Path, alert: str, act: Callable[[Metrics], None]) -> None:
    before, after = burst(act)

    expect({alert}, tmp_path, (before, 5 * MINUTE), (after, 5 * MINUTE))


def test_a_burst_is_over_after_ten_minutes(tmp_path: Path) -> None:
    before, after = burst(lambda m: m.nacks.labels("cds").inc(10))

    expect(set(), tmp_path, (before, 5 * MINUTE), (after, 12 * MINUTE))


@pytest.mark.parametrize(
    ("alert", "change", "after_s"),
    [
        ("TowpathStale", lambda m: m.source_stale_seconds.set(130), 5 * MINUTE),
        ("TowpathNoStatusWriter", lambda m: m.status_writer.labels(LEASE).set(0), 7 * MINUTE),
        ("TowpathNoStatusWriter", lambda m: m.status_writer.labels(LEASE).set(2), 7 * MINUTE),
        ("TowpathCertificateExpires", lambda m: m.tls_expiry.set(29 * DAY), 5 * MINUTE),
        ("TowpathAuthorityExpires", lambda m: m.authority_expiry.set(6 * DAY), 5 * MINUTE),
        ("TowpathLeavesNotRenewed", lambda m: m.leaf_expiry.set(DAY), 15 * HOUR),
        ("TowpathProblems", lambda m: m.problems.labels(*OF_A_PROBLEM).set(1), 2 * HOUR),
    ],
)
def test_what_lasts_fires(
    tmp_path: Path, alert: str, change: Callable[[Metrics], None], after_s: int
) -> None:
    metrics = of_a_cluster()
    change(metrics)

    expect({alert}, tmp_path, (page(metrics), after_s))


def test_notes_are_no_reason_to_wake_anybody(tmp_path: Path) -> None:
    metrics = of_a_cluster()
    metrics.problems.labels(*OF_A_NOTE).set(5)

    expect(set(), tmp_path, (page(metrics), 2 * HOUR))


def test_slow_pushes_fire(tmp_path: Path) -> None:
    metrics = of_a_cluster()
    phases = []
    for _ in range(30):
        phases.append((page(metrics), MINUTE))
        metrics.push_seconds.observe(4.0)

    expect({"TowpathSlow"}, tmp_path, *phases)


@pytest.mark.parametrize(
    "series",
    [
        'envoy_http_downstream_cx_total{envoy_http_conn_manager_prefix="inbound-plain_8080"}',
        'envoy_tcp_downstream_cx_total{envoy_tcp_prefix="inbound-plain_9000"}',
    ],
)
def test_plaintext_that_goes_on_arriving_fires_and_mutual_tls_does_not(
    tmp_path: Path, series: str
) -> None:
    quiet = page(of_a_cluster())
    phases = [({**quiet, series: float(count)}, MINUTE) for count in range(25)]
    mutual = [
        ({**quiet, series.replace("plain", "mesh"): float(count)}, MINUTE) for count in range(25)
    ]

    expect({"TowpathPlaintextArrives"}, tmp_path, *phases)
    expect(set(), tmp_path, *mutual)


def test_a_server_that_nobody_reads_fires(tmp_path: Path) -> None:
    expect({"TowpathNotScraped"}, tmp_path, ({"up{}": 0.0}, 10 * MINUTE))


@pytest.mark.parametrize("name", ["dashboard.json", "sidecars.json"])
def test_each_query_of_a_dashboard_is_one_that_prometheus_takes(name: str, tmp_path: Path) -> None:
    queries = monitored_expressions()[name]

    assert "" == understood(queries, tmp_path)
    assert "" != understood([*queries, "sum by ("], tmp_path)


def test_each_alert_is_tested() -> None:
    text = Path(__file__).read_text()

    assert set() == {alert for alert in ALERTS if f'"{alert}"' not in text}
