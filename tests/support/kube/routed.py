"""An API server that reaches the control plane as in a cluster: by a Service's endpoints."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from support.dataplane.netns import Namespace, ip
from support.kube.cluster import Cluster

FLAGS = ("--enable-aggregator-routing=true",)
"""The API server looks endpoints up, as one does that no kube-proxy serves."""


@contextmanager
def way_in(control: Namespace) -> Iterator[str]:
    """An interface between this machine and *control*; the address of its end there."""
    subnet = f"10.250.{os.getpid() % 250}"
    interface = f"tp{os.getpid()}"
    control.ip(
        *("link", "add", "apiserver", "type", "veth", "peer", "name", interface),
        *("netns", str(os.getpid())),
    )
    control.ip("address", "add", f"{subnet}.2/30", "dev", "apiserver")
    control.ip("link", "set", "apiserver", "up")
    ip("address", "add", f"{subnet}.1/30", "dev", interface)
    ip("link", "set", interface, "up")
    try:
        yield f"{subnet}.2"
    finally:
        ip("link", "delete", interface)


def endpoints(cluster: Cluster, address: str) -> None:
    """What the cluster's controllers would make of the Service `towpath` and its pods."""
    service = cluster.kubectl("get", "service", "towpath", "-n", "osm-system", "-o", "json").json()
    numbers = {"ads": 15128, "ads-token": 15129, "http": 9091, "injection": 10250}
    ports = [
        {"name": one["name"], "port": numbers[one["targetPort"]], "protocol": "TCP"}
        for one in service["spec"]["ports"]
    ]
    document = {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": "towpath-1",
            "namespace": "osm-system",
            "labels": {"kubernetes.io/service-name": "towpath"},
        },
        "addressType": "IPv4",
        "endpoints": [{"addresses": [address], "conditions": {"ready": True}}],
        "ports": ports,
    }
    applied = cluster.apply(document)
    assert applied.exit_code == 0, applied.error
