"""Turns "something changed" into "these sidecars have a new snapshot"."""
