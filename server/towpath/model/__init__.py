"""Frozen values, parsed once and shared by all: no I/O, no clock, standard library only."""
