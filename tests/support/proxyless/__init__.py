"""A real gRPC xDS client in a process of its own, and a service for it to call."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from support.proxyless.greeter import greeter
from towpath_client import TlsFiles

CALLER = Path(__file__).with_name("caller.py")
WITHIN_S = 30.0

SERVICE = """\
apiVersion: v1
kind: Service
metadata: {{name: hello, namespace: bookstore}}
spec: {{clusterIP: 10.96.0.77, ports: [{{name: grpc, port: 50051}}]}}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {{name: hello-1, namespace: bookstore, labels: {{kubernetes.io/service-name: hello}}}}
addressType: IPv4
ports: [{{name: grpc, port: {port}}}]
endpoints: {endpoints}
---
apiVersion: v1
kind: Pod
metadata: {{name: hello, namespace: bookstore}}
status: {{podIP: 127.0.0.1}}
"""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a call: the status code, the answer or the details, the seconds it took."""

    code: str
    said: str
    seconds: float


class XdsClient:
    """The program `caller.py`, which stays one client for all its calls."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def call(self, name: str, *, deadline: float = 5.0) -> Outcome:
        """Call `xds:///<name>`; *deadline* is the call's own, in seconds."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        request = {"target": f"xds:///{name}", "deadline": deadline}
        self._process.stdin.write(json.dumps(request).encode() + b"\n")
        line = await asyncio.wait_for(self._process.stdout.readline(), deadline + WITHIN_S)
        assert line, "the client has ended"
        return Outcome(**json.loads(line))

    async def until(
        self,
        name: str,
        wanted: Callable[[Outcome], bool],
        *,
        what: str,
        within: float = WITHIN_S,
    ) -> Outcome:
        """Call again until the outcome is as wanted."""
        deadline = asyncio.get_running_loop().time() + within
        while not wanted(outcome := await self.call(name)):
            assert asyncio.get_running_loop().time() < deadline, f"{what}; last: {outcome}"
            await asyncio.sleep(0.02)
        return outcome


@contextlib.asynccontextmanager
async def xds_client(
    server: str,
    *,
    flavour: str = "sync",
    node: str = "curl.curl",
    data_errors: bool = False,
    fail_on_data_errors: bool = False,
    tls: TlsFiles | None = None,
    inside: Callable[[str], Sequence[str]] = lambda program: (program,),
    caller: Sequence[str] | None = None,
    bootstrap: Mapping[str, object] | None = None,
) -> AsyncIterator[XdsClient]:
    """A client whose bootstrap names *server*; *flavour* is `sync` or `aio`.

    With *data_errors* it heeds `resource_errors`, which gRPC does only if told to, and with
    *fail_on_data_errors* gives up what they speak of; with *tls*, the client's files, it speaks
    mutual TLS to the server. *inside* makes the command of a program that is run elsewhere, such as
    in a network namespace.
    *caller* is the command of another program that is spoken to like `caller.py`, and *bootstrap*
    what it is started with in place of what is made here.
    """
    features = ["fail_on_data_errors"] if fail_on_data_errors else []
    bootstrap = bootstrap or {
        "xds_servers": [
            {
                "server_uri": server,
                "channel_creds": [_credentials(tls)],
                "server_features": features,
            }
        ],
        # Node.js asks for all fields of a node.
        "node": {"id": node, "cluster": "curl", "locality": {"region": "r", "zone": "z"}},
    }
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(bootstrap, file)
        file.flush()
        process = await asyncio.create_subprocess_exec(
            *(caller or (*inside(sys.executable), str(CALLER), flavour)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env=os.environ
            | {
                "GRPC_XDS_BOOTSTRAP": file.name,
                "GRPC_EXPERIMENTAL_XDS_DATA_ERROR_HANDLING": str(data_errors).lower(),
                "GRPC_EXPERIMENTAL_XDS_BOOTSTRAP_CALL_CREDS": "true",
            },
        )
        try:
            yield XdsClient(process)
        finally:
            assert process.stdin is not None
            process.stdin.close()
            await asyncio.wait_for(process.wait(), WITHIN_S)


def _credentials(tls: TlsFiles | None) -> dict[str, object]:
    if tls is None:
        return {"type": "insecure"}
    files = {
        "ca_certificate_file": str(tls.ca),
        "certificate_file": str(tls.certificate),
        "private_key_file": str(tls.key),
    }
    return {"type": "tls", "config": files}


@contextlib.asynccontextmanager
async def hello_server(answer: str) -> AsyncIterator[int]:
    """A server that says *answer* to everybody, on a free port of 127.0.0.1: the port."""

    server = greeter(answer)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield port
    finally:
        await server.stop(None)


def hello_service(folder: Path, *, port: int, ready: bool = True) -> None:
    """Write the Service hello.bookstore, whose one pod is where a hello server listens."""
    endpoints = '[{addresses: ["127.0.0.1"]}]' if ready else "[]"
    fresh = folder / "hello.new"
    fresh.write_text(SERVICE.format(port=port, endpoints=endpoints))
    fresh.replace(folder / "hello.yaml")
