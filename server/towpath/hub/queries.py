"""Memo: answers to questions about the mesh, recomputed only when what they were made from changed.

A question is a pure function `f(mesh, *args)`. While it runs, its reads of the mesh and the
questions it asks in turn are recorded. A change marks the answers that read it, and theirs in
turn; a marked answer is checked again when it is next asked for, and an equal new answer leaves
everything above it as it was, the object itself included.

A question may take long. Within a `slice` it is left off when the slice is over, by `Unfinished`:
what has been answered until then stays so, and whoever asks again goes on from there.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Hashable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeVar, TypeVarTuple, cast

from towpath.model.mesh import Mesh, Object, ReadKey
from towpath.model.names import Kind

Ts = TypeVarTuple("Ts")
R = TypeVar("R")

Question = tuple[Callable[..., Any], tuple[Hashable, ...]]

SMALL_WORK = 250
"""Work of no more things than this is done at once."""


class Unfinished(Exception):
    """A question could not be answered within the slice; ask it again.

    *job*, if it is not None, has to be done first: elsewhere, since it is one piece. *question* is
    the one that the Memo was asked.
    """

    def __init__(self, job: Job | None = None) -> None:
        super().__init__()
        self.job = job
        self.question: Question | None = None


class Job:
    """One call of a pure function, which may be made in any thread."""

    def __init__(self, function: Callable[..., Any], args: tuple[Any, ...]) -> None:
        self.function = function
        self.args = args
        self.done = False
        self._value: Any = None
        self._error: Exception | None = None

    def run(self) -> None:
        """Make the call, and keep what comes of it."""
        try:
            self._value = self.function(*self.args)
        except Exception as error:  # noqa: BLE001 (raised to whoever wants the value)
            self._error = error
        self.done = True

    @property
    def value(self) -> Any:
        """What the call gave; raises what it raised."""
        if self._error is not None:
            raise self._error
        return self._value


@dataclass(slots=True)
class _Slice:
    """Until when, by *clock*, questions are answered; at least one always is."""

    clock: Callable[[], float]
    until: float
    answered: bool = False

    @property
    def over(self) -> bool:
        return self.answered and self.clock() >= self.until


@dataclass(eq=False, slots=True)
class _Answer:
    """One remembered answer, what it was made from, and who used it."""

    question: Question
    value: Any = None
    changed_at: int = 0
    checked_at: int = -1
    stale: bool = True
    known: bool = False
    reads: set[ReadKey] = field(default_factory=set)
    uses: dict[_Answer, None] = field(default_factory=dict)
    users: set[_Answer] = field(default_factory=set)
    jobs: list[Job] = field(default_factory=list)


class Memo:
    """Remembers answers about one mesh; `update` moves it on to the next."""

    def __init__(self, mesh: Mesh) -> None:
        self._mesh = mesh
        self._revision = 0
        self._answers: dict[Question, _Answer] = {}
        self._readers: dict[ReadKey, set[_Answer]] = {}
        self._read_at: dict[ReadKey, int] = {}
        self._slice: _Slice | None = None
        self.computed = 0

    @property
    def mesh(self) -> Mesh:
        return self._mesh

    def update(self, mesh: Mesh, touched: Iterable[ReadKey]) -> frozenset[Question]:
        """Take the next mesh; gives the questions whose answers may have changed."""
        self._mesh = mesh
        self._revision += 1
        marked: set[_Answer] = set()
        queue: list[_Answer] = []
        for key in touched:
            if key in self._readers:
                self._read_at[key] = self._revision
                queue.extend(self._readers[key])
        while queue:
            answer = queue.pop()
            if answer not in marked:
                marked.add(answer)
                answer.stale = True
                queue.extend(answer.users)
        return frozenset(answer.question for answer in marked)

    def ask(self, question: Callable[[Mesh, *Ts], R], *args: *Ts) -> R:
        """The answer for the present mesh."""
        return cast("R", self._asked((question, cast("tuple[Hashable, ...]", args))).value)

    @contextlib.contextmanager
    def slice(self, seconds: float, clock: Callable[[], float]) -> Iterator[None]:
        """Within it, questions raise `Unfinished` when so much time has passed."""
        self._slice = _Slice(clock, clock() + seconds)
        try:
            yield
        finally:
            self._slice = None

    @property
    def revision(self) -> int:
        """How often the mesh has changed."""
        return self._revision

    def changed_at(self, question: Callable[[Mesh, *Ts], R], *args: *Ts) -> int:
        """The revision at which the answer last became another one."""
        return self._asked((question, cast("tuple[Hashable, ...]", args))).changed_at

    def forget(self, question: Callable[..., Any], *args: Hashable) -> None:
        """Drop an answer, and those that only it used."""
        answer = self._answers.get((question, args))
        if answer is not None:
            self._release([answer])

    def __len__(self) -> int:
        return len(self._answers)

    def _asked(self, question: Question) -> _Answer:
        try:
            return self._get(question)
        except Unfinished as unfinished:
            unfinished.question = question
            raise

    def _known(self, question: Question) -> _Answer:
        answer = self._answers.get(question)
        if answer is None:
            answer = self._answers[question] = _Answer(question)
        return answer

    def _get(self, question: Question) -> _Answer:
        answer = self._known(question)
        if answer.stale:
            if self._outdated(answer):
                self._compute(answer)
            answer.stale = False
            answer.checked_at = self._revision
        return answer

    def _outdated(self, answer: _Answer) -> bool:
        since = answer.checked_at
        if since < 0 or any(self._read_at.get(key, 0) > since for key in answer.reads):
            return True
        # In the order of asking: what a later one is asked may hang on an earlier answer.
        return any(self._get(used.question).changed_at > since for used in answer.uses)

    def _compute(self, answer: _Answer) -> None:
        if self._slice is not None and self._slice.over:
            raise Unfinished
        answer.checked_at = -1  # should the question raise, nothing recorded so far may be trusted
        used_before = self._detach(answer)
        question, args = answer.question
        recording = _RecordingMesh.of(self._mesh, memo=self, answer=answer)
        try:
            value = question(recording, *args)
        except Unfinished:
            # It will be asked again, and then most likely uses all this.
            for used in used_before:
                answer.uses[used] = None
                used.users.add(answer)
            raise
        finally:
            self._release(used_before)
        answer.jobs.clear()
        if self._slice is not None:
            self._slice.answered = True
        self.computed += 1
        if not answer.known or value != answer.value:
            answer.value, answer.known = value, True
            answer.changed_at = self._revision

    def _release(self, answers: list[_Answer]) -> None:
        """Drop those of *answers* that nobody uses, and what only they used."""
        queue = list(answers)
        while queue:
            answer = queue.pop()
            if not answer.users and self._answers.pop(answer.question, None) is not None:
                queue.extend(self._detach(answer))

    def _detach(self, answer: _Answer) -> list[_Answer]:
        """Undo an answer's recordings; gives what it had used."""
        for key in answer.reads:
            readers = self._readers[key]
            readers.discard(answer)
            if not readers:
                del self._readers[key]
                self._read_at.pop(key, None)
        used = list(answer.uses)
        for other in used:
            other.users.discard(answer)
        answer.reads.clear()
        answer.uses.clear()
        return used

    def note_read(self, answer: _Answer, key: ReadKey) -> None:
        answer.reads.add(key)
        self._readers.setdefault(key, set()).add(answer)

    def work(self, answer: _Answer, size: int, job: Job) -> Any:
        """The value of a call that *answer* needs, which keeps it until it is answered."""
        same = [j for j in answer.jobs if j.function == job.function and j.args == job.args]
        if same:
            job = same[0]
        elif self._slice is not None and size > SMALL_WORK:
            answer.jobs.append(job)
        return self.do(job, size)

    def do(self, job: Job, size: int) -> Any:
        """The value of a call that whoever asks keeps; within a slice a long one is left to others.

        *size* is as for `Mesh.work`.
        """
        if not job.done:
            if self._slice is not None and size > SMALL_WORK:
                raise Unfinished(job)
            job.run()
        return job.value

    def note_use(self, answer: _Answer, question: Question) -> Any:
        used = self._known(question)
        # Noted first: a question that fails must lead back to those that asked it.
        answer.uses[used] = None
        used.users.add(answer)
        return self._get(question).value


