"""What an installation gives each sidecar alike: where it logs in, whom it trusts, its images."""

from __future__ import annotations

from pathlib import PurePosixPath

from towpath import __version__
from towpath.encode.envoy.token_login import TokenFiles, credential, token_bootstrap
from towpath.inject.containers import FILES, FOLDER, TOKEN
from towpath.inject.names import CREDENTIAL
from towpath.inject.pod import Installation

TOKEN_PORT = 15129
SIDECAR_IMAGE = "envoyproxy/envoy:distroless-v1.40.0"
INIT_IMAGE = f"towpath:{__version__}"

_FOLDER = PurePosixPath(FOLDER)
_FILES = TokenFiles(_FOLDER / TOKEN, _FOLDER / FILES[CREDENTIAL])


def installation(
    osm_namespace: str,
    roots: bytes,
    *,
    image: str = SIDECAR_IMAGE,
    init_image: str = INIT_IMAGE,
) -> Installation:
    """*roots* (PEM) are public: every pod has them in its bootstrap."""
    server = (f"towpath.{osm_namespace}.svc.cluster.local", TOKEN_PORT)
    return Installation(
        image, init_image, token_bootstrap(server, roots, _FILES), credential(_FILES)
    )
