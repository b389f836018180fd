"""An expression says how large it is wherever some Envoy would find it too large."""

from __future__ import annotations

import pytest
import re2

from towpath.encode.envoy.regex import expression
from towpath.model.names import ObjectRef
from towpath.regex import bytewise
from towpath.sources.decode.expressions import Expressions
from towpath.sources.decode.findings import Findings

OF_ENVOY = 100
"""Steps that Envoy takes by itself."""
TWO_UUIDS = "/a/[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}/b/[0-9a-f]{8}"
MANY = "".join(chr(0x100 + 2 * number) for number in range(450))
EXPRESSIONS = (
    *("/", ".*", "/files/.*", "/[a-z]{9}", TWO_UUIDS, "/a{99}", "(?i)/[a-z]{70}"),
    *("/files/[^/]{1,20}", "/api" + "/[^/]+" * 10, "/x.{30}", "(?i)/[^k]{20}", "/é{40}"),
    *("/[^/]{1,300}", f"/[^{MANY}]{{1,27}}", f"/[{MANY}]{{1,27}}", "/(?:[^/]+/){1,100}"),
)


def size(regex: str) -> int:
    """Steps that an Envoy counts, be it one that reads bytes or one that reads characters."""
    characters = re2.Options()
    characters.log_errors = False
    both = (bytewise(), characters)
    return max(int(re2.compile(regex.encode(), one).programsize) for one in both)


@pytest.mark.parametrize("regex", EXPRESSIONS)
def test_no_envoy_finds_an_expression_too_large(regex: str) -> None:
    findings = Findings(ObjectRef("HTTPRouteGroup", "shop", "a"), "")
    Expressions(findings, effect="").check("pathRegex", regex)
    assert () == findings.problems

    matcher = expression(regex)
    limit = matcher.google_re2.max_program_size.value if matcher.HasField("google_re2") else 0

    assert size(regex) <= (limit or OF_ENVOY)


def test_a_small_one_says_nothing() -> None:
    for regex in ("/", ".*", "/files/.*", "/a/[^/]+/b", "/users/[0-9]{1,20}"):
        assert not expression(regex).HasField("google_re2")
