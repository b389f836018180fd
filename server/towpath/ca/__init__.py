"""The door that issues certificates: so far to tests and demos, by a local authority."""

from towpath.ca.authority import Authority, Pair

__all__ = ["Authority", "Pair"]
