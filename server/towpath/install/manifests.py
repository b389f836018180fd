"""The manifests as one installation has them: the packaged ones, with its values."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import yaml

from towpath import __version__
from towpath.install.ownership import NAME
from towpath.install.packaged import Document, documents
from towpath.install.values import Values
from towpath.kubeapi.names import cluster_wide_name
from towpath.kubeapi.preset import KEY, PRESET, first_mesh_config

NAMESPACE = "osm-system"
"""The namespace that the packaged manifests name."""
WEBHOOK = "MutatingWebhookConfiguration"
MONITORED = "openservicemesh.io/monitored-by"


def manifests(values: Values) -> list[Document]:
    """All objects of an installation, definitions first."""
    objects = documents("base")
    for document in objects:
        _move(document, values.osm_namespace)
        if document["kind"] == "Deployment":
            _deployment(document["spec"], values)
        elif document["kind"] == WEBHOOK:
            _webhooks(document["webhooks"], values)
        elif document["kind"] == "ConfigMap" and document["metadata"]["name"] == PRESET:
            document["data"][KEY] = _preset(document["data"][KEY], values)
    return objects


def mesh_config(documents: Iterable[Document]) -> Document:
    """The MeshConfig that an installation of these objects begins with."""
    (preset,) = (one for one in documents if one["metadata"]["name"] == PRESET)
    return first_mesh_config(preset["metadata"]["namespace"], json.loads(preset["data"][KEY]))


def as_yaml(documents: Iterable[Document]) -> str:
    """What `kubectl apply -f -` reads; a text of several lines is shown line by line."""
    return yaml.dump_all(documents, Dumper=_Dumper, sort_keys=False)


class _Dumper(yaml.SafeDumper):
    """Writes each object out, without anchors, and texts of several lines as blocks."""

    def ignore_aliases(self, _data: Any) -> bool:
        return True


def _text(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text)


def _move(document: Document, namespace: str) -> None:
    """Put it into another namespace; rights in the whole cluster get a name of their own there."""
    if namespace == NAMESPACE:
        return
    metadata = document["metadata"]
    if document["kind"] == "Namespace":
        metadata["name"] = namespace
    elif "namespace" in metadata:
        metadata["namespace"] = namespace
    elif document["kind"] in ("ClusterRole", "ClusterRoleBinding", WEBHOOK):
        metadata["name"] = cluster_wide_name(namespace)
    for rule in document.get("rules", ()):
        if rule.get("resources") == ["mutatingwebhookconfigurations"]:
            rule["resourceNames"] = [cluster_wide_name(namespace)]
    for subject in document.get("subjects", ()):
        subject["namespace"] = namespace
    if document["kind"] == "ClusterRoleBinding":
        document["roleRef"]["name"] = cluster_wide_name(namespace)


def _webhooks(webhooks: list[Document], values: Values) -> None:
    """Of the pods of that mesh, and never of the control plane itself."""
    for webhook in webhooks:
        webhook["clientConfig"]["service"]["namespace"] = values.osm_namespace
        selector = webhook["namespaceSelector"]
        selector["matchLabels"][MONITORED] = values.mesh_name
        for expression in selector["matchExpressions"]:
            names = expression.get("values", [])
            if NAMESPACE in names:
                names[names.index(NAMESPACE)] = values.osm_namespace


def _deployment(spec: Document, values: Values) -> None:
    if values.replicas is not None:
        spec["replicas"] = values.replicas
    spec["template"]["metadata"]["labels"].update(values.pod_labels)
    pod = spec["template"]["spec"]
    _placement(pod, values)
    for container in (*pod["containers"], *pod.get("initContainers", ())):
        registry = f"{values.image_registry.rstrip('/')}/" if values.image_registry else ""
        container["image"] = f"{registry}{NAME}:{values.image_tag or __version__}"
        if values.pull_policy:
            container["imagePullPolicy"] = values.pull_policy
        for variable in container.get("env", ()):
            if variable["name"] == "TOWPATH_MESH_NAME":
                variable["value"] = values.mesh_name
            elif variable["name"] == "TOWPATH_INIT_CONTAINER_IMAGE":
                variable["value"] = container["image"]
            elif variable["name"] == "TOWPATH_LOG_LEVEL" and values.log_level:
                variable["value"] = values.log_level


def _placement(pod: Document, values: Values) -> None:
    """Where the pods run, with how much, and by which Secrets their image is pulled."""
    for container in pod["containers"]:
        container["resources"] = dict(values.resource)
    fields = {
        "imagePullSecrets": list(values.pull_secrets),
        "nodeSelector": dict(values.node_selector),
        "tolerations": list(values.tolerations),
        "affinity": dict(values.affinity),
    }
    pod.update({name: value for name, value in fields.items() if value})


def _preset(text: str, values: Values) -> str:
    """The new MeshConfig's spec as JSON; text that nothing changes stays as it is."""
    if not values.preset:
        return text
    spec: Any = json.loads(text)
    for path, value in values.preset.items():
        *parents, name = path.split(".")
        section = spec
        for parent in parents:
            section = section.setdefault(parent, {})
        section[name] = value
    return json.dumps(spec, indent=2) + "\n"
