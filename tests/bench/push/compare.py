"""Contenders measured in turn on one case, so that what else the machine does falls on all."""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import astuple, replace
from pathlib import Path

from bench.push.capture import capture
from bench.push.contenders import BARE, FAST, FLOOR, IN_GO, TOWPATH, Case
from bench.push.measure import Figures, measure
from bench.push.mesh import NAMESPACE, Mesh
from support.certificates import Certificates
from support.fast.needs import unmet
from towpath.model.types import CLUSTER

OURS = (TOWPATH, *(() if unmet() else (FAST,)))
CONTENDERS = (*OURS, BARE, *IN_GO, FLOOR)


@contextmanager
def case_of(
    variant: str,
    *,
    clusters: int,
    streams: int,
    programs: tuple[Path, Path],
    type_url: str = CLUSTER,
    names: int = 0,
    tls: bool = False,
) -> Iterator[Case]:
    """A mesh of its own, in a folder that the block leaves no trace of; see Case."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        manifests = folder / "manifests"
        manifests.mkdir()
        # One certificate is all that the sidecars have.
        accounts = 1 if tls else 10
        mesh = Mesh(manifests, clusters=clusters, sidecars=streams, accounts=accounts)
        case = Case(folder, mesh, variant, *programs, type_url=type_url, names=names)
        capture(case)
        yield replace(case, tls=_certificates(folder / "tls")) if tls else case


def _certificates(folder: Path) -> Path:
    """Those of a server, and of the sidecars of account 0."""
    folder.mkdir()
    certificates = Certificates(folder, name="tests")
    certificates.server()
    client = certificates.sidecar(NAMESPACE, "account-0")
    client.certificate.rename(folder / "client.crt")
    client.key.rename(folder / "client.key")
    client.ca.rename(folder / "ca.crt")
    return folder


def compare(case: Case, names: Sequence[str], *, pushes: int, times: int = 1) -> dict[str, Figures]:
    """The medians of so many measurements of each contender, in turn."""
    measured: dict[str, list[Figures]] = {name: [] for name in names}
    for _ in range(times):
        for name in names:
            measured[name].append(measure(name, case, rounds=pushes))
    return {name: _middle(figures) for name, figures in measured.items()}


def _middle(figures: list[Figures]) -> Figures:
    return Figures(*(statistics.median(each) for each in zip(*map(astuple, figures), strict=True)))
