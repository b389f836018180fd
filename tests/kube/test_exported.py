"""What users of Open Service Mesh and osm-edge export is accepted as it is, and means the same."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from support.kube.cluster import Cluster
from towpath.model.codes import Reason
from towpath.model.egress import ConnectionSettings, Egress, UpstreamTrafficSetting
from towpath.model.limits import Rate, RequestLimit
from towpath.sources.decode import Decoded, decode, expand

pytestmark = pytest.mark.kube

EXPORTED = Path(__file__).parent / "exported"


def documents(file: str) -> list[dict[str, Any]]:
    whole = yaml.safe_load_all((EXPORTED / file).read_text())
    return [one for document in whole for one in expand(document) if isinstance(one, dict)]


ALL = [*documents("policies.yaml"), *documents("meshconfigs.yaml")]
NAMES = [
    f"{one['kind'].lower()}/{one['metadata']['namespace']}/{one['metadata']['name']}" for one in ALL
]


@pytest.fixture(scope="module")
def applied(cluster: Cluster) -> Iterator[Cluster]:
    """A cluster to which both files were applied, as their owner would."""
    files = [f"--filename={EXPORTED / name}" for name in ("policies.yaml", "meshconfigs.yaml")]
    for namespace in ("from-osm", "from-osm-edge"):
        cluster.kubectl("create", "namespace", namespace)
    done = cluster.kubectl("apply", *files)
    assert done.exit_code == 0, done.error
    assert "Warning" not in done.error
    yield cluster
    cluster.kubectl("delete", *files)


def held(cluster: Cluster, document: dict[str, Any]) -> dict[str, Any]:
    kind, metadata = document["kind"].lower(), document["metadata"]
    namespace = ("-n", metadata["namespace"])
    found = cluster.kubectl("get", kind, metadata["name"], *namespace, "-o", "json").json()
    assert isinstance(found, dict)
    return found


def decoded(cluster: Cluster, name: str) -> Decoded:
    return decode(held(cluster, ALL[NAMES.index(name)]), "")


@pytest.mark.parametrize("document", ALL, ids=NAMES)
def test_every_field_is_kept(applied: Cluster, document: dict[str, Any]) -> None:
    assert document["spec"] == held(applied, document)["spec"]


@pytest.mark.parametrize("document", ALL, ids=NAMES)
def test_nothing_in_it_is_taken_for_invalid_or_unknown(
    applied: Cluster, document: dict[str, Any]
) -> None:
    found = decode(held(applied, document), "")
    wrong = [str(p) for p in found.problems if p.reason is not Reason.NOT_SUPPORTED]

    assert [] == wrong
    assert found.value is not None


def test_a_policy_means_what_it_meant(applied: Cluster) -> None:
    policy = decoded(applied, "egress/curl/payments").value
    setting = decoded(applied, "upstreamtrafficsetting/curl/payments").value

    assert isinstance(policy, Egress)
    assert ("api.payments.example", "www.payments.example") == policy.hosts
    assert (("payments",), "payments") == (policy.route_groups, policy.setting)
    assert isinstance(setting, UpstreamTrafficSetting)
    assert setting.settings == ConnectionSettings(20, 5.0, 100, 10, 50, 3)
    assert not setting.closed
    limit = RequestLimit(Rate(10, 60, 5), 503, (("x-limited", "yes"),))
    assert (("/orders/.*", limit),) == setting.limits.routes


def test_what_is_not_supported_is_said(applied: Cluster) -> None:
    found = decoded(applied, "egress/curl/partner").problems

    assert any(p.reason is Reason.NOT_SUPPORTED and "mtls" in p.field for p in found), found
