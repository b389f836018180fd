"""What a folder of manifests holds, file by file, while its files change."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from towpath.model.codes import Reason
from towpath.model.mesh import Object
from towpath.model.names import Kind, ObjectRef
from towpath.model.problem import Problem
from towpath.sources.files.folder import Folder
from towpath.sources.files.walk import Walk, signature_of

SETTLE_S = 0.05


def account(name: str, namespace: str = "shop") -> str:
    return (
        "apiVersion: v1\nkind: ServiceAccount\n"
        f"metadata:\n  name: {name}\n  namespace: {namespace}\n---\n"
    )


class Watched:
    """A folder with a clock that a test moves."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.folder = Folder(root, settle_s=SETTLE_S)
        self.now = 0.0

    def write(self, name: str, text: str) -> None:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def look(self, *reported: str, after_s: float = 0.0, hasty: bool = False) -> bool:
        self.now += after_s
        return self.folder.refresh(reported, now=self.now, hasty=hasty)

    def accounts(self) -> list[str]:
        return names(self.folder.contents().objects[Kind.SERVICE_ACCOUNT])

    def problems(self) -> tuple[Problem, ...]:
        return self.folder.contents().problems


def names(objects: tuple[Object, ...]) -> list[str]:
    return [found.name for found in objects]


@pytest.fixture
def watched(tmp_path: Path) -> Watched:
    return Watched(tmp_path)


def test_all_manifests_are_read_in_order_of_path_and_document(watched: Watched) -> None:
    watched.write("b.yml", account("b1") + account("b2"))
    watched.write("a/deep/c.yaml", account("c"))
    watched.write(
        "d.json", '{"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "d"}}'
    )
    watched.write("notes.txt", "hello")
    watched.write(".hidden.yaml", account("hidden"))
    watched.write(".git/e.yaml", account("hidden"))
    watched.write("folder.yaml/f.yaml", account("f"))

    assert watched.look(hasty=True)

    assert watched.accounts() == ["c", "b1", "b2", "d", "f"]
    assert watched.problems() == ()


def test_an_exported_list_is_read(watched: Watched) -> None:
    item = (
        "- apiVersion: v1\n  kind: ServiceAccount\n  metadata:\n    name: {}\n"
        "    creationTimestamp: 2024-05-01T10:00:00Z\n    managedFields:\n    - f:metadata: {{}}\n"
    )
    watched.write(
        "all.yaml", "kind: List\napiVersion: v1\nitems:\n" + item.format("a") + item.format("B")
    )

    watched.look(hasty=True)

    assert watched.accounts() == ["a"]
    (problem,) = watched.problems()
    assert problem.source == "all.yaml:11"


def test_an_empty_folder_lists_every_kind_as_empty_and_says_so(watched: Watched) -> None:
    watched.look(hasty=True)
    contents = watched.folder.contents()

    assert contents.objects == dict.fromkeys(Kind, ())
    (problem,) = contents.problems
    assert problem.object == ObjectRef("Folder", "", str(watched.root))
    assert problem.message == "holds no Kubernetes object to use"


def test_kinds_that_are_not_used_are_listed_with_one_place_each(watched: Watched) -> None:
    deployment = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: x}\n---\n"
    watched.write("a.yaml", deployment * 2 + account("a"))

    watched.look(hasty=True)

    assert watched.folder.contents().ignored == {"Deployment": "a.yaml:1"}
    assert watched.problems() == ()


def test_of_an_object_in_two_places_the_first_is_used_and_the_second_is_a_problem(
    watched: Watched,
) -> None:
    watched.write("a.yaml", account("first") + account("x"))
    watched.write("b.yaml", account("x") + account("last"))
    watched.look(hasty=True)

    assert watched.accounts() == ["first", "x", "last"]
    (problem,) = watched.problems()
    assert (problem.object.name, problem.reason) == ("x", Reason.DUPLICATE)
    assert problem.source == "b.yaml:1"
    assert problem.message == "is defined at a.yaml:7 already; this one is not used"


def test_duplicates_on_one_line_are_found_too(watched: Watched) -> None:
    one = '{"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "x"}}'
    watched.write("a.json", f'{{"kind": "List", "items": [{one}, {one}]}}')
    watched.look(hasty=True)

    assert watched.accounts() == ["x"]
    assert [p.reason for p in watched.problems()] == [Reason.DUPLICATE]


def test_a_file_that_does_not_parse_loses_nothing_of_the_others(watched: Watched) -> None:
    watched.write("a.yaml", account("a"))
    watched.write("b.yaml", "kind: [\n")
    watched.look(hasty=True)

    assert watched.accounts() == ["a"]
    (problem,) = watched.problems()
    assert problem.object == ObjectRef("File", "", "b.yaml")
    assert (problem.reason, problem.source) == (Reason.UNREADABLE, "b.yaml:2")
    assert problem.message.startswith("while parsing a flow node")
    assert problem.message.endswith("; nothing in it is used")


