"""A mesh of 5,000 sidecars and 1,000 policies: `problems` and `diff` answer, and exactly.

That they answer in seconds is measured by `make bench-changes`, not asserted; a limit of time ends
what has become quadratic again.
"""

from __future__ import annotations

from pathlib import Path

from click.testing import CliRunner, Result

from bench.changes import write_mesh
from towpath.cli import main

SIDECARS, POLICIES = 5000, 1000


def _run(*arguments: object) -> Result:
    return CliRunner().invoke(main, [*map(str, arguments)])


def test_problems_and_differences_of_a_large_mesh(tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    write_mesh(old, SIDECARS, POLICIES)
    write_mesh(new, SIDECARS, POLICIES, changed=2)
    problems = _run("problems", "--manifests", old)
    change = _run("diff", old, new)

    assert (0, "0 problems\n") == (problems.exit_code, problems.output)
    assert 1 == change.exit_code
    # The first policy lets one account out, the second another into a service of a third.
    lines = [
        ("app-0 gains GET http://api-0.example.org:80/other", "team-0/out-0"),
        ("app-0 loses GET http://api-0.example.org:80/get", "team-0/out-0"),
        ("app-0 gains GET http://cdn-0.example.net:80/other", "team-0/out-0"),
        ("app-0 loses GET http://cdn-0.example.net:80/get", "team-0/out-0"),
        ("app-1 gains GET /other to Service team-8/app-8 port 80", "team-8/in-1"),
        ("app-1 loses GET /get to Service team-8/app-8 port 80", "team-8/in-1"),
    ]
    assert [
        *(f"team-{text[4]}/{text}  (HTTPRouteGroup {group})" for text, group in lines),
        "1000 service accounts: 2 changed, 998 unchanged",
    ] == change.stdout.splitlines()
