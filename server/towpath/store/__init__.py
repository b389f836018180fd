"""The only mutable picture of the cluster; sources write it, the hub takes immutable views.

Knows nothing of time or I/O. Begin with `store`: it is the only module.
"""

from towpath.store.store import Store

__all__ = ["Store"]
