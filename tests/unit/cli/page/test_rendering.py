"""What is shown of a question that nobody has answered, while others are answered."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from support.page.dashboard import text_of
from towpath.cli.page.control_plane import Reading
from towpath.cli.page.health import Chip, Health
from towpath.cli.page.policies import policies, problems
from towpath.cli.page.rendering import Renderer
from towpath.cli.page.reports import Reported
from towpath_api.v1 import inspector_pb2 as pb

HEALTH = Health((Chip("Replicas", "1"),), "", "osm", 0.0)
SLOW = "towpath-0: the answer took too long"


class ControlPlane:
    """Answers nothing about policies and problems, or what there was before."""

    reports: Any = type("Reports", (), {"read": staticmethod(Reported)})

    def __init__(self, *before: pb.PolicyStatus) -> None:
        self.before = {"a": pb.ListPoliciesResponse(policies=before)} if before else {}

    async def policies(self) -> Reading[pb.ListPoliciesResponse]:
        return Reading(self.before, fault=SLOW)

    async def problems(self) -> Reading[pb.ListProblemsResponse]:
        return Reading(fault=SLOW)

    async def follow_reports(self) -> None:
        pass

    async def in_thread(self, call: Callable[[], Any]) -> Any:
        return call()


def shown(view: Any, health: Health = HEALTH) -> str:
    return text_of(Renderer("/t/", now=lambda: 0.0).html(view, health, "policies"))


@pytest.mark.parametrize("make_view", [policies, problems])
async def test_what_nobody_answers_is_not_taken_for_nothing(make_view: Any) -> None:
    text = shown(await make_view(ControlPlane(), {}))

    assert f"This part is not answered, and is of an earlier time or empty: {SLOW}" in text
    assert "Nobody says which" in text
    assert "There are no policies." not in text
    assert "No problems." not in text


async def test_what_was_answered_before_stays() -> None:
    before = pb.PolicyStatus(kind="Egress", namespace="shop", name="out", accepted=True)
    text = shown(await policies(ControlPlane(before), {}))  # type: ignore[arg-type]

    assert SLOW in text
    assert "accepted shop/out Egress 0/0" in text


async def test_one_silence_is_told_once() -> None:
    gone = Health((), "nobody is there", "", 0.0)
    text = shown(await policies(ControlPlane(), {}), gone)  # type: ignore[arg-type]

    assert ("nobody is there" in text, SLOW in text) == (True, False)
