"""gRPC's own xDS client, sync and aio, calls a real service through Towpath."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.certificates import Certificates
from support.control_plane import control_plane, with_uid
from support.proxyless import hello_server, hello_service, xds_client
from support.tokens import Issuer, put_token
from towpath.encode.envoy.bootstrap import ClientTls
from towpath.encode.grpc.bootstrap import bootstrap as grpc_bootstrap
from towpath.model.names import ClientKind
from towpath.model.types import CLUSTER, ENDPOINTS, LISTENER, ROUTES

FLAVOURS = ("sync", "aio")
NAMES = (
    "hello.bookstore",
    "hello.bookstore:50051",
    "hello.bookstore.svc.cluster.local",
    "hello.bookstore.svc.cluster.local:50051",
)


@pytest.mark.parametrize("flavour", FLAVOURS)
async def test_every_name_of_a_service_leads_to_it_and_nothing_is_rejected(
    tmp_path: Path, flavour: str
) -> None:
    async with control_plane(tmp_path) as plane, hello_server("hello") as port:
        hello_service(plane.folder, port=port)
        async with xds_client(plane.address, flavour=flavour) as client:
            said = {name: (await client.call(name)).said for name in NAMES}

            streams = list(plane.hub.records)
            assert dict.fromkeys(NAMES, "hello") == said
            assert {(ClientKind.GRPC, "sotw", "curl.curl")} == {
                (s.kind, s.variant, s.node_id) for s in streams
            }
            for stream in streams:
                assert {CLUSTER, ENDPOINTS, LISTENER, ROUTES} == set(stream.types)
                assert [0] * 4 == [held.rejections for held in stream.types.values()]


@pytest.mark.parametrize("flavour", FLAVOURS)
async def test_calls_follow_the_endpoints(tmp_path: Path, flavour: str) -> None:
    async with (
        control_plane(tmp_path) as plane,
        hello_server("one") as first,
        hello_server("two") as second,
    ):
        hello_service(plane.folder, port=first)
        async with xds_client(plane.address, flavour=flavour) as client:
            before = await client.call("hello.bookstore")
            hello_service(plane.folder, port=second)
            after = await client.until(
                "hello.bookstore", lambda o: o.said == "two", what="calls move to the new endpoint"
            )

            assert ("OK", "one") == (before.code, before.said)
            assert "OK" == after.code


async def test_a_service_without_endpoints_is_unavailable_until_it_has_one(tmp_path: Path) -> None:
    async with control_plane(tmp_path) as plane, hello_server("hello") as port:
        hello_service(plane.folder, port=port, ready=False)
        async with xds_client(plane.address) as client:
            refused = await client.call("hello.bookstore")
            hello_service(plane.folder, port=port)
            await client.until("hello.bookstore", lambda o: o.code == "OK", what="it is called")

            assert "UNAVAILABLE" == refused.code


async def test_with_a_token_a_client_is_served_as_its_pod(tmp_path: Path) -> None:
    issuer, tls, edit = Issuer(), Certificates(tmp_path).server(), with_uid("uid-1")
    outcomes = {}
    async with (
        control_plane(tmp_path, tls=tls, issuer=issuer, edit=edit) as plane,
        hello_server("hello") as port,
    ):
        hello_service(plane.folder, port=port)
        for uid in ("uid-1", "uid-2"):
            token = tmp_path / uid / "token"
            put_token(token, issuer.token(uid=uid))
            files = ClientTls(str(tls.ca), "", "", server_name="localhost")
            host, number = plane.token_address.split(":")
            bootstrap = grpc_bootstrap(
                "curl.curl", server=(host, int(number)), tls=files, token=str(token)
            )
            async with xds_client("", bootstrap=bootstrap) as client:
                outcomes[uid] = (await client.call("hello.bookstore")).code

    assert {"uid-1": "OK", "uid-2": "UNAVAILABLE"} == {
        uid: code if code == "OK" else "UNAVAILABLE" for uid, code in outcomes.items()
    }


async def test_with_tls_a_client_is_served_what_is_of_its_own_account(tmp_path: Path) -> None:
    certificates = Certificates(tmp_path)
    curl, other = (certificates.sidecar(*who) for who in (("curl", "curl"), ("curl", "other")))
    async with (
        control_plane(tmp_path, tls=certificates.server()) as plane,
        hello_server("hello") as port,
    ):
        hello_service(plane.folder, port=port)
        async with xds_client(plane.address, tls=curl) as client:
            await client.until("hello.bookstore", lambda o: o.said == "hello", what="it is called")
        async with xds_client(plane.address, tls=other) as stranger:
            refused = await stranger.call("hello.bookstore", deadline=10)

        assert "UNAVAILABLE" == refused.code
        assert "PERMISSION_DENIED" in refused.said


@pytest.mark.parametrize("flavour", FLAVOURS)
@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("helo.bookstore", "there is no 'helo.bookstore' here; did you mean 'hello.bookstore'?"),
        ("api.example.com:443", "'api.example.com:443' is not served to gRPC clients"),
    ],
)
async def test_an_unknown_name_fails_at_once_in_our_words(
    tmp_path: Path, flavour: str, name: str, said: str
) -> None:
    async with control_plane(tmp_path) as plane, hello_server("hello") as port:
        hello_service(plane.folder, port=port)
        async with xds_client(plane.address, flavour=flavour, data_errors=True) as client:
            await client.until("hello.bookstore", lambda o: o.code == "OK", what="it is there")
            outcome = await client.call(name, deadline=30)

            assert "UNAVAILABLE" == outcome.code
            assert said in outcome.said
            assert outcome.seconds < 5  # by itself the client gives up after 15 s


async def test_a_name_that_comes_to_exist_is_served_to_who_was_told_that_it_does_not(
    tmp_path: Path,
) -> None:
    async with (
        control_plane(tmp_path) as plane,
        hello_server("hello") as port,
        xds_client(plane.address, data_errors=True) as client,
    ):
        refused = await client.call("hello.bookstore")
        hello_service(plane.folder, port=port)
        await client.until("hello.bookstore", lambda o: o.said == "hello", what="it is called")

        assert "UNAVAILABLE" == refused.code
        assert "there is no 'hello.bookstore' here" in refused.said


@pytest.mark.parametrize("data_errors", [False, True])
async def test_what_is_taken_away_is_taken_from_clients_that_keep_what_was_deleted_too(
    tmp_path: Path, *, data_errors: bool
) -> None:
    async with control_plane(tmp_path) as plane, hello_server("hello") as port:
        hello_service(plane.folder, port=port)
        config = plane.folder / "meshconfig.yaml"
        text = config.read_text()
        async with (
            xds_client(plane.address, data_errors=data_errors) as client,
            xds_client(plane.address, data_errors=True) as late,
        ):
            await client.until("hello.bookstore", lambda o: o.code == "OK", what="it is there")
            config.write_text(text.replace("PolicyMode: true", "PolicyMode: false"))
            await client.until(
                "hello.bookstore", lambda o: o.code == "UNAVAILABLE", what="it is refused"
            )
            refused = await late.call("hello.bookstore")
            config.write_text(text)
            await client.until("hello.bookstore", lambda o: o.code == "OK", what="it is back")

            assert "permissive mode is off" in refused.said


@pytest.mark.parametrize(
    "reads",
    [{}, {"data_errors": True}, {"data_errors": True, "fail_on_data_errors": True}],
    ids=["no errors", "errors", "errors and gives up"],
)
@pytest.mark.parametrize("revoked", ["permissive mode", "service"])
async def test_what_is_taken_away_while_the_server_is_away_is_refused_after_it(
    tmp_path: Path, reads: dict[str, bool], revoked: str
) -> None:
    folders = [tmp_path / "first", tmp_path / "second"]
    for folder in folders:
        folder.mkdir()
    socket = tmp_path / "ads.sock"

    async with (
        hello_server("hello") as port,
        xds_client(f"unix:{socket}", **reads) as client,  # type: ignore[arg-type]
    ):

        def everything(folder: Path) -> None:
            hello_service(folder, port=port)

        def without(folder: Path) -> None:
            if revoked == "permissive mode":
                everything(folder)
                config = folder / "meshconfig.yaml"
                config.write_text(
                    config.read_text().replace("PolicyMode: true", "PolicyMode: false")
                )

        async with control_plane(folders[0], socket=socket, edit=everything) as plane:
            before = (plane.folder / "meshconfig.yaml").read_text()
            await client.until("hello.bookstore", lambda o: o.code == "OK", what="it is there")
        async with control_plane(folders[1], socket=socket, edit=without) as plane:
            await client.until(
                "hello.bookstore", lambda o: o.code == "UNAVAILABLE", what="it is refused"
            )
            everything(plane.folder)
            (plane.folder / "meshconfig.yaml").write_text(before)
            await client.until("hello.bookstore", lambda o: o.code == "OK", what="it is back")
