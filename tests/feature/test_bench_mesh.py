"""The benchmark of whole meshes measures what it says: its sidecars take part as Envoy does.

It serves its sidecars without gRPC, so that a change of what is handed to gRPC could break it
unseen.
"""

from __future__ import annotations

import pytest

from bench.mesh.measure import run
from bench.mesh.picture import Size


@pytest.mark.parametrize("delta", [True, False])
def test_each_change_reaches_every_sidecar(delta: bool) -> None:  # noqa: FBT001 (a parameter)
    size = Size(services=4, pods=12, sidecars=6)

    figures, _, _ = run(size, delta=delta, rounds=1)

    assert ["connect", "endpoint", "toggle", "Service port"] == list(figures)
    reached = {name: each[0].sidecars for name, each in figures.items()}
    assert dict.fromkeys(figures, 6) == reached
    assert all(each[0].responses >= 1 for each in figures.values())
