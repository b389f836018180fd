"""Checkpoint: what was held of a cluster, in a file, for a start while its API server is away.

The file has two lines: its format with the SHA-256 of the rest, and one JSON document. What was not
written whole, for this mesh, by this version of the model, is refused: nothing of it is ever used.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from towpath.model.credentials import TokenIssuer
from towpath.model.egress import Egress, HTTPRouteGroup, UpstreamTrafficSetting
from towpath.model.ingress import IngressBackend
from towpath.model.inmesh import TCPRoute, TrafficSplit, TrafficTarget
from towpath.model.mesh import Object
from towpath.model.meshconfig import MeshConfig
from towpath.model.names import Kind
from towpath.model.problem import Problem
from towpath.model.retries import Retry
from towpath.model.workloads import EndpointSlice, Namespace, Pod, Service, ServiceAccount

FORMAT = b"towpath-checkpoint-1"
LARGEST = 1 << 30
"""Bytes of a checkpoint that is read; 10,000 pods are about 2 MB."""

CLOCK_SKEW_S = 300.0
"""Another machine may have written it, whose clock is ahead."""
NO_WAIT = os.O_NONBLOCK

ROWS: Mapping[Kind, Any] = {
    Kind.NAMESPACE: tuple[Namespace, ...] | None,
    Kind.SERVICE: tuple[Service, ...] | None,
    Kind.ENDPOINT_SLICE: tuple[EndpointSlice, ...] | None,
    Kind.POD: tuple[Pod, ...] | None,
    Kind.SERVICE_ACCOUNT: tuple[ServiceAccount, ...] | None,
    Kind.MESH_CONFIG: tuple[MeshConfig, ...] | None,
    Kind.EGRESS: tuple[Egress, ...] | None,
    Kind.HTTP_ROUTE_GROUP: tuple[HTTPRouteGroup, ...] | None,
    Kind.UPSTREAM_TRAFFIC_SETTING: tuple[UpstreamTrafficSetting, ...] | None,
    Kind.TRAFFIC_TARGET: tuple[TrafficTarget, ...] | None,
    Kind.TRAFFIC_SPLIT: tuple[TrafficSplit, ...] | None,
    Kind.TCP_ROUTE: tuple[TCPRoute, ...] | None,
    Kind.INGRESS_BACKEND: tuple[IngressBackend, ...] | None,
    Kind.RETRY: tuple[Retry, ...] | None,
}
"""What the objects of each kind are in the model, and so in the file."""


class CheckpointError(Exception):
    """There is no usable checkpoint; the message says why."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Whose checkpoint it is: one of another origin is refused.

    `api_server` is its URL; `authority` is the SHA-256 of the certificates that it is trusted by,
    as every cluster may have the same URL seen from inside.
    """

    mesh_name: str
    osm_namespace: str
    api_server: str
    authority: str


@dataclass(frozen=True, slots=True)
class Picture:
    """What is held of a cluster: all objects of each kind, None if it is not installed.

    It was what the API server had at `seen_at`, in seconds since 1970, or later. `issuer` is whose
    tokens pods have, if that is known.
    """

    seen_at: float
    objects: Mapping[Kind, tuple[Object, ...] | None]
    problems: tuple[Problem, ...]
    issuer: TokenIssuer | None = None


class _Document(msgspec.Struct, frozen=True):
    shape: str
    origin: Origin
    seen_at: float
    objects: dict[str, msgspec.Raw]
    problems: tuple[Problem, ...]
    issuer: TokenIssuer | None = None


def write(path: Path, origin: Origin, picture: Picture) -> None:
    """Replace the file in one step, readable by its owner only. OSError if that is impossible."""
    objects = {
        kind.value: msgspec.Raw(msgspec.json.encode(rows)) for kind, rows in picture.objects.items()
    }
    document = _Document(
        shape(), origin, picture.seen_at, objects, picture.problems, picture.issuer
    )
    body = msgspec.json.encode(document)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.unlink(missing_ok=True)  # what is there may be another's, and open to others
    try:
        with open(draft, "xb", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
            file.write(FORMAT + b" " + _digest(body) + b"\n" + body)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def read(path: Path, origin: Origin, *, now: float, max_age_s: float) -> Picture:
    """The picture, if the file is whole, ours, of *origin* and not too old; else CheckpointError.

    *now* is in seconds since 1970.
    """
    document = _document(path)
    age_s = now - document.seen_at
    if age_s > max_age_s:
        allowed = f"allowed are {max_age_s:,.0f} s (--checkpoint-max-age)"
        raise CheckpointError(f"it holds what was seen {age_s:,.0f} s ago; {allowed}")
    if age_s < -CLOCK_SKEW_S:
        raise CheckpointError(f"it is from the future, by {-age_s:,.0f} s: a clock is wrong")
    if document.shape != shape():
        raise CheckpointError("it was written by another version of Towpath")
    for field in dataclasses.fields(Origin):
        its, ours = getattr(document.origin, field.name), getattr(origin, field.name)
        if its != ours:
            what = field.name.replace("_", " ")
            raise CheckpointError(f"it is of another cluster: its {what} is {its!r}, not {ours!r}")
    try:
        objects = {
            kind: msgspec.json.decode(document.objects[kind], type=ROWS[kind]) for kind in Kind
        }
    except (KeyError, msgspec.MsgspecError) as error:
        raise CheckpointError(f"it cannot be read: {error}") from error
    return Picture(document.seen_at, objects, document.problems, document.issuer)


def _document(path: Path) -> _Document:
    try:
        # Not to wait for a writer, should it be a pipe.
        with open(path, "rb", opener=lambda name, flags: os.open(name, flags | NO_WAIT)) as file:
            _check_ours(os.fstat(file.fileno()))
            content = file.read(LARGEST + 1)
    except OSError as error:
        raise CheckpointError(error.strerror or str(error)) from error
    head, _, body = content.partition(b"\n")
    given, _, digest = head.partition(b" ")
    if given != FORMAT:
        raise CheckpointError(f"it is not a file of the format {FORMAT.decode()}")
    if len(content) > LARGEST:
        raise CheckpointError(f"it is larger than {LARGEST:,} bytes")
    if digest != _digest(body):
        raise CheckpointError("it is damaged: its checksum is wrong")
    try:
        return msgspec.json.decode(body, type=_Document)
    except msgspec.MsgspecError as error:
        raise CheckpointError(f"it cannot be read: {error}") from error


def _check_ours(status: os.stat_result) -> None:
    """Nobody else can have written it: what it says is sent to sidecars as the cluster's word."""
    if not stat.S_ISREG(status.st_mode):
        raise CheckpointError("it is not a file")
    if status.st_uid != os.geteuid():
        raise CheckpointError(f"it belongs to user {status.st_uid}, not to {os.geteuid()}")
    # A volume's fsGroup may open files to our own group.
    closed = 0o007 if status.st_gid == os.getegid() else 0o077
    if status.st_mode & closed:
        mode = stat.S_IMODE(status.st_mode)
        raise CheckpointError(f"others may read or write it (mode {mode:04o}): allowed is 0600")


@functools.cache
def shape() -> str:
    """Differs where the values of two versions of Towpath have other fields, or other types."""
    types = [*(ROWS[kind] for kind in Kind), TokenIssuer, Problem]
    schemas, parts = msgspec.json.schema_components(types)
    return hashlib.sha256(repr(_bare([schemas, parts])).encode()).hexdigest()


def _bare(schema: Any) -> Any:
    """A schema without its prose, in a fixed order."""
    if isinstance(schema, dict):
        named = ((k, _bare(v)) for k, v in schema.items() if not _is_prose(k, v))
        return sorted(named, key=lambda pair: pair[0])
    return [_bare(part) for part in schema] if isinstance(schema, list | tuple) else schema


def _is_prose(key: str, value: object) -> bool:
    return key in ("description", "title") and isinstance(value, str)


def _digest(body: bytes) -> bytes:
    return hashlib.sha256(body).hexdigest().encode()
