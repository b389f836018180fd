"""The manual's demo of egress policies, E0 to E18."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from functools import partial

from demo.steps import Seen, Step, milliseconds_since
from support.dataplane.mesh import Document
from support.dataplane.policy import REFUSED, egress, route_group, until_curl
from support.dataplane.rig import Rig

_HTTP = "http://httpbin.org:80/get"
_HTTPS = "https://httpbin.org:443/get"
_OTHER = "https://openservicemesh.io:443"
_STATUS = "http://httpbin.org:80/status/200"
_ROUTES = "egress-http-route"


class PolicyPage:
    """The demo's steps, on a mesh that has nothing but the client."""

    def __init__(self, rig: Rig) -> None:
        self._rig = rig

    def steps(self) -> Iterator[Step]:
        yield Step(
            "E0 Switch policies on, start the client",
            "kubectl patch meshconfig osm-mesh-config -n osm-system --type=merge "
            '-p \'{"spec":{"featureFlags":{"enableEgressPolicy":true}}}\'',
            "2/2 Running",
            self._started,
        )
        http = egress("httpbin-80", (80, "http"), hosts=["httpbin.org"])
        yield from self._around("E1-E4 HTTP", _HTTP, http)
        https = egress("httpbin-443", (443, "https"), hosts=["httpbin.org"])
        yield from self._around("E5-E8 HTTPS", _HTTPS, https)
        yield from self._around("E9-E12 TCP", _OTHER, egress("tcp-443", (443, "tcp")))
        routed = egress("httpbin-80", (80, "http"), hosts=["httpbin.org"], groups=[_ROUTES])
        yield self._call("E13 Call two paths", _HTTP, exits=REFUSED)
        yield self._call("E13 Call two paths", _STATUS, exits=REFUSED)
        get = route_group(_ROUTES, "/get")
        yield self._apply("E14 Allow one path", routed, get)
        yield self._call("E15 Call it", _HTTP, status=200)
        yield self._call("E16 Call the other path", _STATUS, status=404)
        both = route_group(_ROUTES, "/get", "/status.*")
        yield self._apply("E17 Allow the other path", routed, both)
        yield self._call("E18 Call it", _STATUS, status=200)

    def _around(self, title: str, url: str, policy: Document) -> Iterator[Step]:
        """Refused, allowed by a policy, and refused again without it."""
        name = policy["metadata"]["name"]
        yield self._call(f"{title}: call without a policy", url, exits=REFUSED)
        yield self._apply(f"{title}: apply a policy", policy)
        yield self._call(f"{title}: call", url, status=200)
        typed = f"kubectl delete egress {name} -n curl"
        yield Step(f"{title}: delete it", typed, "deleted", self._withdraw)
        yield self._call(f"{title}: call again", url, exits=REFUSED)

    def _apply(self, title: str, *documents: Document) -> Step:
        return Step(title, "kubectl apply -f -", "created", partial(self._applied, *documents))

    def _call(self, title: str, url: str, *, exits: int = 0, status: int = 0) -> Step:
        typed = f"kubectl exec curl -n curl -c curl -- curl -sI {url}"
        expected = f"HTTP {status}" if status else f"exit code {exits}"
        return Step(title, typed, expected, partial(self._called, url, exits=exits, status=status))

    def _started(self) -> Seen:
        ready = self._rig.sidecar.admin.ready()
        return Seen(ready, "towpath and envoy run, policies are on", f"ready: {ready}", 0.0)

    def _applied(self, *documents: Document) -> Seen:
        moment = self._rig.manifests.apply(*documents)
        kinds = ", ".join(f"{d['kind']} {d['metadata']['name']}" for d in documents)
        done = f"{kinds}, written to the folder that Towpath serves"
        return Seen(
            passed=True, done=done, outcome="written", milliseconds=milliseconds_since(moment)
        )

    def _withdraw(self) -> Seen:
        moment = self._rig.manifests.withdraw()
        done = "removed from the folder that Towpath serves"
        return Seen(
            passed=True, done=done, outcome="removed", milliseconds=milliseconds_since(moment)
        )

    def _called(self, url: str, *, exits: int, status: int) -> Seen:
        options = ("--head", "--cacert", str(self._rig.hosts.ca))
        seen = until_curl(self._rig, url, *options, exits=exits, status=status)
        line = seen.body.partition("\n")[0].strip() or f"exit code {seen.exit_code}: {seen.error}"
        typed = shlex.join(("curl", "-sI", url))
        return Seen(passed=True, done=f"$ {typed}", outcome=line, milliseconds=seen.seconds * 1000)
