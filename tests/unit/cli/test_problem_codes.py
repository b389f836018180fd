"""Each code of a Problem: manifests that have it, as `towpath problems` tells of them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest
from click.testing import CliRunner

from support.manifests import (
    ACCOUNT,
    BASE,
    CONFIG,
    DEPLOYMENT,
    EGRESS,
    GROUP,
    HEADLESS,
    INGRESS,
    LIMITED,
    LIMITS,
    MORE,
    NAMESPACE,
    OPENED,
    POD,
    RANGE,
    RETRY,
    RETRYING,
    ROUTES,
    SERVICE,
    SETTING,
    SLICE,
    SPLIT,
    TARGET,
    WEB,
    with_matches,
)
from towpath.cli import main
from towpath.model.codes import Code, Severity

TESTS = Path(__file__).parents[2]

BACKENDS = [{"service": f"web-{number}", "weight": 1} for number in range(200)]
PATHS = [
    {"path": f"/{number}", "rateLimit": {"local": {"requests": 3, "unit": "minute"}}}
    for number in range(1_000)
]
MATCHES = json.dumps([{"pathRegex": f"/{number}"} for number in range(450)])
MANY_PORTS = json.dumps([{"name": f"p{n}", "port": n, "targetPort": n} for n in range(1, 501)])
TLS_PROBE = "spec: {containers: [{name: web, readinessProbe: {httpGet: {port: 9, scheme: HTTPS}}}]}"

CASES: Mapping[Code, tuple[str, ...]] = {
    Code.UNREADABLE_FILE: (*BASE, "a: [\n"),
    Code.EMPTY_FOLDER: ("{apiVersion: example.org/v1, kind: Other, metadata: {name: a}}",),
    Code.DUPLICATE_OBJECT: (*BASE, SERVICE, SERVICE),
    Code.INVALID_VALUE: (*BASE, EGRESS.replace("443", "70000")),
    Code.UNKNOWN_FIELD: (*BASE, EGRESS.replace("hosts:", "host:")),
    Code.UNKNOWN_KIND: (*BASE, EGRESS.replace("kind: Egress", "kind: Egres")),
    Code.FOREIGN_DOCUMENT: (*BASE, "replicas: 3"),
    Code.MANY_PROBLEMS: (*BASE, EGRESS.replace("[example.com]", json.dumps(["-"] * 101))),
    Code.UNSUPPORTED_KIND: (*BASE, EGRESS.replace("kind: Egress", "kind: AccessControl")),
    Code.UNSUPPORTED_FIELD: (
        NAMESPACE,
        f"{CONFIG}  observability: {{tracing: {{enable: true}}}}\n",
    ),
    Code.UNSUPPORTED_IMAGE: (NAMESPACE, f"{CONFIG}  sidecar: {{sidecarImage: pipy:1}}\n"),
    Code.UNSUPPORTED_ADDRESS: (*BASE, SERVICE.replace("10.0.0.1", '"fd00::1"')),
    Code.UNSUPPORTED_LABEL: (CONFIG, NAMESPACE.replace("openservicemesh", "flomesh")),
    Code.UNSUPPORTED_SOURCE: (
        *BASE,
        EGRESS.replace("namespace: shop}]", "namespace: shop, mtls: {}}]"),
    ),
    Code.CORRECTED_VALUE: (*BASE, f"{EGRESS}  ipAddresses: [10.0.0.1/8]\n"),
    Code.UNUSABLE_LIST: (
        NAMESPACE,
        CONFIG.replace("traffic: {", "traffic: {outboundIPRangeInclusionList: [x], "),
    ),
    Code.NOTHING_LEFT: (*BASE, EGRESS.replace("443", "70000")),
    Code.SEVERAL_SETTINGS: (*BASE, SETTING, with_matches(LIMITS, MORE)),
    Code.HTTP_WITHOUT_HOSTS: (
        *BASE,
        EGRESS.replace("https}", "http}").replace("  hosts: [example.com]\n", ""),
    ),
    Code.HOSTS_WITHOUT_EFFECT: (*BASE, EGRESS.replace("https}", "tcp}")),
    Code.MATCHES_WITHOUT_EFFECT: (*BASE, GROUP, with_matches(ROUTES)),
    Code.MANY_BACKENDS: (
        *BASE,
        SERVICE,
        SPLIT.replace("[{service: web, weight: 1}]", json.dumps(BACKENDS)),
    ),
    Code.DUPLICATE_BACKEND: (
        *BASE,
        SERVICE,
        SPLIT.replace("1}]", "1}, {service: web, weight: 2}]"),
    ),
    Code.MANY_LIMITS: (*BASE, SERVICE, f"{LIMITED}  httpRoutes: {json.dumps(PATHS)}\n"),
    Code.DUPLICATE_LIMIT: (*BASE, SERVICE, f"{LIMITED}  httpRoutes: {json.dumps(PATHS[:1] * 2)}\n"),
    Code.CONFLICTING_LIMITS: (
        *BASE,
        DEPLOYMENT,
        SERVICE,
        LIMITED,
        SERVICE.replace("name: web", "name: too").replace("10.0.0.1", "10.0.0.2"),
        LIMITED.replace("name: rate", "name: too")
        .replace("web.", "too.")
        .replace("requests: 3", "requests: 4"),
    ),
    Code.LIMITS_WITHOUT_SERVICE: (
        *BASE,
        LIMITED.replace("name: rate", "name: limits").replace("web.shop", "web.other"),
        with_matches(LIMITS),
    ),
    Code.LIMITS_WITHOUT_REQUESTS: (*BASE, SERVICE.replace("name: http", "name: tcp"), LIMITED),
    Code.MISPLACED_MESH_CONFIG: (NAMESPACE, CONFIG.replace("osm-system", "shop")),
    Code.EXTERNAL_AUTHORIZATION: (
        NAMESPACE,
        CONFIG.replace("traffic: {", "traffic: {inboundExternalAuthorization: {enable: true}, "),
    ),
    Code.EGRESS_OFF: (NAMESPACE, CONFIG.replace("Policy: true", "Policy: false"), EGRESS),
    Code.PERMISSIVE_MODE: (NAMESPACE, CONFIG.replace("Mode: false", "Mode: true"), GROUP, TARGET),
    Code.POLICY_OUTSIDE_MESH: (NAMESPACE.replace("osm}", "blue}"), CONFIG, EGRESS),
    Code.SOURCE_OUTSIDE_MESH: (
        *BASE,
        NAMESPACE.replace("name: shop", "name: bank").replace("osm}", "blue}"),
        EGRESS.replace("namespace: shop}]", "namespace: bank}]"),
    ),
    Code.MISSING_ACCOUNT: (*BASE, ACCOUNT, EGRESS.replace("name: cart", "name: card")),
    Code.MISSING_SETTING: (*BASE, with_matches(LIMITS)),
    Code.UNREADABLE_SETTING: (*BASE, SETTING.replace("7}", "x}"), with_matches(LIMITS)),
    Code.MISSING_ROUTE: (*BASE, TARGET),
    Code.TARGET_WITHOUT_PORTS: (
        *BASE,
        SERVICE.replace("name: http", "name: tcp"),
        POD.replace("spec: {", "spec: {serviceAccountName: web, "),
        GROUP,
        TARGET,
    ),
    Code.MISSING_MATCH: (*BASE, GROUP, TARGET.replace("s}]", "s, matches: [none]}]")),
    Code.MISSING_SERVICE: (*BASE, SPLIT),
    Code.SPLIT_WITHOUT_ADDRESS: (*BASE, HEADLESS, SPLIT),
    Code.SPLIT_WITHOUT_REQUESTS: (
        *BASE,
        SERVICE.replace("name: http", "name: tcp"),
        GROUP,
        SPLIT.replace("v1alpha2", "v1alpha4").replace(
            "spec: {", "spec: {matches: [{kind: HTTPRouteGroup, name: routes}], "
        ),
    ),
    Code.SPLIT_WITHOUT_BACKEND: (*BASE, SERVICE, SPLIT.replace("weight: 1", "weight: 0")),
    Code.CONFLICTING_SPLIT: (*BASE, SERVICE, SPLIT, SPLIT.replace("name: half", "name: other")),
    Code.CONFLICTING_SETTING: (
        *BASE,
        SETTING,
        SETTING.replace("limits", "more").replace("7", "8"),
        with_matches(LIMITS),
        with_matches(MORE).replace("name: out", "name: too"),
    ),
    Code.SERVER_FIRST: (
        *BASE,
        EGRESS,
        EGRESS.replace("name: out", "name: mail")
        .replace("https}", "tcp-server-first}")
        .replace("hosts: [example.com]", "ipAddresses: [10.0.0.0/8]"),
    ),
    Code.MANY_DESTINATIONS: (*RETRYING, RETRY.replace(f"[{WEB}]", f"[{', '.join([WEB] * 1_001)}]")),
    Code.RETRY_OFF: (*BASE, SERVICE, RETRY),
    Code.MISSING_DESTINATION: (*RETRYING, RETRY),
    Code.RETRY_WITHOUT_REQUESTS: (*RETRYING, SERVICE.replace("name: http", "name: tcp"), RETRY),
    Code.CONFLICTING_RETRY: (
        *RETRYING,
        SERVICE,
        RETRY,
        RETRY.replace("name: again", "name: more"),
    ),
    Code.LARGE_INGRESS: (*OPENED, INGRESS.replace(RANGE, ", ".join([RANGE] * 101))),
    Code.UNSUPPORTED_RESTRICTION: (*OPENED, f"{INGRESS}  matches: [{{name: a}}]\n"),
    Code.INGRESS_OFF: (*BASE, SERVICE, INGRESS),
    Code.MISSING_BACKEND: (*OPENED, INGRESS),
    Code.MISSING_SOURCE: (
        *OPENED,
        SERVICE,
        INGRESS.replace(RANGE, "{kind: Service, name: gone, namespace: out}"),
    ),
    Code.INGRESS_WITHOUT_REQUESTS: (*OPENED, SERVICE.replace("name: http", "name: tcp"), INGRESS),
    Code.INGRESS_WITHOUT_PRINCIPAL: (
        *OPENED,
        SERVICE,
        INGRESS.replace("protocol: http", "protocol: https"),
    ),
    Code.UNUSED_OBJECT: (*BASE, GROUP),
    Code.LARGE_EGRESS: (
        *BASE,
        EGRESS.replace("[example.com]", json.dumps([f"h{n}.test" for n in range(8_000)])).replace(
            "[{number: 443, protocol: https}]",
            json.dumps([{"number": n, "protocol": "https"} for n in range(1, 40)]),
        ),
    ),
    Code.LARGE_TARGET: (
        *BASE,
        POD,
        SERVICE.replace("[{name: http, port: 80}]", MANY_PORTS),
        GROUP.replace('[{name: all, pathRegex: ".*", methods: ["*"]}]', MATCHES),
        TARGET.replace("name: web", "name: default"),
    ),
    Code.LARGE_LIMITS: (
        *BASE,
        POD,
        SERVICE.replace("[{name: http, port: 80}]", MANY_PORTS),
        f"{LIMITED}  httpRoutes: {json.dumps(PATHS[:50])}\n",
    ),
    Code.LARGE_SPLIT: (
        *BASE,
        SERVICE.replace("[{name: http, port: 80}]", MANY_PORTS),
        GROUP.replace('[{name: all, pathRegex: ".*", methods: ["*"]}]', MATCHES),
        SPLIT.replace(
            "weight: 1}]", "weight: 1}], matches: [{kind: HTTPRouteGroup, name: routes}]"
        ),
    ),
    Code.SIDECAR_PORT: (*BASE, SERVICE.replace("port: 80", "port: 15001")),
    Code.SLICE_WITHOUT_SERVICE: (*BASE, POD, SLICE),
    Code.CONTESTED_ADDRESS: (*BASE, SERVICE, SERVICE.replace("name: web", "name: too")),
    Code.CONFLICTING_PROTOCOL: (
        *BASE,
        POD,
        SERVICE,
        SERVICE.replace("name: web", "name: too").replace("name: http", "name: tcp"),
    ),
    Code.HIDDEN_PROBE: (
        *BASE,
        DEPLOYMENT.replace("spec: {containers: [{name: web}]}", TLS_PROBE),
    ),
    Code.PARTLY_MARKED: (
        *BASE,
        HEADLESS,
        POD,
        POD.replace("web-1", "web-2")
        .replace("app: web", 'app: web, openservicemesh.io/mtls: "1"')
        .replace("10.1.0.1", "10.1.0.2"),
        SLICE.replace("[10.1.0.1]", "[10.1.0.1, 10.1.0.2]"),
    ),
    Code.STRICT_IN_PLAINTEXT: (
        NAMESPACE,
        CONFIG.replace("Mode: false", "Mode: true, mtls: strict"),
        SERVICE,
        DEPLOYMENT,
    ),
    Code.ASSUMED_MESH_CONFIG: (NAMESPACE, SERVICE),
    Code.ASSUMED_NAMESPACE: (CONFIG, SERVICE),
    Code.ASSUMED_CLUSTER_IP: (*BASE, SERVICE.replace("clusterIP: 10.0.0.1, ", "")),
    Code.ASSUMED_PODS: (*BASE, SERVICE, DEPLOYMENT),
    Code.ASSUMED_ENDPOINTS: (*BASE, SERVICE.replace("selector: {app: web}, ", "")),
}
"""Manifests, in which the code is the point; others may be there too."""

OPTIONS: Mapping[Code, tuple[tuple[str, ...], tuple[str, ...]]] = {
    Code.FOREIGN_SOURCE: (
        ("--cross-namespace-egress", "deny"),
        (*BASE, EGRESS.replace("namespace: shop}]", "namespace: bank}]")),
    ),
    Code.PIPY_CANNOT: (
        ("--client", "pipy"),
        (*BASE, EGRESS.replace("name: cart", "name: default"), DEPLOYMENT),
    ),
    Code.PIPY_IGNORES: (
        ("--client", "pipy"),
        (
            NAMESPACE,
            CONFIG.replace("Mode: false", "Mode: true"),
            DEPLOYMENT,
            SERVICE,
            LIMITED,
        ),
    ),
    Code.MISSING_CLUSTER_IP: (
        ("--as-served",),
        (*BASE, SERVICE.replace("clusterIP: 10.0.0.1, ", "")),
    ),
    Code.MISSING_MESH_CONFIG: (("--as-served",), (NAMESPACE, SERVICE)),
    Code.SERVICE_WITHOUT_ENDPOINTS: (
        ("--as-served",),
        (*BASE, SERVICE.replace("selector: {app: web}, ", "")),
    ),
    Code.FOREIGN_ENDPOINT: (("--as-served",), (*BASE, SERVICE, SLICE)),
}
"""The same with options that the code needs."""

OF_SERVERS: Mapping[Code, str] = {
    Code.MISSING_FOLDER: "unit/sources/test_files_source.py",
    Code.MISSING_DEFINITION: "unit/sources/kube/test_source.py",
    Code.FORBIDDEN_KIND: "unit/sources/kube/test_source.py",
    Code.UNDECODED_OBJECT: "unit/sources/test_decode_faults.py",
    Code.STALE_CLUSTER: "unit/sources/kube/test_keeper.py",
    Code.UNREADABLE_KEYS: "unit/sources/kube/test_issuer.py",
    Code.FORBIDDEN_KEYS: "unit/sources/kube/test_issuer.py",
    Code.UNUSABLE_AUTHORITY: "unit/ca/test_issuance.py",
    Code.EXPIRING_AUTHORITY: "unit/ca/test_issuance.py",
    Code.REJECTED_BY_SIDECAR: "unit/answers/test_blame.py",
}
"""What no manifest has, or only a running server can have, and the test that produces it."""

HEALTHY = (
    ACCOUNT,
    SERVICE.replace("clusterIP: 10.0.0.1, ", ""),
    DEPLOYMENT,
    GROUP,
    with_matches(ROUTES).replace("https}", "http}"),
)
"""What a repository of one team has: nothing that a cluster makes, and no MeshConfig."""


def run(folder: Path, documents: tuple[str, ...], *options: str) -> tuple[int, dict[str, str]]:
    """The exit code, and the severity of each code that is listed."""
    for number, document in enumerate(documents):
        (folder / f"{number:02}.yaml").write_text(document)
    arguments = ("problems", "--manifests", str(folder), "-o", "json", *options)
    done = CliRunner().invoke(main, arguments)
    listed = json.loads(done.stdout)["problems"]
    return done.exit_code, {one["code"]: one["severity"] for one in listed}


def test_every_code_has_a_test_that_produces_it() -> None:
    assert set(Code) == {*CASES, *OPTIONS, *OF_SERVERS}
    for code, file in OF_SERVERS.items():
        assert f"Code.{code.name}" in (TESTS / file).read_text()


@pytest.mark.parametrize("code", CASES)
def test_manifests_that_have_the_fault_have_the_code(code: Code, tmp_path: Path) -> None:
    status, codes = run(tmp_path, CASES[code])

    assert code.severity == codes.get(code), codes
    assert status == any(severity != Severity.INFO for severity in codes.values())


@pytest.mark.parametrize("code", OPTIONS)
def test_so_do_those_that_an_option_is_about(code: Code, tmp_path: Path) -> None:
    options, documents = OPTIONS[code]
    _, codes = run(tmp_path, documents, *options)

    assert code.severity == codes.get(code), codes


def test_a_healthy_repository_has_nothing_but_notes(tmp_path: Path) -> None:
    status, codes = run(tmp_path, HEALTHY)

    assert (0, {Severity.INFO}) == (status, set(codes.values())), codes
    assert {
        Code.ASSUMED_MESH_CONFIG,
        Code.ASSUMED_NAMESPACE,
        Code.ASSUMED_CLUSTER_IP,
        Code.ASSUMED_PODS,
        Code.ASSUMED_ENDPOINTS,
    } == set(codes)


def test_the_same_folder_as_a_server_would_read_it_is_faulty(tmp_path: Path) -> None:
    status, codes = run(tmp_path, HEALTHY, "--as-served")

    assert 1 == status
    assert {Code.MISSING_MESH_CONFIG, Code.MISSING_CLUSTER_IP} <= set(codes)
