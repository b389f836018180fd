"""What people read is so: each metric and each flag that is documented exists, and the reverse."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import click
import pytest
import yaml

from support.deploy import DEPLOY
from towpath.cli import main
from towpath.telemetry.metrics import Metrics

ROOT = DEPLOY.parent
OPERATE = (ROOT / "docs" / "operate.md").read_text()
DOCS = "\n".join(
    path.read_text() for path in (*sorted((ROOT / "docs").glob("*.md")), ROOT / "README.md")
)
MONITORING = DEPLOY / "overlays" / "monitoring"
DASHBOARDS = {
    name: json.loads((MONITORING / name).read_text())
    for name in ("dashboard.json", "sidecars.json")
}
METRIC = re.compile(r"\btowpath_(?!api|client)[a-z_]+[a-z]\b")


def exposed() -> set[str]:
    """What a scrape calls each metric, with a histogram's series."""
    names = set()
    for family in Metrics().registry.collect():
        if not family.name.startswith("towpath_"):
            continue
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
    rules = (MONITORING / "rules.yaml").read_text()
    named = set(METRIC.findall(f"{OPERATE}\n{json.dumps(DASHBOARDS)}\n{rules}"))

    assert [] == sorted(named - exposed())
    assert len(METRIC.findall(json.dumps(DASHBOARDS["dashboard.json"]))) > 20


@pytest.mark.parametrize("name", DASHBOARDS)
def test_a_dashboard_begins_with_a_row_of_states_and_shows_the_chosen_pods(name: str) -> None:
    board = DASHBOARDS[name]
    rows = [panel["title"] for panel in board["panels"] if panel["type"] == "row"]
    panels = [panel for panel in board["panels"] if panel["type"] != "row"]
    expressions = [target["expr"] for panel in panels for target in panel["targets"]]
    chosen = re.compile(r'[a-z]_\w+\{namespace=~"\$namespace",pod=~"\$pod"')
    series = re.compile(r"\b(?:towpath|process|envoy)_\w+(?=\{)")

    assert "Is all well?" == rows[0]
    assert {"stat"} == {panel["type"] for panel in board["panels"][1:9]}
    assert ["source", "namespace", "pod"] == [v["name"] for v in board["templating"]["list"]]
    for expression in expressions:
        assert len(series.findall(expression)) == len(chosen.findall(expression)) > 0


def test_no_two_panels_of_a_dashboard_share_a_place_or_an_id() -> None:
    for board in DASHBOARDS.values():
        cells = [
            (x, y)
            for place in (panel["gridPos"] for panel in board["panels"])
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        ]

        assert len(cells) == len(set(cells))
        assert len(board["panels"]) == len({panel["id"] for panel in board["panels"]})


def test_the_alerts_of_the_page_are_those_that_are_deployed() -> None:
    (block,) = re.findall(r"```yaml\n(groups:.*?)```", OPERATE, re.DOTALL)
    deployed = MONITORING / "rules.yaml"

    assert yaml.safe_load(block) == yaml.safe_load(deployed.read_text())["spec"]


def test_each_flag_is_documented() -> None:
    missing = {flag for flag in flags(main) if not re.search(rf"{flag}(?![\w-])", DOCS)}

    assert missing == set()
