"""Rotation: what each step makes of a Secret, and what it refuses."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any, cast

import pytest
from cryptography import x509

from support.authorities import clock, issuer, pem
from towpath.ca.authority import Authority
from towpath.ca.mesh_authority import change_secret
from towpath.ca.rotation import Entries, TooEarly, drop, next_root, sign, trust
from towpath.ca.secret import KEY, NEXT_KEY, ROOTS, read_authority
from towpath.kubeapi.client import KubeApi

NAME = "mesh"
YEARS = timedelta(days=3650)


def _trust(entries: Entries) -> Entries:
    return trust(entries, NAME, lifetime=YEARS, clock=clock)


def _sign(entries: Entries) -> Entries:
    return sign(entries, clock=clock)


def _drop(entries: Entries) -> Entries:
    return drop(entries, NAME, clock=clock)


@pytest.fixture
def entries() -> Entries:
    pair = Authority.create(NAME, lifetime=YEARS, clock=clock).pair
    return {ROOTS: pair.certificate, KEY: pair.key}


def test_the_three_steps_exchange_the_authority(entries: Entries) -> None:
    steps = [entries]
    for step in (_trust, _sign, _drop):
        steps.append(step(steps[-1]))
    authorities = [read_authority(one, clock=clock) for one in steps]

    old, new = authorities[0].certificate, authorities[-1].certificate
    assert old != new
    assert [old, old, new, new] == [one.certificate for one in authorities]
    assert [{old}, {old, new}, {old, new}, {new}] == [set(one.roots) for one in authorities]
    assert [False, True, False, False] == [NEXT_KEY in one for one in steps]
    assert new == next_root(steps[1], clock=clock)
    # Signing with the other one pushes no roots.
    assert authorities[1].trusted == authorities[2].trusted


def test_the_one_that_signs_stands_first(entries: Entries) -> None:
    signing = _sign(_trust(entries))

    first = x509.load_pem_x509_certificates(signing[ROOTS])[0]
    assert read_authority(signing, clock=clock).certificate == first


@pytest.mark.parametrize(
    ("before", "step", "message"),
    [
        ((), _sign, "the first step is `rotate trust`"),
        ((), _drop, "the first step is `rotate trust`"),
        ((_trust,), _trust, "the next step is `rotate sign`"),
        ((_trust,), _drop, "the next step is `rotate sign`"),
        ((_trust, _sign), _sign, "the first step is `rotate trust`"),
    ],
)
def test_a_step_out_of_turn_is_refused(
    entries: Entries,
    before: tuple[Callable[[Entries], Entries], ...],
    step: Callable[[Entries], Entries],
    message: str,
) -> None:
    for one in before:
        entries = one(entries)

    with pytest.raises(TooEarly, match=message):
        step(entries)


def test_roots_of_others_stay(entries: Entries) -> None:
    other = issuer()
    entries = {**entries, ROOTS: entries[ROOTS] + pem(other.certificate)}

    dropped = _drop(_sign(_trust(entries)))

    roots = read_authority(dropped, clock=clock).roots
    assert 2 == len(roots)
    assert other.certificate in roots


def test_an_authority_from_elsewhere_is_rotated_there() -> None:
    root = issuer()

    with pytest.raises(ValueError, match=r"comes from elsewhere .*, and is rotated there"):
        _trust(issuer(root).tls(root))


class _OneSecret:
    """An API server that holds the Secret, and notes what is written."""

    def __init__(self, entries: Entries) -> None:
        self.secret = {
            "metadata": {"name": "towpath-ca", "resourceVersion": "7"},
            "data": {name: base64.b64encode(data).decode() for name, data in entries.items()},
        }
        self.writes: list[tuple[str, str]] = []

    async def get(self, _path: str, _query: object) -> bytes:
        return json.dumps(self.secret).encode()

    async def write(self, verb: str, path: str, document: dict[str, Any]) -> None:
        self.writes.append((verb, path))
        self.secret = document


async def test_a_step_is_written_over_the_version_that_was_read(entries: Entries) -> None:
    api = _OneSecret(entries)

    await change_secret(cast("KubeApi", api), "osm-system", _trust)

    assert [("PUT", "/api/v1/namespaces/osm-system/secrets/towpath-ca")] == api.writes
    assert {"name": "towpath-ca", "resourceVersion": "7"} == api.secret["metadata"]
    assert {ROOTS, KEY, NEXT_KEY} == set(api.secret["data"])


async def test_a_refused_step_writes_nothing(entries: Entries) -> None:
    api = _OneSecret(entries)

    with pytest.raises(TooEarly):
        await change_secret(cast("KubeApi", api), "osm-system", _sign)

    assert [] == api.writes
