"""The door to a cluster that is to run Towpath: its own manifests, applied, looked at, removed.

Knows nothing of what a running server knows. Begin with `values`, then `manifests`.
"""
