"""Who is served what on a server with TLS: every method, every identity, on real connections."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest
from cryptography import x509
from envoy.config.core.v3.base_pb2 import Node
from envoy.service.accesslog.v3.als_pb2 import StreamAccessLogsMessage
from envoy.service.discovery.v3.discovery_pb2 import (
    DeltaDiscoveryRequest,
    DeltaDiscoveryResponse,
    DiscoveryRequest,
)
from grpc_reflection.v1alpha import reflection, reflection_pb2

from support.calls import call
from support.certificates import Certificates, spiffe_id
from support.control_plane import ControlPlane, bearer, control_plane, with_uid
from support.samples import sample
from support.tokens import Issuer
from towpath.access import Audience
from towpath.app.grpc_server import RULES
from towpath.model.types import CLUSTER, LISTENER
from towpath_client import TlsFiles

pytestmark = pytest.mark.usefixtures("transport")

PERMISSION_DENIED = grpc.StatusCode.PERMISSION_DENIED
UNAVAILABLE = grpc.StatusCode.UNAVAILABLE
INVALID_ARGUMENT = grpc.StatusCode.INVALID_ARGUMENT
UNIMPLEMENTED = grpc.StatusCode.UNIMPLEMENTED
JO = "spiffe://cluster.local/person/jo"
POD = """\
apiVersion: v1
kind: Pod
metadata: {name: %s, namespace: curl, labels: {app: curl}}
spec:
  serviceAccountName: %s
  containers: [{name: curl, image: curl}]
"""


class Registered:
    """Every method that any server of this process has had registered, by its path."""

    def __init__(self) -> None:
        self.methods: set[str] = set()

    def server(self, *arguments: Any, **options: Any) -> grpc.aio.Server:
        made: Any = self._make(*arguments, **options)
        add = made.add_generic_rpc_handlers

        def note(handlers: Iterable[Any]) -> None:
            for handler in handlers:
                self.methods |= handler._method_handlers.keys()
            add(tuple(handlers))

        made.add_generic_rpc_handlers = note
        server: grpc.aio.Server = made
        return server

    _make = staticmethod(grpc.aio.server)


@pytest.fixture
def registered(monkeypatch: pytest.MonkeyPatch) -> Registered:
    noted = Registered()
    monkeypatch.setattr(grpc.aio, "server", noted.server)
    return noted


@pytest.fixture
def certificates(tmp_path: Path) -> Certificates:
    return Certificates(tmp_path)


def _question(method: str) -> bytes:
    """What is worth asking of a method: a sidecar's subscription, or its report."""
    if "AccessLogService/" in method:
        report = StreamAccessLogsMessage()
        report.identifier.node.id = "curl.curl"
        return bytes(report.SerializeToString())
    if "DiscoveryService/" not in method:
        return b""
    # A service of one type knows which; it takes no other.
    type_url = LISTENER if "Aggregated" in method else ""
    request = DeltaDiscoveryRequest if "/Delta" in method else DiscoveryRequest
    return bytes(request(node=Node(id="curl.curl"), type_url=type_url).SerializeToString())


async def _answers(
    plane: ControlPlane,
    methods: Iterable[str],
    tls: TlsFiles | None,
    *,
    token: str | None = None,
) -> dict[str, grpc.StatusCode]:
    """What becomes of a call of each method; an answer counts as OK. A *token*, "" for none, is
    shown on the port for those.
    """
    results = {}
    shown = bearer(token or None)
    async with plane.channel(tls, by_token=token is not None) as channel:
        for method in sorted(methods):
            answer = await call(channel, method, _question(method), metadata=shown)
            results[method] = grpc.StatusCode.OK if isinstance(answer, bytes) else answer
    return results


def _service(method: str) -> str:
    return method.strip("/").rpartition("/")[0]


def _of(audience: Audience, methods: Iterable[str]) -> set[str]:
    return {method for method in methods if RULES[_service(method)] is audience}


async def _reflected(channel: grpc.aio.Channel) -> set[str]:
    """The services that the server says it has."""
    asked = reflection_pb2.ServerReflectionRequest(list_services="").SerializeToString()
    answer = await call(channel, f"/{reflection.SERVICE_NAME}/ServerReflectionInfo", asked)
    assert isinstance(answer, bytes)
    listed = reflection_pb2.ServerReflectionResponse.FromString(answer).list_services_response
    return {service.name for service in listed.service}


