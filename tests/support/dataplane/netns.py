"""Network namespaces: make and delete them, run commands in them, and hold their sockets.

A socket belongs for ever to the namespace where it was made, so one process can serve and dial
in many namespaces: only the making of a socket has to happen inside.
"""

from __future__ import annotations

import asyncio
import ctypes
import itertools
import os
import re
import shutil
import socket
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")

FOLDER = Path("/run/netns")
RESOLVERS = Path("/etc/netns")
PREFIX = "towpath"
_numbers = itertools.count()
_CLONE_NEWNET = 0x40000000
_IPV6_SWITCHES = ("all", "default", "lo")


class Namespace:
    """One network namespace with loopback up and IPv6 off."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.path = FOLDER / name
        self._resolves = False
        ip("netns", "add", name)
        # setns() moves one thread: this one lives inside, the rest of the process stays outside.
        self._inside = ThreadPoolExecutor(1, thread_name_prefix=name, initializer=self._enter)
        self.ip("link", "set", "lo", "up")
        self.call(_switch_ipv6_off)

    def delete(self) -> None:
        self._inside.shutdown()
        ip("netns", "delete", self.name)
        shutil.rmtree(RESOLVERS / self.name, ignore_errors=True)

    def resolve_by(self, address: str) -> None:
        """Let commands that are run inside ask the name server at *address*."""
        folder = RESOLVERS / self.name
        folder.mkdir(parents=True, exist_ok=True)
        # The search list is what Kubernetes gives a pod.
        search = "curl.svc.cluster.local svc.cluster.local cluster.local"
        options = "ndots:5 timeout:1 attempts:1"
        text = f"nameserver {address}\nsearch {search}\noptions {options}\n"
        (folder / "resolv.conf").write_text(text)
        self._resolves = True

    def ip(self, *arguments: str) -> None:
        """Run `ip` on this namespace's interfaces and routes."""
        ip("-netns", self.name, *arguments)

    def call(self, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Call *function* in the thread that lives inside."""
        return self._inside.submit(function, *args, **kwargs).result()

    def command(self, *command: str) -> list[str]:
        """The argument list that runs *command* inside."""
        if self._resolves:
            # This lays the namespace's own files over /etc, for the command alone.
            return ["ip", "netns", "exec", self.name, *command]
        return ["nsenter", f"--net={self.path}", "--", *command]

    def run(
        self, *command: str, within_s: float = 30.0, stdin: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run *command* inside to its end and return what it printed; its exit code may be any."""
        return subprocess.run(
            self.command(*command),
            check=False,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=within_s,
        )

    def new_socket(self) -> socket.socket:
        """A TCP socket of this namespace."""
        return self.call(socket.socket, socket.AF_INET, socket.SOCK_STREAM)

    def bind_datagrams(self, host: str, port: int) -> socket.socket:
        """A bound UDP socket of this namespace."""
        bound = self.call(socket.socket, socket.AF_INET, socket.SOCK_DGRAM)
        bound.bind((host, port))
        bound.setblocking(False)
        return bound

    def listen(self, host: str, port: int) -> socket.socket:
        """A listening TCP socket of this namespace."""
        listening = self.new_socket()
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
        listening.listen(1024)
        return listening

    def connect(
        self, host: str, port: int, *, within_s: float = 30.0, source: str = ""
    ) -> socket.socket:
        """A connected TCP socket of this namespace; every later call on it has the same limit.
        *source* is one of its addresses.
        """
        connecting = self.new_socket()
        connecting.settimeout(within_s)
        try:
            if source:
                connecting.bind((source, 0))
            connecting.connect((host, port))
        except OSError:
            connecting.close()
            raise
        return connecting

    async def open_connection(
        self, host: str, port: int, *, source: str = ""
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Like asyncio.open_connection, from this namespace; *source* is one of its addresses."""
        connecting = self.new_socket()
        connecting.settimeout(0)
        try:
            if source:
                connecting.bind((source, 0))
            await asyncio.get_running_loop().sock_connect(connecting, (host, port))
        except BaseException:
            connecting.close()
            raise
        return await asyncio.open_connection(sock=connecting)

    def _enter(self) -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        with self.path.open() as handle:
            if libc.setns(handle.fileno(), _CLONE_NEWNET):
                code = ctypes.get_errno()
                raise OSError(code, f"setns to {self.path}: {os.strerror(code)}")


def unique_name(role: str) -> str:
    """A namespace name that nobody else uses, and that tells which process's it is."""
    return f"{PREFIX}-{os.getpid()}-{next(_numbers)}-{role}"


def sweep() -> list[str]:
    """Delete the namespaces of processes that are gone, and return their names."""
    swept = []
    for path in sorted(FOLDER.glob(f"{PREFIX}-*")):
        owner = re.fullmatch(rf"{PREFIX}-(\d+)-[a-z0-9-]+", path.name)
        if owner and not Path("/proc", owner[1]).exists():
            ip("netns", "delete", path.name)
            shutil.rmtree(RESOLVERS / path.name, ignore_errors=True)
            swept.append(path.name)
    return swept


def ip(*arguments: str) -> None:
    """Run `ip`; RuntimeError with its message if it fails."""
    done = subprocess.run(["ip", *arguments], check=False, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"ip {' '.join(arguments)}: {done.stderr.strip()}")


def _switch_ipv6_off() -> None:
    # /proc/sys/net shows the namespace of the thread that opens the file.
    for scope in _IPV6_SWITCHES:
        switch = Path(f"/proc/sys/net/ipv6/conf/{scope}/disable_ipv6")
        if switch.exists():
            switch.write_text("1")
