"""Many raw requests at once to a test cluster, as its administrator."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import yaml

from support.kube.cluster import Cluster

KINDS = (
    "namespaces,services,endpointslices,pods,serviceaccounts,meshconfigs,egresses,"
    "httproutegroups,upstreamtrafficsettings,traffictargets,tcproutes,trafficsplits,retries,"
    "ingressbackends"
)
"""All that Towpath watches, as kubectl takes it."""


class Writer:
    """Raw requests, tried again while the server is away."""

    def __init__(self, cluster: Cluster, session: aiohttp.ClientSession) -> None:
        self._url = cluster.url
        self.session = session
        self.done = 0

    async def write(self, method: str, path: str, body: Any = None) -> None:
        """Send it until it is taken; what is there already, or gone already, is no error."""
        kind = "merge-patch+json" if method == "PATCH" else "json"
        head = {"Content-Type": f"application/{kind}"}
        while True:
            try:
                async with self.session.request(
                    method, self._url + path, json=body, headers=head
                ) as answer:
                    await answer.read()
                    if answer.status < 500 and answer.status != 429:
                        assert answer.status in (200, 201, 404, 409), await answer.text()
                        self.done += 1
                        return
            except aiohttp.ClientError:
                pass
            await asyncio.sleep(0.05)


@asynccontextmanager
async def writing(cluster: Cluster) -> AsyncIterator[Writer]:
    trust = ssl.create_default_context()
    trust.check_hostname = False
    trust.verify_mode = ssl.CERT_NONE
    user = yaml.safe_load(cluster.kubeconfig().read_text())["users"][0]["user"]
    bearer = {"Authorization": f"Bearer {user['token']}"}
    connector = aiohttp.TCPConnector(ssl=trust)
    async with aiohttp.ClientSession(connector=connector, headers=bearer) as session:
        yield Writer(cluster, session)
