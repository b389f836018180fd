"""IngressBackends: what is read, and that what cannot be lets nobody in."""

from __future__ import annotations

from typing import Any, cast

import pytest

from towpath.model.codes import Code
from towpath.model.ingress import Backend, IngressBackend
from towpath.model.problem import Problem
from towpath.sources.decode import decode

WEB = {"name": "web", "port": {"number": 8080, "protocol": "http"}}
NGINX = {"kind": "Service", "name": "nginx", "namespace": "ingress"}
RANGE = {"kind": "IPRange", "name": "10.0.0.0/8"}
NAMED = {"kind": "AuthenticatedPrincipal", "name": "nginx.ingress.cluster.local"}


def test_all_of_it_is_read() -> None:
    tls = {"skipClientCertValidation": False, "sniHosts": ["Web.test"]}
    https = {"name": "web", "port": {"number": 8443, "protocol": "HTTPS"}, "tls": tls}
    policy, problems = read(backends=[WEB, https], sources=[NGINX, RANGE, NAMED])

    assert ((), False, True) == (problems, policy.closed, policy.addressed)
    assert (Backend("web", 8080), Backend("web", 8443, True, ("web.test",))) == policy.backends
    assert ((("ingress", "nginx"),), ("10.0.0.0/8",), (NAMED["name"],)) == (
        policy.services,
        policy.ranges,
        policy.principals,
    )


@pytest.mark.parametrize(
    "backend",
    [
        {**WEB, "name": "a.b"},
        {"name": "web"},
        {**WEB, "port": {"number": 0, "protocol": "http"}},
        {**WEB, "port": {"number": "8080", "protocol": "http"}},
        {**WEB, "port": {"number": True, "protocol": "http"}},
        {**WEB, "port": {"number": 8080, "protocol": "tcp"}},
        {**WEB, "port": {"numbr": 8080}},
        {**WEB, "tls": {"skipClientCertValidation": True}},
        {**WEB, "tls": {"skipClientCertValidation": "no"}},
        {**WEB, "tls": {"sniHosts": [1]}},
        {**WEB, "tls": {"sniHost": ["web.test"]}},
        {**WEB, "tls": {"sniHosts": ["web.test"]}},  # of plaintext, which names none
        {**WEB, "tls": [{"sniHosts": ["web.test"]}]},
        {"name": "web", "port": {"number": 8080, "protocol": ["https"]}},
        {"name": "web", "port": {"number": 8080, "protocol": ""}},
        "web",
    ],
)
def test_a_backend_that_cannot_be_read_is_left_out(backend: object) -> None:
    alone, problems = read(backends=[backend])
    beside, _ = read(backends=[backend, WEB])

    assert ((), (Backend("web", 8080),)) == (alone.backends, beside.backends)
    assert Code.NOTHING_LEFT in {problem.code for problem in problems}


@pytest.mark.parametrize(
    "source",
    [
        {**NGINX, "kind": "Pod"},
        {"kind": "Service", "name": "nginx"},
        {**NGINX, "name": ""},
        {**RANGE, "name": "10.0.0.0/33"},
        {**RANGE, "name": "10.0.0.0"},
        {**RANGE, "name": "::/0"},
        {**NAMED, "name": "nginx"},
        {**NAMED, "name": ""},
        {"kind": "IPRange", "nam": "10.0.0.0/8"},
        1,
    ],
)
def test_a_source_that_cannot_be_read_gains_nothing(source: object) -> None:
    policy, problems = read(sources=[source])

    assert ((), (), ()) == (policy.services, policy.ranges, policy.principals)
    assert Code.NOTHING_LEFT in {problem.code for problem in problems}


def test_addresses_that_cannot_be_read_were_asked_for_all_the_same() -> None:
    policy, _ = read(sources=[NAMED, {"kind": "IPRange", "name": "everywhere"}])
    without, _ = read(sources=[NAMED])

    assert (True, False) == (policy.addressed, without.addressed)


@pytest.mark.parametrize(
    "source",
    [
        NAMED,
        {**NAMED, "name": "nginx"},
        {**NAMED, "name": 1},
        {"kind": NAMED["kind"], "nam": NAMED["name"]},
        {**NAMED, "kind": "AuthenticatedPrincipals"},
        {"kid": "IPRange", **RANGE, "kind": None},
        "nginx.ingress.cluster.local",
    ],
)
def test_a_certificate_that_cannot_be_read_was_asked_for_all_the_same(source: object) -> None:
    policy, _ = read(sources=[RANGE, source])
    without, _ = read(sources=[RANGE, NGINX, {**RANGE, "name": "everywhere"}])

    assert (("10.0.0.0/8",), True) == (policy.ranges, policy.certified)
    assert not without.certified


@pytest.mark.parametrize(
    "spec",
    [
        {"matches": [{"kind": "HTTPRouteGroup", "name": "a"}]},
        {"match": []},
        {"sources": [RANGE] * 101},
        {"backends": [WEB] * 101},
    ],
)
def test_a_restriction_that_is_not_held_closes_it(spec: dict[str, Any]) -> None:
    policy, problems = read(**spec)

    assert policy.closed
    assert problems


def read(**change: Any) -> tuple[IngressBackend, tuple[Problem, ...]]:
    raw = {
        "apiVersion": "policy.openservicemesh.io/v1alpha1",
        "kind": "IngressBackend",
        "metadata": {"name": "outside", "namespace": "shop"},
        "spec": {"backends": [WEB], "sources": [RANGE], **change},
    }
    result = decode(raw, "mesh.yaml:1")
    return cast("IngressBackend", result.value), result.problems
