"""What `towpath-agent` refuses to begin with."""

from __future__ import annotations

import pytest

from towpath_client.agent.main import main

NODE = ("--node", "curl.curl")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (NODE, "give one of --pid-file, --reload-command, or a command after --"),
        ((*NODE, "--pid-file", "p", "--", "true"), "give one of --pid-file"),
        (("--reload-command", "true"), "--node is not set"),
        ((*NODE, "--", "no-such-pipy", "main.js"), "there is no program 'no-such-pipy'"),
        ((*NODE, "--reload-command", "no-such-thing x"), "there is no program 'no-such-thing'"),
        ((*NODE, "--reload-command", "true", "--tls-ca", "x"), "together, or none of them"),
        ((*NODE, "--reload-command", "true", "--token-file", "x"), "goes with --tls-ca"),
        ((*NODE, "--reload-command", "true", "--http-address", "x"), "allowed is HOST:PORT"),
    ],
)
def test_a_mistake_is_said_at_once(
    arguments: tuple[str, ...], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("POD_NAME", "POD_NAMESPACE"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(SystemExit) as refused:
        main(arguments)

    assert words in str(refused.value)
