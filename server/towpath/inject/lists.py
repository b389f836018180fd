"""The lists of the redirect that a pod's annotations have."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TypeVar

from towpath.inject.names import PREFIX
from towpath.inject.refusal import Refused
from towpath.model.injection import RedirectLists, sorted_ranges
from towpath.sources.decode.findings import show
from towpath.sources.decode.redirect_lists import (
    EXCLUDED_RANGE,
    INCLUDED_RANGE,
    INTERFACE,
    PORT,
    EntryRule,
)

T = TypeVar("T", int, str)

OUTBOUND_PORTS = f"{PREFIX}outbound-port-exclusion-list"
INBOUND_PORTS = f"{PREFIX}inbound-port-exclusion-list"
EXCLUDED_RANGES = f"{PREFIX}outbound-ip-range-exclusion-list"
INCLUDED_RANGES = f"{PREFIX}outbound-ip-range-inclusion-list"
INTERFACES = f"{PREFIX}network-interface-exclusion-list"


@dataclass(frozen=True, slots=True)
class AnnotatedLists:
    """What a pod's annotations say; `remarks` are for whoever applied it."""

    lists: RedirectLists
    remarks: tuple[str, ...]


def annotated_lists(annotations: Mapping[str, str]) -> AnnotatedLists:
    """Raises Refused for an entry that is not allowed."""
    reader = _Reader(annotations)
    lists = RedirectLists(
        excluded_outbound_ports=tuple(sorted(set(reader.entries(OUTBOUND_PORTS, PORT)))),
        excluded_inbound_ports=tuple(sorted(set(reader.entries(INBOUND_PORTS, PORT)))),
        excluded_ranges=sorted_ranges(set(reader.entries(EXCLUDED_RANGES, EXCLUDED_RANGE))),
        included_ranges=sorted_ranges(set(reader.entries(INCLUDED_RANGES, INCLUDED_RANGE))),
        excluded_interfaces=tuple(sorted(set(reader.entries(INTERFACES, INTERFACE)))),
    )
    return AnnotatedLists(lists, tuple(reader.remarks))


class _Reader:
    def __init__(self, annotations: Mapping[str, str]) -> None:
        self._annotations = annotations
        self.remarks: list[str] = []

    def entries(self, name: str, rule: EntryRule[T]) -> Iterator[T]:
        text = self._annotations.get(name, "")
        if not text.strip():
            return
        for item in map(str.strip, text.split(",")):
            entry = rule.read(item)
            if entry is None:
                raise Refused(f"annotation {name} has {show(item)}: allowed: {rule.words}")
            if entry.remark:
                self.remarks.append(f"annotation {name}: {item} {entry.remark}")
            yield entry.value
