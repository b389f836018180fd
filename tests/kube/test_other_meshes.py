"""Another mesh is safe from us: on an API server as a living Open Service Mesh has furnished it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support.kube import osm
from support.kube.cluster import Cluster
from support.kube.command import towpath

pytestmark = pytest.mark.kube

FOUND = (
    "Open Service Mesh in osm-system (mesh osm): Deployment osm-bootstrap, osm-controller, "
    "osm-injector"
)


@pytest.fixture(scope="module")
def living(bare: Cluster) -> Iterator[Cluster]:
    """The API server with a living Open Service Mesh, which no test of this module changes."""
    osm.live(bare)
    yield bare
    osm.gone(bare)


@pytest.mark.parametrize(
    "arguments",
    [
        ("install",),
        ("install", "--set", "osm.enableEgress=true"),
        ("install", "--take-ownership"),
        ("install", "--osm-namespace", "towpath-system", "--mesh-name", "towpath"),
        ("uninstall", "mesh", "-f"),
        ("uninstall", "-a", "--delete-namespace", "-f"),
        ("uninstall", "--osm-namespace", "towpath-system", "-a", "--delete-namespace", "-f"),
    ],
    ids=" ".join,
)
def test_beside_a_living_mesh_nothing_is_changed_and_it_is_named(
    living: Cluster, arguments: tuple[str, ...]
) -> None:
    before = osm.objects(living)
    done = towpath(living, *arguments)

    assert done.exit_code == 1
    assert FOUND in done.error
    assert "docs/migrate-from-osm.md" in done.error
    assert before == osm.objects(living)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("install",), "osm-system is the namespace of another control plane"),
        (("install", "--osm-namespace", "towpath-system"), "mesh osm has a control plane already"),
        (("uninstall", "-a", "-f"), "needs the definitions and every policy"),
    ],
    ids=["namespace", "mesh", "definitions"],
)
def test_what_two_meshes_cannot_share_is_refused_although_others_are_allowed(
    living: Cluster, arguments: tuple[str, ...], said: str
) -> None:
    before = osm.objects(living)
    done = towpath(living, *arguments, "--allow-other-meshes")

    assert done.exit_code == 1
    assert said in done.error
    assert before == osm.objects(living)


@pytest.mark.parametrize("what", ["add", "remove"])
def test_namespaces_of_another_mesh_are_left(living: Cluster, what: str) -> None:
    before = osm.objects(living)
    done = towpath(living, "namespace", what, "shop")

    assert done.exit_code == 1
    assert f"mesh osm may be another's: {FOUND}" in done.error
    assert before == osm.objects(living)


def test_beside_a_mesh_that_is_allowed_only_ours_comes_and_only_ours_goes(living: Cluster) -> None:
    ours = ("--osm-namespace", "towpath-system", "--allow-other-meshes")
    before = osm.objects(living)
    installed = towpath(living, "install", "--mesh-name", "towpath", *ours)
    upgraded = towpath(living, "upgrade", *ours)
    between = osm.objects(living)
    removed = towpath(living, "uninstall", "-f", *ours)
    after = osm.objects(living)

    assert (installed.exit_code, upgraded.exit_code) == (0, 0), installed.error + upgraded.error
    kept = "  kept      CustomResourceDefinition egresses.policy.openservicemesh.io"
    assert f"{kept} (it has the label app.kubernetes.io/name: openservicemesh.io)" in installed.out
    assert before.items() <= between.items()
    assert removed.exit_code == 0, removed.error
    assert before.items() <= after.items()
    assert {"Namespace/towpath-system"} == after.keys() - before.keys()
