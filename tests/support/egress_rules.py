"""Egress rules and attempts, generated close to each other so that they overlap."""

from __future__ import annotations

from hypothesis import strategies as st

from towpath.model.egress import RequestMatch
from towpath.model.names import Protocol
from towpath.planning.egress.decide import Attempt
from towpath.planning.egress.rules import Rule

PORTS = (80, 443)
HOSTS = ("a.test", "b.a.test", "c.b.a.test", "*.a.test", "*.b.a.test", "*.test", "other.org")
RANGES = ("0.0.0.0/0", "10.0.0.0/8", "10.1.0.0/16", "10.1.1.0/24", "10.1.1.1/32", "192.0.2.0/24")
ADDRESSES = (None, "10.1.1.1", "10.1.1.2", "10.1.2.1", "10.2.0.1", "192.0.2.9", "198.51.100.1")
SAID = (
    "a.test",
    "b.a.test",
    "c.b.a.test",
    "x.test",
    "y.x.test",
    "z.b.a.test",
    "other.org",
    "no.org",
)
MATCHES = (RequestMatch("/a"), RequestMatch("/b", ("GET",)), RequestMatch("/.*", ("PUT",)))

protocols = st.sampled_from(Protocol)


@st.composite
def rules(draw: st.DrawFn) -> Rule:
    protocol = draw(protocols)
    named = protocol in (Protocol.HTTP, Protocol.HTTPS)
    some = st.lists(st.sampled_from(HOSTS), max_size=3, unique=True).map(tuple)
    hosts = st.none() | some if protocol is Protocol.HTTPS else some
    matches = st.none() | st.lists(st.sampled_from(MATCHES), max_size=2, unique=True).map(tuple)
    return Rule(
        policy=draw(st.sampled_from(("p/one", "p/two", "p/three"))),
        port=draw(st.sampled_from(PORTS)),
        protocol=protocol,
        hosts=draw(hosts) if named else None,
        ranges=draw(st.none() | st.lists(st.sampled_from(RANGES), max_size=2).map(tuple)),
        matches=draw(matches) if protocol is Protocol.HTTP else None,
        setting=None,
    )


attempts = st.builds(
    Attempt,
    address=st.sampled_from(ADDRESSES),
    port=st.sampled_from(PORTS),
    protocol=st.sampled_from((Protocol.HTTP, Protocol.HTTPS, Protocol.TCP)),
    host=st.sampled_from(SAID),
    method=st.sampled_from(("GET", "PUT")),
    path=st.sampled_from(("/a", "/b", "/c?a=/a")),
)
