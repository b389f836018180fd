"""Which transport a server gets, and what it is told of limits."""

from __future__ import annotations

from typing import Any

import pytest

from towpath.access import Gate
from towpath.access.doorkeeper import LONGEST_BEHIND_S, Room
from towpath.app import transport
from towpath.settings import ConnectionLimits, SettingsError
from towpath.telemetry.metrics import Metrics

ROOM = Room(connections=7, per_peer=1, first_call_s=3.0)


def _name(**settings: Any) -> str:
    gate = Gate({}, plaintext=True, trust_domain="", people=frozenset(), metrics=Metrics())
    return transport.new_transport(gate, ConnectionLimits(**settings), ROOM).name


@pytest.fixture
def not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "find_spec", lambda _: None)


@pytest.mark.usefixtures("not_installed")
@pytest.mark.parametrize("setting", ["auto", "grpc"])
async def test_where_none_is_installed_grpc_serves(setting: str) -> None:
    assert "grpc.aio" == _name(transport=setting)


@pytest.mark.usefixtures("not_installed")
async def test_one_that_is_asked_for_and_not_there_is_an_error_that_says_how_to_get_it() -> None:
    with pytest.raises(SettingsError, match=r"--transport fast .* pip install 'towpath\[fast\]'"):
        _name(transport="fast")


@pytest.mark.fast
@pytest.mark.parametrize(
    ("setting", "begin"),
    [("auto", "towpath-transport "), ("fast", "towpath-transport "), ("grpc", "grpc.aio")],
)
async def test_where_it_is_installed_auto_takes_it(setting: str, begin: str) -> None:
    assert _name(transport=setting).startswith(begin)


@pytest.mark.fast
def test_the_transport_in_rust_has_the_limits_of_the_settings() -> None:
    from towpath.app.fast import limits

    told = limits(ConnectionLimits(max_message_mib=3, max_connection_age=0), ROOM)

    assert (7, 3.0 + LONGEST_BEHIND_S, 3 << 20, 0.0) == (
        told.connections,
        told.handshake_s,
        told.message_bytes,
        told.age_s,
    )
