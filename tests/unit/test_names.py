"""Names that were given up are gone, and variables are named by nouns: read from the syntax trees.

Who renames a class, function, attribute or module for its meaning adds the old name here, with
the new one, so that it does not come back.
"""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = ("server", "client_stub", "protos")
SUPPORT = ("tests/support", "tests/conftest.py")

GIVEN_UP = {
    # planning and model
    "External": "EgressTarget",
    "Externals": "EgressTargets",
    "Offer": "ProxylessPlan",
    "Reach": "Resolution",
    "Target": "ProxylessTarget",
    "Targets": "ProxylessTargets",
    "Ways": "EgressPlan",
    "Zone": "AddressRange",
    "external": "target",
    "externals": "targets",
    "ways_out": "policies_open",
    "zone": "address_range",
    "zones": "address_ranges",
    # sources, status, kubeapi
    "Known": "Schema",
    "KNOWN": "SCHEMA",
    "_is_address": "is_address",
    "_tell": "LogOnce.tell",
    "VERDICT_GAP_S": "STATE_GAP_S",
    "read_held": "read_written",
    "verdicts": "condition_states",
    # encode
    "doors": "access_and_chains",
    "local_cluster": "InboundPort.cluster_name",
    "meet": "intersection",
    # hub, rollout, answers
    "Deliveries": "StreamRecords",
    "Flavour": "ClientBuild",
    "Fleet": "Cohort",
    "Meets": "Intersections",
    "Memo": "Queries",
    "Settle": "Debounce",
    "Standing": "ClientRecord",
    "Suspicion": "Bisection",
    "Refusals": "GrpcVocabulary",
    "Trial": "ContentRecord",
    "TypeDelivery": "Delivery",
    "_Herd": "Cohort",
    "_herd": "_cohort",
    "_wants_canaries": "_wants_canary",
    "_withholds": "_blocks",
    "another_account_has": "Holders.hold",
    "look_out_for": "Holders.of",
    "standing": "client",
    "note_read": "add_read",
    "note_use": "add_dependency",
    "skip_trial": "next_half",
    # xds
    "DeltaSession": "Session",
    "Manners": "AbsencePolicy",
    "SotwSession": "Session",
    "_BY_THE_BOOK": "DEFAULT",
    "manners_of": "absence_policy",
    # settings
    "Limits": "StreamLimits",
}
"""The old name, and what to write."""

MEMBERS_GIVEN_UP = {
    ("Mesh", "ask"): "Mesh.query",
    ("Queries", "_outdated"): "Queries._maybe_changed",
    ("Queries", "answer"): "Queries.get",
    ("Queries", "ask"): "Queries.get",
    ("Waits", "of"): "Waits.update",
}
"""The same of names that others may have: the class, and what its member was called."""

MODULES_GIVEN_UP = {
    "towpath.app.authority": "towpath.ca.mesh_authority",
    "towpath.encode.envoy.meet": "towpath.encode.envoy.intersection",
    "towpath.encode.grpc.refusals": "towpath.encode.grpc.vocabulary",
    "towpath.encode.sidecar": "towpath.encode.pipy",
    "towpath.hub.deliveries": "towpath.rollout.records",
    "towpath.hub.memo": "towpath.hub.queries",
    "towpath.hub.quarantine": "towpath.rollout.quarantine",
    "towpath.hub.settle": "towpath.hub.debounce",
    "towpath.hub.standing": "towpath.rollout.clients",
    "towpath.hub.suspicion": "towpath.rollout.bisection",
    "towpath.model.ways": "towpath.model.egress_plan",
    "towpath.planning.egress.externals": "towpath.planning.egress.targets",
    "towpath.planning.egress.ways": "towpath.planning.egress.plan",
    "towpath.planning.egress.zones": "towpath.planning.egress.address_ranges",
    "towpath.sources.kube.pace": "towpath.sources.kube.timing",
    "towpath.sources.decode.known": "towpath.sources.decode.schema",
    "towpath.sources.decode.settings": "towpath.sources.decode.upstream_traffic_settings",
    "towpath.status.held": "towpath.status.written",
}

PARTICIPLES = {"asked", "found", "heard", "held", "known", "made", "said", "told"}
"""They say how a value was come by; a noun says what it is."""
MORE_PARTICIPLES = {"answered", "gone", "named", "shown", "tried", "wanted"}
STRICT = tuple(
    f"server/towpath/{package}"
    for package in ("access", "admin", "app", "ca", "cli", "install", "settings", "telemetry")
)
"""Packages that have none of those either."""


def _files(*roots: str) -> Iterator[Path]:
    for root in roots:
        path = ROOT / root
        for file in [path] if path.is_file() else sorted(path.rglob("*.py")):
            if not file.stem.endswith(("_pb2", "_pb2_grpc")):
                yield file


