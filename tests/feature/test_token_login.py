"""Sidecars that log in with the token of their pod, on real connections."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest
from click.testing import CliRunner
from cryptography import x509
from envoy.config.core.v3.base_pb2 import Node
from envoy.service.discovery.v3.discovery_pb2 import (
    DeltaDiscoveryRequest,
    DeltaDiscoveryResponse,
    DiscoveryRequest,
)

from support.certificates import Certificates
from support.control_plane import ControlPlane, bearer, control_plane, with_uid
from support.samples import sample
from support.tokens import Issuer, with_header
from support.xds.stream import RawStream
from towpath.access.tokens import LEEWAY
from towpath.cli.main import main
from towpath.model.credentials import TokenFault
from towpath.model.types import CLUSTER, LISTENER
from towpath.rollout.records import State
from towpath.settings import StreamLimits
from towpath.xds.service import SERVICE
from towpath_client import TlsFiles

pytestmark = pytest.mark.usefixtures("transport")

UNAUTHENTICATED = grpc.StatusCode.UNAUTHENTICATED
PERMISSION_DENIED = grpc.StatusCode.PERMISSION_DENIED
UNAVAILABLE = grpc.StatusCode.UNAVAILABLE
BOTH = ["StreamAggregatedResources", "DeltaAggregatedResources"]
UID = "uid-1"
SHORT_WAIT = StreamLimits(unknown_pod_wait=0.2)


@pytest.fixture
def certificates(tmp_path: Path) -> Certificates:
    return Certificates(tmp_path)


@pytest.fixture
def tls(certificates: Certificates) -> TlsFiles:
    """The server's; a client needs no more of them than the authority."""
    return certificates.server()


def _delta(type_url: str, **fields: Any) -> bytes:
    request = DeltaDiscoveryRequest(node=Node(id="curl.curl"), type_url=type_url, **fields)
    return bytes(request.SerializeToString())


def _question(method: str, *, node: str = "curl.curl") -> bytes:
    if "Delta" in method:
        return _delta(LISTENER)
    request = DiscoveryRequest(node=Node(id=node), type_url=LISTENER)
    return bytes(request.SerializeToString())


async def _refusal(
    plane: ControlPlane, tls: TlsFiles, token: str, *, node: str = "curl.curl"
) -> tuple[grpc.StatusCode, str]:
    async with plane.channel(tls, by_token=True) as channel:
        return await _status(channel, _question(BOTH[0], node=node), bearer(token))


async def _status(
    channel: grpc.aio.Channel, question: bytes, shown: tuple[tuple[str, str], ...]
) -> tuple[grpc.StatusCode, str]:
    """What a stream that is refused ends with.

    As one write: see `support.calls`.
    """
    method: Any = channel.unary_stream(f"/{SERVICE}/{BOTH[0]}")
    stream = method(question, metadata=shown)
    async with asyncio.timeout(30):
        return await stream.code(), await stream.details()


@pytest.mark.parametrize("scheme", ["Bearer ", "bearer ", ""])
async def test_a_pod_with_its_token_is_served_with_and_without_the_scheme(
    tmp_path: Path, tls: TlsFiles, scheme: str
) -> None:
    issuer = Issuer()
    async with (
        control_plane(tmp_path, tls=tls, issuer=issuer, edit=with_uid(UID)) as plane,
        plane.channel(tls, by_token=True) as channel,
    ):
        shown = [("authorization", scheme + issuer.token(uid=UID))]
        method = f"/{SERVICE}/StreamAggregatedResources"
        stream = RawStream(channel, method, metadata=shown)
        await stream.say(LISTENER)

        assert LISTENER == (await stream.hear()).type_url
        (record,) = plane.hub.records
        assert (True, "curl/curl") == (record.authenticated, str(record.account))


WRONG: dict[str, tuple[str, TokenFault]] = {
    "alg none": (with_header(Issuer().token(), {"alg": "none"}), TokenFault.ALGORITHM),
    "alg HS256": (with_header(Issuer().token(), {"alg": "HS256"}), TokenFault.ALGORITHM),
    "other kid": (Issuer(kid="other").token(), TokenFault.UNKNOWN_KEY),
    "a key of its own": (Issuer().token(), TokenFault.SIGNATURE),
    "truncated": (Issuer().token()[:-40], TokenFault.SIGNATURE),
    "not a token": ("let me in", TokenFault.MALFORMED),
    "6,000 characters": ("x" * 6_000, TokenFault.MALFORMED),
}


@pytest.mark.parametrize("case", WRONG)
async def test_a_wrong_token_is_refused_by_its_reason_and_counted(
    tmp_path: Path, tls: TlsFiles, case: str, caplog: pytest.LogCaptureFixture
) -> None:
    token, fault = WRONG[case]
    async with control_plane(tmp_path, tls=tls, issuer=Issuer(), edit=with_uid(UID)) as plane:
        status, details = await _refusal(plane, tls, token)
        count = sample(plane.metrics, "towpath_tokens_refused_total", reason=str(fault))

    assert (UNAUTHENTICATED, 1) == (status, count)
    assert details.endswith(f"({fault})")
    assert [] == [line for line in caplog.messages if token in line]


