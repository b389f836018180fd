"""Injection by a real API server, with its own admission: what is stored, refused, and said; and
what a pod does exactly as it was stored. The manual's demo with one is in test_page.py.
"""

from __future__ import annotations

import asyncio
import base64
import json
import shlex
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from support.dataplane import wait
from support.dataplane.clients import curl
from support.dataplane.hosts import Hosts
from support.dataplane.network import POD_ADDRESSES, Network
from support.deploy import DEPLOY
from support.kube.cluster import Cluster
from support.kube.command import towpath
from support.kube.creation import create_at_once
from support.kube.injecting import (
    BROKEN,
    WEBHOOK,
    Injecting,
    account,
    installed,
    kubelet_of,
    pod,
)
from support.kube.kubelet import Kubelet
from support.pages import Typed, commands
from towpath.planning.identity import MARK

pytestmark = [pytest.mark.kube, pytest.mark.dataplane]

SENT = "towpath_xds_sent_resources_total"
MANY = 100
BEGIN = b"-----BEGIN CERTIFICATE-----"
LEVELS = ("privileged", "baseline", "restricted")


@pytest.fixture(scope="module")
def injecting(tmp_path_factory: pytest.TempPathFactory, network: Network) -> Iterator[Injecting]:
    with installed(tmp_path_factory.mktemp("injecting"), network) as injecting:
        yield injecting


@pytest.fixture
def kubelet(injecting: Injecting) -> Iterator[Kubelet]:
    with kubelet_of(injecting) as kubelet:
        yield kubelet


def test_a_job_completes_with_its_sidecar(
    injecting: Injecting,
    kubelet: Kubelet,
    hosts: Hosts,  # noqa: ARG001 - they answer outside
) -> None:
    """Its own init container has the network too; the pod's user and group break nothing."""
    injecting.join("curl")
    injecting.patch({"spec": {"traffic": {"enableEgress": True}}})
    template = pod("job", "curl")["spec"]
    (app,) = template["containers"]
    # It comes to call before the switch has arrived.
    again = ("--retry", "60", "--retry-delay", "1", "--retry-connrefused", "--fail")
    app["command"] = ["curl", "-sS", *again, "http://httpbin.org:80/get"]
    template["initContainers"] = [{**app, "name": "fetch"}]
    template["securityContext"] = {"runAsNonRoot": True, "runAsUser": 1000, "fsGroup": 2000}
    metadata = {"name": "job", "namespace": "curl"}
    job = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": metadata,
        "spec": {"template": {"spec": {**template, "restartPolicy": "Never"}}},
    }
    applied = injecting.cluster.apply(account("default", "curl"), job)
    assert applied.exit_code == 0, applied.error
    stored = injecting.cluster.kubectl("get", "job", "job", "-n", "curl", "-o", "json").json()
    created = injecting.cluster.apply(of_template(stored))
    assert created.exit_code == 0, created.error

    ended = kubelet.finish(kubelet.run("curl", "job"))
    injecting.patch({"spec": {"traffic": {"enableEgress": False}}})

    containers = [one["name"] for one in ended["spec"]["initContainers"]]
    assert ["osm-init", "envoy", "fetch"] == containers
    assert "Succeeded" == ended["status"]["phase"]
    states = ended["status"]["initContainerStatuses"] + ended["status"]["containerStatuses"]
    exit_codes = {one["name"]: one["state"]["terminated"]["exitCode"] for one in states}
    assert dict.fromkeys((*containers, "app"), 0) == exit_codes


def test_probes_are_answered_in_strict_mode_and_without_the_control_plane(
    injecting: Injecting,
    kubelet: Kubelet,
    hosts: Hosts,  # noqa: ARG001 - the control plane is called by its name
) -> None:
    injecting.join("curl")
    injecting.patch({"spec": {"traffic": {"mtls": "strict"}}})
    web = pod("web", "curl")
    web["metadata"]["labels"] = {"app": "web"}
    (app,) = web["spec"]["containers"]
    app["command"] = [sys.executable, "-m", "http.server", "--directory", "/srv", "8090"]
    app["livenessProbe"] = {"httpGet": {"path": "/", "port": 8090}}
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "web", "namespace": "curl"},
        "spec": {"selector": {"app": "web"}, "ports": [{"port": 8090, "appProtocol": "http"}]},
    }
    applied = injecting.cluster.apply(account("default", "curl"), service, web)
    assert applied.exit_code == 0, applied.error
    (app,) = kubelet.run("curl", "web")["spec"]["containers"]

    def answers() -> tuple[int, int]:
        """Of the probe, and of the application's own port."""
        url = f"http://{POD_ADDRESSES['curl']}:8090/"
        return kubelet.probe(app, "livenessProbe"), curl(injecting.network.control, url).status

    context = kubelet.sidecar.tail
    strict = "the probe is answered, and who has no certificate is not"
    wait.until(answers, lambda seen: seen == (200, 0), what=strict, context=context)
    injecting.server.process.kill()
    try:
        assert (200, 0) == answers()
    finally:
        injecting.patch({"spec": {"traffic": {"mtls": "permissive"}}})
        injecting.server.start()
    injecting.patch({"spec": {"traffic": {"mtls": "permissive"}}})


