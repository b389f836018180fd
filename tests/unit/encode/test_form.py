"""Forms: what is filled in is, byte for byte, what would have been encoded."""

from __future__ import annotations

import pytest
from envoy.config.cluster.v3.cluster_pb2 import Cluster
from google.protobuf.any_pb2 import Any as AnyMessage
from hypothesis import example, given, settings
from hypothesis import strategies as st

from support.examples import examples
from towpath.encode.envoy.tls import client_socket, where_marked
from towpath.encode.form import BLANK, Form, filled
from towpath.encode.pack import resource
from towpath.model.identity import TLS_DEFAULTS
from towpath.model.snapshot import Layer, Resource

texts = st.text(st.characters(exclude_characters="\0", codec="utf-8"), min_size=1, max_size=400)


def _cluster(text: str, *, direct: bool, alt: str = "") -> Resource:
    """Around the text are eight messages, or, if it is *direct*, six."""
    cluster = Cluster(name="shop/web|80", alt_stat_name=alt)
    cluster.connect_timeout.seconds = 5
    cluster.per_connection_buffer_limit_bytes.value = 1 << 20
    socket = client_socket(text, "shop", "web", TLS_DEFAULTS)
    if direct:
        cluster.transport_socket.CopyFrom(socket)
    else:
        cluster.transport_socket_matches.extend(where_marked(socket))
    return resource(cluster.name, cluster)


@settings(max_examples=examples(50))
@given(text=texts, direct=st.booleans(), alt=st.sampled_from(("", "a" * 127, "a" * 16_300)))
@example(text="a", direct=True, alt="")
@example(text="a" * 127, direct=False, alt="")
@example(text="a" * 128, direct=False, alt="")
def test_what_is_filled_in_is_what_would_be_encoded(text: str, alt: str, *, direct: bool) -> None:
    form = Form.around(_cluster(BLANK, direct=direct, alt=alt))

    assert _cluster(text, direct=direct, alt=alt).packed == form.filled(text.encode()).packed


def test_a_version_tells_forms_and_texts_apart() -> None:
    forms = [Form.around(_cluster(BLANK, direct=direct)) for direct in (True, False)]
    versions = [form.filled(text).version for form in forms for text in (b"a", b"b", b"ab")]

    assert 6 == len(set(versions))
    assert forms[0].filled(b"a") == forms[0].filled(b"a")


def test_a_layer_that_is_filled_in_has_what_its_version_says() -> None:
    one, other = (Layer((Form.around(_cluster(BLANK, direct=direct)),)) for direct in (True, False))
    layers = [filled(forms, text) for forms in (one, other) for text in ("a", "b")]

    assert 4 == len({layer.version for layer in layers})
    assert filled(one, "a") == layers[0]
    (name,) = layers[0]
    assert layers[0][name] == layers[0].find(name) == filled(one, "a")[name]
    assert layers[0].find("other") is None
    assert b"b" in AnyMessage.FromString(layers[1][name].packed).value


@pytest.mark.parametrize("text", ["none", BLANK * 2])
def test_a_form_has_one_blank(text: str) -> None:
    with pytest.raises(ValueError, match="blanks"):
        Form.around(_cluster(text, direct=True))
