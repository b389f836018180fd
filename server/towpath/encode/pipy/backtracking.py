"""Whether an expression can be made to take time out of proportion to what it is tried on.

Pipy's engine tries one way after the other through an expression. How many there are on a text is
the ambiguity of its automaton: bounded, or growing with the text by a power (`/.*/.*/x`) or
exponentially (`/(a+)+b`). Only the first is sent. The criteria are those of Weber and Seidl, «On
the degree of ambiguity of finite automata», 1991.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import product

_LARGEST = 200
_DEEPEST = 50
_BUDGET = 50_000
_EVERY = (1 << 128) - 1
_TOKEN = re.compile(
    r"\(\?!\[[^\]]*\]\)|\(\?:|[()|^$]|\[(?:\\.|[^\]\\])+\]|\\.|[*+?]\??|\{\d+(?:,\d*)?\}\??|.",
)
_REPEATS = {"*": (0, None), "+": (1, None), "?": (0, 1)}


class TooLargeError(Exception):
    """The expression is too large to be judged."""


@lru_cache(maxsize=1024)
def explodes(regex: str) -> bool:
    """True if it can; TooLargeError if that cannot be said. *regex* is in Pipy's dialect.

    What follows a last `.*` needs no second try, so that one does not count.
    """
    automaton = _Automaton()
    automaton.add(_Parser(regex).whole())
    return automaton.ambiguous()


@dataclass(frozen=True, slots=True)
class _Node:
    """A set of characters; else a sequence, alternatives, or a repetition of its one part."""

    parts: tuple[_Node, ...] = ()
    characters: int = 0
    either: bool = False
    repeat: tuple[int, int | None] | None = None


class _Parser:
    """Reads an expression, from left to right."""

    def __init__(self, regex: str) -> None:
        self._tokens = _TOKEN.findall(regex)
        self._at = 0

    def whole(self) -> _Node:
        read = self._alternatives(0)
        return _Node(tuple(map(_without_rest, read.parts)), either=True)

    def _alternatives(self, depth: int) -> _Node:
        if depth > _DEEPEST:
            raise TooLargeError
        alternatives = [self._sequence(depth)]
        while self._next() == "|":
            self._at += 1
            alternatives.append(self._sequence(depth))
        return _Node(tuple(alternatives), either=True)

    def _sequence(self, depth: int) -> _Node:
        parts: list[_Node] = []
        while (token := self._next()) not in ("", "|", ")"):
            self._at += 1
            if token in ("(", "(?:"):
                parts.append(self._alternatives(depth + 1))
                self._at += 1
            elif token[0] in "*+?{" and parts:
                parts.append(_Node((parts.pop(),), repeat=_times(token)))
            elif token not in ("^", "$", r"\b", r"\B") and not token.startswith("(?!"):
                parts.append(_Node(characters=_characters(token)))
        return _Node(tuple(parts))

    def _next(self) -> str:
        return self._tokens[self._at] if self._at < len(self._tokens) else ""


def _without_rest(sequence: _Node) -> _Node:
    if sequence.parts:
        last = sequence.parts[-1]
        if last.repeat == (0, None) and last.parts[0].characters == _EVERY:
            return _Node(sequence.parts[:-1])
    return sequence


def _times(token: str) -> tuple[int, int | None]:
    if token[0] in _REPEATS:
        return _REPEATS[token[0]]
    least, comma, most = token.rstrip("?").strip("{}").partition(",")
    if not comma:
        return int(least), int(least)
    return int(least), int(most) if most else None


@lru_cache(maxsize=256)
def _characters(piece: str) -> int:
    if piece == ".":
        return _EVERY
    pattern = re.compile(piece if piece[0] in "[\\" else re.escape(piece))
    return sum(1 << code for code in range(128) if pattern.fullmatch(chr(code)))


@dataclass(frozen=True, slots=True)
class _Ends:
    """Which positions a part may begin and end with, and whether it may be empty."""

    empty: bool = True
    first: frozenset[int] = frozenset()
    last: frozenset[int] = frozenset()


@dataclass
class _Automaton:
    """Glushkov's: a state for each character of the expression, and what may follow it; *ways*
    counts in how many ways it may.
    """

    sets: list[int] = field(default_factory=list)
    ways: Counter[tuple[int, int]] = field(default_factory=Counter)
    budget: int = _BUDGET

    def add(self, node: _Node) -> _Ends:
        if node.repeat is not None:
            return self._repeat(node.parts[0], *node.repeat)
        if node.either:
            alternatives = [self.add(part) for part in node.parts]
            return _Ends(
                any(ends.empty for ends in alternatives),
                frozenset().union(*(ends.first for ends in alternatives)),
                frozenset().union(*(ends.last for ends in alternatives)),
            )
        if not node.characters:
            return self._chain(self.add(part) for part in node.parts)
        if len(self.sets) >= _LARGEST:
            raise TooLargeError
        self.sets.append(node.characters)
        here = frozenset({len(self.sets) - 1})
        return _Ends(empty=False, first=here, last=here)

    def _repeat(self, part: _Node, least: int, most: int | None) -> _Ends:
        if most is None:
            before = self._chain(self.add(part) for _ in range(least - 1))
            loop = self.add(part)
            self._link(loop.last, loop.first)
            return self._chain((before, _Ends(loop.empty or not least, loop.first, loop.last)))
        optional = _Ends()
        for _ in range(most - least):
            one = self.add(part)
            both = self._chain((one, optional))
            optional = _Ends(first=both.first, last=both.last)
        return self._chain((*(self.add(part) for _ in range(least)), optional))

    def _chain(self, parts: Iterable[_Ends]) -> _Ends:
        whole = _Ends()
        for ends in parts:
            self._link(whole.last, ends.first)
            whole = _Ends(
                whole.empty and ends.empty,
                whole.first | ends.first if whole.empty else whole.first,
                whole.last | ends.last if ends.empty else ends.last,
            )
        return whole

    def _link(self, last: frozenset[int], first: frozenset[int]) -> None:
        for pair in product(last, first):
            self._spend()
            self.ways[pair] += 1

    def ambiguous(self) -> bool:
        """True if the number of ways through it is not bounded."""
        after = self._after()
        reach = self._reach(after)
        loops = {
            frozenset(q for q in range(len(self.sets)) if reach[p] >> q & 1 and reach[q] >> p & 1)
            for p in range(len(self.sets))
            if reach[p] >> p & 1
        }
        twice = any(n > 1 and reach[q] >> p & 1 for (p, q), n in self.ways.items())
        return (
            twice
            or any(self._exponential(loop, after) for loop in loops)
            or any(
                self._polynomial(p, q, one, other, after)
                for one in loops
                for other in loops
                if one is not other
                for p in one
                for q in other
                if reach[p] >> q & 1
            )
        )

    def _after(self) -> list[list[int]]:
        after: list[list[int]] = [[] for _ in self.sets]
        for p, q in self.ways:
            after[p].append(q)
        return after

    def _reach(self, after: list[list[int]]) -> list[int]:
        """For each state, those that may come after it, as bits."""
        reach = [sum(1 << q for q in states) for states in after]
        for middle, state in product(range(len(reach)), repeat=2):
            if reach[state] >> middle & 1:
                reach[state] |= reach[middle]
        return reach

    def _exponential(self, loop: frozenset[int], after: list[list[int]]) -> bool:
        """Two ways around: apart from one state, and together again, on one text."""
        todo: list[tuple[int, ...]] = [(state, state) for state in loop]
        seen = set(todo)
        while todo:
            here = todo.pop()
            for there in self._steps(here, after):
                if not loop.issuperset(there):
                    continue
                if there[0] == there[1] and here[0] != here[1]:
                    return True
                if there not in seen:
                    seen.add(there)
                    todo.append(there)
        return False

    def _polynomial(
        self,
        p: int,
        q: int,
        one: frozenset[int],
        other: frozenset[int],
        after: list[list[int]],
    ) -> bool:
        """One text leads around *p*, around *q*, and from *p* to *q*."""
        todo: list[tuple[int, ...]] = [(p, p, q)]
        seen = set(todo)
        while todo:
            for there in self._steps(todo.pop(), after):
                if there == (p, q, q):
                    return True
                if there[0] in one and there[2] in other and there not in seen:
                    seen.add(there)
                    todo.append(there)
        return False

    def _steps(self, states: tuple[int, ...], after: list[list[int]]) -> Iterator[tuple[int, ...]]:
        """What may come after each of *states*, all by one character."""
        for there in product(*(after[state] for state in states)):
            self._spend()
            common = _EVERY
            for state in there:
                common &= self.sets[state]
            if common:
                yield there

    def _spend(self) -> None:
        self.budget -= 1
        if self.budget < 0:
            raise TooLargeError
