"""An option that would have no effect is refused: what is typed is never ignored."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from towpath.cli import main

FOLDER = ("--manifests", "deploy/demo/mesh")
SERVER = ("--server", "127.0.0.1:1")
EXPLAIN = ("explain", "--from", "curl/curl", "--to", "http://httpbin.org/")
RENDER = ("render", *FOLDER, "--sidecar", "curl.curl")


@pytest.mark.parametrize(
    ("arguments", "flag", "chosen"),
    [
        (("problems", *FOLDER, *SERVER), "--manifests", "--server"),
        (("problems", "--mesh-name", "blue", *SERVER), "--mesh-name", "--server"),
        (("problems", "--client", "pipy", *SERVER), "--client", "--server"),
        (("problems", *FOLDER, "--tls-ca", "README.md"), "--tls-ca", "no --server"),
        ((*EXPLAIN, *FOLDER, *SERVER), "--manifests", "--server"),
        (
            (*EXPLAIN, *SERVER, "--cross-namespace-egress", "deny"),
            "--cross-namespace-egress",
            "--server",
        ),
        (("sidecars", "--server", "unix:/x", "--tls-ca", "README.md"), "--tls-ca", "unix:/x"),
        ((*RENDER, "--type", "sidecar", "--client", "grpc"), "--client", "--type sidecar"),
        ((*RENDER, "--type", "sidecar", "-o", "json"), "--output", "--type sidecar"),
        (("bootstrap", "--plaintext", "--tls-dir", "/x"), "--tls-dir", "--plaintext"),
        (("bootstrap", "--server", "a:1", "--osm-namespace", "x"), "--osm-namespace", "--server"),
        (("bootstrap", "--client", "grpc", "--variant", "sotw"), "--variant", "--client grpc"),
        (("install", "--dry-run", "--wait"), "--wait", "--dry-run"),
        (("install", "--timeout", "5"), "--timeout", "no --wait"),
        (("install", "--dry-run", "--context", "x"), "--context", "--dry-run"),
        (("upgrade", "--dry-run", "--wait"), "--wait", "--dry-run"),
        (("version", "--client-only", "--context", "x"), "--context", "--client-only"),
        (("serve", *FOLDER, "--context", "x"), "--context", "--manifests"),
        (("diff", "a", "b", "--context", "x"), "--context", "two folders"),
        (("serve", *FOLDER, "--no-write-status"), "--no-write-status", "--manifests"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_what_is_typed_is_not_ignored(arguments: tuple[str, ...], flag: str, chosen: str) -> None:
    done = CliRunner().invoke(main, arguments)

    assert done.exit_code == 2, done.output
    assert f"Error: {flag}: not with {chosen}: " in done.stderr


def test_what_the_environment_says_gives_way() -> None:
    environment = {"TOWPATH_MANIFESTS": "deploy/demo/mesh", "TOWPATH_MESH_NAME": "blue"}
    done = CliRunner(env=environment).invoke(main, ["problems", *SERVER])

    assert "not with" not in done.stderr
    assert "127.0.0.1:1" in done.stderr