@dataclass(frozen=True)
class _RecordingMesh(Mesh):
    """A mesh that tells the memo what one answer was made from."""

    memo: Memo = field(default=cast("Memo", None))
    answer: _Answer = field(default=cast("_Answer", None))

    @classmethod
    def of(cls, mesh: Mesh, *, memo: Memo, answer: _Answer) -> _RecordingMesh:
        return cls(
            mesh.mesh_name,
            mesh.osm_namespace,
            mesh.cross_namespace_egress,
            mesh.outside_endpoints,
            mesh.objects,
            mesh.members,
            mesh.problems,
            mesh.sources,
            memo=memo,
            answer=answer,
        )

    def get(self, kind: Kind, namespace: str, name: str) -> Object | None:
        self.memo.note_read(self.answer, (kind, namespace, name))
        return super().get(kind, namespace, name)

    def group(self, kind: Kind, group: Hashable) -> tuple[Object, ...]:
        self.memo.note_read(self.answer, (kind, group))
        return super().group(kind, group)

    def ask(self, question: Callable[[Mesh, *Ts], R], *args: *Ts) -> R:
        key = (question, cast("tuple[Hashable, ...]", args))
        return cast("R", self.memo.note_use(self.answer, key))

    def work(self, size: int, function: Callable[[*Ts], R], *args: *Ts) -> R:
        return cast("R", self.memo.work(self.answer, size, Job(function, args)))
