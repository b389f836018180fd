"""TOWPATH_… variables: a misspelt one is refused, and what Kubernetes and others set is not."""

from __future__ import annotations

import pytest

from towpath.settings import SettingsError, all_settings
from towpath.settings.environment import refuse_unknown

LINKS = {
    "TOWPATH_SERVICE_HOST": "10.96.0.7",
    "TOWPATH_SERVICE_PORT": "15128",
    "TOWPATH_SERVICE_PORT_ADS": "15128",
    "TOWPATH_PORT": "tcp://10.96.0.7:15128",
    "TOWPATH_PORT_15128_TCP": "tcp://10.96.0.7:15128",
    "TOWPATH_PORT_15128_TCP_PROTO": "tcp",
    "TOWPATH_PORT_15128_TCP_PORT": "15128",
    "TOWPATH_PORT_15128_TCP_ADDR": "10.96.0.7",
}
"""What a pod gets of a Service `towpath` in its namespace."""


def test_every_setting_may_be_set() -> None:
    refuse_unknown({setting.variable: "" for setting in all_settings().values()})


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("TOWPATH_CANERY_WAIT", "did you mean TOWPATH_CANARY_WAIT?"),
        ("TOWPATH_ADS_ADRESS", "did you mean TOWPATH_ADS_ADDRESS?"),
        ("TOWPATH_MESHNAME", "did you mean TOWPATH_MESH_NAME?"),
        ("TOWPATH_ZZZ", "`towpath serve --help` lists all"),
    ],
)
def test_an_unknown_variable_is_refused_with_the_nearest_name(name: str, hint: str) -> None:
    with pytest.raises(SettingsError) as raised:
        refuse_unknown({"PATH": "/bin", name: "1"})

    assert f"{name} is not a setting: {hint}" == str(raised.value)


@pytest.mark.parametrize("service", ["TOWPATH", "TOWPATH_METRICS"])
def test_the_links_of_a_service_are_no_settings(service: str) -> None:
    refuse_unknown({name.replace("TOWPATH", service, 1): text for name, text in LINKS.items()})


def test_of_a_service_only_its_links_pass() -> None:
    with pytest.raises(SettingsError, match="TOWPATH_PORTS is not"):
        refuse_unknown({**LINKS, "TOWPATH_PORTS": "1"})
    with pytest.raises(SettingsError, match="TOWPATH_PORT is not"):
        refuse_unknown({"TOWPATH_PORT": "15128"})


@pytest.mark.parametrize(
    "name",
    [
        "TOWPATH_CLIENT_TLS_CA",
        "TOWPATH_OSM_COMMAND",
        "TOWPATH_AGENT_PID_FILE",
        "TOWPATH_REQUIRE_KUBE",
        "TOWPATH_FUZZ_SEED",
        "TOWPATH_TEST_CACHE",
    ],
)
def test_what_other_commands_and_the_tests_read_is_left_to_them(name: str) -> None:
    refuse_unknown({name: "1"})
