"""What a MeshConfig says of TLS between sidecars, and what holds where it says something wrong."""

from __future__ import annotations

import pytest

from towpath.model.identity import TLS_DEFAULTS, TlsParameters
from towpath.model.meshconfig import MeshConfig
from towpath.sources.decode import Decoded, decode
from towpath.sources.decode.tls import CIPHERS, CURVES, ECDSA


def _decoded(**sidecar: object) -> Decoded:
    raw = {
        "apiVersion": "config.openservicemesh.io/v1alpha2",
        "kind": "MeshConfig",
        "metadata": {"name": "osm-mesh-config", "namespace": "osm-system"},
        "spec": {"sidecar": {"logLevel": "trace", **sidecar}},
    }
    return decode(raw, "")


def _parameters(**sidecar: object) -> tuple[TlsParameters, dict[str, str]]:
    """What holds, and what is said of each field that is wrong."""
    decoded = _decoded(**sidecar)
    assert isinstance(decoded.value, MeshConfig)
    assert "trace" == decoded.value.sidecar_log_level
    found = {p.field.removeprefix("spec.sidecar."): p.message for p in decoded.problems}
    return decoded.value.tls, found


@pytest.mark.parametrize("nothing", [None, "", "TLS_AUTO"])
def test_where_nothing_is_asked_for_the_defaults_hold(nothing: str | None) -> None:
    said = _parameters(
        tlsMinProtocolVersion=nothing,
        tlsMaxProtocolVersion=nothing,
        cipherSuites=[],
        ecdhCurves=None,
    )
    assert (TLS_DEFAULTS, {}) == said


def test_each_field_has_effect() -> None:
    said = _parameters(
        tlsMinProtocolVersion="TLSv1_3",
        tlsMaxProtocolVersion="TLSv1_3",
        cipherSuites=[CIPHERS[1], CIPHERS[-1], CIPHERS[1]],
        ecdhCurves=["P-256", "X25519"],
    )
    expected = TlsParameters("TLSv1_3", "TLSv1_3", (CIPHERS[1], CIPHERS[-1]), ("P-256", "X25519"))
    assert (expected, {}) == said


@pytest.mark.parametrize(
    "old",
    ["TLSv1_0", "TLSv1_1", "TLSv1.2", "TLSv1_4", "SSLv3", "new", 12, True, ["TLSv1_2"], {"a": 13}],
)
def test_no_version_that_is_too_old_or_unknown_is_offered(old: object) -> None:
    parameters, found = _parameters(tlsMinProtocolVersion=old, tlsMaxProtocolVersion=old)

    assert TLS_DEFAULTS == parameters
    for field, used in (("Min", "TLSv1_2"), ("Max", "TLSv1_3")):
        message = found[f"tls{field}ProtocolVersion"]
        assert message.endswith(f'allowed: "TLSv1_2", "TLSv1_3"; "{used}" is used')


@pytest.mark.parametrize(
    "value",
    ["TLSv1.3", "TLSV1_3", "tlsv1_3", "1.3", "TLS 1.3", "TLSv1_33", "TLSv_3", 1.3, 13, ["TLSv1_3"]],
)
def test_what_seems_to_be_the_newest_version_as_the_oldest_is_it(value: object) -> None:
    parameters, found = _parameters(tlsMinProtocolVersion=value, tlsMaxProtocolVersion="TLSv1_3")

    assert ("TLSv1_3", "TLSv1_3") == (parameters.minimum, parameters.maximum)
    assert ["tlsMinProtocolVersion"] == list(found)
    assert found["tlsMinProtocolVersion"].endswith(
        'allowed: "TLSv1_2", "TLSv1_3"; "TLSv1_3" is used'
    )


def test_the_oldest_version_holds_where_the_newest_is_older() -> None:
    parameters, found = _parameters(
        tlsMinProtocolVersion="TLSv1_3", tlsMaxProtocolVersion="TLSv1_2"
    )
    assert ("TLSv1_3", "TLSv1_3") == (parameters.minimum, parameters.maximum)
    message = 'is "TLSv1_2", older than tlsMinProtocolVersion; "TLSv1_3" is used'
    assert {"tlsMaxProtocolVersion": message} == found


def test_entries_that_an_envoy_would_reject_are_left_out() -> None:
    parameters, found = _parameters(
        cipherSuites=["NONSENSE", ECDSA[0], 5, "AES128-SHA"], ecdhCurves=["P-224", "P-384"]
    )
    assert (ECDSA[:1], ("P-384",)) == (parameters.ciphers, parameters.curves)
    assert ["cipherSuites[0]", "cipherSuites[2]", "cipherSuites[3]", "ecdhCurves[0]"] == sorted(
        found
    )
    allowed = ", ".join(CURVES)
    assert f'is "P-224"; allowed: {allowed}; it is left out' == found["ecdhCurves[0]"]


@pytest.mark.parametrize("field", ["cipherSuites", "ecdhCurves"])
def test_of_what_is_no_list_nothing_is_used(field: str) -> None:
    parameters, found = _parameters(**{field: "P-256"})

    assert TLS_DEFAULTS == parameters
    assert {field: 'is "P-256"; allowed: a list; it is not used'} == found


def test_a_list_by_which_no_two_sidecars_could_speak_is_not_used() -> None:
    parameters, found = _parameters(cipherSuites=["ECDHE-RSA-AES128-GCM-SHA256"])

    assert () == parameters.ciphers
    assert found["cipherSuites"].endswith("Envoy's own are used")


def test_tls_1_2_has_the_curve_of_the_keys_always() -> None:
    parameters, found = _parameters(tlsMaxProtocolVersion="TLSv1_2", ecdhCurves=["X25519"])

    assert ("X25519", "P-256") == parameters.curves
    assert ["ecdhCurves"] == list(found)
    assert ("X25519",) == _parameters(ecdhCurves=["X25519"])[0].curves
