"""Files of others that browsers are sent: each is what it is said to be, with its licence."""

from __future__ import annotations

import hashlib
import json
from importlib.resources import files

STATIC = files("towpath.cli.page") / "static"
OURS = {"icon.svg", "page.css", "page.js"}
ASSETS = json.loads((STATIC / "assets.json").read_text())


def test_files_of_others_are_those_that_were_pinned() -> None:
    expected = {asset["file"]: asset["sha256"] for asset in ASSETS}

    assert expected == {
        name: hashlib.sha256((STATIC / name).read_bytes()).hexdigest() for name in expected
    }


def test_each_has_a_licence_beside_it() -> None:
    licences = {f"{asset['file'].partition('.')[0]}.LICENSE" for asset in ASSETS}

    assert all(asset["licence"] for asset in ASSETS)
    assert OURS | licences | {asset["file"] for asset in ASSETS} | {"assets.json"} == {
        file.name for file in STATIC.iterdir()
    }


def test_our_own_files_ask_for_nothing_elsewhere() -> None:
    texts = {name: (STATIC / name).read_text() for name in OURS}
    for text in texts.values():
        assert "//" not in text.replace("http://www.w3.org/2000/svg", "").replace("// ", "")
