"""What the kubelet makes of the fields of a probe or hook: the port that it calls, and the path."""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import quote, unquote_to_bytes

from towpath.sources.decode.names import is_port

_LONGEST_NUMBER = len("65535")

_PLAIN = "/$&+,:;=@-._~"
"""What Go leaves as it is in a path of which anything has to be encoded, beside letters and digits.
"""
_NO_CODE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_NO_URL = re.compile(r"[^/?]*:|.*[\x00-\x1f\x7f]", re.DOTALL)
_ENCODED = re.compile(r"[A-Za-z0-9/$&+,:;=@._~!'()*\[\]%-]*")
_AUTHORITY = re.compile(r"//(?!/)[A-Za-z0-9.-]*(?::[0-9]*)?(?=/|\Z)")


def called_port(port: object, ports: Mapping[str, int]) -> int | None:
    """The number of a port that is given as one, or by a name of *ports*; None if it is neither.

    Digits may be of any length, and of any script, of which Python reads more than Kubernetes.
    """
    if isinstance(port, str):
        digits = port.isascii() and port.isdecimal() and len(port) <= _LONGEST_NUMBER
        port = int(port) if digits else ports.get(port)
    number = port if isinstance(port, int) and not isinstance(port, bool) else None
    return number if is_port(number) else None


def called_path(path: str | None) -> tuple[str, str]:
    """The path that is sent for one that is given, in ASCII and from its / on, and its query, from
    its ? on.

    The path is encoded as Go's net/url does it: not at all if all of it is allowed in a URL, else
    anew; and as a whole, with ? and #, if it is no URL. The query too is ASCII here.
    """
    text = (path or "").encode(errors="backslashreplace").decode()
    before, _, fragment = text.partition("#")
    raw, mark, query = before.partition("?")
    if _NO_URL.match(before) or _NO_CODE.search(raw) or _NO_CODE.search(fragment):
        raw, mark, query = quote(text, safe=_PLAIN), "", ""
    elif authority := _AUTHORITY.match(raw):
        # It is the pod that is called, whatever host stands there.
        raw = raw[authority.end() :]
    if not _ENCODED.fullmatch(raw):
        raw = quote(unquote_to_bytes(raw), safe=_PLAIN)
    target = raw if raw.startswith("/") else f"/{raw}"
    return target, mark + quote(query, safe="/?[]@!$&'()*+,;=:%-._~")
