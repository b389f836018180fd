"""Refused: a pod that must not start as it is."""

from __future__ import annotations


class Refused(Exception):
    """The message names field, value and what is allowed, for whoever applied the pod."""
