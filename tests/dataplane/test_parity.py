"""One truth everywhere: `towpath render`, Envoy, our own client, and every server say the same."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

import pytest
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.json_format import MessageToDict, ParseDict

# Any prints what it carries only if the message's type is imported.
import towpath.encode.envoy  # noqa: F401
from support.dataplane.admin import Admin
from support.dataplane.rig import Rig
from support.dataplane.subscriber import first_updates
from support.dataplane.towpath import Towpath
from towpath.encode.envoy.bootstrap import Transport
from towpath_client import Update

pytestmark = pytest.mark.dataplane

PODS = ("curl", "bookstore-0")
BY_WILDCARD = ("cds", "lds")
Resources = Mapping[str, Mapping[str, Any]]


@pytest.mark.parametrize("pod", PODS)
def test_envoy_holds_what_render_prints(bookstore: Rig, pod: str) -> None:
    bookstore.switch_egress(on=True)
    sidecar = bookstore.sidecars[pod]
    rendered = bodies(render(bookstore, pod))
    endpoints = {name: addresses(body) for name, body in rendered.pop("eds").items()}

    sidecar.until(
        lambda: in_force(sidecar.admin),
        lambda held: held == rendered,
        what=f"the Envoy of {pod} holds {rendered}",
    )
    assert {name: sidecar.admin.hosts(name) for name in endpoints} == endpoints


@pytest.mark.parametrize("pod", PODS)
async def test_our_own_client_holds_what_render_prints(bookstore: Rig, pod: str) -> None:
    await bookstore.toggle(on=True)
    rendered = render(bookstore, pod)

    updates = await first_updates(bookstore, names_in(rendered), pod=pod)

    held = {
        short: {name: MessageToDict(found.body) for name, found in update.resources.items()}
        for short, update in updates.items()
    }
    assert held == bodies(rendered)
    if bookstore.transport is Transport.DELTA:
        assert versions(updates, bookstore.transport) == {
            short: {name: body["version"] for name, body in rendered[short]["resources"].items()}
            for short in rendered
        }
    else:
        assert {s: updates[s].version for s in BY_WILDCARD} == {
            s: rendered[s]["version"] for s in BY_WILDCARD
        }


@pytest.mark.parametrize("pod", PODS)
async def test_two_servers_on_one_folder_give_the_same_versions(bookstore: Rig, pod: str) -> None:
    await bookstore.toggle(on=True)
    rendered = render(bookstore, pod)
    names = names_in(rendered)

    control, manifests = bookstore.network.control, bookstore.manifests.folder
    with Towpath(control, manifests, folder=bookstore.folder, offset=1) as second:
        one = await first_updates(bookstore, names, pod=pod)
        other = await first_updates(bookstore, names, pod=pod, server=second)

    assert versions(one, bookstore.transport) == versions(other, bookstore.transport)


def test_the_inspector_names_each_envoy_with_what_it_acknowledged(bookstore: Rig) -> None:
    host, port = bookstore.towpath.ads
    command = (sys.executable, "-m", "towpath", "sidecars", "--server", f"{host}:{port}")

    def listed() -> dict[str, set[bool]]:
        done = bookstore.network.control.run(*command, "-o", "json")
        assert done.returncode == 0, done.stderr
        return {
            sidecar["nodeId"]: {
                delivery["sent"]["version"] == (delivery["acknowledged"] or {}).get("version")
                for delivery in sidecar["deliveries"]
            }
            for sidecar in json.loads(done.stdout)["sidecars"]
        }

    node_ids = {sidecar.node_id for sidecar in bookstore.sidecars.values()}
    bookstore.sidecar.until(
        listed,
        lambda seen: seen == {node_id: {True} for node_id in node_ids},
        what="every sidecar has acknowledged everything",
    )


def render(bookstore: Rig, pod: str) -> dict[str, Any]:
    """What `towpath render` prints for a pod's sidecar."""
    done = subprocess.run(
        [
            *(sys.executable, "-m", "towpath", "render", "-o", "json"),
            *("--manifests", str(bookstore.manifests.folder)),
            *("--sidecar", bookstore.sidecars[pod].node_id),
        ],
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    rendered: dict[str, Any] = json.loads(done.stdout)
    return rendered


def names_in(rendered: dict[str, Any]) -> dict[str, tuple[str, ...]]:
    """What to subscribe to by type: all listeners and clusters, the rest by name."""
    return {
        short: ("*",) if short in BY_WILDCARD else tuple(rendered[short]["resources"])
        for short in rendered
    }


def versions(updates: Mapping[str, Update], transport: Transport) -> dict[str, Any]:
    """The versions that came: each resource's own in delta, the response's in SotW."""
    if transport is Transport.SOTW:
        return {short: update.version for short, update in updates.items()}
    return {
        short: {name: found.version for name, found in update.resources.items()}
        for short, update in updates.items()
    }


def bodies(rendered: Mapping[str, Any]) -> dict[str, Resources]:
    """The resources without their versions, by type and name."""
    return {
        short: {
            name: {key: value for key, value in body.items() if key != "version"}
            for name, body in rendered[short]["resources"].items()
        }
        for short in rendered
    }


def in_force(admin: Admin) -> dict[str, Resources]:
    """What Envoy says that it uses, as `towpath render` would print it."""
    return {
        "cds": {name: as_printed(e["cluster"]) for name, e in admin.clusters().items()},
        "lds": {name: as_printed(e["listener"]) for name, e in admin.listeners().items()},
        "rds": {name: as_printed(e["route_config"]) for name, e in admin.routes().items()},
    }


def as_printed(dumped: dict[str, Any]) -> dict[str, Any]:
    """Envoy's JSON, which has the names of the fields as they are in the protos, as Python's."""
    return MessageToDict(ParseDict(dumped, AnyMessage()))


def addresses(assignment: Mapping[str, Any]) -> list[str]:
    found = [
        endpoint["endpoint"]["address"]["socketAddress"]
        for locality in assignment.get("endpoints", [])
        for endpoint in locality["lbEndpoints"]
    ]
    return sorted(f"{address['address']}:{address['portValue']}" for address in found)
