"""A real Pipy as a pod's sidecar."""
