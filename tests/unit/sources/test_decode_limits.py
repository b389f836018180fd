"""Rate limits of an UpstreamTrafficSetting: what is read, and that a bad one is never no limit."""

from __future__ import annotations

from typing import Any, cast

import pytest
from envoy.type.v3.http_status_pb2 import StatusCode

from towpath.model.codes import Reason
from towpath.model.egress import UpstreamTrafficSetting
from towpath.model.limits import Rate, RateLimits, RequestLimit
from towpath.model.problem import Problem
from towpath.sources.decode import decode
from towpath.sources.decode.rate_limits import MOST_ROUTES, STATUSES

HTTP = {"requests": 3, "unit": "minute"}
TCP = {"connections": 2, "unit": "second", "burst": 5}
HOST = "web.shop.svc.cluster.local"
LONG = [{"name": f"x-{n}", "value": "v" * 4000} for n in range(6)]


def test_limits_on_connections_requests_and_paths_are_read() -> None:
    header = {"name": "X-Limit", "value": "3"}
    answer = {"responseStatusCode": 503, "responseHeadersToAdd": [header]}
    setting, problems = read(
        rateLimit={"local": {"tcp": TCP, "http": {**HTTP, **answer}}},
        httpRoutes=[{"path": "/a/.*", "rateLimit": {"local": {**HTTP, "unit": "hour"}}}],
    )

    assert () == problems
    assert "web" == setting.service
    assert RateLimits(
        connections=Rate(2, 1, 5),
        requests=RequestLimit(Rate(3, 60), 503, (("x-limit", "3"),)),
        routes=(("/a/.*", RequestLimit(Rate(3, 3600))),),
    ) == (setting.limits)


@pytest.mark.parametrize(
    "spec",
    [
        {"rateLimit": []},
        {"rateLimit": {"local": 1}},
        {"rateLimit": {"local": {"tcp": {}}}},
        {"rateLimit": {"local": {"tcp": {**TCP, "connections": 0}}}},
        {"rateLimit": {"local": {"tcp": {**TCP, "burst": -1}}}},
        {"rateLimit": {"local": {"http": {**HTTP, "requests": 2**31}}}},
        {"rateLimit": {"local": {"http": {**HTTP, "requests": True}}}},
        {"rateLimit": {"local": {"http": {**HTTP, "requests": "3"}}}},
        {"rateLimit": {"local": {"http": {"requests": 3}}}},
        {"rateLimit": {"local": {"http": {**HTTP, "unit": "day"}}}},
        {"rateLimit": {"local": {"http": {"request": 3, "unit": "minute"}}}},
        {"rateLimit": {"lokal": {"http": HTTP}}},
        {"ratelimit": {"local": {"http": HTTP}}},
        {"httpRoutes": {"path": "/"}},
        {"httpRoutes": ["/"]},
        {"httpRoutes": [{"rateLimit": {"local": HTTP}}]},
        {"httpRoutes": [{"path": "(", "rateLimit": {"local": HTTP}}]},
        {"httpRoutes": [{"path": "/", "rateLimit": {"local": {**HTTP, "requests": 0}}}]},
        {"httpRoutes": [{"path": f"/{n}"} for n in range(MOST_ROUTES + 1)]},
        {
            "httpRoutes": [
                {"path": f"/{n}", "rateLimit": {"local": {**HTTP, "responseHeadersToAdd": LONG}}}
                for n in range(2)
            ]
        },
        {"connectionSettings": {"http": {"maxRequestsPerConnection": 0}}},
        {"connectionSettings": {"tcp": {"maxConnections": -1}}},
    ],
)
def test_what_cannot_be_read_closes_the_setting_and_is_said(spec: dict[str, Any]) -> None:
    setting, problems = read(**spec)

    assert setting.closed
    assert problems
    assert any("nothing is let through" in problem.message for problem in problems)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"responseStatusCode": 200}, "responseStatusCode"),
        ({"responseStatusCode": 418}, "responseStatusCode"),
        ({"responseHeadersToAdd": [{"name": "x y", "value": "1"}]}, "responseHeadersToAdd[0].name"),
        (
            {"responseHeadersToAdd": [{"name": "host", "value": "1"}]},
            "responseHeadersToAdd[0].name",
        ),
        (
            {"responseHeadersToAdd": [{"name": "Host", "value": "1"}]},
            "responseHeadersToAdd[0].name",
        ),
        (
            {"responseHeadersToAdd": [{"name": ":path", "value": "/"}]},
            "responseHeadersToAdd[0].name",
        ),
        (
            {"responseHeadersToAdd": [{"name": "x", "value": "1\n"}]},
            "responseHeadersToAdd[0].value",
        ),
    ],
)
def test_what_is_answered_instead_has_a_default(change: dict[str, Any], field: str) -> None:
    setting, (problem,) = read(rateLimit={"local": {"http": {**HTTP, **change}}})

    assert (False, RequestLimit(Rate(3, 60))) == (setting.closed, setting.limits.requests)
    assert f"spec.rateLimit.local.http.{field}" == problem.field


def test_every_status_is_one_that_an_envoy_takes() -> None:
    assert {code for code in StatusCode.values() if code >= 400} == STATUSES


@pytest.mark.parametrize(
    "spec",
    [
        {"rateLimit": {"global": {"http": {"domain": "d"}}}},
        {"httpRoutes": [{"path": "/", "rateLimit": {"global": {}}}]},
    ],
)
def test_a_global_limit_is_not_supported_and_closes_nothing(spec: dict[str, Any]) -> None:
    setting, (problem,) = read(**spec)

    assert (False, RateLimits()) == (setting.closed, setting.limits)
    assert Reason.NOT_SUPPORTED is problem.reason


def test_of_two_routes_with_one_path_the_first_holds() -> None:
    route = {"path": "/a", "rateLimit": {"local": HTTP}}
    other = {"path": "/a", "rateLimit": {"local": {**HTTP, "requests": 9}}}
    setting, (problem,) = read(httpRoutes=[route, other])

    assert (("/a", RequestLimit(Rate(3, 60))),) == setting.limits.routes
    assert Reason.DUPLICATE is problem.reason


@pytest.mark.parametrize(
    ("host", "service"),
    [
        ("web", "web"),
        ("web.shop", "web"),
        ("web.shop.svc", "web"),
        (HOST, "web"),
        ("web.other.svc.cluster.local", ""),
        ("web.shop.com", ""),
        ("*.shop", ""),
    ],
)
def test_a_host_may_be_a_service_of_its_namespace(host: str, service: str) -> None:
    setting, _ = read(host=host)

    assert service == setting.service


def read(*, host: str = HOST, **spec: Any) -> tuple[UpstreamTrafficSetting, tuple[Problem, ...]]:
    raw = {
        "apiVersion": "policy.openservicemesh.io/v1alpha1",
        "kind": "UpstreamTrafficSetting",
        "metadata": {"name": "limits", "namespace": "shop"},
        "spec": {"host": host, **spec},
    }
    result = decode(raw, "mesh.yaml:1")
    return cast("UpstreamTrafficSetting", result.value), result.problems
