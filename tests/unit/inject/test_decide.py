"""Which pods get a sidecar: the namespace, then the pod's annotation, then the namespace's."""

from __future__ import annotations

from typing import Any

import pytest

from towpath.inject.decide import Reason, decide
from towpath.inject.refusal import Refused
from towpath.model.workloads import Namespace

INJECTION = "openservicemesh.io/sidecar-injection"
YES = ("enabled", "yes", "true", "Enabled", "YES", "True", " enabled ")
NO = ("disabled", "no", "false", "Disabled", "NO", "False")
NEITHER = ("", "on", "1", "enable", "enabled,yes", "nope")


def namespace(
    injection: str | None = None, *, name: str = "shop", mesh: str | None = "osm", **more: Any
) -> Namespace:
    annotations = () if injection is None else ((INJECTION, injection),)
    return Namespace(name, mesh, annotations=annotations, **more)


def pod(injection: str | None = None, **spec: Any) -> dict[str, Any]:
    annotations = None if injection is None else {INJECTION: injection}
    return {"metadata": {"annotations": annotations}, "spec": {"containers": [], **spec}}


def reason(one: dict[str, Any], of: Namespace) -> Reason | None:
    return decide(one, of, mesh_name="osm", osm_namespace="osm-system").reason


@pytest.mark.parametrize("yes", YES)
@pytest.mark.parametrize("no", NO)
def test_the_pods_own_word_wins_over_its_namespaces(yes: str, no: str) -> None:
    assert None is reason(pod(yes), namespace(no))
    assert Reason.POD_DISABLED is reason(pod(no), namespace(yes))
    assert None is reason(pod(yes), namespace())
    assert None is reason(pod(), namespace(yes))
    assert Reason.NAMESPACE_DISABLED is reason(pod(), namespace(no))
    assert Reason.POD_DISABLED is reason(pod(no), namespace())


def test_the_label_alone_is_not_enough() -> None:
    assert Reason.NOT_ENABLED is reason(pod(), namespace())


@pytest.mark.parametrize("text", NEITHER)
def test_a_word_that_means_neither_is_refused_by_name(text: str) -> None:
    for one, of, whose in (
        (pod(text), namespace("enabled"), "the pod"),
        (pod(), namespace(text), "namespace shop"),
    ):
        with pytest.raises(Refused) as refused:
            reason(one, of)
        message = str(refused.value)
        assert message.startswith(f'annotation {INJECTION} of {whose} is "{text}": allowed: ')
        assert "enabled, yes, true, disabled, no, false" in message


def test_a_pods_good_word_makes_up_for_its_namespaces_bad_one() -> None:
    assert None is reason(pod("yes"), namespace("perhaps"))


@pytest.mark.parametrize(
    ("of", "expected"),
    [
        (namespace(name="osm-system"), Reason.OWN_NAMESPACE),
        (namespace(name="kube-system"), Reason.SYSTEM_NAMESPACE),
        (namespace(name="kube-public"), Reason.SYSTEM_NAMESPACE),
        (namespace(mesh=None), Reason.NOT_MONITORED),
        (namespace(mesh="other"), Reason.NOT_MONITORED),
        (namespace(ignored=True), Reason.IGNORED),
    ],
    ids=str,
)
def test_what_never_gets_one_does_not_get_one_by_its_annotation(
    of: Namespace, expected: Reason
) -> None:
    assert expected is reason(pod("enabled"), of)
    assert expected is reason(pod("perhaps"), of)


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({"hostNetwork": True}, Reason.HOST_NETWORK),
        ({"hostNetwork": False}, None),
        ({"os": {"name": "windows"}}, Reason.WINDOWS),
        ({"os": {"name": "linux"}}, None),
        ({"nodeSelector": {"kubernetes.io/os": "windows"}}, Reason.WINDOWS),
        ({"nodeSelector": {"beta.kubernetes.io/os": "windows"}}, Reason.WINDOWS),
        ({"nodeSelector": {"kubernetes.io/os": "linux"}}, None),
    ],
    ids=str,
)
def test_pods_that_cannot_have_one_are_left_alone(
    spec: dict[str, Any], expected: Reason | None
) -> None:
    decision = decide(
        pod(**spec), namespace("enabled"), mesh_name="osm", osm_namespace="osm-system"
    )
    assert expected is decision.reason
    assert (expected is not None) is decision.surprising
    assert Reason.POD_DISABLED is reason(pod("no", **spec), namespace("enabled"))
