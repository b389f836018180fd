"""What osm-edge's Pipy scripts do with a config.json, in a few lines of Python.

Written from what those scripts were seen to do. Outwards: a port's first match whose ranges hold
the address, else its first without ranges; by its protocol either requests by Host header, method,
path with query and headers, or bytes. Inwards: who may connect is one of the port's own addresses
that stand in the list of all as well, letter by letter, or of that list where the port has none.
"""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv4Network
from typing import Any

from towpath.model.names import Protocol
from towpath.planning.egress.decide import Attempt

ANY_METHOD = ("GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS")


def lets_out(config: dict[str, Any], attempt: Attempt) -> str | None:
    """Where it goes: `host:port`, or "original" for the dialled address; None: nowhere."""
    through = config["Spec"]["Traffic"]["EnableEgress"]
    outbound = config["Outbound"] or {"TrafficMatches": {}, "ClustersConfigs": None}
    match = _match(outbound["TrafficMatches"].get(str(attempt.port), []), attempt)
    if match is None:
        return "original" if through else None
    if match["Protocol"] == "http":
        if attempt.protocol is not Protocol.HTTP:
            return None
        return _endpoint(outbound, _targets_of_request(match, attempt))
    rules = match["TcpServiceRouteRules"]
    endpoint = _endpoint(outbound, rules["TargetClusters"])
    return endpoint or ("original" if through or rules["AllowedEgressTraffic"] else None)


def lets_in(config: dict[str, Any], caller: str, attempt: Attempt) -> bool:
    """True if what somebody at *caller* asks of the attempt's port reaches the application."""
    inbound = config["Inbound"] or {"TrafficMatches": None}
    match = (inbound["TrafficMatches"] or {}).get(str(attempt.port))
    if match is None:
        return False
    of_all, own = config["AllowedEndpoints"], match.get("AllowedEndpoints")
    allowed = of_all if own is None else [one for one in own if one in of_all]
    if not any(IPv4Address(caller) in IPv4Network(one) for one in allowed):
        return False
    if match["Protocol"] != "http":
        return bool(match["TcpServiceRouteRules"]["TargetClusters"])
    if attempt.protocol is not Protocol.HTTP:
        return False
    by_host = {**match, "HttpHostPort2Service": match["HttpHostPort2Service"] or {}}
    ranges = match["SourceIPRanges"] or {}
    if any(IPv4Address(caller) in IPv4Network(one) for one in ranges):
        by_host["HttpHostPort2Service"] = {attempt.host: by_host["HttpHostPort2Service"].get("*")}
    return bool(_targets_of_request(by_host, attempt))


def _match(matches: list[dict[str, Any]], attempt: Attempt) -> dict[str, Any] | None:
    for match in matches:
        ranges = match["DestinationIPRanges"]
        if ranges is not None and attempt.address is not None:
            address = IPv4Address(attempt.address)
            if any(address in IPv4Network(range_) for range_ in ranges):
                return match
    return next((match for match in matches if match["DestinationIPRanges"] is None), None)


def _targets_of_request(match: dict[str, Any], attempt: Attempt) -> dict[str, int] | None:
    headers = {"host": attempt.host, **dict(attempt.headers)}
    service = (match["HttpHostPort2Service"] or {}).get(attempt.host, "undefined")
    rules = (match["HttpServiceRouteRules"] or {}).get(service, {"RouteRules": []})
    for rule in rules["RouteRules"]:
        if (
            attempt.method in (rule["Methods"] or ANY_METHOD)
            and re.search(rule["Path"], attempt.path)
            and all(
                re.search(regex, headers.get(name, ""))
                for name, regex in (rule["Headers"] or {}).items()
            )
        ):
            targets: dict[str, int] | None = rule["TargetClusters"]
            return targets
    return None


def _endpoint(outbound: dict[str, Any], targets: dict[str, int] | None) -> str | None:
    for name in targets or {}:
        for endpoint in (outbound["ClustersConfigs"] or {}).get(name, {"Endpoints": {}})[
            "Endpoints"
        ]:
            return str(endpoint)
    return None
