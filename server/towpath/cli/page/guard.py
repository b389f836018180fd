"""Who may look at the page: whoever knows its token, from this machine, by a browser that was sent
here by nobody else.
"""

from __future__ import annotations

import hmac

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

HOSTS = frozenset({"127.0.0.1", "localhost", "[::1]"})
"""What the page may be called: any other name is somebody's who leads browsers to this machine."""

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; font-src 'self'; img-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
"""Nothing but our own files, and no script or style within a page."""

HEADERS = {
    "Content-Security-Policy": POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


def guard(token: str) -> Middleware:
    """What stands before every handler of the page with that token."""

    @web.middleware
    async def guarded(request: web.Request, handler: Handler) -> web.StreamResponse:
        if _host(request) not in HOSTS:
            text = f"the page is not served by that name; allowed are {', '.join(sorted(HOSTS))}\n"
            raise web.HTTPMisdirectedRequest(text=text)
        if request.headers.get("Sec-Fetch-Site") == "cross-site" and not _navigates(request):
            raise web.HTTPForbidden(text="asked for by another site\n")
        given = request.path.removeprefix("/").partition("/")[0]
        if not hmac.compare_digest(given.encode(), token.encode()):
            raise web.HTTPNotFound(text="there is nothing: the address has a token, as printed\n")
        if request.method not in ("GET", "HEAD"):
            raise web.HTTPMethodNotAllowed(request.method, ("GET", "HEAD"), text="read-only\n")
        return await handler(request)

    return guarded


async def add_headers(_: web.Request, response: web.StreamResponse) -> None:
    """What every answer says to a browser, errors included."""
    response.headers.update(HEADERS)
    response.headers.setdefault("Cache-Control", "no-store")


def _host(request: web.Request) -> str:
    """The name without the port, which a tunnel may change."""
    text = request.headers.get("Host", "")
    name, colon, port = text.rpartition(":")
    return name.lower() if colon and port.isdigit() else text.lower()


def _navigates(request: web.Request) -> bool:
    """True if a person follows a link: that shows the page, and nothing to who linked to it."""
    return request.headers.get("Sec-Fetch-Mode") == "navigate"
