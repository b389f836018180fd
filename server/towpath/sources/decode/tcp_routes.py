"""TCPRoute: ports of pods. An invalid one is left out: it would have been allowed."""

from __future__ import annotations

from collections.abc import Mapping

from towpath.model.codes import Code
from towpath.model.inmesh import TCPRoute
from towpath.sources.decode.fields import Reader, report_unknown
from towpath.sources.decode.findings import Findings
from towpath.sources.decode.names import PORTS, is_port
from towpath.sources.decode.schema import Schema

_CLOSED = "the route names no port"
SCHEMA = Schema.of_object(
    effect=_CLOSED,
    spec=Schema.of(effect=_CLOSED, matches=Schema.of("name", "ports", effect=_CLOSED)),
)


def tcp_route(raw: Mapping[str, object], findings: Findings) -> TCPRoute | None:
    """One route; without ports it is for all of them, but for none if they cannot be read."""
    report_unknown(raw, SCHEMA, findings)
    top = Reader(raw, "", findings, SCHEMA)
    spec = top.section("spec")
    matches = spec.section("matches")
    unclear = not (top.may_be_mapping("spec") and spec.may_be_mapping("matches"))
    misspelt = top.misspelt or spec.misspelt or matches.misspelt
    ports = () if misspelt or unclear else _ports(matches, findings)
    return TCPRoute(
        namespace=findings.ref.namespace, name=findings.ref.name, ports=ports, stamp=top.stamp()
    )


def _ports(matches: Reader, findings: Findings) -> tuple[int, ...] | None:
    value, path = matches.value("ports"), matches.path("ports")
    if value is None or value == []:
        return None
    if not isinstance(value, list):
        findings.invalid(path, value, allowed="a list of ports", effect=_CLOSED)
        return ()
    ports = set()
    for index, port in enumerate(value):
        if isinstance(port, int) and not isinstance(port, bool) and is_port(port):
            ports.add(port)
        else:
            where = f"{path}[{index}]"
            findings.invalid(where, port, allowed=PORTS, effect="it is left out")
    if not ports:
        findings.add(Code.NOTHING_LEFT, path, f"nothing valid is left in the list: {_CLOSED}")
    return tuple(sorted(ports))
