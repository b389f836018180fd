"""The Inspector on policies: what became of each, and what becomes of one request."""

from __future__ import annotations

from typing import Any, NoReturn

import grpc
import pytest

from support.objects import egress, mesh_config, namespace, pod, route_group, setting
from support.running_hub import RunningHub
from towpath.admin.inspector import Inspector
from towpath.model.mesh import Object
from towpath_api.v1 import inspector_pb2 as pb

MESH: tuple[Object, ...] = (
    namespace(),
    mesh_config(policies=True),
    pod("curl", app="curl"),
    egress(route_groups=("get", "gone"), setting="limits"),
    egress("elsewhere", in_namespace="outside"),
    route_group("get", "/get", methods=("GET",)),
    setting("limits"),
)


class AbortedError(Exception):
    """What the client would be told instead of an answer."""


class Context:
    """As much of gRPC's context as the Inspector uses."""

    async def abort(self, status: grpc.StatusCode, details: str) -> NoReturn:
        raise AbortedError(status, details)


CONTEXT: Any = Context()


async def _explain(running: RunningHub, to: str, **more: Any) -> pb.ExplainResponse:
    await running.holds(*MESH)
    request = pb.ExplainRequest(service_account="shop/default", to=to, **more)
    return await Inspector(running.hub).Explain(request, CONTEXT)


async def test_every_policy_is_listed_with_what_became_of_it(running: RunningHub) -> None:
    await running.holds(*MESH)
    running.attach("curl")
    await running.published()
    answer = await Inspector(running.hub).ListPolicies(pb.ListPoliciesRequest(), CONTEXT)

    assert [(p.kind, p.namespace, p.name, p.accepted) for p in answer.policies] == [
        ("Egress", "outside", "elsewhere", False),
        ("Egress", "shop", "out", True),
        ("HTTPRouteGroup", "shop", "get", True),
        ("UpstreamTrafficSetting", "shop", "limits", True),
    ]
    out = answer.policies[1]
    assert (out.affected_sidecars, out.acknowledged_sidecars, out.in_conflict) == (1, 0, False)
    assert [(p.field, p.reason) for p in out.problems] == [("spec.matches", "Missing")]


async def test_an_allowed_request_is_explained(running: RunningHub) -> None:
    answer = await _explain(running, "http://httpbin.org/get")

    assert (answer.allowed, answer.via) == (True, "httpbin.org:80")
    assert list(answer.policies) == ["shop/out"]
    assert answer.suggestion == ""


@pytest.mark.parametrize(
    "more", [{"method": "PUT"}, {"method": "post", "headers": {"x-user": "me"}}]
)
async def test_the_method_counts_and_a_denial_says_what_would_allow_it(
    running: RunningHub, more: dict[str, Any]
) -> None:
    answer = await _explain(running, "http://httpbin.org/get", **more)

    assert not answer.allowed
    assert f"- {more['method'].upper()}" in answer.suggestion


async def test_a_policy_that_names_the_account_in_vain_says_why(running: RunningHub) -> None:
    """It does not speak for the account, but its author asks just this question."""
    answer = await _explain(running, "http://httpbin.org/other")
    found = {(problem.name, problem.reason) for problem in answer.problems}

    assert found == {("elsewhere", "NotInMesh"), ("out", "Missing")}
    assert set(answer.sources) == {"shop/out"}


@pytest.mark.parametrize(
    ("account", "to", "address", "said"),
    [
        ("default", "http://a.test/", "", "'default' is not of the form"),
        ("shop/default", "ftp://a.test/", "", "the scheme is http or https"),
        ("shop/default", "http://a.test:0/", "", "is not http://HOST"),
        ("shop/default", "http://[::1]/", "", "is not http://HOST"),
        ("shop/default", "http://a.test/", "::1", "is not an IPv4 address"),
    ],
)
async def test_a_question_that_is_not_well_formed_is_refused_with_the_reason(
    running: RunningHub, account: str, to: str, address: str, said: str
) -> None:
    await running.holds(*MESH)
    request = pb.ExplainRequest(service_account=account, to=to, address=address)

    with pytest.raises(AbortedError) as raised:
        await Inspector(running.hub).Explain(request, CONTEXT)

    status, details = raised.value.args
    assert status is grpc.StatusCode.INVALID_ARGUMENT
    assert said in details
