"""Each switch of a MeshConfig whose default opens something, misspelt in every near way: what was
meant to be closed is, a Problem says which field was meant, and other fields close nothing.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from towpath.model.identity import TLS_DEFAULTS, MtlsMode
from towpath.model.meshconfig import MeshConfig
from towpath.model.problem import Problem
from towpath.sources.decode import decode
from towpath.sources.decode.meshconfig_table import FIELDS
from towpath.sources.decode.switches import MOST_NAMES

OPEN: dict[str, Any] = {
    "traffic": {"enableEgress": True, "enablePermissiveTrafficPolicyMode": True}
}


@dataclass(frozen=True)
class Switch:
    """One at *section*.*name* that *value* closes, which `is_closed` sees in a MeshConfig that has
    *value* beside OPEN; `allowed`, as a Problem says it.
    """

    section: str
    name: str
    value: object
    is_closed: Callable[[MeshConfig], bool]
    allowed: str


SWITCHES = (
    Switch(
        "traffic", "mtls", "strict", lambda c: c.mtls is MtlsMode.STRICT, '"permissive", "strict", '
    ),
    Switch("traffic", "enableEgress", False, lambda c: not c.enable_egress, "true or false"),
    Switch(
        "traffic",
        "enablePermissiveTrafficPolicyMode",
        False,
        lambda c: not c.permissive,
        "true or false",
    ),
    Switch(
        "traffic",
        "inboundExternalAuthorization",
        {"enable": True, "address": "192.0.2.1"},
        lambda c: c.external_authorization,
        "a mapping",
    ),
    Switch(
        "featureFlags",
        "enableEgressPolicy",
        True,
        lambda c: c.enable_egress_policy or not c.enable_egress,
        "true or false",
    ),
    Switch(
        "sidecar",
        "tlsMinProtocolVersion",
        "TLSv1_3",
        lambda c: c.tls.minimum == "TLSv1_3",
        '"TLSv1_2", "TLSv1_3"',
    ),
)
EACH = pytest.mark.parametrize("switch", SWITCHES, ids=lambda switch: switch.name)


def _decoded(spec: object, *, field: str = "spec") -> tuple[MeshConfig, tuple[Problem, ...]]:
    head = {"apiVersion": "config.openservicemesh.io/v1alpha2", "kind": "MeshConfig"}
    metadata = {"name": "osm-mesh-config", "namespace": "osm-system"}
    decoded = decode({**head, "metadata": metadata, field: spec}, "")
    assert isinstance(decoded.value, MeshConfig)
    return decoded.value, decoded.problems


def _spec(**sections: object) -> dict[str, Any]:
    """OPEN, with further fields in its sections."""
    spec = copy.deepcopy(OPEN)
    for name, value in sections.items():
        if isinstance(value, dict):
            spec.setdefault(name, {}).update(value)
        else:
            spec[name] = value
    return spec


def _slips(name: str) -> set[str]:
    """Every way to write *name* with one letter less, more or other, two of them swapped, and in
    other letter case.
    """
    spellings = {name.lower(), name.upper(), name.capitalize(), f"{name}s"}
    for at in range(len(name)):
        spellings |= {
            name[:at] + name[at + 1 :],
            name[:at] + "x" + name[at + 1 :],
            name[:at] + name[at].swapcase() + name[at + 1 :],
            name[: at + 1] + name[at:],
            name[:at] + name[at + 1 : at + 2] + name[at] + name[at + 2 :],
        }
    return spellings - {name, ""}


def _misspelt(switch: Switch) -> Iterator[dict[str, Any]]:
    """Specs that mean the switch and do not say it where it belongs."""
    whole = {switch.name: switch.value}
    for name in _slips(switch.name):
        yield _spec(**{switch.section: {name: switch.value}})
    for name in _slips(switch.section):
        yield _spec(**{name: whole})
    yield _spec(**whole)
    yield _spec(further=whole)
    yield _spec(further={"deeper": [whole]})
    for section in {"sidecar", "traffic", "featureFlags", "observability"} - {switch.section}:
        yield _spec(**{section: whole})


@EACH
def test_a_switch_that_is_misspelt_or_misplaced_is_closed_and_a_problem_says_which(
    switch: Switch,
) -> None:
    for spec in _misspelt(switch):
        value, problems = _decoded(spec)

        assert switch.is_closed(value), spec
        path = f"spec.{switch.section}.{switch.name}"
        said = [p.message for p in problems if f"may be meant for {path}; " in p.message]
        assert 1 == len(said), (spec, problems)
        assert f"allowed there: {switch.allowed}" in said[0]


@EACH
@pytest.mark.parametrize("name", ["specs", "Spec", "sepc"])
def test_a_misspelt_spec_closes_what_it_says(switch: Switch, name: str) -> None:
    value, problems = _decoded({switch.section: {switch.name: switch.value}}, field=name)

    assert switch.is_closed(value)
    assert problems


@EACH
@pytest.mark.parametrize(
    "wrap",
    [
        lambda switch, whole: {switch.section: [whole]},
        lambda switch, _: {switch.section: f"{switch.name}: {switch.value}"},
        lambda switch, _: {switch.section: 7},
        lambda switch, _: {switch.section: [switch.name]},
    ],
)
def test_a_section_that_is_no_mapping_leaves_nothing_open(
    switch: Switch, wrap: Callable[[Switch, object], dict[str, Any]]
) -> None:
    value, problems = _decoded(
        {**_spec(), **wrap(switch, {switch.name: switch.value})},
    )

    assert switch.is_closed(value)
    assert f"spec.{switch.section}" in {p.field for p in problems}


@EACH
def test_a_switch_that_is_a_list_is_closed_and_a_problem_says_what_is_allowed(
    switch: Switch,
) -> None:
    value, problems = _decoded(_spec(**{switch.section: {switch.name: [switch.value]}}))

    assert switch.is_closed(value)
    (problem,) = [p for p in problems if p.field.startswith(f"spec.{switch.section}.{switch.name}")]
    assert f"allowed: {switch.allowed}" in problem.message


@pytest.mark.parametrize("number", [0, 1, 7])
def test_a_number_opens_no_switch(number: int) -> None:
    for switch in SWITCHES[1:5]:
        value, problems = _decoded(_spec(**{switch.section: {switch.name: number}}))

        assert switch.is_closed(value), switch
        assert problems


@EACH
def test_nothing_asks_for_nothing(switch: Switch) -> None:
    """As an API server sees it: null is absent."""
    spec = _spec()
    spec.setdefault(switch.section, {})[switch.name] = None
    absent = _spec()
    absent.get(switch.section, {}).pop(switch.name, None)

    assert _decoded(absent) == _decoded(spec)
    assert _decoded({}) == _decoded({switch.section: None})
    assert _decoded({})[0] == _decoded({f"{switch.section}s": {f"{switch.name}s": None}})[0]


def _closed(value: MeshConfig) -> tuple[object, ...]:
    return (
        value.enable_egress,
        value.permissive,
        value.mtls,
        value.external_authorization,
        value.tls,
    )


WIDE = (True, True, MtlsMode.PERMISSIVE, False, TLS_DEFAULTS)
NAMES = sorted({f.path.rpartition(".")[2] for f in FIELDS} - {s.name for s in SWITCHES})


@pytest.mark.parametrize("name", NAMES)
def test_no_other_field_closes_anything_wherever_it_stands(name: str) -> None:
    plain = name not in {"traffic", "featureFlags", "sidecar"}
    for value in (True, "strict", "TLSv1_3", {"enable": True}) if plain else ({"enable": True},):
        specs = [_spec(**{name: value}), _spec(further={name: value})]
        specs += [_spec(**{s: {name: value}}) for s in ("traffic", "featureFlags", "sidecar")]
        for spec in specs:
            assert WIDE == _closed(_decoded(spec)[0]), spec


@pytest.mark.parametrize("name", NAMES)
def test_a_slip_in_another_field_closes_nothing(name: str) -> None:
    """But in the section of external authorization, which may always be meant to be asked."""
    holders = {head for head, _, last in (f.path.rpartition(".") for f in FIELDS) if last == name}
    for holder in holders - {"traffic.inboundExternalAuthorization"}:
        slips = sorted(_slips(name))[::3]
        # There is a limit to the Problems of one object.
        for batch in (slips[at : at + 25] for at in range(0, len(slips), 25)):
            part: dict[str, Any] = {slip: {"some": "text"} for slip in batch}
            for section in reversed(holder.split(".") if holder else []):
                part = {section: part}
            assert WIDE == _closed(_decoded(_spec(**part))[0]), part


@pytest.mark.parametrize(
    "spec",
    [
        {"trace": "on"},
        {"features": True},
        {"traffic": {"timeouts": "1s", "limits": [1], "enableTracing": True}},
        {"traffic": {"mTLS": "permissive"}},
        {"traffic": {"mTLS": "disabled"}},
        {"sidecar": {"tlsMaxProtocolVersions": "TLSv1_3", "tlsMinProtocolVersions": "TLSv1_2"}},
        {"featureflags": {"enableRetryPolicy": True}},
        {"featureFlags": {"enableEgresPolicy": False, "enableRetryPolcy": True}},
        {"inboundExternalAuthorisation": {"enable": False, "address": ""}},
    ],
)
def test_what_is_only_a_bit_like_a_switch_or_asks_for_nothing_closes_nothing(
    spec: dict[str, Any],
) -> None:
    assert WIDE == _closed(_decoded(_spec(**spec))[0])


def test_policies_that_are_on_let_the_rest_pass_whatever_stands_beside_them() -> None:
    spec = _spec(featureFlags={"enableEgressPolicy": True, "enableEgresPolicy": True})

    assert WIDE == _closed(_decoded(spec)[0])


def test_very_many_names_close_everything() -> None:
    further: dict[str, object] = {f"mtl{number}": {} for number in range(100 * MOST_NAMES)}
    value, _ = _decoded(_spec(further=further))

    assert all(switch.is_closed(value) for switch in SWITCHES)


def test_a_spec_of_any_depth_is_looked_through() -> None:
    deep: dict[str, Any] = {"mtls": "strict"}
    for _ in range(900):
        deep = {"x": deep}

    assert MtlsMode.STRICT is _decoded(_spec(**deep))[0].mtls
