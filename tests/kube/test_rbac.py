"""The rights that Towpath asks for: all it needs, and none that it could do without."""

from __future__ import annotations

import asyncio
import copy
import functools
import gc
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from support.certificates import Certificates
from support.dataplane.policy import egress, in_mesh
from support.deploy import DEPLOY
from support.kube.cluster import Cluster
from support.kube.command import towpath as type_towpath
from towpath.app.serve import serve
from towpath.install.manifests import WEBHOOK
from towpath.install.packaged import documents
from towpath.kubeapi.lease import micro_time
from towpath.settings import Settings
from towpath.sources.kube.timing import Timing
from towpath.status.written import KINDS

pytestmark = [
    pytest.mark.kube,
    # A server is stopped here while it opens its connections: asyncio leaves a TLS connection that
    # is cancelled before its first turn to the garbage collector (`_SSLProtocol._abort`).
    pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"),
]

RIGHTS: list[dict[str, Any]] = list(yaml.safe_load_all((DEPLOY / "base" / "rbac.yaml").read_text()))
ROLES = [document for document in RIGHTS if document["kind"] in ("Role", "ClusterRole")]
ACCOUNT = "--as=system:serviceaccount:osm-system:towpath"
WITHIN_S = 60.0
ENDS_WITHIN_S = 30.0
POLICY = "policy.openservicemesh.io/v1alpha1"
WITH_STATUS = tuple(kind.value.lower() for kind in KINDS)


class Right(NamedTuple):
    """One verb on one resource, or on one path that is none's, and where it stands in the roles."""

    role: int
    rule: int
    resource: str
    verb: str

    def __str__(self) -> str:
        return f"{self.verb} {self.resource}"

    @property
    def kind(self) -> str:
        """The field of a rule that names it."""
        return "nonResourceURLs" if self.resource.startswith("/") else "resources"

    @property
    def refusal(self) -> str:
        """How an API server refuses it."""
        if self.kind == "resources":
            return f'cannot {self.verb} resource "{self.resource}"'
        return f'cannot {self.verb} path "{self.resource}"'


GRANTED = [
    Right(role, rule, resource, verb)
    for role, document in enumerate(ROLES)
    for rule, granted in enumerate(document["rules"])
    for resource in (*granted.get("resources", ()), *granted.get("nonResourceURLs", ()))
    for verb in granted["verbs"]
]


SERVING = [right for right in GRANTED if right.resource != "secrets"]
AUTHORITY = [right for right in GRANTED if right.resource == "secrets"]
"""What the init container needs, which gets the server its certificate."""


def without(right: Right) -> list[dict[str, Any]]:
    """The roles with all that is granted but this."""
    roles = copy.deepcopy(ROLES)
    rules = roles[right.role]["rules"]
    rule = rules.pop(right.rule)
    others = [name for name in rule[right.kind] if name != right.resource]
    rest = [verb for verb in rule["verbs"] if verb != right.verb]
    if others:
        rules.append({**rule, right.kind: others})
    if rest:
        rules.append({**rule, right.kind: [right.resource], "verbs": rest})
    return roles


