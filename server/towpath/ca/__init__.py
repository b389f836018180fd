"""Certificates: `authority` issues them; `mesh_authority` is the installation's, kept in a Secret.

Knows nothing of who asks. Begin with `authority`: `towpath demo-certs` and the tests use it alone.
"""

from towpath.ca.authority import Authority, Pair

__all__ = ["Authority", "Pair"]
