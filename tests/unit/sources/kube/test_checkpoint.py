"""The checkpoint's file: what was written comes back equal, and nothing else ever does."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from support import objects
from towpath.model.codes import Code
from towpath.model.limits import Rate, RateLimits, RequestLimit
from towpath.model.mesh import Object
from towpath.model.meshconfig import MeshConfig
from towpath.model.names import Kind, ObjectRef, Stamp
from towpath.model.problem import Problem
from towpath.model.workloads import ServiceAccount
from towpath.sources.kube import checkpoint
from towpath.sources.kube.checkpoint import CheckpointError, Origin, Picture

ORIGIN = Origin("osm", "osm-system", "https://10.96.0.1:443", "ab12")
LIMITS = RateLimits(Rate(1, 60), routes=(("/a", RequestLimit(Rate(2, 1), 503, (("x", "y"),))),))
HELD: dict[Kind, tuple[Object, ...] | None] = {
    Kind.NAMESPACE: (objects.namespace("shop"), objects.namespace("other", mesh=None)),
    Kind.SERVICE: (objects.service("web"), objects.headless("db")),
    Kind.ENDPOINT_SLICE: (objects.endpoint_slice("web", "10.0.0.1", ports={"": 1, "a": 2}),),
    Kind.POD: (objects.pod("web-1", ports={"http": 8080}),),
    Kind.SERVICE_ACCOUNT: (ServiceAccount("shop", "default"),),
    Kind.MESH_CONFIG: (MeshConfig("osm-system", enable_egress=True, stamp=Stamp("u", 3)),),
    Kind.EGRESS: (objects.egress("a"), objects.egress("b", hosts=None, ranges=())),
    Kind.HTTP_ROUTE_GROUP: (objects.route_group("g", "/a", methods=("GET",)),),
    Kind.UPSTREAM_TRAFFIC_SETTING: (objects.setting("u", service="web", limits=LIMITS),),
    Kind.RETRY: None,
    Kind.INGRESS_BACKEND: (objects.ingress_backend("i", principals=("a.b",)),),
    Kind.TRAFFIC_TARGET: (objects.traffic_target("t"),),
    Kind.TRAFFIC_SPLIT: (objects.traffic_split("s", route_groups=("g",)),),
    Kind.TCP_ROUTE: (objects.tcp_route("r"), objects.tcp_route("p", 80)),
}
DAY_S = 86_400.0
WRONG = Problem(ObjectRef("Egress", "shop", "c"), "spec.ports", Code.INVALID_VALUE, "é\n☃", "x:1")
PICTURE = Picture(1_800_000_000.25, HELD, (WRONG,))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    checkpoint.write(tmp_path / "kept", ORIGIN, PICTURE)
    return tmp_path / "kept"


def refusal(path: Path, origin: Origin = ORIGIN, *, now: float = PICTURE.seen_at) -> str:
    with pytest.raises(CheckpointError) as raised:
        checkpoint.read(path, origin, now=now, max_age_s=DAY_S)
    return str(raised.value)


def test_it_comes_back_equal(path: Path) -> None:
    now = PICTURE.seen_at + DAY_S
    assert PICTURE == checkpoint.read(path, ORIGIN, now=now, max_age_s=DAY_S)


def test_one_that_is_too_old_or_from_the_future_is_refused(path: Path) -> None:
    old, soon = PICTURE.seen_at + DAY_S + 1, PICTURE.seen_at - 301

    assert "seen 86,401 s ago; allowed are 86,400 s" in refusal(path, now=old)
    assert "it is from the future, by 301 s: a clock is wrong" == refusal(path, now=soon)


@pytest.mark.parametrize("mode", [0o604, 0o602, 0o660, 0o640, 0o777])
def test_one_that_others_may_have_written_is_refused(path: Path, mode: int) -> None:
    os.chown(path, -1, os.getegid() + 1)
    path.chmod(mode)

    assert f"others may read or write it (mode {mode:04o})" in refusal(path)


def test_one_that_is_open_to_our_own_group_is_ours(path: Path) -> None:
    path.chmod(0o660)

    assert PICTURE == checkpoint.read(path, ORIGIN, now=PICTURE.seen_at, max_age_s=DAY_S)


def test_one_of_another_user_is_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    user = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: user + 1)

    assert f"it belongs to user {user}, not to {user + 1}" in refusal(path)


def test_a_pipe_is_no_checkpoint_and_nobody_waits_for_its_writer(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe", 0o600)

    assert "it is not a file" == refusal(tmp_path / "pipe")


def test_every_kind_has_its_place_in_it() -> None:
    assert set(Kind) == set(checkpoint.ROWS)
    assert set(Kind) == set(HELD)


def test_a_draft_that_somebody_else_has_left_open_is_not_written_into(path: Path) -> None:
    left = path.with_name(f".{path.name}.{os.getpid()}")
    left.write_text("")
    left.chmod(0o666)

    checkpoint.write(path, ORIGIN, PICTURE)

    assert 0o600 == path.stat().st_mode & 0o777


def test_only_its_owner_may_read_it_and_nothing_else_is_left(path: Path) -> None:
    checkpoint.write(path, ORIGIN, PICTURE)

    assert 0o600 == path.stat().st_mode & 0o777
    assert [path] == list(path.parent.iterdir())


def test_a_write_that_fails_leaves_the_old_one_and_no_draft(path: Path) -> None:
    unwritable = replace(PICTURE, problems=(object(),))  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        checkpoint.write(path, ORIGIN, unwritable)

    assert PICTURE == checkpoint.read(path, ORIGIN, now=PICTURE.seen_at, max_age_s=DAY_S)
    assert [path] == list(path.parent.iterdir())


def test_no_flipped_bit_and_no_missing_end_is_overlooked(path: Path) -> None:
    whole = path.read_bytes()
    for at in range(0, len(whole), 7):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 4]) + whole[at + 1 :])
        assert refusal(path)
    for length in range(0, len(whole), 7):
        path.write_bytes(whole[:length])
        assert refusal(path)
    path.write_bytes(whole + b" ")
    assert "it is damaged: its checksum is wrong" == refusal(path)


def test_a_file_of_another_format_is_refused(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b"towpath-checkpoint-1", b"towpath-checkpoint-2"))

    assert "it is not a file of the format towpath-checkpoint-1" == refusal(path)


def test_a_file_that_is_not_there_or_no_file_is_refused(path: Path) -> None:
    assert "No such file or directory" == refusal(path.with_name("gone"))
    assert "Is a directory" == refusal(path.parent)


@pytest.mark.parametrize(
    ("ours", "said"),
    [
        (replace(ORIGIN, mesh_name="two"), "its mesh name is 'osm', not 'two'"),
        (replace(ORIGIN, osm_namespace="x"), "its osm namespace is 'osm-system', not 'x'"),
        (replace(ORIGIN, api_server="https://b"), "its api server is 'https://10.96.0.1:443', no"),
        (replace(ORIGIN, authority=""), "its authority is 'ab12', not ''"),
    ],
)
def test_what_was_seen_of_another_cluster_is_refused(path: Path, ours: Origin, said: str) -> None:
    assert f"it is of another cluster: {said}" in refusal(path, ours)


def rewrite(path: Path, **change: object) -> None:
    """Another document, with a checksum that is right."""
    document = {**json.loads(path.read_bytes().partition(b"\n")[2]), **change}
    body = json.dumps(document).encode()
    digest = checkpoint._digest(body)
    path.write_bytes(checkpoint.FORMAT + b" " + digest + b"\n" + body)


def test_what_another_version_wrote_is_refused(path: Path) -> None:
    rewrite(path, shape="another")

    assert "it was written by another version of Towpath" == refusal(path)


@pytest.mark.parametrize("found", [{}, {"Pod": [{"name": 7}]}, {"Pod": "x"}])
def test_objects_that_are_none_are_refused(path: Path, found: dict[str, object]) -> None:
    whole = json.loads(path.read_bytes().partition(b"\n")[2])["objects"]
    rewrite(path, objects={**whole, **found} if found else {})

    assert refusal(path).startswith("it cannot be read: ")


def test_prose_in_the_model_is_no_part_of_its_shape(monkeypatch: pytest.MonkeyPatch) -> None:
    before = checkpoint.shape()
    checkpoint.shape.cache_clear()
    monkeypatch.setattr(ServiceAccount, "__doc__", "Other words.")

    assert before == checkpoint.shape()
