"""Resources of any types, in the order in which a connection meets them."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from google.protobuf.any_pb2 import Any as AnyMessage

from towpath.model.snapshot import Resource
from towpath.model.text import printable
from towpath.model.types import (
    CLUSTER,
    ENDPOINTS,
    LISTENER,
    ROUTES,
    SECRET,
    SIDECAR,
    short_name,
)
from towpath.summary.clusters import cluster
from towpath.summary.endpoints import endpoints
from towpath.summary.layout import Block, indented
from towpath.summary.listeners import listener
from towpath.summary.routes import routes
from towpath.summary.secrets import secret
from towpath.summary.sidecar import sidecar

_ORDER = (LISTENER, ROUTES, CLUSTER, ENDPOINTS, SECRET, SIDECAR)
_FORMS: dict[str, Callable[[bytes], Block]] = {
    LISTENER: listener,
    ROUTES: routes,
    CLUSTER: cluster,
    ENDPOINTS: endpoints,
    SECRET: secret,
    SIDECAR: sidecar,
}


def summarize(resources: Iterable[Resource]) -> str:
    """The resources as text, by type and name; `""` if there are none.

    Of a type whose form is not known the name and the version are all that is shown. ValueError
    (DecodeError) if a resource's bytes are not those of its type.
    """
    by_place = sorted(resources, key=lambda one: (_place(one.type_url), one.type_url, one.name))
    return "".join(f"{printable(line)}\n" for one in by_place for line in _lines(one))


def _place(type_url: str) -> int:
    return _ORDER.index(type_url) if type_url in _ORDER else len(_ORDER)


def _lines(resource: Resource) -> Iterable[str]:
    form = _FORMS.get(resource.type_url)
    if form is None:
        block = Block(f"{short_name(resource.type_url)} {resource.name}")
    else:
        block = form(AnyMessage.FromString(resource.packed).value)
    yield f"{block.heading}  [{resource.version}]"
    yield from indented(block.lines)
