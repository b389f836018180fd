"""Injection: what a pod becomes when it gets a sidecar, as a function of the pod, its namespace,
the MeshConfig and the roots; and the webhook through which an API server asks.

Here Kubernetes' objects are read and changed as they are written. It knows nothing of what else the
mesh holds. Begin with `decide`, then `pod`.
"""