async def test_every_method_refuses_whom_it_is_not_for(
    tmp_path: Path, certificates: Certificates, registered: Registered
) -> None:
    jo = certificates.issue("jo", uris=(JO,))
    no_id = certificates.issue("no-id", dns=("curl.curl",))
    curl, other = certificates.sidecar("curl", "curl"), certificates.sidecar("curl", "other")
    foreign = certificates.issue("f", uris=(spiffe_id("curl", "curl", trust_domain="other.local"),))
    stranger = Certificates(tmp_path, name="strangers").sidecar("curl", "stranger")
    untrusted = TlsFiles(certificates.ca, stranger.certificate, stranger.key)
    issuer, server, edit = Issuer(), certificates.server(), with_uid("uid-1")
    async with control_plane(
        tmp_path, tls=server, people=frozenset({JO}), issuer=issuer, edit=edit
    ) as plane:
        methods = registered.methods
        seen = {
            "without TLS": await _answers(plane, methods, None),
            "untrusted": await _answers(plane, methods, untrusted),
            "no id": await _answers(plane, methods, no_id),
            "foreign": await _answers(plane, methods, foreign),
            "other": await _answers(plane, methods, other),
            "curl": await _answers(plane, methods, curl),
            "jo": await _answers(plane, methods, jo),
            "token": await _answers(plane, methods, curl, token=issuer.token()),
            "other's token": await _answers(
                plane, methods, curl, token=issuer.token("other", account="other")
            ),
        }
        without = await _answers(plane, methods, curl, token="")
        wrong = await _answers(plane, methods, curl, token=Issuer().token())
        async with plane.channel(no_id) as channel:  # on the port for certificates it is nothing
            beside = {
                m: await call(channel, m, _question(m), metadata=bearer(issuer.token()))
                for m in methods
            }
        async with grpc.aio.insecure_channel(f"unix:{plane.local_socket}") as local:
            by_socket = {m: await call(local, m, _question(m)) for m in methods}
            reflected = await _reflected(local)
        # A port-forward of Kubernetes comes in plaintext, from loopback.
        async with grpc.aio.insecure_channel(plane.local_address) as forwarded:
            by_forward = {m: await call(forwarded, m, _question(m)) for m in methods}

    sidecars, people, anyone = (_of(audience, methods) for audience in Audience)
    assert (len(sidecars) >= 2, len(people) >= 6, len(anyone) >= 2) == (True, True, True)
    assert RULES.keys() == reflected
    assert {"grpc.health.v1.Health"} == {s for s, who in RULES.items() if who is Audience.ANYONE}
    assert {True} == {s.startswith("envoy.service.") for s in map(_service, sidecars)}
    assert "envoy.service.status.v3.ClientStatusDiscoveryService" in map(_service, people)
    denied = {who: {m for m, s in by.items() if s is PERMISSION_DENIED} for who, by in seen.items()}
    assert {
        "without TLS": set(),
        "untrusted": set(),
        "no id": sidecars | people,
        "foreign": sidecars | people,
        "other": sidecars | people,
        "curl": people,
        "jo": sidecars,
        "token": people,
        "other's token": sidecars | people,
    } == denied
    assert {grpc.StatusCode.UNAUTHENTICATED} == {*without.values(), *wrong.values()}
    assert sidecars | people == {m for m, s in beside.items() if s is PERMISSION_DENIED}
    # These do not even get a connection.
    assert {UNAVAILABLE} == {*seen["without TLS"].values(), *seen["untrusted"].values()}
    assert sidecars == {m for m, answer in by_socket.items() if answer is PERMISSION_DENIED}
    assert sidecars == {m for m, answer in by_forward.items() if answer is PERMISSION_DENIED}
    let_in = [status for by in seen.values() for status in by.values()]
    # Who is let in may still have asked nothing that makes sense.
    sensible = {UNAVAILABLE, PERMISSION_DENIED, grpc.StatusCode.OK}
    # Nobody observes egress here.
    unobserved = grpc.StatusCode.FAILED_PRECONDITION
    assert {*let_in} - sensible <= {INVALID_ARGUMENT, UNIMPLEMENTED, unobserved}


async def test_a_connection_without_a_certificate_is_refused(
    tmp_path: Path, certificates: Certificates
) -> None:
    async with control_plane(tmp_path, tls=certificates.server()) as plane:
        trusting = grpc.ssl_channel_credentials(certificates.ca.read_bytes())
        async with grpc.aio.secure_channel(plane.address, trusting) as channel:
            answer = await call(channel, "/grpc.health.v1.Health/Check")

    assert UNAVAILABLE is answer


