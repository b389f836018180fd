"""The agent when access was taken away: Pipy is told of it, or is no more."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import sys
from pathlib import Path

import pytest

from support.agent_process import (
    WITHIN_S,
    acknowledged,
    agent_by_pid_file,
    agent_process,
    alive,
    delivery,
    pipy_elsewhere,
    rejected,
    until,
)
from support.control_plane import control_plane


def config_of(folder: Path) -> dict[str, object]:
    content: dict[str, object] = json.loads((folder / "config.json").read_text())
    return content


@pytest.mark.parametrize("server", ["there", "away"])
async def test_a_pipy_that_outlived_its_agent_is_told_of_what_is_in_force(
    tmp_path: Path, folder: Path, server: str
) -> None:
    async with control_plane(tmp_path) as plane, agent_by_pid_file(plane.address, folder) as agent:
        await until((folder / "config.json").exists)
        async with pipy_elsewhere(folder):
            await acknowledged(plane)
            closed = agent.version
            agent.order("slow")
            plane.switch_egress(on=True)
            await until(lambda: len(agent.seen) == 2)
            await agent.kill()
            opened = agent.seen[-1]
            agent.order("ok")
            await until(lambda: "reloaded" in (folder / "log").read_text())
            plane.switch_egress(on=False)
            address = plane.address if server == "there" else f"unix:{tmp_path}/nobody"
            async with agent_by_pid_file(address, folder) as again:
                await until(lambda: again.seen[2:] == [closed])
                await again.until_health(200)
                if server == "there":
                    await acknowledged(plane)

                assert opened != closed == again.version == again.seen[-1]
                assert not again.lets_out


async def test_a_pipy_that_could_not_be_told_is_told_again_until_it_hears(
    tmp_path: Path, folder: Path
) -> None:
    async with (
        control_plane(tmp_path) as plane,
        agent_process(plane.address, folder, "--reload-timeout", "1") as agent,
    ):
        await acknowledged(plane)
        good = agent.version
        agent.order("hang")
        plane.switch_egress(on=True)
        await rejected(plane)
        await until(lambda: agent.seen[2:3] == [good])
        status, text = await agent.page("/health")
        assert (status, text) == (503, "it is not known what Pipy has read\n")

        agent.order("ok")
        await agent.until_health(200)
        assert {good} == set(agent.seen[2:])


async def test_what_only_some_threads_have_taken_is_taken_back_from_them(
    tmp_path: Path, folder: Path
) -> None:
    async with control_plane(tmp_path) as plane, agent_process(plane.address, folder) as agent:
        await acknowledged(plane)
        good = agent.version
        agent.order("split")
        plane.switch_egress(on=True)
        await rejected(plane)
        agent.order("ok")

        await until(lambda: len(agent.seen) > 2 and agent.seen[-1] == good)


async def test_an_end_by_a_forwarded_signal_is_no_verdict_on_what_was_tried(
    tmp_path: Path, folder: Path
) -> None:
    async with control_plane(tmp_path) as plane:
        async with agent_process(plane.address, folder) as agent:
            await acknowledged(plane)
            agent.order("hang")
            plane.switch_egress(on=True)
            await until(lambda: len(agent.seen) == 2)
            agent.process.send_signal(signal.SIGTERM)

            assert 7 == await agent.ended()
        tried = agent.seen[-1]
        assert not (folder / "config.json.refused").exists()
        nacks = plane.metrics.registry.get_sample_value(
            "towpath_xds_nacks_total", {"type": "sidecar"}
        )
        assert not nacks
        agent.order("ok")
        async with agent_process(plane.address, folder) as again:
            await until(lambda: again.seen[2:] == [agent.seen[0], tried])
            assert again.lets_out


async def test_pipy_ends_with_an_agent_that_is_killed_hard(tmp_path: Path, folder: Path) -> None:
    async with control_plane(tmp_path) as plane, agent_process(plane.address, folder) as agent:
        await acknowledged(plane)
        pid = agent.pid_of_pipy
        assert alive(pid)
        await agent.kill()

        await until(lambda: not alive(pid))


async def test_a_pipy_that_rejects_what_is_narrower_is_sent_what_it_holds_of_it(
    tmp_path: Path, folder: Path
) -> None:
    async with control_plane(tmp_path) as plane:
        plane.switch_egress(on=True)
        async with agent_process(plane.address, folder) as agent:
            await acknowledged(plane)
            assert agent.lets_out
            agent.order("refuse-if debug")
            plane.edit_mesh_config(egress="false", log_level="debug")
            held = await rejected(plane)
            await until(lambda: len(agent.seen) == 3 and agent.seen[-1] == agent.version)

            assert "syntax error in the night" in held.rejected.message
            assert not agent.lets_out
            await until(lambda: (folder / "config.json").samefile(folder / "config.json.good"))
            assert 200 == (await agent.page("/health"))[0]


async def test_a_widening_that_is_rejected_changes_nothing(tmp_path: Path, folder: Path) -> None:
    async with control_plane(tmp_path) as plane, agent_process(plane.address, folder) as agent:
        await acknowledged(plane)
        good = agent.version
        agent.order("refuse")
        plane.switch_egress(on=True)
        await rejected(plane)
        agent.order("ok")
        plane.edit_mesh_config(log_level="debug")
        await acknowledged(plane)

        assert 3 == len(agent.seen)
        assert good == agent.seen[0]


@pytest.mark.parametrize("way", ["child", "elsewhere"])
async def test_a_pipy_that_rejects_even_what_is_closed_is_stopped(
    tmp_path: Path, folder: Path, way: str
) -> None:
    async with control_plane(tmp_path) as plane, contextlib.AsyncExitStack() as stack:
        plane.switch_egress(on=True)
        if way == "child":
            agent = await stack.enter_async_context(agent_process(plane.address, folder))
            ended = agent.process
        else:
            agent = await stack.enter_async_context(agent_by_pid_file(plane.address, folder))
            await until((folder / "config.json").exists)
            ended = await stack.enter_async_context(pipy_elsewhere(folder))
        await acknowledged(plane)
        agent.order("refuse")
        plane.switch_egress(on=False)
        status_of_end = await asyncio.wait_for(ended.wait(), WITHIN_S)
        assert status_of_end == (128 + signal.SIGKILL if way == "child" else -signal.SIGKILL)
        if way == "elsewhere":
            status, text = await agent.page("/health")
            assert status == 503
            assert text.startswith("isolated: Pipy did not take what lets nothing through: syntax")

        assert not alive(agent.pid_of_pipy)
        assert not (folder / "config.json.good").exists()
        assert config_of(folder)["Outbound"] is None
        assert config_of(folder)["Spec"] is None

        agent.order("ok")
        if way == "child":
            agent = await stack.enter_async_context(agent_process(plane.address, folder))
        else:
            await stack.enter_async_context(pipy_elsewhere(folder))
        plane.edit_mesh_config(log_level="debug")
        await until(lambda: agent.seen[-1] == agent.version and not agent.lets_out)
        await agent.until_health(200)
        assert "debug" in (folder / "config.json").read_text()


async def test_a_pipy_reached_by_a_command_is_stopped_by_another(
    tmp_path: Path, folder: Path
) -> None:
    command = f'{sys.executable} -S -c "raise SystemExit(3)"'
    stopped = folder / "stopped"
    async with (
        control_plane(tmp_path) as plane,
        agent_process(
            plane.address,
            folder,
            *("--reload-command", command, "--stop-command", f"touch {stopped}"),
            own_child=False,
        ) as agent,
    ):
        await until(stopped.exists)
        status, text = await agent.page("/health")

        assert (status, "isolated") == (503, text.partition(":")[0])
        assert (await delivery(plane)).HasField("rejected")
