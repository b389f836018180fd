"""The image's recipe: what it copies is there, and it installs what the gate installs."""

from __future__ import annotations

import re
from pathlib import Path

from support.deploy import DEPLOY, kustomize, pod_specs

ROOT = DEPLOY.parent
TEXT = (DEPLOY / "Dockerfile").read_text().replace("\\\n", " ")
LINES = [line for line in TEXT.splitlines() if line and not line.startswith("#")]
STAGES = [line.split() for line in LINES if line.startswith("FROM ")]


def copied() -> list[str]:
    """What is copied from the source, not from another stage."""
    words = [line.split()[1:] for line in LINES if line.startswith("COPY ")]
    return [path for one in words if not one[0].startswith("--from=") for path in one[:-1]]


def test_what_is_copied_exists_and_is_sent_to_the_builder() -> None:
    sent = {
        line.removeprefix("!")
        for line in (ROOT / ".dockerignore").read_text().splitlines()
        if line.startswith("!")
    }

    assert [] == [path for path in copied() if not (ROOT / path).exists()]
    assert sent == set(copied())


def test_what_the_build_needs_is_copied() -> None:
    project = (ROOT / "pyproject.toml").read_text()
    needed = {"pyproject.toml", "constraints.txt", "README.md", "LICENSE", "deploy"}
    (packages,) = re.findall(r"^packages = \[(.*)\]$", project, re.MULTILINE)
    roots = {Path(path.strip('" ')).parts[0] for path in packages.split(",")}

    assert needed | roots == set(copied())


def test_the_last_stage_has_no_compiler_and_no_root() -> None:
    assert len(STAGES) == 2
    assert all("-slim" in stage[1] for stage in STAGES)
    last = LINES[LINES.index(" ".join(STAGES[1])) :]
    installed = [line for line in last if "apt-get install" in line]

    assert not re.search(r"gcc|build-essential|clang|-dev\b", " ".join(installed))
    assert "USER 65532:65532" in last
    (spec,) = pod_specs(kustomize("base"))
    assert spec["securityContext"]["runAsUser"] == 65532


def test_the_entry_point_is_the_command_whose_arguments_the_deployment_gives() -> None:
    (spec,) = pod_specs(kustomize("base"))

    assert 'ENTRYPOINT ["towpath"]' in LINES
    assert 'CMD ["serve"]' in LINES
    assert spec["containers"][0]["args"] == ["serve"]
    assert "command" not in spec["containers"][0]
