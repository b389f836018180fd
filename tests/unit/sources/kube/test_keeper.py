"""A start while the API server is away: what an earlier run saw is served, and then the truth."""

from __future__ import annotations

import logging
import time
from pathlib import Path

import pytest

from support.fake_api import FakeApi, fake_api, refuse, silent
from support.kube_store import Follow, FollowedStore
from towpath.model.codes import Code
from towpath.model.names import Kind

LABEL = {"openservicemesh.io/monitored-by": "osm"}
NO_CRD = refuse(404, "404 page not found")


def fill(api: FakeApi) -> None:
    for number in range(3):
        api.put("Namespace", f"n{number}", metadata={"labels": LABEL})
    source = {"kind": "ServiceAccount", "name": "web", "namespace": "n0"}
    ports = [{"number": 80, "protocol": "http"}]
    api.put("Egress", "one", "n0", spec={"sources": [source], "hosts": ["a.test"], "ports": ports})
    api.put("Service", "odd", "n0", spec={"type": "Odd"})


async def kept(held: FollowedStore, path: Path) -> None:
    """Everything is followed, and written."""
    await held.until(lambda: held.equal() and held.stale() == 0)
    await held.until(path.exists, "written")


async def test_what_was_seen_is_served_while_the_server_is_away_and_then_the_truth(
    follow: Follow, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "kept"
    caplog.set_level(logging.INFO)
    async with fake_api() as api:
        fill(api)
        begun = time.time()
        async with follow(api, checkpoint=path) as held:
            await kept(held, path)
            before, wrong = held.mesh().objects, held.problems()
        await api.stop()
        api.delete("Namespace", "n1")
        written = time.time()
        async with follow(api, checkpoint=path) as held:
            await held.until(lambda: held.store.synced, "restored")
            assert before == held.mesh().objects
            assert len(Kind) == held.metric("towpath_checkpoint_kinds")
            assert set(wrong) < set(held.problems())
            assert any("does not answer: serving what was seen at" in p for p in held.problems())
            assert Code.STALE_CLUSTER in {one.code for one in held.mesh().problems}
            assert any("serving what was seen at" in message for message in caplog.messages)
            assert time.time() - written - 1 < held.stale() < time.time() - begun + 1

            await api.start()
            await held.until(lambda: held.equal() and held.stale() == 0, "the truth")
            assert 0 == held.metric("towpath_checkpoint_kinds")
            assert wrong == held.problems()


async def test_truth_that_equals_the_checkpoint_wakes_nobody(
    follow: Follow, tmp_path: Path
) -> None:
    path = tmp_path / "kept"
    async with fake_api() as api:
        fill(api)
        async with follow(api, checkpoint=path) as held:
            await kept(held, path)
        await api.stop()
        async with follow(api, checkpoint=path) as held:
            await held.until(lambda: held.store.synced, "restored")
            held.mesh()
            await api.start()
            await held.until(lambda: held.stale() == 0, "followed")

            assert frozenset() == held.store.drain()[1]


async def test_staleness_counts_from_what_was_last_known_to_be_true(
    follow: Follow, tmp_path: Path
) -> None:
    path = tmp_path / "kept"
    async with fake_api() as api:
        fill(api)
        async with follow(api, checkpoint=path) as held:
            await kept(held, path)
            await api.stop()
            await held.until(lambda: held.stale() > 1.2, "stale")
        async with follow(api, checkpoint=path) as held:
            await held.until(lambda: held.store.synced, "restored")

            assert held.stale() > 1.2


async def test_a_server_that_answers_is_believed_and_the_file_never_opened(
    follow: Follow, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "kept"
    path.write_text("nonsense")
    async with fake_api() as api:
        fill(api)
        async with follow(api, checkpoint=path) as held:
            await held.until(held.equal)
            await held.until(lambda: path.read_text() != "nonsense", "replaced")
            assert [] == caplog.messages


async def test_a_refusal_is_an_answer_and_is_not_worked_around(
    follow: Follow, tmp_path: Path
) -> None:
    path = tmp_path / "kept"
    async with fake_api() as api:
        fill(api)
        async with follow(api, checkpoint=path) as held:
            await kept(held, path)
        api.standing["Egress"] = refuse(403)
        async with follow(api, checkpoint=path) as held:
            asked = len(api.asked("Egress"))
            await held.until(lambda: len(api.asked("Egress")) > asked + 8, "asked for long")
            assert not held.store.synced
            assert set() == held.names(Kind.EGRESS)


async def test_a_server_in_trouble_counts_as_away(follow: Follow, tmp_path: Path) -> None:
    path = tmp_path / "kept"
    async with fake_api() as api:
        fill(api)
        async with follow(api, checkpoint=path) as held:
            await kept(held, path)
        for kind in Kind:
            api.standing[kind.value] = refuse(503)
        async with follow(api, checkpoint=path) as held:
            await held.until(lambda: held.store.synced, "restored")
            api.standing.clear()
            await held.until(lambda: held.equal() and held.stale() == 0)


@pytest.mark.parametrize("damage", ["damaged", "foreign", "missing", "open"])
async def test_a_checkpoint_that_is_refused_is_never_served(
    follow: Follow, tmp_path: Path, caplog: pytest.LogCaptureFixture, damage: str
) -> None:
    path = tmp_path / "kept"
    async with fake_api() as api, fake_api() as other:
        fill(api)
        fill(other)
        whose = other if damage == "foreign" else api
        async with follow(whose, checkpoint=path) as held:
            await kept(held, path)
        if damage == "damaged":
            path.write_bytes(path.read_bytes()[:-1])
        if damage == "open":
            path.chmod(0o666)
        if damage == "missing":
            path.unlink()
        await api.stop()
        async with follow(api, checkpoint=path) as held:
            await held.until(lambda: "is not used" in caplog.text, "refused")
            assert not held.store.synced
            assert {} == held.mesh().objects

            await api.start()
            await held.until(lambda: held.equal() and held.stale() == 0)


async def test_a_kind_that_was_not_installed_is_restored_as_such(
    follow: Follow, tmp_path: Path
) -> None:
    path = tmp_path / "kept"
    async with fake_api() as api:
        fill(api)
        api.delete("Egress", "one", "n0")
        api.standing["Egress"] = NO_CRD
        async with follow(api, checkpoint=path) as held:
            await kept(held, path)
        await api.stop()
        async with follow(api, checkpoint=path) as held:
            await held.until(lambda: held.store.synced, "restored")
            await api.start()
            await held.until(lambda: held.stale() == 0, "followed")
            assert any("is not installed" in problem for problem in held.problems())


async def test_a_kind_that_has_vanished_meanwhile_is_stale_not_empty(
    follow: Follow, tmp_path: Path
) -> None:
    path = tmp_path / "kept"
    async with fake_api() as api:
        fill(api)
        async with follow(api, checkpoint=path) as held:
            await kept(held, path)
        await api.stop()
        api.standing["Egress"] = NO_CRD
        async with follow(api, checkpoint=path) as held:
            await held.until(lambda: held.store.synced, "restored")
            await api.start()
            gone = "is gone; each Egress last seen is served"
            await held.until(lambda: any(gone in p for p in held.problems()), "said")
            assert {"one"} == held.names(Kind.EGRESS)
            assert held.stale() > 0


async def test_a_change_is_written_and_so_is_the_last_one_before_the_end(
    follow: Follow, tmp_path: Path
) -> None:
    path = tmp_path / "kept"
    async with fake_api() as api:
        fill(api)
        async with follow(api, checkpoint=path) as held:
            await kept(held, path)
            api.put("Namespace", "last")
            await held.until(lambda: "last" in held.names(Kind.NAMESPACE), "seen")

        assert b'"last"' in path.read_bytes()


async def test_a_folder_that_cannot_be_written_is_said_once(
    follow: Follow, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "folder"
    path.mkdir()
    failed = ("towpath_checkpoint_writes_total", "failed")
    async with fake_api() as api:
        fill(api)
        async with follow(api, checkpoint=path) as held:
            await held.until(lambda: held.metric(failed[0], result=failed[1]) > 2, "tried")
            api.put("Namespace", "more")
            await held.until(held.equal)

        said = [m for m in caplog.messages if "cannot be written" in m]
        assert 1 == len(said), said


async def test_a_server_that_takes_connections_and_is_silent_counts_as_away(
    follow: Follow, tmp_path: Path
) -> None:
    path = tmp_path / "kept"
    async with fake_api() as api:
        fill(api)
        async with follow(api, checkpoint=path) as held:
            await kept(held, path)
        for kind in Kind:
            api.standing[kind.value] = silent(opens=False)
        async with follow(api, checkpoint=path) as held:
            await held.until(lambda: held.store.synced, "restored")
            assert {"one"} == held.names(Kind.EGRESS)
