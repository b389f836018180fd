"""The mesh-wide switches: what is wrong with one means off, and leaves the others alone."""

from __future__ import annotations

import pytest

from towpath.model.codes import Reason
from towpath.model.identity import MtlsMode
from towpath.model.meshconfig import MeshConfig
from towpath.sources.decode import Decoded, decode
from towpath.sources.decode.findings import MOST_PROBLEMS

ON = {"enableEgress": True, "enablePermissiveTrafficPolicyMode": True}


RAW = {
    "apiVersion": "config.openservicemesh.io/v1alpha2",
    "kind": "MeshConfig",
    "metadata": {"name": "osm-mesh-config", "namespace": "osm-system"},
}


def config(spec: object) -> Decoded:
    return decode({**RAW, "spec": spec}, "meshconfig.yaml:1")


def test_every_switch_is_off_unless_it_is_set() -> None:
    assert config({}).value == MeshConfig(namespace="osm-system")
    assert config(None) == config({})


def test_the_switches_are_read() -> None:
    spec = {
        "traffic": {
            **ON,
            "http1PerRequestLoadBalancing": True,
            "http2PerRequestLoadBalancing": True,
        },
        "featureFlags": {"enableEgressPolicy": True},
        "sidecar": {"logLevel": "debug", "sidecarTimeout": 5},
    }

    expected = MeshConfig(
        namespace="osm-system",
        enable_egress=True,
        enable_egress_policy=True,
        permissive=True,
        sidecar_log_level="debug",
        sidecar_timeout=5,
        http1_per_request_load_balancing=True,
        http2_per_request_load_balancing=True,
    )
    assert (config(spec).value, config(spec).problems) == (expected, ())


def test_a_timeout_of_0_is_the_default_and_one_below_is_a_problem() -> None:
    zero, below = (config({"sidecar": {"sidecarTimeout": value}}) for value in (0, -1))

    assert (zero.value, zero.problems) == (MeshConfig(namespace="osm-system"), ())
    assert below.value == MeshConfig(namespace="osm-system")
    assert ["spec.sidecar.sidecarTimeout"] == [problem.field for problem in below.problems]


@pytest.mark.parametrize("value", ["true", 1, [], {}])
def test_a_switch_of_a_wrong_type_is_off_and_the_others_keep_their_meaning(value: object) -> None:
    decoded = config({"traffic": {**ON, "enableEgress": value}})

    assert decoded.value == MeshConfig(namespace="osm-system", permissive=True)
    (problem,) = decoded.problems
    assert (problem.field, problem.reason) == ("spec.traffic.enableEgress", Reason.INVALID)
    assert problem.message.endswith("; allowed: true or false; false is used")


def test_a_misspelt_switch_is_off_and_the_nearest_name_is_given() -> None:
    decoded = config({"traffic": {"enableEgres": True}})

    assert decoded.value == MeshConfig(namespace="osm-system")
    (problem,) = decoded.problems
    assert (problem.field, problem.reason) == ("spec.traffic.enableEgres", Reason.UNKNOWN_FIELD)
    assert problem.message == "is not a known field (did you mean enableEgress?); it is not used"


@pytest.mark.parametrize(
    ("more", "field", "near"),
    [
        (
            {"spec": {"traffic": {"enableegress": True}}},
            "spec.traffic.enableegress",
            "enableEgress",
        ),
        ({"spec": {"Traffic": {}}}, "spec.Traffic", "traffic"),
        ({"specs": {}}, "specs", "spec"),
        (
            {"spec": {"sidecar": {"sidecarDrivers": [{}, {"sidecarNam": "x"}]}}},
            "spec.sidecar.sidecarDrivers[1].sidecarNam",
            "sidecarName",
        ),
    ],
)
def test_unknown_fields_are_found_at_every_depth(
    more: dict[str, object], field: str, near: str
) -> None:
    decoded = decode({**RAW, **more}, "")

    (problem,) = decoded.problems

    assert problem.field == field
    assert f"(did you mean {near}?)" in problem.message


def test_an_unknown_field_like_no_other_gets_no_suggestion() -> None:
    (problem,) = decode({**RAW, "qqq": 1}, "").problems

    assert problem.message == "is not a known field; it is not used"


def test_of_very_many_problems_the_first_are_listed_and_the_rest_counted() -> None:
    problems = config({f"enableEgres{n}": True for n in range(50_000)}).problems

    assert len(problems) == MOST_PROBLEMS + 1
    assert problems[-1].message == "has 49900 more problems than the 100 that are listed"


def test_a_section_of_a_wrong_type_means_that_everything_in_it_is_closed() -> None:
    decoded = config({"traffic": "open", "sidecar": {"logLevel": "trace"}})

    expected = MeshConfig(
        namespace="osm-system",
        mtls=MtlsMode.STRICT,
        external_authorization=True,
        sidecar_log_level="trace",
    )
    assert expected == decoded.value
    assert {"spec.traffic"} == {p.field for p in decoded.problems}


def test_an_unknown_log_level_names_the_allowed_ones() -> None:
    decoded = config({"sidecar": {"logLevel": "loud"}, "traffic": {"enableEgress": True}})

    assert decoded.value == MeshConfig(namespace="osm-system", enable_egress=True)
    (problem,) = decoded.problems
    assert problem.field == "spec.sidecar.logLevel"
    assert problem.message == (
        'is "loud"; allowed: "trace", "debug", "info", "warning", "warn", "error", "critical", '
        '"off"; "error" is used'
    )


