"""Settings: a value that is not allowed is named by its flag, with what is allowed."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from towpath.settings import (
    AccessSettings,
    Setting,
    Settings,
    SettingsError,
    SourceSettings,
    all_settings,
    declared,
    groups,
    split_address,
)

SECONDS = (
    "answer_wait",
    "canary_wait",
    "quarantine_expiry",
    "read_wait",
    "first_request_wait",
    "opening_budget",
    "max_connection_age",
    "keepalive_time",
    "keepalive_timeout",
    "settle_quiet",
    "settle_max",
    "unknown_pod_wait",
    "shutdown_grace",
)
LEAST = {"quarantine_expiry": 1}
"""Of those that may not be 0."""


def value_of(settings: Settings, name: str) -> object:
    (group,) = (key for key, group in groups().items() if name in [s.name for s in declared(group)])
    return getattr(getattr(settings, group), name)


def test_the_defaults_are_allowed_and_loopback_only() -> None:
    settings = Settings().access

    assert settings.ads_address == "127.0.0.1:15128"
    assert settings.http_address == "127.0.0.1:9091"
    assert not settings.plaintext


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"log_level": "loud"}, "--log-level is 'loud': allowed is one of debug, info, warning"),
        ({"log_level": "INFO"}, "--log-level is 'INFO'"),
        ({"log_format": "xml"}, "--log-format is 'xml': allowed is one of text, json"),
        ({"http_address": "9091"}, "--http-address is '9091': allowed is HOST:PORT"),
        ({"http_address": ":9091"}, "--http-address is ':9091': allowed is HOST:PORT"),
        ({"http_address": "127.0.0.1:"}, "--http-address is '127.0.0.1:': allowed is HOST:PORT"),
        ({"http_address": "127.0.0.1:http"}, "with a port of 0 to 65535"),
        (
            {"ads_address": "127.0.0.1:65536"},
            "--ads-address is '127.0.0.1:65536': allowed is HOST:PORT",
        ),
        ({"ads_address": "localhost"}, "--ads-address is 'localhost': allowed is HOST:PORT"),
    ],
)
def test_a_wrong_value_names_its_flag_and_what_is_allowed(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(SettingsError) as raised:
        Settings.of(**wrong)

    assert said in str(raised.value)


@pytest.mark.parametrize("name", SECONDS)
@pytest.mark.parametrize("value", [-0.1, 3600.1, float("nan"), float("inf")])
def test_a_time_out_of_range_is_refused(name: str, value: float) -> None:
    with pytest.raises(SettingsError) as raised:
        Settings.of(**{name: value})

    flag = "--" + name.replace("_", "-")
    least = LEAST.get(name, 0)
    assert str(raised.value) == f"{flag} is {value}: allowed is {least} to 3600 seconds"


@pytest.mark.parametrize("name", SECONDS)
def test_the_limits_of_a_time_are_allowed(name: str) -> None:
    for value in (LEAST.get(name, 0), 3600):
        assert value == value_of(Settings.of(**{name: value}), name)


def test_rejected_content_is_kept_from_a_client_for_a_while() -> None:
    """Else each rejection would be answered with what was rejected."""
    with pytest.raises(SettingsError, match="allowed is 1 to 3600 seconds"):
        Settings.of(quarantine_expiry=0)


@pytest.mark.parametrize(
    "address", ["0.0.0.0:15128", "[::]:15128", "192.0.2.1:1", "ads.example.test:15128"]
)
def test_plaintext_off_loopback_is_refused_unless_it_is_allowed(address: str) -> None:
    with pytest.raises(SettingsError) as raised:
        AccessSettings(ads_address=address)

    for part in ("--ads-address", address, "not loopback", "--plaintext"):
        assert part in str(raised.value)
    assert AccessSettings(ads_address=address, plaintext=True).ads_address == address


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1:0", "127.8.8.8:15128", "localhost:15128", "[::1]:15128", "unix:/run/towpath.sock"],
)
def test_loopback_and_sockets_need_no_permission(address: str) -> None:
    assert AccessSettings(ads_address=address).ads_address == address


@pytest.mark.parametrize(
    ("address", "expected"),
    [("127.0.0.1:80", ("127.0.0.1", 80)), ("[::1]:80", ("::1", 80)), ("host:0", ("host", 0))],
)
def test_an_address_is_a_host_and_a_port(address: str, expected: tuple[str, int]) -> None:
    assert split_address(address) == expected


@pytest.mark.parametrize("age", [0, 2_592_001, float("nan")])
def test_an_age_of_a_checkpoint_out_of_range_is_refused(age: float) -> None:
    with pytest.raises(SettingsError, match="--checkpoint-max-age is"):
        SourceSettings(checkpoint_max_age=age)


@pytest.mark.parametrize("setting", all_settings().values(), ids=lambda setting: setting.name)
def test_every_setting_is_described_and_a_number_has_bounds_and_a_time_its_unit(
    setting: Setting,
) -> None:
    assert setting.help.endswith(".")
    assert (setting.type in (int, float)) == (setting.bounds is not None)
    assert (setting.name in (*SECONDS, "checkpoint_max_age")) == (setting.unit == "seconds")
    if setting.allowed:
        setting.check(setting.default)


def test_every_setting_is_in_one_group_and_has_one_flag_variable_and_key() -> None:
    for group in groups().values():
        assert group.title
    names = [setting.name for group in groups().values() for setting in declared(group)]

    assert sorted(all_settings()) == sorted(names)
    answer_wait = all_settings()["answer_wait"]
    assert ("--answer-wait", "TOWPATH_ANSWER_WAIT", "answer-wait") == (
        answer_wait.flag,
        answer_wait.variable,
        answer_wait.key,
    )


def test_a_name_that_is_no_setting_is_a_mistake_of_the_caller() -> None:
    with pytest.raises(TypeError, match="answer_wiat"):
        Settings.of(answer_wiat=1)


def test_settings_do_not_change() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        Settings().mesh.mesh_name = "other"  # type: ignore[misc]


def test_a_checkpoint_is_of_a_cluster_and_needs_a_folder_to_be_in(tmp_path: Path) -> None:
    SourceSettings(checkpoint=tmp_path / "kept")
    with pytest.raises(SettingsError, match="--manifests and --checkpoint: a folder needs no che"):
        SourceSettings(checkpoint=tmp_path / "kept", manifests=tmp_path)
    with pytest.raises(SettingsError, match=r"--checkpoint is .*/gone/kept, but there is no such"):
        SourceSettings(checkpoint=tmp_path / "gone" / "kept")


@pytest.mark.parametrize("name", ["max_names", "canaries"])
def test_a_count_is_at_least_one(name: str) -> None:
    zero: Any = {name: 0}
    with pytest.raises(SettingsError, match=f"--{name.replace('_', '-')} is 0: allowed is 1 to"):
        Settings.of(**zero)
