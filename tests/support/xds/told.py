"""One response as its bytes say, in either variant."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from envoy.service.discovery.v3.discovery_pb2 import DeltaDiscoveryResponse, DiscoveryResponse
from google.protobuf.any_pb2 import Any as AnyMessage

from support.xds.types import short

C = TypeVar("C")
NamedContent = Callable[[AnyMessage], tuple[str, C]]
"""The name of a packed resource, and what is in it, in whatever form a test compares."""


@dataclass(frozen=True, slots=True)
class Told(Generic[C]):
    """What one response says; *probes* are among its names, but not among its contents."""

    type_url: str
    version: str
    nonce: str
    contents: Mapping[str, C] = field(repr=False)
    message: Any = field(repr=False, compare=False)
    versions: Mapping[str, str] = field(default_factory=dict)
    removed: tuple[str, ...] = ()
    probes: frozenset[str] = frozenset()

    def __str__(self) -> str:
        sent = f"{short(self.type_url)} {self.names}"
        return f"{sent}, removed {list(self.removed)}" if self.removed else sent

    @property
    def names(self) -> list[str]:
        return sorted(self.contents)

    @property
    def errors(self) -> dict[str, tuple[int, str]]:
        """By name: code and text of each `resource_errors`."""
        return {
            e.resource_name.name: (e.error_detail.code, e.error_detail.message)
            for e in self.message.resource_errors
        }


def read_sotw(
    data: bytes, content: NamedContent[C], *, probes: frozenset[str] = frozenset()
) -> Told[C]:
    message: Any = DiscoveryResponse.FromString(data)
    by_name = _by_name(content(packed) for packed in message.resources)
    return Told(
        message.type_url,
        message.version_info,
        message.nonce,
        {name: one for name, one in by_name.items() if name not in probes},
        message,
        probes=probes & by_name.keys(),
    )


def read_delta(
    data: bytes, content: NamedContent[C], *, probes: frozenset[str] = frozenset()
) -> Told[C]:
    """Each resource has the name that the response gives it, and none is sent and removed."""
    message: Any = DeltaDiscoveryResponse.FromString(data)
    by_name = _by_name(content(one.resource) for one in message.resources)
    versions = {one.name: one.version for one in message.resources}
    assert [*by_name] == [*versions], "a resource has another name than it is sent under"
    assert by_name.keys().isdisjoint(message.removed_resources), "sent and removed at once"
    return Told(
        message.type_url,
        message.system_version_info,
        message.nonce,
        {name: one for name, one in by_name.items() if name not in probes},
        message,
        versions={name: version for name, version in versions.items() if name not in probes},
        removed=tuple(message.removed_resources),
        probes=probes & by_name.keys(),
    )


def _by_name(pairs: Iterable[tuple[str, C]]) -> dict[str, C]:
    resources = list(pairs)
    by_name = dict(resources)
    assert len(by_name) == len(resources), f"a name is twice in one response: {[*by_name]}"
    return by_name
