"""Retries on a real Envoy: a server that fails at first is called again, as often as is said."""

from __future__ import annotations

from itertools import count
from typing import Any

import pytest

from support.dataplane.clients import curl
from support.dataplane.hosts import FLAKY_PORT
from support.dataplane.mesh import WITH_A_SERVICE, Manifests
from support.dataplane.rig import Rig
from support.dataplane.wait import equals

pytestmark = pytest.mark.dataplane

SERVICE = "10.96.0.20"
CLUSTER = "cluster.bookstore/bookstore|80"
_NUMBERS = count()


@pytest.fixture(scope="module")
def shop(open_mesh: Any) -> Rig:
    """A service whose server fails as often as the path says, and a mesh with Retries on."""

    def flaky(manifests: Manifests) -> None:
        ports = [{"name": "http", "port": 80, "targetPort": FLAKY_PORT}]
        manifests.patch("Service", "bookstore", {"spec": {"ports": ports}})
        [slice_] = manifests.all("EndpointSlice")
        targets = [{"name": "http", "port": FLAKY_PORT, "protocol": "TCP"}]
        manifests.patch("EndpointSlice", slice_["metadata"]["name"], {"ports": targets})
        switch(manifests, on=True)

    rig: Rig = open_mesh(WITH_A_SERVICE, prepare=flaky)
    return rig


def test_a_request_that_fails_is_sent_again_as_often_as_is_said(shop: Rig) -> None:
    shop.manifests.apply(retry(5))
    answered(shop, fails=5, status=200)
    before = shop.sidecar.admin.stat(f"{CLUSTER}.upstream_rq_retry")
    enough, attempts = call(shop, fails=5)
    retried = shop.sidecar.admin.stat(f"{CLUSTER}.upstream_rq_retry") - before
    too_often, most = call(shop, fails=9)

    assert (200, 6, 5) == (enough, attempts, retried)
    assert (503, 6) == (too_often, most)


def test_with_the_switch_off_or_without_the_retry_it_is_not(shop: Rig) -> None:
    shop.manifests.apply(retry(5))
    answered(shop, fails=1, status=200)
    switch(shop.manifests, on=False)
    answered(shop, fails=1, status=503)
    before = shop.sidecar.admin.stat(f"{CLUSTER}.upstream_rq_retry")
    off = call(shop, fails=1)
    retried = shop.sidecar.admin.stat(f"{CLUSTER}.upstream_rq_retry") - before
    switch(shop.manifests, on=True)
    answered(shop, fails=1, status=200)
    shop.manifests.withdraw()
    answered(shop, fails=1, status=503)

    assert ((503, 1), 0) == (off, retried)


def test_what_did_not_fail_in_that_way_is_not_sent_again(shop: Rig) -> None:
    shop.manifests.apply(retry(5, retry_on="503"))
    answered(shop, fails=1, status=200)
    shop.manifests.apply(retry(5, retry_on="502,connect-failure"))
    answered(shop, fails=1, status=503)

    assert (503, 1) == call(shop, fails=1)


def retry(times: int, *, retry_on: str = "5xx") -> dict[str, Any]:
    return {
        "apiVersion": "policy.openservicemesh.io/v1alpha1",
        "kind": "Retry",
        "metadata": {"name": "again", "namespace": "curl"},
        "spec": {
            "source": {"kind": "ServiceAccount", "name": "curl", "namespace": "curl"},
            "destinations": [{"kind": "Service", "name": "bookstore", "namespace": "bookstore"}],
            "retryPolicy": {
                "retryOn": retry_on,
                "perTryTimeout": "10s",
                "numRetries": times,
                "retryBackoffBaseInterval": "1ms",
            },
        },
    }


def switch(manifests: Manifests, *, on: bool) -> None:
    change = {"spec": {"featureFlags": {"enableRetryPolicy": on}}}
    manifests.patch("MeshConfig", "osm-mesh-config", change)


def call(rig: Rig, *, fails: int) -> tuple[int, int]:
    """The status of a call of which the first *fails* attempts fail, and how many there were."""
    path = f"/{fails}/{next(_NUMBERS)}"
    status = curl(rig.client, f"http://{SERVICE}{path}").status
    return status, rig.hosts.attempts[path]


def answered(rig: Rig, *, fails: int, status: int) -> None:
    rig.sidecar.until(lambda: call(rig, fails=fails)[0], equals(status), what=f"it gives {status}")
