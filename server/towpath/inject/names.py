"""Labels, annotations and names of Open Service Mesh, and those that an injected pod has."""

from __future__ import annotations

PREFIX = "openservicemesh.io/"

INJECTION = f"{PREFIX}sidecar-injection"
METRICS = f"{PREFIX}metrics"
MARK = f"{PREFIX}mtls"
"""The label of a pod whose sidecar takes TLS from its first listener on."""

BOOTSTRAP = f"{PREFIX}bootstrap"
CREDENTIAL = f"{PREFIX}credential"
REDIRECT = f"{PREFIX}redirect"
PROBES = f"{PREFIX}original-probes"
VERSION = f"{PREFIX}injected-by"
"""Annotations of an injected pod: three files of its sidecar, what its probes were, and the version
of Towpath that injected it.
"""

INIT_CONTAINER, POD_IP_CONTAINER = "osm-init", "osm-init-pod-ip"
SIDECAR_CONTAINER, VOLUME = "envoy", "towpath"

YES, NO = ("enabled", "yes", "true"), ("disabled", "no", "false")


def switch(text: str) -> bool | None:
    """What the value of an annotation means, in any case of letters; None if it means nothing."""
    word = text.strip().lower()
    return True if word in YES else False if word in NO else None


SWITCH_WORDS = f"{', '.join(YES)}, {', '.join(NO)}"