async def test_a_name_with_a_zero_byte_and_an_authority_are_no_sidecars(
    tmp_path: Path, certificates: Certificates, transport: str
) -> None:
    curl = spiffe_id("curl", "curl")
    evil = certificates.issue("evil", uris=(f"{curl}\0/evil",))
    person = certificates.issue("person", uris=(f"{JO}\0/evil",))
    authority = certificates.issue_odd("authority", uris=(curl,), signs=True)
    people = frozenset({JO})
    ends: list[object] = []
    async with control_plane(tmp_path, tls=certificates.server(), people=people) as plane:
        for files in (evil, authority):
            # Nothing is said: gRPC's client reports a write that comes too late as INTERNAL.
            async with plane.stream(tls=files) as stream:
                ends.append((await stream.end())[0])
        async with plane.channel(person) as channel:
            ends.append(await call(channel, "/towpath.v1.Inspector/ListSidecars"))

    # The one in Rust does not even shake hands with an authority.
    refused = PERMISSION_DENIED if transport == "grpc" else grpc.StatusCode.UNAVAILABLE
    assert [PERMISSION_DENIED, refused, PERMISSION_DENIED] == ends


@pytest.mark.parametrize("method", ["StreamAggregatedResources", "DeltaAggregatedResources"])
async def test_the_node_must_be_a_pod_of_the_callers_account(
    tmp_path: Path,
    certificates: Certificates,
    method: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    other = certificates.sidecar("curl", "other")
    async with control_plane(tmp_path, tls=certificates.server()) as plane:
        async with plane.stream(method, tls=other) as stream:
            await stream.say_bytes(_question(f"Aggregated{method}DiscoveryService/{method}"))
            status, details = await stream.end()
        count = sample(
            plane.metrics,
            "towpath_access_refused_total",
            audience="sidecars",
            reason="other-account",
        )

    assert (PERMISSION_DENIED, 1) == (status, count)
    assert "service account curl/other may not subscribe as Pod curl/curl" in details
    lines = [line for line in caplog.messages if "PERMISSION_DENIED" in line]
    assert [True] == [spiffe_id("curl", "other") in line and details in line for line in lines]


async def test_another_namespace_is_refused_before_its_pod_appears(
    tmp_path: Path, certificates: Certificates
) -> None:
    curl = certificates.sidecar("curl", "curl")
    async with (
        control_plane(tmp_path, tls=certificates.server()) as plane,
        plane.stream(tls=curl) as stream,
    ):
        await stream.say(LISTENER, node="nobody.bookstore")

        assert PERMISSION_DENIED is (await stream.end())[0]


async def test_a_pod_that_appears_late_is_checked_when_it_does(
    tmp_path: Path, certificates: Certificates
) -> None:
    async with (
        control_plane(tmp_path, tls=certificates.server()) as plane,
        plane.stream(tls=certificates.sidecar("curl", "late")) as mine,
        plane.stream(tls=certificates.sidecar("curl", "curl")) as others,
    ):
        await mine.say(LISTENER, node="late.curl")
        await others.say(LISTENER, node="late.curl")
        async with asyncio.timeout(30):
            while len(plane.hub.records) < 2:
                await asyncio.sleep(0.005)
        _replace(plane.folder / "late.yaml", POD % ("late", "late"))

        assert PERMISSION_DENIED is (await others.end())[0]
        assert LISTENER == (await mine.hear()).type_url


async def test_a_pod_of_that_name_with_another_account_ends_the_stream(
    tmp_path: Path, certificates: Certificates
) -> None:
    async with (
        control_plane(tmp_path, tls=certificates.server()) as plane,
        plane.stream(tls=certificates.sidecar("curl", "job")) as stream,
    ):
        path = plane.folder / "job.yaml"
        _replace(path, POD % ("job", "job"))
        await stream.say(LISTENER, node="job.curl")
        first = await stream.hear()
        _replace(path, POD % ("job", "curl"))
        status, details = await stream.end()
        async with plane.stream(tls=certificates.sidecar("curl", "curl")) as successor:
            await successor.say(LISTENER, node="job.curl")

            assert LISTENER == (await successor.hear()).type_url

    assert LISTENER == first.type_url
    assert (PERMISSION_DENIED, True) == (status, "curl/job" in details)


async def test_a_deleted_pods_stream_keeps_what_it_has(
    tmp_path: Path, certificates: Certificates
) -> None:
    async with (
        control_plane(tmp_path, tls=certificates.server()) as plane,
        plane.stream(tls=certificates.sidecar("curl", "job")) as stream,
    ):
        path = plane.folder / "job.yaml"
        _replace(path, POD % ("job", "job"))
        await stream.say(LISTENER, node="job.curl")
        await stream.hear()
        path.unlink()

        assert await stream.silent_for(0.5)


async def test_new_connections_see_the_new_certificate_and_old_streams_go_on(
    tmp_path: Path, certificates: Certificates
) -> None:
    files = certificates.server()
    curl = certificates.sidecar("curl", "curl")
    async with (
        control_plane(tmp_path, tls=files) as plane,
        plane.stream(tls=curl) as stream,
    ):
        await stream.say(LISTENER)
        before = await stream.hear()
        serial = await _serial(plane)
        certificates.server()
        assert plane.tls is not None
        plane.tls.look()

        assert serial != await _serial(plane)
        async with plane.stream(tls=curl) as second:
            await second.say(LISTENER)
            await second.hear()
        await stream.say(LISTENER, version_info=before.version_info, response_nonce=before.nonce)
        plane.switch_egress(on=True)
        assert before.version_info != (await stream.hear()).version_info


async def test_an_authority_that_is_taken_away_opens_nothing_any_more(
    tmp_path: Path, certificates: Certificates
) -> None:
    curl = certificates.sidecar("curl", "curl")
    async with control_plane(tmp_path, tls=certificates.server()) as plane:
        trusted = certificates.ca.read_bytes()
        certificates.ca.write_bytes(Certificates(tmp_path, name="next").ca.read_bytes())
        assert plane.tls is not None
        plane.tls.look()
        credentials = grpc.ssl_channel_credentials(
            trusted, curl.key.read_bytes(), curl.certificate.read_bytes()
        )
        async with grpc.aio.secure_channel(plane.address, credentials) as channel:
            answer = await call(channel, "/grpc.health.v1.Health/Check")

    assert UNAVAILABLE is answer


async def test_the_local_socket_is_its_owners_alone(tmp_path: Path) -> None:
    async with control_plane(tmp_path) as plane:
        assert 0o600 == plane.local_socket.stat().st_mode & 0o777
    assert not plane.local_socket.exists()


async def _serial(plane: ControlPlane) -> int:
    """Serial number of the certificate that the server shows to a new connection."""
    host, port = plane.address.split(":")
    shown = await asyncio.to_thread(ssl.get_server_certificate, (host, int(port)), timeout=30)
    return x509.load_pem_x509_certificate(shown.encode()).serial_number


def _replace(path: Path, text: str) -> None:
    fresh = path.with_suffix(".new")
    fresh.write_text(text)
    fresh.replace(path)


async def test_a_stream_ends_with_its_certificate_and_goes_on_with_the_next_without_a_resend(
    tmp_path: Path,
) -> None:
    certificates = Certificates(tmp_path)
    uris = (spiffe_id("curl", "curl"),)
    short = certificates.issue("short", uris=uris, lifetime=timedelta(seconds=4))
    async with control_plane(tmp_path, tls=certificates.server()) as plane:
        async with plane.stream("DeltaAggregatedResources", tls=short) as stream:
            await stream.say_bytes(_delta(CLUSTER))
            first = DeltaDiscoveryResponse.FromString(await stream.hear_bytes())
            code, details = await stream.end()

        assert UNAVAILABLE == code
        assert "the certificate of this connection ends" in details
        renewed = certificates.issue("short", uris=uris)
        held = {resource.name: resource.version for resource in first.resources}
        assert held
        async with plane.stream("DeltaAggregatedResources", tls=renewed) as stream:
            await stream.say_bytes(_delta(CLUSTER, initial_resource_versions=held))
            await stream.say_bytes(_delta(LISTENER))
            # Of the clusters it holds it is sent none, so this is what comes first.
            answer = DeltaDiscoveryResponse.FromString(await stream.hear_bytes())
            assert (LISTENER, []) != (answer.type_url, list(answer.resources))
            assert LISTENER == answer.type_url


def _delta(type_url: str, **fields: Any) -> bytes:
    request = DeltaDiscoveryRequest(node=Node(id="curl.curl"), type_url=type_url, **fields)
    return bytes(request.SerializeToString())
