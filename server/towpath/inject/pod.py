"""Pod: what becomes of it. Nothing that is added is secret, or differs from one pod to the next.

An injected pod that comes again (admission calls a webhook twice, `kubectl debug` copies pods) is
first taken back to what it was: so it comes out as it is, or as this version would have made it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from towpath.encode.envoy.probe_listeners import probe_resources
from towpath.inject.containers import init_container, pod_ip_container, sidecar, volume
from towpath.inject.former import Former
from towpath.inject.lists import annotated_lists
from towpath.inject.names import (
    BOOTSTRAP,
    CREDENTIAL,
    MARK,
    METRICS,
    PROBES,
    REDIRECT,
    VERSION,
    switch,
)
from towpath.inject.obstacles import obstacles
from towpath.inject.pod_resources import with_parts
from towpath.inject.probes import ProbeRewrite
from towpath.inject.redirect import redirect
from towpath.inject.refusal import Refused
from towpath.inject.resources import sidecar_resources
from towpath.model.kubelet import Probes
from towpath.model.meshconfig import MeshConfig
from towpath.model.ports import PROMETHEUS_PORT
from towpath.model.workloads import Namespace

_SCRAPE = {
    "prometheus.io/scrape": "true",
    "prometheus.io/port": str(PROMETHEUS_PORT),
    "prometheus.io/path": "/stats/prometheus",
}


@dataclass(frozen=True, slots=True)
class Installation:
    """What is the same for all pods: the version that injects them, the images unless a MeshConfig
    names others, and the files with which a sidecar begins, as Envoy's JSON.
    """

    version: str
    image: str
    init_image: str
    bootstrap: Mapping[str, Any]
    credential: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Injected:
    """The pod with its sidecar; `remarks` are for whoever applied it."""

    pod: dict[str, Any]
    remarks: tuple[str, ...]


def inject(
    pod: Mapping[str, Any],
    namespace: Namespace,
    config: MeshConfig,
    installation: Installation,
) -> Injected:
    """*pod* is `shape.checked`, and stays as it is. Raises Refused."""
    former, defaults = Former(pod), config.injection
    metadata, spec = former.metadata, former.spec
    annotations = dict(metadata.get("annotations") or {})
    remarks = obstacles(spec)
    lists = annotated_lists(annotations)
    resources = sidecar_resources(defaults.resources, namespace, annotations)
    rewrite = ProbeRewrite()
    own_init = [
        rewrite.container(one) if one.get("restartPolicy") == "Always" else one
        for one in spec.get("initContainers") or ()
    ]
    containers = [rewrite.container(one) for one in spec["containers"]]

    files = {
        BOOTSTRAP: _compact(_with_probes(installation.bootstrap, rewrite.probes)),
        CREDENTIAL: _compact(installation.credential),
    }
    parts = []
    if defaults.redirects:
        files[REDIRECT] = redirect(defaults.lists.union(lists.lists))
        image = defaults.init_image or installation.init_image
        parts.append(init_container(image, privileged=defaults.privileged_init))
        if defaults.calls_pod_ip:
            parts.append(pod_ip_container(image, privileged=defaults.privileged_init))
    image = defaults.image or installation.image
    parts.append(sidecar(image, log_level=config.sidecar_log_level, resources=resources))
    originals = {PROBES: _compact(rewrite.originals)} if rewrite.originals else {}
    scraped, remark = _scraped(annotations, namespace)
    after = {
        **pod,
        "metadata": {
            **metadata,
            "labels": {**(metadata.get("labels") or {}), MARK: "1"},
            "annotations": {
                **annotations,
                **scraped,
                **files,
                **originals,
                VERSION: installation.version,
            },
        },
        "spec": {
            **spec,
            "initContainers": [*parts, *own_init],
            "containers": containers,
            "volumes": [*(spec.get("volumes") or ()), volume(tuple(files))],
            **with_parts(spec, parts),
        },
    }
    return Injected(former.settled(after), (*remarks, *lists.remarks, *rewrite.skipped, *remark))


def _with_probes(bootstrap: Mapping[str, Any], probes: Probes) -> dict[str, Any]:
    """The bootstrap with what answers the kubelet."""
    static = dict(bootstrap["static_resources"])
    for name, resources in probe_resources(probes).items():
        if resources:
            static[name] = [*static.get(name, ()), *resources]
    return {**bootstrap, "static_resources": static}


def _scraped(
    annotations: Mapping[str, str], namespace: Namespace
) -> tuple[dict[str, str], tuple[str, ...]]:
    """Annotations that let Prometheus read the sidecar's statistics, if the namespace wants them
    and the pod has none of its own; a remark if it has.
    """
    text = namespace.annotation(METRICS)
    if text is None:
        return {}, ()
    wanted = switch(text)
    if wanted is None:
        raise Refused(f"annotation {METRICS} of namespace {namespace.name} is {text!r}")
    if not wanted:
        return {}, ()
    if other := sorted(
        name for name in _SCRAPE if annotations.get(name, _SCRAPE[name]) != _SCRAPE[name]
    ):
        names = ", ".join(other)
        return {}, (f"the sidecar's metrics are not scraped: the pod has its own {names}",)
    return _SCRAPE, ()


def _compact(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))
