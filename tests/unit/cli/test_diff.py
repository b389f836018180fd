"""`towpath diff` as a person types it."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from towpath.cli import main

SERVICES = """\
apiVersion: v1
kind: Namespace
metadata: {name: curl, labels: {openservicemesh.io/monitored-by: osm}}
---
apiVersion: v1
kind: Namespace
metadata: {name: shop, labels: {openservicemesh.io/monitored-by: osm}}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: curl, namespace: curl}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: cart, namespace: shop}
---
apiVersion: v1
kind: Service
metadata: {name: cart, namespace: shop}
spec:
  clusterIP: 10.96.0.7
  selector: {app: cart}
  ports: [{name: http, port: 80, targetPort: 8080, appProtocol: http}]
---
apiVersion: v1
kind: Pod
metadata: {name: cart-0, namespace: shop, uid: u1, labels: {app: cart}}
spec:
  serviceAccountName: cart
  containers: [{name: cart, image: cart, ports: [{containerPort: 8080}]}]
status: {podIP: 10.0.0.7, phase: Running}
---
apiVersion: v1
kind: Pod
metadata: {name: curl-0, namespace: curl, uid: u2, labels: {app: curl}}
spec:
  serviceAccountName: curl
  containers: [{name: curl, image: curl}]
status: {podIP: 10.0.0.8, phase: Running}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: cart-1, namespace: shop, labels: {kubernetes.io/service-name: cart}}
addressType: IPv4
endpoints: [{addresses: [10.0.0.7], targetRef: {kind: Pod, name: cart-0, namespace: shop}}]
ports: [{name: http, port: 8080}]
"""
CONFIG = """\
apiVersion: config.openservicemesh.io/v1alpha2
kind: MeshConfig
metadata: {name: osm-mesh-config, namespace: osm-system}
spec:
  traffic: {enableEgress: EGRESS, enablePermissiveTrafficPolicyMode: PERMISSIVE}
  featureFlags: {enableEgressPolicy: true}
"""
POLICY = """\
apiVersion: policy.openservicemesh.io/v1alpha1
kind: Egress
metadata: {name: out, namespace: curl}
spec:
  sources: [{kind: ServiceAccount, name: curl, namespace: curl}]
  hosts: [httpbin.org]
  ports: [{number: 80, protocol: http}, {number: 443, protocol: https}]
"""
INGRESS = """\
apiVersion: policy.openservicemesh.io/v1alpha1
kind: IngressBackend
metadata: {{name: in, namespace: shop}}
spec:
  backends: [{{name: cart, port: {{number: 8080, protocol: http}}}}]
  sources: [{{kind: IPRange, name: {}}}]
"""
GET_ALONE = """\
  matches: [{apiGroup: specs.smi-spec.io/v1alpha4, kind: HTTPRouteGroup, name: get}]
---
apiVersion: specs.smi-spec.io/v1alpha4
kind: HTTPRouteGroup
metadata: {name: get, namespace: curl}
spec:
  matches: [{name: get, pathRegex: /get, methods: [GET]}]
"""
REPOSITORY = """\
apiVersion: v1
kind: ServiceAccount
metadata: {name: curl, namespace: curl}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: cart, namespace: shop}
---
apiVersion: v1
kind: Service
metadata: {name: cart, namespace: shop}
spec:
  selector: {app: cart}
  ports: [{name: http, port: 80, targetPort: http, appProtocol: http}]
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: cart, namespace: shop}
spec:
  selector: {matchLabels: {app: cart}}
  template:
    metadata: {labels: {app: cart}}
    spec:
      serviceAccountName: cart
      containers: [{name: cart, image: cart, ports: [{name: http, containerPort: 8080}]}]
"""
MAY_BUY = """\
apiVersion: access.smi-spec.io/v1alpha3
kind: TrafficTarget
metadata: {name: buyers, namespace: shop}
spec:
  destination: {kind: ServiceAccount, name: cart, namespace: shop}
  sources: [{kind: ServiceAccount, name: curl, namespace: curl}]
  rules: [{kind: HTTPRouteGroup, name: buy, matches: [buy]}]
---
apiVersion: specs.smi-spec.io/v1alpha4
kind: HTTPRouteGroup
metadata: {name: buy, namespace: shop}
spec:
  matches: [{name: buy, pathRegex: /buy, methods: [POST]}]
