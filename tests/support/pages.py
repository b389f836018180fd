"""What a page tells its reader to type, and what it says is printed then."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_BLOCK = re.compile(r"^( *)```(?:console|bash)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
_COMMENT = re.compile(r"\s+# (?P<text>.*)$")
_EXIT = re.compile(r"exits with (\d+)")
_PROMPT = "$ "
ANYTHING = "…"
"""In what is printed: any text; in a command: what was said before."""


@dataclass(frozen=True)
class Typed:
    """A command, and what the page promises: its exit code, its output (None: it does not say)."""

    command: str
    exit_code: int = 0
    output: tuple[str, ...] | None = None

    def prints(self, text: str) -> bool:
        """True if this is what the page says is printed; `…` stands for anything."""
        if self.output is None:
            return True
        parts = (re.escape(part) for part in "\n".join(self.output).split(ANYTHING))
        return re.fullmatch(".*".join(parts), text.strip(), re.DOTALL) is not None


def commands(page: Path) -> list[Typed]:
    """Everything that the page's console and bash blocks have typed, in order."""
    return [one for block in _blocks(page) for one in _commands(block)]


def _blocks(page: Path) -> Iterator[list[str]]:
    for indent, text in _BLOCK.findall(page.read_text()):
        yield [line.removeprefix(indent) for line in text.splitlines()]


def _commands(lines: list[str]) -> Iterator[Typed]:
    """With prompts, what stands below a command is its output; without, each line is a command."""
    prompted = any(line.startswith(_PROMPT) for line in lines)
    rest = list(lines)
    while rest:
        line = rest.pop(0)
        if not line.strip():
            continue
        text = line.removeprefix(_PROMPT)
        while text.endswith("\\"):
            text = text[:-1] + rest.pop(0).strip()
        comment = _COMMENT.search(text)
        command = text[: comment.start()] if comment else text
        exits = _EXIT.search(comment["text"]) if comment else None
        if command.endswith("<<'EOF'"):
            end = rest.index("EOF") + 1
            command, rest = "\n".join([command, *rest[:end]]), rest[end:]
        output: list[str] = []
        while prompted and rest and not rest[0].startswith(_PROMPT):
            output.append(rest.pop(0))
        printed = tuple(output) if prompted and output else None
        yield Typed(command, int(exits[1]) if exits else 0, printed)
