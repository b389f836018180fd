"""Names: how a node id is read, and how things are called in text."""

from __future__ import annotations

import pytest

from towpath.model.codes import Code
from towpath.model.names import Account, ObjectRef, SidecarId
from towpath.model.problem import Problem
from towpath.model.types import SHORT_NAMES, short_name


@pytest.mark.parametrize(
    ("node_id", "expected"),
    [
        ("curl.shop", SidecarId(pod="curl", namespace="shop")),
        ("web.v1-0.shop", SidecarId(pod="web.v1-0", namespace="shop")),
    ],
)
def test_a_node_id_is_split_at_its_last_dot(node_id: str, expected: SidecarId) -> None:
    assert expected == SidecarId.parse(node_id)
    assert node_id == str(expected)


@pytest.mark.parametrize("node_id", ["", "curl", ".shop", "curl.", "."])
def test_a_node_id_that_lacks_a_part_is_refused_by_name(node_id: str) -> None:
    with pytest.raises(ValueError, match=r"node id '.*' is not of the form <pod>\.<namespace>"):
        SidecarId.parse(node_id)


@pytest.mark.parametrize(
    "node_id",
    ["Curl.shop", "curl.shop\n", "cu rl.shop", "\x1b[2J.shop", "curl-.shop", "a..shop", "curl.-s"],
)
def test_a_node_id_of_what_no_pod_is_called_is_refused_without_what_moves_a_cursor(
    node_id: str,
) -> None:
    with pytest.raises(ValueError, match=r"is not of the form <pod>\.<namespace>") as error:
        SidecarId.parse(node_id)
    assert str(error.value).isprintable()


def test_a_node_id_is_as_long_as_the_longest_names_of_kubernetes() -> None:
    pod, namespace = "p" * 253, "n" * 63

    assert SidecarId(pod, namespace) == SidecarId.parse(f"{pod}.{namespace}")
    for node_id in (f"{pod}p.{namespace}", f"{pod}.{namespace}n"):
        with pytest.raises(ValueError, match="is too long"):
            SidecarId.parse(node_id)


def test_an_object_is_called_by_kind_namespace_and_name() -> None:
    assert str(ObjectRef("Service", "shop", "web")) == "Service shop/web"
    assert str(ObjectRef("Namespace", "", "shop")) == "Namespace shop"
    assert str(Account("shop", "buyer")) == "shop/buyer"


def test_a_problem_says_where_what_which_field_and_why() -> None:
    ref = ObjectRef("Service", "shop", "web")

    protocol = Problem(ref, "spec.ports", Code.CONFLICTING_PROTOCOL, "taken", "mesh.yaml:3")
    where, code = "mesh.yaml:3: Service shop/web spec.ports", f"[{protocol.code}]"

    assert f"{protocol.severity}: {where}: Conflict: taken {code}" == str(protocol)
    missing = Problem(ref, "", Code.MISSING_SERVICE, "gone")
    assert f"{missing.severity}: Service shop/web: Missing: gone [{missing.code}]" == str(missing)


def test_types_are_sent_secrets_clusters_and_endpoints_first() -> None:
    assert ["sds", "cds", "eds", "lds", "rds", "sidecar"] == list(SHORT_NAMES.values())


def test_a_type_that_is_not_served_has_a_bounded_name() -> None:
    assert short_name("type.googleapis.com/whatever.the.client.Sent") == "other"
