"""A store follows a folder: read once, watched, and kept when the folder goes away."""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from towpath.model.codes import Code, Reason
from towpath.model.mesh import Mesh
from towpath.model.names import Kind
from towpath.settings import MeshSettings
from towpath.sources import SourceError
from towpath.sources.files import FilesSource
from towpath.store import Store

PATIENCE_S = 30.0

CONFIG = """\
apiVersion: config.openservicemesh.io/v1alpha2
kind: MeshConfig
metadata: {name: osm-mesh-config, namespace: osm-system}
spec: {traffic: {enableEgress: %s}}
"""


class FolderStore:
    """A store, and the tests' view of it."""

    def __init__(self) -> None:
        self.changed = asyncio.Event()
        self.store = Store(MeshSettings().scope, on_change=self.changed.set)

    def mesh(self) -> Mesh:
        return self.store.drain()[0]

    def egress(self) -> bool | None:
        config = self.mesh().config()
        return config.enable_egress if config else None

    def reasons(self) -> list[Reason]:
        return [problem.reason for problem in self.mesh().problems]

    async def until(self, holds: Callable[[], bool]) -> None:
        """Wait until it holds, looking again at each change."""
        async with asyncio.timeout(PATIENCE_S):
            while not holds():
                self.changed.clear()
                await self.changed.wait()


@pytest.fixture
def held() -> FolderStore:
    return FolderStore()


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Path]:
    root = tmp_path / "manifests"
    root.mkdir()
    yield root
    shutil.rmtree(root, ignore_errors=True)


@asynccontextmanager
async def following(
    root: Path, held: FolderStore, *, rescan_s: float = 0.2
) -> AsyncIterator[FilesSource]:
    source = FilesSource(root, held.store, absent_s=0.01, rescan_s=rescan_s)
    running = asyncio.create_task(source.run())
    try:
        await held.until(lambda: held.store.synced)
        yield source
    finally:
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running


def test_loading_lists_every_kind(root: Path, held: FolderStore) -> None:
    (root / "a.yaml").write_text(CONFIG % "true")

    FilesSource(root, held.store).load()

    assert held.store.synced
    assert held.egress() is True
    assert held.mesh().problems == ()


def test_an_empty_folder_is_synced_with_a_problem(root: Path, held: FolderStore) -> None:
    FilesSource(root, held.store).load()

    assert held.store.synced
    assert held.reasons() == [Reason.MISSING]


@pytest.mark.parametrize("name", ["nowhere", "file"])
async def test_a_folder_that_is_missing_at_start_is_an_error_with_its_path(
    tmp_path: Path, held: FolderStore, name: str
) -> None:
    (tmp_path / "file").touch()
    source = FilesSource(tmp_path / name, held.store)

    with pytest.raises(SourceError, match=str(tmp_path / name)):
        source.load()
    with pytest.raises(SourceError, match=str(tmp_path / name)):
        await source.run()
    assert not held.store.synced


async def test_a_change_of_a_file_reaches_the_store(root: Path, held: FolderStore) -> None:
    path = root / "a.yaml"
    path.write_text(CONFIG % "false")
    async with following(root, held):
        for value in (True, False, True):
            path.write_text(CONFIG % str(value).lower())
            await held.until(lambda value=value: held.egress() is value)  # type: ignore[misc]


async def test_a_file_that_replaces_another_reaches_the_store(
    root: Path, held: FolderStore
) -> None:
    (root / "a.yaml").write_text(CONFIG % "false")
    async with following(root, held):
        (root / ".new").write_text(CONFIG % "true")
        (root / ".new").rename(root / "a.yaml")
        await held.until(lambda: held.egress() is True)


async def test_new_and_removed_files_and_folders_reach_the_store(
    root: Path, held: FolderStore
) -> None:
    async with following(root, held):
        (root / "deep/er").mkdir(parents=True)
        (root / "deep/er/a.yaml").write_text(CONFIG % "true")
        await held.until(lambda: held.egress() is True)
        shutil.rmtree(root / "deep")
        await held.until(lambda: held.egress() is None)