def test_an_application_that_listens_on_the_pods_address_alone(
    injecting: Injecting,
    kubelet: Kubelet,
    hosts: Hosts,  # noqa: ARG001 - the control plane is called by its name
) -> None:
    injecting.join("curl")
    injecting.patch({"spec": {"sidecar": {"localProxyMode": "PodIP"}}})
    address = POD_ADDRESSES["curl"]
    web = pod("bound", "curl")
    web["metadata"]["labels"] = {"app": "bound"}
    (app,) = web["spec"]["containers"]
    served = ("--bind", "$(POD_IP)", "--directory", "/srv", "8091")
    app["command"] = [sys.executable, "-m", "http.server", *served]
    app["env"] = [{"name": "POD_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}]
    app["livenessProbe"] = {"httpGet": {"path": "/", "port": 8091}}
    app["readinessProbe"] = {"tcpSocket": {"port": 8091}}
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "bound", "namespace": "curl"},
        "spec": {"selector": {"app": "bound"}, "ports": [{"port": 8091, "appProtocol": "http"}]},
    }
    applied = injecting.cluster.apply(account("default", "curl"), service)
    assert applied.exit_code == 0, applied.error
    create = ("create", "--dry-run=server", "-o", "json", "-f", "-")
    wait.until(
        lambda: injecting.cluster.kubectl(*create, stdin=yaml.safe_dump(web)).out,
        lambda shown: "osm-init-pod-ip" in shown,
        what="the MeshConfig has arrived",
    )
    assert injecting.cluster.apply(web).exit_code == 0
    injecting.patch({"spec": {"sidecar": {"localProxyMode": "Localhost"}}})
    (app,) = kubelet.run("curl", "bound")["spec"]["containers"]

    def answers() -> tuple[int, ...]:
        urls = (f"http://{address}:8091/", f"http://{address}:15010/stats/prometheus")
        called = (curl(injecting.network.control, url).status for url in urls)
        probed = (kubelet.probe(app, field) for field in ("livenessProbe", "readinessProbe"))
        return (*called, *probed)

    what = "the application, the sidecar's statistics and both probes are answered"
    expected = (200, 200, 200, 200)
    wait.until(answers, lambda seen: seen == expected, what=what, context=kubelet.sidecar.tail)


def test_an_image_that_cannot_start_lets_nothing_of_the_pod_run(
    injecting: Injecting, kubelet: Kubelet, tmp_path: Path
) -> None:
    injecting.join("curl")
    trace = tmp_path / "ran"
    escaping = pod("escaping", "curl")
    escaping["spec"]["containers"][0]["command"] = ["touch", str(trace)]

    def use(image: str, *, broken: bool) -> None:
        injecting.patch({"spec": {"sidecar": {"sidecarImage": image}}})
        create = ("create", "--dry-run=server", "-o", "json", "-f", "-")
        wait.until(
            lambda: injecting.cluster.kubectl(*create, stdin=yaml.safe_dump(pod("a", "curl"))).out,
            lambda shown: bool(shown) and (BROKEN in shown) is broken,
            what="the MeshConfig has arrived",
        )

    use(f"{BROKEN}:v1.40.0", broken=True)
    applied = injecting.cluster.apply(account("default", "curl"), escaping)
    use("", broken=False)
    assert applied.exit_code == 0, applied.error
    with pytest.raises(RuntimeError, match="envoy"):
        kubelet.run("curl", "escaping")

    assert not trace.exists()


def of_template(owner: Mapping[str, Any]) -> dict[str, Any]:
    """The pod that a controller makes for an object with a template."""
    metadata, template = owner["metadata"], owner["spec"]["template"]
    reference = {
        "apiVersion": owner["apiVersion"],
        "kind": owner["kind"],
        "name": metadata["name"],
        "uid": metadata["uid"],
        "controller": True,
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            **template["metadata"],
            "name": metadata["name"],
            "namespace": metadata["namespace"],
            "ownerReferences": [reference],
        },
        "spec": template["spec"],
    }


