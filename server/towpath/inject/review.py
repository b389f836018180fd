"""AdmissionReview v1: what an API server asks a webhook, and how it is answered."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from towpath.inject.patch import Operation
from towpath.kubeapi.jsonbytes import read_json
from towpath.model.text import printable, shorten

API_VERSION = "admission.k8s.io/v1"
MOST_WARNINGS, LONGEST_WARNING = 16, 240
"""Kubernetes shows 256 characters of each, and 4096 of all."""


class Malformed(Exception):
    """The bytes are no request that can be answered."""


class _Kind(msgspec.Struct, frozen=True):
    group: str = ""
    version: str = ""
    kind: str = ""


class _Request(msgspec.Struct, frozen=True):
    uid: str
    namespace: str = ""
    operation: str = ""
    kind: _Kind = _Kind()
    object: Any = None


class _Review(msgspec.Struct, frozen=True, rename="camel"):
    request: _Request
    api_version: str = ""
    kind: str = ""


_DECODER = msgspec.json.Decoder(_Review)


@dataclass(frozen=True, slots=True)
class Review:
    """One request: its id, where the object is to be, and the object as it is written.

    `creates_pod` is false for all that injection has nothing to do with.
    """

    uid: str
    namespace: str
    object: Any
    creates_pod: bool

    @property
    def name(self) -> str:
        """What to call the pod, which may not have a name yet."""
        metadata = self.object.get("metadata") if isinstance(self.object, dict) else None
        names = metadata if isinstance(metadata, dict) else {}
        name = names.get("name") or f"{names.get('generateName') or ''}*"
        return printable(f"{self.namespace}/{name}")


def read_review(data: bytes) -> Review:
    """Raises Malformed."""
    try:
        review = read_json(data, _DECODER)
    except msgspec.DecodeError as error:
        raise Malformed(f"it is not an AdmissionReview: {error}") from error
    if (review.api_version, review.kind) != (API_VERSION, "AdmissionReview"):
        what = shorten(f"{review.api_version} {review.kind}", LONGEST_WARNING)
        raise Malformed(f"it is {what!r}: allowed: AdmissionReview of {API_VERSION}")
    request, kind = review.request, review.request.kind
    is_pod = (kind.group, kind.version, kind.kind) == ("", "v1", "Pod")
    return Review(
        request.uid, request.namespace, request.object, is_pod and request.operation == "CREATE"
    )


def allowed(uid: str, patch: Sequence[Operation] = (), warnings: Sequence[str] = ()) -> bytes:
    """The pod may be created, with the patch; kubectl prints the warnings."""
    response: dict[str, Any] = {"uid": uid, "allowed": True}
    if patch:
        text = json.dumps(patch, separators=(",", ":")).encode()
        response |= {"patchType": "JSONPatch", "patch": base64.b64encode(text).decode()}
    if warnings:
        lines = [shorten(printable(one), LONGEST_WARNING) for one in warnings[:MOST_WARNINGS]]
        response["warnings"] = lines
    return _answer(response)


def denied(uid: str, message: str) -> bytes:
    """The pod must not be created, and why."""
    status = {"code": 422, "reason": "Invalid", "message": f"towpath: {printable(message)}"}
    return _answer({"uid": uid, "allowed": False, "status": status})


def _answer(response: dict[str, Any]) -> bytes:
    review = {"apiVersion": API_VERSION, "kind": "AdmissionReview", "response": response}
    return json.dumps(review, separators=(",", ":")).encode()