async def test_links_and_special_files_do_not_keep_it_from_following(
    root: Path, held: FolderStore
) -> None:
    (root / "a.yaml").write_text(CONFIG % "false")
    (root / "disk").symlink_to("/")
    (root / "self").symlink_to("self")
    (root / "b.yaml").symlink_to("/dev/zero")
    os.mkfifo(root / "c.yaml")
    async with following(root, held, rescan_s=1000):
        (root / "a.yaml").write_text(CONFIG % "true")
        await held.until(lambda: held.egress() is True)

        (root / "new").mkdir()
        (root / "new/d.yaml").write_text("kind: [")
        await held.until(lambda: 5 == held.reasons().count(Reason.UNREADABLE))


async def test_a_change_after_loading_and_before_running_is_found(
    root: Path, held: FolderStore
) -> None:
    (root / "a.yaml").write_text(CONFIG % "false")
    source = FilesSource(root, held.store)
    source.load()
    (root / "a.yaml").write_text(CONFIG % "true")

    running = asyncio.create_task(source.run())
    await held.until(lambda: held.egress() is True)
    running.cancel()
    await asyncio.wait({running})


async def test_a_broken_file_keeps_its_last_good_content_and_is_reported(
    root: Path, held: FolderStore
) -> None:
    (root / "a.yaml").write_text(CONFIG % "true")
    async with following(root, held):
        (root / "a.yaml").write_text(CONFIG % "[")
        await held.until(lambda: held.reasons() == [Reason.UNREADABLE])
        assert held.egress() is True

        (root / "a.yaml").write_text(CONFIG % "false")
        await held.until(lambda: held.egress() is False)
        assert held.reasons() == []


async def test_a_folder_that_is_gone_leaves_what_it_held_until_it_is_back(
    root: Path, held: FolderStore
) -> None:
    (root / "a.yaml").write_text(CONFIG % "true")
    async with following(root, held) as source:
        assert source.stale_seconds() == 0.0
        shutil.rmtree(root)
        await held.until(lambda: held.reasons() == [Reason.UNREADABLE])
        assert held.egress() is True
        assert held.mesh().problems[0].code is Code.MISSING_FOLDER
        assert held.mesh().problems[0].message == "is gone; what it held is served, stale"
        assert source.stale_seconds() > 0.0

        fresh = root.with_name("fresh")
        fresh.mkdir()
        (fresh / "a.yaml").write_text(CONFIG % "false")
        fresh.rename(root)
        await held.until(lambda: held.egress() is False)
        assert held.reasons() == []
        assert source.stale_seconds() == 0.0

        (root / "a.yaml").write_text(CONFIG % "true")
        await held.until(lambda: held.egress() is True)


async def test_a_folder_swapped_for_another_is_followed(root: Path, held: FolderStore) -> None:
    """As when the path is a link that is made to point elsewhere."""
    (root / "a.yaml").write_text(CONFIG % "false")
    link = root.with_name("link")
    link.symlink_to(root)
    other = root.with_name("other")
    other.mkdir()
    (other / "a.yaml").write_text(CONFIG % "true")
    async with following(link, held):
        link.with_name("new").symlink_to(other)
        link.with_name("new").rename(link)
        await held.until(lambda: held.egress() is True)

        (other / "a.yaml").write_text(CONFIG % "false")
        await held.until(lambda: held.egress() is False)


async def test_a_kind_that_is_not_used_is_logged_once(
    root: Path, held: FolderStore, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="towpath.sources")
    deployment = "---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {name: x}\n"
    (root / "a.yaml").write_text(CONFIG % "false" + deployment * 3)
    async with following(root, held):
        (root / "a.yaml").write_text(CONFIG % "true" + deployment * 4)
        await held.until(lambda: held.egress() is True)

    lines = [r.getMessage() for r in caplog.records if "Deployment" in r.getMessage()]
    assert lines == ["objects of kind Deployment are not used (first seen at a.yaml:6)"]


@pytest.mark.parametrize("demo", ["passthrough", "mesh"])
def test_the_demo_meshes_hold_no_problem(demo: str, held: FolderStore) -> None:
    FilesSource(Path(__file__).parents[3] / "deploy/demo" / demo, held.store).load()
    mesh = held.mesh()

    assert mesh.problems == ()
    services = [found.name for found in mesh.group(Kind.SERVICE, "all")]
    assert services == (["bookstore"] if demo == "mesh" else [])
