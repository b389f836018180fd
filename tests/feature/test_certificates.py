"""Certificates of a running server: a private key leaves by one door, the stream of the sidecar
whose key it is; and a rotation waits for every sidecar.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import io
import json
import re
import subprocess
import sys
import tarfile
import textwrap
import urllib.request
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import grpc
import pytest
from click.testing import CliRunner
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from envoy.extensions.transport_sockets.tls.v3.secret_pb2 import Secret
from envoy.service.discovery.v3.discovery_pb2 import DiscoveryResponse
from envoy.service.status.v3 import csds_pb2, csds_pb2_grpc
from google.rpc.status_pb2 import Status

from support.certificates import Certificates
from support.tokens import Issuer
from support.xds.process import ServerProcess
from support.xds.stream import RawStream
from towpath.ca.authority import key_bytes
from towpath.ca.rotation import Entries, next_root, sign, trust
from towpath.cli import main
from towpath.cli.holdings import Holding, holdings
from towpath.cli.rotation import _shows, _trusts
from towpath.cli.server import Server, channel_to
from towpath.clock import utc_now
from towpath.model.types import CLUSTER, LISTENER, SECRET
from towpath.xds.service import SERVICE
from towpath_api.v1 import inspector_pb2 as pb
from towpath_api.v1 import inspector_pb2_grpc as pb_grpc

pytestmark = pytest.mark.usefixtures("transport")

EGRESS = """\
apiVersion: policy.openservicemesh.io/v1alpha1
kind: Egress
metadata: {{name: secret, namespace: curl}}
spec:
  sources: [{{kind: ServiceAccount, name: curl, namespace: curl}}]
  hosts: ["{host}"]
  ports: [{{number: 443, protocol: https}}]
