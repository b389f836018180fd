"""Proposals as YAML, ready to apply, with a comment wherever one allows more than was reported."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from towpath.answers.proposal import Proposal
from towpath.answers.suggest import text as yaml_text


def manifests(proposals: Iterable[Proposal]) -> str:
    """All of them as YAML, one document after the other."""
    return "---\n".join(text for one in proposals for text in _documents(one))


def _documents(proposal: Proposal) -> Iterator[str]:
    name, namespace = proposal.name, yaml_text(proposal.namespace)
    lines = [f"# {remark}" for remark in proposal.remarks]
    lines += [f"# {pattern} would allow every name below it." for pattern in proposal.patterns]
    lines += [
        "apiVersion: policy.openservicemesh.io/v1alpha1",
        "kind: Egress",
        *_metadata(name, namespace),
        "spec:",
        "  sources:",
    ]
    for account in proposal.accounts:
        lines += ["  - kind: ServiceAccount", f"    name: {yaml_text(account)}"]
        lines.append(f"    namespace: {namespace}")
    for field, values in (("hosts", proposal.hosts), ("ipAddresses", proposal.ranges)):
        if values:
            lines += [f"  {field}:", *(f"  - {yaml_text(value)}" for value in values)]
    lines.append("  ports:")
    for port in proposal.ports:
        lines += [f"  - number: {port}", f"    protocol: {proposal.protocol}"]
    if proposal.matches:
        lines += ["  matches:", "  - apiGroup: specs.smi-spec.io/v1alpha4"]
        lines += ["    kind: HTTPRouteGroup", f"    name: {name}"]
    yield "\n".join(lines) + "\n"
    if proposal.matches:
        yield "\n".join(_group(proposal, name, namespace)) + "\n"


def _group(proposal: Proposal, name: str, namespace: str) -> Iterator[str]:
    yield "apiVersion: specs.smi-spec.io/v1alpha4"
    yield "kind: HTTPRouteGroup"
    yield from _metadata(name, namespace)
    yield "spec:"
    yield "  matches:"
    for number, match in enumerate(proposal.matches):
        yield f"  - name: request-{number + 1}"
        yield f"    pathRegex: {yaml_text(match.path)}"
        if match.methods:
            yield "    methods:"
            yield from (f"    - {method}" for method in match.methods)


def _metadata(name: str, namespace: str) -> tuple[str, ...]:
    return "metadata:", f"  name: {name}", f"  namespace: {namespace}"
