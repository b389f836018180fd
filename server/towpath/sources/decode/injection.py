"""What a MeshConfig says of sidecars that are injected.

An entry that is not allowed is left out: of what passes by the sidecar, so that it goes through; of
what alone goes through, with the whole list, so that everything does.
"""

from __future__ import annotations

import re
from typing import TypeVar

from towpath.model.codes import Code
from towpath.model.injection import (
    Amounts,
    RedirectLists,
    Resources,
    SidecarDefaults,
    sorted_ranges,
)
from towpath.sources.decode.fields import Reader
from towpath.sources.decode.findings import Findings, show
from towpath.sources.decode.quantity import QUANTITY_WORDS, quantity
from towpath.sources.decode.redirect_lists import (
    EXCLUDED_RANGE,
    INCLUDED_RANGE,
    INTERFACE,
    PORT,
    EntryRule,
)

T = TypeVar("T", int, str)

OLDEST_ENVOY = (1, 30)
"""The first that can log in with a token."""
RESOURCE_NAMES = ("cpu", "memory", "ephemeral-storage")

LOCALHOST, POD_IP = "Localhost", "PodIP"

_INTERCEPTION = ("", "iptables", "none")
_LOCAL_PROXY = ("", LOCALHOST, POD_IP)
_IMAGE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/:@-]{0,254}")
_ENVOY_TAG = re.compile(r"(?:[a-z]+-)*v(?P<major>[0-9]{1,4})\.(?P<minor>[0-9]{1,4})(?:[.-].*)?")


def sidecar_defaults(sidecar: Reader, traffic: Reader, findings: Findings) -> SidecarDefaults:
    """The sections `sidecar` and `traffic` of one MeshConfig."""
    images = (_envoy_image(sidecar, name, findings) for name in ("sidecarImage", "envoyImage"))
    mode = traffic.choice("interceptionMode", _INTERCEPTION, default="iptables")
    return SidecarDefaults(
        image=next(filter(None, images), ""),
        init_image=_image(sidecar, "initContainerImage"),
        resources=_resources(sidecar.section("resources")),
        privileged_init=sidecar.flag("enablePrivilegedInitContainer"),
        redirects=mode != "none",
        calls_pod_ip=_calls_pod_ip(sidecar, findings, redirects=mode != "none"),
        lists=_lists(traffic, findings),
    )


def _calls_pod_ip(sidecar: Reader, findings: Findings, *, redirects: bool) -> bool:
    if sidecar.choice("localProxyMode", _LOCAL_PROXY, default=LOCALHOST) != POD_IP:
        return False
    if not redirects:
        path = sidecar.path("localProxyMode")
        message = "has no effect with interceptionMode none, as the init container sets it"
        findings.add(Code.UNSUPPORTED_FIELD, path, f"is {show(POD_IP)}: it {message}")
    return redirects


def _lists(traffic: Reader, findings: Findings) -> RedirectLists:
    def entries(name: str, rule: EntryRule[T]) -> tuple[list[T], bool]:
        """What is meant, and whether that is all that was written."""
        values, whole = [], True
        for path, item in traffic.items(name):
            text = str(item) if isinstance(item, int) and rule is PORT else item
            entry = rule.read(text.strip()) if isinstance(text, str) else None
            if entry is None:
                findings.invalid(path, item, allowed=rule.words, effect="it is left out")
                whole = False
                continue
            if entry.remark:
                findings.add(Code.CORRECTED_VALUE, path, f"is {show(item)}, which {entry.remark}")
            values.append(entry.value)
        return values, whole

    included, whole = entries("outboundIPRangeInclusionList", INCLUDED_RANGE)
    if not whole:
        message = "has an entry that is not allowed: everything goes through the sidecar"
        findings.add(Code.UNUSABLE_LIST, traffic.path("outboundIPRangeInclusionList"), message)
    return RedirectLists(
        tuple(sorted(set(entries("outboundPortExclusionList", PORT)[0]))),
        tuple(sorted(set(entries("inboundPortExclusionList", PORT)[0]))),
        sorted_ranges(set(entries("outboundIPRangeExclusionList", EXCLUDED_RANGE)[0])),
        sorted_ranges(set(included)) if whole else (),
        tuple(sorted(set(entries("networkInterfaceExclusionList", INTERFACE)[0]))),
    )


def _image(sidecar: Reader, name: str) -> str:
    image = sidecar.text(name).strip()
    if image and not _IMAGE.fullmatch(image):
        sidecar.left_out(name, image, allowed="the name of an image, such as HOST/PATH:TAG")
        return ""
    return image


def _envoy_image(sidecar: Reader, name: str, findings: Findings) -> str:
    """The image, unless its name says that it is of no Envoy that could log in."""
    image = _image(sidecar, name)
    repository, _, tag = image.partition("@")[0].rpartition("/")[2].partition(":")
    if repository.startswith("pipy"):
        message = f"is {show(image)}: a Pipy is not injected; the default image is used"
        findings.add(Code.UNSUPPORTED_IMAGE, sidecar.path(name), message)
        return ""
    version = _ENVOY_TAG.fullmatch(tag)
    if version and (int(version["major"]), int(version["minor"])) < OLDEST_ENVOY:
        oldest = ".".join(map(str, OLDEST_ENVOY))
        message = (
            f"is {show(image)}: Envoy before {oldest} cannot log in with its pod's token; the "
            "default image is used"
        )
        findings.add(Code.UNSUPPORTED_IMAGE, sidecar.path(name), message)
        return ""
    return image


def _resources(section: Reader) -> Resources:
    limits = _amounts(section, "limits")
    requests = dict(_amounts(section, "requests"))
    for name, limit in limits:
        request = requests.get(name, "0")
        if (quantity(request) or 0) > (quantity(limit) or 0):
            section.section("requests").left_out(
                name, request, allowed=f"at most {limit}, the limit"
            )
            del requests[name]
    return Resources(tuple(requests.items()), limits)


def _amounts(section: Reader, kind: str) -> Amounts:
    amounts = {}
    reader = section.section(kind)
    for name, value in reader.entries():
        text = str(value) if isinstance(value, int | float) else value
        if name not in RESOURCE_NAMES:
            reader.left_out(name, value, allowed=f"the resources {', '.join(RESOURCE_NAMES)}")
        elif not isinstance(text, str) or isinstance(value, bool) or quantity(text) is None:
            reader.left_out(name, value, allowed=QUANTITY_WORDS)
        else:
            amounts[name] = text
    return tuple(sorted(amounts.items()))
