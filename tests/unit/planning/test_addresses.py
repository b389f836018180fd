"""What a change of one pod costs: the slices that hold its address, and no others."""

from __future__ import annotations

import pytest

from support.objects import (
    endpoint_slice,
    fill,
    headless,
    mesh_config,
    namespace,
    new_store,
    pod,
    service,
)
from towpath.hub.queries import Queries
from towpath.model.names import Account
from towpath.planning import endpoints, outbound, problems
from towpath.planning.destinations import destinations_of, directory

SERVICES = 40


@pytest.mark.parametrize("pods", [1, 100])
def test_a_pod_that_changes_concerns_the_services_that_it_is_behind(pods: int) -> None:
    store = new_store()
    fill(
        store,
        namespace(),
        mesh_config(),
        *(headless(f"db-{n}") for n in range(SERVICES)),
        service("web"),
        *(
            endpoint_slice(f"db-{n}", *(f"10.{n}.0.{p}" for p in range(1, pods + 1)))
            for n in range(SERVICES)
        ),
        endpoint_slice("web", "10.99.0.1"),
    )
    queries = Queries(store.drain()[0])
    queries.get(outbound, Account("shop", "curl"))
    queries.get(problems)
    queries.get(endpoints, "shop", "web", 80)

    def cost(name: str, *addresses: str) -> int:
        before = queries.counts.computed
        store.apply(pod(name, app="none", addresses=addresses))
        queries.update(*store.drain())
        queries.get(directory)
        queries.get(endpoints, "shop", "web", 80)
        return queries.counts.computed - before

    unrelated = cost("job", "10.200.0.1")
    first = cost("db-7-1", "10.7.0.1")
    web = cost("web-1", "10.99.0.1")

    assert unrelated == 0
    assert first == 5  # of the slice, the port, the service, its namespace, and all
    assert web == 2  # of the slice and the port
    assert [d.addresses for d in queries.get(directory).reachable if d.direct] == [("10.7.0.1",)]
    assert queries.get(destinations_of, headless("db-7"))[0].addresses == ("10.7.0.1",)
