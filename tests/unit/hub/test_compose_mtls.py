"""Snapshots with mutual TLS: every secret that is named is there, and changes concern whom they
must.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any
from unittest.mock import patch

from envoy.extensions.transport_sockets.tls.v3.tls_pb2 import (
    DownstreamTlsContext,
    UpstreamTlsContext,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from support.decoded import cluster, listener
from support.examples import examples
from support.identities import identity
from support.marked import config, encrypted_mesh, marked_pod, web, with_authority
from support.objects import endpoint_slice, fill, headless, mesh_of, namespace, new_store, service
from towpath.encode.envoy import mtls_cluster, outbound_listener
from towpath.hub.compose import snapshot
from towpath.hub.queries import Queries
from towpath.model.identity import MODES, NO_IDENTITY, MtlsMode, slot_of
from towpath.model.mesh import Mesh
from towpath.model.meshconfig import MeshConfig
from towpath.model.names import Account, ClientKind, SidecarId
from towpath.model.snapshot import Snapshot
from towpath.model.types import CLUSTER, LISTENER, SECRET, SHORT_NAMES
from towpath.model.workloads import Namespace, Pod
from towpath.planning.identity import MARK

ADDRESSES = tuple(f"10.1.0.{number}" for number in range(1, 7))
CURL, WEB = SidecarId("curl", "shop"), SidecarId("web-1", "shop")


def _snapshot(mesh: Mesh, who: SidecarId) -> Snapshot:
    sent = snapshot(mesh, ClientKind.ENVOY, who)
    assert sent is not None
    return sent


def _named(sent: Snapshot) -> set[str]:
    """Every secret that a cluster or a chain of the snapshot subscribes to."""
    return {name for context in _contexts(sent) for name in _secrets(context.common_tls_context)}


def _contexts(sent: Snapshot) -> Iterator[Any]:
    for resource in sent.of(LISTENER).values():
        for chain in listener(resource).filter_chains:
            server = DownstreamTlsContext()
            if chain.transport_socket.typed_config.Unpack(server):
                yield server
    for resource in sent.of(CLUSTER).values():
        described = cluster(resource)
        matches = (one.transport_socket for one in described.transport_socket_matches)
        for socket in (described.transport_socket, *matches):
            client = UpstreamTlsContext()
            if socket.typed_config.Unpack(client):
                yield client


def _secrets(tls: Any) -> Iterator[str]:
    yield from (str(one.name) for one in tls.tls_certificate_sds_secret_configs)
    yield str(tls.validation_context_sds_secret_config.name)


@st.composite
def meshes(draw: st.DrawFn) -> Mesh:
    """Two services, one of them headless, of pods of three accounts, of which any are marked."""
    marks = draw(st.lists(st.booleans(), min_size=8, max_size=8))
    accounts = draw(st.lists(st.sampled_from(["a", "b", "c"]), min_size=8, max_size=8))
    pods = [
        marked_pod(
            f"{app}-{number}",
            app=app,
            marked=marks[number],
            account=accounts[number],
            addresses=[address],
        )
        for number, (app, address) in enumerate(zip(("web", "db") * 3, ADDRESSES, strict=True))
    ]
    client = marked_pod("curl", app="curl", marked=marks[7], account=accounts[7])
    said = draw(st.sampled_from([None, *MODES]))
    mesh = mesh_of(
        Namespace("shop", "osm", said),
        config(draw(st.sampled_from(MODES))),
        service("web"),
        headless("db"),
        endpoint_slice("web", *ADDRESSES[::2]),
        endpoint_slice("db", *ADDRESSES[1::2]),
        *pods,
        client,
    )
    return with_authority(mesh) if draw(st.booleans()) else mesh


@settings(max_examples=examples(60))
@given(meshes())
def test_trap_6_every_secret_that_is_named_is_in_the_snapshot_and_no_other(mesh: Mesh) -> None:
    for pod in ("curl", *(f"{app}-{n}" for n, app in enumerate(("web", "db") * 3))):
        sent = _snapshot(mesh, SidecarId(pod, "shop"))

        assert _named(sent) == set(sent.of(SECRET))


@settings(max_examples=examples(30))
@given(meshes())
def test_without_an_authority_marks_and_modes_change_not_one_byte(mesh: Mesh) -> None:
    without = replace(mesh, identity=NO_IDENTITY)
    plain = mesh_of(*map(_silent, without.objects.values()))

    for who in (CURL, SidecarId("web-0", "shop"), SidecarId("db-1", "shop")):
        assert _bytes(_snapshot(plain, who)) == _bytes(_snapshot(without, who))


def _silent(one: Any) -> Any:
    """The object without a word on mutual TLS."""
    match one:
        case Namespace():
            return replace(one, mtls=None)
        case MeshConfig():
            return replace(one, mtls=MtlsMode.PERMISSIVE)
        case Pod():
            return replace(one, labels=tuple(label for label in one.labels if label != MARK))
    return one


def _bytes(sent: Snapshot) -> dict[str, Mapping[str, bytes]]:
    return {t: {n: r.packed for n, r in sent.of(t).items()} for t in SHORT_NAMES}


def test_the_secrets_have_the_names_of_open_service_mesh() -> None:
    mesh = encrypted_mesh(*web(*ADDRESSES[:1]), marked_pod("curl", app="curl", account="curl"))

    assert {
        "service-cert:shop/curl",
        "root-cert-for-mtls-outbound:shop/web",
    } == set(_snapshot(mesh, CURL).of(SECRET))
    assert {
        "service-cert:shop/web",
        "root-cert-for-mtls-inbound:shop/web",
        "root-cert-for-mtls-outbound:shop/web",
    } == set(_snapshot(mesh, WEB).of(SECRET))


def _changed(before: Mesh, after: Mesh, who: SidecarId) -> set[str]:
    old, new = _snapshot(before, who), _snapshot(after, who)
    changed = {t: new.of(t).changed_since(old.of(t)) for t in SHORT_NAMES}
    return {f"{SHORT_NAMES[t]} {name}" for t, names in changed.items() for name in names}


def test_a_new_leaf_is_sent_to_its_account_and_changes_nothing_else() -> None:
    mesh = encrypted_mesh(*web(*ADDRESSES[:1]), marked_pod("curl", app="curl", account="curl"))
    renewed = replace(mesh, identity=identity(later=(slot_of(Account("shop", "curl")),)))

    assert {"sds service-cert:shop/curl"} == _changed(mesh, renewed, CURL)
    assert set() == _changed(mesh, renewed, WEB)


def test_another_account_behind_a_service_changes_whom_its_callers_trust_and_no_cluster() -> None:
    client = marked_pod("curl", app="curl", account="curl")
    one = encrypted_mesh(*web(*ADDRESSES[:1]), client)
    more = web(*ADDRESSES[:1]), marked_pod("new", account="new", addresses=[ADDRESSES[1]])
    two = encrypted_mesh(*more[0], more[1], endpoint_slice("web", ADDRESSES[1], name="two"), client)

    expected = {"sds root-cert-for-mtls-outbound:shop/web", "eds shop/web|80"}
    assert expected == _changed(one, two, CURL)


def test_sidecars_of_two_accounts_share_all_but_the_clusters_and_secrets_of_mutual_tls() -> None:
    mesh = encrypted_mesh(
        *web(*ADDRESSES[:1]),
        service("plain", ips=("10.96.0.9",), selector={"app": "plain"}),
        endpoint_slice("plain", ADDRESSES[1]),
        *(marked_pod(name, app="client", account=name) for name in ("a", "b")),
    )

    one, other = (_snapshot(mesh, SidecarId(name, "shop")) for name in ("a", "b"))
    differing = {
        SHORT_NAMES[t]: one.of(t).changed_since(other.of(t)) & set(one.of(t)) for t in SHORT_NAMES
    }
    assert {"cds": {"shop/web|80"}, "sds": {"service-cert:shop/a"}} == {
        short: names for short, names in differing.items() if names
    }


def test_a_newly_marked_service_is_encoded_alone_and_not_with_all_others() -> None:
    names = [f"s{number}" for number in range(20)]
    objects = [
        one
        for number, name in enumerate(names)
        for one in (
            service(name, ips=[f"10.96.1.{number}"]),
            endpoint_slice(name, f"10.2.0.{number}"),
        )
    ]
    pods = [
        marked_pod(name, app=name, marked=name != "s7", addresses=[f"10.2.0.{number}"])
        for number, name in enumerate(names)
    ]
    client = marked_pod("curl", app="curl", account="curl")
    store = new_store()
    store.identify(identity())
    fill(store, namespace(), config(), *objects, *pods, client)
    queries = Queries(store.drain()[0])
    queries.get(snapshot, ClientKind.ENVOY, CURL)
    with (
        patch("towpath.encode.envoy.mtls_cluster", side_effect=mtls_cluster) as encoded,
        patch("towpath.encode.envoy.outbound_listener", side_effect=outbound_listener) as listeners,
    ):
        store.apply(marked_pod("s7", app="s7", addresses=["10.2.0.7"]))
        queries.update(*store.drain())
        queries.get(snapshot, ClientKind.ENVOY, CURL)

    assert ["s7"] == [call.args[0].service for call in encoded.call_args_list]
    assert not listeners.called


def test_a_grpc_client_and_a_pipy_sidecar_are_sent_no_secret() -> None:
    mesh = encrypted_mesh(*web(*ADDRESSES[:1]), marked_pod("curl", app="curl", account="curl"))

    for kind in (ClientKind.GRPC, ClientKind.PIPY):
        sent = snapshot(mesh, kind, CURL)
        assert sent is not None
        assert not sent.of(SECRET)


def test_a_sidecar_outside_the_mesh_is_sent_no_secret() -> None:
    mesh = encrypted_mesh(namespace("bank", mesh=None), marked_pod("curl", in_namespace="bank"))

    assert not _snapshot(mesh, SidecarId("curl", "bank")).of(SECRET)
