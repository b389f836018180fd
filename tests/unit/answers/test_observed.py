"""Whose an address is, of which reports say nothing else."""

from __future__ import annotations

from dataclasses import replace

from support.objects import mesh_of, namespace, pod
from towpath.answers.observed import account_at
from towpath.model.names import Account

NODE, POD = "192.0.2.1", "10.0.0.1"


def test_an_address_is_that_of_its_pods_account_and_a_nodes_is_nobodys() -> None:
    exporter = replace(pod("exporter", account="exporter", addresses=[NODE]), host_network=True)
    mesh = mesh_of(namespace(), pod("curl", account="curl", addresses=[POD]), exporter)

    assert Account("shop", "curl") == account_at(mesh, POD)
    assert account_at(mesh, NODE) is None
    assert account_at(mesh, "10.0.0.9") is None