def test_a_sidecar_comes_back_with_the_renewed_token_and_is_sent_nothing_again(
    injecting: Injecting,
    kubelet: Kubelet,
    hosts: Hosts,  # noqa: ARG001 - the control plane is called by its name
) -> None:
    injecting.join("curl")
    renewed = pod("renewed", "curl")
    applied = injecting.cluster.apply(account("default", "curl"), renewed)
    assert applied.exit_code == 0, applied.error
    stored = kubelet.run("curl", "renewed")
    before = _login(injecting, "renewed.curl")
    kubelet.renew(stored)
    injecting.server.process.kill()
    injecting.server.start()
    after = _login(injecting, "renewed.curl")

    assert ("TOKEN", "curl/default") == (before["credential"], before["identity"])
    assert before["credentialExpiresAt"] < after["credentialExpiresAt"]
    assert {0.0} == {injecting.server.metric(SENT, type=kind) for kind in ("cds", "lds")}


def _login(injecting: Injecting, node: str) -> dict[str, Any]:
    """What the sidecar logged in with, once it has."""

    def look() -> list[dict[str, Any]]:
        shown = injecting.server.towpath("sidecars", "-o", "json")
        sidecars = json.loads(shown or "{}").get("sidecars", [])
        return [one for one in sidecars if one["nodeId"] == node and one["state"] == "SERVING"]

    context = injecting.server.process.tail
    return wait.until(look, bool, what=f"{node} has logged in", within_s=60, context=context)[0]


@pytest.mark.parametrize("mode", ["iptables", "none"])
def test_pod_security_decides_about_the_init_container(injecting: Injecting, mode: str) -> None:
    injecting.patch({"spec": {"traffic": {"interceptionMode": mode}}})
    results = {}
    for level in LEVELS:
        namespace = f"{level}-{mode}"
        injecting.join(namespace, enforce=level)
        wanted = 2 if mode == "iptables" else 1

        def create(namespace: str = namespace) -> Any:
            return injecting.cluster.kubectl(
                *("create", "--dry-run=server", "-o", "json", "-f", "-"),
                stdin=yaml.safe_dump(pod("web", namespace)),
            )

        def is_of_mode(done: Any, wanted: int = wanted) -> bool:
            if done.exit_code:
                return "violates PodSecurity" in done.error
            return len(json.loads(done.out)["spec"]["initContainers"]) == wanted

        done = wait.until(create, is_of_mode, what=f"{namespace}: the MeshConfig has arrived")
        results[level] = done.exit_code == 0
    injecting.patch({"spec": {"traffic": {"interceptionMode": "iptables"}}})

    allowed = {"iptables": {"privileged"}, "none": set(LEVELS)}[mode]
    assert {level: level in allowed for level in LEVELS} == results