@pytest.mark.parametrize(
    ("claims", "lifetime", "fault"),
    [
        ({"iss": "https://other"}, timedelta(hours=1), TokenFault.ISSUER),
        ({"aud": ["https://kubernetes.default.svc"]}, timedelta(hours=1), TokenFault.AUDIENCE),
        ({}, timedelta(seconds=-61), TokenFault.EXPIRED),
        ({"nbf": 2**33}, timedelta(hours=1), TokenFault.NOT_YET_VALID),
        ({"kubernetes.io": None}, timedelta(hours=1), TokenFault.UNBOUND),
    ],
)
async def test_a_token_of_our_issuer_that_is_not_for_us_is_refused(
    tmp_path: Path,
    tls: TlsFiles,
    claims: dict[str, object],
    lifetime: timedelta,
    fault: TokenFault,
) -> None:
    issuer = Issuer()
    async with control_plane(tmp_path, tls=tls, issuer=issuer, edit=with_uid(UID)) as plane:
        token = issuer.token(uid=UID, claims=claims, expires_in=lifetime)
        status, details = await _refusal(plane, tls, token)

    assert (UNAUTHENTICATED, True) == (status, details.endswith(f"({fault})"))


async def test_a_token_of_100_kb_ends_its_call_and_nothing_else(
    tmp_path: Path, tls: TlsFiles
) -> None:
    issuer = Issuer()
    async with control_plane(tmp_path, tls=tls, issuer=issuer, edit=with_uid(UID)) as plane:
        status, _ = await _refusal(plane, tls, "x" * 100_000)
        async with plane.stream(tls=tls, token=issuer.token(uid=UID)) as stream:
            await stream.say(LISTENER)

            assert LISTENER == (await stream.hear()).type_url

    assert status is not grpc.StatusCode.OK


async def test_a_call_without_a_token_or_with_two_is_refused(tmp_path: Path, tls: TlsFiles) -> None:
    issuer = Issuer()
    async with control_plane(tmp_path, tls=tls, issuer=issuer, edit=with_uid(UID)) as plane:
        for shown in ((), bearer(issuer.token()) * 2):
            async with plane.channel(tls, by_token=True) as channel:
                status, details = await _status(channel, _question(BOTH[0]), shown)

            assert (UNAUTHENTICATED, True) == (status, details.endswith("(absent)"))


@pytest.mark.parametrize("method", BOTH)
async def test_the_node_the_uid_and_the_account_must_agree(
    tmp_path: Path, tls: TlsFiles, method: str
) -> None:
    issuer = Issuer()
    tokens = {
        "other-pod": issuer.token("curl-2", uid=UID),
        "other-uid": issuer.token(uid="uid-2"),
        "other-account": issuer.token(account="other", uid=UID),
    }
    async with control_plane(
        tmp_path, tls=tls, issuer=issuer, edit=with_uid(UID), limits=SHORT_WAIT
    ) as plane:
        for reason, token in tokens.items():
            async with plane.stream(method, tls=tls, token=token) as stream:
                await stream.say_bytes(_question(method))
                status, _ = await stream.end()
            count = sample(
                plane.metrics, "towpath_access_refused_total", audience="sidecars", reason=reason
            )

            assert (reason, PERMISSION_DENIED, 1) == (reason, status, count)


async def test_a_pod_that_appears_late_is_waited_for_by_its_uid(
    tmp_path: Path, tls: TlsFiles
) -> None:
    issuer = Issuer()
    async with (
        control_plane(tmp_path, tls=tls, issuer=issuer, edit=with_uid("uid-1")) as plane,
        plane.stream(tls=tls, token=issuer.token(uid="uid-2")) as stream,
    ):
        await stream.say(LISTENER)
        async with asyncio.timeout(30):
            while len(plane.hub.records) < 1:
                await asyncio.sleep(0.005)
        assert [State.WAITING_FOR_POD] == [record.state for record in plane.hub.records]
        with_uid("uid-2")(plane.folder)

        assert LISTENER == (await stream.hear()).type_url


@pytest.mark.parametrize("method", BOTH)
async def test_a_stream_ends_with_its_pod_though_another_has_its_name_at_once(
    tmp_path: Path, tls: TlsFiles, method: str
) -> None:
    issuer = Issuer()
    async with control_plane(tmp_path, tls=tls, issuer=issuer, edit=with_uid("uid-1")) as plane:
        async with plane.stream(method, tls=tls, token=issuer.token(uid="uid-1")) as stream:
            await stream.say_bytes(_question(method))
            await stream.hear_bytes()
            with_uid("uid-2")(plane.folder)
            status, details = await stream.end()
        async with plane.stream(method, tls=tls, token=issuer.token(uid="uid-2")) as successor:
            await successor.say_bytes(_question(method))
            await successor.hear_bytes()

    assert (PERMISSION_DENIED, True) == (status, "Pod curl/curl" in details)


