"""Frozen values, parsed once and shared by all: no I/O, no clock, standard library only.

Knows nothing of everything else. Begin with `mesh` (what goes in), then `plan` and `snapshot` (what
comes out).
"""
