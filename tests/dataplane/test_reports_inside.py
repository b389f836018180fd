"""Traffic in the mesh is not reported: nobody observes it, and it is far more."""

from __future__ import annotations

import pytest

from support.dataplane.clients import curl
from support.dataplane.network import OUTSIDE
from support.dataplane.policy import until_curl
from support.dataplane.reports import observe, reported
from support.dataplane.rig import Rig
from towpath.encode.envoy.bootstrap import Transport

pytestmark = pytest.mark.dataplane

ELSEWHERE = OUTSIDE[5]
INSIDE = "http://10.96.0.20/"
REPORTED = ("curl/curl", "httpbin.org", 80, "http", "allow", "passthrough")


@pytest.fixture(scope="module")
def transport() -> Transport:
    """One is enough: what is reported does not go by it."""
    return Transport.DELTA


def test_what_stays_in_the_mesh_is_not_reported(bookstore: Rig) -> None:
    observe(bookstore, "reports")
    bookstore.manifests.set_egress(on=True)
    until_curl(bookstore, f"http://{ELSEWHERE}:80/", status=200)
    for _ in range(5):
        until_curl(bookstore, INSIDE, status=200)
    curl(bookstore.client, "http://httpbin.org/")
    bookstore.sidecar.until(
        lambda: reported(bookstore), lambda flows: REPORTED in flows, what="the last is reported"
    )

    assert 0 == bookstore.towpath.metric("towpath_reports_total", verdict="unused")
