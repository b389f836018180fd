"""`towpath injection`: what pods become when they are injected, without a cluster."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click
import yaml

from towpath.cli.cluster import mesh_name_option, namespace_option
from towpath.inject.decide import decide
from towpath.inject.installation import installation
from towpath.inject.names import INJECTION
from towpath.inject.pod import Installation, inject
from towpath.inject.refusal import Refused
from towpath.inject.shape import checked
from towpath.inject.workloads import pod_of, with_pod
from towpath.model.meshconfig import MeshConfig
from towpath.model.text import printable
from towpath.model.workloads import Namespace
from towpath.settings import InjectionSettings
from towpath.sources.decode import decode
from towpath.sources.decode.workloads import PLACES
from towpath.sources.files.document import Unreadable
from towpath.sources.files.manifest import read_objects
from towpath.sources.files.walk import walk

NO_ROOTS = b"the roots of the mesh stand here\n"


@dataclass(slots=True)
class _Input:
    """What was read: namespaces by name, the MeshConfig, and pods and what makes them."""

    namespaces: dict[str, Namespace] = field(default_factory=dict)
    config: MeshConfig = field(default_factory=MeshConfig)
    workloads: list[dict[str, Any]] = field(default_factory=list)

    def add(self, raw: object, source: str, *, osm_namespace: str, listed: bool) -> None:
        """Take in one object; a workload only if it is *listed*."""
        if isinstance(raw, dict) and raw.get("kind") in PLACES and listed:
            self.workloads.append(raw)
        elif isinstance(raw, dict) and raw.get("kind") in ("Namespace", "MeshConfig"):
            decoded = decode(raw, source)
            for problem in decoded.problems:
                click.echo(str(problem), err=True)
            if isinstance(decoded.value, Namespace):
                self.namespaces[decoded.value.name] = decoded.value
            elif isinstance(decoded.value, MeshConfig) and decoded.ref.namespace == osm_namespace:
                self.config = decoded.value


@click.command()
@click.option(
    "--manifests",
    type=click.Path(path_type=Path),
    help="Folder of manifests: its namespaces and its MeshConfig count, and without -f its pods "
    "and workloads are printed.",
)
@click.option(
    "-f",
    "--filename",
    "files",
    multiple=True,
    type=click.Path(allow_dash=True, path_type=Path),
    help="File with pods or workloads to print, or - for standard input; it may also have their "
    "Namespace and a MeshConfig.",
)
@click.option(
    "--roots",
    type=click.Path(path_type=Path),
    help="File with the certificates (PEM) that sidecars trust; without it a text stands in their "
    "place.",
)
@click.option(
    "-o",
    "--output",
    type=click.Choice(("yaml", "diff")),
    default="yaml",
    show_default=True,
    help="The whole, or what changes.",
)
@mesh_name_option
@namespace_option
def injection(
    *,
    manifests: Path | None,
    files: tuple[Path, ...],
    roots: Path | None,
    output: str,
    mesh_name: str,
    osm_namespace: str,
) -> None:
    """Print what pods and workloads become when they are injected with a sidecar.

    Why something is not injected, or what of it is skipped, is printed on standard error. The exit
    code is 1 if a pod would be refused.
    """
    if manifests is None and not files:
        raise click.UsageError("give --manifests DIR, -f FILE, or both")
    seen = _Input()
    for path in _below(manifests) if manifests else ():
        for raw, source in _objects(path):
            seen.add(raw, source, osm_namespace=osm_namespace, listed=not files)
    for path in files:
        for raw, source in _objects(path):
            seen.add(raw, source, osm_namespace=osm_namespace, listed=True)
    if not seen.workloads:
        kinds = ", ".join(PLACES)
        raise click.ClickException(f"there is nothing that could be injected ({kinds})")
    given = installation(osm_namespace, _read(roots) if roots else NO_ROOTS, InjectionSettings())
    refused = False
    for workload in seen.workloads:
        try:
            after = _injected(workload, seen, given, mesh_name, osm_namespace)
        except Refused as error:
            refused = True
            _remark(workload, f"refused: {error}")
            continue
        click.echo(_shown(workload, after, output=output), nl=False)
    if refused:
        raise SystemExit(1)


def _injected(
    workload: dict[str, Any],
    seen: _Input,
    given: Installation,
    mesh_name: str,
    osm_namespace: str,
) -> dict[str, Any]:
    """The workload with its pod injected, or as it is. Raises Refused."""
    pod = checked(pod_of(workload))
    name = _namespace_of(workload)
    namespace = seen.namespaces.get(name)
    if namespace is None:
        _remark(
            workload, f"namespace {name} is not here: taken as `towpath namespace add` makes it"
        )
        namespace = Namespace(name, mesh_name, annotations=((INJECTION, "enabled"),))
    decision = decide(pod, namespace, mesh_name=mesh_name, osm_namespace=osm_namespace)
    if decision.reason is not None:
        _remark(workload, f"no sidecar: {decision.reason.value}")
        return workload
    injected = inject(pod, namespace, seen.config, given)
    for remark in injected.remarks:
        _remark(workload, remark)
    return with_pod(workload, injected.pod)


def _remark(workload: dict[str, Any], text: str) -> None:
    metadata = workload.get("metadata") or {}
    name = metadata.get("name") or metadata.get("generateName") or "(unnamed)"
    title = f"{workload['kind']} {_namespace_of(workload)}/{name}"
    click.echo(printable(f"{title}: {text}"), err=True)


def _namespace_of(workload: dict[str, Any]) -> str:
    metadata = workload.get("metadata")
    name = metadata.get("namespace") if isinstance(metadata, dict) else None
    return name if isinstance(name, str) and name else "default"


def _shown(before: dict[str, Any], after: dict[str, Any], *, output: str) -> str:
    if output == "yaml":
        return f"---\n{_yaml(after)}"
    lines = [_yaml(one).splitlines(keepends=True) for one in (before, after)]
    return "".join(difflib.unified_diff(lines[0], lines[1], "before", "injected"))


class _Dumper(yaml.SafeDumper):
    """Texts of several lines stand as they are."""

    def represent_str(self, data: str) -> yaml.ScalarNode:
        return self.represent_scalar("tag:yaml.org,2002:str", data, "|" if "\n" in data else None)


_Dumper.add_representer(str, _Dumper.represent_str)


def _yaml(value: object) -> str:
    # By way of JSON, so that equal parts are written out where they stand.
    plain = json.loads(json.dumps(value, default=str))
    return str(yaml.dump(plain, Dumper=_Dumper, sort_keys=False, width=100))


def _below(folder: Path) -> Iterator[Path]:
    if not folder.is_dir():
        raise click.ClickException(f"--manifests {folder} is not a folder")
    seen = walk(folder)
    for name, reason in sorted(seen.failed.items()):
        click.echo(printable(f"{folder / name}: {reason}"), err=True)
    for name in sorted(seen.files):
        yield folder / name


def _objects(path: Path) -> list[tuple[object, str]]:
    try:
        return list(read_objects(str(path), _read(path)))
    except Unreadable as error:
        raise click.ClickException(printable(f"{path}:{error.line}: {error.reason}")) from error


def _read(path: Path) -> bytes:
    try:
        with click.open_file(str(path), "rb") as file:
            data: bytes = file.read()
            return data
    except OSError as error:
        raise click.ClickException(f"{path}: {error.strerror}") from error
