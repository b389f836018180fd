"""Prometheus in time-lapse: pages of metrics, each read for a while, and which alerts then fire."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import yaml
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from support.alerts.needs import promtool
from support.deploy import DEPLOY
from towpath.telemetry.metrics import Metrics

SCRAPE_S = 15
RULES: dict[str, Any] = yaml.safe_load(
    (DEPLOY / "overlays" / "monitoring" / "rules.yaml").read_text()
)["spec"]
ALERTS = {rule["alert"] for group in RULES["groups"] for rule in group["rules"]}

Page = dict[str, float]
"""What a scrape reads: a value by series, as promtool writes one."""


def page(metrics: Metrics, *, pod: str = "towpath-a") -> Page:
    """What a scrape of that replica reads now."""
    families = text_string_to_metric_families(generate_latest(metrics.registry).decode())
    return {
        _series(sample.name, {**sample.labels, "pod": pod}): sample.value
        for family in families
        for sample in family.samples
    }


def expect(firing: set[str], folder: Path, *phases: tuple[Page, int]) -> None:
    """Assert that exactly these alerts fire at the end; each page is read for so many seconds."""
    (folder / "rules.yaml").write_text(yaml.safe_dump(RULES))
    seconds = sum(length for _, length in phases)
    test = {
        "interval": f"{SCRAPE_S}s",
        "input_series": [
            {"series": series, "values": _values(series, phases)}
            for series in sorted({series for page, _ in phases for series in page})
        ],
        "promql_expr_test": [
            {
                "expr": 'count by (alertname) (ALERTS{alertstate="firing"}) > bool 0',
                "eval_time": f"{seconds - SCRAPE_S}s",
                "exp_samples": [
                    {"labels": f'{{alertname="{name}"}}', "value": 1} for name in sorted(firing)
                ],
            }
        ],
    }
    whole = {
        "rule_files": ["rules.yaml"],
        "evaluation_interval": f"{SCRAPE_S}s",
        "tests": [test],
    }
    (folder / "test.yaml").write_text(yaml.safe_dump(whole))
    program = promtool()
    assert program is not None
    done = subprocess.run(
        [program, "test", "rules", str(folder / "test.yaml")],
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def understood(queries: list[str], folder: Path) -> str:
    """What Prometheus says of these queries, as recording rules; empty if it takes all of them."""
    rules = [{"record": "query", "expr": query} for query in queries]
    file = folder / "queries.yaml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "queries", "rules": rules}]}))
    program = promtool()
    assert program is not None
    done = subprocess.run(
        [program, "check", "rules", "--lint=none", str(file)],
        check=False,
        capture_output=True,
        text=True,
    )
    return done.stdout + done.stderr if done.returncode else ""


def _values(series: str, phases: tuple[tuple[Page, int], ...]) -> str:
    """As promtool reads them: a value and how often it comes again; `_` is no sample."""
    parts = []
    for read, seconds in phases:
        count = seconds // SCRAPE_S
        parts.append(f"{read[series]}x{count - 1}" if series in read else f"_x{count}")
    return " ".join(parts)


def _series(name: str, labels: dict[str, str]) -> str:
    inner = ",".join(f'{key}="{value}"' for key, value in sorted(labels.items()))
    return f"{name}{{{inner}}}"
