"""Incremental queries: a value is computed again only when what it was made from has changed.

A query is a pure function `f(mesh, *args)`. While it runs, its reads of the mesh and its calls of
other queries are recorded as dependencies of its memo. A change of the mesh starts a new revision
and marks the memos that depend on it, directly or not. A marked memo is verified when its query is
next called: first its dependencies, in their order, and only if one of them has another value is
the query run again. An equal value keeps its old revision (it is *backdated*) and its object, so
that whatever depends on it stays valid.

This is the red-green algorithm of Salsa, where its terms (query, memo, revision, dependency,
maybe_changed) come from: https://salsa-rs.github.io/salsa/reference/algorithm.html

A query may take long. Within a `slice` it is left off when the slice is over, by `Unfinished`:
what has been computed until then stays so, and whoever calls again goes on from there.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar, TypeVarTuple, cast

from towpath.model.identity import Roots, Signer, Window
from towpath.model.mesh import IdentityKey, Mesh, Object, ReadKey
from towpath.model.names import Kind

Ts = TypeVarTuple("Ts")
R = TypeVar("R")

Query = tuple[Callable[..., Any], tuple[Hashable, ...]]

SMALL_WORK = 250
"""Work of no more things than this is done at once."""


class Unfinished(Exception):
    """A query could not be computed within the slice; call it again.

    *job*, if it is not None, has to be done first: elsewhere, since it is one piece. *query* is
    the one that was called from outside.
    """

    def __init__(self, job: Job | None = None) -> None:
        super().__init__()
        self.job = job
        self.query: Query | None = None


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
    """Until when, by *clock*, queries are computed; at least one always is."""

    clock: Callable[[], float]
    until: float
    computed: bool = False

    @property
    def over(self) -> bool:
        return self.computed and self.clock() >= self.until


@dataclass(eq=False, slots=True)
class _Input:
    """One look-up in the mesh, and the memos that depend on it (`users`)."""

    key: ReadKey
    changed_at: int = 0
    users: set[_Memo] = field(default_factory=set)


@dataclass(eq=False, slots=True)
class _Memo:
    """The value of one query, its dependencies (`reads` of the mesh, `uses` of other queries), and
    the memos that depend on it (`users`).

    Dependencies are the entries themselves, so that nothing is looked up to verify them.
    """

    query: Query
    value: Any = None
    changed_at: int = 0
    checked_at: int = -1
    stale: bool = True
    computed: bool = False
    reads: set[_Input] = field(default_factory=set)
    uses: dict[_Memo, None] = field(default_factory=dict)
    users: set[_Memo] = field(default_factory=set)
    jobs: list[Job] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class QueryCounts:
    """How many values are remembered now, and how often one has been computed, ever."""

    remembered: int
    computed: int


class Queries:
    """The memos of all queries about one mesh; `update` moves them on to the next."""

    def __init__(self, mesh: Mesh) -> None:
        self._mesh = mesh
        self._revision = 0
        self._memos: dict[Query, _Memo] = {}
        self._inputs: dict[ReadKey, _Input] = {}
        self._slice: _Slice | None = None
        self._computed = 0

    @property
    def mesh(self) -> Mesh:
        return self._mesh

    def update(self, mesh: Mesh, touched: Iterable[ReadKey]) -> Sequence[Query]:
        """Take the next mesh; gives the queries whose values may have changed, each once."""
        self._mesh = mesh
        self._revision += 1
        marked: set[_Memo] = set()
        queue: list[_Memo] = []
        for key in touched:
            read = self._inputs.get(key)
            if read is not None:
                read.changed_at = self._revision
                queue.extend(read.users)
        while queue:
            memo = queue.pop()
            if memo not in marked:
                marked.add(memo)
                memo.stale = True
                queue.extend(memo.users)
        return [memo.query for memo in marked]

    def get(self, query: Callable[[Mesh, *Ts], R], *args: *Ts) -> R:
        """The value for the present mesh."""
        return cast("R", self._memo_of((query, cast("tuple[Hashable, ...]", args))).value)

    @contextlib.contextmanager
    def slice(self, seconds: float, clock: Callable[[], float]) -> Iterator[None]:
        """Within it, queries raise `Unfinished` when so much time has passed."""
        self._slice = _Slice(clock, clock() + seconds)
        try:
            yield
        finally:
            self._slice = None

    @property
    def revision(self) -> int:
        """How often the mesh has changed."""
        return self._revision

    def changed_at(self, query: Callable[[Mesh, *Ts], R], *args: *Ts) -> int:
        """The revision at which the value last changed."""
        return self._memo_of((query, cast("tuple[Hashable, ...]", args))).changed_at

    def forget(self, query: Callable[..., Any], *args: Hashable) -> None:
        """Drop a memo, and those that only it used."""
        memo = self._memos.get((query, args))
        if memo is not None:
            self._release(memo)

    @property
    def counts(self) -> QueryCounts:
        return QueryCounts(len(self._memos), self._computed)

    def _memo_of(self, query: Query) -> _Memo:
        try:
            return self._verified(self._entry(query))
        except Unfinished as unfinished:
            unfinished.query = query
            raise

    def _entry(self, query: Query) -> _Memo:
        memo = self._memos.get(query)
        if memo is None:
            memo = self._memos[query] = _Memo(query)
        return memo

    def _verified(self, memo: _Memo) -> _Memo:
        """The memo with the value for the present mesh."""
        if memo.stale:
            if self._maybe_changed(memo):
                self._compute(memo)
            memo.stale = False
            memo.checked_at = self._revision
        return memo

    def _maybe_changed(self, memo: _Memo) -> bool:
        since = memo.checked_at
        if since < 0 or any(read.changed_at > since for read in memo.reads):
            return True
        # In the order of the calls: the arguments of a later one may depend on an earlier value.
        return any(self._verified(used).changed_at > since for used in memo.uses)

    def _compute(self, memo: _Memo) -> None:
        if self._slice is not None and self._slice.over:
            raise Unfinished
        memo.checked_at = -1  # should the query raise, nothing recorded so far may be trusted
        self._drop_reads(memo)
        # What it used keeps it as a user meanwhile: it will most likely be used again.
        used_before, memo.uses = memo.uses, {}
        query, args = memo.query
        recording = _RecordingMesh.of(self._mesh, queries=self, memo=memo, before=iter(used_before))
        try:
            value = query(recording, *args)
        except Unfinished:
            memo.uses |= used_before  # it will be asked again
            raise
        finally:
            self._drop_uses(memo, [used for used in used_before if used not in memo.uses])
        memo.jobs.clear()
        if self._slice is not None:
            self._slice.computed = True
        self._computed += 1
        if not memo.computed or (value is not memo.value and value != memo.value):
            memo.value, memo.computed = value, True
            memo.changed_at = self._revision

    def _release(self, memo: _Memo) -> None:
        """Drop a memo that nobody uses, and what only it used."""
        if not memo.users and self._memos.pop(memo.query, None) is not None:
            self._drop_reads(memo)
            self._drop_uses(memo, memo.uses)

    def _drop_reads(self, memo: _Memo) -> None:
        for read in memo.reads:
            read.users.discard(memo)
            if not read.users:
                del self._inputs[read.key]
        memo.reads.clear()

    def _drop_uses(self, memo: _Memo, uses: Iterable[_Memo]) -> None:
        for used in uses:
            used.users.discard(memo)
            self._release(used)

    def add_read(self, memo: _Memo, key: ReadKey) -> None:
        read = self._inputs.get(key)
        if read is None:
            read = self._inputs[key] = _Input(key)
        memo.reads.add(read)
        read.users.add(memo)

    def add_dependency(self, memo: _Memo, query: Query, likely: _Memo | None) -> Any:
        """The value of a query that *memo* asks; *likely* is what it used at this point before."""
        used = likely if likely is not None and likely.query == query else self._entry(query)
        # Before the call: a query that fails must lead back to those that called it.
        memo.uses[used] = None
        used.users.add(memo)
        return self._verified(used).value

    def work(self, memo: _Memo, size: int, job: Job) -> Any:
        """The value of a call that *memo* needs, which keeps it until it is computed."""
        same = [j for j in memo.jobs if j.function == job.function and j.args == job.args]
        if same:
            job = same[0]
        elif self._slice is not None and size > SMALL_WORK:
            memo.jobs.append(job)
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


@dataclass(frozen=True)
class _RecordingMesh(Mesh):
    """A mesh that records what one memo depends on."""

    queries: Queries = field(default=cast("Queries", None))
    memo: _Memo = field(default=cast("_Memo", None))
    before: Iterator[_Memo] = field(default=cast("Iterator[_Memo]", None))

    @classmethod
    def of(
        cls, mesh: Mesh, *, queries: Queries, memo: _Memo, before: Iterator[_Memo]
    ) -> _RecordingMesh:
        # As `__init__` would, which takes as long as many a query.
        recording = object.__new__(cls)
        recording.__dict__.update(mesh.__dict__, queries=queries, memo=memo, before=before)
        return recording

    def get(self, kind: Kind, namespace: str, name: str) -> Object | None:
        key = kind, namespace, name
        self.queries.add_read(self.memo, key)
        return self.objects.get(key)

    def group(self, kind: Kind, group: Hashable) -> tuple[Object, ...]:
        self.queries.add_read(self.memo, (kind, group))
        return super().group(kind, group)

    def part(self, key: IdentityKey) -> Signer | Roots | Window | None:
        self.queries.add_read(self.memo, key)
        return super().part(key)

    def query(self, function: Callable[[Mesh, *Ts], R], *args: *Ts) -> R:
        key = (function, cast("tuple[Hashable, ...]", args))
        return cast("R", self.queries.add_dependency(self.memo, key, next(self.before, None)))

    def work(self, size: int, function: Callable[[*Ts], R], *args: *Ts) -> R:
        return cast("R", self.queries.work(self.memo, size, Job(function, args)))
