"""What golden meshes without marked pods got of the code of an earlier commit, and get of a later
one, byte for byte: `make compare-bytes BEFORE=COMMIT [AFTER=COMMIT]`.

The meshes are those of the earlier commit, so that both can read them; AFTER is the working tree if
it is not given. Each tree runs in a process of its own, with the packages of this environment.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
PRINT_ALL = """\
import hashlib, shutil, sys, tempfile
from pathlib import Path
import yaml
from towpath.app import Offline
from towpath.model.names import ClientKind, SidecarId
from towpath.settings import MeshSettings

for case in sorted(Path(sys.argv[1]).glob("*/in.yaml")):
    text = case.read_text()
    if "openservicemesh.io/mtls:" in text:
        continue
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(case, folder)
        mesh = Offline(Path(folder), MeshSettings())
        for document in yaml.safe_load_all(text):
            if not document or document["kind"] != "Pod":
                continue
            pod = SidecarId(document["metadata"]["name"], document["metadata"]["namespace"])
            for kind in ClientKind:
                snapshot = mesh.snapshot(kind, pod)
                for type_url, of_type in sorted(snapshot.sets.items() if snapshot else ()):
                    for name in sorted(of_type):
                        digest = hashlib.sha256(of_type[name].packed).hexdigest()
                        print(case.parent.name, kind, pod, type_url, name, digest, sep="\\t")
"""
Digests = dict[tuple[str, ...], str]
"""By case, kind of client, pod, type and name: the SHA-256 of a resource's bytes."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("before", help="a commit")
    parser.add_argument("after", nargs="?", help="a later one; the working tree if not given")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as work:
        earlier = _tree(options.before, Path(work, "before"))
        later = _tree(options.after, Path(work, "after")) if options.after else ROOT
        before, after = (_digests(tree, earlier / "tests/golden") for tree in (earlier, later))
    differing = sorted(key for key in before | after if before.get(key) != after.get(key))
    for key in differing:
        print("differs:", *key)
    print(f"{len(before)} resources, {len(differing)} differ")
    return int(bool(differing))


def _tree(commit: str, folder: Path) -> Path:
    """The files of that commit."""
    folder.mkdir()
    archive = folder.with_suffix(".tar")
    command = ["git", "archive", f"--output={archive}", commit]
    subprocess.run(command, check=True, cwd=ROOT)
    with tarfile.open(archive) as files:
        files.extractall(folder, filter="data")
    return folder


def _digests(tree: Path, cases: Path) -> Digests:
    parts = ("server", "protos", "client_stub")
    environment = {**os.environ, "PYTHONPATH": ":".join(str(tree / part) for part in parts)}
    command = [sys.executable, "-c", PRINT_ALL, str(cases)]
    done = subprocess.run(command, check=True, env=environment, capture_output=True, text=True)
    lines = (line.split("\t") for line in done.stdout.splitlines())
    return {tuple(key): digest for *key, digest in lines}


if __name__ == "__main__":
    sys.exit(main())
