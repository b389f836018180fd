"""What one stream is offered and holds, resource by resource, as CSDS says it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from envoy.service.status.v3 import csds_pb2

from towpath.model.snapshot import Resource
from towpath.model.types import short_name


class ResourceStatus(StrEnum):
    """What has become of one resource, as people read it."""

    ACKNOWLEDGED = "acknowledged"
    WAITING = "sent, not answered yet"
    REJECTED = "rejected"
    NOT_SENT = "not sent yet"
    LEFT = "not offered any more, still held"
    ABSENT = "asked for, and there is none"


_STATUSES = {
    csds_pb2.SYNCED: ResourceStatus.ACKNOWLEDGED,
    csds_pb2.STALE: ResourceStatus.WAITING,
    csds_pb2.ERROR: ResourceStatus.REJECTED,
    csds_pb2.NOT_SENT: ResourceStatus.NOT_SENT,
}


@dataclass(frozen=True, slots=True)
class Entry:
    """One resource of a stream: `offered` is None if the sidecar is to hold none of that name, and
    `error` the client's words if it has rejected it.
    """

    type_url: str
    name: str
    version: str
    status: ResourceStatus
    offered: Resource | None
    error: str

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


def entries(stream: Any, short: str | None = None) -> Iterator[Entry]:
    """The resources of a stream's ClientConfig, of all types or of one, by its short name."""
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
        yield Entry(one.type_url, one.name, one.version_info, status, offered, error)
