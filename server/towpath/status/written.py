"""The statuses that the cluster holds, so that only what differs from them is written."""

from __future__ import annotations

import msgspec

from towpath.kubeapi.client import KubeApi, KubeApiError, decoded, needing
from towpath.kubeapi.paths import COLLECTIONS
from towpath.model.names import CUSTOM_KINDS, Kind
from towpath.status.conditions import StatusDocument, owned_fields

KINDS = tuple(kind for kind in CUSTOM_KINDS if kind is not Kind.MESH_CONFIG)
_PAGE = "500"


class _Metadata(msgspec.Struct, frozen=True):
    uid: str = ""
    rest: str | None = msgspec.field(default=None, name="continue")


class _Item(msgspec.Struct, frozen=True):
    metadata: _Metadata
    status: object = None


class _Items(msgspec.Struct, frozen=True):
    metadata: _Metadata
    items: list[_Item] | None = None


_ITEMS = msgspec.json.Decoder(_Items)


async def read_written(api: KubeApi) -> dict[str, StatusDocument]:
    """What we have written of every policy, by its uid; raises KubeApiError."""
    documents: dict[str, StatusDocument] = {}
    for kind in KINDS:
        rest = ""
        while True:
            query = {"limit": _PAGE, "continue": rest} if rest else {"limit": _PAGE}
            try:
                request = api.get(COLLECTIONS[kind].path(), query)
                answer = await needing(request, COLLECTIONS[kind].grant("list"))
            except KubeApiError as error:
                if error.not_found:  # the kind is not installed
                    break
                raise
            page = decoded(answer, _ITEMS)
            documents |= {item.metadata.uid: owned_fields(item.status) for item in page.items or ()}
            rest = page.metadata.rest or ""
            if not rest:
                break
    return documents
