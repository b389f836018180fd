"""The agent between a server and a stand-in for Pipy: what was tried, and what was heard of it."""

from __future__ import annotations

import os
import signal
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from support.agent_process import (
    acknowledged,
    agent_by_pid_file,
    agent_process,
    alive,
    pipy_elsewhere,
    rejected,
    sent,
    until,
)
from support.certificates import Certificates
from support.control_plane import control_plane, with_uid
from support.tokens import Issuer, put_token
from towpath.access.tokens import LEEWAY
from towpath.model.credentials import Credential
from towpath.rollout.records import State
from towpath_client import TlsFiles


def tls_options(files: TlsFiles) -> tuple[str, ...]:
    shown = ("--tls-cert", str(files.certificate), "--tls-key", str(files.key))
    return ("--tls-ca", str(files.ca), *shown)


async def test_what_pipy_accepts_is_acknowledged(tmp_path: Path, folder: Path) -> None:
    async with control_plane(tmp_path) as plane, agent_process(plane.address, folder) as agent:
        first = await acknowledged(plane)
        assert not agent.lets_out
        plane.switch_egress(on=True)
        second = await acknowledged(plane, not_version=first.sent.version)

        assert agent.lets_out
        assert 2 == second.acknowledgements == len(agent.seen)
        assert agent.seen[-1] == agent.version
        assert 0o600 == (folder / "config.json").stat().st_mode & 0o777
        assert (200, f"ok {agent.version}\n") == await agent.page("/health")
        _, metrics = await agent.page("/metrics")
        assert 'towpath_agent_updates_total{outcome="accepted"} 2' in metrics
        assert f'towpath_agent_config_info{{version="{agent.version}"}} 1' in metrics


async def test_over_mutual_tls_only_its_own_account_is_served(tmp_path: Path, folder: Path) -> None:
    certificates = Certificates(tmp_path)
    other = tmp_path / "other"
    other.mkdir()
    async with control_plane(tmp_path, tls=certificates.server()) as plane:
        mine, foreign = (tls_options(certificates.sidecar("curl", name)) for name in ("curl", "x"))
        async with agent_process(plane.address, folder, *mine) as agent:
            await acknowledged(plane)
            assert 1 == len(agent.seen)
        refused = plane.metrics.access_refused
        before = sum(sample.value for family in refused.collect() for sample in family.samples)
        async with agent_process(plane.address, other, *foreign):
            await until(
                lambda: (
                    before
                    < sum(sample.value for family in refused.collect() for sample in family.samples)
                )
            )
        assert not (other / "config.json").exists()


async def test_with_a_token_file_it_logs_in_by_the_token_that_is_there_then(
    tmp_path: Path, folder: Path
) -> None:
    tls, issuer, token = Certificates(tmp_path).server(), Issuer(), tmp_path / "volume" / "token"
    put_token(token, issuer.token(expires_in=timedelta(seconds=5) - LEEWAY))
    edit = with_uid("uid-1")
    async with control_plane(tmp_path, tls=tls, issuer=issuer, edit=edit) as plane:
        options = ("--tls-ca", str(tls.ca), "--token-file", str(token))
        async with agent_process(plane.token_address, folder, *options) as agent:
            await acknowledged(plane)
            (record,) = plane.hub.records
            first = record.subscriber
            put_token(token, issuer.token())

            def comes_again() -> bool:
                others = [one.subscriber for one in plane.hub.records]
                return bool(others) and first not in others

            await until(comes_again)
            await until(lambda: [State.SERVING] == [one.state for one in plane.hub.records])
            assert 1 == len(agent.seen)

    assert first is not None
    assert ("curl/curl", Credential.TOKEN) == (str(first.account), first.credential)


async def test_what_pipy_refuses_is_rejected_with_its_words_and_taken_back(
    tmp_path: Path, folder: Path
) -> None:
    async with control_plane(tmp_path) as plane, agent_process(plane.address, folder) as agent:
        await acknowledged(plane)
        agent.order("refuse")
        plane.switch_egress(on=True)
        held = await rejected(plane)

        assert "syntax error in the night / [restart] Failed" in held.rejected.message
        assert ["curl.curl"] == list(held.rejected.resource_names)
        assert not agent.lets_out
        status, text = await agent.page("/health")
        assert status == 200
        assert "refused last: syntax error" in text

        agent.order("ok")
        plane.edit_mesh_config(log_level="debug")
        again = await acknowledged(plane, not_version=held.rejected.version)
        assert not again.HasField("rejected")
        assert agent.lets_out


async def test_a_reload_of_which_nothing_is_heard_is_rejected(tmp_path: Path, folder: Path) -> None:
    async with (
        control_plane(tmp_path) as plane,
        agent_process(plane.address, folder, "--reload-timeout", "0.3") as agent,
    ):
        await acknowledged(plane)
        agent.order("hang")
        plane.switch_egress(on=True)
        held = await rejected(plane)

        assert held.rejected.message.startswith("no word of a reload within 0.3 s")
        assert not agent.lets_out
        # It is told to read the good one again, should it ever come to itself.
        await until(lambda: agent.seen[0] == agent.seen[-1])
        assert 3 == len(agent.seen)


