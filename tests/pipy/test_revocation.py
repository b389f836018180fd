"""A real Pipy when access is taken away: it is told of it, or is no more."""

from __future__ import annotations

import os
import signal
from contextlib import ExitStack

import pytest

from pipy.conftest import Serve
from support.dataplane.clients import curl_until
from support.dataplane.mesh import CURL_ALONE
from support.dataplane.network import OUTSIDE
from support.dataplane.wait import until

pytestmark = pytest.mark.pipy

URL = f"http://{OUTSIDE[0]}/"


def test_a_pipy_that_outlived_its_agent_is_told_of_what_is_in_force(
    serve: Serve, stack: ExitStack
) -> None:
    _, pod = serve(CURL_ALONE)
    curl = pod("curl", "curl.curl")
    pipy, agent = curl.elsewhere()
    agent.start()
    stack.callback(agent.kill)
    pipy.start()
    stack.callback(pipy.kill)
    good = curl.config.with_name("config.json.good")
    until(good.exists, bool, what="it is accepted", within_s=60, context=agent.tail)
    agent.kill()
    # What an agent has done that ends before it hears what came of it.
    opened = good.read_text().replace('"EnableEgress": false', '"EnableEgress": true')
    curl.config.unlink()
    curl.config.write_text(opened.replace('"Version": "', '"Version": "0'))
    os.kill(int((curl.scripts / "pid").read_text()), signal.SIGHUP)
    curl_until(curl.pod, URL, status=200)

    agent.start()
    curl_until(curl.pod, URL, exits=7, context=agent.tail)
    assert curl.config.read_text() == good.read_text()


def test_a_pipy_that_takes_not_even_what_is_closed_is_stopped(
    serve: Serve, stack: ExitStack
) -> None:
    manifests, pod = serve(CURL_ALONE)
    curl = pod("curl", "curl.curl")
    agent = curl.child()
    manifests.set_egress(on=True)
    agent.start()
    stack.callback(agent.kill)
    curl_until(curl.pod, URL, status=200)
    until(curl.config.with_name("config.json.good").exists, bool, what="it is accepted")
    (curl.scripts / "main.js").write_text("(")
    manifests.set_egress(on=False)

    curl_until(curl.pod, URL, exits=7, context=agent.tail)
    until(lambda: agent.exit_code, lambda code: code == 137, what="the end", context=agent.tail)
    assert not curl.config.with_name("config.json.good").exists()


def test_it_ends_with_an_agent_that_is_killed_hard(serve: Serve, stack: ExitStack) -> None:
    manifests, pod = serve(CURL_ALONE)
    curl = pod("curl", "curl.curl")
    # Who changes the user of a process takes back what it asked of the kernel.
    agent = curl.child(prefix=())
    manifests.set_egress(on=True)
    agent.start()
    stack.callback(agent.kill)

    def listening() -> bool:
        return ":15001 " in curl.pod.run("ss", "-Hltn").stdout

    until(listening, bool, what="Pipy listens", within_s=60, context=agent.tail)
    agent.kill()

    until(listening, lambda there: not there, what="Pipy is gone")