"""
ROOTS_NAME = "root-cert-for-mtls-inbound:bookstore/bookstore"
DAY = timedelta(days=1)
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
        # The last line is of the public key alone, as a line of the certificate may be.
        lines = [line for line in pem.splitlines() if not line.startswith(b"-")]
        parts = [number[at : at + 8] for at in range(25)]
        written += [one for one in lines if any(p in base64.b64decode(one) for p in parts)]
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
    await _subscribe(stream, CLUSTER)
    await _subscribe(stream, LISTENER)
    response = await _subscribe(stream, SECRET, NAME, ROOTS_NAME)
    secrets = {}
    for resource in response.resources:
        secret = Secret()
        resource.Unpack(secret)
        secrets[secret.name] = secret
    source = secrets[NAME].tls_certificate.private_key
    key: bytes = source.inline_bytes or source.inline_string.encode()
    return key


async def _subscribe(stream: RawStream, type_url: str, *names: str) -> DiscoveryResponse:
    """Ask for these, and accept all that comes until they have come."""
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
            return response


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
        async for change in watch:
            doors["WatchSnapshot"] = change.SerializeToString()
            break
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


async def test_a_support_bundle_has_the_server_and_none_of_its_secrets(tmp_path: Path) -> None:
    token = Issuer().token()
    async with _served(tmp_path) as served:
        policy = served.server.folder / "secret.yaml"
        # People write their secrets into anything, and Problems quote them.
        policy.write_text(EGRESS.format(host=token))
        async with grpc.aio.insecure_channel(served.socket) as channel:
            inspector = pb_grpc.InspectorStub(channel)
            async with asyncio.timeout(60):
                while not (await inspector.ListProblems(pb.ListProblemsRequest())).problems:
                    await asyncio.sleep(0.05)
        file = tmp_path / "bundle.tar.gz"
        arguments = ("support", "bundle", "-o", str(file), "--profile", "1")
        done = await asyncio.to_thread(
            CliRunner().invoke, main, (*arguments, "--server", served.socket)
        )
        assert 0 == done.exit_code, done.output
        own = Forms.of((tmp_path / "server.key").read_bytes())
        keys = (*served.keys, own)
    files = {}
    with tarfile.open(file) as archive:
        for one in archive:
            # The replica has a folder, which is named by its address here.
            name = re.sub(r"^towpath-support/(?:[^/]*local\.sock/)?", "", one.name)
            files[name] = (archive.extractfile(one) or io.BytesIO()).read()

    assert 0o600 == file.stat().st_mode & 0o777
    assert {
        "about.txt",
        "log.txt",
        "memory.json",
        "metrics.txt",
        "policies.json",
        "problems.json",
        "process.json",
        "profile.txt",
        "sidecars.json",
        f"snapshots/envoy/{NODE}.json",
        "tasks.txt",
    } == set(files)
    assert b"[redacted]" in files["problems.json"]
    assert b"are missing, and why: none" in files["about.txt"]
    assert all(files.values())
    for name, data in files.items():
        assert [] == [form for forms in keys for form in forms.within(data)], name
        assert token[:40].encode() not in data, name


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
    assert NAME.encode() in doors["WatchSnapshot"]
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


async def test_people_see_when_the_certificate_of_a_sidecar_ends(tmp_path: Path) -> None:
    async with _served(tmp_path) as served:
        as_json, wide, listed = [
            await asyncio.to_thread(
                CliRunner().invoke, main, (*command, "--server", served.socket, "-o", output)
            )
            for command, output in (
                (("sidecars",), "json"),
                (("sidecars",), "wide"),
                (("certificates", "list"), "json"),
            )
        ]

    (sidecar,) = json.loads(as_json.stdout)["sidecars"]
    (certificate,) = json.loads(listed.stdout)["certificates"]
    until = certificate["validUntil"]
    assert ("bookstore/bookstore", "CERTIFICATE") == (sidecar["identity"], sidecar["credential"])
    assert until == sidecar["certificateExpiresAt"]
    heading, row = wide.stdout.splitlines()
    column = heading.index("CERTIFICATE UNTIL")
    assert until == row[column:].split()[0]


async def test_each_step_of_a_rotation_waits_for_every_sidecar(tmp_path: Path) -> None:
    async with _served(tmp_path) as served:
        server = Server(served.socket, None)
        before = await _holding(server)
        old = before.chains["bookstore/bookstore"][0]
        entries = _step(tmp_path, lambda one: trust(one, "tests", lifetime=DAY, clock=utc_now))
        root = next_root(entries, clock=utc_now)
        early = await _holding(server)
        unanswered = await served.stream.hear()
        while unanswered.type_url != SECRET:
            unanswered = await served.stream.hear()
        sent = await _holding(server)
        await _accept(served.stream, unanswered)
        trusted = await _until(server, lambda one: _trusts(one, root))

        _step(tmp_path, lambda one: sign(one, clock=utc_now))
        unanswered = await served.stream.hear()
        sent_leaf = await _holding(server)
        await _accept(served.stream, unanswered)
        signed = await _until(server, lambda one: _shows(one, root))
        listed = await asyncio.to_thread(
            CliRunner().invoke, main, ("certificates", "list", "--server", served.socket)
        )
        as_json, names, wide = [
            await asyncio.to_thread(
                CliRunner().invoke,
                main,
                ("certificates", "list", "--server", served.socket, "-o", output),
            )
            for output in ("json", "name", "wide")
        ]

    assert before.accepted
    assert [False, False, True] == [_trusts(one, root) for one in (early, sent, trusted)]
    assert [False, False, True] == [_shows(one, root) for one in (trusted, sent_leaf, signed)]
    assert old != signed.chains["bookstore/bookstore"][0]
    lines = [line.split() for line in listed.stdout.splitlines()]
    assert [["bookstore/bookstore", "1", "1"]] == [[r[0], *r[-2:]] for r in lines[1:]]
    (certificate,) = json.loads(as_json.stdout)["certificates"]
    keys = ("serviceAccount", "validUntil", "sidecars", "accepted", "holders")
    assert ["bookstore/bookstore", lines[1][2], 1, 1, [NODE]] == [certificate[key] for key in keys]
    assert NODE == wide.stdout.splitlines()[1].split()[-1]
    assert "bookstore/bookstore\n" == names.stdout


def _step(folder: Path, change: Callable[[Entries], Entries]) -> Entries:
    """Change the authority's folder as a kubelet would a Secret's: at one moment."""
    authority = folder / "authority"
    entries = change({path.name: path.read_bytes() for path in authority.iterdir()})
    fresh, old = folder / "fresh", folder / f"old-{len(entries)}"
    fresh.mkdir()
    for name, data in entries.items():
        (fresh / name).write_bytes(data)
    authority.rename(old)
    fresh.rename(authority)
    return entries


async def _accept(stream: RawStream, response: DiscoveryResponse) -> None:
    await stream.say(
        SECRET,
        node=NODE,
        resource_names=(NAME, ROOTS_NAME),
        version_info=response.version_info,
        response_nonce=response.nonce,
    )


async def _holding(server: Server) -> Holding:
    with channel_to(server) as channel:
        (one,) = await asyncio.to_thread(holdings, channel)
    return one


async def _until(server: Server, done: Callable[[Holding], bool]) -> Holding:
    async with asyncio.timeout(60):
        while not done(one := await _holding(server)):
            await asyncio.sleep(0.05)
    return one
