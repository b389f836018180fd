"""What `deploy/` holds: the definitions, and the objects of a folder as kustomize makes them."""

from __future__ import annotations

import functools
import json
import re
import subprocess
from pathlib import Path
from typing import Any

import yaml

from support.kube.cluster import kubectl_binary

DEPLOY = Path(__file__).parents[2] / "deploy"
CRDS = sorted(set((DEPLOY / "crds").glob("*.yaml")) - {DEPLOY / "crds" / "kustomization.yaml"})
OVERLAYS = ("base", "overlays/laptop", "overlays/production")
ALL = (*OVERLAYS, "overlays/monitoring", "demo/curl")


def kustomize(folder: str) -> list[Any]:
    """The objects that `kubectl apply -k` sends for that folder of `deploy/`."""
    return list(yaml.safe_load_all(_built(folder)))


@functools.cache
def _built(folder: str) -> str:
    command = [str(kubectl_binary()), "kustomize", str(DEPLOY / folder)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def monitored_expressions() -> dict[str, list[str]]:
    """The queries of each dashboard, and those of the alerts, by the file's name."""
    expressions = {
        path.name: [
            target["expr"]
            for panel in json.loads(path.read_text())["panels"]
            for target in panel.get("targets", ())
        ]
        for path in sorted((DEPLOY / "overlays/monitoring").glob("*.json"))
    }
    rules = yaml.safe_load((DEPLOY / "overlays/monitoring/rules.yaml").read_text())["spec"]
    alerts = [rule["expr"] for group in rules["groups"] for rule in group["rules"]]
    return {**expressions, "rules.yaml": alerts}


def named_statistics() -> set[str]:
    """The statistics of sidecars that dashboards and alerts read."""
    texts = (text for queries in monitored_expressions().values() for text in queries)
    return {name for text in texts for name in re.findall(r"\benvoy_\w+(?=[{\[])", text)}


def pod_specs(documents: list[Any]) -> list[Any]:
    """The pods that these objects are templates of, or are."""
    return [
        one["spec"] if one["kind"] == "Pod" else one["spec"]["template"]["spec"]
        for one in documents
        if one["kind"] in ("Pod", "Deployment")
    ]
