"""Flows as messages: there and back, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from towpath.admin.flows import flow_message, flow_of, judgement_message, judgement_of
from towpath.answers.audit import Judgement
from towpath.model.names import Account, Protocol
from towpath.observe.flow import Flow, Verdict
from towpath.observe.flows import MOST_ADDRESSES, Tally
from towpath_api.v1 import inspector_pb2 as pb

accounts = st.none() | st.just(Account("curl", "curl"))
texts = st.text(max_size=5)
addresses = st.sampled_from(("192.0.2.7", "10.0.0.1"))
flows = st.builds(
    Flow,
    account=accounts,
    pod_address=st.just("") | addresses,
    host=texts,
    address=st.just("") | addresses,
    port=st.integers(1, 65535),
    protocol=st.sampled_from(Protocol),
    verdict=st.sampled_from((Verdict.ALLOW, Verdict.DENY)),
    policies=st.lists(texts, max_size=2).map(tuple),
    passthrough=st.booleans(),
    method=texts,
    path=texts,
)
numbers = st.integers(0, 1000)
tallies = st.builds(
    Tally,
    first=numbers.map(float),
    last=numbers.map(float),
    count=st.integers(3000, 10_000),
    addresses=st.dictionaries(addresses, numbers),
)
judgements = st.builds(
    Judgement,
    account=accounts,
    inside=st.booleans(),
    stay=numbers,
    refused=numbers,
    unclear=numbers,
    policies=st.lists(texts, max_size=2).map(tuple),
    reason=texts,
)


@given(flows, tallies)
def test_a_flow_comes_back_as_it_was(flow: Flow, tally: Tally) -> None:
    assert (flow, tally) == flow_of(flow_message(flow, tally))


@given(judgements)
def test_a_judgement_comes_back_as_it_was(judgement: Judgement) -> None:
    assert judgement == judgement_of(judgement_message(judgement))


GOOD = pb.Flow(
    service_account="curl/curl", host="a.test", port=443, protocol="https", verdict=pb.Flow.ALLOW
)


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"service_account": "curl"}, "<namespace>/<service account>"),
        ({"port": 0}, "flows.port is 0, allowed is 1 to 65535"),
        ({"port": 65536}, "flows.port is 65536"),
        ({"protocol": "udp"}, "flows.protocol is 'udp', allowed is http, https, tcp"),
        ({"verdict": 7}, "flows.verdict is 7, allowed is ALLOW, DENY or WOULD_DENY"),
        ({"verdict": 0}, "flows.verdict is 0"),
        ({"address": "a.test"}, "flows.address is 'a.test', allowed is an IPv4 address"),
        ({"pod_address": "::1"}, "flows.pod_address"),
        ({"addresses": {"a.test": 1}, "count": 1}, "flows.addresses has 'a.test'"),
        ({"addresses": {"192.0.2.7": 2}, "count": 1}, "more reports than flows.count: 1"),
        (
            {"addresses": {f"192.0.2.{n}": 1 for n in range(99)}, "count": 99},
            f"flows.addresses has 99, allowed are {MOST_ADDRESSES}",
        ),
    ],
)
def test_a_flow_that_is_not_well_formed_is_refused_by_its_field(
    fields: dict[str, Any], text: str
) -> None:
    message = pb.Flow()
    message.CopyFrom(GOOD)
    message.MergeFrom(pb.Flow(**{**fields, "verdict": fields.get("verdict", pb.Flow.ALLOW)}))
    for name in ("port", "verdict"):
        if name in fields:
            setattr(message, name, fields[name])

    with pytest.raises(ValueError, match=r".") as error:
        flow_of(message)
    assert text in str(error.value)
