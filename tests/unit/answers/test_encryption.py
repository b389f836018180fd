"""Explain inside the mesh: whether it is encrypted, and whether it comes in if it is not."""

from __future__ import annotations

import pytest

from support.marked import encrypted_mesh, marked_pod, web
from support.objects import endpoint_slice, mesh_config, mesh_of, namespace, service
from towpath.answers.explain import Explanation, explain, parse_attempt
from towpath.model.identity import MtlsMode
from towpath.model.mesh import Mesh
from towpath.model.names import Account
from towpath.planning import problems

CURL = Account("shop", "curl")
ONE, TWO = "10.1.0.1", "10.1.0.2"
BY_TLS = "it is encrypted by mutual TLS, from sidecar to sidecar"


def _explain(mesh: Mesh, target: str = "http://web.shop/get") -> Explanation:
    return explain(mesh, CURL, parse_attempt(target), problems(mesh))


def _mesh(
    *marks: bool, calling: tuple[bool, ...] = (True,), mode: MtlsMode = MtlsMode.PERMISSIVE
) -> Mesh:
    clients = [
        marked_pod(f"curl-{n}", marked=mark, account="curl", app="curl", addresses=[f"10.2.0.{n}"])
        for n, mark in enumerate(calling, start=1)
    ]
    return encrypted_mesh(*web(ONE, TWO, marked=marks), *clients, mode=mode)


@pytest.mark.parametrize(
    ("mesh", "text"),
    [
        (_mesh(True), BY_TLS),
        (_mesh(True, mode=MtlsMode.STRICT), BY_TLS),
        (_mesh(True, calling=(False,)), "not encrypted: no pod of shop/curl is marked"),
        (_mesh(True, calling=()), "not encrypted: no pod of shop/curl is marked"),
        (_mesh(False), "not encrypted: none of the called pods is marked"),
        (_mesh(True, mode=MtlsMode.DISABLED), "calls by mutual TLS are disabled"),
        (_mesh(True, False), "1 of 1 of shop/curl call by mutual TLS, and 1 of 2 that answer"),
        (_mesh(True, calling=(True, False)), "1 of 2 of shop/curl call by mutual TLS, and 2 of 2"),
        (_mesh(True, False, calling=(False,), mode=MtlsMode.STRICT), "it is not encrypted"),
    ],
)
def test_what_is_let_in_is_said_to_be_encrypted_or_not(mesh: Mesh, text: str) -> None:
    decision = _explain(mesh).decision

    assert decision.allowed
    assert text in decision.reasons[-1]


def test_a_mesh_without_an_authority_encrypts_nothing() -> None:
    client = marked_pod("curl", account="curl")
    mesh = mesh_of(namespace(), mesh_config(), *web(ONE), client)

    assert "the mesh has no authority" in _explain(mesh).decision.reasons[-1]


def test_where_no_pod_is_nothing_is_said_of_it() -> None:
    mesh = encrypted_mesh(service("web"), endpoint_slice("web"), marked_pod("c", account="curl"))

    assert "no pod is there yet" in _explain(mesh).decision.reasons[-1]


@pytest.mark.parametrize("calling", [(False,), (False, False), ()])
def test_plaintext_is_denied_where_the_called_pods_are_strict(calling: tuple[bool, ...]) -> None:
    explanation = _explain(_mesh(True, calling=calling, mode=MtlsMode.STRICT))

    assert not explanation.decision.allowed
    assert "let in mutual TLS alone" in explanation.decision.reasons[-1]
    assert "" == explanation.suggestion
