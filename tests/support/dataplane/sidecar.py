"""What the sidecars of tests are started with: the command's own bootstrap, at a test's pace."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from towpath.encode.envoy.bootstrap import ClientTls, Transport, bootstrap
from towpath_client import TlsFiles

REDIAL_S = 0.5
"""Tests end the control plane, and do not wait long for its sidecars."""


def sidecar_config(
    node_id: str,
    *,
    server: tuple[str, int] | Path,
    transport: Transport,
    tls: TlsFiles | None = None,
) -> dict[str, Any]:
    """The bootstrap of the sidecar *node_id*; with *tls* it speaks mutual TLS to *server*."""
    shown = None
    if tls is not None:
        assert not isinstance(server, Path)
        files = {"ca": tls.ca, "certificate": tls.certificate, "key": tls.key}
        shown = ClientTls(**{k: str(v) for k, v in files.items()}, server_name=server[0])
    document = bootstrap(
        node_id, server=server, transport=transport, tls=shown, longest_redial_s=REDIAL_S
    )
    inlined: dict[str, Any] = _inlined(document)
    return inlined


def _inlined(part: Any) -> Any:
    """The same with files' texts in their place: Envoy's user may not read what a test wrote."""
    if isinstance(part, dict):
        if set(part) == {"filename"}:
            return {"inline_string": Path(part["filename"]).read_text()}
        return {name: _inlined(value) for name, value in part.items()}
    return [_inlined(one) for one in part] if isinstance(part, list) else part