async def test_a_stream_ends_with_a_pod_that_is_deleted(tmp_path: Path, tls: TlsFiles) -> None:
    issuer = Issuer()
    async with (
        control_plane(tmp_path, tls=tls, issuer=issuer, edit=with_uid(UID)) as plane,
        plane.stream(tls=tls, token=issuer.token(uid=UID)) as stream,
    ):
        await stream.say(LISTENER)
        await stream.hear()
        (plane.folder / "curl.yaml").unlink()

        assert PERMISSION_DENIED is (await stream.end())[0]


async def test_a_stream_ends_with_its_token_and_goes_on_with_the_next_without_a_resend(
    tmp_path: Path, tls: TlsFiles
) -> None:
    issuer = Issuer()
    short = issuer.token(uid=UID, expires_in=timedelta(seconds=4) - LEEWAY)
    async with control_plane(tmp_path, tls=tls, issuer=issuer, edit=with_uid(UID)) as plane:
        method = "DeltaAggregatedResources"
        async with plane.stream(method, tls=tls, token=short) as stream:
            await stream.say_bytes(_delta(CLUSTER))
            first = DeltaDiscoveryResponse.FromString(await stream.hear_bytes())
            code, details = await stream.end()
        held = {resource.name: resource.version for resource in first.resources}
        async with plane.stream(method, tls=tls, token=issuer.token(uid=UID)) as stream:
            await stream.say_bytes(_delta(CLUSTER, initial_resource_versions=held))
            await stream.say_bytes(_delta(LISTENER))
            # Of the clusters it holds it is sent none, so this is what comes first.
            answer = DeltaDiscoveryResponse.FromString(await stream.hear_bytes())

    assert (UNAVAILABLE, True) == (code, "the token of this connection ends" in details)
    assert held
    assert LISTENER == answer.type_url


async def test_a_new_key_of_the_issuer_is_learnt_from_the_first_token_that_has_it(
    tmp_path: Path, tls: TlsFiles
) -> None:
    issuer = Issuer()
    async with control_plane(tmp_path, tls=tls, issuer=issuer, edit=with_uid(UID)) as plane:
        for kid in ("first", "second"):
            if kid == "second":
                plane.ring._asked_at = float("-inf")
                issuer.rotate(kid)
            async with plane.stream(tls=tls, token=issuer.token(uid=UID)) as stream:
                await stream.say(LISTENER)
                await stream.hear()


async def test_people_see_who_logged_in_with_what_and_until_when(
    tmp_path: Path, tls: TlsFiles, certificates: Certificates
) -> None:
    issuer, own = Issuer(), certificates.sidecar("curl", "curl")
    exp = 2**32
    token = issuer.token(uid=UID, claims={"exp": exp})
    async with (
        control_plane(tmp_path, tls=tls, issuer=issuer, edit=with_uid(UID)) as plane,
        plane.stream(tls=tls, token=token) as by_token,
        plane.stream(tls=own) as by_certificate,
    ):
        for stream in (by_token, by_certificate):
            await stream.say(LISTENER)
            await stream.hear()
        command = ("sidecars", "--server", f"unix:{plane.local_socket}", "-o", "wide")
        shown = await asyncio.to_thread(CliRunner().invoke, main, command)

    assert 0 == shown.exit_code, shown.output
    heading, *rows = (line.split() for line in shown.stdout.splitlines())
    columns = [heading.index(name) for name in ("IDENTITY", "CREDENTIAL", "UNTIL")]
    expires_at = certificate_of(own).not_valid_after_utc
    until = f"{datetime.fromtimestamp(exp, UTC) + LEEWAY:%Y-%m-%dT%H:%M:%SZ}"
    assert {
        ("curl/curl", "token", until),
        ("curl/curl", "certificate", f"{expires_at:%Y-%m-%dT%H:%M:%SZ}"),
    } == {tuple(row[column] for column in columns) for row in rows}


def certificate_of(files: TlsFiles) -> x509.Certificate:
    return x509.load_pem_x509_certificate(files.certificate.read_bytes())


async def test_while_no_keys_are_known_a_caller_is_told_to_come_again(
    tmp_path: Path, tls: TlsFiles
) -> None:
    async with control_plane(tmp_path, tls=tls, edit=with_uid(UID)) as plane:
        status, details = await _refusal(plane, tls, Issuer().token(uid=UID))

    assert (UNAVAILABLE, True) == (status, details.endswith("(no-keys)"))


async def test_on_a_connection_whose_token_was_refused_no_other_is_looked_at(
    tmp_path: Path, tls: TlsFiles
) -> None:
    issuer = Issuer()
    tokens = (Issuer().token(), Issuer().token(), issuer.token(uid=UID))
    async with (
        control_plane(tmp_path, tls=tls, issuer=issuer, edit=with_uid(UID)) as plane,
        plane.channel(tls, by_token=True) as channel,
    ):
        asked = _question(BOTH[0])
        statuses = [await _status(channel, asked, bearer(token)) for token in tokens]
        faults = {
            fault: sample(plane.metrics, "towpath_tokens_refused_total", reason=str(fault))
            for fault in (TokenFault.SIGNATURE, TokenFault.REPEATED)
        }

    assert {UNAUTHENTICATED} == {status for status, _ in statuses}
    assert {TokenFault.SIGNATURE: 1, TokenFault.REPEATED: 2} == faults
