"""The name that was meant, among many."""

from __future__ import annotations

from towpath.model.nearest import nearest


def test_a_misspelt_name_is_known_among_thousands() -> None:
    names = [f"service-{n}.namespace-{n % 50}:80" for n in range(4000)]

    assert "service-2345.namespace-45:80" == nearest("servce-2345.namespace-45:80", names)
    assert "service-2345.namespace-45:80" == nearest("service-2345.namespace-45:8", names)
    assert nearest("x" * 1_000_000, names) is None