"""


class Sides:
    """The folders `old` and `new`, and the command on them."""

    def __init__(self, root: Path) -> None:
        self.old, self.new = root / "old", root / "new"
        for side in (self.old, self.new):
            side.mkdir()
            (side / "services.yaml").write_text(SERVICES)
            self.switch(side)

    @staticmethod
    def switch(side: Path, *, egress: bool = False, permissive: bool = True) -> None:
        config = CONFIG.replace("EGRESS", str(egress).lower())
        (side / "config.yaml").write_text(config.replace("PERMISSIVE", str(permissive).lower()))

    def diff(self, *more: str) -> Result:
        return CliRunner().invoke(main, ("diff", str(self.old), str(self.new), *more))


@pytest.fixture
def sides(tmp_path: Path) -> Sides:
    return Sides(tmp_path)


def test_the_same_access_exits_with_0(sides: Sides) -> None:
    (sides.new / "services.yaml").write_text(f"# another text\n{SERVICES}")
    result = sides.diff()

    assert (0, "2 service accounts: 0 changed, 2 unchanged\n") == (result.exit_code, result.stdout)


def test_a_policy_that_comes_opens_and_one_that_goes_closes(sides: Sides) -> None:
    (sides.new / "policy.yaml").write_text(POLICY)
    result = sides.diff()

    assert result.exit_code == 1
    assert result.stdout.splitlines() == [
        "curl/curl gains any request to http://httpbin.org:80  (Egress curl/out)",
        "curl/curl gains https://httpbin.org:443  (Egress curl/out)",
        "2 service accounts: 1 changed, 1 unchanged",
    ]
    sides.old, sides.new = sides.new, sides.old
    assert "curl/curl loses https://httpbin.org:443  (Egress curl/out)" in sides.diff().stdout


def test_what_is_narrowed_says_what_stays_and_which_objects_do_it(sides: Sides) -> None:
    (sides.old / "policy.yaml").write_text(POLICY)
    (sides.new / "policy.yaml").write_text(POLICY + GET_ALONE)

    assert sides.diff().stdout.splitlines()[:-1] == [
        (
            "curl/curl loses any request to http://httpbin.org:80, but GET /get  "
            "(Egress curl/out, HTTPRouteGroup curl/get)"
        )
    ]


def test_of_an_expression_that_changes_only_the_group_is_named(sides: Sides) -> None:
    for side, method in ((sides.old, "GET"), (sides.new, "GET, PUT")):
        text = (POLICY + GET_ALONE).replace("methods: [GET]", f"methods: [{method}]")
        (side / "policy.yaml").write_text(text)

    assert sides.diff().stdout.splitlines()[:-1] == [
        "curl/curl gains PUT http://httpbin.org:80/get  (HTTPRouteGroup curl/get)"
    ]


def test_one_method_is_not_taken_for_all(sides: Sides) -> None:
    (sides.old / "policy.yaml").write_text(POLICY + GET_ALONE)
    every = (POLICY + GET_ALONE).replace(", methods: [GET]", "")
    (sides.new / "policy.yaml").write_text(every)

    assert sides.diff().stdout.splitlines()[:-1] == [
        (
            "curl/curl gains any method http://httpbin.org:80/get, but GET /get  "
            "(HTTPRouteGroup curl/get)"
        )
    ]


def test_passthrough_is_one_line_for_all(sides: Sides) -> None:
    sides.switch(sides.new, egress=True)

    assert sides.diff().stdout.splitlines() == [
        (
            "curl/curl, shop/cart gain everything outside the mesh that no policy names "
            "(egress passthrough)  (MeshConfig osm-system/osm-mesh-config)"
        ),
        "2 service accounts: 2 changed, 0 unchanged",
    ]


def test_with_passthrough_on_a_policy_closes_what_it_names(sides: Sides) -> None:
    for side in (sides.old, sides.new):
        sides.switch(side, egress=True)
    (sides.new / "policy.yaml").write_text(POLICY + GET_ALONE)

    assert sides.diff().stdout.splitlines()[:-1] == [
        (
            "curl/curl loses any request to http://httpbin.org:80, but GET /get  "
            "(Egress curl/out, HTTPRouteGroup curl/get)"
        )
    ]


def test_inside_the_mesh_targets_say_what_stays(sides: Sides) -> None:
    sides.switch(sides.new, permissive=False)
    (sides.new / "target.yaml").write_text(MAY_BUY)
    lines = sides.diff().stdout.splitlines()

    assert (
        "curl/curl loses any request to Service shop/cart port 80, but POST /buy  "
        "(HTTPRouteGroup shop/buy, TrafficTarget shop/buyers)"
    ) in lines
    assert (
        "shop/cart loses any request to Service shop/cart port 80  "
        "(MeshConfig osm-system/osm-mesh-config)"
    ) in lines


def test_json_has_every_part(sides: Sides) -> None:
    (sides.new / "policy.yaml").write_text(POLICY)
    document = json.loads(sides.diff("-o", "json").stdout)

    assert (2, 1) == (document["accounts"], document["unchanged"])
    assert document["changes"][0] == {
        "accounts": ["curl/curl"],
        "caller": "",
        "direction": "gains",
        "service": "",
        "protocol": "http",
        "host": "httpbin.org",
        "port": 80,
        "addresses": "",
        "request": {"path": ".*", "methods": [], "headers": {}},
        "but": [],
        "because": ["Egress curl/out"],
        "text": "gains any request to http://httpbin.org:80",
    }


def test_who_comes_in_from_outside_is_compared_where_an_ingress_backend_says_so(
    sides: Sides,
) -> None:
    for side in (sides.old, sides.new):
        sides.switch(side, permissive=False)
        config = (side / "config.yaml").read_text()
        flag = "{enableIngressBackendPolicy: true, enableEgressPolicy"
        (side / "config.yaml").write_text(config.replace("{enableEgressPolicy", flag))
    (sides.old / "in.yaml").write_text(INGRESS.format("192.0.2.0/24"))
    (sides.new / "in.yaml").write_text(INGRESS.format("192.0.2.0/25"))
    less = sides.diff().stdout
    (sides.new / "in.yaml").write_text(INGRESS.format("0.0.0.0/0"))
    (item,) = json.loads(sides.diff("-o", "json").stdout)["changes"]

    lost = (
        "callers in plaintext at 192.0.2.0/24 lose any request to port 8080 of the pods of Service"
    )
    assert f"{lost} shop/cart  (IngressBackend shop/in)" == less.splitlines()[0]
    assert ([], "callers in plaintext", "gains", "shop/cart", 8080) == (
        *(item["accounts"], item["caller"], item["direction"], item["service"], item["port"]),
    )
    assert ["IngressBackend shop/in"] == item["because"]


def test_markdown_is_a_table(sides: Sides) -> None:
    assert sides.diff("-o", "markdown").stdout.startswith("**Access stays the same.**")
    text = (POLICY + GET_ALONE).replace("methods: [GET]", "methods: [GET, PUT]")
    (sides.new / "policy.yaml").write_text(text)

    row = (
        r"| curl/curl | gains GET\|PUT http://httpbin.org:80/get | "
        "Egress curl/out, HTTPRouteGroup curl/get |"
    )
    assert row in sides.diff("-o", "markdown").stdout.splitlines()


def test_a_side_may_be_a_revision_of_git(
    sides: Sides, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    git = ("git", "-c", "user.name=a", "-c", "user.email=a@example.com")
    for command in (("init", "-q"), ("add", "."), ("commit", "-qm", "before")):
        subprocess.run([*git, *command], check=True)
    (sides.new / "policy.yaml").write_text(POLICY)
    result = CliRunner().invoke(main, ("diff", "HEAD:new", "new"))

    assert "curl/curl gains https://httpbin.org:443" in result.stdout


@pytest.mark.parametrize("name", ["nowhere", "HEAD:nowhere", "--output=x:y"])
def test_a_side_that_is_not_there_is_named(
    name: str, sides: Sides, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(sides.old.parent)
    result = CliRunner().invoke(main, ("diff", "--", name, str(sides.new)))

    assert result.exit_code == 2
    assert name in result.stderr


def test_a_file_that_cannot_be_read_is_named_and_nothing_is_compared(sides: Sides) -> None:
    (sides.new / "broken.yaml").write_text("a: [")
    result = sides.diff()

    assert (2, "") == (result.exit_code, result.stdout)
    assert "cannot be compared without what cannot be read: mend it first:" in result.stderr
    assert "broken.yaml" in result.stderr


def test_of_a_repository_the_part_of_a_cluster_is_assumed(tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    config = CONFIG.replace("EGRESS", "false").replace("PERMISSIVE", "false")
    for side in (old, new):
        side.mkdir()
        (side / "team.yaml").write_text(REPOSITORY)
        (side / "config.yaml").write_text(config)
    (new / "target.yaml").write_text(MAY_BUY)
    runner = CliRunner()
    compare = ("diff", str(old), str(new))
    request = ("--from", "curl/curl", "--method", "POST", "--to", "http://cart.shop/buy")
    ask = ("explain", "--manifests", str(new), *request)
    change, answer = runner.invoke(main, compare), runner.invoke(main, ask)
    served = [runner.invoke(main, (*one, "--as-served")) for one in (compare, ask)]

    assert "curl/curl gains POST /buy to Service shop/cart port 80" in change.stdout, change.output
    assert "assumed: a Pod of each workload is assumed: shop/cart\n" in change.stderr
    callers = "a Pod of each source of a TrafficTarget is assumed: curl/curl"
    assert f"assumed: {new}: {callers}\n" in change.stderr
    assert "listed by towpath problems" not in change.stderr
    assert 0 == answer.exit_code, answer.output
    assert f"assumed: {callers}\n" in answer.stderr
    # Without a cluster's part there is nothing to call.
    assert not any("assumed: " in one.stderr for one in served)
    assert 0 == served[0].exit_code
    assert 0 != served[1].exit_code


def test_what_is_assumed_of_one_side_alone_is_said_of_it(sides: Sides) -> None:
    (sides.new / "config.yaml").unlink()
    result = sides.diff()

    assert f"assumed: {sides.new}: no MeshConfig" in result.stderr
    assert f"assumed: {sides.old}" not in result.stderr


def test_problems_of_either_side_are_counted_beside_the_answer(sides: Sides) -> None:
    (sides.new / "policy.yaml").write_text(POLICY.replace("httpbin.org", "my host"))
    result = sides.diff()

    assert f"{sides.new}: 2 problems, listed by towpath problems" in result.stderr
