"""Certificates: `authority` issues them; `secret` says what an authority's Secret may hold, and
`mesh_authority` is the installation's; `leaves` are what sidecars show each other, `windows` when.

Knows nothing of who asks. Begin with `authority`: `towpath demo-certs` and the tests use it alone.
"""

from towpath.ca.authority import Authority, Pair

__all__ = ["Authority", "Pair"]
