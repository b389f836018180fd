"""Where the API server is, who we are there, and what its refusals say."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import yaml
from kubernetes.aio.client import ApiClient, Configuration
from kubernetes.aio.config import ConfigException

from support.certificates import Certificates
from support.fake_api import body, fake_api, refuse
from towpath.kubeapi.client import KubeApi, KubeApiError
from towpath.kubeapi.configuration import connect, refreshed

NAMESPACES = "/api/v1/namespaces"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "there is no such file"),
        ("", ""),
        ("{", ""),
        ("apiVersion: v1\nkind: Config\n", ""),
        ("[]", ""),
    ],
)
async def test_a_kubeconfig_that_cannot_be_used_is_named(
    tmp_path: Path, text: str | None, said: str
) -> None:
    path = tmp_path / "kubeconfig"
    if text is not None:
        path.write_text(text)

    with pytest.raises(KubeApiError, match=f"no configuration of {path}: .*{said}"):
        await connect(path, "")


async def test_a_context_that_is_not_there_is_named(tmp_path: Path) -> None:
    async with fake_api() as api:
        with pytest.raises(KubeApiError, match="elsewhere"):
            await connect(api.kubeconfig(tmp_path), "elsewhere")


async def test_two_contexts_of_one_name_in_one_file_are_an_error(tmp_path: Path) -> None:
    async with fake_api() as api:
        path = api.kubeconfig(tmp_path)
        config = yaml.safe_load(path.read_text())
        config["contexts"] *= 2
        path.write_text(yaml.safe_dump(config))

        with pytest.raises(
            KubeApiError, match=f"no configuration of {path}: .* two contexts of the name"
        ):
            await connect(path, "")


async def test_several_files_are_merged_as_kubectl_does_it(tmp_path: Path) -> None:
    async with fake_api() as api:
        whole = yaml.safe_load(api.kubeconfig(tmp_path).read_text())
        (context,) = whole["contexts"]
        name = context["name"]
        other = {**context, "context": {**context["context"], "cluster": "elsewhere"}}
        parts: dict[str, dict[str, Any]] = {
            "empty": {},
            "who": {"users": whole["users"], "current-context": name, "contexts": [context]},
            "where": {"clusters": whole["clusters"], "current-context": "x", "contexts": [other]},
        }
        for part, content in parts.items():
            (tmp_path / part).write_text(yaml.safe_dump(content) if content else "")
        files = ["missing", *parts, ""]
        kube = await connect(Path(os.pathsep.join(str(tmp_path / file) for file in files)), "")
        await kube.close()

        assert whole["clusters"][0]["cluster"]["server"] == kube.url


async def test_of_several_files_one_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(KubeApiError, match="there is no such file"):
        await connect(Path(f"{tmp_path}/a{os.pathsep}{tmp_path}/b"), "")


async def test_a_context_without_a_kubeconfig_is_refused() -> None:
    with pytest.raises(KubeApiError, match="context blue is of a kubeconfig"):
        await connect(None, "blue")


async def test_outside_of_a_cluster_there_is_no_configuration(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)

    with pytest.raises(KubeApiError, match="no configuration of the cluster we run in"):
        await connect(None, "")


async def test_a_refusal_has_its_status_its_message_and_the_wait_asked_for(tmp_path: Path) -> None:
    async with fake_api() as api:
        kube = await connect(api.kubeconfig(tmp_path), "")
        api.faults["Namespace"] += [refuse(429, "later", **{"Retry-After": "7"}), refuse(403, "")]
        try:
            with pytest.raises(KubeApiError, match="later") as busy:
                await kube.get(NAMESPACES, {})
            with pytest.raises(KubeApiError, match="HTTP status 403") as refused:
                await kube.get(NAMESPACES, {})
        finally:
            await kube.close()

        assert (429, 7.0) == (busy.value.status, busy.value.retry_after_s)
        assert (403, 0.0) == (refused.value.status, refused.value.retry_after_s)


@pytest.mark.parametrize(
    "said",
    ['{"message": ' + "[" * 100_000, "[" * 100_000, "{" * 3, '{"message": "' + "x" * 1_000_000],
    ids=["deep", "deeper", "cut", "long"],
)
async def test_a_refusal_in_words_that_cannot_be_read_is_its_status(
    tmp_path: Path, said: str
) -> None:
    async with fake_api() as api:
        kube = await connect(api.kubeconfig(tmp_path), "")
        api.faults["Namespace"] += [body(said, status=500)]
        try:
            with pytest.raises(KubeApiError, match=r"^HTTP status 500$"):
                await kube.get(NAMESPACES, {})
        finally:
            await kube.close()


async def test_a_watch_gives_whole_lines_and_says_if_the_last_is_not(tmp_path: Path) -> None:
    async with fake_api() as api:
        kube = await connect(api.kubeconfig(tmp_path), "")
        api.faults["Namespace"] += [body("one\n\ntwo\nthr")]
        seen: list[bytes] = []
        try:
            with pytest.raises(KubeApiError, match="in the middle of an event"):
                async with kube.watch(NAMESPACES, {}, idle_s=5) as lines:
                    async for line in lines:
                        seen.append(line)  # noqa: PERF401 - it raises at the end
        finally:
            await kube.close()

        assert [b"one", b"two"] == seen


@pytest.mark.parametrize("error", [ConfigException("Token file exists but empty."), OSError("no")])
async def test_a_token_that_cannot_be_read_just_now_is_no_crash(
    tmp_path: Path, error: Exception
) -> None:
    """As while the kubelet replaces it."""

    def hook(_: Configuration) -> None:
        raise error

    async with fake_api() as api:
        kube = await connect(api.kubeconfig(tmp_path), "")
        kube._client.configuration.refresh_api_key_hook = hook
        try:
            with pytest.raises(KubeApiError, match=str(error)) as failed:
                await kube.get(NAMESPACES, {})
        finally:
            await kube.close()

        assert 0 == failed.value.status


def loader(**user: Any) -> Any:
    """A kubeconfig's user, whose tokens are numbered."""
    made = SimpleNamespace(_user=user, token="Bearer 0", asked=0)

    def ask() -> None:
        made.asked += 1
        made.token = f"Bearer {made.asked}"

    async def ask_plugin() -> None:
        ask()

    made.load_from_exec_plugin, made._load_user_token = ask_plugin, ask
    return made


