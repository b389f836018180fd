"""What an API server sends beside the objects themselves: pages of a list, events of a watch.

https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes
"""

from __future__ import annotations

import msgspec

from towpath.kubeapi.jsonbytes import read_json

INITIAL_END = "k8s.io/initial-events-end"
"""The annotation of the bookmark behind the last object of a streamed list."""


class PageMetadata(msgspec.Struct, frozen=True):
    version: str = msgspec.field(name="resourceVersion")
    rest: str | None = msgspec.field(default=None, name="continue")


class Page(msgspec.Struct, frozen=True):
    """A part of a list; `items` may be null, and each is read later, by its kind."""

    metadata: PageMetadata
    items: list[msgspec.Raw] | None = None


class Event(msgspec.Struct, frozen=True):
    """One line of a watch: ADDED, MODIFIED, DELETED, BOOKMARK or ERROR, and what it is about."""

    type: str
    object: msgspec.Raw


class MarkMetadata(msgspec.Struct, frozen=True):
    version: str = msgspec.field(name="resourceVersion")
    annotations: dict[str, str] | None = None


class Mark(msgspec.Struct, frozen=True):
    """The object of a BOOKMARK: how far the watch has come."""

    metadata: MarkMetadata

    @property
    def ends_the_list(self) -> bool:
        return (self.metadata.annotations or {}).get(INITIAL_END) == "true"


class Status(msgspec.Struct, frozen=True):
    """The object of an ERROR."""

    code: int | None = None
    message: str | None = None


_PAGE = msgspec.json.Decoder(Page)
_EVENT = msgspec.json.Decoder(Event)
_MARK = msgspec.json.Decoder(Mark)
_STATUS = msgspec.json.Decoder(Status)


def page(body: bytes) -> Page:
    """Raises msgspec.DecodeError, as all here do, for what is not such a thing."""
    return read_json(body, _PAGE)


def event(line: bytes) -> Event:
    return read_json(line, _EVENT)


def mark(data: msgspec.Raw) -> Mark:
    return read_json(data, _MARK)


def status(data: msgspec.Raw) -> Status:
    return read_json(data, _STATUS)
