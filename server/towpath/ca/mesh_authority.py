"""The mesh's certificate authority: its key is in a Secret, made by whoever needs it first."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from towpath.ca.authority import Authority, Pair
from towpath.ca.rotation import Entries
from towpath.ca.secret import KEY, ROOTS, TLS_CHAIN, TLS_KEY, read_authority
from towpath.kubeapi.client import KubeApi, KubeApiError, needing
from towpath.kubeapi.paths import SECRETS
from towpath.model.names import Account

SECRET = "towpath-ca"  # noqa: S105 - its name
NAME = "Towpath mesh authority"
SERVICE = "towpath"
LIFETIME = timedelta(days=3650)
SERVING = timedelta(days=365)


class NoAuthority(Exception):
    """There is none, or it cannot be used; the message says why."""


async def mesh_authority(
    api: KubeApi, namespace: str, *, clock: Callable[[], datetime]
) -> Authority:
    """The authority of the Secret in *namespace*; it is put there if the Secret is empty.

    Of several that find it empty at once, the API server lets one write; the others take that one.
    """
    path = SECRETS.path(namespace, SECRET)
    while True:
        secret = await _read(api, path, namespace)
        data = secret.get("data") or {}
        if data:
            return _load(data, namespace, clock=clock)
        authority = Authority.create(NAME, lifetime=LIFETIME, clock=clock)
        data = {ROOTS: _text(authority.pair.certificate), KEY: _text(authority.pair.key)}
        try:
            await needing(api.write("PUT", path, {**secret, "data": data}), SECRETS.grant("update"))
        except KubeApiError as error:
            if not error.conflict:
                raise
        else:
            return authority


async def present_authority(
    api: KubeApi, namespace: str, *, clock: Callable[[], datetime]
) -> Authority:
    """The authority of the Secret in *namespace*, where nothing is changed."""
    data = (await _read(api, SECRETS.path(namespace, SECRET), namespace)).get("data") or {}
    if not data:
        raise NoAuthority(f"Secret {namespace}/{SECRET} is empty: the first replica fills it")
    return _load(data, namespace, clock=clock)


async def change_secret(api: KubeApi, namespace: str, change: Callable[[Entries], Entries]) -> None:
    """Write what *change* makes of the Secret's entries; of two at once, one fails."""
    path = SECRETS.path(namespace, SECRET)
    secret = await _read(api, path, namespace)
    try:
        entries = change(_entries(secret.get("data") or {}))
    except ValueError as error:
        text = f"Secret {namespace}/{SECRET} holds no authority that can be used: {error}"
        raise NoAuthority(text) from error
    data = {name: _text(content) for name, content in entries.items()}
    await needing(api.write("PUT", path, {**secret, "data": data}), SECRETS.grant("update"))


def serving_pair(authority: Authority, namespace: str) -> Pair:
    """A certificate for the control plane's Service, by each of its names."""
    short = f"{SERVICE}.{namespace}"
    names = (SERVICE, short, f"{short}.svc", f"{short}.svc.cluster.local")
    return authority.issue(SERVICE, lifetime=SERVING, dns=names)


def sidecar_secret(
    authority: Authority,
    account: Account,
    *,
    osm_namespace: str,
    trust_domain: str,
    lifetime: timedelta,
) -> dict[str, Any]:
    """A Secret beside the pods of *account*: what their sidecars show, and whom they trust."""
    uri = f"spiffe://{trust_domain}/ns/{account.namespace}/sa/{account.name}"
    pair = authority.issue("sidecar", lifetime=lifetime, uris=[uri])
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "kubernetes.io/tls",
        "metadata": {
            "name": f"towpath-sidecar-{account.name}",
            "namespace": account.namespace,
            # By these an uninstall finds it.
            "labels": {
                "app.kubernetes.io/name": "towpath",
                "app.kubernetes.io/instance": osm_namespace,
            },
        },
        "data": {
            ROOTS: _text(authority.trusted),
            TLS_CHAIN: _text(pair.certificate),
            TLS_KEY: _text(pair.key),
        },
    }


async def _read(api: KubeApi, path: str, namespace: str) -> dict[str, Any]:
    try:
        answer = await needing(api.get(path, {}), SECRETS.grant("get"))
    except KubeApiError as error:
        if error.not_found:
            text = f"there is no Secret {namespace}/{SECRET}: `towpath install` makes an empty one"
            raise NoAuthority(text) from error
        raise
    secret: dict[str, Any] = json.loads(answer)
    return secret


def _load(data: dict[str, str], namespace: str, *, clock: Callable[[], datetime]) -> Authority:
    try:
        return read_authority(_entries(data), clock=clock)
    except ValueError as error:
        text = f"Secret {namespace}/{SECRET} holds no authority that can be used: {error}"
        raise NoAuthority(text) from error


def _entries(data: dict[str, str]) -> Entries:
    return {name: base64.b64decode(text) for name, text in data.items()}


def _text(pem: bytes) -> str:
    return base64.b64encode(pem).decode()
