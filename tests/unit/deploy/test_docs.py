"""What people read is so: each metric and each flag that is documented exists, and the reverse."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import click
import yaml

from support.deploy import DEPLOY
from towpath.cli import main
from towpath.telemetry.metrics import Metrics

ROOT = DEPLOY.parent
OPERATE = (ROOT / "docs" / "operate.md").read_text()
DOCS = "\n".join(
    path.read_text() for path in (*sorted((ROOT / "docs").glob("*.md")), ROOT / "README.md")
)
DASHBOARD = json.loads((DEPLOY / "overlays" / "monitoring" / "dashboard.json").read_text())
METRIC = re.compile(r"\btowpath_(?!api|client)[a-z_]+[a-z]\b")


def exposed() -> set[str]:
    """What a scrape calls each metric, with a histogram's series."""
    names = set()
    for family in Metrics().registry.collect():
        if family.type == "counter":
            names.add(f"{family.name}_total")
        else:
            names.add(family.name)
        if family.type == "histogram":
            names |= {f"{family.name}_{part}" for part in ("bucket", "sum", "count")}
    return names


def flags(command: click.Command) -> Iterator[str]:
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            yield from (
                flag
                for flag in (*parameter.opts, *parameter.secondary_opts)
                if flag.startswith("--")
            )
    if isinstance(command, click.Group):
        for inner in command.commands.values():
            yield from flags(inner)


def test_each_metric_is_in_the_table_and_each_in_the_table_exists() -> None:
    rows = set(re.findall(r"^\| `(towpath_\w+)` \|", OPERATE, re.MULTILINE))
    series = {name for name in exposed() if not re.search(r"_(bucket|sum|count)$", name)}

    assert rows == series


def test_each_metric_that_documents_the_dashboard_and_alerts_name_exists() -> None:
    named = set(METRIC.findall(OPERATE)) | set(METRIC.findall(json.dumps(DASHBOARD)))

    assert [] == sorted(named - exposed())
    assert METRIC.search(json.dumps(DASHBOARD))


def test_the_alerts_of_the_page_are_those_that_are_deployed() -> None:
    (block,) = re.findall(r"```yaml\n(groups:.*?)```", OPERATE, re.DOTALL)
    deployed = DEPLOY / "overlays" / "monitoring" / "rules.yaml"

    assert yaml.safe_load(block) == yaml.safe_load(deployed.read_text())["spec"]


def test_each_flag_is_documented() -> None:
    missing = {flag for flag in flags(main) if not re.search(rf"{flag}(?![\w-])", DOCS)}

    assert missing == set()