class Towpath:
    """`serve` on the older server, with the rights of its service account, in this process."""

    def __init__(self, cluster: Cluster, folder: Path) -> None:
        self.cluster = cluster
        self._files = Certificates(folder).server()

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        settings = Settings.of(
            kubeconfig=self.cluster.kubeconfig("towpath"),
            ads_address="127.0.0.1:0",
            ads_token_address="127.0.0.1:0",
            http_address="127.0.0.1:0",
            injection_address="127.0.0.1:0",
            tls_cert=self._files.certificate,
            tls_key=self._files.key,
            tls_client_ca=self._files.ca,
            shutdown_grace=0,
        )
        running = asyncio.create_task(serve(settings, announce=lambda: None))
        try:
            yield
            assert not running.done(), running
        finally:
            running.cancel()
            await asyncio.wait([running], timeout=ENDS_WITHIN_S)
            assert running.done()

    def write(self, name: str) -> None:
        """Apply what needs a status, and an Event."""
        metadata = {"name": name, "namespace": "curl"}
        setting: dict[str, Any] = {"apiVersion": POLICY, "kind": "UpstreamTrafficSetting"}
        setting["metadata"] = metadata
        policy = egress(name, (80, "http"), hosts=["httpbin.org"], groups=["gone"])
        setting["spec"] = {"host": f"{name}.test"}
        applied = self.cluster.apply(setting, policy, *in_mesh(name))
        assert applied.exit_code == 0, applied.error

    def lease_of_another(self) -> None:
        """Let another replica have just renewed the Lease."""
        lease = {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": "towpath-status", "namespace": "osm-system"},
            "spec": {
                "holderIdentity": "another",
                "leaseDurationSeconds": 15,
                "renewTime": micro_time(datetime.now(UTC)),
            },
        }
        applied = self.cluster.apply(lease)
        assert applied.exit_code == 0, applied.error

    def no_bundle(self) -> None:
        """Let API servers trust nobody as the webhook."""
        webhook = ("mutatingwebhookconfiguration", "towpath")
        self.cluster.kubectl("delete", *webhook, "--ignore-not-found")
        (document,) = [one for one in documents("base") if one["kind"] == WEBHOOK]
        applied = self.cluster.apply(document)
        assert applied.exit_code == 0, applied.error

    def no_leases(self) -> None:
        deleted = self.cluster.kubectl("delete", "leases", "--all", "-n", "osm-system")
        assert deleted.exit_code == 0, deleted.error


@pytest.fixture(scope="module")
def towpath(older: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Towpath]:
    labels = {"openservicemesh.io/monitored-by": "osm"}
    namespace = {"apiVersion": "v1", "kind": "Namespace"}
    config = {
        "apiVersion": "config.openservicemesh.io/v1alpha2",
        "kind": "MeshConfig",
        "metadata": {"name": "osm-mesh-config", "namespace": "osm-system"},
        "spec": {"featureFlags": {"enableEgressPolicy": True}},
    }
    packaged = documents("base")
    preset, authority = [one for one in packaged if one["kind"] in ("ConfigMap", "Secret")]
    joined = {**namespace, "metadata": {"name": "curl", "labels": labels}}
    # By it every account may read the keys of tokens; not every cluster has it.
    older.kubectl("delete", "clusterrolebinding", "system:service-account-issuer-discovery")
    applied = older.apply(joined, config, preset, authority)
    assert applied.exit_code == 0, applied.error
    served = Towpath(older, tmp_path_factory.mktemp("rbac"))
    served.no_bundle()
    yield served
    older.apply(*ROLES)
    older.kubectl("delete", "mutatingwebhookconfiguration", "towpath")
    gc.collect()  # while those warnings are still expected


async def _until(caplog: pytest.LogCaptureFixture, *texts: str) -> None:
    try:
        async with asyncio.timeout(WITHIN_S):
            while not all(text in caplog.text for text in texts):
                await asyncio.sleep(0.02)
    except TimeoutError:
        raise AssertionError(f"not logged within {WITHIN_S:g} s: {texts}") from None


def _names_of_leases(cluster: Cluster) -> str:
    return cluster.kubectl("get", "leases", "-n", "osm-system", "-o", "name").out


