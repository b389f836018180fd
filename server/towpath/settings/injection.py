"""Injection of sidecars: where an API server asks for it, and what is injected."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from towpath import __version__
from towpath.settings.addresses import TCP_OR_NONE
from towpath.settings.declaration import Form, Group, setting

_IMAGE = Form(
    "the name of an image", lambda text: bool(text) and text.isascii() and " " not in text
)


@dataclass(frozen=True, kw_only=True, slots=True)
class InjectionSettings(Group):
    """The webhook, and the images where the MeshConfig names none."""

    title: ClassVar[str] = "Injection"

    injection_address: str = setting(
        "",
        "Where an API server asks to inject pods (HTTPS by --tls-cert). Empty: nowhere.",
        form=TCP_OR_NONE,
    )
    sidecar_image: str = setting(
        "envoyproxy/envoy:distroless-v1.40.0",
        "Image of the sidecar, unless the MeshConfig names one.",
        form=_IMAGE,
    )
    init_container_image: str = setting(
        f"towpath:{__version__}",
        "Image of the init container, unless the MeshConfig names one.",
        form=_IMAGE,
    )
