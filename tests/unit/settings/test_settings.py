"""Settings: a value that is not allowed is named by its flag, with what is allowed."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from towpath.settings import Settings, SettingsError, setting_help, split_address

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


def test_the_defaults_are_allowed_and_loopback_only() -> None:
    settings = Settings()

    assert settings.ads_address == "127.0.0.1:15128"
    assert settings.http_address == "127.0.0.1:9091"
    assert not settings.plaintext


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"log_level": "loud"}, "--log-level is 'loud': allowed is one of debug, info, warning"),
        ({"log_level": "INFO"}, "--log-level is 'INFO'"),
        ({"log_format": "xml"}, "--log-format is 'xml': allowed is one of text, json"),
        ({"http_address": "9091"}, "--http-address: '9091' is not HOST:PORT"),
        ({"http_address": ":9091"}, "--http-address: ':9091' is not HOST:PORT"),
        ({"http_address": "127.0.0.1:"}, "--http-address: '127.0.0.1:' is not HOST:PORT"),
        ({"http_address": "127.0.0.1:http"}, "with a port of 0 to 65535"),
        ({"ads_address": "127.0.0.1:65536"}, "--ads-address: '127.0.0.1:65536' is not HOST:PORT"),
        ({"ads_address": "localhost"}, "--ads-address: 'localhost' is not HOST:PORT"),
    ],
)
def test_a_wrong_value_names_its_flag_and_what_is_allowed(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(SettingsError) as raised:
        Settings(**wrong)

    assert said in str(raised.value)


@pytest.mark.parametrize("name", SECONDS)
@pytest.mark.parametrize("value", [-0.1, 3600.1, float("nan"), float("inf")])
def test_a_time_out_of_range_is_refused(name: str, value: float) -> None:
    with pytest.raises(SettingsError) as raised:
        Settings(**{name: value})  # type: ignore[arg-type]

    flag = "--" + name.replace("_", "-")
    assert str(raised.value) == f"{flag} is {value}: allowed is 0 to 3600 seconds"


@pytest.mark.parametrize("name", SECONDS)
@pytest.mark.parametrize("value", [0, 3600])
def test_the_limits_of_a_time_are_allowed(name: str, value: float) -> None:
    assert getattr(Settings(**{name: value}), name) == value  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "address", ["0.0.0.0:15128", "[::]:15128", "192.0.2.1:1", "ads.example.test:15128"]
)
def test_plaintext_off_loopback_is_refused_unless_it_is_allowed(address: str) -> None:
    with pytest.raises(SettingsError) as raised:
        Settings(ads_address=address)

    for part in ("--ads-address", address, "not loopback", "--plaintext"):
        assert part in str(raised.value)
    assert Settings(ads_address=address, plaintext=True).ads_address == address


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1:0", "127.8.8.8:15128", "localhost:15128", "[::1]:15128", "unix:/run/towpath.sock"],
)
def test_loopback_and_sockets_need_no_permission(address: str) -> None:
    assert Settings(ads_address=address).ads_address == address


@pytest.mark.parametrize(
    ("address", "expected"),
    [("127.0.0.1:80", ("127.0.0.1", 80)), ("[::1]:80", ("::1", 80)), ("host:0", ("host", 0))],
)
def test_an_address_is_a_host_and_a_port(address: str, expected: tuple[str, int]) -> None:
    assert split_address(address) == expected


@pytest.mark.parametrize("age", [0, 2_592_001, float("nan")])
def test_an_age_of_a_checkpoint_out_of_range_is_refused(age: float) -> None:
    with pytest.raises(SettingsError, match="--checkpoint-max-age is"):
        Settings(checkpoint_max_age=age)


def test_every_setting_is_described_and_times_have_a_unit() -> None:
    for declared in dataclasses.fields(Settings):
        text = setting_help(declared)
        assert text.rstrip().endswith("."), declared.name
        assert (declared.name in (*SECONDS, "checkpoint_max_age")) == text.endswith(
            " In seconds."
        ), declared.name


def test_settings_do_not_change() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        Settings(manifests=Path()).mesh_name = "other"  # type: ignore[misc]


def test_a_checkpoint_is_of_a_cluster_and_needs_a_folder_to_be_in(tmp_path: Path) -> None:
    Settings(checkpoint=tmp_path / "kept")
    with pytest.raises(SettingsError, match="--manifests and --checkpoint: a folder needs no che"):
        Settings(checkpoint=tmp_path / "kept", manifests=tmp_path)
    with pytest.raises(SettingsError, match=r"--checkpoint is .*/gone/kept, but there is no such"):
        Settings(checkpoint=tmp_path / "gone" / "kept")


@pytest.mark.parametrize("name", ["max_names", "canaries"])
def test_a_count_is_at_least_one(name: str) -> None:
    zero: Any = {name: 0}
    with pytest.raises(SettingsError, match=f"--{name.replace('_', '-')} is 0: allowed is 1 to"):
        Settings(**zero)
