from __future__ import annotations

import pytest

from support.access import call_context
from towpath.access import Caller
from towpath.access.caller import Transport
from towpath.model.names import Account

ID = "spiffe://cluster.local/ns/shop/sa/web"


def _caller(*ids: str, transport: str = "ssl") -> Caller:
    return Caller.of(call_context(transport, *ids))


def test_a_sidecars_id_stands_for_its_service_account() -> None:
    assert Account("shop", "web") == _caller(ID).account("cluster.local")


def test_a_service_account_may_have_dots_in_its_name() -> None:
    caller = _caller("spiffe://cluster.local/ns/shop/sa/web.v1-a")

    assert Account("shop", "web.v1-a") == caller.account("cluster.local")


@pytest.mark.parametrize(
    "spiffe_id",
    [
        "",
        "spiffe://other.local/ns/shop/sa/web",
        "spiffe://cluster.local.evil/ns/shop/sa/web",
        "spiffe://cluster.local:8443/ns/shop/sa/web",
        "spiffe://user@cluster.local/ns/shop/sa/web",
        "SPIFFE://cluster.local/ns/shop/sa/web",
        "https://cluster.local/ns/shop/sa/web",
        "spiffe://cluster.local/ns/shop/sa/web/",
        "spiffe://cluster.local/ns/shop/sa/web/more",
        "spiffe://cluster.local/ns/shop/sa/web?x=1",
        "spiffe://cluster.local/ns/shop/sa/web#x",
        "spiffe://cluster.local/ns/shop/sa/web\n",
        "spiffe://cluster.local/ns/shop/sa/",
        "spiffe://cluster.local/ns//sa/web",
        "spiffe://cluster.local/ns/../sa/web",
        "spiffe://cluster.local/ns/sh.op/sa/web",
        "spiffe://cluster.local/ns/shop%2Fsa/sa/web",
        "spiffe://cluster.local/ns/Shop/sa/web",
        "spiffe://cluster.local/sa/web/ns/shop",
        "spiffe://cluster.local/person/jo",
    ],
)
def test_what_is_not_exactly_that_form_stands_for_nobody(spiffe_id: str) -> None:
    assert _caller(spiffe_id).account("cluster.local") is None


def test_of_several_ids_none_counts() -> None:
    assert "" == _caller(ID, ID).spiffe_id


@pytest.mark.parametrize(
    ("security", "transport"),
    [
        ("ssl", Transport.TLS),
        ("local", Transport.LOCAL),
        ("insecure", Transport.PLAINTEXT),
        ("alts", None),
        ("", None),
    ],
)
def test_the_transport_is_what_grpc_says(security: str, transport: Transport | None) -> None:
    assert transport is _caller(transport=security).transport