def test_a_limit_range_and_a_quota_let_the_sidecar_in(injecting: Injecting) -> None:
    injecting.join("tight")
    limits = [
        {"type": "Container", "max": {"cpu": "2", "memory": "1Gi"}, "min": {"cpu": "5m"}},
    ]
    hard = {
        f"{kind}.{name}": amount
        for kind in ("requests", "limits")
        for name, amount in (("cpu", "4"), ("memory", "2Gi"))
    }
    metadata = {"name": "tight", "namespace": "tight"}
    applied = injecting.cluster.apply(
        account("default", "tight"),
        {
            "apiVersion": "v1",
            "kind": "LimitRange",
            "metadata": metadata,
            "spec": {"limits": limits},
        },
        {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": metadata, "spec": {"hard": hard}},
    )
    assert applied.exit_code == 0, applied.error
    # What the quota's controller would count.
    status = {"status": {"hard": hard, "used": dict.fromkeys(hard, "0")}}
    quota = ("patch", "resourcequota", "tight", "-n", "tight", "--subresource=status")
    patched = injecting.cluster.kubectl(*quota, "--type=merge", "-p", json.dumps(status))
    assert patched.exit_code == 0, patched.error

    created = injecting.cluster.apply(pod("web", "tight"))

    assert created.exit_code == 0, created.error


def test_kubectl_prints_why_a_pod_is_refused_and_what_is_left_out(injecting: Injecting) -> None:
    injecting.join("words")
    injecting.cluster.apply(account("default", "words"))
    ports = "openservicemesh.io/outbound-port-exclusion-list"
    ranges = "openservicemesh.io/outbound-ip-range-exclusion-list"
    refused = injecting.cluster.apply(pod("web", "words", **{ports: "80,$(id)"}))
    warned = injecting.cluster.apply(pod("web", "words", **{ranges: "10.0.0.5/24"}))

    assert 0 != refused.exit_code
    assert f'annotation {ports} has "$(id)": allowed: a port from 1 to 65535' in refused.error
    assert (0, True) == (warned.exit_code, f"Warning: towpath: annotation {ranges}" in warned.error)


def test_kubectl_prints_why_a_pod_can_have_no_sidecar(injecting: Injecting) -> None:
    """The pod is created all the same; nothing is printed of one that wants none."""
    injecting.join("hosts")
    injecting.cluster.apply(account("default", "hosts"))
    switch = "openservicemesh.io/sidecar-injection"
    on_node, on_windows = pod("on-node", "hosts"), pod("on-windows", "hosts")
    unwanted = pod("unwanted", "hosts", **{switch: "disabled"})
    for one in (on_node, unwanted):
        one["spec"]["hostNetwork"] = True
    on_windows["spec"]["os"] = {"name": "windows"}
    on_windows["spec"]["containers"][0]["securityContext"] = {}
    created = [injecting.cluster.apply(one) for one in (on_node, on_windows, unwanted)]

    assert [0, 0, 0] == [one.exit_code for one in created], [one.error for one in created]
    warning = "Warning: towpath: no sidecar: it "
    assert f"{warning}is in the network of its node (hostNetwork)" in created[0].error
    assert f"{warning}runs on Windows" in created[1].error
    assert "Warning: towpath" not in created[2].error


def test_a_stored_pod_comes_again_as_it_is(injecting: Injecting) -> None:
    """A copy, as `kubectl debug` makes it; also by generateName, and twice the same."""
    injecting.join("copies")
    injecting.cluster.apply(account("default", "copies"))
    first = pod("web", "copies")
    first["spec"]["containers"][0]["livenessProbe"] = {"tcpSocket": {"port": 80}}
    stored = injecting.cluster.kubectl(
        *("create", "-o", "json", "-f", "-"), stdin=yaml.safe_dump(first)
    ).json()
    metadata = {**stored["metadata"], "name": "copy"}
    copy = {
        **stored,
        "metadata": {name: metadata[name] for name in ("namespace", "annotations", "labels")},
        "status": {},
    }
    copy["metadata"]["generateName"] = "copy-"
    again = injecting.cluster.kubectl(
        *("create", "-o", "json", "-f", "-"), stdin=yaml.safe_dump(copy)
    ).json()

    assert stored["spec"] == again["spec"]
    assert stored["metadata"]["annotations"] == again["metadata"]["annotations"]
    mounting = [
        container["name"]
        for container in (*stored["spec"]["initContainers"], *stored["spec"]["containers"])
        if any(mount["name"] == "towpath" for mount in container.get("volumeMounts", ()))
    ]
    assert ["osm-init", "envoy"] == mounting
    assert "PRIVATE KEY" not in json.dumps(stored)
    assert "" == injecting.cluster.kubectl("get", "secrets", "-n", "copies", "-o", "name").out


def test_a_dry_run_shows_the_sidecar_and_changes_nothing(injecting: Injecting) -> None:
    injecting.join("dry")
    injecting.cluster.apply(account("default", "dry"))
    before = _versions(injecting.cluster)
    injected = injecting.server.metric("towpath_injections_total", result="injected")
    done = injecting.cluster.kubectl(
        *("create", "--dry-run=server", "-o", "json", "-f", "-"),
        stdin=yaml.safe_dump(pod("web", "dry")),
    )

    containers = [one["name"] for one in done.json()["spec"]["initContainers"]]
    assert ["osm-init", "envoy"] == containers
    after = injecting.server.metric("towpath_injections_total", result="injected")
    assert injected + 1 == after
    assert before == _versions(injecting.cluster)


def _versions(cluster: Cluster) -> dict[str, str]:
    """Every object, with its version, but for what changes by itself with time."""
    kinds = [
        kind
        for kind in cluster.kubectl("api-resources", "--verbs=list", "-o", "name").out.split()
        if not kind.startswith(("leases.", "events"))
    ]
    path = "{range .items[*]}{.metadata.uid} {.metadata.resourceVersion}{'\\n'}{end}"
    shown = cluster.kubectl("get", ",".join(kinds), "-A", "-o", f"jsonpath={path}")
    assert shown.exit_code == 0, shown.error
    return dict(line.split() for line in shown.out.splitlines() if line.strip())


def test_check_names_the_pods_that_have_no_sidecar(injecting: Injecting) -> None:
    injecting.cluster.kubectl("create", "namespace", "late")
    injecting.cluster.apply(account("default", "late"), pod("before", "late"))
    injecting.join("late")
    injecting.cluster.apply(
        pod("after", "late"),
        pod("never", "late", **{"openservicemesh.io/sidecar-injection": "no"}),
    )
    done = towpath(injecting.cluster, "check")

    lines = [line.strip() for line in done.out.splitlines() if line.strip().startswith("late/")]
    assert (1, ["late/before has no sidecar"]) == (done.exit_code, lines)
    assert "pods are not injected by this version: create them again" in done.out


def test_the_bundle_is_repaired_whoever_breaks_it(injecting: Injecting) -> None:
    right = injecting.bundle()
    patch = '[{"op": "replace", "path": "/webhooks/0/clientConfig/caBundle", "value": "Zm9v"}]'
    broken = injecting.cluster.kubectl("patch", *WEBHOOK, "--type=json", "-p", patch)
    assert broken.exit_code == 0, broken.error

    assert right == injecting.wait_trusted(unlike="Zm9v")
    upgraded = towpath(injecting.cluster, "upgrade")
    assert upgraded.exit_code == 0, upgraded.error
    assert right == injecting.bundle()


def test_a_rotation_as_the_page_has_it_waits_for_the_pods_that_trust_the_old_root_alone(
    injecting: Injecting,
) -> None:
    cluster, server = injecting.cluster, injecting.server
    cluster.kubectl("delete", "pods", "-A", "-l", MARK[0], "--now")
    injecting.join("rotated")
    cluster.apply(account("default", "rotated"), pod("old", "rotated"))
    bundles = [injecting.bundle()]

    def step(typed: Typed, *, refused: str = "") -> None:
        program, *arguments = shlex.split(typed.command)
        assert "towpath" == program
        done = server.run(*arguments)
        assert int(bool(refused)) == done.returncode, done.stderr
        assert refused in done.stderr

    page = DEPLOY.parent / "docs" / "operate.md"
    trust, sign, drop = (one for one in commands(page) if "certificates rotate" in one.command)
    step(trust)
    step(sign, refused="the new root is not trusted by sidecars of the replica")
    server.mount_authority()
    bundles.append(injecting.wait_trusted(unlike=bundles[-1]))
    by_old = cluster.apply(pod("new", "rotated"))
    assert by_old.exit_code == 0, by_old.error
    step(sign, refused="1 injected pods do not have the new root in their bootstrap, such as rot")
    cluster.kubectl("delete", "pod", "old", "-n", "rotated", "--now")
    step(sign)
    step(drop, refused="the new root is not what signs at the replica")
    server.mount_authority()
    server.process.stop()
    server.start()
    by_new = cluster.apply(pod("between", "rotated"))
    assert by_new.exit_code == 0, by_new.error
    assert bundles[-1] == injecting.bundle()
    step(drop)
    server.mount_authority()
    bundles.append(injecting.wait_trusted(unlike=bundles[-1]))

    old, both, new = (base64.b64decode(bundle).strip() for bundle in bundles)
    assert old != new
    assert [1, 2, 1] == [one.count(BEGIN) for one in (old, both, new)]
    assert old in both
    assert new in both
    assert cluster.apply(pod("newest", "rotated")).exit_code == 0


def test_many_pods_at_once(injecting: Injecting) -> None:
    injecting.join("many")
    injecting.cluster.apply(account("default", "many"))
    answers = asyncio.run(create_at_once(injecting.cluster, "many", MANY)).answers

    assert [201] * MANY == [status for status, _ in answers]
    assert all(len(one["spec"]["initContainers"]) == 2 for _, one in answers)


def test_without_the_control_plane_only_pods_of_the_mesh_are_refused(injecting: Injecting) -> None:
    injecting.join("meshed")
    injecting.cluster.kubectl("create", "namespace", "outside")
    for namespace in ("meshed", "outside"):
        injecting.cluster.apply(account("default", namespace))
    injecting.server.process.kill()
    disabled = pod("disabled", "meshed", **{"openservicemesh.io/sidecar-injection": "No"})
    on_node = pod("on-node", "meshed")
    on_node["spec"]["hostNetwork"] = True
    try:
        results = {
            one["metadata"]["name"]: injecting.cluster.apply(one)
            for one in (pod("web", "meshed"), pod("other", "outside"), disabled, on_node)
        }
    finally:
        injecting.server.process.start()

    assert "failed calling webhook" in results.pop("web").error
    assert {"other": 0, "disabled": 0, "on-node": 0} == {
        name: done.exit_code for name, done in results.items()
    }
    wait.until(
        lambda: injecting.cluster.apply(pod("web", "meshed")).exit_code,
        lambda code: code == 0,
        what="pods of the mesh are created again",
        within_s=60,
        context=injecting.server.process.tail,
    )
