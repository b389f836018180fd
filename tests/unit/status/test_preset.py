"""The MeshConfig's beginning: made once, of the ConfigMap, by who holds the lease."""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import Any, cast

import pytest

from support.fake_time import Now, run_in_fake_time
from support.written_api import WrittenApi
from towpath.kubeapi.client import KubeApiError, NoRightError
from towpath.kubeapi.lease import Lease
from towpath.kubeapi.preset import KEY
from towpath.status.preset import Preset

CONFIG_MAP = "/api/v1/namespaces/osm-system/configmaps/preset-mesh-config"
CONFIGS = "/apis/config.openservicemesh.io/v1alpha2/namespaces/osm-system/meshconfigs"
SPEC = {"traffic": {"enableEgress": True}}


class FakeLease:
    """A lease that somebody else holds until the test says otherwise."""

    held = True


class Api(WrittenApi):
    preset: object = json.dumps(SPEC)

    async def get(self, path: str, query: Any, **_: object) -> bytes:
        if path != CONFIG_MAP:
            return await super().get(path, query)
        self._answer(f"GET {path}")
        return json.dumps({"data": {KEY: self.preset}}).encode()


def created(api: Api, *, lease: FakeLease | None = None, seconds: float = 100.0) -> list[Any]:
    """What is written within that time; the lease is held from its half on."""

    async def scenario(_: Now) -> None:
        held = lease or FakeLease()
        preset = Preset(cast("Any", api), lease=cast("Lease", held), namespace="osm-system")
        task = asyncio.create_task(preset.run())
        await asyncio.sleep(seconds / 2)
        assert held.held or not api.writes
        held.held = True
        await asyncio.sleep(seconds / 2)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    run_in_fake_time(scenario)
    return [(method, path, body["spec"]) for method, path, body in api.writes]


def test_it_is_created_once_from_the_config_map() -> None:
    assert created(Api()) == [("POST", CONFIGS, SPEC)]


def test_it_is_not_created_before_the_lease_is_held() -> None:
    lease = FakeLease()
    lease.held = False

    assert created(Api(), lease=lease) == [("POST", CONFIGS, SPEC)]


def test_one_that_exists_is_left_as_it_is() -> None:
    api = Api(refusals={"POST": KubeApiError(409, "already exists")})

    assert created(api) == []
    assert api.tries == [CONFIGS]


def test_without_a_config_map_nothing_is_created() -> None:
    api = Api(refusals={CONFIG_MAP: KubeApiError(404, "not found")})

    assert created(api) == []
    assert api.tries == []


@pytest.mark.parametrize(
    ("preset", "said"),
    [("{", "has no JSON under"), ("[]", "is not a JSON object"), (None, "has no JSON under")],
)
def test_a_config_map_that_cannot_be_used_is_told_once(
    preset: object, said: str, caplog: pytest.LogCaptureFixture
) -> None:
    api = Api()
    api.preset = preset

    assert created(api) == []
    (record,) = caplog.records
    assert said in record.getMessage()


def test_a_missing_right_is_named_and_it_is_tried_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    api = Api(refusals={"POST": NoRightError(403, "forbidden")})

    assert created(api) == []
    (record,) = caplog.records
    assert 'resources: ["meshconfigs"], verbs: [create]' in record.getMessage()
    assert len(api.tries) > 1
