"""The keys of pods' tokens: what is told where they cannot be read."""

from __future__ import annotations

from typing import cast

import pytest

from towpath.kubeapi.client import KubeApi, KubeApiError
from towpath.model.codes import Code
from towpath.model.problem import Problem
from towpath.sources.kube.issuer import IssuerSource


class _Refusing:
    """An API server that answers every request with that status; 0 is no answer."""

    def __init__(self, status: int) -> None:
        self._status = status

    async def get(self, path: str, *_args: object, **_options: object) -> bytes:
        raise KubeApiError(self._status, f"GET {path}: no")


@pytest.mark.parametrize(
    ("status", "code", "words"),
    [
        (403, Code.FORBIDDEN_KEYS, "grant by RBAC: nonResourceURLs: "),
        (0, Code.UNREADABLE_KEYS, "cannot be read: GET "),
        (500, Code.UNREADABLE_KEYS, "cannot be read: GET "),
    ],
)
async def test_a_refusal_and_a_failure_are_told_apart(status: int, code: Code, words: str) -> None:
    told: list[Problem] = []
    source = IssuerSource(cast("KubeApi", _Refusing(status)), report=told.extend)

    await source.ask()

    assert [code] == [problem.code for problem in told]
    assert words in told[0].message
    assert source.current is None
