"""`deploy/demo/pipy`: valid, and what it is said to be."""

from __future__ import annotations

import kubernetes_validate
import yaml
from click.testing import CliRunner

from support.deploy import DEPLOY
from towpath import __version__
from towpath.cli import main
from towpath_client.agent.main import options_of

FOLDER = DEPLOY / "demo" / "pipy"
OBJECTS = [
    document
    for path in sorted(FOLDER.glob("*.yaml"))
    for document in yaml.safe_load_all(path.read_text())
]
(POD,) = (document for document in OBJECTS if document["kind"] == "Pod")
CONTAINERS = {container["name"]: container for container in POD["spec"]["containers"]}


def test_each_object_is_strictly_valid() -> None:
    for document in OBJECTS:
        if document["kind"] != "MeshConfig":
            kubernetes_validate.validate(document, "1.34", strict=True)


def test_its_configuration_is_the_manuals() -> None:
    command = ("render", "--manifests", str(FOLDER), "--type", "sidecar", "--sidecar", "curl.curl")
    result = CliRunner().invoke(main, command)

    assert result.exit_code == 0
    assert '"EnableEgress": true' in result.stdout
    assert "" == result.stderr


def test_nothing_is_wrong_with_it() -> None:
    result = CliRunner().invoke(main, ("problems", "--manifests", str(FOLDER), "--client", "pipy"))

    assert (result.exit_code, result.stdout) == (0, "")


def test_the_agent_is_of_this_version_and_knows_its_options() -> None:
    agent = CONTAINERS["agent"]
    options = options_of(agent["args"])

    assert f"towpath:{__version__}" == agent["image"]
    assert ["/pipy/pid", "/pipy/log"] == [str(options.pid_file), str(options.pipy_log)]


def test_agent_and_pipy_share_user_processes_and_folder() -> None:
    users = {CONTAINERS[name]["securityContext"]["runAsUser"] for name in ("pipy", "agent")}

    assert users == {1500}
    assert POD["spec"]["shareProcessNamespace"] is True
    assert {"name": "pipy", "emptyDir": {"medium": "Memory"}} in POD["spec"]["volumes"]
