"""What cannot be planned is a Problem that names the object, the field and the consequence."""

from __future__ import annotations

from support.objects import (
    egress,
    endpoint_slice,
    headless,
    mesh_config,
    mesh_of,
    namespace,
    pod,
    route_group,
    service,
    setting,
)
from towpath.model.codes import Code, Reason
from towpath.model.names import ObjectRef
from towpath.model.problem import Problem
from towpath.planning import problems

CONFIG = ObjectRef("MeshConfig", "osm-system", "osm-mesh-config")


def test_a_whole_mesh_has_no_problem() -> None:
    mesh = mesh_of(
        namespace(),
        mesh_config(),
        service("web"),
        endpoint_slice("web", "10.0.0.1"),
        headless("db"),
        pod("web-1"),
    )

    assert () == problems(mesh)


def test_a_missing_mesh_config_is_a_problem_that_says_what_is_off() -> None:
    (found,) = problems(mesh_of(namespace()))

    assert Problem(CONFIG, "", Code.MISSING_MESH_CONFIG, found.message) == found
    assert "every switch is off, in-mesh traffic included" in found.message


def test_permissive_mode_off_is_no_problem() -> None:
    assert () == problems(mesh_of(mesh_config(permissive=False, egress=True)))


def test_a_slice_of_a_service_that_does_not_exist_is_a_problem() -> None:
    (found,) = problems(
        mesh_of(namespace(), mesh_config(), endpoint_slice("ghost", "10.0.0.1", name="ghost-x"))
    )

    assert ObjectRef("EndpointSlice", "shop", "ghost-x") == found.object
    assert found.field == "metadata.labels[kubernetes.io/service-name]"
    assert found.reason is Reason.MISSING
    assert "Service shop/ghost does not exist" in found.message


def test_a_slice_of_a_namespace_that_is_not_monitored_is_nobodys_problem() -> None:
    mesh = mesh_of(namespace(mesh=None), mesh_config(), endpoint_slice("ghost", "10.0.0.1"))

    assert () == problems(mesh)


def test_a_service_that_nothing_can_answer_for_is_a_problem() -> None:
    (found,) = problems(mesh_of(namespace(), mesh_config(), service("manual", selector={})))

    assert (ObjectRef("Service", "shop", "manual"), "spec.selector", Reason.MISSING) == (
        found.object,
        found.field,
        found.reason,
    )


def test_a_service_without_a_selector_but_with_a_slice_is_whole() -> None:
    manual = service("manual", selector={})

    mesh = mesh_of(namespace(), mesh_config(), manual, endpoint_slice("manual", "192.0.2.1"))

    assert () == problems(mesh)


def test_problems_are_sorted() -> None:
    found = problems(
        mesh_of(
            namespace(),
            service("z", selector={}),
            service("a", selector={}, ips=("10.96.0.2",)),
            endpoint_slice("ghost", "10.0.0.1"),
        )
    )

    assert sorted(found) == list(found)
    assert len(found) == 4


def test_a_setting_or_group_that_no_policy_refers_to_says_that_it_has_no_effect() -> None:
    held = (namespace(), mesh_config(policies=True), setting("limits"), route_group("get"))
    unused = problems(mesh_of(*held))
    used = problems(mesh_of(*held, egress(setting="limits", route_groups=("get",))))

    assert [(p.object.kind, p.object.name, p.reason) for p in unused] == [
        ("HTTPRouteGroup", "get", Reason.NOT_SUPPORTED),
        ("UpstreamTrafficSetting", "limits", Reason.NOT_SUPPORTED),
    ]
    assert all("no Egress" in p.message for p in unused)
    assert used == ()
