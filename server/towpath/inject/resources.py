"""What a sidecar's container asks for and may have: annotations over MeshConfig over defaults."""

from __future__ import annotations

from collections.abc import Mapping

from towpath.inject.names import PREFIX
from towpath.inject.refusal import Refused
from towpath.model.injection import Resources
from towpath.model.workloads import Namespace
from towpath.sources.decode.findings import show
from towpath.sources.decode.injection import RESOURCE_NAMES
from towpath.sources.decode.quantity import QUANTITY_WORDS, quantity

DEFAULTS = Resources(
    requests=(("cpu", "100m"), ("memory", "96Mi")), limits=(("cpu", "2"), ("memory", "512Mi"))
)
_KINDS = ("requests", "limits")

Section = dict[str, str]


def sidecar_resources(
    mesh: Resources, namespace: Namespace, annotations: Mapping[str, str]
) -> dict[str, Section]:
    """`requests` and `limits`. Raises Refused for an annotation that is no quantity, and for a
    request above its limit.
    """
    given: dict[str, Section] = {"requests": dict(mesh.requests), "limits": dict(mesh.limits)}
    for source, whose in (
        (dict(namespace.annotations), f"namespace {namespace.name}"),
        (annotations, "the pod"),
    ):
        for kind in _KINDS:
            given[kind].update(_annotated(source, kind, whose))
    for name, limit in given["limits"].items():
        request = given["requests"].get(name)
        if request is not None and _more(request, limit):
            raise Refused(f"the sidecar requests {name} {request}, more than its limit of {limit}")
    return _with_defaults(given)


def _annotated(annotations: Mapping[str, str], kind: str, whose: str) -> Section:
    section: Section = {}
    for name in RESOURCE_NAMES:
        key = f"{PREFIX}sidecar-resource-{kind}-{name}"
        if (text := annotations.get(key)) is None:
            continue
        if quantity(text.strip()) is None:
            raise Refused(f"annotation {key} of {whose} is {show(text)}: allowed: {QUANTITY_WORDS}")
        section[name] = text.strip()
    return section


def _with_defaults(given: Mapping[str, Section]) -> dict[str, Section]:
    """With a default for what nobody has set, never such that a request is above its limit."""
    requests, limits = dict(given["requests"]), dict(given["limits"])
    for name, text in DEFAULTS.requests:
        limit = limits.get(name)
        requests.setdefault(name, limit if limit is not None and _more(text, limit) else text)
    for name, text in DEFAULTS.limits:
        limits.setdefault(name, requests[name] if _more(requests[name], text) else text)
    return {"requests": requests, "limits": limits}


def _more(text: str, other: str) -> bool:
    left, right = quantity(text), quantity(other)
    return left is not None and right is not None and left > right
