"""What `--dry-run` prints: the same objects, and texts that a person can read."""

from __future__ import annotations

import yaml

from towpath.install.manifests import as_yaml, manifests
from towpath.install.values import Values
from towpath.kubeapi.preset import KEY, PRESET


def test_it_reads_back_as_what_it_was() -> None:
    documents = manifests(Values(mesh_name="osm", osm_namespace="osm-system"))

    assert documents == list(yaml.safe_load_all(as_yaml(documents)))


def test_the_preset_is_shown_line_by_line() -> None:
    documents = manifests(Values(mesh_name="osm", osm_namespace="osm-system"))
    (preset,) = (one for one in documents if one["metadata"]["name"] == PRESET)
    text = as_yaml([preset])

    lines = preset["data"][KEY].splitlines()
    assert len(lines) > 3
    assert {line.strip() for line in lines} <= {line.strip() for line in text.splitlines()}


def test_an_object_that_occurs_twice_is_written_twice() -> None:
    shared = {"app": "towpath"}

    assert "&" not in as_yaml([{"a": shared, "b": shared}])
