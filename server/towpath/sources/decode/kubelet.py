"""What the kubelet makes of the fields of a probe or hook: the port that it calls."""

from __future__ import annotations

from collections.abc import Mapping

from towpath.sources.decode.names import is_port

_LONGEST_NUMBER = len("65535")


def called_port(port: object, ports: Mapping[str, int]) -> int | None:
    """The number of a port that is given as one, or by a name of *ports*; None if it is neither.

    Digits may be of any length, and of any script, of which Python reads more than Kubernetes.
    """
    if isinstance(port, str):
        digits = port.isascii() and port.isdecimal() and len(port) <= _LONGEST_NUMBER
        port = int(port) if digits else ports.get(port)
    number = port if isinstance(port, int) and not isinstance(port, bool) else None
    return number if is_port(number) else None