def test_only_osm_mesh_config_counts() -> None:
    metadata = {"name": "other", "namespace": "osm-system"}

    decoded = decode({**RAW, "metadata": metadata, "spec": {"traffic": ON}}, "")

    assert decoded.value is None
    (problem,) = decoded.problems
    assert problem.field == "metadata.name"
    assert 'allowed: "osm-mesh-config"' in problem.message


def test_what_an_installation_of_osm_sets_is_all_known() -> None:
    spec = {
        "clusterSet": {"properties": [{"name": "a", "value": "b"}]},
        "sidecar": {
            "enablePrivilegedInitContainer": False,
            "logLevel": "error",
            "maxDataPlaneConnections": 0,
            "configResyncInterval": "90s",
            "sidecarTimeout": 60,
            "sidecarClass": "pipy",
            "sidecarImage": "",
            "sidecarDrivers": [{"sidecarName": "envoy", "proxyServerPort": 15128}],
            "resources": {"limits": {"cpu": "1"}, "requests": {}},
            "tlsMinProtocolVersion": "TLSv1_2",
            "tlsMaxProtocolVersion": "TLSv1_3",
            "cipherSuites": [],
            "localProxyMode": "Localhost",
            "localDNSProxy": {"enable": False, "primaryUpstreamDNSServerIPAddr": ""},
        },
        "repoServer": {"ipaddr": "127.0.0.1", "codebase": ""},
        "traffic": {
            **ON,
            "interceptionMode": "iptables",
            "outboundIPRangeExclusionList": [],
            "outboundPortExclusionList": [],
            "networkInterfaceExclusionList": [],
            "http1PerRequestLoadBalancing": False,
            "inboundExternalAuthorization": {"enable": False, "timeout": "1s"},
        },
        "observability": {
            "osmLogLevel": "info",
            "enableDebugServer": False,
            "tracing": {"enable": False, "sampledFraction": "1.0"},
            "remoteLogging": {"enable": False, "level": 2},
        },
        "certificate": {
            "serviceCertValidityDuration": "24h",
            "certKeyBitSize": 2048,
            "ingressGateway": {"subjectAltNames": ["a"], "secret": {"name": "a"}},
        },
        "featureFlags": {"enableWASMStats": False, "enableRetryPolicy": True},
        "pluginChains": {"inbound-tcp": [{"plugin": "tcp-routing", "priority": 120}]},
    }

    assert {p.reason for p in config(spec).problems} == {Reason.NOT_SUPPORTED}


@pytest.mark.parametrize(
    "section",
    [
        {"enable": True},
        {"enable": True, "address": "10.0.0.1", "port": 9191},
        {"enable": "yes"},
        {"enabel": True},
        {"addres": "10.0.0.1"},
        "10.0.0.1",
    ],
)
def test_external_authorization_that_may_have_been_meant_counts(section: object) -> None:
    value = config({"traffic": {**ON, "inboundExternalAuthorization": section}}).value

    assert isinstance(value, MeshConfig)
    assert value.external_authorization


def test_external_authorization_is_off_where_nobody_means_it() -> None:
    for section in (None, {}, {"enable": False, "addres": ""}, {"address": "10.0.0.1"}):
        value = config({"traffic": {**ON, "inboundExternalAuthorization": section}}).value
        assert isinstance(value, MeshConfig)
        assert not value.external_authorization


def test_a_misspelt_external_authorization_counts() -> None:
    value = config({"traffic": {**ON, "inboundExternalAuthorisation": {"enable": True}}}).value

    assert isinstance(value, MeshConfig)
    assert value.external_authorization


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("10m", 600), ("24h", 86_400), ("1h30m0s", 5400), ("720h", 2_592_000), ("", 86_400)],
)
def test_certificates_are_valid_as_long_as_it_says(text: str, seconds: int) -> None:
    result = config({"certificate": {"serviceCertValidityDuration": text}})

    assert [] == [p for p in result.problems if "certificate" in p.field]
    assert isinstance(result.value, MeshConfig)
    assert seconds == result.value.certificate_validity


@pytest.mark.parametrize("value", ["1s", "9m59s", "721h", "87600h", "1d", "forever", 24, "-24h"])
def test_certificates_with_an_odd_validity_are_valid_for_a_day(value: object) -> None:
    result = config({"certificate": {"serviceCertValidityDuration": value}})

    (problem,) = [p for p in result.problems if "certificate" in p.field]
    assert ("spec.certificate.serviceCertValidityDuration", Reason.INVALID) == (
        problem.field,
        problem.reason,
    )
    assert "allowed: a duration from 10m to 720h (30 days), such as 24h; 24h is used" in (
        problem.message
    )
    assert isinstance(result.value, MeshConfig)
    assert 86_400 == result.value.certificate_validity


def test_the_size_of_keys_has_no_effect() -> None:
    result = config({"certificate": {"certKeyBitSize": 4096}})

    assert [("spec.certificate.certKeyBitSize", Reason.NOT_SUPPORTED)] == [
        (p.field, p.reason) for p in result.problems if "certificate" in p.field
    ]
