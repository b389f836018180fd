"""Commands from elsewhere: by the kubeconfig and the API server alone, they ask every replica."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import grpc
import pytest
import yaml
from click.testing import CliRunner, Result

from support.dataplane.policy import egress
from support.dataplane.wait import until
from support.envoy_admin import dump, envoy_admin
from support.kube.cluster import Cluster
from support.kube.following import following, snapshot, until_name
from support.kube.node import Node
from support.kube.replica import Replica
from support.kube.shared import apply_demo_mesh
from support.page.dashboard import text_of
from support.pages import commands
from support.ports import free_ports
from towpath.cli import main
from towpath.model.ports import ADMIN_PORT

pytestmark = pytest.mark.kube

PAGE = Path(__file__).parents[2] / "docs" / "cli.md"
NAMESPACE = "osm-system"
FORWARDER = list(
    yaml.safe_load_all("""
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: forwarder, namespace: osm-system}
rules:
- {apiGroups: [""], resources: [pods], verbs: [list]}
- {apiGroups: [""], resources: [pods/portforward], verbs: [get, create]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: forwarder, namespace: osm-system}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: forwarder}
subjects: [{kind: User, name: stranger, apiGroup: rbac.authorization.k8s.io}]
""")
)
"""All that somebody needs who asks, and nothing else."""
SEES_PODS = [
    {**FORWARDER[0], "rules": FORWARDER[0]["rules"][:1]},
    FORWARDER[1],
]


class Installed:
    """Two replicas in pods of a node."""

    def __init__(self, cluster: Cluster, node: Node, replicas: Mapping[str, Replica]) -> None:
        self.cluster = cluster
        self.node = node
        self.replicas = replicas
        self.pods: dict[str, dict[str, Any]] = {}

    def towpath(self, *arguments: str, identity: str = "stranger") -> Result:
        """What somebody types who has these rights, and a kubeconfig."""
        environment = {"KUBECONFIG": str(self.cluster.kubeconfig(identity))}
        return CliRunner(env=environment).invoke(main, arguments)

    def typed(self, line: str, folder: Path) -> subprocess.CompletedProcess[str]:
        """A line of a page, in a shell with everything on PATH."""
        path = f"{Path(sys.executable).parent}:/usr/bin:/bin"
        environment = {"PATH": path, "KUBECONFIG": str(self.cluster.kubeconfig())}
        return subprocess.run(
            ["bash", "-o", "pipefail", "-c", line],
            check=False,
            capture_output=True,
            text=True,
            env=environment,
            cwd=folder,
        )

    def refused(self, *arguments: str) -> tuple[int, str]:
        """The exit code and the error, typed in a process of its own: aiohttp tells nobody when it
        has closed the connection on which a WebSocket was refused.
        """
        environment = {
            "PATH": "/usr/bin:/bin",
            "KUBECONFIG": str(self.cluster.kubeconfig("stranger")),
        }
        command = [sys.executable, "-m", "towpath", *arguments]
        done = subprocess.run(command, check=False, capture_output=True, text=True, env=environment)
        return done.returncode, done.stderr

    @contextmanager
    def dashboard(self) -> Iterator[subprocess.Popen[str]]:
        """The dashboard of who has these rights, until it is told to end."""
        environment = {
            "PATH": "/usr/bin:/bin",
            "KUBECONFIG": str(self.cluster.kubeconfig("stranger")),
        }
        command = [sys.executable, "-m", "towpath", "dashboard", "--no-open", "--port", "0"]
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, text=True, env=environment
        ) as running:
            yield running
            running.terminate()


@pytest.fixture(scope="module")
def installed(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installed]:
    folder = tmp_path_factory.mktemp("laptop")
    apply_demo_mesh(cluster)
    assert cluster.apply(*FORWARDER).exit_code == 0
    names = ("towpath-a", "towpath-b")
    ports = dict(zip(names, free_ports(2), strict=True))
    with ExitStack() as stack:
        node = stack.enter_context(Node(cluster, folder))
        replicas = {}
        for name, port in ports.items():
            options = ("--local-address", f"127.0.0.1:{port}")
            replicas[name] = stack.enter_context(Replica(cluster, name, folder, options=options))
        made = Installed(cluster, node, replicas)
        for name, port in ports.items():
            made.pods[name] = _pod(name, port)
            node.run(made.pods[name])
        yield made
        for pod in made.pods.values():
            node.remove(pod)
        cluster.kubectl("delete", "role,rolebinding", "forwarder", "-n", NAMESPACE)


def _pod(name: str, port: int) -> dict[str, Any]:
    container = {
        "name": "towpath",
        "image": "towpath",
        "ports": [{"name": "local", "containerPort": port}],
    }
    labels = {"app.kubernetes.io/name": "towpath"}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": NAMESPACE, "labels": labels},
        "spec": {"containers": [container]},
    }


async def test_sidecars_of_every_replica_are_in_one_table_and_policies_count_them_all(
    installed: Installed,
) -> None:
    first, second = installed.replicas.values()
    installed.cluster.apply(egress("out", (80, "http"), hosts=["httpbin.org"]))
    async with (
        following(first.socket, "curl.curl", "delta", first),
        following(second.socket, "curl-2.curl", "sotw", second),
    ):
        await asyncio.to_thread(first.wait_accepted, "curl.curl")
        await asyncio.to_thread(second.wait_accepted, "curl-2.curl")
        table = await asyncio.to_thread(installed.towpath, "sidecars")
        status = await asyncio.to_thread(installed.towpath, "status", "-o", "json")

    assert (0, "2 sidecars: 2 ok\n") == (table.exit_code, table.stderr)
    rows = {line.split()[0] for line in table.stdout.splitlines()}
    assert {"NODE", "curl.curl", "curl-2.curl"} <= rows
    (policy,) = json.loads(status.stdout)["policies"]
    assert (0, 2, 2) == (
        status.exit_code,
        policy["affectedSidecars"],
        policy["acknowledgedSidecars"],
    )


async def test_whatever_asks_a_control_plane_asks_all_of_it(installed: Installed) -> None:
    first, second = installed.replicas.values()
    async with (
        following(first.socket, "curl.curl", "delta", first),
        following(second.socket, "curl-2.curl", "sotw", second),
    ):
        await asyncio.to_thread(first.wait_accepted, "curl.curl")
        await asyncio.to_thread(second.wait_accepted, "curl-2.curl")
        check = await asyncio.to_thread(lambda: installed.towpath("check", identity="admin"))
        of_strangers = [
            await asyncio.to_thread(installed.towpath, *command)
            for command in (
                ("certificates", "list", "-o", "json"),
                ("observe", "-o", "json"),
                ("audit", "-o", "json"),
                ("suggest",),
            )
        ]

    assert "2 connected, all up to date" in check.stdout, check.output
    assert [0] * 4 == [done.exit_code for done in of_strangers], [d.output for d in of_strangers]
    certificates, observed, judged = (json.loads(done.stdout) for done in of_strangers[:3])
    assert {"certificates": [], "unanswered": {}} == certificates
    assert {"flows": [], "streams": 0, "shed": 0, "leftOut": 0} == observed
    assert [] == judged["flows"]


async def test_the_dashboard_shows_the_sidecars_of_every_replica(installed: Installed) -> None:
    first, second = installed.replicas.values()
    async with (
        following(first.socket, "curl.curl", "delta", first),
        following(second.socket, "curl-2.curl", "sotw", second),
    ):
        await asyncio.to_thread(first.wait_accepted, "curl.curl")
        await asyncio.to_thread(second.wait_accepted, "curl-2.curl")
        with installed.dashboard() as command:
            assert command.stdout is not None
            line = await asyncio.to_thread(command.stdout.readline)
            url = line.removeprefix("Dashboard: ").strip()
            html = await asyncio.to_thread(lambda: urlopen(f"{url}sidecars").read().decode())

    text = text_of(html)
    assert "Replicas 2 Sidecars 2 ok" in text
    assert [name in text for name in ("curl.curl", "curl-2.curl", *installed.replicas)] == [
        True
    ] * 4


def test_a_rotation_asks_every_replica(installed: Installed) -> None:
    sign = ("certificates", "rotate", "sign")
    early = installed.towpath(*sign, identity="admin")
    further = installed.towpath(*sign, "--further", "127.0.0.1:1", identity="admin")
    stranger = installed.towpath(*sign)
    second = installed.pods["towpath-b"]
    installed.node.set_ready(second, ready=False)
    silent = installed.towpath(*sign, identity="admin")
    installed.node.set_ready(second, ready=True)

    # Who comes so far has been answered by both; there is no authority here.
    assert (1, True) == (
        early.exit_code,
        "there is no Secret osm-system/towpath-ca" in early.output,
    )
    assert (2, True) == (further.exit_code, "every replica is asked already" in further.output)
    assert (1, True) == (stranger.exit_code, "verbs: [list]" in stranger.output)
    assert (1, True) == (silent.exit_code, "the pod is not ready yet" in silent.output)
    assert "towpath-b: no answer, so what its sidecars hold is not known" in silent.output


async def test_what_the_page_has_typed_does_what_it_says(
    installed: Installed, tmp_path: Path
) -> None:
    first, second = installed.replicas.values()
    installed.cluster.apply(egress("out", (80, "http"), hosts=["httpbin.org"]))
    for replica in installed.replicas.values():
        await asyncio.to_thread(until_name, replica, "httpbin.org:80")
    typed = commands(PAGE)
    async with (
        following(first.socket, "curl.curl", "delta", first),
        following(second.socket, "curl-2.curl", "sotw", second),
    ):
        await asyncio.to_thread(first.wait_accepted, "curl.curl")
        await asyncio.to_thread(second.wait_accepted, "curl-2.curl")
        for one in typed:
            done = await asyncio.to_thread(installed.typed, one.command, tmp_path)
            assert one.exit_code == done.returncode, f"{one.command}: {done.stdout}{done.stderr}"
            assert one.prints(done.stdout), f"{one.command}: {done.stdout}{done.stderr}"

    names = {one.command.split()[1] for one in typed}
    assert "kubectl towpath sidecars -o name" in {one.command for one in typed}
    assert {"sidecars", "status", "config", "diff", "completion"} <= names


async def test_the_envoy_of_a_pod_is_asked_by_a_port_forward(installed: Installed) -> None:
    replica = installed.replicas["towpath-a"]
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "envoy", "namespace": "curl"},
        "spec": {"serviceAccountName": "curl", "containers": [{"name": "app", "image": "app"}]},
    }
    await asyncio.to_thread(installed.node.run, pod)

    async def config(*options: str, identity: str = "admin") -> Result:
        command = ("config", "envoy.curl", *options)
        return await asyncio.to_thread(installed.towpath, *command, identity=identity)

    await asyncio.to_thread(
        until, lambda: _known(replica, "envoy.curl"), lambda known: known, what="the pod is known"
    )
    async with following(replica.socket, "envoy.curl", "delta", replica):
        await asyncio.to_thread(replica.wait_accepted, "envoy.curl")
        document = json.loads((await config("-o", "json")).stdout)
        closed = await config("--envoy")
        with envoy_admin(ADMIN_PORT) as admin:
            admin.text = dump(
                {
                    short: {name: one["offered"] for name, one in entries.items()}
                    for short, entries in document.items()
                }
            )
            same = await config("--envoy")
            admin.text = dump({})
            empty = await config("--envoy")
        words = ("config", "envoy.curl", "--envoy")
        code, error = await asyncio.to_thread(installed.refused, *words)
    installed.node.remove(pod)

    assert (0, "") == (same.exit_code, same.output)
    assert (1, True) == (empty.exit_code, "Envoy has none" in empty.stdout), empty.output
    assert 2 == closed.exit_code
    assert "the port-forward to Pod curl/envoy failed" in closed.stderr
    assert "or forward its port 15000 yourself" in closed.stderr
    assert 2 == code
    assert 'resources: ["pods/portforward"], verbs: [get, create]' in error


def _known(replica: Replica, node: str) -> bool:
    try:
        return bool(snapshot(replica, node).version)
    except grpc.RpcError:
        return False


def test_problems_and_explanations_come_the_same_way(installed: Installed) -> None:
    installed.cluster.apply(egress("out", (80, "http"), hosts=["httpbin.org"]))
    question = ("explain", "--from", "curl/curl", "--to")
    for replica in installed.replicas.values():
        until_name(replica, "httpbin.org:80")
    allowed = installed.towpath(*question, "http://httpbin.org/get")
    denied = installed.towpath(*question, "http://example.org/get")
    problems = installed.towpath("problems")

    assert (0, "") == (allowed.exit_code, allowed.stderr)
    assert allowed.stdout.startswith("ALLOW")
    assert (1, True) == (denied.exit_code, denied.stdout.startswith("DENY"))
    # The demo mesh has a Service that is answered from outside of it.
    assert (1, 1) == (problems.exit_code, len(problems.stdout.splitlines())), problems.stdout
    assert "EndpointSlice bookstore/bookstore-1 endpoints: Forbidden" in problems.stdout


def test_a_folder_is_compared_with_what_the_cluster_would_be_with_it(
    installed: Installed, tmp_path: Path
) -> None:
    installed.cluster.apply(egress("out", (80, "http"), hosts=["httpbin.org"]))
    policy = tmp_path / "policy.yaml"
    policy.write_text(yaml.safe_dump(egress("out", (80, "http"), hosts=["httpbin.org"])))
    same = installed.towpath("diff", "cluster:", str(tmp_path), identity="reader")
    policy.write_text(yaml.safe_dump(egress("out", (80, "http"), hosts=["example.org"])))
    wider = installed.towpath("diff", "cluster:", str(tmp_path), identity="reader")
    back = installed.towpath("diff", str(tmp_path), "cluster:", identity="reader")
    refused = installed.towpath("diff", "cluster:", str(tmp_path))
    policy.unlink()
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "curl"}}
    (tmp_path / "namespace.yaml").write_text(yaml.safe_dump(namespace))
    kept = installed.towpath("diff", "cluster:", str(tmp_path), identity="reader")
    pruned = installed.towpath("diff", "cluster:", str(tmp_path), "--prune", identity="reader")

    assert 0 == kept.exit_code, kept.output
    assert (1, True) == (
        pruned.exit_code,
        "curl/curl loses any request to http://httpbin.org:80" in pruned.stdout,
    ), pruned.output
    assert (0, True) == (same.exit_code, " 0 changed, " in same.stdout), same.output
    assert 1 == wider.exit_code, wider.output
    assert "curl/curl gains any request to http://example.org:80" in wider.stdout
    assert "curl/curl loses any request to http://httpbin.org:80" in wider.stdout
    assert "(Egress curl/out)" in wider.stdout
    assert "curl/curl gains any request to http://httpbin.org:80" in back.stdout
    assert (2, True) == (refused.exit_code, "verbs: [list]" in refused.stderr), refused.output


def test_who_lacks_a_right_is_told_which(installed: Installed) -> None:
    blind = installed.towpath("sidecars", "-n", "curl")
    installed.cluster.apply(*SEES_PODS)
    code, error = installed.refused("sidecars")
    installed.cluster.apply(*FORWARDER)

    assert 2 == blind.exit_code
    assert 'resources: ["pods"], verbs: [list]' in blind.stderr
    assert 2 == code
    assert 'resources: ["pods/portforward"], verbs: [get, create]' in error


def test_support_asks_every_replica(installed: Installed, tmp_path: Path) -> None:
    file = tmp_path / "bundle.tar.gz"
    written = installed.towpath("support", "bundle", "-o", str(file))
    level = installed.towpath("support", "log-level", "debug", "--for", "1")
    usual = installed.towpath("support", "log-level", "usual")
    with tarfile.open(file) as archive:
        names = set(archive.getnames())

    assert (0, 0, 0) == (written.exit_code, level.exit_code, usual.exit_code), written.output
    for replica in installed.replicas:
        assert f"towpath-support/{replica}/process.json" in names
        assert f"{replica}: the log level is debug for 1 minutes, it was info" in level.stdout
        assert f"{replica}: the log level is info, it was debug" in usual.stdout


def test_a_replica_that_is_not_ready_or_does_not_answer_is_named(installed: Installed) -> None:
    second = "towpath-b"
    installed.node.set_ready(installed.pods[second], ready=False)
    unready = installed.towpath("sidecars")
    third = _pod("towpath-c", free_ports(1)[0])
    installed.node.run(third)
    installed.node.set_ready(installed.pods[second], ready=True)
    dead = installed.towpath("sidecars")
    installed.node.remove(third)

    assert (2, f"{second}: no answer: the pod is not ready yet\n0 sidecars\n") == (
        unready.exit_code,
        unready.stderr,
    )
    assert unready.stdout.startswith("NODE")
    assert 2 == dead.exit_code
    assert (
        "towpath-c: no answer: the port-forward to Pod osm-system/towpath-c failed" in dead.stderr
    )
    assert "connection refused" in dead.stderr


def test_where_there_is_no_control_plane_the_answer_says_where_to_look(
    installed: Installed,
) -> None:
    elsewhere = installed.towpath("sidecars", "-n", "curl", identity="admin")

    assert 2 == elsewhere.exit_code
    assert f"no control plane in namespace curl of {installed.cluster.url}" in elsewhere.stderr


def test_a_node_that_cannot_be_reached_is_said_to_be(installed: Installed) -> None:
    installed.node.stop()
    code, error = installed.refused("sidecars")

    assert 2 == code
    assert "towpath-a: the API server refuses a port-forward" in error
    assert "it may not reach the kubelet of the pod's node" in error