@functools.cache
def _tree(file: Path) -> ast.Module:
    return ast.parse(file.read_text())


def _identifiers(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Line and name of everything that a program names."""
    for node in ast.walk(tree):
        match node:
            case ast.ClassDef() | ast.FunctionDef() | ast.AsyncFunctionDef():
                yield node.lineno, node.name
            case ast.Name():
                yield node.lineno, node.id
            case ast.Attribute():
                yield node.lineno, node.attr
            case ast.arg() | ast.keyword() if node.arg is not None:
                yield node.lineno, node.arg
            case ast.alias():
                yield from ((node.lineno, part) for part in node.name.split("."))


def _locals(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Line and name of every parameter, and of every variable that a function assigns."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            for inner in ast.walk(node):
                if isinstance(inner, ast.arg):
                    yield inner.lineno, inner.arg
                elif isinstance(inner, ast.Name) and isinstance(inner.ctx, ast.Store):
                    yield inner.lineno, inner.id


def _messages(*roots: str) -> Iterator[tuple[Path, int, str]]:
    """File, line and name of each message and field of the protos."""
    for root in roots:
        for file in sorted((ROOT / root).rglob("*.proto")):
            for number, line in enumerate(file.read_text().splitlines(), start=1):
                code = line.partition("//")[0]
                for name in re.findall(r"[A-Za-z_]\w*", code):
                    yield file, number, name


def _module(file: Path) -> str:
    return ".".join(file.relative_to(ROOT / "server").with_suffix("").parts)


def test_names_that_were_given_up_are_gone() -> None:
    names = {
        f"{file.relative_to(ROOT)}:{line}: {name}, now {GIVEN_UP[name]}"
        for file in _files(*SOURCES)
        for line, name in _identifiers(_tree(file))
        if name in GIVEN_UP
    }
    names |= {
        f"{file.relative_to(ROOT)}:{line}: {name}, now {GIVEN_UP[name]}"
        for file, line, name in _messages("protos")
        if name in GIVEN_UP
    }

    assert set() == names


def test_members_that_were_given_up_are_gone() -> None:
    members = {
        (node.name, member.name): f"{file.relative_to(ROOT)}:{member.lineno}"
        for file in _files(*SOURCES)
        for node in ast.walk(_tree(file))
        if isinstance(node, ast.ClassDef)
        for member in node.body
        if isinstance(member, ast.FunctionDef | ast.AsyncFunctionDef)
    }

    assert {} == {
        at: MEMBERS_GIVEN_UP[one] for one, at in members.items() if one in MEMBERS_GIVEN_UP
    }


def test_modules_that_were_given_up_are_gone() -> None:
    modules = {_module(file).removesuffix(".__init__") for file in _files("server")}

    assert set() == modules & MODULES_GIVEN_UP.keys()
    assert set() == set(MODULES_GIVEN_UP.values()) - modules


def test_what_is_to_be_written_instead_is_there() -> None:
    present = {name for file in _files(*SOURCES) for _, name in _identifiers(_tree(file))}

    assert set() == {new for new in GIVEN_UP.values() if new.split(".")[-1] not in present}


def test_variables_are_named_by_nouns() -> None:
    participles = {
        f"{path}:{line}: {name}"
        for file in _files(*SOURCES, *SUPPORT)
        for path in (str(file.relative_to(ROOT)),)
        for line, name in _locals(_tree(file))
        if name in PARTICIPLES or (name in MORE_PARTICIPLES and path.startswith(STRICT))
    }

    assert set() == participles


@pytest.mark.parametrize(
    "source",
    [
        "class Zone: ...",
        "def zone(): ...",
        "zone = 1",
        "x.zone = 1",
        "def f(zone): ...",
        "f(zone=1)",
        "import a.zone.b",
        "from a import Zone",
        "def f():\n    return [zone for zone in x]",
    ],
)
def test_a_name_is_seen_wherever_it_may_stand(source: str) -> None:
    assert {"Zone", "zone"} & {name for _, name in _identifiers(ast.parse(source))}


@pytest.mark.parametrize(
    "source",
    [
        "def f(held): ...",
        "def f(*, held=1): ...",
        "def f(*held): ...",
        "def f():\n    held = 1",
        "def f():\n    for held, x in y: ...",
        "def f():\n    with x as held: ...",
        "def f():\n    return [x for held in y]",
        "def f():\n    if held := x: ...",
        "lambda held: x",
    ],
)
def test_a_variable_is_seen_wherever_it_may_be_bound(source: str) -> None:
    assert "held" in {name for _, name in _locals(ast.parse(source))}


def test_an_attribute_of_a_class_may_be_a_participle() -> None:
    """`Lease.held` is a fact about the lease, and not a name for a value."""
    source = "class Lease:\n    held: bool = True\n\n    def f(self):\n        return self.held"

    assert "held" not in {name for _, name in _locals(ast.parse(source))}
