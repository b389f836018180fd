"""What a sidecar answers in place of its application when the kubelet asks."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class HttpProbe:
    """An HTTP probe: what is asked at `port` and `path` of the sidecar, and what that becomes at
    the application's port `target_port`.

    `target_path` may have a query; `timeout_s` is whole seconds.
    """

    port: int
    path: str
    target_port: int
    target_path: str
    tls: bool
    timeout_s: int


@dataclass(frozen=True, slots=True, order=True)
class HealthProbe:
    """A probe of a port that is no HTTP: the sidecar asks the application at once and again, and
    answers at `path` whether it succeeded.

    `service` is that of gRPC's health protocol; None for a port that needs only be open.
    """

    path: str
    target_port: int
    service: str | None
    timeout_s: int


@dataclass(frozen=True, slots=True)
class Probes:
    """All of one pod's, each sorted."""

    http: tuple[HttpProbe, ...] = ()
    health: tuple[HealthProbe, ...] = ()