def test_a_file_that_no_longer_parses_keeps_its_last_good_content(watched: Watched) -> None:
    watched.write("a.yaml", account("a"))
    watched.look(hasty=True)
    watched.write("a.yaml", account("a") + "metadata: {")

    assert not watched.look()
    assert watched.folder.in_doubt
    assert watched.problems() == ()

    assert watched.look(after_s=SETTLE_S)
    assert not watched.folder.in_doubt
    assert watched.accounts() == ["a"]
    assert [p.reason for p in watched.problems()] == [Reason.UNREADABLE]

    watched.write("a.yaml", account("b"))
    watched.look()
    assert watched.look(after_s=SETTLE_S)
    assert (watched.accounts(), watched.problems()) == (["b"], ())


@pytest.mark.parametrize("half", ["", account("a"), account("a") + "apiVersion: v1\nkin"])
def test_a_half_written_file_never_shows(watched: Watched, half: str) -> None:
    watched.write("a.yaml", account("a") + account("b"))
    watched.look(hasty=True)

    watched.write("a.yaml", half)
    assert not watched.look("a.yaml")
    watched.write("a.yaml", account("a") + account("b") + account("c"))
    assert watched.look("a.yaml", after_s=SETTLE_S / 2)

    assert (watched.accounts(), watched.problems()) == (["a", "b", "c"], ())
    assert not watched.folder.in_doubt


def test_bad_news_that_keeps_changing_is_not_believed_yet(watched: Watched) -> None:
    watched.write("a.yaml", account("a"))
    watched.look(hasty=True)
    for written in range(1, 5):
        watched.write("a.yaml", "#" * written)
        assert not watched.look(after_s=SETTLE_S * 0.9)

    assert watched.look(after_s=SETTLE_S)
    assert watched.accounts() == []


def test_a_file_that_is_moved_away_for_a_moment_is_never_gone(watched: Watched) -> None:
    watched.write("a.yaml", account("a"))
    watched.look(hasty=True)

    (watched.root / "a.yaml").rename(watched.root / "a.yaml~")
    assert not watched.look("a.yaml")
    watched.write("a.yaml", account("a"))

    assert not watched.look(after_s=SETTLE_S)
    assert watched.accounts() == ["a"]


def test_a_removed_file_is_gone_once_that_has_settled(watched: Watched) -> None:
    watched.write("a.yaml", account("a"))
    watched.look(hasty=True)
    (watched.root / "a.yaml").unlink()

    assert not watched.look("a.yaml")
    assert watched.look(after_s=SETTLE_S)
    assert watched.accounts() == []


def test_a_change_that_loses_nothing_counts_at_once(watched: Watched) -> None:
    watched.write("a.yaml", account("a"))
    watched.look(hasty=True)
    watched.write("a.yaml", account("a") + account("b"))

    assert watched.look("a.yaml")
    assert watched.accounts() == ["a", "b"]


def test_a_reported_file_is_read_even_if_its_signature_is_the_same(watched: Watched) -> None:
    watched.write("a.yaml", account("a", "on1"))
    path = watched.root / "a.yaml"
    before = path.stat()
    watched.look(hasty=True)
    watched.write("a.yaml", account("a", "on2"))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))

    assert not watched.look()
    watched.look("a.yaml")
    assert watched.look("a.yaml", after_s=SETTLE_S)


def test_a_file_that_is_only_touched_changes_nothing(watched: Watched) -> None:
    watched.write("a.yaml", account("a"))
    watched.look(hasty=True)
    os.utime(watched.root / "a.yaml", ns=(1, 1))

    assert not watched.look()


def test_a_mounted_config_map_is_followed_through_its_swap(watched: Watched) -> None:
    """Its files are links to `..data/<file>`, and `..data` is a link that is replaced."""
    root = watched.root
    watched.write("..v1/a.yaml", account("a"))
    watched.write("..v2/a.yaml", account("a") + account("b"))
    (root / "..data").symlink_to("..v1")
    (root / "a.yaml").symlink_to("..data/a.yaml")
    watched.look(hasty=True)
    assert watched.accounts() == ["a"]

    (root / "..data_tmp").symlink_to("..v2")
    (root / "..data_tmp").rename(root / "..data")

    assert watched.look("..data")
    assert watched.accounts() == ["a", "b"]


