"""Tables: aligned, and without what could move the cursor of who reads them."""

from __future__ import annotations

import pytest

from towpath.cli.table import print_line, print_table


def test_a_cell_is_one_line_whatever_is_in_it(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(("NODE", "KIND"), [("a\x1b[2J\nb", "envoy")])
    print_line("no\r\nroute \x1b]0;title\x07")

    assert capsys.readouterr().out.splitlines() == [
        "NODE" + " " * (len("a\\x1b[2J\\nb") - 2) + "KIND",
        "a\\x1b[2J\\nb  envoy",
        "no\\r\\nroute \\x1b]0;title\\x07",
    ]
