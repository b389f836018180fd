"""What an installation gives each sidecar alike: where it logs in, whom it trusts, its images."""

from __future__ import annotations

from pathlib import PurePosixPath

from towpath import __version__
from towpath.encode.envoy.token_login import TokenFiles, credential, token_bootstrap
from towpath.inject.containers import FILES, FOLDER, TOKEN
from towpath.inject.names import CREDENTIAL
from towpath.inject.pod import Installation
from towpath.settings import InjectionSettings

TOKEN_PORT = 15129

_FOLDER = PurePosixPath(FOLDER)
_FILES = TokenFiles(_FOLDER / TOKEN, _FOLDER / FILES[CREDENTIAL])


def installation(osm_namespace: str, roots: bytes, images: InjectionSettings) -> Installation:
    """*roots* (PEM) are public: every pod has them in its bootstrap."""
    server = (f"towpath.{osm_namespace}.svc.cluster.local", TOKEN_PORT)
    return Installation(
        __version__,
        images.sidecar_image,
        images.init_container_image,
        token_bootstrap(server, roots, _FILES),
        credential(_FILES),
    )
