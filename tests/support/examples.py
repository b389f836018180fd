"""How many examples a property test tries: few in the gate, many in `make prove`."""

from __future__ import annotations

from hypothesis import settings

GATE_EXAMPLES = 100
"""Of a property test that says nothing of its own, in the gate; other profiles scale by it."""


def examples(in_the_gate: int) -> int:
    """As many as that in the gate, and in proportion to it under any other profile."""
    return in_the_gate * settings().max_examples // GATE_EXAMPLES
