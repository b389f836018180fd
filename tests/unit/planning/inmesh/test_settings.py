"""UpstreamTrafficSettings of services: which holds, on whom, and what is said of the others."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from support.objects import (
    egress,
    endpoint_slice,
    headless,
    mesh_config,
    mesh_of,
    namespace,
    pod,
    port,
    service,
    setting,
)
from towpath.model.codes import Code, Reason, Severity
from towpath.model.egress import NOTHING, ConnectionSettings, UpstreamTrafficSetting
from towpath.model.limits import Rate, RateLimits, RequestLimit
from towpath.model.mesh import Mesh, Object
from towpath.model.names import Account, Protocol, SidecarId
from towpath.planning import inbound, outbound, problems, proxyless
from towpath.sources.decode.names import service_named

FEW = RateLimits(connections=Rate(1, 60), requests=RequestLimit(Rate(2, 60)))
CURL = Account("shop", "curl")


def test_a_setting_limits_each_port_of_its_service_and_no_other() -> None:
    api = service("api", port(81, target=9090), ips=("10.96.0.2",))
    mesh = _mesh(_limits(), api, pods=("web", "api"))
    by_service = {one.service: one.settings for one in outbound(mesh, CURL).destinations}

    assert {"web": ConnectionSettings(max_connections=7), "api": ConnectionSettings()} == by_service
    assert {8080: FEW} == _limits_of(mesh, "web")
    assert {9090: RateLimits()} == _limits_of(mesh, "api")
    assert () == problems(mesh)


def test_a_headless_service_and_a_client_without_a_sidecar_are_limited_too() -> None:
    limits = replace(
        _limits(), service="db", settings=ConnectionSettings(max_connections=7, max_requests=3)
    )
    mesh = mesh_of(
        namespace(),
        mesh_config(),
        pod("curl", account="curl"),
        headless("db"),
        endpoint_slice("db", "10.0.0.9"),
        pod("db-1", app="db", addresses=("10.0.0.9",)),
        limits,
    )
    (destination,) = outbound(mesh, CURL).destinations
    (target,) = proxyless(mesh, CURL).targets

    assert limits.settings == destination.settings
    assert 3 == target.max_requests


def test_of_two_settings_the_oldest_holds_and_the_other_is_told_so() -> None:
    older = replace(_limits("z", created="2026-01-01T00:00:00Z"), limits=RateLimits())
    younger = _limits("a", created="2026-01-02T00:00:00Z")
    mesh = _mesh(older, younger)
    (problem,) = problems(mesh)

    assert {8080: RateLimits()} == _limits_of(mesh, "web")
    assert (younger.ref, Reason.CONFLICT) == (problem.object, problem.reason)
    assert "UpstreamTrafficSetting shop/z" in problem.message


def test_a_limit_that_cannot_be_read_closes_the_service_at_both_ends() -> None:
    mesh = _mesh(replace(_limits(), closed=True, limits=RateLimits()))
    (destination,) = outbound(mesh, CURL).destinations
    (problem,) = problems(mesh)

    assert {} == _limits_of(mesh, "web")
    assert NOTHING == destination.settings
    assert (Reason.INVALID, "spec") == (problem.reason, problem.field)


def test_of_two_services_before_one_port_the_first_that_limits_holds() -> None:
    second = replace(_limits("next"), service="web-next", limits=RateLimits(Rate(9, 1)))
    selector = {"app": "web"}
    mesh = _mesh(_limits(), second, service("web-next", ips=("10.96.0.2",), selector=selector))
    (problem,) = problems(mesh)

    assert {8080: FEW} == _limits_of(mesh, "web")
    assert (second.ref, Reason.CONFLICT) == (problem.object, problem.reason)


@pytest.mark.parametrize("closed", ["limits", "next"])
def test_of_two_services_before_one_port_neither_may_have_a_limit_that_cannot_be_read(
    closed: str,
) -> None:
    second = replace(_limits("next"), service="web-next", limits=RateLimits(Rate(9, 1)))
    settings = [replace(one, closed=one.name == closed) for one in (_limits(), second)]
    selector = {"app": "web"}
    mesh = _mesh(*settings, service("web-next", ips=("10.96.0.2",), selector=selector))
    (problem,) = problems(mesh)

    assert {} == _limits_of(mesh, "web")
    assert (closed, Reason.INVALID) == (problem.object.name, problem.reason)


def test_limits_on_requests_need_a_port_that_speaks_http() -> None:
    mesh = _mesh(_limits(), protocol=Protocol.TCP)
    (problem,) = problems(mesh)

    assert (Reason.NOT_ENFORCEABLE, "spec.rateLimit") == (problem.reason, problem.field)


@pytest.mark.parametrize(
    "host",
    ["wbe", "wbe.shop", "web.shop.svc.cluster.locl", "web.other", "Web", "web.shop.svc.k8s.test"],
)
@pytest.mark.parametrize(
    "limiting",
    [
        {"limits": FEW, "settings": ConnectionSettings()},
        {"limits": RateLimits(routes=(("/a", RequestLimit(Rate(1, 1))),))},
        {"settings": ConnectionSettings(max_retries=1), "limits": RateLimits()},
        {"settings": ConnectionSettings(), "limits": RateLimits(), "closed": True},
    ],
)
def test_limits_of_a_misspelt_service_are_a_warning_that_names_the_nearest(
    host: str, limiting: dict[str, Any]
) -> None:
    meant = replace(_limits(), host=host, service=service_named(host, "shop"), **limiting)
    (problem,) = problems(_mesh(meant))

    assert (Code.LIMITS_WITHOUT_SERVICE, "spec.host") == (problem.code, problem.field)
    assert Severity.WARNING is problem.severity
    assert problem.message.endswith("it limits nothing; did you mean web?")


@pytest.mark.parametrize("host", ["something.else.test", "", "web.other"])
def test_no_service_is_named_that_is_not_like_the_host_or_not_in_the_mesh(host: str) -> None:
    mesh = mesh_of(
        mesh_config(), namespace(mesh=None), service("web"), replace(_limits(), host=host)
    )
    (problem,) = problems(mesh)

    assert problem.message.endswith("it limits nothing")


def test_of_rate_limits_that_an_egress_refers_to_the_nearest_service_is_named_too() -> None:
    mesh = _mesh(replace(_limits(), host="wbe", service=""), egress(setting="limits"))
    (problem,) = [one for one in problems(mesh) if one.object.kind == "UpstreamTrafficSetting"]

    assert problem.message.endswith("its rate limits have no effect; did you mean web?")


def test_connection_settings_that_an_egress_refers_to_are_no_problem() -> None:
    meant = replace(_limits(), host="wbe", service="", limits=RateLimits())
    mesh = _mesh(meant, egress(setting="limits"))

    assert not [one for one in problems(mesh) if one.object.kind == "UpstreamTrafficSetting"]


def test_a_setting_that_limits_nothing_and_is_of_nothing_is_only_unused() -> None:
    meant = replace(_limits(), service="", settings=ConnectionSettings(), limits=RateLimits())
    (problem,) = problems(_mesh(meant))

    assert (Code.UNUSED_OBJECT, Severity.INFO) == (problem.code, problem.severity)


def _limits(name: str = "limits", created: str = "") -> UpstreamTrafficSetting:
    return replace(setting(name, created=created), service="web", limits=FEW)


def _mesh(
    *objects: Object, protocol: Protocol = Protocol.HTTP, pods: tuple[str, ...] = ("web",)
) -> Mesh:
    return mesh_of(
        namespace(),
        mesh_config(),
        service("web", port(80, protocol)),
        *(pod(f"{name}-1", app=name) for name in pods),
        *objects,
    )


def _limits_of(mesh: Mesh, name: str) -> dict[int, RateLimits]:
    of = mesh.pod(SidecarId(f"{name}-1", "shop"))
    assert of is not None
    return {one.port: one.limits for one in inbound(mesh, of).ports}
