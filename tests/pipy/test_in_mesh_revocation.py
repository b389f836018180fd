"""What is taken away in the mesh is refused at once by a real Pipy, whatever becomes of the agent,
of the Pipy, and of the configuration.
"""

from __future__ import annotations

import os
import signal
from contextlib import ExitStack

import pytest

from pipy.conftest import Serve, Shop
from support.dataplane.clients import curl, curl_until
from support.dataplane.hosts import APP_PORT, ECHO_PORT
from support.dataplane.iptables import without_redirect
from support.dataplane.mesh import WITH_A_SERVICE
from support.dataplane.network import POD_ADDRESSES, Network
from support.dataplane.policy import CUT
from support.dataplane.targets import ask, group, target
from support.dataplane.wait import equals, until
from support.pipy.shop import (
    DIRECT,
    DIRECT_RAW,
    POD,
    SERVER,
    THIEF,
    URL,
    close,
    echo,
    tcp_route,
)

pytestmark = pytest.mark.pipy

CLOSED = (7, *CUT)
CLIENT = POD_ADDRESSES["curl"]
GRANTED = (
    target("t", "thief", "all"),
    group("all", ".*"),
    target("r", "thief", "raw", kind="TCPRoute"),
    tcp_route("raw", ECHO_PORT),
)


def _let_in(shop: Shop) -> None:
    """Have the thief's requests and bytes let in, and wait until they are."""
    shop.manifests.apply(*GRANTED)
    curl_until(shop.thief, DIRECT, status=200)
    until(lambda: echo(shop.thief, DIRECT_RAW), equals(b"hi"), what="bytes come in")


def test_a_target_that_is_withdrawn_lets_nobody_in_any_more(shop: Shop) -> None:
    shop.manifests.apply(target("t", "thief", "all"), group("all", ".*"))
    curl_until(shop.thief, DIRECT, status=200)
    shop.manifests.withdraw()
    curl_until(shop.thief, DIRECT, exits=CLOSED)


def test_a_connection_from_before_has_one_request_left_and_bytes_go_on(shop: Shop) -> None:
    """It goes on as it began: Pipy closes it behind its next response, and bytes have none."""
    _let_in(shop)
    with shop.thief.connect(POD, APP_PORT) as living, shop.thief.connect(*DIRECT_RAW) as raw:
        assert b"HTTP/1.1 200 OK" == ask(living)
        raw.sendall(b"1")
        assert b"1" == raw.recv(1)
        shop.manifests.apply(target("t", "curl", "all"), group("all", ".*"))
        curl_until(shop.client.pod, URL, status=200)
        assert curl(shop.thief, DIRECT).exit_code in CLOSED
        assert b"" == echo(shop.thief, DIRECT_RAW)
        assert b"HTTP/1.1 200 OK" == ask(living)
        try:
            last = ask(living)
        except ConnectionError:
            last = b""
        raw.sendall(b"2")

        assert b"" == last
        assert b"2" == raw.recv(1)


def test_of_a_narrower_configuration_that_is_rejected_what_is_taken_away_is_closed(
    shop: Shop,
) -> None:
    config, agent = shop.server.config, shop.agents[SERVER]
    _let_in(shop)
    # From now on it takes nothing with the address of the other client.
    scripts = shop.server.scripts / "config.js"
    before, _, after = scripts.read_text().rpartition("    config\n")
    guard = f"config?.AllowedEndpoints?.['{CLIENT}'] && pipy.solve('nothing.js'),\n    config\n"
    scripts.write_text(f"{before}    {guard}{after}")
    shop.manifests.apply(target("t", "curl", "all"), group("all", ".*"))

    curl_until(shop.thief, DIRECT, exits=CLOSED, context=agent.tail)
    assert b"" == echo(shop.thief, DIRECT_RAW)
    until(lambda: CLIENT in config.read_text(), equals(expected=False), what="it is taken back")
    assert b"" == echo(shop.thief, DIRECT_RAW)
    assert curl(shop.thief, DIRECT).exit_code in CLOSED
    assert "refused last: " in shop.server.health
    agent.check_alive()
    # What it can take again it takes.
    shop.manifests.apply(*GRANTED)
    curl_until(shop.thief, DIRECT, status=200, context=agent.tail)


def test_an_agent_that_comes_back_closes_what_was_revoked_while_it_was_away(
    serve: Serve, stack: ExitStack, network: Network
) -> None:
    manifests, pod = serve(WITH_A_SERVICE)
    close(manifests)
    server = pod(SERVER, f"{SERVER}.bookstore")
    thief = network.pods[THIEF]
    stack.enter_context(without_redirect(thief))
    pipy, agent = server.elsewhere()
    manifests.apply(target("t", "thief", "all"), group("all", ".*"))
    agent.start()
    stack.callback(agent.kill)
    pipy.start()
    stack.callback(pipy.kill)
    curl_until(thief, DIRECT, status=200, context=agent.tail)
    agent.kill()
    manifests.withdraw()
    assert 200 == curl(thief, DIRECT).status

    agent.start()
    curl_until(thief, DIRECT, exits=CLOSED, context=agent.tail)
    pipy.check_alive()


def test_sigterm_while_it_reloads_condemns_no_configuration(shop: Shop) -> None:
    """Ended again and again in the very moment of a reload, it begins with what came last."""
    agent = shop.agents[SERVER]
    granted = (target("t", "thief", "all"), group("all", ".*"))
    for _ in range(3):
        shop.manifests.apply(*granted)
        curl_until(shop.thief, DIRECT, status=200, context=agent.tail)
        end_in_a_reload(shop)
        shop.manifests.withdraw()
        agent.start()
        curl_until(shop.thief, DIRECT, exits=CLOSED, context=agent.tail)


def end_in_a_reload(shop: Shop) -> None:
    """End the server's agent as soon as it has written what it is to try."""
    agent, config = shop.agents[SERVER], shop.server.config
    written = config.stat().st_ino
    shop.manifests.apply(target("t", "curl", "all"), group("all", ".*"))
    until(lambda: config.stat().st_ino, lambda node: node != written, what="it is written")
    os.kill(agent.pid, signal.SIGTERM)
    until(lambda: agent.exit_code, lambda code: code is not None, what="the end")
    assert not config.with_name("config.json.refused").exists()
