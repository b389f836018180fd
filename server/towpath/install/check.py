"""What can be looked at of an installation from outside: findings, each good or bad."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from towpath.install.installed import deployment, mesh_config
from towpath.install.manifests import manifests
from towpath.install.objects import read, title
from towpath.install.ownership import NAME, other_owner
from towpath.install.packaged import Document
from towpath.install.values import Values
from towpath.install.waiting import missing, not_established
from towpath.kubeapi.client import KubeApi, KubeApiError
from towpath.kubeapi.paths import ACCESS_REVIEWS
from towpath.model.meshconfig import MESH_CONFIG_NAME as CONFIG

_SWITCHES = {
    "traffic.enableEgress": "egress passthrough",
    "featureFlags.enableEgressPolicy": "egress policies",
    "traffic.enablePermissiveTrafficPolicyMode": "permissive in-mesh traffic",
}
_UPGRADE = "use `towpath upgrade`"


class Verdict(StrEnum):
    """How a finding stands; UNKNOWN is what could not be looked at."""

    OK = "ok"
    BAD = "FAIL"
    UNKNOWN = "?"


@dataclass(frozen=True, slots=True)
class Finding:
    """What was looked at, how it stands, and in words; *details* are lines below it."""

    subject: str
    verdict: Verdict
    text: str
    details: tuple[str, ...] = ()


async def check(api: KubeApi, namespace: str) -> list[Finding]:
    """Everything that the API server can tell."""
    documents = manifests(Values(osm_namespace=namespace))
    return [
        await _server(api),
        await _definitions(api, documents),
        await _rights(api, documents, namespace),
        await _control_plane(api, namespace),
        await _switches(api, namespace),
    ]


async def _server(api: KubeApi) -> Finding:
    version = json.loads(await api.get("/version", {}))
    return Finding("API server", Verdict.OK, f"Kubernetes {version['gitVersion']}, {api.url}")


async def _definitions(api: KubeApi, documents: list[Document]) -> Finding:
    wrong = []
    definitions = [one for one in documents if one["kind"] == "CustomResourceDefinition"]
    for definition in definitions:
        record = await read(api, definition)
        fault = not_established(record)
        if not fault and not contains(record["spec"], definition["spec"]):
            owner = other_owner(record)
            fault = f"it is not that of this version: {owner or _UPGRADE}"
        if fault:
            wrong.append(f"{title(definition)}: {fault}")
    count = len(definitions)
    if wrong:
        text = f"{len(wrong)} of {count} are missing or outdated"
        return Finding("definitions", Verdict.BAD, text, tuple(wrong))
    return Finding("definitions", Verdict.OK, f"{count} are established, and of this version")


async def _rights(api: KubeApi, documents: list[Document], namespace: str) -> Finding:
    user = f"system:serviceaccount:{namespace}:{NAME}"
    refused, count = [], 0
    try:
        for attributes in _needed(documents):
            count += 1
            spec = {"user": user, "resourceAttributes": attributes}
            body = {
                "apiVersion": ACCESS_REVIEWS.api_version,
                "kind": "SubjectAccessReview",
                "spec": spec,
            }
            answer = json.loads(await api.write("POST", ACCESS_REVIEWS.path(), body))
            if not answer["status"]["allowed"]:
                refused.append(_words(attributes))
    except KubeApiError as error:
        if not error.forbidden:
            raise
        return Finding("rights", Verdict.UNKNOWN, f"you may not ask about them: {error}")
    if refused:
        text = f"{user} may not do {len(refused)} of {count} things that it needs"
        return Finding("rights", Verdict.BAD, text, tuple(refused))
    return Finding("rights", Verdict.OK, f"{user} may do all {count} things that it needs")


def _needed(documents: list[Document]) -> Iterator[dict[str, str]]:
    """Each thing that the manifests' roles allow, as an access review asks for it."""
    for role in documents:
        if role["kind"] not in ("Role", "ClusterRole"):
            continue
        for rule in role["rules"]:
            # Paths that are no resources (nonResourceURLs) have no groups.
            for group in rule.get("apiGroups", ()):
                for resource in rule["resources"]:
                    plural, _, subresource = resource.partition("/")
                    for verb in rule["verbs"]:
                        yield {
                            "namespace": role["metadata"].get("namespace", ""),
                            "group": group,
                            "resource": plural,
                            "subresource": subresource,
                            "verb": verb,
                            "name": rule.get("resourceNames", [""])[0],
                        }


def _words(attributes: Mapping[str, str]) -> str:
    resource = "/".join(
        part for part in (attributes["resource"], attributes["subresource"]) if part
    )
    group = f".{attributes['group']}" if attributes["group"] else ""
    where = f" in {attributes['namespace']}" if attributes["namespace"] else " in every namespace"
    return f"{attributes['verb']} {resource}{group}{where}"


async def _control_plane(api: KubeApi, namespace: str) -> Finding:
    record = await read(api, deployment(namespace))
    if record is None:
        return Finding("control plane", Verdict.BAD, f"nothing is installed in {namespace}")
    image = record["spec"]["template"]["spec"]["containers"][0]["image"]
    if fault := missing(record):
        return Finding("control plane", Verdict.BAD, f"{image}: {fault}")
    count = record["status"]["availableReplicas"]
    return Finding("control plane", Verdict.OK, f"{image}: all {count} replicas are available")


async def _switches(api: KubeApi, namespace: str) -> Finding:
    config = await read(api, mesh_config(namespace))
    if config is None:
        text = f"there is no {namespace}/{CONFIG}: every switch is off, in-mesh traffic included"
        return Finding("MeshConfig", Verdict.BAD, text)
    words = []
    for path, name in _SWITCHES.items():
        field: Any = config.get("spec") or {}
        for part in path.split("."):
            field = field.get(part) if isinstance(field, dict) else None
        words.append(f"{name} {'on' if field is True else 'off'}")
    return Finding("MeshConfig", Verdict.OK, ", ".join(words))


def contains(value: Any, expected: Any) -> bool:
    """True if *held* is *wanted*, but for fields that the API server has added."""
    if isinstance(expected, dict):
        return isinstance(value, dict) and all(
            name in value and contains(value[name], part) for name, part in expected.items()
        )
    if isinstance(expected, list):
        return (
            isinstance(value, list)
            and len(value) == len(expected)
            and all(contains(one, other) for one, other in zip(value, expected, strict=True))
        )
    return bool(value == expected)
