"""The manual's page on egress passthrough, on a real Pipy with osm-edge's scripts."""

from __future__ import annotations

from contextlib import ExitStack

import pytest

from pipy.conftest import Serve
from support.dataplane.clients import curl_until
from support.dataplane.mesh import CURL_ALONE
from support.dataplane.network import OUTSIDE

pytestmark = pytest.mark.pipy

URL = f"http://{OUTSIDE[0]}/"


def test_the_switch_is_off_on_and_off_again_as_the_manual_has_it(
    serve: Serve, stack: ExitStack
) -> None:
    manifests, pod = serve(CURL_ALONE)
    curl = pod("curl", "curl.curl")
    agent = curl.child()
    agent.start()
    stack.callback(agent.stop)

    curl_until(curl.pod, URL, exits=7)
    manifests.set_egress(on=True)
    assert "outside\n" == curl_until(curl.pod, URL, status=200).body
    manifests.set_egress(on=False)
    curl_until(curl.pod, URL, exits=7)
