"""Retry: which requests are sent again. What cannot be read is not; nothing else depends on it."""

from __future__ import annotations

from collections.abc import Mapping

from towpath.model.codes import Code
from towpath.model.names import Account
from towpath.model.retries import Retry, RetryPolicy
from towpath.sources.decode import durations
from towpath.sources.decode.fields import Reader, report_unknown
from towpath.sources.decode.findings import Findings
from towpath.sources.decode.names import NameRule
from towpath.sources.decode.references import reference
from towpath.sources.decode.schema import Schema

CONDITIONS = (
    "5xx",
    "gateway-error",
    "reset",
    "reset-before-request",
    "connect-failure",
    "envoy-ratelimited",
    "retriable-4xx",
    "refused-stream",
    "cancelled",
    "deadline-exceeded",
    "internal",
    "resource-exhausted",
    "unavailable",
)
"""Those of Envoy that need nothing else: https://www.envoyproxy.io/docs/envoy/latest/configuration/http/http_filters/router_filter"""
MOST_RETRIES = 100
MOST_DESTINATIONS = 1000
LONGEST_S = 3600.0

_NOTHING = "nothing is sent again"
_LEFT_OUT = "the destination is left out"
SCHEMA = Schema.of_object(
    effect=_NOTHING,
    spec=Schema.of(
        effect=_NOTHING,
        source=Schema.of("kind", "name", "namespace", effect=_NOTHING),
        destinations=Schema.of("kind", "name", "namespace", effect=_LEFT_OUT),
        retryPolicy=Schema.of(
            "retryOn",
            "perTryTimeout",
            "numRetries",
            "retryBackoffBaseInterval",
            effect=_NOTHING,
        ),
    ),
)


def retry(raw: Mapping[str, object], findings: Findings) -> Retry | None:
    """One Retry; it is held even if nothing of it is left, so that people can be told."""
    report_unknown(raw, SCHEMA, findings)
    top = Reader(raw, "", findings, SCHEMA)
    spec = top.section("spec")
    source, policy = spec.section("source"), spec.section("retryPolicy")
    misspelt = any(one.misspelt for one in (top, spec, source, policy))
    value = _policy(policy, findings)
    return Retry(
        namespace=findings.ref.namespace,
        name=findings.ref.name,
        created=top.section("metadata").text("creationTimestamp"),
        source=_source(source, findings),
        destinations=_destinations(spec, findings),
        policy=None if misspelt else value,
        stamp=top.stamp(),
    )


def _source(reader: Reader, findings: Findings) -> Account | None:
    own = findings.ref.namespace
    name, namespace = reader.text("name"), reader.text("namespace")
    for field, right, allowed in (
        ("kind", reader.value("kind") == "ServiceAccount", "ServiceAccount"),
        ("name", NameRule.SUBDOMAIN.holds(name), NameRule.SUBDOMAIN.words),
        ("namespace", namespace == own, f"{own}, that of the Retry"),
    ):
        if not right:
            value = reader.value(field)
            findings.invalid(reader.path(field), value, allowed=allowed, effect=_NOTHING)
            return None
    return Account(namespace, name)


def _destinations(spec: Reader, findings: Findings) -> tuple[tuple[str, str], ...]:
    readers = spec.sections("destinations")
    if len(readers) > MOST_DESTINATIONS:
        message = f"has {len(readers)} destinations; allowed: {MOST_DESTINATIONS}; {_NOTHING}"
        findings.add(Code.MANY_DESTINATIONS, "spec.destinations", message)
        return ()
    named = (reference(one, NameRule.LABEL, kind="Service") for one in readers)
    services = {names for names in named if names}
    if not services:
        message = f"no valid destination: {_NOTHING}"
        findings.add(Code.NOTHING_LEFT, "spec.destinations", message)
    return tuple(sorted(services))


def _policy(reader: Reader, findings: Findings) -> RetryPolicy | None:
    before = findings.count
    retries = _count(reader, findings)
    timeout = _seconds(reader, "perTryTimeout", findings)
    interval = _seconds(reader, "retryBackoffBaseInterval", findings)
    clear = findings.count == before
    conditions, statuses = _retry_on(reader, findings)
    if not clear or not (conditions or statuses):
        return None
    return RetryPolicy(conditions, statuses, retries, timeout, interval)


def _count(reader: Reader, findings: Findings) -> int:
    value = reader.value("numRetries")
    if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= MOST_RETRIES:
        return value
    if value is not None:
        allowed = f"an integer from 1 to {MOST_RETRIES}"
        findings.invalid(reader.path("numRetries"), value, allowed=allowed, effect=_NOTHING)
    return 1


def _retry_on(reader: Reader, findings: Findings) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """The words, and the statuses among them; others are left out, so that less is sent again."""
    words = [word.strip() for word in reader.text("retryOn").split(",") if word.strip()]
    conditions = [word for word in words if word in CONDITIONS]
    statuses = [int(word) for word in words if _is_status(word)]
    path = reader.path("retryOn")
    for word in dict.fromkeys(words):
        if word not in CONDITIONS and not _is_status(word):
            allowed = f"{', '.join(CONDITIONS)}, and statuses such as 503, separated by commas"
            findings.invalid(path, word, allowed=allowed, effect="it is left out")
    if not (conditions or statuses):
        findings.add(Code.NOTHING_LEFT, path, f"says of no request that it failed: {_NOTHING}")
    return tuple(dict.fromkeys(conditions)), tuple(sorted(set(statuses)))


def _is_status(word: str) -> bool:
    return len(word) == 3 and word.isascii() and word.isdecimal() and 400 <= int(word) <= 599


def _seconds(reader: Reader, name: str, findings: Findings) -> float | None:
    value = reader.value(name)
    seconds = durations.seconds(value)
    if seconds is not None and 0.001 <= seconds <= LONGEST_S:
        return seconds
    if value is not None:
        allowed = "a duration from 1ms to 1h, such as 250ms or 1s"
        findings.invalid(reader.path(name), value, allowed=allowed, effect=_NOTHING)
    return None
