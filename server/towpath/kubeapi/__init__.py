"""The Kubernetes API over HTTP: configuration, authentication and TLS by the official client."""

from towpath.kubeapi.client import KubeApi, KubeApiError
from towpath.kubeapi.configuration import connect

__all__ = ["KubeApi", "KubeApiError", "connect"]