def test_a_link_to_a_folder_above_is_followed_once(watched: Watched) -> None:
    watched.write("sub/a.yaml", account("a"))
    (watched.root / "sub/loop").symlink_to(watched.root, target_is_directory=True)
    (watched.root / "dangling.yaml").symlink_to("nowhere")

    watched.look(hasty=True)

    assert "a" in watched.accounts()
    assert len(watched.accounts()) == 1


def test_a_link_to_the_whole_disk_is_a_problem_and_is_not_followed(watched: Watched) -> None:
    watched.write("a.yaml", account("a"))
    (watched.root / "disk").symlink_to("/")
    (watched.root / "above").symlink_to("..")
    watched.look(hasty=True)

    assert ["a"] == watched.accounts()
    assert frozenset({""}) == watched.folder.folders
    assert {"disk", "above"} == {problem.object.name for problem in watched.problems()}
    text = "leads to a folder that this one is in, and is not followed"
    assert {True} == {problem.message.startswith(text) for problem in watched.problems()}


def test_so_many_folders_are_looked_into_and_what_was_read_before_is_kept(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched.write("a.yaml", account("a"))
    for number in range(9):
        watched.write(f"f{number}/b.yaml", account(f"b{number}"))
    watched.look(hasty=True)
    monkeypatch.setattr("towpath.sources.files.walk.MOST_FOLDERS", 3)
    watched.look(after_s=1)
    watched.look(after_s=1)

    assert 10 == len(watched.accounts())
    (problem,) = watched.problems()
    assert problem.message.startswith("holds more than 3 folders")


@pytest.mark.parametrize("target", ["pipe", "/dev/zero"])
def test_what_is_no_file_is_a_problem_and_is_not_opened(watched: Watched, target: str) -> None:
    watched.write("a.yaml", account("a"))
    os.mkfifo(watched.root / "pipe")
    (watched.root / "b.yaml").symlink_to(target)
    watched.look(hasty=True)

    assert ["a"] == watched.accounts()
    (problem,) = watched.problems()
    assert ("b.yaml", True) == (problem.object.name, problem.message.startswith("is not a file"))


def test_a_file_that_has_become_a_pipe_is_not_waited_for(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched.write("a.yaml", account("a"))
    status = (watched.root / "a.yaml").stat()
    (watched.root / "a.yaml").unlink()
    os.mkfifo(watched.root / "a.yaml")
    seen = Walk({"a.yaml": signature_of(status)}, {}, frozenset({""}))
    monkeypatch.setattr("towpath.sources.files.folder.walk", lambda _: seen)
    watched.look(hasty=True)

    assert ["is not a file; nothing in it is used"] == [p.message for p in watched.problems()][:1]


def test_what_cannot_be_looked_at_keeps_its_last_good_content(watched: Watched) -> None:
    watched.write("sub/a.yaml", account("a"))
    watched.look(hasty=True)
    (watched.root / "sub").rename(watched.root / ".away")
    (watched.root / "sub").symlink_to("sub")

    assert watched.look()
    assert not watched.look(after_s=SETTLE_S)

    assert watched.accounts() == ["a"]
    (problem,) = watched.problems()
    assert (problem.object, problem.reason) == (ObjectRef("File", "", "sub"), Reason.UNREADABLE)
    assert problem.message == "Too many levels of symbolic links; what it said before is kept"


def test_when_the_folder_itself_is_gone_nothing_is_forgotten(
    watched: Watched, tmp_path_factory: pytest.TempPathFactory
) -> None:
    watched.write("a.yaml", account("a"))
    watched.look(hasty=True)
    watched.root.rename(tmp_path_factory.mktemp("elsewhere") / "moved")

    assert watched.folder.identity() is None
    assert not watched.look(after_s=10)
    assert watched.accounts() == ["a"]


def test_the_order_of_writing_does_not_matter(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    texts = {"a.yaml": account("x") + account("a"), "b.yaml": account("x"), "c.yaml": "["}

    def read(order: Callable[[list[str]], list[str]]) -> tuple[list[str], list[str]]:
        watched = Watched(tmp_path_factory.mktemp("folder"))
        for name in order(list(texts)):
            watched.write(name, texts[name])
            watched.look(hasty=True)
        return watched.accounts(), [str(p) for p in watched.problems()]

    assert read(lambda found: found) == read(lambda found: found[::-1])


def test_what_is_wrong_with_a_file_can_be_told_whatever_it_is_called(watched: Watched) -> None:
    (watched.root / os.fsdecode(b"caf\xe9\n.yaml")).write_text("kind: [\n")
    watched.look(hasty=True)

    problem = next(p for p in watched.problems() if p.reason is Reason.UNREADABLE)
    assert problem.object.name.isprintable()
    assert problem.source.endswith(".yaml:2")
    assert str(problem).encode()
