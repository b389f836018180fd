"""What a sidecar lets in: the target ports of the services that select its pod."""

from __future__ import annotations

from dataclasses import replace

import pytest

from support.objects import headless, mesh_config, mesh_of, namespace, pod, port, service
from towpath.model.codes import Code, Reason
from towpath.model.mesh import Mesh, Object
from towpath.model.meshconfig import MeshConfig
from towpath.model.names import ObjectRef, Protocol
from towpath.model.plan import Inbound, InboundPort, Request
from towpath.model.problem import Problem
from towpath.model.workloads import Probe
from towpath.planning import inbound, problems

POD = pod("web-1", more_labels={"tier": "front"}, ports={"metrics": 9100})


def _mesh(*objects: Object) -> Mesh:
    return mesh_of(namespace(), mesh_config(), POD, *objects)


def _port(number: int, *services: str, protocol: Protocol = Protocol.HTTP) -> InboundPort:
    return InboundPort(number, protocol, services)


def test_a_service_opens_its_target_port_on_the_pods_that_it_selects() -> None:
    mesh = _mesh(
        service("web", port(80, target=8080)),
        service("stranger", port(80, target=7000), selector={"app": "stranger"}),
        service("elsewhere", in_namespace="bank", selector={"app": "web"}),
    )

    assert Inbound((_port(8080, "shop/web"),)) == inbound(mesh, POD)


def test_every_pair_of_the_selector_must_match() -> None:
    mesh = _mesh(
        service("both", port(80, target=1), selector={"app": "web", "tier": "front"}),
        service("one-wrong", port(80, target=2), selector={"app": "web", "tier": "back"}),
        service("one-missing", port(80, target=3), selector={"app": "web", "zone": "a"}),
        service("second-pair-first", port(80, target=4), selector={"tier": "front"}),
    )

    assert [1, 4] == [p.port for p in inbound(mesh, POD).ports]


def test_a_service_without_a_selector_opens_nothing() -> None:
    assert Inbound(()) == inbound(_mesh(service("manual", selector={})), POD)


def test_a_headless_service_opens_its_target_port_too() -> None:
    assert Inbound((_port(8080, "shop/web"),)) == inbound(_mesh(headless("web")), POD)


def test_a_named_target_port_has_the_number_that_the_pod_gives_it() -> None:
    mesh = _mesh(service("web", port(80, target="metrics"), port(81, target="unknown")))

    assert Inbound((_port(9100, "shop/web"),)) == inbound(mesh, POD)


def test_services_that_lead_to_one_port_share_it() -> None:
    mesh = _mesh(
        service("web", port(80)),
        service("api", port(81), port(82, name="x"), selector={"app": "web"}, ips=("10.96.0.2",)),
    )

    assert Inbound((_port(8080, "shop/api", "shop/web"),)) == inbound(mesh, POD)
    assert () == problems(mesh)


def test_ports_are_in_order() -> None:
    mesh = _mesh(service("web", port(80, target=9), port(81, target=10), port(82, target=2)))

    assert [2, 9, 10] == [p.port for p in inbound(mesh, POD).ports]


def test_when_two_services_disagree_the_first_by_name_decides_and_the_other_has_a_problem() -> None:
    mesh = _mesh(
        service("web", port(80, Protocol.TCP)),
        service("api", port(81, Protocol.HTTP), selector={"app": "web"}, ips=("10.96.0.2",)),
    )

    assert Inbound((_port(8080, "shop/api", "shop/web"),)) == inbound(mesh, POD)
    assert (
        Problem(
            ObjectRef("Service", "shop", "web"),
            "spec.ports",
            Code.CONFLICTING_PROTOCOL,
            "target port 8080 of Pod shop/web-1 is tcp here and http in Service shop/api; "
            "http is used",
        ),
    ) == problems(mesh)


def test_two_ports_of_one_service_can_disagree_too() -> None:
    mesh = _mesh(service("web", port(80, Protocol.HTTP), port(81, Protocol.TCP)))

    (found,) = problems(mesh)
    assert (Reason.CONFLICT, ObjectRef("Service", "shop", "web")) == (found.reason, found.object)


def test_a_pod_of_a_namespace_that_is_not_monitored_lets_nothing_in() -> None:
    mesh = mesh_of(namespace(mesh=None), mesh_config(), POD, service("web"))

    assert Inbound(()) == inbound(mesh, POD)


def test_disagreement_in_a_namespace_that_is_not_monitored_is_nobodys_problem() -> None:
    mesh = mesh_of(
        namespace(mesh=None),
        mesh_config(),
        POD,
        service("web", port(80, Protocol.HTTP), port(81, Protocol.TCP)),
    )

    assert () == problems(mesh)


PROBED = replace(
    POD,
    probes=(
        Probe(8080, "GET", "/health"),
        Probe(8080, "GET", "/ready"),
        Probe(9000),
        Probe(9443, "GET", "/", tls=True),
        Probe(15010),
        Probe(15901, "GET", "/osm-liveness-probe/web"),
    ),
)
HEALTH = (Request("GET", "/health"), Request("GET", "/ready"))
CLOSED = (
    InboundPort(8080, Protocol.HTTP, (), probes=HEALTH),
    InboundPort(9000, Protocol.TCP, (), probes=()),
)


@pytest.mark.parametrize(
    "switches",
    [
        replace(mesh_config(), external_authorization=True),
        replace(mesh_config(permissive=False), external_authorization=True),
        mesh_config(in_namespace="elsewhere"),
    ],
)
def test_where_nobody_may_come_in_the_kubelets_probes_do(switches: MeshConfig) -> None:
    """The ports stay what they are, so that a port that closes goes on answering probes."""
    mesh = mesh_of(namespace(), switches, PROBED, service("web", port(80), port(81, target=1)))
    closed = InboundPort(8080, Protocol.HTTP, ("shop/web",), permits=())
    other = replace(closed, port=1)

    assert Inbound((other, replace(closed, health=HEALTH), CLOSED[1])) == inbound(mesh, PROBED)
    assert Inbound((other, closed)) == inbound(mesh, POD)


def test_where_policies_decide_the_kubelets_probes_come_in_beside_them() -> None:
    mesh = mesh_of(namespace(), mesh_config(permissive=False), PROBED, service("web", port(80)))
    [probed, other] = CLOSED
    by_policy = InboundPort(
        8080, Protocol.HTTP, ("shop/web",), permits=(), health=probed.probes or ()
    )

    assert Inbound((by_policy, other)) == inbound(mesh, PROBED)


def test_probes_of_ports_that_no_service_leads_to_come_in_too() -> None:
    mesh = mesh_of(namespace(), mesh_config(), PROBED, service("web", port(80)))

    assert Inbound((_port(8080, "shop/web"), CLOSED[1])) == inbound(mesh, PROBED)


def test_a_probe_over_tls_of_a_port_that_is_closed_is_a_problem() -> None:
    closed = mesh_of(namespace(), mesh_config(), PROBED)
    opened = mesh_of(namespace(), mesh_config(), PROBED, service("web", port(80, target=9443)))

    (problem,) = problems(closed)
    assert (problem.object.name, problem.reason) == ("web-1", Reason.NOT_ENFORCEABLE)
    assert () == problems(opened)


def test_external_authorization_is_a_problem_that_says_what_it_closes() -> None:
    mesh = mesh_of(namespace(), replace(mesh_config(), external_authorization=True))

    (problem,) = problems(mesh)
    assert problem.field == "spec.traffic.inboundExternalAuthorization"
    assert problem.reason == Reason.NOT_SUPPORTED
    assert "sidecars let nothing in but the kubelet's probes" in problem.message