@pytest.mark.parametrize(
    ("user", "second"),
    [
        ({"exec": {"command": "x"}}, "Bearer 1"),
        ({"tokenFile": "/x"}, "Bearer 1"),
        ({"token": "t", "tokenFile": "/x"}, None),
        ({"token": "t"}, None),
    ],
)
async def test_a_token_that_may_change_is_asked_for_again_after_a_minute(
    user: dict[str, Any], second: str | None
) -> None:
    now = 0.0
    settings = Configuration()
    hook: Callable[[Configuration], Awaitable[None]] = refreshed(loader(**user), clock=lambda: now)

    await hook(settings)
    assert None is settings.api_key.get("BearerToken")
    now = 61.0
    await hook(settings)
    await hook(settings)
    assert second == settings.api_key.get("BearerToken")


def test_a_client_says_which_server_it_asks() -> None:
    class Client:
        configuration = Configuration(host="https://kube.test")

    assert "https://kube.test" == KubeApi(cast("ApiClient", Client())).url


async def test_an_api_server_is_known_by_the_certificates_that_it_is_trusted_by(
    tmp_path: Path,
) -> None:
    async def authority(file: Path | None) -> str:
        text = (tmp_path / "kubeconfig").read_text().replace("http:", "https:")
        if file is not None:
            text = text.replace("server:", f"certificate-authority: {file}\n    server:")
        (tmp_path / "other").write_text(text)
        kube = await connect(tmp_path / "other", "")
        await kube.close()
        return kube.authority

    async with fake_api() as api:
        api.kubeconfig(tmp_path)
        files = []
        for name in ("one", "two"):
            (tmp_path / name).mkdir()
            files.append(Certificates(tmp_path / name).ca)

        assert await authority(None) == ""
        assert await authority(files[0]) != await authority(files[1])
        assert await authority(files[0]) == await authority(files[0])
