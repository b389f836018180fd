"""The resources of one stream: what is offered, what has become of it, and what is held instead."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from envoy.service.status.v3 import csds_pb2
from google.protobuf.json_format import MessageToDict

from towpath.model.snapshot import Resource
from towpath.model.types import ENDPOINTS, SECRET, short_name
from towpath.summary import summarize
from towpath_api.v1 import inspector_pb2 as pb

REWRITTEN = (ENDPOINTS, SECRET)
"""Types of which an Envoy does not give back what it was sent: it fills in states of endpoints, and
hides what is secret. They are the same if they are in a summary.
"""


class ResourceStatus(StrEnum):
    """What has become of one resource, as people read it."""

    ACKNOWLEDGED = "acknowledged"
    WAITING = "sent, not answered yet"
    REJECTED = "rejected"
    NOT_SENT = "not sent yet"
    LEFT = "not offered any more, still held"
    ABSENT = "asked for, and there is none"
    OTHER = "Envoy has another"
    MISSING = "Envoy has none"
    FOREIGN = "not offered, and Envoy has it"


_STATUSES = {
    csds_pb2.SYNCED: ResourceStatus.ACKNOWLEDGED,
    csds_pb2.STALE: ResourceStatus.WAITING,
    csds_pb2.ERROR: ResourceStatus.REJECTED,
    csds_pb2.NOT_SENT: ResourceStatus.NOT_SENT,
}


@dataclass(frozen=True, slots=True)
class Entry:
    """One resource of a stream: `offered` is None if the sidecar is to hold none of that name, and
    `error` the client's words if it has rejected it. `present` is what the sidecar has in its
    place, None if that is the same, nothing, or not known.
    """

    type_url: str
    name: str
    version: str
    status: ResourceStatus
    offered: Resource | None
    error: str
    present: Resource | None = None

    @property
    def differs(self) -> bool:
        """True if the sidecar does not hold what it is offered."""
        return self.status not in (ResourceStatus.ACKNOWLEDGED, ResourceStatus.ABSENT)

    @property
    def line(self) -> str:
        """`lds outbound-listener [480a…]: rejected: no such cluster`."""
        error = f": {self.error}" if self.error else ""
        version = f" [{self.version}]" if self.version else ""
        return f"{short_name(self.type_url)} {self.name}{version}: {self.status}{error}"

    def changes(self) -> Iterator[str]:
        """From what is held to what is offered, as `diff -u` has it: what they decide, or every
        field where they decide the same.
        """
        sides = [one for one in (self.present, self.offered) if one is not None]
        if len(sides) < 2:
            sign = "-" if self.offered is None else "+"
            yield from (f"{sign}{line}" for one in sides for line in _decisions(one))
            return
        before, after = map(_decisions, sides)
        if before == after:
            before, after = map(_fields, sides)
        for line in difflib.unified_diff(before, after, n=2, lineterm=""):
            if not line.startswith(("---", "+++")):
                yield "…" if line.startswith("@@") else line


def entries(
    stream: Any, short: str | None = None, replaced: Iterable[pb.AcceptedResource] = ()
) -> Iterator[Entry]:
    """What a server says of one stream by CSDS, and of what that has accepted in place of it; all
    types, or the one of that short name.
    """
    accepted = {(one.type_url, one.name): one for one in replaced}
    for one in stream.generic_xds_configs:
        if short is not None and short_name(one.type_url) != short:
            continue
        offered = None
        status = _STATUSES.get(one.config_status, ResourceStatus.WAITING)
        if one.HasField("xds_config"):
            packed = one.xds_config.SerializeToString(deterministic=True)
            offered = Resource(one.type_url, one.name, one.version_info, packed)
        elif status is not ResourceStatus.REJECTED:
            status = ResourceStatus.LEFT if one.version_info else ResourceStatus.ABSENT
        if status is ResourceStatus.NOT_SENT and one.HasField("error_state"):
            # What it has instead is no version of what it is offered.
            status = ResourceStatus.REJECTED
        error = one.error_state.details if status is ResourceStatus.REJECTED else ""
        present = None
        if instead := accepted.get((one.type_url, one.name)):
            packed = instead.resource.SerializeToString(deterministic=True)
            present = Resource(one.type_url, one.name, instead.version, packed)
        yield Entry(one.type_url, one.name, one.version_info, status, offered, error, present)


def beside_envoy(
    offers: Iterable[Entry], resources: Mapping[tuple[str, str], Resource], short: str | None
) -> Iterator[Entry]:
    """The same entries, as an Envoy has them: `present` is its resource where that is another, and
    the status says so; and what it has that is not offered.
    """
    left = dict(resources)
    for entry in offers:
        present = left.pop((entry.type_url, entry.name), None)
        if present is not None and entry.offered is not None and _same(entry.offered, present):
            yield replace(entry, status=ResourceStatus.ACKNOWLEDGED, error="", present=None)
        elif present is not None:
            status = ResourceStatus.FOREIGN if entry.offered is None else ResourceStatus.OTHER
            yield replace(entry, status=status, present=present)
        elif entry.offered is not None:
            yield replace(entry, status=ResourceStatus.MISSING, present=None)
        else:
            yield replace(entry, status=ResourceStatus.ABSENT, present=None)
    for (type_url, name), one in left.items():
        # Envoy has secrets of files, and endpoints of clusters that find theirs otherwise, as well.
        if type_url not in REWRITTEN and short in (None, short_name(type_url)):
            yield Entry(type_url, name, one.version, ResourceStatus.FOREIGN, None, "", one)


def content(resource: Resource | None) -> dict[str, Any] | None:
    """Every field, as JSON's values."""
    from towpath.encode.pack import unpack

    return None if resource is None else MessageToDict(unpack(resource))


def _same(one: Resource, other: Resource) -> bool:
    if content(one) == content(other):
        return True
    return one.type_url in REWRITTEN and _decisions(one) == _decisions(other)


def _decisions(resource: Resource) -> list[str]:
    """Its summary, without the version."""
    heading, *lines = summarize([resource]).splitlines()
    return [heading.removesuffix(f"  [{resource.version}]"), *lines]


def _fields(resource: Resource) -> list[str]:
    # A dozen milliseconds of imports that only this needs.
    import yaml

    # JSON's own dicts: YAML does not take ordered ones.
    plain = json.loads(json.dumps(content(resource)))
    return str(yaml.safe_dump(plain, width=100)).splitlines()
