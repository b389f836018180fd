"""Rate limits of an UpstreamTrafficSetting: those that each sidecar counts by itself.

What cannot be read closes the setting, as it was meant to limit something; only what is answered
instead has a default.
"""

from __future__ import annotations

import re

from towpath.model.codes import Code
from towpath.model.limits import Rate, RateLimits, RequestLimit
from towpath.sources.decode.expressions import Expressions
from towpath.sources.decode.fields import Reader
from towpath.sources.decode.findings import Findings
from towpath.sources.decode.schema import Schema

UNITS = {"second": 1, "minute": 60, "hour": 3600}
HIGHEST = 2**31 - 1
MOST_ROUTES = 100
MOST_HEADERS = 10
"""Of Envoy, for what is added to an answer."""
LARGEST_HEADERS = 32_768
"""Characters of all headers of a setting together: each port of its Service has all of them."""
STATUSES = frozenset(
    {*range(400, 418), 421, 422, 423, 424, 426, 428, 429, 431, *range(500, 509), 510, 511}
)
"""What Envoy knows of those that say that something went wrong."""

_HEADER = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,256}")
_RESERVED = "host"
"""A header that Envoy adds nowhere: it would reject the routes of the port, and all beside them."""
_VALUE = re.compile(r"[\t\x20-\x7e]{0,4096}")
_GLOBAL = "global rate limits are not supported: nothing is limited by it"


def schema(closed: str) -> dict[str, Schema]:
    """The fields `rateLimit` and `httpRoutes`; *closed* is what becomes of a misspelt one."""
    answer = Schema.of("name", "value", effect=closed)
    names = ("requests", "unit", "burst", "responseStatusCode")
    http = Schema.of(*names, effect=closed, responseHeadersToAdd=answer)
    tcp = Schema.of("connections", "unit", "burst", effect=closed)
    local = Schema.of(effect=closed, tcp=tcp, http=http)
    of_route = Schema.of("global", effect=closed, local=http)
    return {
        "rateLimit": Schema.of("global", effect=closed, local=local),
        "httpRoutes": Schema.of("path", effect=closed, rateLimit=of_route),
    }


class RateLimitReader:
    """What *spec* says; `unclear` if something that limits cannot be read, were it by its name.
    *closed* is what then becomes of the setting.
    """

    def __init__(self, spec: Reader, findings: Findings, *, closed: str) -> None:
        self._spec = spec
        self._findings = findings
        self._closed = closed
        self._left = LARGEST_HEADERS
        self.unclear = False

    def limits(self) -> RateLimits:
        whole = self._below(self._spec, "rateLimit")
        self._no_global(whole)
        local = self._below(whole, "local")
        tcp = self._below(local, "tcp")
        return RateLimits(
            connections=self._rate(tcp, "connections") if local.has("tcp") else None,
            requests=self._requests(local, "http"),
            routes=self._routes(),
        )

    def _routes(self) -> tuple[tuple[str, RequestLimit], ...]:
        routes: dict[str, RequestLimit] = {}
        readers = self._spec.sections("httpRoutes")
        if self._spec.length("httpRoutes") > MOST_ROUTES:
            message = f"has {len(readers)} routes; allowed: {MOST_ROUTES}; {self._closed}"
            self._findings.add(Code.MANY_LIMITS, "spec.httpRoutes", message)
            self.unclear = True
            return ()
        if len(readers) < self._spec.length("httpRoutes"):
            value = self._spec.value("httpRoutes")
            self._unreadable(self._spec, "httpRoutes", value, allowed="a list of mappings")
        expressions = Expressions(self._findings, effect=self._closed)
        for reader in readers:
            self.unclear |= reader.misspelt
            path, before = reader.text("path"), self._findings.count
            expressions.check(reader.path("path"), path)
            self.unclear |= self._findings.count > before
            of_route = self._below(reader, "rateLimit")
            self._no_global(of_route)
            limit = self._requests(of_route, "local")
            if path in routes:
                message = f"{path} has a limit already, which holds"
                self._findings.add(Code.DUPLICATE_LIMIT, reader.path("path"), message)
            elif limit is not None:
                routes[path] = limit
        return tuple(routes.items())

    def _requests(self, above: Reader, name: str) -> RequestLimit | None:
        """The limit in that field; None without one, and of what cannot be read."""
        reader = self._below(above, name)
        if not above.has(name) or (rate := self._rate(reader, "requests")) is None:
            return None
        return RequestLimit(rate, self._status(reader), self._headers(reader))

    def _rate(self, reader: Reader, name: str) -> Rate | None:
        count = self._number(reader, name, lowest=1)
        burst = self._number(reader, "burst", lowest=0) if reader.has("burst") else 0
        unit = reader.value("unit")
        seconds = UNITS.get(unit) if isinstance(unit, str) else None
        if seconds is None:
            self._unreadable(reader, "unit", unit, allowed=", ".join(UNITS))
        if count is None or burst is None or seconds is None:
            return None
        return Rate(count, seconds, burst)

    def _number(self, reader: Reader, name: str, *, lowest: int) -> int | None:
        value = reader.value(name)
        if isinstance(value, int) and not isinstance(value, bool) and lowest <= value <= HIGHEST:
            return value
        self._unreadable(reader, name, value, allowed=f"an integer from {lowest} to {HIGHEST}")
        return None

    def _status(self, reader: Reader) -> int:
        value = reader.value("responseStatusCode")
        if isinstance(value, int) and not isinstance(value, bool) and value in STATUSES:
            return value
        if value not in (None, 0):
            path = reader.path("responseStatusCode")
            allowed = "a status of HTTP from 400 to 511"
            self._findings.invalid(path, value, allowed=allowed, effect="429 is used")
        return 429

    def _headers(self, reader: Reader) -> tuple[tuple[str, str], ...]:
        headers: dict[str, str] = {}
        for one in reader.sections("responseHeadersToAdd"):
            name, value = one.text("name"), one.text("value")
            self.unclear |= one.misspelt
            if not _HEADER.fullmatch(name):
                one.left_out("name", name, allowed="the name of an HTTP header, such as x-limit")
            elif name.lower() == _RESERVED:
                one.left_out("name", name, allowed=f"any header but {_RESERVED}")
            elif not _VALUE.fullmatch(value):
                one.left_out("value", value, allowed="at most 4,096 characters of ASCII")
            elif len(headers) == MOST_HEADERS:
                one.left_out("name", name, allowed=f"{MOST_HEADERS} headers")
            else:
                headers[name.lower()] = value
                self._spend(one, len(name) + len(value))
        return tuple(headers.items())

    def _spend(self, reader: Reader, characters: int) -> None:
        if 0 <= self._left < characters:
            message = f"all headers together are longer than {LARGEST_HEADERS:,} characters"
            self._findings.add(Code.MANY_LIMITS, reader.path("value"), f"{message}; {self._closed}")
            self.unclear = True
        self._left -= characters

    def _no_global(self, reader: Reader) -> None:
        if reader.has("global"):
            self._findings.add(Code.UNSUPPORTED_FIELD, reader.path("global"), _GLOBAL)

    def _below(self, reader: Reader, name: str) -> Reader:
        value = reader.value(name)
        if value is not None and not isinstance(value, dict):
            self._unreadable(reader, name, value, allowed="a mapping")
            return Reader({}, reader.path(name), self._findings)
        below = reader.section(name)
        self.unclear |= below.misspelt
        return below

    def _unreadable(self, reader: Reader, name: str, value: object, *, allowed: str) -> None:
        self.unclear = True
        self._findings.invalid(reader.path(name), value, allowed=allowed, effect=self._closed)