async def test_what_pipy_dies_of_is_rejected_and_not_tried_again(
    tmp_path: Path, folder: Path
) -> None:
    async with control_plane(tmp_path) as plane:
        async with agent_process(plane.address, folder) as agent:
            await acknowledged(plane)
            good = agent.version
            agent.order("die")
            plane.switch_egress(on=True)
            refused = plane.metrics.registry.get_sample_value
            assert 3 == await agent.ended()
            await until(lambda: refused("towpath_xds_nacks_total", {"type": "sidecar"}) == 1)
        assert good == agent.version
        bad = agent.seen[-1]
        agent.order("ok")
        async with agent_process(plane.address, folder) as again:
            await until(lambda: again.seen[2:] == [good])
            assert again.process.returncode is None
            assert bad not in again.seen[2:]


async def test_two_changes_while_pipy_reloads_are_one_reload_of_the_newest(
    tmp_path: Path, folder: Path
) -> None:
    async with control_plane(tmp_path) as plane, agent_process(plane.address, folder) as agent:
        first = await acknowledged(plane)
        agent.order("slow")
        plane.switch_egress(on=True)
        await until(lambda: len(agent.seen) == 2)
        for responses, level in ((3, "debug"), (4, "info")):
            plane.edit_mesh_config(log_level=level)
            await sent(plane, responses=responses)
        agent.order("ok")
        last = await acknowledged(plane, not_version=first.sent.version)

        assert 3 == len(agent.seen)
        assert agent.seen[-1] == agent.version
        assert "info" in (folder / "config.json").read_text()
        assert last.responses == last.acknowledgements


async def test_a_crash_between_writing_and_telling_loses_nothing(
    tmp_path: Path, folder: Path
) -> None:
    async with control_plane(tmp_path) as plane:
        async with agent_process(plane.address, folder) as agent:
            await acknowledged(plane)
            good = agent.version
            agent.order("slow")
            plane.switch_egress(on=True)
            await until(lambda: agent.version != good)
            await agent.kill()
            await until(lambda: not alive(agent.pid_of_pipy))
        assert good != agent.version
        agent.order("ok")
        async with agent_process(plane.address, folder) as again:
            held = await acknowledged(plane)

            assert held.acknowledgements == 1
            assert good == again.seen[-2]
            assert again.version == again.seen[-1] != good
            assert again.lets_out
        assert {"config.json", "config.json.good", "orders", "pid", "seen"} == {
            path.name
            for path in folder.iterdir()  # noqa: ASYNC240 (a handful of names)
        }


async def test_a_restart_without_a_change_reloads_nothing(tmp_path: Path, folder: Path) -> None:
    async with control_plane(tmp_path) as plane:
        async with agent_process(plane.address, folder):
            await acknowledged(plane)
        async with agent_process(plane.address, folder) as again:
            held = await acknowledged(plane)

            assert 1 == held.acknowledgements
            await until(lambda: len(again.seen) == 2)
            _, metrics = await again.page("/metrics")
            assert 'towpath_agent_updates_total{outcome="unchanged"} 1' in metrics


async def test_without_a_server_pipy_starts_with_the_last_good_file(
    tmp_path: Path, folder: Path
) -> None:
    async with control_plane(tmp_path) as plane, agent_process(plane.address, folder):
        await acknowledged(plane)
    async with agent_process(f"unix:{tmp_path}/nobody", folder) as alone:
        await until(lambda: len(alone.seen) == 2)

        assert alone.seen[0] == alone.seen[1]


async def test_a_pipy_that_ends_by_itself_ends_the_agent_and_blames_nothing(
    tmp_path: Path, folder: Path
) -> None:
    async with control_plane(tmp_path) as plane, agent_process(plane.address, folder) as agent:
        await acknowledged(plane)
        os.kill(agent.pid_of_pipy, signal.SIGKILL)

        assert 128 + signal.SIGKILL == await agent.ended()
        assert not (folder / "config.json.refused").exists()


async def test_signals_go_to_pipy_and_its_status_is_the_agents(
    tmp_path: Path, folder: Path
) -> None:
    async with control_plane(tmp_path) as plane, agent_process(plane.address, folder) as agent:
        await acknowledged(plane)
        agent.process.send_signal(signal.SIGTERM)

        assert 7 == await agent.ended()


async def test_pipy_that_runs_elsewhere_is_told_by_its_pid_file_and_heard_by_its_log(
    tmp_path: Path, folder: Path
) -> None:
    async with (
        control_plane(tmp_path) as plane,
        agent_by_pid_file(plane.address, folder) as agent,
    ):
        await until((folder / "config.json").exists)
        async with pipy_elsewhere(folder):
            await acknowledged(plane)
            agent.order("refuse")
            plane.switch_egress(on=True)
            assert "syntax error in the night" in (await rejected(plane)).rejected.message
            assert not agent.lets_out
        await agent.until_health(503)


@pytest.mark.parametrize("status", [0, 3])
async def test_a_reload_command_says_by_its_status_whether_it_was_taken(
    tmp_path: Path, folder: Path, status: int
) -> None:
    code = f"print('done so far'); raise SystemExit({status})"
    command = f'{sys.executable} -S -c "{code}"'
    async with (
        control_plane(tmp_path) as plane,
        agent_process(plane.address, folder, "--reload-command", command, own_child=False),
    ):
        if status == 0:
            assert 1 == (await acknowledged(plane)).acknowledgements
        else:
            message = (await rejected(plane)).rejected.message
            assert message.endswith("exited with 3: done so far")
