"""A private key leaves a server by one door: the stream of the sidecar whose key it is."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import re
import subprocess
import sys
import textwrap
import urllib.request
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import grpc
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from envoy.extensions.transport_sockets.tls.v3.secret_pb2 import Secret
from envoy.service.status.v3 import csds_pb2, csds_pb2_grpc
from google.rpc.status_pb2 import Status

from support.certificates import Certificates
from support.xds.process import ServerProcess
from support.xds.stream import RawStream
from towpath.ca.authority import key_bytes
from towpath.model.types import CLUSTER, LISTENER, SECRET
from towpath.xds.service import SERVICE
from towpath_api.v1 import inspector_pb2 as pb
from towpath_api.v1 import inspector_pb2_grpc as pb_grpc

NODE = "bookstore-0.bookstore"
NAME = "service-cert:bookstore/bookstore"


@dataclass(frozen=True)
class Forms:
    """A private key in every form in which it could be written somewhere."""

    texts: tuple[bytes, ...]

    @classmethod
    def of(cls, pem: bytes) -> Forms:
        key = serialization.load_pem_private_key(pem, password=None)
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        number = key.private_numbers().private_value.to_bytes(32, "big")
        der = key_bytes(key)
        sec1 = key.private_bytes(
            serialization.Encoding.DER,
            serialization.PrivateFormat.TraditionalOpenSSL,
            serialization.NoEncryption(),
        )
        # The lines of PEM and other base64 begin at any of three bits of the number.
        shifted = (base64.b64encode(b"\0" * shift + number)[4:-4] for shift in range(3))
        written = [number, number.hex().encode(), der, sec1, *shifted, base64.b64encode(pem)]
        written += [line for line in pem.splitlines() if not line.startswith(b"-")]
        written += [base64.b64encode(one) for one in (der, sec1)]
        written.append(textwrap.fill(pem.decode(), 10_000).encode())
        written.append(repr(number)[2:-1].encode())
        return cls(tuple(one for one in written if len(one) > 15))

    def within(self, data: bytes) -> list[bytes]:
        """Those that are in the data, however lines are broken in it."""
        joined = re.sub(rb"\s|\\n", b"", data)
        return [one for one in self.texts if one in data or re.sub(rb"\s", b"", one) in joined]


@dataclass(frozen=True)
class Served:
    """A server at debug, the sidecar that has its secret, and the keys that nobody else may see."""

    server: ServerProcess
    stream: RawStream
    socket: str
    keys: tuple[Forms, ...]


@contextlib.asynccontextmanager
async def _served(folder: Path, *options: str) -> AsyncIterator[Served]:
    certificates = Certificates(folder)
    files, client = certificates.server(), certificates.sidecar("bookstore", "bookstore")
    authority = folder / "authority"
    authority.mkdir()
    pair = certificates._authority.pair
    (authority / "ca.crt").write_bytes(pair.certificate)
    (authority / "ca.key").write_bytes(pair.key)
    server = ServerProcess(
        folder,
        *("--tls-cert", str(files.certificate), "--tls-key", str(files.key)),
        *("--tls-client-ca", str(files.ca), "--authority", str(authority)),
        *("--local-socket", str(folder / "local.sock"), "--log-level", "debug", *options),
        services=0,
    )
    server.listen_on_tcp()
    pods = server.folder / "bookstore.yaml"
    labels = "  labels:\n    app: bookstore\n"
    assert 1 == pods.read_text().count(labels)
    mark = '    openservicemesh.io/mtls: "1"\n'
    pods.write_text(pods.read_text().replace(labels, labels + mark))
    server.start()
    try:
        target = f"localhost:{server.tcp_port}"
        async with grpc.aio.secure_channel(target, client.credentials()) as channel:
            stream = RawStream(channel, f"/{SERVICE}/StreamAggregatedResources")
            key = await _key(stream)
            keys = tuple(map(Forms.of, (key, pair.key)))
            yield Served(server, stream, f"unix:{folder}/local.sock", keys)
    finally:
        server.stop()


async def _key(stream: RawStream) -> bytes:
    """What the sidecar is sent: the proof that there is a key to look for."""
    for type_url, names in ((CLUSTER, ()), (LISTENER, ()), (SECRET, (NAME,))):
        await stream.say(type_url, node=NODE, resource_names=names)
        while True:
            response = await stream.hear()
            await stream.say(
                response.type_url,
                node=NODE,
                version_info=response.version_info,
                response_nonce=response.nonce,
                resource_names=names if response.type_url == type_url else (),
            )
            if response.type_url == type_url:
                break
    secret = Secret()
    response.resources[0].Unpack(secret)
    assert secret.name == NAME
    return secret.tls_certificate.private_key.inline_bytes or (
        secret.tls_certificate.private_key.inline_string.encode()
    )


async def _everything(served: Served) -> dict[str, bytes]:
    """All that people can get of a server, by the door."""
    doors: dict[str, bytes] = {}
    async with grpc.aio.insecure_channel(served.socket) as channel:
        csds = csds_pb2_grpc.ClientStatusDiscoveryServiceStub(channel)
        answer = await csds.FetchClientStatus(csds_pb2.ClientStatusRequest())
        doors["CSDS"] = answer.SerializeToString()
        inspector = pb_grpc.InspectorStub(channel)
        request = pb.GetSnapshotRequest(node_id=NODE)
        doors["GetSnapshot"] = (await inspector.GetSnapshot(request)).SerializeToString()
        watch = inspector.WatchSnapshot(pb.WatchSnapshotRequest(node_id=NODE))
        doors["WatchSnapshot"] = (await watch.read()).SerializeToString()
        watch.cancel()
        listed = await inspector.ListSidecars(pb.ListSidecarsRequest())
        doors["ListSidecars"] = listed.SerializeToString()
        problems = await inspector.ListProblems(pb.ListProblemsRequest())
        doors["ListProblems"] = problems.SerializeToString()
    return doors | await asyncio.to_thread(_pages_and_commands, served)


def _pages_and_commands(served: Served) -> dict[str, bytes]:
    doors = {}
    for page in ("metrics", "version", "health/ready"):
        url = f"http://127.0.0.1:{served.server.http_port}/{page}"
        with urllib.request.urlopen(url) as opened:
            doors[page] = opened.read()
    folder = str(served.server.folder)
    for command in (
        ("sidecars", "--server", served.socket, "-o", "json"),
        ("problems", "--server", served.socket),
        ("render", "--manifests", folder, "--sidecar", NODE),
        ("render", "--manifests", folder, "--sidecar", NODE, "-o", "summary"),
    ):
        run = subprocess.run(
            [sys.executable, "-m", "towpath", *command], capture_output=True, check=False
        )
        doors[" ".join(command)] = run.stdout + run.stderr
    return doors


async def test_no_other_door_shows_a_key(tmp_path: Path) -> None:
    async with _served(tmp_path) as served:
        doors = await _everything(served)
        # A rejection and a broken authority are told of, too.
        rejection = {"response_nonce": "1", "error_detail": Status(message="no")}
        await served.stream.say(SECRET, node=NODE, resource_names=[NAME], **rejection)
        (tmp_path / "authority" / "ca.crt").write_bytes(b"garbage")
        server = served.server
        async with asyncio.timeout(60):
            while "the last good one stays in use" not in server._log.read_text():
                await asyncio.sleep(0.05)
        later = await _everything(served)
        doors |= {f"{door}, later": data for door, data in later.items()}
        keys = served.keys
    doors["log"] = server._log.read_bytes()

    assert b"the authority of" in doors["log"]
    # The doors are the right ones: both show that there is such a secret.
    assert NAME.encode() in doors["CSDS"]
    assert NAME.encode() in doors["GetSnapshot"]
    assert {} == {
        door: found for door, data in doors.items() for key in keys if (found := key.within(data))
    }


def test_a_key_is_found_in_whatever_form_it_is_written() -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    forms, der = Forms.of(pem), key_bytes(key)

    for written in (
        pem,
        der,
        der.hex().encode(),
        base64.b64encode(der),
        base64.b64encode(pem),
        b'{"key": "' + pem.replace(b"\n", b"\\n") + b'"}',
        pem.replace(b"\n", b"\n        "),
    ):
        assert forms.within(b"before " + written + b" after")


@pytest.mark.parametrize("keys", ["derived", "random"])
async def test_a_sidecar_is_sent_a_key_of_its_own(tmp_path: Path, keys: str) -> None:
    async with _served(tmp_path, "--leaf-keys", keys) as served:
        leaf, authority = served.keys

    assert leaf.texts != authority.texts