async def test_with_all_that_is_granted_nothing_is_refused(
    towpath: Towpath, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", logger="towpath")
    towpath.no_leases()
    towpath.no_bundle()
    towpath.write("complete")
    async with towpath.serving():
        await _until(caplog, "holds the Lease osm-system/towpath-status")
        await _until(caplog, "wrote caBundle of MutatingWebhookConfiguration towpath")
        for what in WITH_STATUS:
            waited = await asyncio.to_thread(
                towpath.cluster.kubectl,
                *("wait", "--for=jsonpath={.status.observedGeneration}=1", f"{what}/complete"),
                *("-n", "curl", "--timeout=60s"),
            )
            assert waited.exit_code == 0, waited.error
    towpath.lease_of_another()
    async with towpath.serving(), asyncio.timeout(WITHIN_S):
        while "towpath-replica-" not in await asyncio.to_thread(_names_of_leases, towpath.cluster):
            await asyncio.sleep(0.05)

    assert "towpath-replica-" not in _names_of_leases(towpath.cluster)
    assert "forbidden" not in caplog.text


@pytest.mark.parametrize("right", SERVING, ids=str)
async def test_without_any_right_something_fails_that_names_it(
    right: Right,
    towpath: Towpath,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # A watch that is refused after a list is for a while taken for one of a server that starts.
    at_once = functools.partial(Timing, lenient_s=0)
    monkeypatch.setattr("towpath.sources.kube.source.Timing", at_once)
    reports = right.resource == "leases" and right.verb in ("patch", "delete")
    if reports:
        towpath.lease_of_another()
    elif right.verb in ("create", "patch"):
        towpath.no_leases()
        towpath.no_bundle()
        towpath.write(f"without-{GRANTED.index(right)}")
    applied = towpath.cluster.apply(*without(right))
    assert applied.exit_code == 0, applied.error

    refused = right.refusal
    async with towpath.serving():
        if right.verb == "delete":
            async with asyncio.timeout(WITHIN_S):
                while "towpath-replica-" not in await asyncio.to_thread(
                    _names_of_leases, towpath.cluster
                ):
                    await asyncio.sleep(0.05)
        else:
            await _until(caplog, refused)
    assert refused in caplog.text
    line = next(message for message in caplog.messages if refused in message)
    granted = line.partition("(grant by RBAC")[2]
    assert f'"{right.resource}"' in granted.partition(f"{right.kind}: [")[2].partition("]")[0]
    assert right.verb in granted.partition("verbs: ")[2]
    if reports:
        towpath.no_leases()


@pytest.mark.parametrize("right", AUTHORITY, ids=str)
def test_without_a_right_on_the_authority_no_certificate_is_made(
    right: Right, towpath: Towpath, tmp_path: Path
) -> None:
    kubeconfig = str(towpath.cluster.kubeconfig("towpath"))
    command = ("certificates", "server", str(tmp_path), "--kubeconfig", kubeconfig)
    empty = '[{"op": "replace", "path": "/data", "value": {}}]'
    towpath.cluster.kubectl(
        *("patch", "secret", "towpath-ca", "-n", "osm-system", "--type=json", "-p", empty)
    )
    towpath.cluster.apply(*without(right))
    refused = type_towpath(towpath.cluster, *command)
    towpath.cluster.apply(*ROLES)
    made = type_towpath(towpath.cluster, *command)

    assert f'cannot {right.verb} resource "secrets"' in refused.error
    assert f"verbs: [{right.verb}]" in refused.error
    assert made.exit_code == 0, made.error


@pytest.mark.parametrize(
    ("allowed", "verb", "resource"),
    [
        ("yes", "get", "secrets/towpath-ca"),
        ("no", "update", "secrets/another"),
        ("no", "create", "secrets"),
        ("no", "patch", "meshconfigs"),
        ("no", "update", "meshconfigs"),
        ("yes", "update", "leases/towpath-status"),
        ("no", "update", "leases/another"),
        ("no", "get", "secrets"),
        ("no", "list", "configmaps"),
        ("no", "patch", "egresses"),
        ("no", "patch", "pods"),
        ("no", "create", "pods"),
    ],
)
def test_nothing_else_is_allowed(towpath: Towpath, allowed: str, verb: str, resource: str) -> None:
    towpath.cluster.apply(*ROLES)
    asked = towpath.cluster.kubectl("auth", "can-i", verb, resource, "-n", "osm-system", ACCOUNT)

    assert allowed == asked.out.strip()
